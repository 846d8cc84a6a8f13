//! Targets that take what they can get, all in one run: each fails its own step within its bound, the host stays small, and the
//! target that behaves completes. What a guest of no compiler can do stands in `tests/it/hostile_raw.rs` and `host/sandbox/src/hostile.rs`.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::isolation::{peak, workers};
use crate::support::server::{Keep, Server, json};
use crate::support::{Place, connector};

/// The most memory of the host, in KiB.
pub(crate) const HOST_KIB: u64 = 200 << 10;
/// The most memory of a worker: what it may have of data, and 64 MiB.
pub(crate) const WORKER_KIB: u64 = (1024 + 64) << 10;

/// A target whose name is its scenario. `grants` are whole slots, line by line.
pub(crate) fn target(scenario: &str, step: &str, grants: &str) -> String {
    let grants: String = grants.lines().map(|line| format!("      {line}\n")).collect();
    let grants = if grants.is_empty() { "    grants: {}\n".to_owned() } else { format!("    grants:\n{grants}") };
    format!(
        "  - name: {scenario}\n    connector: {{ file: \"{}\" }}\n    settings: {{ scenario: {scenario}, step: {step} }}\n{grants}",
        connector("chaos").display()
    )
}

fn http(server: &Server) -> String {
    format!(
        "http.api:\n  origin: \"http://127.0.0.1:{}\"\n  plain-http: true\n  addresses: [\"127.0.0.1/32\"]\n  rate: 1000\n  timeout: 2",
        server.port
    )
}

/// A run of several targets: what it said of each, and the most memory that host and workers had.
pub(crate) struct Seen {
    pub(crate) place: Place,
    code: Option<i32>,
    lines: Vec<Value>,
    pub(crate) host_kib: u64,
    pub(crate) worker_kib: u64,
}

pub(crate) fn run(targets: &[String], more: &[&str]) -> Seen {
    let place = Place::new(&format!("cloud: embedded\ntargets:\n{}", targets.concat()));
    let mut run = place.spawn(&[&["run", "--output", "json", "--quiet"], more].concat());
    let read = |mut pipe: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).expect("UTF-8");
            text
        })
    };
    let out = read(Box::new(run.stdout.take().expect("piped")));
    let err = read(Box::new(run.stderr.take().expect("piped")));
    let (mut worker_kib, mut host_kib) = (0, 0);
    while run.try_wait().expect("ours").is_none() {
        host_kib = host_kib.max(peak(run.id()));
        worker_kib = workers(run.id()).into_iter().map(peak).fold(worker_kib, u64::max);
        std::thread::sleep(Duration::from_millis(2));
    }
    let text = out.join().expect("reads") + &err.join().expect("reads");
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Seen { place, code: run.wait().expect("ended").code(), lines, host_kib, worker_kib }
}

impl Seen {
    /// What was said of a target that failed: code and message.
    #[track_caller]
    pub(crate) fn fault(&self, target: &str) -> String {
        let of = |line: &&Value| line["event"] == "error" && line["target"] == target;
        let Some(line) = self.lines.iter().find(of) else { panic!("nothing failed for {target}: {:#?}", self.lines) };
        format!("{} {}", line["code"].as_str().unwrap_or_default(), line["message"].as_str().unwrap_or_default())
    }

    /// What a target came to.
    pub(crate) fn outcome(&self, target: &str) -> &str {
        let ended = self.lines.iter().find(|line| line["event"] == "target-end" && line["target"] == target);
        ended.and_then(|line| line["outcome"].as_str()).unwrap_or_default()
    }
}

