//! The conformance suite, as authors of connectors use it: with connectors of this workspace, and with one that misbehaves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Warehouse, connector};

/// Runs the suite, and gives its exit code, one report for each scenario, and what was said of errors.
fn suite(place: &Place, name: &str, scenario: &Path) -> (Option<i32>, Vec<Value>, String) {
    let (file, scenario) = (connector(name), scenario.to_str().expect("UTF-8").to_owned());
    let file = file.to_str().expect("UTF-8");
    let outcome = place.raito(&["connector", "test", file, "--scenario", &scenario, "--output", "json"]);
    let reports = outcome.json().into_iter().filter(|line| line.get("conforms").is_some()).collect();
    (outcome.code, reports, outcome.stdout + &outcome.stderr)
}

/// The names of checks with this outcome.
fn checks(report: &Value, outcome: &str) -> Vec<String> {
    let all = report["report"]["checks"].as_array().expect("checks");
    let of = all.iter().filter(|check| check["outcome"] == outcome);
    of.map(|check| format!("{} {}", check["step"].as_str().expect("a step"), check["name"].as_str().expect("a name")))
        .collect()
}

#[test]
fn the_demo_connector_conforms_to_the_scenario_beside_it() {
    let place = Place::new("targets: []\n");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/demo/scenarios");
    let (code, reports, said) = suite(&place, "demo", &folder);
    assert_eq!(code, Some(0), "{said}");
    let [report] = reports.as_slice() else { panic!("one scenario: {said}") };
    assert_eq!(report["conforms"], true);
    let steps = report["report"]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 4, "every step that reads");
    assert!(steps.iter().all(|step| step["pages"].as_u64() > Some(1)), "each in pages: {report:#}");
    assert_eq!(report["report"]["unused"], json!([]), "every read entry is used");
    let tried = checks(report, "passed");
    for step in ["identity-store", "data-source", "access-from-target", "data-usage"] {
        for check in ["vocabulary", "reads", "expected", "repeats", "faults", "broken-answers", "references"] {
            assert!(tried.contains(&format!("{step} {check}")), "{step} {check} is not in {tried:?}");
        }
    }
    assert!(tried.contains(&"identity-store resumes".to_owned()), "its pages say where to go on: {tried:?}");
}

#[test]
fn what_a_run_recorded_is_a_scenario_that_holds() {
    let warehouse = Warehouse::serve(&["--seed", "11", "--tables", "12"]);
    let place = warehouse.place("settings: { page-size: 20 }");
    let undisturbed = place.run(&[]);
    let report = place.run(&["--record", "scenarios"]);
    assert_eq!(report["targets"][0]["steps"][1]["records"], undisturbed["targets"][0]["steps"][1]["records"]);
    let path = place.path().join("scenarios/warehouse.json");
    assert_eq!(fs::metadata(&path).expect("written").permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).expect("written");
    assert!(!text.contains(&warehouse.token), "the token stands in the scenario");
    let (code, reports, said) = suite(&place, "demo", &place.path().join("scenarios"));
    assert_eq!((code, reports.len()), (Some(0), 1), "{said}");
}

#[test]
fn the_postgresql_connector_conforms_to_what_a_server_answered() {
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create role readers; create role ann login in role readers; create table t (id int, name text); \
         create view v as select id from t; grant select on t to readers; \
         alter default privileges grant select on tables to readers;",
    );
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.run(&["--record", "scenarios"]);
    let (code, reports, said) = suite(&place, "postgresql", &place.path().join("scenarios/shop.json"));
    assert_eq!(code, Some(0), "{said}");
    let steps = reports[0]["report"]["steps"].as_array().expect("steps");
    let [identities, objects, access, usage] = steps.as_slice() else { panic!("every step that reads: {said}") };
    assert!([identities, objects, access].iter().all(|step| step["calls"].as_u64() > Some(0)), "{said}");
    assert_eq!((&usage["calls"], &usage["gaps"]), (&json!(0), &json!(1)), "no log is granted, which is a gap: {said}");
}

/// A scenario of a connector that needs no target.
fn chaos(place: &Place, name: &str, step: &str) -> (Option<i32>, Vec<Value>, String) {
    let scenario = json!({
        "settings": { "scenario": name, "step": step, "objects": "3000" }, "slots": {}, "answers": [],
        "steps": ["identity-store", "data-source", "access-from-target"],
    });
    place.write("chaos.json", scenario.to_string());
    suite(place, "chaos", &place.path().join("chaos.json"))
}

#[test]
fn a_connector_that_misbehaves_does_not_conform() {
    let place = Place::new("targets: []\n");
    let (code, reports, said) = chaos(&place, "quiet", "none");
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(checks(&reports[0], "failed"), [] as [String; 0]);
    for (name, because) in [
        ("trap", "the connector crashed"),
        ("bad-record", "users[0].external-id"),
        ("duplicate", "comes twice"),
        ("empty-pages", "empty pages in a row"),
    ] {
        let (code, reports, said) = chaos(&place, name, "identity-store");
        assert_eq!(code, Some(5), "{name}: {said}");
        assert_eq!(checks(&reports[0], "failed"), ["identity-store reads"], "{name}: {said}");
        assert!(said.contains(because) && said.contains("E-conformance"), "{name}: {because:?} is not in {said}");
        let tried = checks(&reports[0], "passed");
        assert!(tried.contains(&"data-source reads".to_owned()), "the other steps are tried all the same: {tried:?}");
    }
}

#[test]
fn a_scenario_that_is_none_is_named_with_what_is_wrong() {
    let place = Place::new("targets: []\n");
    let file = connector("demo");
    let file = file.to_str().expect("UTF-8");
    let refused = |text: &str, parts: &[&str]| {
        place.write("scenario.json", text);
        let outcome = place.raito(&["connector", "test", file, "--scenario", "scenario.json"]);
        outcome.exits(2).says(&[&["E-scenario", "scenario.json"], parts].concat());
    };
    refused("{", &["line 1"]);
    refused(r#"{"slots":{},"answers":[],"anwers":[]}"#, &["anwers"]);
    refused(r#"{"slots":{"sql.main":{}},"answers":[]}"#, &["slots.sql.main", "no such slot"]);
    refused(r#"{"slots":{},"settings":{"page-size":"many"},"answers":[]}"#, &["page-size"]);
    refused(r#"{"slots":{},"steps":["access-to-target"],"answers":[]}"#, &["no step is tried"]);
    let missing = place.raito(&["connector", "test", file, "--scenario", "nowhere.json"]);
    missing.exits(2).says(&["E-scenario", "nowhere.json"]);
}
