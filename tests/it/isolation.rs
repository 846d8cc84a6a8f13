//! Connectors run in processes of their own, which hold nothing, end with the run, and take nothing along when they end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hostile::{chaos, configuration};
use crate::support::Place;

/// A target that misbehaves, and one that does not.
fn place(scenario: &str) -> Place {
    Place::new(&configuration(&[chaos(scenario, "identity-store", ""), other()]))
}

/// One that does not.
fn other() -> String {
    chaos("quiet", "identity-store", "").replace("name: chaos", "name: other")
}

/// The workers of a program: processes that it started.
pub(crate) fn workers(host: u32) -> Vec<u32> {
    let numbers = fs::read_dir("/proc").expect("Linux").flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|process| status(*process).get("PPid").is_some_and(|parent| *parent == host.to_string())).collect()
}

/// What the kernel says of a process; empty where it is gone.
fn status(process: u32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = |line: &str| line.split_once(':').map(|(key, value)| (key.to_owned(), value.trim().to_owned()));
    text.lines().filter_map(line).collect()
}

/// The most memory that a process had, in KiB.
pub(crate) fn peak(process: u32) -> u64 {
    let peak = status(process).get("VmHWM").and_then(|text| text.split(' ').next()?.parse().ok());
    peak.unwrap_or_default()
}

/// Waits for something.
#[track_caller]
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until the guest of a run is at work, and gives its worker.
fn at_work(place: &Place, run: &Child) -> u32 {
    wait("the first step", || {
        let log = fs::read_to_string(place.audit_log()).unwrap_or_default();
        log.contains("\"kind\":\"step-start\"").then_some(())
    });
    let ticks = |process: u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(11)?.parse().ok()
    };
    // Code that was compiled takes no processor time of the worker before the guest does.
    wait("a worker", || workers(run.id()).into_iter().find(|worker| ticks(*worker).is_some_and(|ticks| ticks > 20)))
}

pub(crate) fn signal(process: u32, signal: &str) {
    let status = Command::new("kill").args([signal, &process.to_string()]).stderr(Stdio::null()).status();
    assert!(status.expect("starts").success(), "kill {signal} {process}");
}

#[test]
fn a_worker_that_is_killed_fails_its_step_and_the_other_targets_go_on() {
    let place = place("spin");
    let run = place.spawn(&["run"]);
    signal(at_work(&place, &run), "-KILL");
    let output = run.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    for part in ["E-connector-trap", "chaos", "step 1", "its process was killed"] {
        assert!(said.contains(part), "{part:?} is not in:\n{said}");
    }
    assert_eq!(place.list("/sources/other/objects").len(), 1, "the other target completed");
}

#[test]
fn a_worker_ends_with_its_host_however_that_ends() {
    let place = place("spin");
    let mut run = place.spawn(&["run"]);
    let worker = at_work(&place, &run);
    signal(run.id(), "-KILL");
    run.wait().expect("ends");
    wait("the worker's end", || (!Path::new(&format!("/proc/{worker}")).exists()).then_some(()));
}

#[test]
fn a_worker_holds_nothing() {
    let place = place("spin");
    let mut run = place.spawn(&["run"]);
    let worker = at_work(&place, &run);
    let status = status(worker);
    for (what, is) in
        [("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0000000000000000"), ("CapPrm", "0000000000000000")]
    {
        assert_eq!(status.get(what).map(String::as_str), Some(is), "{what}");
    }
    let limits = fs::read_to_string(format!("/proc/{worker}/limits"));
    let descriptors = fs::read_dir(format!("/proc/{worker}/fd"));
    let environment = fs::read(format!("/proc/{worker}/environ"));
    // A process that may not be looked into shows these to root only.
    if let (Ok(limits), Ok(descriptors), Ok(environment)) = (limits, descriptors, environment) {
        for (what, most) in [("Max open files", "3 "), ("Max core file size", "0 "), ("Max data size", "1073741824 ")] {
            let line = limits.lines().find(|line| line.starts_with(what)).unwrap_or_default();
            assert!(line[what.len()..].trim_start().starts_with(most), "{line}");
        }
        let mut held: Vec<String> = descriptors
            .flatten()
            .map(|entry| fs::read_link(entry.path()).map(|to| to.display().to_string()).unwrap_or_default())
            .collect();
        held.sort();
        assert_eq!(held.len(), 3, "{held:?}");
        assert!(held[0] == "/dev/null" && held[1] == "/dev/null" && held[2].starts_with("socket:"), "{held:?}");
        let environment = String::from_utf8_lossy(&environment);
        assert!(!environment.contains("PG_PASSWORD") && !environment.contains("HOME"), "{environment}");
    }
    run.kill().expect("runs");
    run.wait().expect("ends");
}

