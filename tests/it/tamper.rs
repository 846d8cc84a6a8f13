//! The record proves itself: whatever is changed in it afterwards is found.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Place, Random, Warehouse};

#[test]
fn a_changed_byte_and_a_removed_line_are_reported() {
    let mut random = Random::from_environment("a_changed_byte_and_a_removed_line_are_reported");
    let warehouse = Warehouse::serve(&["--seed", "6", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    place.raito(&["audit", "verify"]).exits(0);
    let log = fs::read(place.audit_log()).expect("a log");
    for _ in 0..10 {
        let mut changed = log.clone();
        let at = random.below(changed.len());
        changed[at] ^= 1 << random.below(8);
        fs::write(place.audit_log(), &changed).expect("writable");
        place.raito(&["audit", "verify"]).exits(1).says(&["E-audit-broken"]);
    }
    let text = String::from_utf8(log.clone()).expect("UTF-8");
    let lines: Vec<&str> = text.lines().collect();
    for _ in 0..10 {
        let without = random.below(lines.len());
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, line)| *line).collect();
        fs::write(place.audit_log(), format!("{}\n", rest.join("\n"))).expect("writable");
        place.raito(&["audit", "verify"]).exits(1).says(&["E-audit-broken"]);
    }
    fs::write(place.audit_log(), &log).expect("writable");
    place.raito(&["audit", "verify"]).exits(0);
}

#[test]
fn every_call_is_on_record_before_its_answer_and_no_secret_is() {
    let warehouse = Warehouse::serve(&["--seed", "7", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let events = place.events();
    let of = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!((of("run-start"), of("target-start"), of("run-end")), (1, 1, 1));
    assert!(of("call") > 10);
    assert_eq!(of("call"), of("reply"));
    let mut open = std::collections::BTreeSet::new();
    for event in &events {
        match event["kind"].as_str() {
            Some("call") => assert!(open.insert(event["call"].as_u64()), "a call has a number of its own: {event}"),
            Some("reply") => assert!(open.remove(&event["call"].as_u64()), "an answer follows its call: {event}"),
            _ => {}
        }
    }
    let start = events.iter().find(|event| event["kind"] == "target-start").expect("a start");
    assert_eq!(start["slots"]["http.api"]["to"], warehouse.url.as_str());
    assert!(start["connector"]["sha256"].as_str().is_some_and(|digest| digest.len() == 64));
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    assert!(!log.contains(&warehouse.token), "the token stands in the log");
    let people = place.list("/sources/warehouse/users");
    for person in people.iter().take(20) {
        let name = person["user-name"].as_str().expect("a name");
        assert!(!log.contains(&format!("\"{name}\"")), "{name} stands in the log");
    }
}

/// Runs one of the programs in Python that need nothing of raito, and gives its exit code and what it said.
fn python(place: &Place, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(program);
    let mut command = Command::new("python3");
    command.arg("-B").arg(program).args(arguments).current_dir(place.path());
    let output = command.output().expect("python3 is there");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).expect("UTF-8"))
}

/// Writes the log anew from these lines, so that its chain holds, as whoever owns the folder can.
fn forge(place: &Place, lines: &[&str]) {
    const CHAIN: &str = "
import hashlib, re, sys
prev, log = '0' * 64, open(sys.argv[1], 'wb')
for line in sys.stdin.buffer.read().splitlines():
    line = re.sub(b'\"prev\":\"[0-9a-f]{64}\"', b'\"prev\":\"' + prev.encode() + b'\"', line, count=1)
    prev = hashlib.sha256(line).hexdigest()
    log.write(line + b'\\n')
";
    use std::io::Write as _;
    let mut command = Command::new("python3");
    command.args(["-c", CHAIN]).arg(place.audit_log()).stdin(std::process::Stdio::piped());
    let mut child = command.spawn().expect("python3 is there");
    child.stdin.take().expect("piped").write_all((lines.join("\n") + "\n").as_bytes()).expect("taken");
    assert!(child.wait().expect("ours").success());
    let folder = place.path().join(".raito/audit");
    for beside in ["head.json", "checkpoints"] {
        // A log that was forged before has none any more.
        let _ = fs::remove_file(folder.join(beside));
    }
}

/// What `raito audit verify` and the program in Python say of a log, which must be the same; with the exit codes of both.
#[track_caller]
fn verdict(place: &Place, key: &str, anchor: &str) -> (Option<i32>, String) {
    let raito = place.raito(&["audit", "verify", "--key", key, "--anchor", anchor]);
    let (code, said) = python(place, "verify_audit.py", &[".raito/audit/log.jsonl", key, anchor]);
    assert_eq!(raito.code, code, "raito:\n{}{}\npython:\n{said}", raito.stdout, raito.stderr);
    (code, raito.stderr + &said)
}

