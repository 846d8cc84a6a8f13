//! Verifying the log: that it is what was written, line by line, from the first to the last that was known to be whole.

use std::collections::BTreeMap;
use std::path::Path;

use raito_core::digest::Digest;

use crate::head::Head;
use crate::log::GENESIS;
use crate::read::{Line, ReadError, lines};

/// Why a log is not what was written.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A line does not follow the one before.
    #[error(
        "line {line} does not follow the line before: that one, or this one, was changed, or lines were taken out between them"
    )]
    Chain {
        /// The line.
        line: u64,
    },
    /// A number is missing or comes twice.
    #[error("line {line} has the number {found}, and {expected} comes next: lines were taken out or put in")]
    Number {
        /// The line.
        line: u64,
        /// The number that it has.
        found: u64,
        /// The number that comes next.
        expected: u64,
    },
    /// The log is shorter than it was.
    #[error(
        "the log ends with number {found}, and it had {expected} when it was last known to be whole: its end was cut off"
    )]
    CutOff {
        /// The last number.
        found: u64,
        /// The number that there was.
        expected: u64,
    },
    /// The last known line is another one.
    #[error("number {seq} is not the line that it was when the log was last known to be whole: it was changed")]
    Changed {
        /// The number.
        seq: u64,
    },
}

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// Its id.
    pub run: String,
    /// When it began.
    pub began: String,
    /// Its lines.
    pub lines: u64,
    /// How it ended; none where a crash ended it, or where it is still going on.
    pub outcome: Option<String>,
}

/// What a log that verifies holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Its lines.
    pub lines: u64,
    /// The digest of the last line.
    pub head: Digest,
    /// Its runs, in order.
    pub runs: Vec<RunReport>,
    /// How many events of each kind there are.
    pub kinds: BTreeMap<String, u64>,
    /// Whether a last line stands there that a crash cut short.
    pub torn: bool,
}

/// Verifies the log in a folder.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn verify(folder: &Path) -> Result<Report, VerifyError> {
    let head = Head::read(folder).map_err(ReadError::Io)?;
    let mut report = Report { lines: 0, head: GENESIS, runs: Vec::new(), kinds: BTreeMap::new(), torn: false };
    for line in lines(folder)? {
        let line = match line {
            Err(ReadError::Torn { .. }) => {
                report.torn = true;
                break;
            }
            line => line?,
        };
        if line.prev != report.head {
            return Err(VerifyError::Chain { line: line.line });
        }
        if line.seq != report.lines + 1 {
            return Err(VerifyError::Number { line: line.line, found: line.seq, expected: report.lines + 1 });
        }
        if head.is_some_and(|head| head.seq == line.seq && head.sha256 != line.digest) {
            return Err(VerifyError::Changed { seq: line.seq });
        }
        report.lines = line.seq;
        report.head = line.digest;
        *report.kinds.entry(line.kind.clone()).or_default() += 1;
        count(&mut report.runs, &line);
    }
    match head {
        Some(head) if head.seq > report.lines => Err(VerifyError::CutOff { found: report.lines, expected: head.seq }),
        _ => Ok(report),
    }
}

fn count(runs: &mut Vec<RunReport>, line: &Line) {
    let known = runs.last_mut().filter(|run| run.run == line.run);
    let run = match known {
        Some(run) => run,
        None => {
            runs.push(RunReport { run: line.run.clone(), began: line.time.clone(), lines: 0, outcome: None });
            runs.last_mut().expect("one was just put there")
        }
    };
    run.lines += 1;
    if line.kind == "run-end" {
        run.outcome = line.value.get("outcome").and_then(|outcome| outcome.as_str()).map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use raito_core::event::Event;
    use raito_core::ports::{Clock, Ledger as _};
    use raito_core::text::RunId;

    use super::*;
    use crate::{HEAD_FILE, LOG_FILE, Log};

    struct Noon;
    impl Clock for Noon {
        fn now_ms(&self) -> u64 {
            1_767_268_800_000
        }
    }

    fn run() -> RunId {
        RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID")
    }

    fn open(folder: &Path) -> Log {
        Log::open(folder, run(), Arc::new(Noon)).expect("opens")
    }

    /// Writes a log of some lines, and gives its text.
    fn written(folder: &Path) -> Vec<u8> {
        let log = open(folder);
        for index in 0..6 {
            log.append(&Event::TargetEnd { target: format!("t{index}"), outcome: "completed".into() })
                .expect("written");
        }
        log.append(&Event::RunEnd { outcome: "completed".into(), exit: 0 }).expect("written");
        log.sync().expect("synced");
        fs::read(folder.join(LOG_FILE)).expect("readable")
    }

    #[test]
    fn what_was_written_verifies() {
        let folder = tempfile::tempdir().expect("a folder");
        written(folder.path());
        let report = verify(folder.path()).expect("verifies");
        assert_eq!(report.lines, 7);
        assert_eq!(report.runs[0].outcome.as_deref(), Some("completed"));
        let again = open(folder.path());
        again.append(&Event::RunEnd { outcome: "failed".into(), exit: 1 }).expect("written");
        assert_eq!(verify(folder.path()).expect("goes on").lines, 8);
    }

    #[test]
    fn every_changed_byte_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = written(folder.path());
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            fs::write(folder.path().join(LOG_FILE), &changed).expect("writable");
            assert!(verify(folder.path()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn every_removed_line_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = String::from_utf8(written(folder.path())).expect("UTF-8");
        let lines: Vec<&str> = text.lines().collect();
        for without in 0..lines.len() {
            let rest: Vec<&str> =
                lines.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, line)| *line).collect();
            fs::write(folder.path().join(LOG_FILE), format!("{}\n", rest.join("\n"))).expect("writable");
            assert!(verify(folder.path()).is_err(), "line {}", without + 1);
        }
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_taken_off_and_that_is_on_record() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut text = written(folder.path());
        text.extend_from_slice(b"{\"v\":1,\"seq\":8,\"t\":");
        fs::write(folder.path().join(LOG_FILE), &text).expect("writable");
        assert!(verify(folder.path()).expect("everything before is whole").torn);
        drop(open(folder.path()));
        let report = verify(folder.path()).expect("verifies again");
        assert_eq!((report.kinds.get("recovered"), report.torn), (Some(&1), false));
    }

    #[test]
    fn a_second_writer_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = open(folder.path());
        assert!(matches!(Log::open(folder.path(), run(), Arc::new(Noon)), Err(crate::OpenError::Busy(_))));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        drop(open(folder.path()));
        fs::set_permissions(folder.path().join(crate::KEY_FILE), fs::Permissions::from_mode(0o644)).expect("allowed");
        assert!(matches!(Log::open(folder.path(), run(), Arc::new(Noon)), Err(crate::OpenError::KeyMode(_))));
        assert!(folder.path().join(HEAD_FILE).metadata().is_err(), "nothing was synced");
    }
}
