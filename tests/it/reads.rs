//! Promise 4 on a real server: what is called a read can only read, and what could write is refused before it is sent.

use std::fs;

use serde_json::json;

use crate::changes::managed;
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, connector};

/// The bytes of a component with a manifest that no packer checked: the section is appended by hand.
pub(crate) fn packed_by_hand(component: &[u8], manifest: &str) -> Vec<u8> {
    const NAME: &str = "raito:manifest";
    let leb = |mut number: usize| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let content = [leb(NAME.len()), NAME.into(), manifest.into()].concat();
    [component.to_vec(), vec![0], leb(content.len()), content].concat()
}

/// The connector of PostgreSQL as it was compiled, before a manifest was appended.
pub(crate) fn component() -> Vec<u8> {
    let folder = connector("postgresql");
    let file = folder
        .parent()
        .and_then(|folder| folder.parent())
        .expect("target")
        .join("wasm32-wasip2/connector/postgresql.wasm");
    fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()))
}

/// The manifest of the connector with another text for the statement `users`, and these functions declared.
pub(crate) fn manifest(text: &str, calls: &[&str]) -> String {
    let calls: Vec<String> = calls.iter().map(|call| format!("\"{call}\"")).collect();
    manifest_with(text, &format!("calls = [{}]", calls.join(", ")))
}

/// The manifest of the connector with another text for the statement `users`, and these keys beside it.
pub(crate) fn manifest_with(text: &str, keys: &str) -> String {
    let given = connector("postgresql");
    let output =
        Place::new("targets: []\n").raito(&["connector", "inspect", "--manifest", given.to_str().expect("UTF-8")]);
    let whole = output.exits(0).stdout;
    let (before, rest) = whole.split_once("[sql.main.statements.users]").expect("the statement");
    let (_, after) = rest.split_once("[sql.main.statements.roles]").expect("the next one");
    format!(
        "{before}[sql.main.statements.users]\nmode = \"read\"\n{keys}\ntext = '''{text}'''\n\n[sql.main.statements.roles]{after}"
    )
}

/// What each text tries, as an operation that says that it reads. All of them passed, or were written for,
/// a filter over another parser.
const REFUSED: [&str; 22] = [
    "update shop set id = 2",
    "with gone as (delete from shop returning 1) select * from gone",
    "commit",
    "set transaction read write",
    "copy (select 1) to program 'touch /tmp/owned'",
    "select dblink_exec('dbname=shop', 'drop table shop')",
    "select pg_reload_conf()",
    "select lo_create(0)",
    "select 1; select 2",
    "select 1::bigint, $€$ /* $€$ || public.dblink_exec('x') || $€$ */ , $€$",
    "select 1 ||-- '\n lo_create(0) --'",
    "select 1 -- \n; drop table shop",
    "select public.evil 'x'",
    "select 1 operator(public.+) 2",
    "select f.pg_sleep from unnest(array[1::float8]) f",
    "select ('postgresql.conf').pg_read_file",
    "select 1::bigint union table pg_authid",
    "select u.umoptions from information_schema.user_mapping_options u",
    "select s.setting from pg_settings s",
    "select to_jsonb(a) from pg_attribute a",
    "select p.c from pg_proc p (a1, a2, a3, a4, a5, c)",
    "select length(lpad('x', 260000000))",
];

pub(crate) fn place(server: &Postgres, connector: &[u8], grant: &str) -> Place {
    let place = Place::new("targets: []\n");
    place.write("hostile.wasm", connector);
    let target = postgresql_target(server, "postgres", grant);
    let (before, rest) = target.split_once("connector: { file: \"").expect("a connector");
    let (_, after) = rest.split_once('"').expect("its end");
    place.configure(&format!("{before}connector: {{ file: \"hostile.wasm\"{after}"));
    place
}

