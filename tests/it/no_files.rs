//! What has the name of a file and is none: a named pipe, which whoever reads it waits for, a
//! socket, a folder, a device. Each is refused by name wherever the program reads a file.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Outcome, Place, Warehouse, connector};

/// How long a command may take before it counts as one that waits for a writer that never comes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts one of each kind in a place, and gives their names with what each is.
fn no_files(place: &Place) -> [(&'static str, &'static str); 5] {
    let at = |name: &str| place.path().join(name);
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("starts");
    assert!(made.success());
    symlink("pipe", at("link")).expect("a link");
    drop(UnixListener::bind(at("socket")).expect("a socket"));
    std::fs::create_dir(at("folder")).expect("a folder");
    symlink("/dev/zero", at("device")).expect("a link");
    [
        ("pipe", "a named pipe"),
        ("link", "a named pipe"),
        ("socket", "a socket"),
        ("folder", "a folder"),
        ("device", "a device"),
    ]
}

/// Runs a command that must end by itself.
fn ends(place: &Place, arguments: &[&str]) -> Outcome {
    let mut command = place.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let began = Instant::now();
    while child.try_wait().expect("ours").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("ours");
            panic!("{arguments:?} waits");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("readable");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[test]
fn c10_what_is_no_file_is_refused_wherever_one_is_named() {
    let place = Place::new("targets: []\n");
    place.write(
        "access.yml",
        "version: 1\nrepository: corp/access\non: shop\ngrants: [{ name: R_A, who: [{ user: ann }] }]\n",
    );
    place.write("m.toml", "name = \"a\"\nversion = \"1.0.0\"\nsummary = \"\"\n");
    let demo = connector("demo").display().to_string();
    for (name, what) in no_files(&place) {
        let says = format!("{what}, and a file is expected");
        let with = |code: &'static str, exit: i32, arguments: &[&str]| {
            let outcome = ends(&place, arguments);
            assert_eq!(outcome.code, Some(exit), "{arguments:?}: {}", outcome.stderr);
            outcome.says(&[code, name, &says]);
        };
        with("E-file", 2, &["validate", "--config-file", name]);
        with("E-file", 2, &["validate", "--ceiling", name]);
        with("E-connector-file", 2, &["connector", "inspect", name]);
        with("E-connector-file", 2, &["connector", "pack", name, "m.toml", "-o", "packed.wasm"]);
        with("E-file", 2, &["connector", "pack", &demo, name, "-o", "packed.wasm"]);
        with("E-connector-file", 2, &["init", "new.yml", "--connector", name]);
        with("E-file", 2, &["access", "apply", name, "--yes"]);
        with("E-file", 2, &["access", "test", "access.yml", "--snapshot", &format!("shop={name}")]);
        with("E-file", 2, &["cloud", "post", "/runs", name]);
        if what != "a folder" {
            with("E-scenario", 2, &["connector", "test", &demo, "--scenario", name]);
            with("E-file", 2, &["access", "convert", name, "--from", "permifrost", "--on", "shop"]);
            for command in ["validate", "fmt", "plan"] {
                with("E-file", 2, &["access", command, name]);
            }
        }
    }
}

#[test]
fn c10_what_is_no_file_gives_no_secret_and_no_certificate() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    let text = warehouse.target("");
    for (name, what) in no_files(&place) {
        let says = [name, what, "and a file is expected"];
        let secret = text.replace("warehouse.token", name);
        let keys = format!("    grants:\n      http.api:\n        ca: {name}\n");
        let ca = text.replace("    grants:\n      http.api:\n", &keys);
        let both = format!("        client-certificate: {{ certificate: {name}, key: {{ file: {name} }} }}\n");
        let certified = text.replace("        plain-http: true\n", &format!("{both}        plain-http: true\n"));
        for (configuration, code) in [(&secret, "E-secret"), (&ca, "E-file"), (&certified, "E-")] {
            place.configure(configuration);
            ends(&place, &["run"]).exits(2).says(&says).says(&[code]);
            assert!(ends(&place, &["validate"]).code.is_some(), "it looks at secrets that are at hand");
        }
        let remote = format!("{{ url: \"https://localhost:1\", token: {{ file: {name} }} }}");
        place.configure(&text.replace("cloud: embedded", &format!("cloud: {remote}")));
        ends(&place, &["run"]).exits(2).says(&says).says(&["E-secret"]);
    }
}

#[test]
fn c10_what_is_no_file_is_no_log() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    place.run(&["--skip-data-usage-sync"]);
    let log = Path::new(".raito/audit");
    no_files(&place);
    let copy = |without: &str, instead: &str| {
        let folder = place.path().join("copy");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).expect("writable");
        for entry in std::fs::read_dir(place.path().join(log)).expect("a log") {
            let entry = entry.expect("readable");
            if entry.file_name() != without {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copies");
            }
        }
        symlink(place.path().join(instead), folder.join(without)).expect("a link");
    };
    for instead in ["pipe", "socket", "folder", "device"] {
        for file in ["log.jsonl", "head.json", "checkpoints", "public-key"] {
            assert!(place.path().join(log).join(file).exists(), "{file} is named differently");
            copy(file, instead);
            let outcome = ends(&place, &["audit", "verify", "copy"]);
            assert!(outcome.code == Some(1), "{file} is {instead}: {}", outcome.stderr);
            outcome.says(&["and a file is expected"]);
        }
        let anchored = ends(&place, &["audit", "verify", "--anchor", instead]);
        anchored.exits(2).says(&["E-anchor", "and a file is expected"]);
    }
}

#[test]
fn c10_what_is_no_file_in_the_state_directory_is_not_waited_for() {
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    let place = warehouse.place("");
    place.run(&["--skip-data-usage-sync"]);
    no_files(&place);
    let state = place.path().join(".raito");
    for file in ["program.json", "cloud.db-journal", "cloud.db-wal", "cloud.db-shm"] {
        let path = state.join(file);
        let kept = std::fs::read(&path).ok();
        let _ = std::fs::remove_file(&path);
        symlink(place.path().join("pipe"), &path).expect("a link");
        let outcome = ends(&place, &["run", "--dry-run"]);
        assert!(
            outcome.code.is_some() && outcome.stderr.contains(file) || outcome.code == Some(0),
            "{file}: {}",
            outcome.stderr
        );
        std::fs::remove_file(&path).expect("a link");
        if let Some(kept) = kept {
            std::fs::write(&path, kept).expect("writable");
        }
    }
    place.run(&["--skip-data-usage-sync"]);
}
