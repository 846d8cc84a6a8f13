//! Files of an audit log that somebody wrote.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use raito_audit::{Anchors, CHECKPOINTS_FILE, HEAD_FILE, LOG_FILE, Log, PUBLIC_KEY_FILE, PublicKey, verify};
use raito_core::event::Event;
use raito_core::ports::{Clock, Ledger as _};
use raito_core::text::RunId;
use tempfile::TempDir;

struct Noon;
impl Clock for Noon {
    fn now_ms(&self) -> u64 {
        1_767_268_800_000
    }
}

/// A log that is sound, with its files.
struct Sound {
    folder: TempDir,
    files: Vec<(&'static str, Vec<u8>)>,
}

thread_local! {
    static SOUND: RefCell<Option<Sound>> = const { RefCell::new(None) };
}

fn open(folder: &Path) -> Option<Log> {
    let run = RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID");
    Log::open(folder, run, Arc::new(Noon)).ok()
}

fn append(log: &Log) {
    let event = Event::TargetEnd { target: "t".into(), outcome: "completed".into() };
    log.append(&event).expect("written");
}

fn sound() -> Sound {
    let folder = tempfile::tempdir().expect("a folder");
    let log = open(folder.path()).expect("a new log");
    for _ in 0..3 {
        append(&log);
        log.checkpoint().expect("signed");
    }
    let files = [LOG_FILE, CHECKPOINTS_FILE, HEAD_FILE, PUBLIC_KEY_FILE];
    let files = files.map(|name| (name, fs::read(folder.path().join(name)).expect("a file")));
    Sound { folder, files: files.into() }
}

/// One file of a log, which one the first byte says, with the others as they were written; or an anchor, or a key. What
/// verifies is gone on with, and verifies then as well.
pub fn audit(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Anchors::default().add(text);
        let _ = text.parse::<PublicKey>().map(|key| assert_eq!(key.to_string(), text));
    }
    SOUND.with_borrow_mut(|kept| {
        let sound = kept.get_or_insert_with(sound);
        let folder = sound.folder.path();
        let which = usize::from(*which) % sound.files.len();
        for (at, (name, written)) in sound.files.iter().enumerate() {
            fs::write(folder.join(name), if at == which { bytes } else { written }).expect("writable");
        }
        let Ok(report) = verify(folder, None, &Anchors::default()) else { return };
        assert!(report.signed <= report.root.size);
        if let Some(log) = open(folder) {
            append(&log);
            drop(log);
            let after = verify(folder, None, &Anchors::default()).expect("it goes on");
            assert!(after.root.size > report.root.size);
        }
    });
}
