//! Use, as the API tells it.

use raito_core::record::ObjectRef;
use schemars::JsonSchema;
use serde::Serialize;

/// What one person or role did with one object.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Usage")]
pub(crate) struct UsageRow {
    /// The user, where that is certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// The access control that was active, where the target tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    pub(crate) object: ObjectRef,
    /// What was done, such as `SELECT`.
    pub(crate) action: String,
    /// When at the earliest it was done first, in milliseconds since 1970.
    pub(crate) first_ms: u64,
    /// When at the latest it was done last.
    pub(crate) last_ms: u64,
    /// How many times.
    pub(crate) calls: u64,
    /// Whether times are those of single runs; else they bound what was only counted.
    pub(crate) precise: bool,
}

/// When a permission was last used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LastUse {
    /// When, in milliseconds since 1970; where it was only counted, the latest that it can have been.
    pub(crate) at_ms: u64,
    /// Whether that is the time of a single run.
    pub(crate) precise: bool,
    /// How many times it was used in all.
    pub(crate) calls: u64,
}

/// A time without a hole, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Interval {
    /// In milliseconds since 1970.
    pub(crate) from_ms: u64,
    /// In milliseconds since 1970.
    pub(crate) to_ms: u64,
}

/// What the uses of a source rest on. Outside of what is covered, nothing may be called unused.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct UsageCoverage {
    /// The times for which the target told all uses.
    pub(crate) covered: Vec<Interval>,
    /// Statements of which nobody can tell what they used.
    pub(crate) unclear: u64,
    /// Statements of which nobody can tell who ran them.
    pub(crate) without_person: u64,
    /// What the last run could not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gaps: Vec<String>,
}

/// Uses, and what they rest on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct UsagePage {
    pub(crate) items: Vec<UsageRow>,
    /// What to give as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    pub(crate) coverage: UsageCoverage,
}