#[test]
fn memory_that_a_guest_takes_is_the_workers_and_bounded() {
    let place = place("memory");
    let mut run = place.spawn(&["run"]);
    let (mut worker_kib, mut host_kib) = (0, 0);
    while run.try_wait().expect("ours").is_none() {
        host_kib = host_kib.max(peak(run.id()));
        worker_kib = workers(run.id()).into_iter().map(peak).fold(worker_kib, u64::max);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(run.wait().expect("ended").code(), Some(5));
    assert!(worker_kib > 64 << 10, "the guest took memory: {worker_kib} KiB");
    assert!(worker_kib < (1024 + 64) << 10, "{worker_kib} KiB");
    assert!(host_kib < 200 << 10, "{host_kib} KiB");
    assert_eq!(place.list("/sources/other/objects").len(), 1, "the other target completed");
}

/// The events of where connectors ran.
fn isolation(place: &Place) -> Vec<Value> {
    place.events().into_iter().filter(|event| event["kind"] == "isolation").collect()
}

#[test]
fn what_was_in_force_is_on_record_for_each_target_and_run() {
    let place = place("quiet");
    place.raito(&["run"]).exits(0);
    let events = isolation(&place);
    assert_eq!(events.len(), 2, "{events:?}");
    for (event, target) in events.iter().zip(["chaos", "other"]) {
        assert_eq!(event["target"], target);
        assert_eq!(event["isolation"], "process");
        assert_eq!(event["seccomp"], true, "this machine has no seccomp");
        assert!(event["landlock-abi"].as_u64() >= Some(1), "this machine has no Landlock: {event}");
    }
    place.raito(&["run", "--isolation", "in-process"]).exits(0);
    let events = isolation(&place);
    assert_eq!(events.len(), 4);
    assert_eq!(events[3]["isolation"], "in-process");
    assert!(events[3]["landlock-abi"].is_null() && events[3]["seccomp"] == false);
}

#[test]
fn compiled_code_is_kept_beside_the_state_and_what_was_changed_is_not_loaded() {
    let place = Place::without_code(&configuration(&[chaos("quiet", "identity-store", ""), other()]));
    place.raito(&["run"]).exits(0);
    let folder = place.path().join(".raito/cache");
    let mut entries: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    // One of each, since both targets have the same connector: its code, and its interfaces.
    let endings: Vec<_> = entries.iter().map(|entry| entry.extension().and_then(|ending| ending.to_str())).collect();
    assert_eq!(endings, [Some("code"), Some("outline")]);
    for entry in entries {
        let mut changed = fs::read(&entry).expect("readable");
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        fs::write(&entry, &changed).expect("writable");
        place.raito(&["run"]).exits(0).says(&["not written by this raito, or changed since"]);
        assert_ne!(fs::read(&entry).expect("readable"), changed, "the entry was made good");
    }
}

#[test]
fn doctor_says_what_protects_this_machine() {
    let place = place("quiet");
    let outcome = place.raito(&["doctor"]).exits(0);
    for part in ["ok    landlock", "ok    seccomp", "ok    workers"] {
        assert!(outcome.stdout.contains(part), "{part:?} is not in:\n{}", outcome.stdout);
    }
    let said = place.raito(&["doctor", "--output", "json"]).exits(0).value();
    assert!(said["protections"]["landlock-abi"].as_u64() >= Some(1), "{said}");
    assert_eq!(said["protections"]["seccomp"], true);
    assert!(said["findings"].as_array().expect("a list").iter().all(|finding| finding["ok"] == true), "{said}");
}
