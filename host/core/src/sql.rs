//! SQL that a manifest may contain, and what is sent of it.
//!
//! A manifest writes statements in a small language: `read` for queries, `write` for changes. Both are
//! parsed into trees that have a node for everything that is allowed and for nothing else, and the
//! server is sent what is rendered from the tree. `scan` is the other lexer: it knows all of
//! PostgreSQL's lexical structure, for texts that come from elsewhere.

mod cursor;
mod escape;
pub mod identifier;
pub mod keyword;
mod position;
pub mod postgresql;
mod predicate;
pub mod read;
pub mod scan;
mod signature;
mod text;
pub(crate) mod token;

pub use position::{Position, SqlError};
pub use predicate::{PredicateError, check_predicate};
pub use signature::{ArgumentTypes, SignatureError};
pub use text::SqlText;

use std::fmt;

use read::tree::{BaseType, Type};

/// The type in which a bind parameter travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindType {
    /// `text`
    Text,
    /// `bigint`
    Bigint,
    /// `boolean`
    Boolean,
    /// `text[]`
    TextArray,
}

impl BindType {
    /// The type for a cast; none for one in which nothing travels.
    fn of(kind: Type) -> Option<Self> {
        match (kind.base, kind.is_array) {
            (BaseType::Text, false) => Some(Self::Text),
            (BaseType::Text, true) => Some(Self::TextArray),
            (BaseType::Bigint, false) => Some(Self::Bigint),
            (BaseType::Boolean, false) => Some(Self::Boolean),
            _ => None,
        }
    }

    /// The type in SQL.
    fn type_name(self) -> Type {
        let (base, is_array) = match self {
            Self::Text => (BaseType::Text, false),
            Self::TextArray => (BaseType::Text, true),
            Self::Bigint => (BaseType::Bigint, false),
            Self::Boolean => (BaseType::Boolean, false),
        };
        Type { base, is_array }
    }
}

impl fmt::Display for BindType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Type { base, is_array } = self.type_name();
        write!(out, "{}{}", base.sql(), if is_array { "[]" } else { "" })
    }
}

/// A bind parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The name that a call's argument carries.
    pub name: String,
    /// The type in which it travels.
    pub kind: BindType,
}
