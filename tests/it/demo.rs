//! The demo from end to end, and the ways in which its warehouse misbehaves.

use serde_json::Value;

use crate::support::{Place, Warehouse, connector};

/// The steps of the only target of a report: (step, outcome).
fn steps(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let steps = report["targets"][0]["steps"].as_array().expect("steps");
    steps.iter().map(|step| (text(&step["step"]), text(&step["outcome"]))).collect()
}

#[test]
fn the_demo_reads_changes_and_proves_it() {
    let place = Place::new("targets: []\n");
    let outcome = place.raito(&[
        "demo",
        "--dir",
        "shown",
        "--output",
        "json",
        "--quiet",
        "--connector",
        connector("demo").to_str().expect("UTF-8"),
    ]);
    let outcome = outcome.exits(0);
    let lines = outcome.json();
    let reports: Vec<&Value> = lines.iter().filter(|line| line["event"] == "summary").collect();
    let [first, second] = reports.as_slice() else { panic!("two runs: {}", outcome.stdout) };
    for report in [first, second] {
        assert_eq!(steps(report).len(), 5);
        assert!(steps(report).iter().all(|(_, outcome)| outcome == "completed"), "{report:#}");
    }
    let changed = &second["targets"][0]["steps"][3];
    assert_eq!(changed["step"], "access-to-target");
    assert_eq!(changed["calls"], 4, "a role, a member and two grants");

    let shown = place.path().join("shown");
    let config = shown.join("raito.yml");
    let config = ["--config-file", config.to_str().expect("UTF-8")];
    let controls =
        place.raito(&[&config[..], &["cloud", "get", "/sources/warehouse/internal-access-controls"]].concat());
    let controls = controls.exits(0).value();
    assert_eq!(controls["items"][0]["control"]["name"], "quarterly_report");
    let verified = place.raito(&[&config[..], &["audit", "verify"]].concat()).exits(0);
    assert!(verified.stdout.contains("are what was written"), "{}", verified.stdout);
}

#[test]
fn a_second_run_finds_everything_unchanged() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "50"]);
    let place = warehouse.place("");
    place.run(&[]);
    let before = place.digest();
    let second = place.run(&[]);
    for step in second["targets"][0]["steps"].as_array().expect("steps") {
        let Some(receipt) = step.get("receipt").filter(|receipt| receipt.is_object()) else { continue };
        for key in ["updated", "removed", "kept"] {
            assert_eq!(receipt[key], 0, "{key} of {step:#}");
        }
    }
    assert_eq!(place.digest(), before);
}

#[test]
fn too_many_requests_are_asked_again_later() {
    let warehouse = Warehouse::serve(&["--seed", "2", "--tables", "50", "--fault", "too-many-requests"]);
    let place = warehouse.place("");
    place.run(&[]);
    let attempts = place.events().iter().filter_map(|event| event["attempts"].as_u64()).max();
    assert!(attempts > Some(1), "no call was repeated");
    let sound = Warehouse::serve(&["--seed", "2", "--tables", "50"]);
    let other = sound.place("");
    other.run(&[]);
    assert_eq!(place.digest(), other.digest());
}

#[test]
fn a_page_that_breaks_off_is_asked_for_again() {
    let warehouse = Warehouse::serve(&["--seed", "3", "--tables", "50", "--fault", "truncated-page"]);
    let place = warehouse.place("");
    place.run(&[]);
    let attempts = place.events().iter().filter_map(|event| event["attempts"].as_u64()).max();
    assert!(attempts > Some(1), "no call was repeated");
    let sound = Warehouse::serve(&["--seed", "3", "--tables", "50"]);
    let other = sound.place("");
    other.run(&[]);
    assert_eq!(place.digest(), other.digest());
}

#[test]
fn an_id_that_comes_twice_fails_the_step_and_removes_nothing() {
    let sound = Warehouse::serve(&["--seed", "4", "--tables", "50"]);
    let place = sound.place("");
    place.run(&[]);
    let before = place.list("/sources/warehouse/users").len();
    let broken = Warehouse::serve(&["--seed", "4", "--tables", "50", "--fault", "duplicate-id"]);
    place.configure(&broken.target(""));
    place.write("warehouse.token", &broken.token);
    let outcome = place.raito(&["run"]).exits(5);
    outcome.says(&["E-bad-record", "warehouse", "step 1", "page", "comes twice"]);
    assert_eq!(place.list("/sources/warehouse/users").len(), before);
}

#[test]
fn a_list_that_shrinks_while_it_is_read_removes_nothing() {
    let sound = Warehouse::serve(&["--seed", "5", "--tables", "600"]);
    let place = sound.place("");
    place.run(&[]);
    let shrinking = Warehouse::serve(&["--seed", "5", "--tables", "600", "--fault", "shrinking-page"]);
    place.configure(&shrinking.target(""));
    place.write("warehouse.token", &shrinking.token);
    let report = place.run(&[]);
    let read = &report["targets"][0]["steps"][1];
    assert_eq!(read["step"], "data-source");
    assert!(read["gaps"].as_u64() > Some(0), "{read:#}");
    assert_eq!(read["receipt"]["removed"], 0, "{read:#}");
    assert!(read["receipt"]["kept"].as_u64() > Some(0), "{read:#}");
}
