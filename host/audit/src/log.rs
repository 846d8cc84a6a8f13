//! Writing the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use raito_core::checkpoint::SignedCheckpoint;
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::limits;
use raito_core::ports::{Clock, Ledger, LedgerError};
use raito_core::text::RunId;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::checkpoints::Checkpoints;
use crate::head::Head;
use crate::keys::{Key, key, replace};
use crate::position::Position;
use crate::signature::Signer;
use crate::tree::leaf;
use crate::{KEY_FILE, LOG_FILE, PUBLIC_KEY_FILE, SIGNING_KEY_FILE};

/// Version of the line's form.
pub(crate) const VERSION: u8 = 1;
/// What the first line has for the digest of the line before.
pub(crate) const GENESIS: Digest = Digest::ZERO;

/// Why the log cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system says no.
    #[error("cannot {what} {}: {error}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Another process writes to it.
    #[error("another raito writes to the audit log {}", .0.display())]
    Busy(PathBuf),
    /// It is not the log that was written here before.
    #[error(
        "the audit log {} is not the one that was written: {what}. Nothing is added to it: run `raito audit verify`, keep a copy, and move its folder away to begin a new one",
        path.display()
    )]
    Another {
        /// The log.
        path: PathBuf,
        /// In which way.
        what: String,
    },
    /// The file of checkpoints holds something else.
    #[error("{} holds no checkpoints: run `raito audit verify`, and move its folder away to begin a new log", .0.display())]
    Damaged(PathBuf),
    /// The file of a key holds none.
    #[error("{} holds no key of 32 bytes: move its folder away to begin a new log", .0.display())]
    NoKey(PathBuf),
    /// The key is another user's, who knows it.
    #[error("{} belongs to another user: move its folder away to begin a new log", .0.display())]
    KeyOwner(PathBuf),
    /// The key can be read by others.
    #[error("{} can be read by others: chmod 600 it", .0.display())]
    KeyMode(PathBuf),
}

/// One line.
#[derive(Serialize)]
struct Written<'e> {
    v: u8,
    seq: u64,
    t: String,
    run: &'e str,
    prev: Digest,
    #[serde(flatten)]
    event: &'e Event,
}

struct Inner {
    file: File,
    end: Position,
    /// Bytes that were written since the log was opened.
    bytes: u64,
    checkpoints: Checkpoints,
    newest: Option<SignedCheckpoint>,
    /// After a failed write nothing more is written: what follows could not be trusted.
    failed: Option<String>,
}

/// The log, open for one run.
pub struct Log {
    folder: PathBuf,
    run: RunId,
    key: Key,
    signer: Signer,
    clock: Arc<dyn Clock>,
    /// How far the clock went back since the line before this run.
    went_back: Option<Duration>,
    inner: Mutex<Inner>,
}

pub(crate) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_path_buf();
    move |error| OpenError::Io { what, path, error }
}

