//! Verifying the log: that it is what was written, line by line, from the first to the last that was known to be whole, and
//! what its owner signed; and, held against anchors, that it is what it was when those were handed out.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::iter::Peekable;
use std::path::Path;

use raito_core::checkpoint::{Root, SignedCheckpoint};
use raito_core::digest::Digest;

use crate::PUBLIC_KEY_FILE;
use crate::anchor::{Anchor, Anchors};
use crate::checkpoints::{NoteError, checkpoints};
use crate::head::Head;
use crate::log::GENESIS;
use crate::read::{Line, ReadError, lines};
use crate::signature::{NotAKey, PublicKey, SignatureError};
use crate::tree::Tree;

/// Who says what the log was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `head.json`, beside the log.
    Head,
    /// A checkpoint, beside the log.
    Checkpoint,
    /// An anchor, from elsewhere.
    Anchor,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Head => "head.json",
            Self::Checkpoint => "a checkpoint beside it",
            Self::Anchor => "an anchor",
        })
    }
}

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
    #[error("the log ends with line {found}, and {said_by} has {expected}: its end was cut off")]
    CutOff {
        /// The last line.
        found: u64,
        /// The lines that there were.
        expected: u64,
        /// Who says so.
        said_by: Source,
    },
    /// The last known line is another one.
    #[error("line {seq} is not the one that head.json has: one of the two was changed")]
    Changed {
        /// The line.
        seq: u64,
    },
    /// The lines are not those that were signed.
    #[error(
        "lines {from} to {to} are not what {said_by} of {to} lines says they were: one of them was changed, put in or taken out, and the chain was written anew"
    )]
    Rewritten {
        /// The first line that may be another one: everything before was confirmed.
        from: u64,
        /// The last.
        to: u64,
        /// Who says so.
        said_by: Source,
    },
    /// The file of checkpoints is not what was written.
    #[error("in the file of checkpoints: {0}")]
    Notes(#[from] NoteError),
    /// Checkpoints stand in another order than they were made.
    #[error("in the file of checkpoints, that of {size} lines stands behind a larger one, or twice")]
    Order {
        /// Lines of the checkpoint.
        size: u64,
    },
    /// A checkpoint is not signed by the log's key.
    #[error("the checkpoint of {size} lines: {error}")]
    Unsigned {
        /// Lines of the checkpoint.
        size: u64,
        /// Why not.
        error: SignatureError,
    },
    /// An anchor is not signed by the log's key.
    #[error("the anchor of {size} lines: {error}")]
    UnsignedAnchor {
        /// Lines of the anchor.
        size: u64,
        /// Why not.
        error: SignatureError,
    },
    /// There are checkpoints, and no key to check their signatures with.
    #[error("no public key stands beside the log: give that of its owner")]
    NoKey,
    /// The file of the public key holds none.
    #[error("the file of the public key: {0}")]
    Key(#[from] NotAKey),
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
    /// Its lines, with the root over them.
    pub root: Root,
    /// The digest of the last line.
    pub head: Digest,
    /// The key that its checkpoints were verified with; none where there are none, and no key.
    pub key: Option<PublicKey>,
    /// The checkpoints beside it.
    pub checkpoints: u64,
    /// Lines that the newest of them signs.
    pub signed: u64,
    /// Lines that the largest anchor confirms; none where no anchor was given.
    pub anchored: Option<u64>,
    /// Its runs, in order.
    pub runs: Vec<RunReport>,
    /// How many events of each kind there are.
    pub kinds: BTreeMap<String, u64>,
    /// Whether a last line stands there that a crash cut short.
    pub torn: bool,
}

/// Bytes of a file with a public key, which has some hundred.
const PUBLIC_KEY_BYTES: usize = 4 * 1_024;

/// The public key that stands beside the log in a folder; none where there is none.
///
/// # Errors
/// Where the file cannot be read or holds something else.
pub fn public_key(folder: &Path) -> Result<Option<PublicKey>, VerifyError> {
    let bytes = raito_file::read_if_there(&folder.join(PUBLIC_KEY_FILE), PUBLIC_KEY_BYTES).map_err(ReadError::Io)?;
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes)
        .map_err(|_| ReadError::Io(io::Error::new(io::ErrorKind::InvalidData, "the public key is not UTF-8")))?;
    Ok(Some(text.trim_end().parse()?))
}

/// Verifies the log in a folder: its chain, its head, the checkpoints beside it, and that it begins with what the anchors
/// say. Signatures are checked with `key`; without one, with the key beside the log, which then is believed.
///
/// # Errors
/// The first thing that is not as it was written.
pub fn verify(folder: &Path, key: Option<PublicKey>, anchors: &Anchors) -> Result<Report, VerifyError> {
    let key = match key {
        Some(key) => Some(key),
        None => public_key(folder)?,
    };
    signed_anchors(anchors, key.as_ref())?;
    let head = Head::read(folder).map_err(ReadError::Io)?;
    let mut walk = Walk {
        tree: Tree::default(),
        head: GENESIS,
        confirmed: 0,
        anchors: anchors.iter().map(Anchor::root).peekable(),
        stored: checkpoints(folder)?.take_while(|read| !matches!(read, Err(NoteError::Torn { .. }))).peekable(),
        checkpoints: 0,
        signed: 0,
        key: key.as_ref(),
    };
    let (mut runs, mut kinds, mut torn): (Vec<RunReport>, BTreeMap<String, u64>, bool) = Default::default();
    walk.meet()?;
    for line in lines(folder)? {
        let line = match line {
            Err(ReadError::Torn { .. }) => {
                torn = true;
                break;
            }
            line => line?,
        };
        walk.step(&line, head.as_ref())?;
        *kinds.entry(line.kind.clone()).or_default() += 1;
        count(&mut runs, &line)?;
    }
    walk.end(head.as_ref())?;
    let (root, head, checkpoints, signed) = (walk.tree.root(), walk.head, walk.checkpoints, walk.signed);
    let anchored = anchors.iter().last().map(|anchor| anchor.root().size);
    Ok(Report { root, head, key, checkpoints, signed, anchored, runs, kinds, torn })
}

