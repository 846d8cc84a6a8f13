//! A connector that is told to change one thing and does another changes nothing.

use serde_json::json;

use crate::hostile::{chaos, configuration};
use crate::support::{Place, Postgres};

/// A server with the table that the connector reports, and a place whose step 4 plays a scenario.
fn place(server: &Postgres, scenario: &str) -> Place {
    let grants = format!(
        "sql.main:\n  url: \"postgresql://raito_read@localhost:{}/\"\n  databases: [root]\n  password: {{ env: PG_PASSWORD }}\n  \
         addresses: [\"127.0.0.1/32\"]\n  ca: \"{}\"\n  write: {{ user: raito_write, password: {{ env: PG_PASSWORD }}, login-may: [superuser] }}",
        server.port,
        server.authority().display()
    );
    let objects = format!("scenario: {scenario}, objects: 2");
    let target = chaos(scenario, "access-to-target", &grants).replace(&format!("scenario: {scenario}"), &objects);
    let place = Place::new(&configuration(&[target]));
    place.run(&[]);
    let wanted = json!({ "name": "reader", "kind": "role", "who": [], "what": [{
        "object": { "kind": "table", "path": ["root", "schema", "table_00000001"] },
        "permissions": [{ "name": "SELECT" }, { "name": "INSERT" }],
    }] });
    place.write("body.json", wanted.to_string());
    place.raito(&["cloud", "post", "/sources/chaos/internal-access-controls", "body.json"]).exits(0);
    place
}

fn server() -> Postgres {
    let server = Postgres::start_with("log_statement = 'all'", "hostssl all all 127.0.0.1/32 scram-sha-256\n");
    server.sql("postgres", "create database root; create role mallory");
    let password = crate::support::postgres::PASSWORD;
    server.sql("postgres", &format!("create role raito_write login superuser password '{password}'"));
    server.sql("root", "create schema schema; create table schema.table_00000001 (); create table schema.secrets ()");
    server
}

/// What the roles of a test hold.
fn held(server: &Postgres) -> Vec<String> {
    server.rows(
        "root",
        "select c.relname || ' ' || coalesce(r.rolname, 'public') || ' ' || x.privilege_type from pg_class c \
         cross join lateral aclexplode(c.relacl) x left join pg_roles r on r.oid = x.grantee \
         where c.relnamespace = 'schema'::regnamespace and x.grantee <> c.relowner order by 1",
    )
}

#[test]
fn the_changes_in_hand_are_carried_out() {
    let server = server();
    let place = place(&server, "quiet");
    place.raito(&["run", "--quiet", "--apply-first"]);
    assert_eq!(held(&server), ["table_00000001 reader INSERT", "table_00000001 reader SELECT"]);
}

#[test]
fn any_other_change_is_refused_before_anything_is_sent() {
    let server = server();
    for scenario in ["other-role", "everybody", "other-object", "other-permission", "other-name"] {
        let place = place(&server, scenario);
        place.raito(&["run", "--quiet", "--apply-first"]).exits(4).says(&["E-denied", "chaos", "step 4"]);
        let events = place.events();
        assert!(events.iter().any(|event| event["kind"] == "denied"), "{scenario}");
        assert!(!events.iter().any(|event| event["kind"] == "call" && event["mode"] == "write"));
    }
    assert_eq!(held(&server), [""; 0]);
    assert_eq!(server.rows("root", "select rolname from pg_roles where rolname = 'reader'"), [""; 0]);
}

#[test]
fn what_was_not_planned_is_refused_when_the_plan_is_carried_out() {
    let server = server();
    for scenario in ["other-than-planned", "more-than-planned"] {
        let place = place(&server, scenario);
        place.raito(&["run", "--quiet", "--apply-first"]).exits(4).says(&[
            "E-denied",
            "chaos",
            "step 4",
            "not the planned one",
        ]);
        assert!(place.events().iter().any(|event| event["kind"] == "denied"), "{scenario}");
        assert_eq!(held(&server), [""; 0], "{scenario}");
        server.sql("postgres", "drop role if exists reader");
    }
}

/// How many changes the connector tries, as it builds them: 17 new roles, and 3 permissions on 9 objects for 17 roles without the
/// two that are decided.
const TRIED: usize = 17 + 3 * 9 * 17 - 2;

#[test]
fn of_all_changes_near_the_decided_ones_none_is_let_through() {
    let server = server();
    let place = place(&server, "everything-else");
    let before = server.log().len();
    place.raito(&["run", "--quiet", "--apply-first"]).exits(4).says(&["E-denied", "chaos", "step 4"]);
    let events = place.events();
    let denied = events.iter().filter(|event| event["kind"] == "denied" && event["step"] == "access-to-target");
    assert_eq!(denied.count(), TRIED);
    let is_planned = |event: &serde_json::Value| event["kind"] == "planned-call";
    let calls = events.iter().filter(|event| is_planned(event) || event["mode"] == "write");
    assert_eq!(calls.count(), 0, "neither sent nor planned");
    let log = server.log()[before..].to_lowercase();
    assert!(!log.contains("create role") && !log.contains("grant "), "nothing of it reached the server: {log}");
    assert_eq!(held(&server), [""; 0]);
}
