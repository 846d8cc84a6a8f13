//! A crash while a secret is in use: of the host or of a worker. It leaves no core, and nothing that is left holds the secret.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt as _;

use super::hostile_egress::{TOKEN, holds_no_canary, place, plain};
use super::isolation::{signal, workers};
use crate::support::Outcome;
use crate::support::server::{Server, json};

/// A server that answers nothing until it is told to, so that whoever asked it waits with the secret in hand.
fn silent() -> (Server, Arc<AtomicBool>) {
    let answers = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&answers);
    let server = Server::plain(move |_, out| {
        while !told.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        json(out, "{}")
    });
    (server, answers)
}

/// The same command with cores of any size allowed, as far as the machine allows them.
fn with_cores(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c $(ulimit -H -c) && exec \"$0\" \"$@\""]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().expect("a folder")).stdin(Stdio::null());
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// Waits until the server was asked.
fn asked(server: &Server, run: &Child) {
    let began = Instant::now();
    while server.seen().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "process {} asks nothing", run.id());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Files below a folder whose name says that they are a core.
fn cores(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("readable").flatten();
    names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("core"))
        .collect()
}

#[test]
fn c3_a_crash_of_the_host_leaves_no_core_and_no_secret() {
    let (server, _) = silent();
    let place = place("http-read", &plain(&server));
    let mut command = place.command(&["run"]);
    let run = with_cores(command.env("TOKEN", TOKEN)).spawn().expect("starts");
    asked(&server, &run);
    // Not SIGSEGV, of which Rust's runtime takes the first one for itself.
    signal(run.id(), "-ABRT");
    let output = run.wait_with_output().expect("ends");
    assert_eq!(output.status.signal(), Some(6), "{:?}", output.status);
    assert!(!output.status.core_dumped() && cores(place.path()).is_empty(), "a core was left");

    // Somebody else's crash in the same folder leaves one, where the machine keeps any: the test would see it.
    let mut other = Command::new("sh");
    other.args(["-c", "kill -ABRT $$"]).current_dir(place.path());
    let other = with_cores(&other).status().expect("starts");
    let hard = Command::new("sh").args(["-c", "ulimit -H -c"]).output().expect("starts").stdout;
    assert!(other.core_dumped() || hard == b"0\n", "a crash proves nothing: this machine keeps no cores");
    cores(place.path()).iter().for_each(|core| fs::remove_file(place.path().join(core)).expect("ours"));

    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let outcome = Outcome { code: None, stdout: text(output.stdout), stderr: text(output.stderr) };
    holds_no_canary(&place, &outcome);
}

#[test]
fn c3_a_crash_of_a_worker_leaves_no_core_and_no_secret() {
    let (server, answers) = silent();
    let place = place("http-read", &plain(&server));
    let mut command = place.command(&["run", "--only-targets", "chaos"]);
    let run = with_cores(command.env("TOKEN", TOKEN)).spawn().expect("starts");
    asked(&server, &run);
    let before = cores(Path::new("/"));
    let [worker] = workers(run.id()).try_into().expect("one");
    signal(worker, "-TRAP");
    // The host learns of it when it has something to say to the worker.
    answers.store(true, Ordering::Relaxed);
    let output = run.wait_with_output().expect("ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let outcome = Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    holds_no_canary(&place, &outcome);
    let outcome = outcome.exits(5).says(&["E-connector-trap", "chaos", "its process was ended by signal 5"]);
    assert!(!outcome.stderr.contains("core"), "{}", outcome.stderr);
    // A worker's folder is the root.
    assert_eq!(cores(Path::new("/")), before, "a core was left");
    assert!(cores(place.path()).is_empty(), "a core was left");
}
