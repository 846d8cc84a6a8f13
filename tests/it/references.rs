//! Dangling references: names that a connector defines nowhere are reported in the run and with
//! every answer that rests on one, and answers agree.

use serde_json::Value;

use crate::changes::managed;
use crate::hostile::{chaos, configuration};
use crate::support::{Outcome, Place, Warehouse};

/// The warnings of a run's steps.
fn warnings(report: &Value) -> Vec<String> {
    let steps = report["targets"].as_array().into_iter().flatten().flat_map(|target| target["steps"].as_array());
    let warnings = steps.flatten().flat_map(|step| step["warnings"].as_array()).flatten();
    warnings.filter_map(|warning| warning.as_str().map(str::to_owned)).collect()
}

fn undefined() -> Place {
    Place::new(&configuration(&[chaos("undefined", "access-from-target", "")]))
}

#[test]
fn e9_names_without_a_definition_are_reported_in_the_run() {
    let place = undefined();
    let said = warnings(&place.run(&[]));
    assert_eq!(
        said,
        [
            "1 user is named, and no record defines it: ann",
            "1 grantor or creator is named, and no record defines it: nobody",
            "1 object is named, and no record defines it: table lost",
        ]
    );
    let human = place.raito(&["run"]).exits(0);
    assert!(format!("{}{}", human.stdout, human.stderr).contains("no record defines it: ann"), "{}", human.stdout);
    // Without step 1, nobody can tell about users.
    let said = warnings(&place.run(&["--skip-identity-store-sync"]));
    assert_eq!(said, ["1 object is named, and no record defines it: table lost"]);
}

#[test]
fn the_connectors_of_this_repository_define_what_they_name() {
    let server = managed("superuser");
    server.server.sql(
        "shop",
        "grant usage on schema sales to bob; grant select on sales.orders to bob with grant option; set role bob; grant select on sales.orders to ann",
    );
    server.server.sql("shop", "alter default privileges for role carl in schema sales grant select on tables to staff");
    let said = warnings(&server.place.run(&[]));
    assert!(said.iter().all(|warning| !warning.contains("no record defines")), "{said:#?}");
    let warehouse = Warehouse::serve(&["--seed", "9", "--tables", "30"]);
    let said = warnings(&warehouse.place("").run(&[]));
    assert!(said.iter().all(|warning| !warning.contains("no record defines")), "{said:#?}");
}

#[test]
fn e9_answers_agree_about_somebody_who_is_only_named_and_say_so() {
    let place = undefined();
    place.run(&[]);
    let json = |arguments: &[&str]| -> (Option<i32>, Value) {
        let Outcome { code, stdout, stderr } = place.raito(&[&["who", "--output", "json"], arguments].concat());
        (code, serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}")))
    };
    // About an object: both members hold it, and one of them is marked.
    let (code, on_root) = json(&["root"]);
    let users: Vec<(&str, bool)> = on_root["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| (item["user"]["name"].as_str().expect("a name"), item["user"]["undefined"] == true))
        .collect();
    assert_eq!((code, users), (Some(0), vec![("ann", true), ("u1", false)]));
    assert_eq!(on_root["coverage"]["undefined"], serde_json::json!(["user ann"]));
    // About that user: the same, although no account is known.
    let (code, of_ann) = json(&["--user", "ann"]);
    let held: Vec<&Value> =
        of_ann["items"].as_array().expect("a list").iter().map(|item| &item["object"]["path"]).collect();
    assert_eq!((code, held.len()), (Some(0), 2), "{of_ann:#}");
    assert_eq!(of_ann["coverage"]["undefined"], serde_json::json!(["object table lost", "user ann"]));
    // About the other one, and why.
    let (_, of_other) = json(&["--user", "u1"]);
    assert_eq!(of_other["coverage"]["undefined"], serde_json::json!(["object table lost"]));
    let (_, why) = json(&["--explain", "ann", "root", "read"]);
    assert_eq!(why["how"], "active", "{why:#}");

    // `--strict` fails.
    for asked in [&["root"][..], &["--user", "ann"], &["--user", "u1"], &["--explain", "ann", "root", "read"]] {
        let strict = place.raito(&[&["who", "--strict"], asked].concat()).exits(1);
        assert!(strict.stdout.contains("named, and defined by no record: "), "{}", strict.stdout);
        strict.says(&["not everything was read, or is defined"]);
    }
    place.raito(&["who", "--user", "nobody"]).exits(2).says(&["there is no user nobody"]);
    let sound = Place::new(&configuration(&[chaos("quiet", "access-from-target", "")]));
    sound.run(&[]);
    let strict = sound.raito(&["who", "root", "--strict"]).exits(0);
    assert!(!strict.stdout.contains("defined by no record"), "{}", strict.stdout);
}

/// A clock that is ahead.
struct Ahead(u64);

impl raito_core::ports::Clock for Ahead {
    fn now_ms(&self) -> u64 {
        self.0
    }
}

#[test]
fn e9_a_clock_that_went_back_is_told_once_and_nothing_is_asked_of_the_future() {
    let place = Place::new(&configuration(&[chaos("quiet", "access-from-target", "")]));
    place.run(&[]);
    let in_an_hour =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_millis() + 3_600_000;
    let clock = std::sync::Arc::new(Ahead(u64::try_from(in_an_hour).expect("it fits")));
    let run = raito_core::text::RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID");
    let folder = place.path().join(".raito/audit");
    let log = raito_audit::Log::open(&folder, run, clock).expect("opens");
    let end = raito_core::event::Event::RunEnd { outcome: "completed".into(), exit: 0 };
    raito_core::ports::Ledger::append(&log, &end).expect("written");
    raito_core::ports::Ledger::checkpoint(&log).expect("signed");
    drop(log);
    place.raito(&["run"]).exits(0).says(&["the clock went back by 3"]);
    let second = place.raito(&["run"]).exits(0);
    assert!(!second.stderr.contains("the clock went back"), "{}", second.stderr);
    assert_eq!(place.events().iter().filter(|event| event["kind"] == "clock-back").count(), 1);

    for asked in [&["root"][..], &["--user", "u1", "--source", "chaos"]] {
        let asked = [&["who", "--as-of", "2999-01-01T00:00:00Z"], asked].concat();
        place.raito(&asked).exits(2).says(&["that time is still to come"]);
    }
}
