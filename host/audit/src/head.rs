//! The head: how far the log went when everything before was on the disk.
//!
//! A chain shows what was changed or taken out in its middle, but not what was cut off at its end. The head stands beside
//! the log and is replaced whenever the log was synced, so cutting off the end needs two files to be changed alike. It
//! also keeps the tree over the lines, so that a run goes on with it without reading the log again.

use std::io;
use std::path::Path;

use raito_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::HEAD_FILE;
use crate::keys::replace;
use crate::tree::Tree;

/// Bytes of a head: 64 roots of subtrees have 4 KiB.
const HEAD_BYTES: usize = 16 * 1_024;

/// How far the log went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Head {
    /// The number of the last line.
    pub(crate) seq: u64,
    /// Its digest.
    pub(crate) sha256: Digest,
    /// Bytes of the log up to its end.
    bytes: u64,
    /// The roots of the whole subtrees over the lines, the largest first.
    subtrees: Vec<Digest>,
}

impl Head {
    /// The head of a log of so many bytes, with this tree and this last line.
    pub(crate) fn new(tree: &Tree, sha256: Digest, bytes: u64) -> Self {
        Self { seq: tree.size(), sha256, bytes, subtrees: tree.subtrees().to_vec() }
    }

    /// Bytes of the log up to the end of the last line.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The tree over the lines; none where what the file says cannot be one.
    pub(crate) fn tree(&self) -> Option<Tree> {
        Tree::from_subtrees(self.seq, self.subtrees.clone())
    }

    /// Replaces the head, so that there is always a whole one.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec(&self)?;
        text.push(b'\n');
        replace(folder, HEAD_FILE, &text)
    }

    /// Reads the head; none where there is none.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = raito_file::read_if_there(&folder.join(HEAD_FILE), HEAD_BYTES)?;
        Ok(bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose()?)
    }
}
