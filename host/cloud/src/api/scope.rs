//! Scopes: what a token may do.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a token may do. Each is given by itself; none contains another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Run: upload what was read, fetch what is to be, say what became of it.
    Sync,
    /// Read everything.
    Read,
    /// Change what is to be.
    Write,
    /// Say how much may be removed: thresholds of sources, and exact numbers beyond them.
    Removals,
    /// Keep what access code applied last, and nothing else.
    State,
    /// Make and take away tokens.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 6] = [Self::Sync, Self::Read, Self::Write, Self::Removals, Self::State, Self::Admin];

    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Read => "read",
            Self::Write => "write",
            Self::Removals => "removals",
            Self::State => "state",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.word() == text)
            .ok_or_else(|| "write sync, read, write, removals, state or admin".to_owned())
    }
}