#[test]
fn what_is_no_read_is_refused_before_it_is_sent() {
    let server = Postgres::start_with("log_statement = 'all'", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    let component = component();
    for text in REFUSED {
        let begins = |name: &&str| text.starts_with(&format!("select {name}("));
        let called = ["dblink_exec", "pg_reload_conf", "lo_create"].into_iter().find(begins);
        let hostile = packed_by_hand(&component, &manifest(text, &[]));
        let outcome = place(&server, &hostile, "").raito(&["run"]).exits(5);
        outcome.says(&["E-connector-invalid", "sql.main.statements.users"]);
        // Said openly in the manifest, such a function is an entry that the target must grant by name.
        if let Some(name) = called {
            let hostile = packed_by_hand(&component, &manifest(text, &[name]));
            let outcome = place(&server, &hostile, "").raito(&["run"]).exits(4);
            outcome.says(&["E-grant-missing", &format!("calls: [{name}]")]);
        }
    }
    let log = server.log();
    assert!(!log.contains("|raito_read|"), "the connector reached the server:\n{log}");
}

#[test]
fn a_function_that_was_granted_still_cannot_write() {
    let server = Postgres::start_with("log_statement = 'all'", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    let text = "select lo_create(0)::bigint, current_user, true, true where $after::bigint = 0 and $limit::bigint > 0";
    let hostile = packed_by_hand(&component(), &manifest(text, &["lo_create"]));
    let place = place(&server, &hostile, "calls: [lo_create]");
    place.raito(&["run"]).exits(4).says(&["E-denied", "step 1", "users"]);
    assert_eq!(server.sql("postgres", "select count(*) from pg_largeobject_metadata"), "0");
}

#[test]
fn a_login_that_could_do_more_than_read_is_refused_unless_that_is_granted() {
    let server = Postgres::start();
    server.sql("postgres", "alter role raito_read superuser");
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.raito(&["run"]).exits(4).says(&["E-denied", "superuser", "login-may: [superuser]"]);
    place.configure(&postgresql_target(&server, "postgres", "login-may: [superuser]"));
    place.run(&[]);
}

#[test]
fn a_login_that_could_do_more_than_change_access_is_refused_unless_that_is_granted() {
    let managed = managed("createrole");
    managed.want(&json!({ "kind": "role", "name": "Readers", "who": [], "what": [] }));
    for (power, words) in [
        ("alter role raito_write superuser", "superuser"),
        (
            "alter role raito_write nosuperuser; grant pg_execute_server_program to raito_write",
            "execute-server-program",
        ),
        (
            "revoke pg_execute_server_program from raito_write; grant pg_write_server_files to raito_write",
            "write-server-files",
        ),
    ] {
        managed.server.sql("postgres", power);
        let outcome = managed.place.raito(&["run", "--apply-first"]).exits(4);
        outcome.says(&["E-denied", "step 4", "raito_write", &format!("login-may: [{words}]")]);
        assert_eq!(managed.server.sql("postgres", "select count(*) from pg_roles where rolname = 'Readers'"), "0");
    }
    managed.server.sql("postgres", "revoke pg_write_server_files from raito_write");
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.server.sql("postgres", "select count(*) from pg_roles where rolname = 'Readers'"), "1");
}

#[test]
fn a_dry_run_sends_only_transactions_that_cannot_write_and_changes_no_cloud() {
    let server = Postgres::start_with("log_statement = 'all'", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.run(&["--dry-run"]);
    let log = server.log();
    let sent: Vec<&str> = log.lines().filter(|line| line.starts_with("raito|raito_read|")).collect();
    let said = |line: &str| line.split_once("LOG:").map(|(_, rest)| rest.trim().to_owned()).unwrap_or_default();
    let begun: Vec<String> = sent.iter().map(|line| said(line)).filter(|text| text.contains("BEGIN")).collect();
    assert!(begun.len() >= 3, "{log}");
    let reads = "statement: BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; select ";
    assert!(begun.iter().all(|text| text.starts_with(reads)), "{begun:?}");
    let write = ["insert", "update", "delete", "create", "alter", "drop", "grant", "revoke", "comment"];
    for line in sent {
        let text = said(line).to_lowercase();
        let statement = text.split_once(": ").map_or(text.as_str(), |(_, statement)| statement);
        assert!(!write.iter().any(|word| statement.starts_with(word)), "{line}");
    }
    assert!(place.get("/sources")["items"].as_array().is_some_and(Vec::is_empty), "the cloud knows of the dry run");
}
