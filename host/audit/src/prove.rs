//! Proofs for somebody who does not have the log: that a line stands in it, and that it only grew (RFC 6962, sections
//! 2.1.1 and 2.1.2).
//!
//! A proof is made of the roots of some ranges of lines. Both kinds read the log once, line by line, and hold no more than
//! a tree for each range.

use std::ops::Range;
use std::path::Path;

use raito_core::checkpoint::{Root, SignedCheckpoint};
use raito_core::digest::Digest;

use crate::checkpoints::{NoteError, checkpoints};
use crate::read::{Line, ReadError, lines};
use crate::tree::Tree;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Notes(#[from] NoteError),
    /// No checkpoint was made yet.
    #[error("there is no checkpoint yet: a run makes one when it ends")]
    NoCheckpoint,
    /// There is no checkpoint of this size.
    #[error("there is no checkpoint of {0} lines: `raito audit checkpoint --all` prints those that there are")]
    NoSuchCheckpoint(u64),
    /// The checkpoint does not cover so many lines.
    #[error("the checkpoint covers {size} lines, numbered from 1, and {asked} is none of them")]
    NotCovered {
        /// What was asked for.
        asked: u64,
        /// What the checkpoint covers.
        size: u64,
    },
    /// The log is not the one that was signed.
    #[error("the first {0} lines are not those that the checkpoint signs: run `raito audit verify`")]
    NotThisLog(u64),
}

/// That a line stands in the log.
#[derive(Debug, Clone)]
pub struct LineProof {
    /// The line's number, from 1. Its index in the tree is one less.
    pub seq: u64,
    /// The line, as it stands in the log: the leaf is made of its bytes.
    pub line: String,
    /// The roots beside the way from the leaf up.
    pub hashes: Vec<Digest>,
    /// What the proof leads to.
    pub checkpoint: SignedCheckpoint,
}

/// That a longer log begins with a shorter one.
#[derive(Debug, Clone)]
pub struct GrowthProof {
    /// The root over the lines of the shorter one.
    pub since: Root,
    /// The proof.
    pub hashes: Vec<Digest>,
    /// The longer one.
    pub checkpoint: SignedCheckpoint,
}

/// Proves that a line stands in the log of a folder, by the checkpoint of a size, or by the newest.
///
/// # Errors
/// `ProveError` where the log is not the one that was signed, or the checkpoint does not cover the line.
pub fn prove_line(folder: &Path, seq: u64, to: Option<u64>) -> Result<LineProof, ProveError> {
    let checkpoint = chosen(folder, to)?;
    let size = checkpoint.checkpoint().root.size;
    if seq == 0 || seq > size {
        return Err(ProveError::NotCovered { asked: seq, size });
    }
    let mut found = None;
    let hashes = roots(folder, &checkpoint, &beside_line(seq - 1, size), |line| {
        if line.seq == seq {
            found = Some(line.text);
        }
    })?;
    let line = found.ok_or(ProveError::NotThisLog(size))?;
    Ok(LineProof { seq, line, hashes, checkpoint })
}

/// Proves that the log of a folder only grew since it had so many lines, up to the checkpoint of a size, or the newest.
///
/// # Errors
/// `ProveError` where the log is not the one that was signed, or the checkpoint does not cover so many lines.
pub fn prove_growth(folder: &Path, since: u64, to: Option<u64>) -> Result<GrowthProof, ProveError> {
    let checkpoint = chosen(folder, to)?;
    let size = checkpoint.checkpoint().root.size;
    if since == 0 || since > size {
        return Err(ProveError::NotCovered { asked: since, size });
    }
    let mut shorter = Tree::default();
    let hashes = roots(folder, &checkpoint, &beside_growth(since, size), |line| {
        if line.seq <= since {
            shorter.push(line.leaf);
        }
    })?;
    Ok(GrowthProof { since: shorter.root(), hashes, checkpoint })
}

/// The checkpoint of a size; the newest where none is asked for.
fn chosen(folder: &Path, size: Option<u64>) -> Result<SignedCheckpoint, ProveError> {
    let mut found = None;
    for checkpoint in checkpoints(folder)? {
        match (checkpoint, size) {
            (Err(NoteError::Torn { .. }), _) => break,
            (Ok(checkpoint), Some(size)) if checkpoint.checkpoint().root.size != size => {}
            (checkpoint, _) => found = Some(checkpoint?),
        }
    }
    found.ok_or(size.map_or(ProveError::NoCheckpoint, ProveError::NoSuchCheckpoint))
}

/// Where a tree of so many leaves, at least two, splits: at the largest power of two below.
fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The ranges beside the way from a leaf to the root, from the leaf up.
fn beside_line(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut begin, mut end, mut ranges) = (0, size, Vec::new());
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(begin..middle);
            begin = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges from which the roots of a shorter and of a longer tree can be made, as SUBPROOF of RFC 6962 has them.
fn beside_growth(old: u64, size: u64) -> Vec<Range<u64>> {
    let (mut begin, mut end, mut ranges) = (0, size, Vec::new());
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(begin..middle);
            begin = middle;
        }
    }
    // Whoever checks has the root of the shorter tree, and needs it only where it is no whole subtree of the longer one.
    if begin > 0 {
        ranges.push(begin..end);
    }
    ranges.reverse();
    ranges
}

/// The roots over ranges of lines that do not overlap, in their order. Each line up to the checkpoint is shown to `see`.
fn roots(
    folder: &Path,
    checkpoint: &SignedCheckpoint,
    ranges: &[Range<u64>],
    mut see: impl FnMut(Line),
) -> Result<Vec<Digest>, ProveError> {
    let signed = checkpoint.checkpoint().root;
    let (mut whole, mut trees) = (Tree::default(), vec![Tree::default(); ranges.len()]);
    for line in lines(folder)?.take(usize::try_from(signed.size).unwrap_or(usize::MAX)) {
        let line = line?;
        if let Some(at) = ranges.iter().position(|range| range.contains(&whole.size())) {
            trees[at].push(line.leaf);
        }
        whole.push(line.leaf);
        see(line);
    }
    if whole.root() != signed {
        return Err(ProveError::NotThisLog(signed.size));
    }
    Ok(trees.iter().map(|tree| tree.root().hash).collect())
}
