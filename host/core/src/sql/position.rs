//! Where in a statement something is wrong, and what.

use std::fmt;

/// A place in the text of a statement: line and column, both counted from 1, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The byte in the line.
    pub column: usize,
}

impl Position {
    /// The place of byte `at` of `text`.
    pub(crate) fn of(text: &str, at: usize) -> Self {
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Self { line, column: before.len() - start + 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)
    }
}

/// Why a statement of a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at} of the statement: {message}")]
pub struct SqlError {
    /// The first byte that is wrong.
    pub at: Position,
    /// What is wrong, and what to write instead.
    pub message: String,
}
