//! Input that nests without end, as the program gets it: each command ends with one error about it,
//! and a target beside it goes on. What each parser does at every depth stands in
//! `tests/fuzz/tests/depth.rs`.

use std::fs;

use super::hostile_raw::{leb, section};
use super::hostile_resources::{HOST_KIB, WORKER_KIB, run, target};
use super::raw::SOUND;
use crate::support::server::{Server, json};
use crate::support::{Outcome, Place, Random, connector};

const MANIFEST: &str = "name = \"deep\"\nversion = \"0.1.0\"\nsummary = \"Nests\"\n";

/// Access code for a target.
const CODE: &str = "version: 1\nrepository: corp/access\non: quiet\ngrants: [{ name: R_A, who: [{ user: ann }] }]\n";

/// A component that starts, and has a type of so many levels: of components, or of instances.
fn nested(kind: u8, levels: usize) -> Vec<u8> {
    let types = [&[1][..], &[kind, 1, 1].repeat(levels), &[0x73]].concat();
    let manifest = [&leb("raito:manifest".len())[..], b"raito:manifest", MANIFEST.as_bytes()].concat();
    [&SOUND.component()[..], &section(7, &types), &section(0, &manifest)].concat()
}

/// A command that ended by itself, with one error.
#[track_caller]
fn one_error(outcome: Outcome, code: i32, says: &[&str]) {
    assert_eq!(outcome.stderr.matches("error[").count(), 1, "{}", outcome.stderr);
    outcome.exits(code).says(says);
}

#[test]
fn b9_components_that_nest_without_end_fail_alone_whoever_looks_into_them() {
    let mut random = Random::from_environment("nested components");
    let place = Place::new("targets: []\n");
    let mut targets = Vec::new();
    let mut depths = vec![65, 2_000, 10_000_000];
    depths.extend((0..3).map(|_| 65 + random.below(100_000)));
    for (number, levels) in depths.iter().enumerate() {
        let path = place.path().join(format!("deep{number}.wasm"));
        fs::write(&path, nested([0x41, 0x42][number % 2], *levels)).expect("writable");
        let file = path.display();
        targets.push(format!("  - name: deep{number}\n    connector: {{ file: \"{file}\" }}\n    grants: {{}}\n"));
    }
    targets.push(target("quiet", "none", ""));
    let seen = run(&targets, &[]);
    let says = "types of the component nest more than 64 levels";
    for number in 0..depths.len() {
        let fault = seen.fault(&format!("deep{number}"));
        assert!(fault.starts_with("E-connector-invalid") && fault.contains(says), "{fault}");
    }
    assert_eq!(seen.outcome("quiet"), "completed");
    assert!(seen.host_kib < HOST_KIB && seen.worker_kib < WORKER_KIB, "{} {}", seen.host_kib, seen.worker_kib);
    let refused = seen.place.events().iter().filter(|event| event["kind"] == "target-refused").count();
    assert_eq!(refused, depths.len(), "each is on record");

    let deep = place.path().join("deep1.wasm").display().to_string();
    let expected = ["E-connector-invalid", says];
    one_error(place.raito(&["connector", "inspect", &deep]), 5, &expected);
    one_error(place.raito(&["connector", "test", &deep, "--scenario", "none.json"]), 5, &expected);
    one_error(place.raito(&["init", "--connector", &deep, "new.yml"]), 5, &expected);
    place.write("deep.toml", MANIFEST);
    place.write(
        "raw.wasm",
        [&SOUND.component()[..], &section(7, &[&[1][..], &[0x41, 1, 1].repeat(2_000), &[0x73]].concat())].concat(),
    );
    one_error(place.raito(&["connector", "pack", "raw.wasm", "deep.toml", "-o", "packed.wasm"]), 5, &expected);
    assert!(!place.path().join("packed.wasm").exists(), "nothing is written that is no connector");
    place.configure(&format!("targets:\n{}{}", targets[1], targets[depths.len()]));
    for command in [&["validate"][..], &["connector", "list"]] {
        let outcome = place.raito(command);
        assert!(outcome.stdout.contains("quiet"), "{command:?}: {}", outcome.stdout);
        one_error(outcome, 5, &expected);
    }
    place.write("access.yml", CODE.replace("quiet", "deep1"));
    one_error(place.raito(&["access", "plan", "access.yml"]), 5, &expected);
}