impl Log {
    /// Opens the log of a folder for one run, and makes it where there is none. A last line that a crash cut short is
    /// taken off, and that goes on record as the first event.
    ///
    /// # Errors
    /// `OpenError` where it cannot be written, is in use, or is no log.
    pub fn open(folder: &Path, run: RunId, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error("make", folder))?;
        let path = folder.join(LOG_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(OpenError::Busy(path)),
            Err(error) => return Err(OpenError::Io { what: "lock", path, error: error.into() }),
        }
        let signer = signer(folder)?;
        let torn = take_off_torn_line(&mut file).map_err(io_error("read", &path))?;
        let head = Head::read(folder).map_err(io_error("read the head of", folder))?;
        let (checkpoints, newest) = Checkpoints::open(folder)?;
        let signed = newest.as_ref().map(|newest| newest.checkpoint().root);
        let end = Position::find(&mut file, &path, head, signed)?;
        let back = clock_back(&mut file, clock.now_ms()).map_err(io_error("read", &path))?;
        let inner = Mutex::new(Inner { file, end, bytes: 0, checkpoints, newest, failed: None });
        let went_back = back.as_ref().map(|(_, by_ms)| Duration::from_millis(*by_ms));
        let key = key(folder, KEY_FILE)?;
        let log = Self { folder: folder.to_path_buf(), run, key, signer, clock, went_back, inner };
        let recovered = torn.map(|(bytes, sha256)| Event::Recovered { bytes, sha256 });
        let back = back.map(|(before, by_ms)| Event::ClockBack { before, by_ms });
        for event in recovered.into_iter().chain(back) {
            let written = log.append(&event);
            written.map_err(|error| OpenError::Io {
                what: "write",
                path: path.clone(),
                error: io::Error::other(error.0),
            })?;
        }
        Ok(log)
    }

    /// How far the clock went back since the line before this run, where that is worth telling:
    /// once, since the lines of this run have the time of now.
    pub fn went_back(&self) -> Option<Duration> {
        self.went_back
    }

    /// The digest of the last line.
    pub fn head(&self) -> Digest {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).end.prev
    }

    fn write(&self, inner: &mut Inner, event: &Event) -> Result<(), Failed> {
        let line = Written {
            v: VERSION,
            seq: inner.end.tree.size() + 1,
            t: rfc3339(self.clock.now_ms()),
            run: self.run.as_str(),
            prev: inner.end.prev,
            event,
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| Failed::from(error.to_string()))?;
        if bytes.len() >= limits::AUDIT_LINE_BYTES {
            let reason =
                format!("a line has {} bytes, and at most {} are allowed", bytes.len(), limits::AUDIT_LINE_BYTES);
            return Err(Failed { reason, lasting: false });
        }
        if inner.bytes + bytes.len() as u64 > limits::AUDIT_RUN_BYTES {
            return Err(format!("one run wrote more than {} bytes", limits::AUDIT_RUN_BYTES).into());
        }
        let (digest, leaf) = (Digest::of(&bytes), leaf(&bytes));
        bytes.push(b'\n');
        inner.file.write_all(&bytes).map_err(|error| Failed::from(error.to_string()))?;
        inner.end.tree.push(leaf);
        inner.end.prev = digest;
        inner.end.bytes += bytes.len() as u64;
        inner.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync_all(&self, inner: &Inner) -> Result<(), String> {
        inner.file.sync_data().map_err(|error| error.to_string())?;
        let head = Head::new(&inner.end.tree, inner.end.prev, inner.end.bytes);
        head.write(&self.folder).map_err(|error| error.to_string())
    }

    /// Signs the lines so far, unless the newest checkpoint is of these lines already. They are on the disk before they are
    /// signed, and the checkpoint is before it is given.
    fn sign(&self, inner: &mut Inner) -> Result<SignedCheckpoint, String> {
        self.sync_all(inner)?;
        let root = inner.end.tree.root();
        if let Some(newest) = inner.newest.as_ref().filter(|newest| newest.checkpoint().root == root) {
            return Ok(newest.clone());
        }
        let checkpoint = self.signer.sign(root);
        inner.checkpoints.append(&checkpoint).map_err(|error| error.to_string())?;
        inner.newest = Some(checkpoint.clone());
        Ok(checkpoint)
    }

    /// Acts on the log, which is given up for good when that fails: a line that may be missing must not be followed by others. An
    /// event that cannot be a line at all fails alone, with whatever it was to be on record for.
    fn locked<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T, Failed>) -> Result<T, LedgerError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &inner.failed {
            return Err(LedgerError(reason.clone()));
        }
        act(&mut inner).map_err(|Failed { reason, lasting }| {
            if lasting {
                inner.failed = Some(reason.clone());
            }
            LedgerError(reason)
        })
    }
}

/// Why something is not on record, and whether nothing more can be.
struct Failed {
    reason: String,
    lasting: bool,
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self { reason, lasting: true }
    }
}

impl Ledger for Log {
    fn append(&self, event: &Event) -> Result<(), LedgerError> {
        self.locked(|inner| self.write(inner, event))
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.locked(|inner| self.sync_all(inner).map_err(Failed::from))
    }

    fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        self.locked(|inner| self.sign(inner).map_err(Failed::from))
    }

    fn pseudonym(&self, value: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_slice()).expect("HMAC takes a key of any length");
        mac.update(value);
        let digest = Digest::from_bytes(mac.finalize().into_bytes().into());
        format!("hmac-sha256:{digest}")
    }
}

