//! Writing the log.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, Mac as _};
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::limits;
use raito_core::ports::{Clock, Ledger, LedgerError};
use raito_core::text::RunId;
use rustix::fs::FlockOperation;
use serde::Serialize;
use sha2::Sha256;

use crate::head::Head;
use crate::{KEY_FILE, LOG_FILE};

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
    /// Its last line is none of a log.
    #[error("the last line of {} is no line of an audit log: run `raito audit verify`, and move the log away", .0.display())]
    Damaged(PathBuf),
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
    seq: u64,
    prev: Digest,
    bytes: u64,
    /// After a failed write nothing more is written: what follows could not be trusted.
    failed: Option<String>,
}

/// The log, open for one run.
pub struct Log {
    folder: PathBuf,
    run: RunId,
    key: [u8; 32],
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
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
        let key = key(folder)?;
        let torn = take_off_torn_line(&mut file).map_err(io_error("read", &path))?;
        let (seq, prev) = last_line(&mut file, &path)?;
        let inner = Mutex::new(Inner { file, seq, prev, bytes: 0, failed: None });
        let log = Self { folder: folder.to_path_buf(), run, key, clock, inner };
        if let Some((bytes, sha256)) = torn {
            let recovered = log.append(&Event::Recovered { bytes, sha256 });
            recovered.map_err(|error| OpenError::Io { what: "write", path, error: io::Error::other(error.0) })?;
        }
        Ok(log)
    }

    /// The digest of the last line, and its number.
    pub fn head(&self) -> (u64, Digest) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.seq, inner.prev)
    }

    fn write(&self, inner: &mut Inner, event: &Event) -> Result<(), String> {
        let line = Written {
            v: VERSION,
            seq: inner.seq + 1,
            t: rfc3339(self.clock.now_ms()),
            run: self.run.as_str(),
            prev: inner.prev,
            event,
        };
        let mut bytes = serde_json::to_vec(&line).map_err(|error| error.to_string())?;
        if bytes.len() >= limits::AUDIT_LINE_BYTES {
            return Err(format!(
                "a line has {} bytes, and at most {} are allowed",
                bytes.len(),
                limits::AUDIT_LINE_BYTES
            ));
        }
        if inner.bytes + bytes.len() as u64 > limits::AUDIT_RUN_BYTES {
            return Err(format!("one run wrote more than {} bytes", limits::AUDIT_RUN_BYTES));
        }
        let digest = Digest::of(&bytes);
        bytes.push(b'\n');
        inner.file.write_all(&bytes).map_err(|error| error.to_string())?;
        inner.seq += 1;
        inner.prev = digest;
        inner.bytes += bytes.len() as u64;
        Ok(())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Inner) -> Result<T, String>) -> Result<T, LedgerError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &inner.failed {
            return Err(LedgerError(reason.clone()));
        }
        act(&mut inner).map_err(|reason| {
            inner.failed = Some(reason.clone());
            LedgerError(reason)
        })
    }
}

impl Ledger for Log {
    fn append(&self, event: &Event) -> Result<(), LedgerError> {
        self.locked(|inner| self.write(inner, event))
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.locked(|inner| {
            inner.file.sync_data().map_err(|error| error.to_string())?;
            Head { seq: inner.seq, sha256: inner.prev }.write(&self.folder).map_err(|error| error.to_string())
        })
    }

    fn pseudonym(&self, value: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
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

/// The key of this log, made with it.
fn key(folder: &Path) -> Result<[u8; 32], OpenError> {
    let path = folder.join(KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) => {
            let mode = fs::metadata(&path).map_err(io_error("look at", &path))?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(OpenError::KeyMode(path));
            }
            bytes.try_into().map_err(|_| OpenError::Damaged(path))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|error| OpenError::Io {
                what: "find random numbers for",
                path: path.clone(),
                error: io::Error::other(error.to_string()),
            })?;
            let new = folder.join("key.new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)
                .map_err(io_error("make", &new))?;
            file.write_all(&key).and_then(|()| file.sync_data()).map_err(io_error("write", &new))?;
            fs::rename(&new, &path).map_err(io_error("make", &path))?;
            Ok(key)
        }
        Err(error) => Err(OpenError::Io { what: "read", path, error }),
    }
}

/// The last bytes of a file, at most as many as two lines can have, and where they begin.
fn tail(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = length.saturating_sub(2 * limits::AUDIT_LINE_BYTES as u64);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, from))
}

/// Takes off a last line without its line break, and says how long it was and its digest.
fn take_off_torn_line(file: &mut File) -> io::Result<Option<(u64, Digest)>> {
    let (bytes, from) = tail(file)?;
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return Ok(None);
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = &bytes[whole..];
    file.set_len(from + whole as u64)?;
    file.sync_data()?;
    Ok(Some((torn.len() as u64, Digest::of(torn))))
}

/// The number of the last line and its digest.
fn last_line(file: &mut File, path: &Path) -> Result<(u64, Digest), OpenError> {
    let (bytes, _) = tail(file).map_err(io_error("read", path))?;
    let Some(text) = bytes.strip_suffix(b"\n") else { return Ok((0, GENESIS)) };
    let line = text.iter().rposition(|byte| *byte == b'\n').map_or(text, |at| &text[at + 1..]);
    let read: serde_json::Value = serde_json::from_slice(line).map_err(|_| OpenError::Damaged(path.to_path_buf()))?;
    let seq =
        read.get("seq").and_then(serde_json::Value::as_u64).ok_or_else(|| OpenError::Damaged(path.to_path_buf()))?;
    Ok((seq, Digest::of(line)))
}
