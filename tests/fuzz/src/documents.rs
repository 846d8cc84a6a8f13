//! Documents in JSON that come from elsewhere, and filters of directories.

use raito_access::applied::Applied;
use raito_access::export::read_snapshot;
use raito_access::plan::Plan;
use raito_conformance::Scenario;
use raito_core::upload::Line;
use raito_core::vocabulary::Filter;

/// A text as each document in JSON: a line of an upload, a plan, a snapshot, an applied state, a
/// scenario. What is read can be written and read again.
pub fn documents(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(line) = serde_json::from_slice::<Line>(data) {
        let mut written = Vec::new();
        line.write(&mut written);
        assert_eq!(serde_json::from_slice::<Line>(&written).ok(), Some(line), "a line is not what was written");
    }
    if let Ok(plan) = Plan::parse(text) {
        assert!(Plan::parse(&plan.text()).is_ok(), "a plan does not read back");
    }
    if let Ok(state) = Applied::parse(text) {
        assert!(Applied::parse(&state.text()).is_ok(), "a state does not read back");
    }
    if let Ok(scenario) = Scenario::parse(text) {
        assert!(Scenario::parse(&scenario.text()).is_ok(), "a scenario does not read back");
    }
    let _ = read_snapshot(text);
}

/// A filter of a search (RFC 4515).
pub fn filters(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Filter::parse(text) {
        assert!(!error.to_string().is_empty(), "refused, and nobody knows why");
    }
}