/// Milliseconds since 1970 as RFC 3339 in UTC.
fn rfc3339(ms: u64) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

/// The time of the last line, and by how many milliseconds it is later than now, where that is more
/// than clocks are set by.
fn clock_back(file: &mut File, now_ms: u64) -> io::Result<Option<(String, u64)>> {
    #[derive(Deserialize)]
    struct Time {
        t: String,
    }
    let (bytes, _) = tail(file, limits::AUDIT_LINE_BYTES + 1)?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = text.iter().rposition(|byte| *byte == b'\n').map_or(text, |at| &text[at + 1..]);
    let Ok(Time { t }) = serde_json::from_slice(line) else { return Ok(None) };
    let time = t.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok());
    let by_ms = time.and_then(|time| time.checked_sub(now_ms));
    let tolerance = u64::try_from(limits::CLOCK_TOLERANCE.as_millis()).unwrap_or(u64::MAX);
    Ok(by_ms.filter(|by_ms| *by_ms > tolerance).map(|by_ms| (t, by_ms)))
}

/// What signs for this log. Its public key stands beside it for whoever verifies.
fn signer(folder: &Path) -> Result<Signer, OpenError> {
    let signer = Signer::new(&key(folder, SIGNING_KEY_FILE)?);
    let (path, text) = (folder.join(PUBLIC_KEY_FILE), format!("{}\n", signer.public()));
    if raito_file::read(&path, text.len()).ok().as_deref() != Some(text.as_bytes()) {
        replace(folder, PUBLIC_KEY_FILE, text.as_bytes()).map_err(io_error("write", &path))?;
    }
    Ok(signer)
}

/// The last bytes of a file, at most so many, and where they begin.
pub(crate) fn tail(file: &mut File, most: usize) -> io::Result<(Vec<u8>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(most as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, from))
}

/// Takes off a last line without its line break, and says how long it was and its digest.
fn take_off_torn_line(file: &mut File) -> io::Result<Option<(u64, Digest)>> {
    let (bytes, from) = tail(file, 2 * limits::AUDIT_LINE_BYTES)?;
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(None);
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = &bytes[whole..];
    file.set_len(from + whole as u64)?;
    file.sync_data()?;
    Ok(Some((torn.len() as u64, Digest::of(torn))))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Noon;

    impl Clock for Noon {
        fn now_ms(&self) -> u64 {
            1_767_268_800_000
        }
    }

    #[test]
    fn b11_a_run_that_wrote_too_much_goes_no_further() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunId::new("018f4d2a-0000-7000-8000-000000000000").expect("a UUID");
        let log = Log::open(folder.path(), run, Arc::new(Noon)).expect("opens");
        let event = Event::RunEnd { outcome: "completed".into(), exit: 0 };
        log.append(&event).expect("there is room");
        let written = fs::metadata(folder.path().join(LOG_FILE)).expect("a file").len();
        log.inner.lock().expect("sound").bytes = limits::AUDIT_RUN_BYTES - written / 2;
        let refused = log.append(&event).expect_err("half of a line is left");
        assert!(refused.to_string().contains(&limits::AUDIT_RUN_BYTES.to_string()), "{refused}");
        // What cannot be on record does not happen, whatever room there might be later.
        log.inner.lock().expect("sound").bytes = 0;
        assert_eq!(log.append(&event), Err(refused.clone()));
        assert_eq!(log.checkpoint().err(), Some(refused));
        assert_eq!(fs::metadata(folder.path().join(LOG_FILE)).expect("a file").len(), written);
    }

    #[test]
    fn what_is_too_long_for_a_line_is_refused_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let run = RunId::new("018f4d2a-0000-7000-8000-000000000000").expect("a UUID");
        let log = Log::open(folder.path(), run, Arc::new(Noon)).expect("opens");
        let refused = |reasons| Event::TargetRefused { target: "t".into(), sha256: None, reasons };
        let error = log.append(&refused(vec!["x".repeat(limits::AUDIT_LINE_BYTES)])).expect_err("too long");
        assert!(error.to_string().contains(&limits::AUDIT_LINE_BYTES.to_string()), "{error}");
        log.append(&refused(vec!["x".into()])).expect("another target's line");
        log.checkpoint().expect("the log goes on");
    }
}