#[test]
fn each_target_that_takes_too_much_fails_alone_and_host_and_workers_stay_small() {
    let endless = Server::plain(|_, out| {
        out.write_all(b"HTTP/1.1 200 ok\r\nconnection: close\r\n\r\n")?;
        loop {
            out.write_all(&[b'x'; 64 * 1024])?;
        }
    });
    let drip = Server::plain(|_, out| {
        out.write_all(b"HTTP/1.1 200 ok\r\ncontent-length: 100000000\r\n\r\n")?;
        loop {
            out.write_all(b"x")?;
            out.flush()?;
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let sound = Server::plain(|_, out| json(out, "{}"));
    let cases = [
        ("spin", String::new(), "E-connector-limit", "processor time"),
        ("memory", String::new(), "E-connector-limit", "memory"),
        ("string", String::new(), "E-connector-limit", "memory"),
        ("huge-string", String::new(), "E-connector-limit", "data in one call"),
        ("many-records", String::new(), "E-connector-limit", ""),
        ("stack", String::new(), "E-connector-limit", "stack"),
        ("empty-pages", String::new(), "E-bad-record", "empty pages in a row"),
        ("trap", String::new(), "E-connector-trap", ""),
        ("refused-without-end", http(&sound), "E-denied", "more than 1000 calls of this step were refused"),
        ("http-read", http(&endless), "E-denied", "more than 16777216 bytes"),
        ("http-pieces", http(&drip), "E-target-unavailable", "comes too slowly"),
        ("http-hold", http(&sound), "E-denied", "more than 64 bodies and results"),
    ];
    let mut targets: Vec<String> =
        cases.iter().map(|(scenario, grants, ..)| target(scenario, "identity-store", grants)).collect();
    targets.push(target("log-flood", "identity-store", ""));
    targets.push(target("quiet", "none", ""));
    let seen = run(&targets, &[]);
    // What was refused counts for more than what a connector did wrong.
    assert_eq!(seen.code, Some(4), "{:#?}", seen.lines);
    for (scenario, _, code, says) in &cases {
        let fault = seen.fault(scenario);
        assert!(fault.starts_with(code) && fault.contains(says), "{scenario}: {fault}");
        assert!(seen.place.list(&format!("/sources/{scenario}/users")).is_empty(), "{scenario}: a record arrived");
    }
    for target in ["log-flood", "quiet"] {
        assert_eq!(seen.outcome(target), "completed", "{target}");
        assert_eq!(seen.place.list(&format!("/sources/{target}/users")).len(), 1, "{target}");
    }
    assert!(seen.host_kib > 10 << 10 && seen.host_kib < HOST_KIB, "host: {} KiB", seen.host_kib);
    assert!(seen.worker_kib > 64 << 10 && seen.worker_kib < WORKER_KIB, "worker: {} KiB", seen.worker_kib);
    seen.place.raito(&["audit", "verify"]).exits(0);
}

#[test]
fn what_the_host_keeps_of_a_read_is_bounded() {
    let targets = [
        target("endless-names", "access-from-target", ""),
        target("long-gaps", "identity-store", ""),
        target("quiet", "none", ""),
    ];
    let seen = run(&targets, &[]);
    assert_eq!(seen.code, Some(5), "{:#?}", seen.lines);
    for scenario in ["endless-names", "long-gaps"] {
        let fault = seen.fault(scenario);
        assert!(fault.contains("more than 67108864 bytes to be kept of one step"), "{scenario}: {fault}");
    }
    assert_eq!(seen.outcome("quiet"), "completed");
    assert!(seen.host_kib < HOST_KIB, "host: {} KiB", seen.host_kib);
}

/// One page is sent, one waits, one is made, and each has as many bytes as a page may have.
#[test]
fn b7_the_longest_pages_leave_the_host_small() {
    let seen = run(&[target("longest-pages", "identity-store", ""), target("quiet", "none", "")], &[]);
    assert_eq!(seen.code, Some(0), "{:#?}", seen.lines);
    let summary = seen.lines.iter().find(|line| line["event"] == "summary").expect("a report");
    assert_eq!(summary["targets"][0]["steps"][0]["records"], 124, "{summary:#}");
    assert!(seen.host_kib > 64 << 10 && seen.host_kib < HOST_KIB, "host: {} KiB", seen.host_kib);
    assert!(seen.worker_kib < WORKER_KIB, "worker: {} KiB", seen.worker_kib);
}

#[test]
fn a_step_that_failed_asks_for_nothing_more() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let targets = [target("bad-record-then-calls", "identity-store", &http(&server)), target("quiet", "none", "")];
    let seen = run(&targets, &[]);
    assert_eq!(seen.code, Some(5), "{:#?}", seen.lines);
    assert!(seen.fault("bad-record-then-calls").contains("users[0].external-id"));
    let events = seen.place.events();
    let of = |event: &&Value| event["target"] == "bad-record-then-calls";
    let kinds: Vec<&str> = events.iter().filter(of).filter_map(|event| event["kind"].as_str()).collect();
    let end = kinds.iter().position(|kind| *kind == "step-end").expect("the step ended");
    assert!(!kinds[end..].contains(&"call"), "{kinds:?}");
}

#[test]
fn b10_requests_at_once_are_bounded_for_a_slot() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::plain(move |_, out| {
        counted.1.fetch_max(counted.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        counted.0.fetch_sub(1, Ordering::SeqCst);
        json(out, "{}").map(|_| Keep::Open)
    });
    let seen = run(&[target("http-many", "identity-store", &http(&server))], &[]);
    // 40 at once, before each of two answers of the reader.
    assert_eq!((seen.code, server.seen().len()), (Some(0), 80), "{:#?}", seen.lines);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} requests at once");
}

#[test]
fn c19_a_refusal_of_whatever_kind_is_on_record() {
    const UNREACHED: &str = "http.api:\n  origin: \"https://192.0.2.1\"\n  addresses: [\"192.0.2.1/32\"]";
    let cases = [
        ("long-argument", "texts of at most 65536 bytes"),
        ("many-arguments", "at most 64 arguments"),
        ("made-up-token", "no such captured value"),
    ];
    let targets: Vec<String> =
        cases.iter().map(|(scenario, _)| target(scenario, "identity-store", UNREACHED)).collect();
    let seen = run(&targets, &[]);
    assert_eq!(seen.code, Some(4), "{:#?}", seen.lines);
    let events = seen.place.events();
    for (scenario, says) in cases {
        assert!(seen.fault(scenario).starts_with("E-denied"), "{}", seen.fault(scenario));
        let denied: Vec<&Value> =
            events.iter().filter(|event| event["kind"] == "denied" && event["target"] == scenario).collect();
        let [denied] = denied.as_slice() else { panic!("one refusal of {scenario}: {denied:#?}") };
        assert_eq!((&denied["slot"], &denied["entry"]), (&"http.api".into(), &"person".into()));
        assert!(denied["reason"].as_str().is_some_and(|reason| reason.contains(says)), "{denied:#}");
    }
    assert!(!events.iter().any(|event| event["kind"] == "call"), "something was sent");
}

#[test]
fn d2_d5_a_guest_learns_nothing_of_where_it_runs() {
    for isolation in ["process", "in-process"] {
        let seen = run(&[target("look-around", "identity-store", "")], &["--isolation", isolation]);
        assert_eq!(seen.code, Some(5), "{:#?}", seen.lines);
        let fault = seen.fault("look-around");
        let found = "0 arguments, 0 variables, no thread, 0 bytes of input, 0 ns passed, 0 ms since 1970, 0 ms within the second, \
                     random ";
        assert!(fault.contains(found), "{isolation}: {fault}");
    }
}

#[test]
fn d3_nothing_is_shared_between_steps_and_targets_but_the_state_of_each() {
    let other = target("leave-a-mark", "every", "").replace("name: leave-a-mark", "name: other");
    let seen = run(&[target("leave-a-mark", "every", ""), other], &[]);
    assert_eq!(seen.code, Some(0), "{:#?}", seen.lines);
    // The next run finds what it left itself, so that the run before proves something.
    let again = seen.place.raito(&["run"]).exits(5);
    again.says(&["leave-a-mark", "other", "a mark was in the state"]);
}
