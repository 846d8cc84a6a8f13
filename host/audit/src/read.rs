//! Reading the log line by line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

use raito_core::digest::Digest;
use raito_core::limits;
use serde::Deserialize;
use serde_json::Value;

use crate::LOG_FILE;

/// Why a line cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("cannot read the audit log: {0}")]
    Io(#[from] io::Error),
    /// A line is no line of a log.
    #[error("line {line} is no line of an audit log: {reason}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The last line is not complete: a crash cut it short, and the next run takes it off.
    #[error("line {line} is not complete: a crash cut it short, and the next run takes it off")]
    Torn {
        /// The line, counted from 1.
        line: u64,
    },
}

/// A line of the log.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its place in the file, from 1.
    pub line: u64,
    /// Its number.
    pub seq: u64,
    /// When it was written.
    pub time: String,
    /// The run that it belongs to.
    pub run: String,
    /// What happened.
    pub kind: String,
    /// The digest of the line before, as the line says.
    pub prev: Digest,
    /// The digest of this line.
    pub digest: Digest,
    /// All of it.
    pub value: Value,
}

/// What every line has. A key that comes twice is refused, because readers would not agree on which one counts.
#[derive(Deserialize)]
struct Envelope {
    seq: u64,
    t: String,
    run: String,
    kind: String,
    prev: Digest,
}

/// The lines of the log in a folder. A last line without a line break, which a crash can leave, is given as an error.
///
/// # Errors
/// Where the file cannot be opened.
pub fn lines(folder: &Path) -> Result<impl Iterator<Item = Result<Line, ReadError>>, ReadError> {
    let mut file = BufReader::new(File::open(folder.join(LOG_FILE))?);
    let mut number = 0;
    let mut ended = false;
    Ok(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        number += 1;
        let read = next_line(&mut file, number).transpose();
        ended = !matches!(read, Some(Ok(_)));
        read
    }))
}

fn next_line(file: &mut BufReader<File>, number: u64) -> Result<Option<Line>, ReadError> {
    let mut bytes = Vec::new();
    file.by_ref().take(limits::AUDIT_LINE_BYTES as u64 + 1).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let wrong = |reason: &str| ReadError::Line { line: number, reason: reason.to_owned() };
    let Some(text) = bytes.strip_suffix(b"\n") else {
        return Err(ReadError::Torn { line: number });
    };
    let envelope: Envelope = serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))?;
    let value: Value = serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))?;
    Ok(Some(Line {
        line: number,
        seq: envelope.seq,
        time: envelope.t,
        run: envelope.run,
        kind: envelope.kind,
        prev: envelope.prev,
        digest: Digest::of(text),
        value,
    }))
}