fn signed_anchors(anchors: &Anchors, key: Option<&PublicKey>) -> Result<(), VerifyError> {
    for anchor in anchors.iter() {
        if let Anchor::Signed(checkpoint) = anchor {
            let size = checkpoint.checkpoint().root.size;
            let verified = key.ok_or(VerifyError::NoKey)?.verify(checkpoint);
            verified.map_err(|error| VerifyError::UnsignedAnchor { size, error })?;
        }
    }
    Ok(())
}

/// A walk along the log, from its first line, that meets anchors and checkpoints at their sizes.
struct Walk<'k, A: Iterator, S: Iterator> {
    tree: Tree,
    head: Digest,
    /// Lines that an anchor or a checkpoint confirmed.
    confirmed: u64,
    anchors: Peekable<A>,
    stored: Peekable<S>,
    checkpoints: u64,
    signed: u64,
    key: Option<&'k PublicKey>,
}

impl<A, S> Walk<'_, A, S>
where
    A: Iterator<Item = Root>,
    S: Iterator<Item = Result<SignedCheckpoint, NoteError>>,
{
    /// Goes on by one line.
    fn step(&mut self, line: &Line, head: Option<&Head>) -> Result<(), VerifyError> {
        if line.prev != self.head {
            return Err(VerifyError::Chain { line: line.line });
        }
        if line.seq != self.tree.size() + 1 {
            let expected = self.tree.size() + 1;
            return Err(VerifyError::Number { line: line.line, found: line.seq, expected });
        }
        self.tree.push(line.leaf);
        self.head = line.digest;
        let another = |head: &Head| head.sha256 != line.digest || head.tree().as_ref() != Some(&self.tree);
        if head.is_some_and(|head| head.seq == line.seq && another(head)) {
            return Err(VerifyError::Changed { seq: line.seq });
        }
        self.meet()
    }

    /// Holds the lines so far against every anchor and checkpoint of so many lines.
    fn meet(&mut self) -> Result<(), VerifyError> {
        let size = self.tree.size();
        while let Some(anchor) = self.anchors.next_if(|anchor| anchor.size == size) {
            self.confirm(anchor, Source::Anchor)?;
        }
        while let Some(stored) =
            self.stored.next_if(|stored| stored.as_ref().is_ok_and(|it| it.checkpoint().root.size <= size))
        {
            let stored = stored?;
            let root = stored.checkpoint().root;
            if root.size < size || (self.checkpoints > 0 && self.signed == size) {
                return Err(VerifyError::Order { size: root.size });
            }
            let verified = self.key.ok_or(VerifyError::NoKey)?.verify(&stored);
            verified.map_err(|error| VerifyError::Unsigned { size, error })?;
            self.confirm(root, Source::Checkpoint)?;
            self.checkpoints += 1;
            self.signed = size;
        }
        Ok(())
    }

    fn confirm(&mut self, root: Root, source: Source) -> Result<(), VerifyError> {
        if root != self.tree.root() {
            return Err(VerifyError::Rewritten { from: self.confirmed + 1, to: root.size, said_by: source });
        }
        self.confirmed = root.size;
        Ok(())
    }

    /// Says what should still have come.
    fn end(&mut self, head: Option<&Head>) -> Result<(), VerifyError> {
        let found = self.tree.size();
        let cut_off = |expected, said_by| Err(VerifyError::CutOff { found, expected, said_by });
        if let Some(anchor) = self.anchors.next() {
            return cut_off(anchor.size, Source::Anchor);
        }
        if let Some(stored) = self.stored.next() {
            return cut_off(stored?.checkpoint().root.size, Source::Checkpoint);
        }
        match head {
            Some(head) if head.seq > found => cut_off(head.seq, Source::Head),
            _ => Ok(()),
        }
    }
}

fn count(runs: &mut Vec<RunReport>, line: &Line) -> Result<(), ReadError> {
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
        run.outcome = line.value()?.get("outcome").and_then(|outcome| outcome.as_str()).map(str::to_owned);
    }
    Ok(())
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

    fn verify(folder: &Path) -> Result<Report, VerifyError> {
        super::verify(folder, None, &Anchors::default())
    }

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
        assert_eq!(report.root.size, 7);
        assert_eq!(report.runs[0].outcome.as_deref(), Some("completed"));
        let again = open(folder.path());
        again.append(&Event::RunEnd { outcome: "failed".into(), exit: 1 }).expect("written");
        assert_eq!(verify(folder.path()).expect("goes on").root.size, 8);
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
