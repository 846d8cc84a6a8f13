//! The threat model is what the tests show: each threat of the list has a test that is there, and each way in which the
//! misbehaving connector can misbehave is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Letters and how many threats each has.
const THREATS: [(char, u32); 4] = [('A', 15), ('B', 14), ('C', 20), ('D', 9)];
/// Those about the distribution of connectors. They have no test while connectors come from files only.
const WITH_THE_REGISTRY: [&str; 1] = ["C17"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace exists")
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(root().join(path)).ok()
}

/// A row of a table: the ids of its threats, and the tests that it names, as file and function.
struct Row {
    ids: Vec<String>,
    tests: Vec<(String, String)>,
    line: usize,
}

/// All rows of the tables that are about threats.
fn rows() -> Vec<Row> {
    let text = read("host/docs/threat-model.md").expect("the threat model");
    let is_id = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|letter| letter.is_ascii_uppercase())
            && !letters.as_str().is_empty()
            && letters.all(|letter| letter.is_ascii_digit())
    };
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let ids: Vec<String> = cells[0].split_whitespace().map(str::to_owned).collect();
        if !line.starts_with('|') || ids.is_empty() || !ids.iter().all(|id| is_id(id)) {
            continue;
        }
        // Names of functions stand in the last cell: `file::function`, or `::function` of the file before.
        let mut file = String::new();
        let mut tests = Vec::new();
        for named in cells.last().unwrap_or(&"").split('`').filter(|part| part.contains("::")) {
            let (path, function) = named.rsplit_once("::").expect("it has one");
            if !path.is_empty() {
                path.clone_into(&mut file);
            }
            tests.push((file.clone(), function.to_owned()));
        }
        rows.push(Row { ids, tests, line: at + 1 });
    }
    rows
}

fn fail_on(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn each_threat_has_a_test() {
    let mut tests: BTreeMap<String, usize> = BTreeMap::new();
    for row in rows() {
        for id in row.ids {
            *tests.entry(id).or_default() += row.tests.len();
        }
    }
    let all = THREATS.iter().flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")));
    let all: Vec<String> = all.collect();
    assert_eq!(all.len(), 58);
    let mut wrong = Vec::new();
    for id in all {
        match tests.get(&id) {
            None => wrong.push(format!("{id} has no row")),
            Some(0) if !WITH_THE_REGISTRY.contains(&id.as_str()) => wrong.push(format!("{id} has no test")),
            Some(_) => {}
        }
    }
    fail_on("host/docs/threat-model.md says what stops each threat, and which test shows it", &wrong);
}

/// Whether a file has a function of this name that is run as a test: with the attribute and not left out, in a table of tests, or
/// as the list of a test program without the harness.
fn is_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_defined = |line: &&str| {
        let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
        line.strip_prefix("async ").unwrap_or(line).starts_with(&format!("fn {function}("))
    };
    let Some(at) = lines.iter().position(is_defined) else { return false };
    let above: Vec<&str> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).copied().collect();
    let has = |attribute: &str| above.iter().any(|line| line.starts_with(attribute));
    let is_attributed = (has("#[test]") || has("#[tokio::test")) && !has("#[ignore");
    // `trial("what it shows", function)`, or the list of all of them.
    let is_trial = text.contains("trial(\"") && text.contains(&format!(", {function})"));
    let is_list = function == "trials" && text.contains("fn trials() -> Vec<Trial>");
    is_attributed || is_trial || is_list
}

#[test]
fn each_test_that_the_threat_model_names_is_there() {
    let mut wrong = Vec::new();
    for row in rows() {
        for (file, function) in row.tests {
            let Some(text) = read(&file) else {
                wrong.push(format!("line {}: there is no {file}", row.line));
                continue;
            };
            if !is_test(&text, &function) {
                wrong.push(format!("line {}: {file} has no test {function} that is run", row.line));
            }
        }
    }
    fail_on("host/docs/threat-model.md names tests that are not there", &wrong);
}

