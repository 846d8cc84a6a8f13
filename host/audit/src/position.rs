//! Where a log ends, so that it can go on there: found from the head, and held against the newest checkpoint.
//!
//! A log that is not the one that was synced and signed is not gone on with: two histories must never be signed by one
//! key (tlog-checkpoint, "Signatures").

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use raito_core::checkpoint::Root;
use raito_core::digest::Digest;
use raito_core::limits;

use crate::chain::{Broken, walk};
use crate::head::Head;
use crate::log::{GENESIS, OpenError, io_error};
use crate::read::lines_from;
use crate::tree::Tree;

/// The end of a log.
pub(crate) struct Position {
    /// The digest of the last line.
    pub(crate) prev: Digest,
    /// Bytes.
    pub(crate) bytes: u64,
    /// The tree over the lines.
    pub(crate) tree: Tree,
}

impl Position {
    /// The end of the log in a file without a torn line. What stands behind the head is read line
    /// by line, all of it where there is no head; of what stands before, the chain is walked again.
    pub(crate) fn find(
        file: &mut File,
        path: &Path,
        head: Option<Head>,
        newest: Option<Root>,
    ) -> Result<Self, OpenError> {
        let another = |what: String| OpenError::Another { path: path.to_path_buf(), what };
        let mut end = match head {
            Some(head) if head.seq > 0 => {
                let tree = head.tree().ok_or_else(|| another("its head cannot be one".into()))?;
                let digest = line_before(file, head.bytes()).map_err(io_error("read", path))?;
                if digest != Some(head.sha256) {
                    return Err(another(format!("its line {} is not the one that was synced", head.seq)));
                }
                walk(file, &head, &tree, newest).map_err(|broken| match broken {
                    Broken::Io(error) => io_error("read", path)(error),
                    Broken::Another(what) => another(what),
                })?;
                Self { prev: head.sha256, bytes: head.bytes(), tree }
            }
            _ => Self { prev: GENESIS, bytes: 0, tree: Tree::default() },
        };
        let signed = |root: Root| match newest {
            Some(newest) if newest.size == root.size && newest != root => {
                Err(another(format!("its first {} lines are not those that were signed", root.size)))
            }
            _ => Ok(()),
        };
        signed(end.tree.root())?;
        let copy = file.try_clone().map_err(io_error("read", path))?;
        for line in lines_from(copy, end.bytes, end.tree.size()).map_err(io_error("read", path))? {
            let line = line.map_err(|error| another(error.to_string()))?;
            if line.prev != end.prev || line.seq != end.tree.size() + 1 {
                return Err(another(format!("line {} does not follow the line before", line.line)));
            }
            end.prev = line.digest;
            end.bytes += line.bytes;
            end.tree.push(line.leaf);
            signed(end.tree.root())?;
        }
        match newest {
            Some(newest) if newest.size > end.tree.size() => {
                Err(another(format!("it has {} lines, and {} were signed", end.tree.size(), newest.size)))
            }
            _ => Ok(end),
        }
    }
}

/// The digest of the line that ends at a place of the file; none where no line ends there.
fn line_before(file: &mut File, place: u64) -> io::Result<Option<Digest>> {
    if file.metadata()?.len() < place {
        return Ok(None);
    }
    let from = place.saturating_sub(limits::AUDIT_LINE_BYTES as u64 + 1);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(place - from).read_to_end(&mut bytes)?;
    let Some(text) = bytes.strip_suffix(b"\n") else { return Ok(None) };
    let line = text.iter().rposition(|byte| *byte == b'\n').map_or(text, |at| &text[at + 1..]);
    Ok(Some(Digest::of(line)))
}
