//! The Merkle tree over the log's lines (RFC 6962, section 2.1).
//!
//! A leaf is a line of the log, byte by byte as it stands in the file, without its line break. Only the roots of the
//! largest whole subtrees are kept, one for each bit of the number of lines: a line is added with one or two digests on
//! average, and the root of ten million lines needs 24 of them.

use raito_core::checkpoint::Root;
use raito_core::digest::{Digest, Hasher};

/// What begins a leaf and an inner node, so that neither can pass for the other.
const LEAF: u8 = 0;
const NODE: u8 = 1;

/// The digest of a leaf.
pub(crate) fn leaf(line: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(&[LEAF]);
    hasher.update(line);
    hasher.finish()
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [NODE; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    Digest::of(&bytes)
}

/// The tree over the lines so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    size: u64,
    /// The roots of the whole subtrees, the largest first.
    subtrees: Vec<Digest>,
}

impl Tree {
    /// The tree of so many lines with these subtrees; none where there cannot be so many of them.
    pub(crate) fn from_subtrees(size: u64, subtrees: Vec<Digest>) -> Option<Self> {
        (subtrees.len() == size.count_ones() as usize).then_some(Self { size, subtrees })
    }

    /// Lines.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the whole subtrees, the largest first.
    pub(crate) fn subtrees(&self) -> &[Digest] {
        &self.subtrees
    }

    /// Adds a leaf, and joins the subtrees that are now as large as the one to their left.
    pub(crate) fn push(&mut self, leaf: Digest) {
        let joined = self.size.trailing_ones() as usize;
        let left = self.subtrees.split_off(self.subtrees.len() - joined);
        self.subtrees.push(left.iter().rev().fold(leaf, |right, left| node(left, &right)));
        self.size += 1;
    }

    /// The root over all lines. That of no line is the digest of nothing.
    pub(crate) fn root(&self) -> Root {
        let joined = self.subtrees.iter().rev().copied().reduce(|right, left| node(&left, &right));
        Root { size: self.size, hash: joined.unwrap_or_else(|| Digest::of(b"")) }
    }
}
