//! Anchors: what the log was, kept by somebody where whoever could change the log could not.

use raito_core::checkpoint::{Root, SignedCheckpoint};

use crate::checkpoints::{NoteError, Notes};

/// What the log was, as somebody kept it where whoever could change the log could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// A root, trusted because of where it was kept.
    Root(Root),
    /// A signed checkpoint: also its signature must be right.
    Signed(SignedCheckpoint),
}

/// A text that holds no anchors.
#[derive(Debug, thiserror::Error)]
pub enum NotAnAnchor {
    /// A checkpoint is none.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// There is nothing.
    #[error("it is empty")]
    Empty,
}

/// The anchors of a log, in the order of their sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Vec<Anchor>);

impl Anchors {
    /// Adds the anchors of a text: a root as runs print it, or signed checkpoints, one below the other.
    ///
    /// # Errors
    /// `NotAnAnchor` where it holds none.
    pub fn add(&mut self, text: &str) -> Result<(), NotAnAnchor> {
        let text = format!("{}\n", text.trim());
        if text == "\n" {
            return Err(NotAnAnchor::Empty);
        }
        match text.trim().parse() {
            Ok(root) => self.0.push(Anchor::Root(root)),
            Err(_) => {
                for checkpoint in Notes::new(text.as_bytes()) {
                    self.0.push(Anchor::Signed(checkpoint?));
                }
            }
        }
        self.0.sort_by_key(|anchor| anchor.root().size);
        Ok(())
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Anchor> {
        self.0.iter()
    }
}

impl Anchor {
    pub(crate) fn root(&self) -> Root {
        match self {
            Self::Root(root) => *root,
            Self::Signed(checkpoint) => checkpoint.checkpoint().root,
        }
    }
}
