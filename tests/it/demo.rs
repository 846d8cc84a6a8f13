//! The demo from end to end, and the ways in which its warehouse misbehaves.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

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
fn the_demo_says_which_numbers_and_which_folder_it_takes() {
    let place = Place::new("targets: []\n");
    let most = "18446744073709551615";
    let beyond = "18446744073709551616";
    for (number, wrong, least) in
        [("--tables", most, "1.."), ("--now", most, "0.."), ("--port", "65536", "0.."), ("--seed", beyond, "")]
    {
        place.raito(&["demo", number, wrong]).exits(2).says(&[number, least]);
    }
    place.raito(&["demo", "--tables", "0"]).exits(2).says(&["--tables", "1.."]);
    std::fs::create_dir(place.path().join("full")).expect("writable");
    place.write("full/raito.yml", "targets: []\n");
    place.raito(&["demo", "--dir", "full"]).exits(2).says(&["E-usage", "full is not empty", "take it away"]);
    // The edges themselves are served.
    Warehouse::serve(&["--tables", "1", "--seed", most]);
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

/// An access list of a dataset, as the cloud has it: `permission principal`.
fn lines(place: &Place, dataset: &str) -> Vec<String> {
    let controls = place.list("/sources/warehouse/access-controls?kind=dataset-access");
    let begins = format!("{dataset} ");
    let mut all = Vec::new();
    for control in
        controls.iter().filter(|control| control["name"].as_str().is_some_and(|name| name.starts_with(&begins)))
    {
        let id = control["external-id"].as_str().expect("an id").replace('/', "%2F");
        let whole = place.get(&format!("/sources/warehouse/access-controls/{id}"));
        for member in whole["who"].as_array().into_iter().flatten() {
            all.push(format!("{} {}", whole["what"][0]["permissions"][0]["name"], member["id"]));
        }
    }
    all.sort();
    all
}

fn delete(place: &Place, id: &str) {
    let path = format!("/sources/warehouse/internal-access-controls/{id}");
    let version = place.get(&path)["version"].to_string();
    place.raito(&["cloud", "delete", &path, "--version", &version]).exits(0);
}

pub(crate) fn want(place: &Place, draft: &Value) -> String {
    place.write("body.json", draft.to_string());
    let made = place.raito(&["cloud", "post", "/sources/warehouse/internal-access-controls", "body.json"]).exits(0);
    made.value()["id"].as_str().expect("an id").to_owned()
}

/// Write calls that left so far.
pub(crate) fn writes(place: &Place) -> usize {
    place.events().iter().filter(|event| event["mode"] == "write" && event["planned"] != true).count()
}

#[test]
fn two_access_controls_can_want_one_line_and_it_goes_with_the_last() {
    let warehouse = Warehouse::serve(&["--seed", "7", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let datasets = place.list("/sources/warehouse/objects?kind=dataset");
    let dataset = datasets[0]["path"][0].as_str().expect("a name").to_owned();
    let people = place.list("/sources/warehouse/users");
    let before = lines(&place, &dataset);
    let mut ids = people.iter().map(|person| person["external-id"].clone());
    let person = ids.find(|id| !before.iter().any(|line| line.ends_with(&id.to_string()))).expect("somebody else");
    let draft = |name: &str| {
        serde_json::json!({ "name": name, "kind": "dataset-access", "who": [{ "kind": "user", "id": person, "inherits": true }],
            "what": [{ "object": { "kind": "dataset", "path": [dataset] }, "permissions": [{ "name": "read" }] }] })
    };
    let (one, other) = (want(&place, &draft("one")), want(&place, &draft("other")));
    place.run(&["--apply-first"]);
    place.run(&[]);
    let mut with = before.clone();
    with.push(format!("\"read\" {person}"));
    with.sort();
    assert_eq!(lines(&place, &dataset), with, "the others on the list stay");
    let sent = writes(&place);
    delete(&place, &one);
    place.run(&[]);
    assert_eq!(writes(&place), sent, "the other one still wants it");
    assert_eq!(place.list("/sources/warehouse/internal-access-controls").len(), 1);
    delete(&place, &other);
    place.run(&[]);
    place.run(&[]);
    assert_eq!(lines(&place, &dataset), before);
    assert!(place.list("/sources/warehouse/internal-access-controls").is_empty());
}

/// Asks the warehouse itself, behind the program's back, and gives the head and the body of the answer.
pub(crate) fn ask(warehouse: &Warehouse, request: &str, body: &str) -> (String, String) {
    let host = warehouse.url.trim_start_matches("http://");
    let request = format!(
        "{request} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nIf-Match: *\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        warehouse.token,
        body.len()
    );
    let mut stream = TcpStream::connect(host).expect("it serves");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.to_owned(), body.to_owned())
}

/// Empties the access list of a dataset.
fn empty(warehouse: &Warehouse, dataset: &str) {
    let (head, _) = ask(warehouse, &format!("PUT /v1/datasets/{dataset}/access"), r#"{"entries":[]}"#);
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
}

#[test]
fn an_empty_list_gets_its_first_line_loses_its_last_and_gets_one_again() {
    let warehouse = Warehouse::serve(&["--seed", "7", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let datasets = place.list("/sources/warehouse/objects?kind=dataset");
    let dataset = datasets[0]["path"][0].as_str().expect("a name").to_owned();
    assert!(!lines(&place, &dataset).is_empty());
    empty(&warehouse, &dataset);
    place.run(&[]);
    assert_eq!(lines(&place, &dataset), [""; 0]);
    let person = place.list("/sources/warehouse/users")[0]["external-id"].clone();
    let draft = serde_json::json!({ "name": "writers", "kind": "dataset-access", "who": [{ "kind": "user", "id": person, "inherits": true }],
        "what": [{ "object": { "kind": "dataset", "path": [dataset] }, "permissions": [{ "name": "write" }] }] });
    for round in 0..2 {
        let id = want(&place, &draft);
        place.run(if round == 0 { &["--apply-first"] } else { &[] });
        place.run(&[]);
        assert_eq!(lines(&place, &dataset), [format!("\"write\" {person}")]);
        delete(&place, &id);
        place.run(&[]);
        place.run(&[]);
        assert_eq!(lines(&place, &dataset), [""; 0]);
        assert!(place.list("/sources/warehouse/internal-access-controls").is_empty());
    }
}

#[test]
fn a_name_for_people_becomes_one_that_the_warehouse_takes() {
    let warehouse = Warehouse::serve(&["--seed", "9", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let id = want(&place, &serde_json::json!({ "name": "Quarterly Report (EU)", "kind": "role" }));
    let made = place.get(&format!("/sources/warehouse/internal-access-controls/{id}"));
    assert_eq!(made["control"]["actual-name"], "quarterly_report_eu");
}

#[test]
fn a_mask_is_set_changed_and_cleared() {
    let warehouse = Warehouse::serve(&["--seed", "8", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let masked: Vec<Value> = place.list("/sources/warehouse/access-controls?kind=mask");
    let name = |column: &Value| -> String {
        let path = column["path"].as_array().expect("a path").iter();
        path.map(|part| part.as_str().expect("a text")).collect::<Vec<_>>().join(".")
    };
    let columns = place.list("/sources/warehouse/objects?kind=column");
    let is_free = |column: &&Value| masked.iter().all(|mask| mask["name"] != name(column));
    let free = columns.iter().find(is_free).expect("a column without a mask");
    let people = place.list("/sources/warehouse/users");
    let clear = |at: usize| serde_json::json!({ "kind": "user", "id": people[at]["external-id"], "inherits": true });
    let draft = |kind: &str, who: Value| {
        serde_json::json!({ "name": "mask", "kind": "mask", "action": "mask", "who": who,
            "policy": { "kind": kind, "columns": [free["path"][2]], "enabled": true },
            "what": [{ "object": { "kind": "column", "path": free["path"] }, "permissions": [{ "name": "clear" }] }] })
    };
    let id = want(&place, &draft("hide", serde_json::json!([])));
    place.run(&["--apply-first"]);
    place.run(&[]);
    let mask = || -> Option<Value> {
        let all = place.list("/sources/warehouse/access-controls?kind=mask");
        let mask = all.iter().find(|mask| mask["name"] == name(free))?;
        let id = mask["external-id"].as_str()?.to_owned();
        Some(place.get(&format!("/sources/warehouse/access-controls/{id}")))
    };
    let shown = |mask: &Value| (mask["policy"]["kind"].clone(), mask["who"].as_array().map_or(0, Vec::len));
    assert_eq!(shown(&mask().expect("a mask")), ("hide".into(), 0));
    let path = format!("/sources/warehouse/internal-access-controls/{id}");
    let version = place.get(&path)["version"].to_string();
    place.write("body.json", draft("sha256", serde_json::json!([clear(0), clear(1)])).to_string());
    place.raito(&["cloud", "put", &path, "body.json", "--version", &version]).exits(0);
    place.run(&[]);
    place.run(&[]);
    assert_eq!(shown(&mask().expect("a mask")), ("sha256".into(), 2));
    delete(&place, &id);
    place.run(&[]);
    place.run(&[]);
    assert!(mask().is_none());
}
