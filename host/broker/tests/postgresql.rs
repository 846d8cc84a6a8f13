//! Database servers that say what no PostgreSQL says: each ends as a fault of the call, with little in memory.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "support/backend.rs"]
mod backend;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use backend::{BOOL, Backend, INT4, Moment, TEXT, columns, message, row, said};
use raito_core::call::{Call, Reply, Request};
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::ports::Writes;
use raito_core::step::Step;
use support::{Broker, Probe};

const PASSWORD: &str = "the password of the reader";
/// The statement as its manifest has it, and as it is sent.
const WRITTEN: &str = "select d.datname from pg_database d";
const PEOPLE: &str = "select d.datname\nfrom pg_catalog.pg_database as d";

fn reading(backend: &Backend) -> Broker {
    reading_all(backend, &["shop"])
}

fn reading_all(backend: &Backend, databases: &[&str]) -> Broker {
    let manifest = format!(
        "[sql.main]\nkind = \"postgresql\"\n[sql.main.statements.people]\nmode = \"read\"\ntext = \"{WRITTEN}\"\n"
    );
    let grant = format!(
        "url: \"postgresql://raito_read@127.0.0.1:{}/\"\ndatabases: [{}]\npassword: {{ env: A }}\ntls: off\naddresses: [\"127.0.0.1\"]",
        backend.port,
        databases.join(", ")
    );
    let (step, writes) = (Step::IdentityStore, Writes::Refused);
    let probe = Probe {
        slot: "sql.main",
        manifest: &manifest,
        grant: &grant,
        secrets: &[("password", PASSWORD)],
        files: &[],
        step,
        writes,
    };
    probe.open().unwrap_or_else(|error| panic!("{error}"))
}

/// All rows of the statement.
async fn people(broker: &Broker) -> Result<Vec<Vec<Option<String>>>, Fault> {
    people_at(broker, None).await
}

/// The same at a database.
async fn people_at(broker: &Broker, at: Option<&str>) -> Result<Vec<Vec<Option<String>>>, Fault> {
    let call = Call { slot: "sql.main".into(), entry: "people".into(), at: at.map(str::to_owned), arguments: vec![] };
    let handle = match broker.step.call(Request::SqlQuery(call)).await {
        Reply::Opened(_, handle) => handle,
        Reply::Fault(fault) => return Err(fault),
        other => panic!("{other:?}"),
    };
    let mut all = Vec::new();
    loop {
        match broker.step.call(Request::Next(handle, 0)).await {
            Reply::Rows(rows) => all.extend(rows),
            Reply::End => return Ok(all),
            Reply::Fault(fault) => return Err(fault),
            other => panic!("{other:?}"),
        }
    }
}

/// What becomes of a read where the server does this in a moment of statements whose text has a word.
async fn with(
    moment: Moment,
    word: &'static str,
    act: impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static,
) -> (Result<Vec<Vec<Option<String>>>, Fault>, u64) {
    let backend = Backend::start(move |now, text, out| {
        let is_it = now == moment && text.contains(word);
        if is_it { act(out).map(|()| true) } else { Ok(false) }
    });
    let broker = reading(&backend);
    let result = people(&broker).await;
    (result, backend.sent())
}

