//! Killed at any point, a run leaves nothing half-done: the record verifies, and the next run brings the cloud to the state
//! that it would have had.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Place, Random, Warehouse};

const SEED: [&str; 4] = ["--seed", "8", "--tables", "60"];
/// The steps in which runs are killed, each so many times.
const STEPS: [&str; 5] = ["identity-store", "data-source", "access-from-target", "access-to-target", "data-usage"];
const KILLS: usize = 10;

/// Makes the cloud want a role of its own.
fn want_role(place: &Place) {
    place.write("role.json", want(place).to_string());
    place.raito(&["cloud", "post", "/sources/warehouse/internal-access-controls", "role.json"]).exits(0);
}

fn want(place: &Place) -> Value {
    let tables = place.get("/sources/warehouse/objects?kind=table&limit=2");
    let groups = place.get("/sources/warehouse/groups?limit=1");
    let what: Vec<Value> = tables["items"]
        .as_array()
        .expect("tables")
        .iter()
        .map(|table| json!({ "object": { "kind": "table", "path": table["path"] }, "permissions": [{ "name": "select" }] }))
        .collect();
    let who = json!([{ "kind": "group", "id": groups["items"][0]["external-id"], "inherits": true }]);
    json!({ "name": "wanted", "kind": "role", "description": "A role", "who": who, "what": what })
}

/// The numbers of the log's lines that belong to a step of the last run.
pub(crate) fn lines_of(place: &Place, step: &str) -> Vec<u64> {
    let events = place.events();
    let last = events.last().expect("events")["run"].clone();
    let of_step = |event: &&Value| event["run"] == last && event["step"] == step;
    let first = events.iter().find(|event| event["run"] == last).expect("a run")["seq"].as_u64().expect("a number");
    events.iter().filter(of_step).map(|event| event["seq"].as_u64().expect("a number") - first).collect()
}

/// Kills a run as soon as its line with this number, counted from its first, is in the log.
pub(crate) fn kill_at(place: &Place, child: &mut Child, before: u64, line: u64) -> bool {
    let began = Instant::now();
    let mut seen = 0;
    let mut reader = None;
    while began.elapsed() < Duration::from_secs(60) {
        if child.try_wait().expect("ours").is_some() {
            return false;
        }
        if reader.is_none() {
            reader = File::open(place.audit_log()).ok().map(BufReader::new);
        }
        let mut text = String::new();
        match reader.as_mut().map(|reader| reader.read_line(&mut text)) {
            Some(Ok(1..)) if text.ends_with('\n') => seen += 1,
            _ => std::thread::sleep(Duration::from_micros(100)),
        }
        if seen > before + line {
            child.kill().expect("ours");
            child.wait().expect("ours");
            return true;
        }
    }
    panic!("the run does not get to line {line}");
}

/// Everything that the cloud holds, but for who is master: each cloud and each access control in it has a name of its own.
fn state(place: &Place) -> String {
    let mut text = String::new();
    for line in place.export() {
        let line = line.to_string();
        match line.split_once("[raito cloud:").and_then(|(before, rest)| Some((before, rest.split_once(']')?.1))) {
            Some((before, after)) => text.extend([before, "[raito]", after]),
            None => text.push_str(&line),
        }
        text.push('\n');
    }
    text
}

pub(crate) fn lines(place: &Place) -> u64 {
    std::fs::read_to_string(place.audit_log()).map_or(0, |text| text.lines().count() as u64)
}

/// Runs as nobody disturbs them: what the cloud holds after each, and the lines of each step.
struct Undisturbed {
    read: String,
    applied: String,
    lines: Vec<Vec<u64>>,
}

fn undisturbed() -> Undisturbed {
    let warehouse = Warehouse::serve(&SEED);
    let place = warehouse.place("");
    place.run(&["--apply-first"]);
    let read = state(&place);
    let mut lines: Vec<Vec<u64>> = STEPS.iter().map(|step| lines_of(&place, step)).collect();
    want_role(&place);
    place.run(&["--apply-first"]);
    lines[3] = lines_of(&place, "access-to-target");
    place.run(&["--apply-first"]);
    Undisturbed { read, applied: state(&place), lines }
}

#[test]
fn a_run_that_is_killed_anywhere_is_made_good_by_the_next() {
    let mut random = Random::from_environment("a_run_that_is_killed_anywhere");
    let expected = undisturbed();
    let mut killed = 0;
    for (at, step) in STEPS.iter().enumerate() {
        for _ in 0..KILLS {
            let line = *random.pick(&expected.lines[at]);
            killed += usize::from(disturbed(&expected, step, line));
        }
    }
    assert!(killed >= 45, "only {killed} runs were caught while they ran");
}

/// Kills one run, makes it good, and compares. Says whether the run was still going on when it was killed.
fn disturbed(expected: &Undisturbed, step: &str, line: u64) -> bool {
    let warehouse = Warehouse::serve(&SEED);
    let place = warehouse.place("");
    let applies = step == "access-to-target";
    if applies {
        place.run(&["--apply-first"]);
        want_role(&place);
    }
    let before = lines(&place);
    let mut child = place.spawn(&["run", "--quiet", "--apply-first"]);
    let killed = kill_at(&place, &mut child, before, line);
    place.raito(&["audit", "verify"]).exits(0);
    place.run(&["--apply-first"]);
    if applies {
        place.run(&["--apply-first"]);
    }
    place.raito(&["audit", "verify"]).exits(0);
    let wanted = if applies { &expected.applied } else { &expected.read };
    assert_eq!(&state(&place), wanted, "killed in {step} at line {line}");
    killed
}

#[test]
fn an_interrupted_run_ends_its_page_and_says_so() {
    let warehouse = Warehouse::serve(&["--seed", "9", "--tables", "3000"]);
    let place = warehouse.place("settings: { page-size: 10 }");
    let mut child = place.spawn(&["run"]);
    let began = Instant::now();
    while lines(&place) < 20 && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().expect("kill is there");
    let status = child.wait().expect("ours");
    assert_eq!(status.code(), Some(130));
    let events = place.events();
    let end = events.last().expect("events");
    assert_eq!((end["kind"].as_str(), end["outcome"].as_str()), (Some("run-end"), Some("interrupted")));
    place.run(&["--apply-first"]);
}
