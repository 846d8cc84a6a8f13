//! What the record costs: appending with chain and tree, signing a checkpoint, opening a long log, and verifying it. Prints
//! one line for each; `host/docs/performance.md` has them.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raito_audit::{Anchors, HEAD_FILE, LOG_FILE, Log, verify};
use raito_core::digest::{Digest, Hasher};
use raito_core::event::{Event, Place};
use raito_core::ports::{Clock, Ledger as _};
use raito_core::step::Step;
use raito_core::text::RunId;
use raito_core::vocabulary::Mode;

/// Lines of the log, most of which are calls and their answers.
const LINES: u64 = 500_000;

struct Noon;
impl Clock for Noon {
    fn now_ms(&self) -> u64 {
        1_767_268_800_000
    }
}

fn open(folder: &Path) -> Log {
    let run = RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID");
    Log::open(folder, run, Arc::new(Noon)).expect("opens")
}

fn call(number: u64) -> Event {
    Event::Call {
        place: Place { target: "warehouse".into(), step: Step::DataSource },
        call: number,
        slot: "http.api".into(),
        entry: "tables".into(),
        mode: Mode::Read,
        at: None,
        arguments: format!("hmac-sha256:{}", Digest::ZERO),
        bytes: 120,
        statement: None,
        secrets: vec!["token".into()],
    }
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let done = act();
    (done, began.elapsed())
}

fn each(all: Duration) -> String {
    format!("{:.2} µs a line", all.as_secs_f64() * 1e6 / LINES as f64)
}

/// What the tree adds to a line: the digest of the leaf, and that of one inner node.
fn of_the_tree(line: &[u8]) -> Duration {
    let began = Instant::now();
    for _ in 0..LINES {
        let mut hasher = Hasher::default();
        hasher.update(&[0]);
        hasher.update(black_box(line));
        black_box(hasher.finish());
        black_box(Digest::of(black_box(&[1; 65])));
    }
    began.elapsed()
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path());
    let ((), appended) = timed(|| (0..LINES).for_each(|number| log.append(&call(number)).expect("written")));
    let text = fs::read(folder.path().join(LOG_FILE)).expect("a log");
    let line = text.split(|byte| *byte == b'\n').next().expect("a line");
    println!("append, lines of {} bytes: {}", line.len(), each(appended));
    println!("of that, the tree: {}", each(of_the_tree(line)));
    log.sync().expect("synced");
    let (_, signed) = timed(|| log.checkpoint().expect("signed"));
    println!("sign a checkpoint, with two syncs: {signed:.2?}");
    drop(log);
    let (log, opened) = timed(|| open(folder.path()));
    println!("open a log of {LINES} lines: {opened:.2?}");
    drop(log);
    fs::remove_file(folder.path().join(HEAD_FILE)).expect("there");
    let (log, rebuilt) = timed(|| open(folder.path()));
    println!("open it without its head, so that the tree is made anew: {rebuilt:.2?}");
    drop(log);
    let (report, verified) = timed(|| verify(folder.path(), None, &Anchors::default()).expect("verifies"));
    println!("verify it: {verified:.2?}, {}", each(verified));
    assert_eq!((report.root.size, report.signed), (LINES, LINES));
}