#[test]
fn b9_manifests_that_nest_without_end_are_mistakes_of_their_component() {
    let place = Place::new("targets: []\n");
    let routes = |body: &str| {
        format!("{MANIFEST}[http.api.routes.r]\nmode = \"read\"\nrequest = \"POST /x\"\nbody = '''{body}'''\n")
    };
    let manifests = [
        routes(&format!("{}1{}", "{a:items(".repeat(10_000), ")}".repeat(10_000))),
        routes(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        format!("{MANIFEST}{} = 1\n", vec!["a"; 100_000].join(".")),
        format!("{MANIFEST}a = {}\n", "[".repeat(200_000)),
    ];
    let mut targets = Vec::new();
    for (number, manifest) in manifests.iter().enumerate() {
        let named = [&leb("raito:manifest".len())[..], b"raito:manifest", manifest.as_bytes()].concat();
        place.write(&format!("m{number}.wasm"), [&SOUND.component()[..], &section(0, &named)].concat());
        let file = place.path().join(format!("m{number}.wasm"));
        targets.push(format!(
            "  - name: m{number}\n    connector: {{ file: \"{}\" }}\n    grants: {{}}\n",
            file.display()
        ));
        place.write("m.toml", manifest);
        place.write("sound.wasm", SOUND.component());
        let packed = place.raito(&["connector", "pack", "sound.wasm", "m.toml", "-o", "packed.wasm"]);
        one_error(packed, 5, &["E-connector-invalid", "the manifest has mistakes"]);
    }
    targets.push(target("quiet", "none", ""));
    let seen = run(&targets, &[]);
    for number in 0..manifests.len() {
        let fault = seen.fault(&format!("m{number}"));
        assert!(fault.starts_with("E-connector-invalid") && fault.contains("the manifest has mistakes"), "{fault}");
    }
    assert_eq!(seen.outcome("quiet"), "completed");
}

#[test]
fn b9_files_that_nest_without_end_are_one_error_each() {
    let mut random = Random::from_environment("nested files");
    let place = Place::new("targets: []\n");
    let mut depths = vec![101, 1_000, 100_000];
    depths.extend((0..3).map(|_| 101 + random.below(1 << 20)));
    for depth in depths {
        for nested in
            ["- ".repeat(depth), "[".repeat(depth.max(300)), "? ".repeat(depth), "{a: ".repeat(depth.max(300))]
        {
            place.configure(&format!("targets:\n{nested}\n"));
            one_error(place.raito(&["validate"]), 2, &["E-configuration"]);
            place.configure("targets: []\n");
            place.write("ceiling.yml", format!("connectors:\n{nested}\n"));
            one_error(place.raito(&["validate", "--ceiling", "ceiling.yml"]), 2, &["E-configuration"]);
            place.write("access.yml", format!("version: 1\npolicy:\n{nested}\n"));
            one_error(place.raito(&["access", "validate", "access.yml"]), 2, &["access.yml"]);
            one_error(place.raito(&["access", "fmt", "access.yml"]), 2, &["access.yml"]);
        }
    }
    // The deepest that is read, in more files than one thread takes.
    let stairs = |step: &str| (0..100).map(|at| format!("{}{step}\n", " ".repeat(at))).collect::<String>();
    for number in 0..64 {
        let text = format!("grants:\n{}{}\n", stairs("-"), stairs("a:"));
        place.write(&format!("deep{number}.yml"), text);
    }
    let all: Vec<String> = (0..64).map(|number| format!("deep{number}.yml")).collect();
    let words: Vec<&str> = ["access", "validate"].into_iter().chain(all.iter().map(String::as_str)).collect();
    let outcome = place.raito(&words).exits(2);
    assert!(all.iter().all(|file| outcome.stderr.contains(file.as_str())), "{}", outcome.stderr);
}

#[test]
fn b9_documents_that_nest_without_end_are_one_error_each() {
    let mut random = Random::from_environment("nested documents");
    let target = target("quiet", "none", "");
    let place = Place::new(&format!("targets:\n{target}"));
    place.write("access.yml", CODE);
    let chaos = connector("chaos").display().to_string();
    for depth in [128, 1_000, 1_000_000, 129 + random.below(100_000)] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = [&open.repeat(depth), "1", &close.repeat(depth)].concat();
            place.write("plan.json", format!("{{\"v\":1,\"targets\":{nested}}}"));
            one_error(place.raito(&["access", "apply", "plan.json", "--yes"]), 2, &["plan.json"]);
            place.write("scenario.json", format!("{{\"answers\":[{{\"slot\":\"a\",\"entry\":{nested}}}]}}"));
            let tested = place.raito(&["connector", "test", &chaos, "--scenario", "scenario.json"]);
            one_error(tested, 2, &["E-scenario", "scenario.json"]);
            place.write("snapshot.json", format!("{{\"user\":{nested}}}\n"));
            let tested = place.raito(&["access", "test", "access.yml", "--snapshot", "quiet=snapshot.json"]);
            one_error(tested, 2, &["snapshot.json"]);
            place.write("body.json", &nested);
            one_error(place.raito(&["cloud", "post", "/runs", "body.json"]), 2, &["body.json"]);
        }
    }
}

#[test]
fn b9_answers_that_nest_without_end_fail_the_step_that_asked() {
    let mut random = Random::from_environment("nested answers");
    let mut targets = Vec::new();
    let mut servers = Vec::new();
    for depth in [200, 100_000, 5_000_000, 200 + random.below(1 << 20)] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let depth = depth.min((15 << 20) / (open.len() + 1));
            let nested = [&open.repeat(depth), "1", &close.repeat(depth)].concat();
            let server = Server::plain(move |_, out| json(out, &nested));
            targets.push(format!(
                "  - name: deep{}\n    connector: {{ file: \"{}\" }}\n    grants:\n      http.api:\n        \
                 origin: \"http://127.0.0.1:{}\"\n        plain-http: true\n        \
                 addresses: [\"127.0.0.1/32\"]\n        token: {{ command: [echo, a-token-of-a-test] }}\n",
                servers.len(),
                connector("demo").display(),
                server.port
            ));
            servers.push(server);
        }
    }
    targets.push(target("quiet", "none", ""));
    let seen = run(&targets, &[]);
    for number in 0..servers.len() {
        let fault = seen.fault(&format!("deep{number}"));
        assert!(fault.starts_with("E-connector-fault") && fault.contains("is not understood"), "{fault}");
    }
    assert_eq!(seen.outcome("quiet"), "completed");
    assert!(seen.host_kib < HOST_KIB && seen.worker_kib < WORKER_KIB, "{} {}", seen.host_kib, seen.worker_kib);
}
