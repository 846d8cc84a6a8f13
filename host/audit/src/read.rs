//! Reading the log line by line.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use raito_core::digest::Digest;
use raito_core::limits;
use serde::Deserialize;
use serde_json::Value;

use crate::LOG_FILE;
use crate::tree::leaf;

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
    /// Its digest as a leaf of the tree over all lines.
    pub(crate) leaf: Digest,
    /// Its bytes, with the line break.
    pub(crate) bytes: u64,
    /// All of it, as it stands in the file, without its line break.
    pub text: String,
}

impl Line {
    /// All of it as JSON.
    ///
    /// # Errors
    /// Where it is none: a number may be too large.
    pub fn value(&self) -> Result<Value, ReadError> {
        serde_json::from_str(&self.text).map_err(|error| ReadError::Line { line: self.line, reason: error.to_string() })
    }
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
    Ok(lines_of(raito_file::open(&folder.join(LOG_FILE))?, 0))
}

/// The lines of a file from a place on, where a line with this number of others before it begins.
pub(crate) fn lines_from(
    mut file: File,
    place: u64,
    before: u64,
) -> io::Result<impl Iterator<Item = Result<Line, ReadError>>> {
    file.seek(SeekFrom::Start(place))?;
    Ok(lines_of(file, before))
}

fn lines_of(file: File, before: u64) -> impl Iterator<Item = Result<Line, ReadError>> {
    let mut file = BufReader::new(file);
    let mut number = before;
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        number += 1;
        let read = next_line(&mut file, number).transpose();
        ended = !matches!(read, Some(Ok(_)));
        read
    })
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
    let text = std::str::from_utf8(text).map_err(|error| wrong(&error.to_string()))?;
    let envelope: Envelope = serde_json::from_str(text).map_err(|error| wrong(&error.to_string()))?;
    Ok(Some(Line {
        line: number,
        seq: envelope.seq,
        time: envelope.t,
        run: envelope.run,
        kind: envelope.kind,
        prev: envelope.prev,
        digest: Digest::of(text.as_bytes()),
        leaf: leaf(text.as_bytes()),
        bytes: bytes.len() as u64,
        text: text.to_owned(),
    }))
}
