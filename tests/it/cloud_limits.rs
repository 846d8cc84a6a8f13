//! The cloud against clients that take what they can get: connections, time, room on the disk.

use std::fs::Permissions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::Served;
use super::hostile_resources::target;
use super::isolation::peak;
use crate::support::Place;
use crate::support::server::{Server, json as json_answer};

/// How long somebody waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(120);

fn place() -> Place {
    Place::new("targets: []\n")
}

fn token(place: &Place, name: &str, scope: &str) -> String {
    place.raito(&["cloud", "token", name, "--scope", scope]).exits(0).stdout.trim().to_owned()
}

impl Served {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream
    }

    /// A connection over which something was sent.
    fn sent(&self, text: &str) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
    }

    fn post(&self, path: &str, token: &str, body: &Value) -> super::api::Answer {
        let fields = [("authorization", &*format!("Bearer {token}")), ("content-type", "application/json")];
        self.ask("POST", path, &fields, &body.to_string())
    }

    /// Begins a run of a source.
    fn begin(&self, token: &str, source: &str, run: &str) -> super::api::Answer {
        let opening = json!({
            "run": run, "source": source, "connector": "demo", "version": "1.0.0", "sha256": "0".repeat(64),
        });
        self.post("/api/v1/runs", token, &opening)
    }

    /// Begins an upload of a run, whose first piece is this.
    fn upload(&self, token: &str, run: &str, first: &str) -> TcpStream {
        self.sent(&format!(
            "PUT /api/v1/runs/{run}/uploads/identity-store HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             transfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
            first.len()
        ))
    }
}

/// The id of a run.
fn run(number: usize) -> String {
    format!("01890000-0000-7000-8000-{number:012}")
}

fn user(number: usize) -> String {
    let user = json!({
        "external-id": format!("u{number}"), "user-name": "ann", "display-name": "", "email": null, "enabled": true,
        "tags": [],
    });
    format!("{}\n", json!({ "user": user }))
}

/// What a connection is answered, up to its end or the end of the body.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => text.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&text)),
        }
        let said = String::from_utf8_lossy(&text);
        if let Some((head, body)) = said.split_once("\r\n\r\n") {
            let length = head.to_lowercase().split_once("content-length: ").map(|(_, rest)| {
                rest.split("\r\n").next().and_then(|length| length.parse::<usize>().ok()).expect("a length")
            });
            if length.is_some_and(|length| body.len() >= length) {
                break;
            }
        }
    }
    String::from_utf8(text).expect("UTF-8")
}

#[test]
fn b10_a_connection_takes_little_whatever_it_sends_and_one_that_sends_no_request_is_closed() {
    const COUNT: u64 = 300;
    let place = place();
    let served = Served::of(&place);
    let before = peak(served.process());
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}", "x".repeat(30_000));
    let silent: Vec<TcpStream> = (0..COUNT).map(|_| served.connect()).collect();
    let unfinished: Vec<TcpStream> = (0..COUNT).map(|_| served.sent(&head)).collect();
    let asked: Vec<TcpStream> = (0..COUNT)
        .map(|_| {
            let mut stream = served.sent("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n");
            assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
            stream
        })
        .collect();
    assert_eq!(served.ask("GET", "/healthz", &[], "").status, 200, "another client is answered");
    let each = (peak(served.process()) - before) / (3 * COUNT);
    assert!(each <= 64, "{each} KiB for each connection");
    // A head that does not come to its end in time is none.
    for mut stream in unfinished {
        assert_eq!(stream.read(&mut [0; 16]).expect("it is closed"), 0);
    }
    // A head that is too long is refused, or cut off in the middle of itself; so is one of too many
    // fields.
    for (fields, allowed) in
        [("x".repeat(80_000), &["HTTP/1.1 431", ""][..]), ("\r\na: b".repeat(200), &["HTTP/1.1 431"])]
    {
        let mut stream = served.sent(&format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {fields}\r\n\r\n"));
        let said = answer(&mut stream);
        let status = said.get(..12).unwrap_or_default();
        assert!(allowed.contains(&status), "{} bytes: {said}", fields.len());
    }
    drop((silent, asked));
    assert_eq!(served.ask("GET", "/healthz", &[], "").status, 200);
}

