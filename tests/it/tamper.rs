//! The record proves itself: whatever is changed in it afterwards is found.

use std::fs;

use crate::support::{Random, Warehouse};

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
