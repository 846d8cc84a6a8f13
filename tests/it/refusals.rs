//! What a connector asks for and its target does not grant: refused before anything of it is compiled, with the line to add.

use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Warehouse, connector};

/// A run that is refused must not have compiled anything: what it took is on record.
fn compiled_nothing(place: &Place) {
    let events = place.events();
    assert!(events.iter().any(|event| event["kind"] == "target-refused"), "the refusal is on record");
    assert!(!events.iter().any(|event| event["kind"] == "target-start"), "the target began");
}

fn demo(grant: &str) -> String {
    let grant: String = grant.lines().map(|line| format!("        {line}\n")).collect();
    format!(
        "targets:\n  - name: warehouse\n    connector: {{ file: \"{}\" }}\n    grants:\n      http.api:\n{grant}",
        connector("demo").display()
    )
}

#[test]
fn a_slot_that_is_not_granted_is_refused_with_the_lines_to_add() {
    let text =
        format!("targets:\n  - name: warehouse\n    connector: {{ file: \"{}\" }}\n", connector("demo").display());
    let place = Place::new(&text);
    let outcome = place.raito(&["run"]).exits(4);
    outcome.says(&["E-grant-missing", "warehouse", "http.api:", "origin:"]);
    compiled_nothing(&place);
}

#[test]
fn a_secret_that_is_not_granted_is_refused_with_the_line_to_add() {
    let place = Place::new(&demo("origin: \"https://warehouse.example\"\nwrite: true"));
    place.raito(&["run"]).exits(4).says(&["E-grant-missing", "token:", "env:"]);
    compiled_nothing(&place);
}

#[test]
fn what_the_ceiling_forbids_is_refused_whatever_the_target_grants() {
    let server = Postgres::start();
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.write("ceiling.yml", "databases: [\"db.internal:5432/*\"]\n");
    let outcome = place.raito(&["run", "--ceiling", "ceiling.yml"]).exits(4);
    outcome.says(&["E-ceiling", "localhost"]);
    compiled_nothing(&place);
}

#[test]
fn a_grant_that_the_connector_does_not_know_is_a_mistake() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let text = warehouse.target("").replace("http.api:", "http.apy:");
    let place = Place::new(&text);
    place.write("warehouse.token", &warehouse.token);
    place.raito(&["run"]).exits(2).says(&["E-grant-unknown", "http.apy", "http.api"]);
}

#[test]
fn another_connector_than_the_one_that_was_approved_is_refused() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    let text = warehouse.target("").replace("demo.wasm\" }", &format!("demo.wasm\", sha256: {} }}", "0".repeat(64)));
    place.configure(&text);
    place.raito(&["run"]).exits(4).says(&["E-connector-digest", "raito connector inspect"]);
}

#[test]
fn a_file_that_is_no_component_is_refused() {
    let place = Place::new("targets:\n  - name: t\n    connector: { file: no.wasm }\n    grants: {}\n");
    place.write("no.wasm", b"\0asm\x01\0\0\0");
    place.raito(&["run"]).exits(5).says(&["E-connector-invalid", "no.wasm"]);
    place.write("no.wasm", "hello");
    place.raito(&["run"]).exits(5).says(&["E-connector-invalid", "no.wasm"]);
}

#[test]
fn a1_a_read_route_with_another_method_than_get_needs_a_grant_by_name() {
    let grants = "grants: { http.bulk: { origin: \"https://192.0.2.1\", addresses: [\"192.0.2.1/32\"] } }";
    let text = format!(
        "targets:\n  - name: t\n    connector: {{ file: \"{}\" }}\n    {grants}\n",
        connector("chaos").display()
    );
    let place = Place::new(&text);
    place.raito(&["run"]).exits(4).says(&["E-grant-missing", "upload", "methods"]);
    compiled_nothing(&place);
    place.write("ceiling.yml", "raw: false\n");
    place.configure(&text.replace("\"] }", "\"], methods: [upload] }"));
    place.raito(&["run", "--ceiling", "ceiling.yml"]).exits(4).says(&["E-ceiling", "upload"]);
    compiled_nothing(&place);
}

/// A pipe gives each byte once: whoever looks a second time gets what was put there meanwhile.
#[test]
fn c10_a_connector_is_read_once_and_what_was_looked_into_is_what_runs() {
    let place = Place::new("cloud: embedded\ntargets:\n  - { name: t, connector: { file: pipe.wasm }, grants: {} }\n");
    let pipe = place.path().join("pipe.wasm");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("starts").success());
    let bytes = std::fs::read(connector("chaos")).expect("readable");
    let writing = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::write(pipe, bytes).expect("somebody reads")
    });
    place.raito(&["run"]).exits(0);
    writing.join().expect("wrote");
    let digest = raito_core::digest::Digest::of(&std::fs::read(connector("chaos")).expect("readable")).to_string();
    let events = place.events();
    let began = events.iter().find(|event| event["kind"] == "target-start").expect("it began");
    assert!(began.to_string().contains(&digest), "{began:#}");
}
