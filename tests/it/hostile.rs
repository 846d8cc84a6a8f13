//! A connector that misbehaves fails its own step, in words that say where, and reaches nothing.

use crate::support::{Outcome, Place, Postgres, connector};

/// A target for the connector that misbehaves; `grants` are its grants, line by line.
pub(crate) fn chaos(scenario: &str, step: &str, grants: &str) -> String {
    let grants: String = grants.lines().map(|line| format!("      {line}\n")).collect();
    let grants = if grants.is_empty() { "    grants: {}\n".to_owned() } else { format!("    grants:\n{grants}") };
    format!(
        "  - name: chaos\n    connector: {{ file: \"{}\" }}\n    settings: {{ scenario: {scenario}, step: {step} }}\n{grants}",
        connector("chaos").display()
    )
}

pub(crate) fn configuration(targets: &[String]) -> String {
    format!("cloud: embedded\ntargets:\n{}", targets.concat())
}

fn play(scenario: &str, step: &str, grants: &str) -> (Place, Outcome) {
    let place = Place::new(&configuration(&[chaos(scenario, step, grants)]));
    let outcome = place.raito(&["run"]);
    (place, outcome)
}

#[test]
fn a_quiet_connector_completes() {
    let (_, outcome) = play("quiet", "identity-store", "");
    outcome.exits(0);
}

#[test]
fn a_trap_fails_its_step_and_the_other_targets_go_on() {
    let other = chaos("quiet", "identity-store", "").replace("name: chaos", "name: other");
    let place = Place::new(&configuration(&[chaos("trap", "data-source", ""), other]));
    let outcome = place.raito(&["run"]).exits(5);
    outcome.says(&["E-connector-trap", "chaos", "step 2"]);
    assert_eq!(place.list("/sources/other/objects").len(), 1, "the other target completed");
    assert_eq!(place.list("/sources/chaos/users").len(), 1, "the step before completed");
    assert!(place.events().iter().any(|event| event["kind"] == "trap" && event["step"] == "data-source"));
}

#[test]
fn a_bad_record_is_named_by_page_and_field() {
    for (scenario, says) in
        [("bad-record", "users[0].external-id"), ("duplicate", "comes twice"), ("huge-string", "step 1")]
    {
        let (place, outcome) = play(scenario, "identity-store", "");
        let outcome = outcome.exits(5).says(&["chaos", "step 1", says]);
        assert!(!outcome.stderr.contains('\u{1b}'), "{scenario}: {:?}", outcome.stderr);
        assert!(place.list("/sources/chaos/users").is_empty(), "{scenario}: a record arrived");
    }
}

#[test]
fn what_a_connector_says_cannot_pretend_to_be_the_hosts() {
    for scenario in ["log-escape", "fault", "escape"] {
        let place = Place::new(&configuration(&[chaos(scenario, "identity-store", "")]));
        let outcome = place.raito(&["run", "-v"]);
        assert!(!outcome.stderr.contains('\u{1b}'), "{scenario}: {:?}", outcome.stderr);
        assert!(!outcome.stderr.lines().any(|line| line.trim_start().starts_with("E-forged")), "{}", outcome.stderr);
    }
    let (place, outcome) = play("log-flood", "identity-store", "");
    outcome.exits(0);
    let logged = place.events().iter().filter(|event| event["kind"] == "guest-log").count();
    assert!(logged <= 1_000, "{logged} lines are on record");
}

/// A server that nobody may reach.
const UNREACHED: &str = "http.api:\n  origin: \"https://192.0.2.1\"\n  addresses: [\"192.0.2.1/32\"]";

#[test]
fn a_call_that_is_not_in_the_manifest_is_refused_and_on_record() {
    for (scenario, says) in [("unknown-entry", "everything"), ("unknown-slot", "http.other"), ("argument", "limit")] {
        let (place, outcome) = play(scenario, "identity-store", UNREACHED);
        outcome.exits(4).says(&["E-denied", "chaos", "step 1", says]);
        assert!(place.events().iter().any(|event| event["kind"] == "denied"), "{scenario}");
        assert!(!place.events().iter().any(|event| event["kind"] == "call"), "{scenario}: something was sent");
    }
}

#[test]
fn a_slot_that_is_not_granted_cannot_be_used() {
    let (place, outcome) = play("http-read", "identity-store", "");
    outcome.exits(4).says(&["E-denied", "http.api"]);
    assert!(!place.events().iter().any(|event| event["kind"] == "call"));
}

#[test]
fn a_write_in_a_step_that_reads_is_refused() {
    let with_write = format!("{UNREACHED}\n  write: true");
    let (place, outcome) = play("http-write", "access-from-target", &with_write);
    outcome.exits(4).says(&["E-denied", "chaos", "step 3", "create-role"]);
    assert!(!place.events().iter().any(|event| event["kind"] == "call"), "something was sent");

    let server = Postgres::start_with("log_statement = 'all'", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    server.sql("postgres", "create table public.secrets (); create role mallory; create role raito_write login superuser password 'writes'");
    for scenario in ["sql-write", "sql-write-as-read"] {
        let grants = format!(
            "sql.main:\n  url: \"postgresql://raito_read@localhost:{}/\"\n  databases: [postgres]\n  password: {{ env: PG_PASSWORD }}\n  \
             addresses: [\"127.0.0.1/32\"]\n  ca: \"{}\"\n  write: {{ user: raito_write, password: {{ env: PG_WRITE }}, login-may: [superuser] }}",
            server.port,
            server.authority().display()
        );
        let place = Place::new(&configuration(&[chaos(scenario, "access-from-target", &grants)]));
        let output = place.command(&["run"]).env("PG_WRITE", "writes and writes").output().expect("starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{scenario}: {said}");
        assert!(said.contains("E-denied") && said.contains("step 3"), "{scenario}: {said}");
    }
    let log = server.log();
    assert!(!log.contains("|raito_write|"), "the write login was used");
    assert!(!log.to_lowercase().contains("grant select on"), "{log}");
}
