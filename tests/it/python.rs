//! The contract is not of one language: the connector of the demo warehouse again, in Python, does what the one in Rust does.
//!
//! It is compiled once, which takes most of the time here: everything that runs it is one test.

use std::path::Path;

use serde_json::Value;

use crate::support::{Place, connector};

#[test]
fn the_python_connector_imports_nothing_but_the_contract() {
    let place = Place::new("targets: []\n");
    let file = connector("demo-python");
    let said = place.raito(&["connector", "inspect", file.to_str().expect("UTF-8"), "--output", "json"]).exits(0);
    let said = said.value();
    let imports: Vec<&str> = said["imports"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(imports.iter().all(|import| import.starts_with("raito:connector/")), "{imports:?}");
    assert!(imports.iter().any(|import| import.starts_with("raito:connector/http@")), "{imports:?}");
}

/// Runs the demo with a connector: five steps, a change, and the same again. Gives the digest of what the cloud holds.
fn demo(place: &Place, name: &str) -> String {
    let file = connector(name);
    let warehouse = ["--seed", "7", "--tables", "40", "--now", "1767225600000"];
    let arguments =
        ["demo", "--dir", name, "--quiet", "--output", "json", "--connector", file.to_str().expect("UTF-8")];
    let outcome = place.raito(&[&arguments[..], &warehouse].concat()).exits(0);
    let lines = outcome.json();
    let last = lines.iter().rfind(|line| line["event"] == "summary").expect("a report");
    let steps = last["targets"][0]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 5);
    assert!(steps.iter().all(|step| step["outcome"] == "completed"), "{last:#}");
    assert_eq!(steps[3]["calls"], 4, "a role, a member and two grants");
    let config = format!("{name}/raito.yml");
    place.raito(&["--config-file", &config, "audit", "verify"]).exits(0);
    place.raito(&["--config-file", &config, "cloud", "export", "--digest"]).exits(0).stdout
}

#[test]
fn the_python_connector_gives_the_same_cloud_as_the_rust_one_and_conforms() {
    let place = Place::new("targets: []\n");
    assert_eq!(demo(&place, "demo"), demo(&place, "demo-python"));

    // With the code that the run before had compiled.
    let file = connector("demo-python");
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../connectors/demo/scenarios");
    let (file, scenarios) = (file.to_str().expect("UTF-8"), scenarios.to_str().expect("UTF-8").to_owned());
    let suite = ["connector", "test", file, "--scenario", &scenarios, "--output", "json"];
    let outcome = place.raito(&[&["--config-file", "demo-python/raito.yml"][..], &suite].concat()).exits(0);
    let reports = outcome.json();
    let report = reports.iter().find(|line| line.get("conforms").is_some()).expect("a report");
    assert_eq!(report["conforms"], true, "{report:#}");
    assert_eq!(report["report"]["unused"], serde_json::json!([]), "every read entry is used");
}