/// Writes the same for as long as anybody takes it.
fn endless(piece: Vec<u8>) -> impl Fn(&mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static {
    let pieces = piece.repeat((64 * 1024 / piece.len()).max(1));
    move |out| {
        loop {
            out.write_all(&pieces)?;
        }
    }
}

fn is_denied(result: &Result<Vec<Vec<Option<String>>>, Fault>, says: &str) {
    let denied = |fault: &Fault| fault.kind == FaultKind::Denied && fault.message.as_str().contains(says);
    assert!(result.as_ref().is_err_and(denied), "{says}: {:?}", result.as_ref().map(Vec::len));
}

#[tokio::test]
async fn a_server_that_does_as_it_should_is_read() {
    let backend = Backend::start(|_, _, _| Ok(false));
    let broker = reading(&backend);
    for _ in 0..3 {
        assert_eq!(people(&broker).await, Ok(vec![vec![Some("ann".to_owned())]]));
    }
    let cell = vec![b'x'; 1 << 20];
    let long = move |out: &mut dyn Write| {
        for _ in 0..20 {
            out.write_all(&row(&[Some(&cell)]))?;
        }
        out.write_all(&message(b'C', b"SELECT 20\0"))
    };
    let (result, _) = with(Moment::Execute, PEOPLE, long).await;
    assert_eq!(result.map(|rows| rows.len()), Ok(20), "the longest cells, and more of them than one page has");
}

#[tokio::test]
async fn an_error_with_a_code_of_any_length_is_a_fault() {
    for code in ["", "4", "é", "\u{1F600}", "08006 and more of it"] {
        let act = move |out: &mut dyn Write| out.write_all(&said(b'E', code, "no"));
        let (result, _) = with(Moment::Execute, PEOPLE, act).await;
        assert!(
            result.as_ref().is_err_and(|fault| fault.message.as_str().contains("the server says: no")),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_secret_behind_the_cut_of_a_message_leaves_nothing_of_itself() {
    let in_text = said(b'E', "42501", &format!("{}{PASSWORD}", "x".repeat(285)));
    let in_code = said(b'E', PASSWORD, "no");
    let as_name = columns(&[(&format!("{}{PASSWORD}", "x".repeat(50)), 600)]);
    for (moment, bytes) in [(Moment::Execute, in_text), (Moment::Execute, in_code), (Moment::Describe, as_name)] {
        let backend = Backend::start(move |now, text, out| {
            let is_it = now == moment && text == PEOPLE;
            if is_it { out.write_all(&bytes).map(|()| true) } else { Ok(false) }
        });
        let broker = reading(&backend);
        let fault = people(&broker).await.expect_err("an error");
        assert!(fault.message.as_str().contains("an answer to sql.main holds the secret password"), "{fault}");
        assert!(!fault.message.as_str().contains("the password of"), "{fault}");
        assert!(broker.step.leaked().is_some() && broker.record.of("leak").len() == 1);
    }
}

#[tokio::test]
async fn an_answer_to_the_hosts_own_questions_of_another_form_is_a_fault() {
    let (flag, flags): (Option<&[u8]>, _) = (Some(&[0]), columns(&[("a", BOOL), ("b", BOOL), ("c", BOOL)]));
    let shapes = [
        (columns(&[("a", INT4), ("b", TEXT), ("c", BOOL)]), row(&[Some(&[0; 4]), flag, flag])),
        (flags.clone(), row(&[None, None, None])),
        (columns(&[]), row(&[])),
        (flags, row(&[Some(&[0, 0]), Some(&[]), Some(b"true")])),
    ];
    for question in ["rolsuper", "transaction_isolation"] {
        for (head, body) in shapes.clone() {
            let backend = Backend::start(move |moment, text, out| match moment {
                Moment::Describe if text.contains(question) => out.write_all(&head).map(|()| true),
                Moment::Execute if text.contains(question) => {
                    out.write_all(&[body.clone(), message(b'C', b"SELECT 1\0")].concat()).map(|()| true)
                }
                _ => Ok(false),
            });
            let result = people(&reading(&backend)).await;
            assert!(result.is_err(), "{question}: {result:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_is_announced_too_long_is_not_waited_for() {
    for (moment, word, kind) in [
        (Moment::Login, "", b'N'),
        (Moment::Describe, PEOPLE, b'T'),
        (Moment::Execute, PEOPLE, b'D'),
        (Moment::Execute, "transaction_isolation", b'E'),
    ] {
        let act = move |out: &mut dyn Write| {
            out.write_all(&[kind, 0xff, 0xff, 0xff, 0xf0])?;
            endless(vec![0; 1024])(out)
        };
        let (result, sent) = with(moment, word, act).await;
        is_denied(&result, "a message of 4294967280 bytes");
        assert!(sent < 32 << 20, "{sent} bytes were taken");
    }
}

#[tokio::test]
async fn a_server_that_never_ends_to_speak_is_not_listened_to() {
    let notice = said(b'N', "00000", &"x".repeat(500));
    let setting = message(b'S', b"a setting\0with a value\0");
    for (moment, word, piece, says) in [
        (Moment::Login, "", notice.clone(), "besides the rows"),
        (Moment::Login, "", setting.clone(), "of settings"),
        (Moment::Execute, PEOPLE, notice, "besides the rows"),
        (Moment::Execute, PEOPLE, setting, "of settings"),
    ] {
        let (result, sent) = with(moment, word, endless(piece)).await;
        is_denied(&result, says);
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    }
}

#[tokio::test]
async fn types_that_stand_for_others_without_end_are_not_followed() {
    // What tokio-postgres asks about a type that it does not know: name, kind, element, range, base, schema, relation.
    let backend = Backend::start(|moment, text, out| {
        const CHAR: u32 = 18;
        const NAME: u32 = 19;
        const OID: u32 = 26;
        let is_about_types = text.contains("typelem");
        match moment {
            Moment::Describe if text == PEOPLE => out.write_all(&columns(&[("a", 100_000)])).map(|()| true),
            Moment::Describe if is_about_types => {
                let kinds = [NAME, CHAR, OID, OID, OID, NAME, OID];
                out.write_all(&columns(&kinds.map(|kind| ("a", kind)))).map(|()| true)
            }
            Moment::Execute if is_about_types => {
                // An array of another type, whose number nobody has seen.
                static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(200_000);
                let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst).to_be_bytes();
                let none: Option<&[u8]> = Some(&[0; 4]);
                let cells = [Some(&b"t"[..]), Some(b"b"), Some(&next), None, none, Some(b"s"), none];
                out.write_all(&[row(&cells), message(b'C', b"SELECT 1\0")].concat()).map(|()| true)
            }
            _ => Ok(false),
        }
    });
    is_denied(&people(&reading(&backend)).await, "questions about one statement");
}

#[tokio::test]
async fn a_connection_serves_the_next_step_as_a_new_one_or_not_at_all() {
    let refused = || said(b'E', "XX000", "no");
    let of = |moment, text: &'static str| move |now: Moment, said: &str| now == moment && said == text;
    // What the server refuses, and how often the host logs in for two steps.
    type Refuses = Box<dyn Fn(Moment, &str) -> bool + Send + Sync>;
    let cases: [(&str, Refuses, usize); 3] = [
        ("nothing", Box::new(|_, _| false), 1),
        ("to end the transaction", Box::new(of(Moment::Command, "ROLLBACK")), 2),
        ("the statement", Box::new(of(Moment::Execute, PEOPLE)), 2),
    ];
    for (what, refuses, logins) in cases {
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&log);
        let backend = Backend::start(move |moment, text, out| {
            match moment {
                Moment::Login => kept.lock().expect("whole").push("login".to_owned()),
                Moment::Command => {
                    let command = text.split(';').next().unwrap_or_default();
                    kept.lock().expect("whole").push(command.to_owned());
                }
                Moment::Describe | Moment::Execute => {}
            }
            if refuses(moment, text) { out.write_all(&refused()).map(|()| true) } else { Ok(false) }
        });
        let mut broker = reading(&backend);
        let first = people(&broker).await;
        broker.next_step(Step::DataSource).await;
        assert_eq!(people(&broker).await, first.clone(), "{what}");
        assert_eq!(first.is_err(), what == "the statement");
        let log = log.lock().expect("whole").clone();
        assert_eq!(log.iter().filter(|said| *said == "login").count(), logins, "{what}: {log:?}");
        assert_eq!(broker.record.of("connect").len(), logins, "{what}");
        if logins == 1 {
            const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            assert_eq!(log, ["login", BEGIN, "ROLLBACK", BEGIN]);
        }
    }
}

#[tokio::test]
async fn a_connection_whose_rows_were_left_is_not_used_again() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let backend = Backend::start(move |moment, _, _| {
        counted.fetch_add(usize::from(moment == Moment::Login), Ordering::SeqCst);
        Ok(false)
    });
    let mut broker = reading(&backend);
    let call = Call { slot: "sql.main".into(), entry: "people".into(), at: None, arguments: vec![] };
    assert!(matches!(broker.step.call(Request::SqlQuery(call)).await, Reply::Opened(..)));
    broker.next_step(Step::DataSource).await;
    assert_eq!(people(&broker).await, Ok(vec![vec![Some("ann".to_owned())]]));
    assert_eq!(logins.load(Ordering::SeqCst), 2);
    let said: Vec<_> = broker.record.of("reply").into_iter().map(|reply| reply["status"].clone()).collect();
    assert_eq!(said, ["abandoned", "ok"], "nobody asked what the server had against the first");
}

#[tokio::test]
async fn of_many_databases_few_connections_are_kept() {
    let logins = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&logins);
    let backend = Backend::start(move |moment, _, _| {
        counted.fetch_add(usize::from(moment == Moment::Login), Ordering::SeqCst);
        Ok(false)
    });
    let databases: Vec<String> = (0..limits::SQL_RESTING + 3).map(|number| format!("d{number}")).collect();
    let databases: Vec<&str> = databases.iter().map(String::as_str).collect();
    let mut broker = reading_all(&backend, &databases);
    for expected in [databases.len(), databases.len() + 3] {
        for database in &databases {
            assert_eq!(people_at(&broker, Some(database)).await, Ok(vec![vec![Some("ann".to_owned())]]));
        }
        assert_eq!(logins.load(Ordering::SeqCst), expected);
        broker.next_step(Step::DataSource).await;
    }
}

#[tokio::test]
async fn a_secret_that_comes_in_pieces_of_rows_is_found_in_its_last_one() {
    // In a column beside another one, over the rows of one answer; in one row; over the answers to
    // a statement.
    let (a, b) = PASSWORD.split_at(9);
    let cells = |cells: &[&str]| row(&cells.iter().map(|cell| Some(cell.as_bytes())).collect::<Vec<_>>());
    let beside = [cells(&["1", a]), cells(&["2", b])].concat();
    for (rows, width, times) in [(beside, 2, 1), (cells(&[a, b]), 2, 1), (Vec::new(), 1, 2)] {
        let asked = AtomicUsize::new(0);
        let backend = Backend::start(move |moment, text, out| match moment {
            Moment::Describe if text == PEOPLE => {
                out.write_all(&columns(&[("a", TEXT), ("b", TEXT)][..width])).map(|()| true)
            }
            Moment::Execute if text == PEOPLE => {
                let rows = match (rows.is_empty(), asked.fetch_add(1, Ordering::SeqCst)) {
                    (false, _) => rows.clone(),
                    (true, 0) => cells(&[a]),
                    (true, _) => cells(&[b]),
                };
                out.write_all(&[rows, message(b'C', b"SELECT 2\0")].concat()).map(|()| true)
            }
            _ => Ok(false),
        });
        let broker = reading(&backend);
        for _ in 1..times {
            assert!(people(&broker).await.is_ok(), "a piece alone says nothing");
        }
        let fault = people(&broker).await.expect_err("the last piece");
        assert!(fault.message.as_str().contains("together with those before it, holds the secret password"), "{fault}");
    }
}