/// Sources below a folder, as one text.
fn sources(folder: &str) -> String {
    let mut folders = vec![root().join(folder)];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path if path.extension().is_some_and(|ending| ending == "rs") => {
                    text.push_str(&fs::read_to_string(&path).expect("readable"));
                }
                _ => {}
            }
        }
    }
    text
}

/// Texts in quotes of a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

#[test]
fn each_scenario_of_the_misbehaving_connector_is_tried() {
    let guest = sources("tests/guests/chaos/src");
    let mut scenarios = BTreeSet::new();
    for line in guest.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        // An arm of a match over the scenario's name, or a question for one name.
        let arm = line.split_once("=>").map(|(arm, _)| arm).filter(|arm| arm.starts_with('"'));
        scenarios.extend(arm.into_iter().flat_map(quoted));
        scenarios.extend(line.split(".is(").skip(1).filter_map(|rest| quoted(rest).next()));
    }
    assert!(scenarios.len() > 40, "the scenarios are found no more: {scenarios:?}");
    let tests = sources("tests/it") + &sources("host/worker/tests");
    let tried: BTreeSet<&str> = tests.lines().flat_map(quoted).collect();
    let untried: Vec<String> = scenarios.difference(&tried).map(|name| format!("{name} is tried by no test")).collect();
    fail_on("tests/guests/chaos", &untried);
}

#[test]
fn d8_d9_there_is_one_engine_for_a_process_and_nothing_is_stubbed() {
    // One for code that runs, and one that is only asked what code depends on.
    assert_eq!(
        sources("host/sandbox/src").matches("wasmtime::Engine::new(").count(),
        2,
        "engines are made in engine.rs"
    );
    // A run fills a cell once; a worker makes one before it hears of a component; `raito doctor` runs nothing with it; fuzzing is
    // no part of the program.
    for (file, made) in [
        ("host/cli/src/engine/isolation.rs", 1),
        ("host/worker/src/child.rs", 1),
        ("host/worker/src/fuzz/orders.rs", 1),
        ("host/cli/src/commands/doctor.rs", 1),
    ] {
        assert_eq!(read(file).map(|text| text.matches("Engine::new()").count()), Some(made), "{file}");
    }
    let all = ["host/cli/src", "host/worker/src"].map(sources).concat();
    assert_eq!(all.matches("Engine::new()").count(), 4, "a process has one engine");
    let stubs = ["define_unknown_imports_as_traps", "define_unknown_imports_as_default_values", "allow_shadowing"];
    let found: Vec<String> =
        stubs.into_iter().filter(|stub| sources("host/sandbox/src").contains(stub)).map(str::to_owned).collect();
    fail_on("an import that nobody offers is refused, and not stubbed", &found);
}

/// A process behind one of the two fences alone is for tests: nothing that is shipped asks for one.
#[test]
fn d1_no_worker_is_started_behind_one_fence() {
    let asks = |text: &str| text.matches("lock_down_behind").count() + text.matches("Fences::").count();
    let shipped = ["host/cli/src", "host/worker/src"].map(sources).concat();
    let own =
        read("host/worker/src/lockdown.rs").expect("the module") + &read("host/worker/src/lib.rs").expect("the crate");
    assert!(asks(&own) > 2, "the fences are found no more");
    assert_eq!(asks(&shipped), asks(&own), "only tests leave a fence out");
    let child = read("host/worker/src/child.rs").expect("the worker");
    assert_eq!(child.matches("lock_down(host)").count(), 1, "a worker confines itself behind both");
}

/// SQLite has one writer. Whoever waits for it with a connection of the pool keeps others from reading.
#[test]
fn b10_whoever_writes_to_the_store_waits_for_their_turn_first() {
    let text = sources("host/cloud/src/store");
    let writers: Vec<&str> = text.split("async fn ").filter(|part| part.contains(".execute(&self.pool)")).collect();
    assert!(writers.len() > 5, "the writers are found no more");
    let impatient: Vec<String> = writers
        .iter()
        .filter(|part| !part.contains("self.turn()") && !part.contains("pragma"))
        .map(|part| part.lines().next().unwrap_or_default().to_owned())
        .collect();
    fail_on("wait for the turn with self.turn() before writing on the pool", &impatient);
}
