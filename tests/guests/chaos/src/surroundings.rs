//! What a guest learns of where it runs, by the ways that a standard library has.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use raito_sdk::{Fault, FaultKind, clock, fault, state};

/// Everything that can be found out without files and sockets, with which a component would not be loaded. In one line.
pub(crate) fn told() -> String {
    let arguments = std::env::args_os().count();
    let variables = std::env::vars_os().count();
    let thread = if std::thread::Builder::new().spawn(|| {}).is_ok() { "a thread" } else { "no thread" };
    let input = std::io::stdin().read(&mut [0; 16]).unwrap_or_default();
    let began = Instant::now();
    let work: u64 = (0..1_000_000).map(std::hint::black_box).sum();
    let passed = began.elapsed().as_nanos();
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis();
    let finer = clock::now() % 1_000;
    let random = RandomState::new().hash_one(work);
    format!(
        "{arguments} arguments, {variables} variables, {thread}, {input} bytes of input, {passed} ns passed, {since_1970} ms since \
         1970, {finer} ms within the second, random {random:x}"
    )
}

/// Leaves a mark in its memory and in its state of this step, and says where it finds one that somebody else left.
pub(crate) fn leave_a_mark(step: &str) -> Result<(), Fault> {
    static MARKED: AtomicBool = AtomicBool::new(false);
    let found = |what: &str| Err(fault(FaultKind::Internal, format!("a mark was in {what}")));
    if MARKED.swap(true, Ordering::Relaxed) {
        return found("the memory");
    }
    if state::get(step).is_some() {
        return found("the state");
    }
    state::set(step, b"a mark")
}