#[test]
fn b10_beyond_as_many_connections_as_may_be_new_ones_are_told_so_and_the_idlest_make_room() {
    let place = place();
    // Of these, 1,536 are for the store and for what the process has besides.
    let served = Served::within(&place, 1_536 + 48);
    let mut open: Vec<TcpStream> = Vec::new();
    let refused = loop {
        let mut stream = served.sent("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
        let said = answer(&mut stream);
        if !said.starts_with("HTTP/1.1 200") {
            break said;
        }
        open.push(stream);
        assert!(open.len() <= 64, "there is no end of connections");
    };
    assert!(open.len() >= 40, "{} connections", open.len());
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    let head = refused.to_lowercase();
    assert!(head.contains("retry-after: ") && head.contains("content-type: application/problem+json"), "{refused}");
    assert!(refused.ends_with('}') && refused.contains("\"status\":503"), "{refused}");
    // Those that wait for long give way.
    let began = Instant::now();
    while served.ask("GET", "/healthz", &[], "").status != 200 {
        assert!(began.elapsed() < PATIENCE, "nobody gives way");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(open[0].read(&mut [0; 16]).expect("it is closed"), 0, "the idlest is closed first");
    let (status, _) = (served.ask("GET", "/healthz", &[], "").status, open);
    assert_eq!(status, 200);
}

#[test]
fn b10_slow_uploads_hold_nothing_that_others_need_and_a_token_has_as_many_as_it_may() {
    let place = place();
    let served = Served::of(&place);
    let (slow, quick) = (token(&place, "slow", "sync"), token(&place, "quick", "sync"));
    let reader = token(&place, "reader", "read");
    let mut held = Vec::new();
    for number in 0..65 {
        assert_eq!(served.begin(&slow, &format!("s{number}"), &run(number)).status, 200);
    }
    for number in 0..64 {
        held.push(served.upload(&slow, &run(number), &user(number)));
    }
    // It counts from when its head was read, which nobody is told.
    let began = Instant::now();
    let refused = loop {
        let mut one_more = served.upload(&slow, &run(64), &user(64));
        one_more.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        let mut first = [0; 16];
        match one_more.read(&mut first) {
            Ok(read) if read > 0 => {
                one_more.set_read_timeout(Some(PATIENCE)).expect("a time");
                break String::from_utf8_lossy(&first[..read]).into_owned() + &answer(&mut one_more);
            }
            _ => assert!(began.elapsed() < PATIENCE, "there is no end of uploads"),
        }
    };
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    let head = refused.to_lowercase();
    assert!(head.contains("retry-after: 10") && head.contains("application/problem+json"), "{refused}");
    assert!(refused.contains("this token has 64 uploads under way"), "{refused}");
    // Others ask, and upload, as if nobody else did.
    for _ in 0..100 {
        assert_eq!(served.get("/api/v1/sources", &reader).status, 200);
    }
    assert_eq!(served.begin(&quick, "quick", &run(1_000)).status, 200);
    let end = format!("{}{}\n", user(0), json!({ "end": { "lines": 1, "complete": true } }));
    let fields = [("authorization", &*format!("Bearer {quick}"))];
    let path = format!("/api/v1/runs/{}/uploads/identity-store", run(1_000));
    let taken = served.ask("PUT", &path, &fields, &end);
    assert_eq!((taken.status, &taken.body["added"]), (200, &json!(1)), "{}", taken.body);
    // One that goes away makes room.
    drop(held.pop());
    let began = Instant::now();
    while served
        .ask("PUT", &path.replace(&run(1_000), &run(64)), &[("authorization", &format!("Bearer {slow}"))], &end)
        .status
        == 429
    {
        assert!(began.elapsed() < PATIENCE, "nothing is given back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(served.get("/api/v1/sources/s64/users", &reader).body["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_there_already_is_a_conflict_and_no_failure() {
    let place = place();
    let served = Served::of(&place);
    let token = token(&place, "host", "sync");
    assert_eq!(served.begin(&token, "shop", &run(1)).status, 200);
    for source in ["shop", "other"] {
        let again = served.begin(&token, source, &run(1));
        assert_eq!((again.status, &again.body["type"]), (409, &json!("conflict")), "{}", again.body);
        assert!(
            again.body["detail"].as_str().is_some_and(|detail| detail.contains("a run with this id")),
            "{}",
            again.body
        );
    }
    let report = json!({
        "step": "identity-store", "outcome": "completed", "records": 0, "gaps": 0, "calls": 0, "duration-ms": 0,
        "guest-memory-bytes": 0,
    });
    let twice = json!({ "outcome": "completed", "steps": [report, report] });
    let closed = served.post(&format!("/api/v1/runs/{}/close", run(1)), &token, &twice);
    assert_eq!((closed.status, &closed.body["type"]), (409, &json!("conflict")), "{}", closed.body);
    let once = json!({ "outcome": "completed", "steps": [report] });
    assert_eq!(served.post(&format!("/api/v1/runs/{}/close", run(1)), &token, &once).status, 200);
}

#[test]
fn b9_bodies_that_nest_without_end_are_refused_and_the_cloud_goes_on() {
    let place = place();
    let served = Served::of(&place);
    let token = token(&place, "host", "sync");
    assert_eq!(served.begin(&token, "shop", &run(1)).status, 200);
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", &*bearer), ("content-type", "application/json")];
    let at = |path: &str| format!("/api/v1/runs{path}").replace("RUN", &run(1));
    for depth in [127, 128, 1_000, 600_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = [&open.repeat(depth), "1", &close.repeat(depth)].concat();
            for (method, path, body) in [
                ("POST", at(""), nested.clone()),
                ("POST", at("/RUN/feedback"), nested.clone()),
                ("POST", at("/RUN/close"), format!("{{\"steps\":{nested}}}")),
                ("PUT", at("/RUN/uploads/identity-store"), format!("{nested}\n")),
                ("PUT", at("/RUN/uploads/identity-store"), format!("{{\"user\":{{\"tags\":{nested}}}}}\n")),
            ] {
                let answer = served.ask(method, &path, &fields, &body);
                assert!(
                    (400..500).contains(&answer.status),
                    "{method} {path} {depth}: {} {}",
                    answer.status,
                    answer.body
                );
                assert!(answer.body["detail"].is_string(), "{method} {path} {depth}: {}", answer.body);
            }
        }
    }
    assert_eq!(served.begin(&token, "shop", &run(2)).status, 200, "it goes on");
}

/// A cloud that is not the one of this program, or that somebody has taken.
#[test]
fn b9_whatever_a_cloud_answers_a_command_ends_with_one_error() {
    let nested = |open: &str, close: &str| [&open.repeat(5_000_000), "1", &close.repeat(5_000_000)].concat();
    let bodies = [
        nested("[", "]"),
        nested("{\"items\":", "}"),
        "[]".to_owned(),
        "\"x\"".to_owned(),
        "{\"items\":[{".to_owned(),
        "{\"items\":[],\"next-cursor\":\"c\"}".to_owned(),
    ];
    for body in bodies {
        let shown = body[..body.len().min(40)].to_owned();
        let cloud = Server::plain(move |_, out| json_answer(out, &body));
        refused(&cloud, &shown);
    }
    let endless = Server::plain(|_, out| {
        out.write_all(b"HTTP/1.1 500 no\r\nconnection: close\r\n\r\n")?;
        loop {
            out.write_all(&[b'x'; 64 * 1_024])?;
        }
    });
    refused(&endless, "a problem without end");
}

/// A question and a run end with one error where this is the cloud.
#[track_caller]
fn refused(cloud: &Server, what: &str) {
    let target = target("quiet", "none", "");
    let url = format!("http://127.0.0.1:{}", cloud.port);
    let place = Place::new(&format!("cloud: {{ url: \"{url}\", token: {{ file: token }} }}\ntargets:\n{target}"));
    place.write("token", "raito_a-token-of-a-test");
    std::fs::set_permissions(place.path().join("token"), Permissions::from_mode(0o600)).expect("ours");
    for command in [&["who", "--source", "quiet", "t"][..], &["run", "--quiet"]] {
        let outcome = place.raito(command);
        assert_eq!(outcome.stderr.matches("error[").count(), 1, "{what}: {command:?}: {}", outcome.stderr);
        outcome.exits(6).says(&["E-cloud-failed"]);
    }
}

/// The end of an upload of so many lines.
fn end(lines: usize) -> String {
    format!("{}\n", json!({ "end": { "lines": lines, "complete": true } }))
}

/// A piece of a body that is sent in pieces.
fn piece(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

#[test]
fn b10_a_line_that_comes_in_small_pieces_is_searched_once() {
    let place = place();
    let served = Served::of(&place);
    let token = token(&place, "host", "sync");
    assert_eq!(served.begin(&token, "shop", &run(1)).status, 200);
    let mut upload = served.upload(&token, &run(1), &"x".repeat(7 << 20));
    // Looking at all of it for each of them would take the better part of an hour.
    let small = piece("x").repeat(1_000);
    for _ in 0..100 {
        upload.write_all(small.as_bytes()).expect("it reads");
    }
    upload.write_all(format!("{}0\r\n\r\n", piece("\n")).as_bytes()).expect("it reads");
    let said = answer(&mut upload);
    assert!(said.starts_with("HTTP/1.1 422") && said.contains("line 1"), "{said}");
}

#[test]
fn b10_gaps_of_an_upload_have_a_bound_in_bytes() {
    let place = place();
    let served = Served::of(&place);
    let token = token(&place, "host", "sync");
    assert_eq!(served.begin(&token, "shop", &run(1)).status, 200);
    let gap = json!({ "gap": { "scope": null, "reason": "r".repeat(16_000) } });
    let mut upload = served.upload(&token, &run(1), &format!("{gap}\n"));
    for _ in 0..300 {
        // The cloud may have answered, and closed, before all was sent.
        if upload.write_all(piece(&format!("{gap}\n")).as_bytes()).is_err() {
            break;
        }
    }
    let said = answer(&mut upload);
    assert!(said.starts_with("HTTP/1.1 422") && said.contains("the gaps have more than 4 MiB together"), "{said}");
}

#[test]
fn b10_an_upload_is_not_taken_in_once_its_run_has_ended_or_its_token_is_gone() {
    let place = place();
    let served = Served::of(&place);
    let (sync, read) = (token(&place, "host", "sync"), token(&place, "reader", "read"));
    let finish = |mut upload: TcpStream| {
        upload.write_all(format!("{}0\r\n\r\n", piece(&end(1))).as_bytes()).expect("it reads");
        answer(&mut upload)
    };
    let users = || served.get("/api/v1/sources/shop/users", &read).body["items"].as_array().map_or(0, Vec::len);
    assert_eq!(served.begin(&sync, "shop", &run(1)).status, 200);
    let late = served.upload(&sync, &run(1), &user(1));
    // A newer run ends the first one, and reads more.
    assert_eq!(served.begin(&sync, "shop", &run(2)).status, 200);
    let path = format!("/api/v1/runs/{}/uploads/identity-store", run(2));
    let fields = [("authorization", &*format!("Bearer {sync}"))];
    assert_eq!(served.ask("PUT", &path, &fields, &format!("{}{}{}", user(1), user(2), end(2))).status, 200);
    let said = finish(late);
    assert!(said.starts_with("HTTP/1.1 409") && said.contains("the run has ended"), "{said}");
    assert_eq!(users(), 2);
    // A token that is taken away takes what it has under way along.
    let stolen = token(&place, "stolen", "sync");
    assert_eq!(served.begin(&stolen, "shop", &run(3)).status, 200);
    let under_way = served.upload(&stolen, &run(3), &user(1));
    let tokens = place.get("/tokens");
    let mut tokens = tokens["items"].as_array().expect("a list").iter();
    let id =
        tokens.find(|token| token["name"] == "stolen").and_then(|token| token["id"].as_str()).expect("it is there");
    place.raito(&["cloud", "delete", &format!("/tokens/{id}")]).exits(0);
    let said = finish(under_way);
    assert!(said.starts_with("HTTP/1.1 401") && said.contains("the token was taken away"), "{said}");
    assert_eq!(users(), 2);
}

/// Where the last applied state of a target is.
fn state_of(target: &str) -> String {
    format!("/api/v1/applied-states/{target}?repository=corp/access")
}

#[test]
fn b10_long_bodies_and_answers_that_nobody_reads_are_as_few_as_there_may_be() {
    let place = place();
    let served = Served::of(&place);
    let token = token(&place, "state", "state");
    let bearer = format!("Bearer {token}");
    let fields = [("authorization", &*bearer), ("content-type", "application/json"), ("if-match", "\"0\"")];
    let state = json!({ "text": "x".repeat(20 << 20) });
    let kept = served.ask("PUT", &state_of("long"), &fields, &state.to_string());
    assert_eq!(kept.status, 204, "{}", kept.body);
    // Each asks, and reads nothing of the answer.
    let ask = format!("GET {} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\r\n", state_of("long"));
    let mut unread = Vec::new();
    let began = Instant::now();
    let refused = loop {
        let mut stream = served.sent(&ask);
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("it answers");
        if &first != b"HTTP/1.1 200" {
            break String::from_utf8_lossy(&first).into_owned() + &answer(&mut stream);
        }
        unread.push(stream);
        assert!(unread.len() <= 4 && began.elapsed() < PATIENCE, "{} answers are open", unread.len());
    };
    assert!(
        refused.starts_with("HTTP/1.1 429") && refused.contains("this token has 4 requests or answers"),
        "{refused}"
    );
    drop(unread);
    // The same for bodies that do not come to their end.
    let begun = |number: usize| {
        served.sent(&format!(
            "PUT {} HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-type: application/json\r\nif-match: \"0\"\r\n\
             content-length: 50000000\r\n\r\n\"x",
            state_of(&format!("t{number}"))
        ))
    };
    let mut open = Vec::new();
    let refused = loop {
        let mut stream = begun(open.len());
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a time");
        let mut first = [0; 12];
        if stream.read_exact(&mut first).is_ok() {
            stream.set_read_timeout(Some(PATIENCE)).expect("a time");
            break String::from_utf8_lossy(&first).into_owned() + &answer(&mut stream);
        }
        open.push(stream);
        assert!(open.len() <= 5, "{} bodies are open", open.len());
    };
    assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
    assert_eq!(served.get(&state_of("short"), &token).status, 200, "what is short is answered");
}

#[test]
fn b10_a_page_ends_where_its_items_have_many_bytes() {
    let place = place();
    let served = Served::of(&place);
    let (sync, read) = (token(&place, "host", "sync"), token(&place, "reader", "read"));
    let warnings: Vec<String> = (0..190).map(|_| "w".repeat(15_000)).collect();
    let report = json!({
        "step": "identity-store", "outcome": "completed", "records": 0, "gaps": 0, "calls": 0, "duration-ms": 0,
        "guest-memory-bytes": 0, "warnings": warnings,
    });
    for number in 1..=5 {
        assert_eq!(served.begin(&sync, "shop", &run(number)).status, 200);
        let close = json!({ "outcome": "completed", "steps": [report] });
        let closed = served.post(&format!("/api/v1/runs/{}/close", run(number)), &sync, &close);
        assert_eq!(closed.status, 200, "{}", closed.body);
    }
    let (mut seen, mut cursor, mut pages) = (0, String::new(), 0);
    loop {
        let page = served.get(&format!("/api/v1/runs?limit=1000{cursor}"), &read).body;
        let items = page["items"].as_array().expect("a list").len();
        assert!((1..=2).contains(&items), "{items} on a page");
        (seen, pages) = (seen + items, pages + 1);
        match page["next-cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen, pages), (5, 3));
}
