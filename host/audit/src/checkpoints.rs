//! The checkpoints that a log was given, in a file beside it: one below the other, with an empty line behind each.
//!
//! The file is append-only, and each checkpoint is on the disk before it is handed out. A crash can leave a part of one at
//! the end; nobody has seen that one, and the next run takes it off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use raito_core::checkpoint::{NotACheckpoint, SignedCheckpoint};
use raito_core::limits;

use crate::CHECKPOINTS_FILE;
use crate::log::{OpenError, io_error, tail};

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The file cannot be read.
    #[error("cannot read the checkpoints: {0}")]
    Io(#[from] io::Error),
    /// It is none.
    #[error("line {line}: {error}")]
    Form {
        /// Where it begins, counted from 1.
        line: u64,
        /// What is wrong with it.
        error: NotACheckpoint,
    },
    /// The last one is not complete.
    #[error("line {line}: the checkpoint that begins here is not complete")]
    Torn {
        /// Where it begins, counted from 1.
        line: u64,
    },
}

/// Checkpoints that stand one below the other, each whole when an empty line, or the end, stands behind it.
pub(crate) struct Notes<R> {
    text: R,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Notes<R> {
    pub(crate) fn new(text: R) -> Self {
        Self { text, line: 0, ended: false }
    }

    fn read(&mut self) -> Result<Option<SignedCheckpoint>, NoteError> {
        let (mut note, mut first, mut closed) = (Vec::new(), self.line + 1, false);
        let mut signatures = false;
        loop {
            let begins = note.len();
            let left = (limits::CHECKPOINT_BYTES + 2).saturating_sub(begins) as u64;
            if self.text.by_ref().take(left).read_until(b'\n', &mut note)? == 0 {
                break;
            }
            self.line += 1;
            if note[begins..] != *b"\n" {
                continue;
            }
            if begins == 0 {
                note.clear();
                first = self.line + 1;
            } else if signatures {
                note.truncate(begins);
                closed = true;
                break;
            } else {
                signatures = true;
            }
        }
        if note.is_empty() {
            return Ok(None);
        }
        match String::from_utf8_lossy(&note).parse() {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(_) if !closed && note.len() <= limits::CHECKPOINT_BYTES => Err(NoteError::Torn { line: first }),
            Err(error) => Err(NoteError::Form { line: first, error }),
        }
    }
}

impl<R: BufRead> Iterator for Notes<R> {
    type Item = Result<SignedCheckpoint, NoteError>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

/// The checkpoints of the log in a folder, in the order in which they were made; none where there is no file of them.
///
/// # Errors
/// Where the file cannot be opened.
pub fn checkpoints(folder: &Path) -> Result<impl Iterator<Item = Result<SignedCheckpoint, NoteError>>, NoteError> {
    let file = match raito_file::open(&folder.join(CHECKPOINTS_FILE)) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    Ok(file.map(|file| Notes::new(BufReader::new(file))).into_iter().flatten())
}

/// The file, open to be written.
pub(crate) struct Checkpoints(File);

impl Checkpoints {
    /// Opens the file of a folder, and makes it where there is none. Gives the newest checkpoint too.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Option<SignedCheckpoint>), OpenError> {
        let path = folder.join(CHECKPOINTS_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        let (tail, from) = tail(&mut file, 2 * limits::CHECKPOINT_BYTES).map_err(io_error("read", &path))?;
        let Some((newest, whole)) = newest(&tail) else {
            // A file without a whole checkpoint holds at most a part of its first.
            if from > 0 || tail.len() > limits::CHECKPOINT_BYTES {
                return Err(OpenError::Damaged(path));
            }
            file.set_len(0).map_err(io_error("write", &path))?;
            return Ok((Self(file), None));
        };
        if whole < tail.len() {
            file.set_len(from + whole as u64).map_err(io_error("write", &path))?;
        }
        Ok((Self(file), Some(newest)))
    }

    /// Appends a checkpoint, and waits until it is on the disk.
    pub(crate) fn append(&mut self, checkpoint: &SignedCheckpoint) -> io::Result<()> {
        self.0.write_all(format!("{}\n", checkpoint.note()).as_bytes())?;
        self.0.sync_data()
    }
}

/// The last whole checkpoint of a text that may begin and end within one, and where the empty line behind it ends.
fn newest(text: &[u8]) -> Option<(SignedCheckpoint, usize)> {
    let empty_lines: Vec<usize> =
        (0..text.len().saturating_sub(1)).filter(|at| &text[*at..*at + 2] == b"\n\n").collect();
    // Blocks are what stands between empty lines: the text of a checkpoint and its signatures in turn.
    for (at, end) in empty_lines.iter().enumerate().rev() {
        let begins = at.checked_sub(2).map_or(0, |before| empty_lines[before] + 2);
        let note = std::str::from_utf8(&text[begins..=*end]).ok();
        if at > 0
            && let Some(checkpoint) = note.and_then(|note| note.parse().ok())
        {
            return Some((checkpoint, end + 2));
        }
    }
    None
}