#[test]
fn a_program_that_knows_nothing_of_raito_finds_what_raito_finds() {
    let warehouse = Warehouse::serve(&["--seed", "8", "--tables", "20"]);
    let place = warehouse.place("");
    let report = place.run(&[]);
    // What the run printed at its end is an anchor too, without a signature.
    let root = report["audit"]["root"].as_str().expect("a root");
    let key = place.raito(&["audit", "key"]).exits(0).stdout.trim().to_owned();
    place.write("anchor", place.raito(&["audit", "checkpoint"]).exits(0).stdout);
    let anchored = fs::read_to_string(place.audit_log()).expect("a log").lines().count();
    place.run(&[]);
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((verdict(&place, &key, "anchor").0, verdict(&place, &key, root).0), (Some(0), Some(0)));
    assert!(place.raito(&["audit", "verify"]).stdout.contains("not anchored"));

    let changed = log.replacen("\"kind\":\"reply\"", "\"kind\":\"repli\"", 1);
    fs::write(place.audit_log(), changed).expect("writable");
    let (code, said) = verdict(&place, &key, "anchor");
    assert_eq!(code, Some(1));
    assert_eq!(said.matches("does not follow the line before").count(), 2, "{said}");

    forge(&place, &lines[..anchored - 1]);
    let (code, said) = verdict(&place, &key, "anchor");
    assert_eq!((code, verdict(&place, &key, root).0), (Some(1), Some(1)));
    assert_eq!(said.matches(&format!("ends with line {}", anchored - 1)).count(), 2, "{said}");
    place.raito(&["audit", "verify"]).exits(0);

    let line = lines[5].replacen("\"v\":1", "\"v\":2", 1);
    let forged = [&lines[..5], &[&line], &lines[6..]].concat();
    forge(&place, &forged);
    let (code, said) = verdict(&place, &key, "anchor");
    assert_eq!((code, verdict(&place, &key, root).0), (Some(1), Some(1)));
    assert!(said.contains(&format!("lines 1 to {anchored} are not what an anchor")), "{said}");
    assert!(said.contains(&format!("the first {anchored} lines are not those that the anchor signs")), "{said}");
    place.raito(&["audit", "verify"]).exits(0);

    place.write("anchor", fs::read_to_string(place.path().join("anchor")).expect("ours").replacen("\n1", "\n2", 1));
    assert!(place.raito(&["audit", "verify", "--anchor", "anchor"]).exits(2).stderr.contains("E-anchor"));
    assert_eq!(python(&place, "verify_audit.py", &[".raito/audit/log.jsonl", &key, "anchor"]).0, Some(1));
}

#[test]
fn the_cloud_keeps_what_the_log_was_when_a_run_ended() {
    let warehouse = Warehouse::serve(&["--seed", "9", "--tables", "20"]);
    let place = warehouse.place("");
    let report = place.run(&[]);
    let lines = fs::read_to_string(place.audit_log()).expect("a log").lines().count();
    assert_eq!(report["audit"]["lines"], lines);
    let root = report["audit"]["root"].as_str().expect("a root");
    place.raito(&["audit", "verify", "--anchor", root]).exits(0);
    let anchored = place.events().into_iter().find(|event| event["kind"] == "anchored").expect("it is on record");
    let run = place.get(&format!("/runs/{}", anchored["cloud-run"].as_str().expect("an id")));
    let kept = run["checkpoint"].as_str().expect("a checkpoint");
    let said: Vec<&str> = kept.lines().collect();
    assert_eq!((said[1], said[2]), (anchored["size"].to_string().as_str(), anchored["root"].as_str().expect("a hash")));
    let outcome = place.raito(&["audit", "verify", "--anchor", kept, "--output", "json"]).exits(0);
    assert_eq!(outcome.value()["anchored"], anchored["size"]);
    // Between the checkpoint that the cloud keeps and the end of the run stand three lines: that one, and two ends.
    assert_eq!(anchored["size"], lines - 3);
}

#[test]
fn a_line_is_proved_to_somebody_without_the_log() {
    let warehouse = Warehouse::serve(&["--seed", "10", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let key = place.raito(&["audit", "key"]).exits(0).stdout.trim().to_owned();
    let log = fs::read_to_string(place.audit_log()).expect("a log");
    let size = log.lines().count();
    let prove = |at: usize| place.raito(&["audit", "prove", "--seq", &(at + 1).to_string()]).exits(0).stdout;
    let verify = |proof: &str| {
        place.write("line.tlog-proof", proof);
        python(&place, "verify_proof.py", &["line.tlog-proof", &key])
    };
    let called = |proof: &str, at: usize, other: usize| {
        let (code, said) = verify(&proof.replacen(&format!("index {at}\n"), &format!("index {other}\n"), 1));
        assert_eq!(code, Some(1), "line {} as {}: {said}", at + 1, other + 1);
    };
    for (at, line) in log.lines().enumerate().step_by(7) {
        let proof = prove(at);
        let (code, said) = verify(&proof);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(line), "{said}");
        called(&proof, at, at + 1);
    }
    for at in [0, size / 2, size - 1] {
        let proof = prove(at);
        // The end of the log, and numbers that lead the same way up.
        for other in [size, at + size.next_power_of_two(), at + 2 * size.next_power_of_two()] {
            called(&proof, at, other);
        }
        assert_eq!(verify(&proof.replacen("@v1", "@v2", 1)).0, Some(1), "another form");
    }
    place.raito(&["audit", "prove", "--seq", "100000"]).exits(2).says(&["covers"]);
    place.run(&[]);
    let size = size.to_string();
    let grown = place.raito(&["audit", "prove", "--since", &size]).exits(0).stdout;
    assert!(grown.starts_with(&format!("old {size}\n")), "{grown}");
}
