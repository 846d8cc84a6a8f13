//! Step 5: who used what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ObjectRef;
use crate::text::{ExternalId, PathPart, PermissionName, StatementText};

/// One object that a statement used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Access {
    /// The object.
    pub object: ObjectRef,
    /// What was done with it.
    pub action: PermissionName,
}

/// Something that a statement's text names, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Named {
    /// The end of the object's path: its name, and before it what the text says of where it is.
    pub parts: Vec<PathPart>,
    /// What was done with it.
    pub action: PermissionName,
}

/// One statement, or several alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Statement {
    /// What identifies it for good.
    pub external_id: ExternalId,
    /// The external id of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ExternalId>,
    /// The external id of the access control that was active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<ExternalId>,
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<StatementText>,
    /// The object that names in the text are below, such as a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<ObjectRef>,
    /// What the text names, where the target did not tell what was used. The cloud finds the objects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<Named>,
    /// Whether something may have been used that nobody can tell: the text is hidden, or could not be understood.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unclear: bool,
    /// When it began, in milliseconds since 1970; for several, the earliest that the first of them can have begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Whether it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// How many times it ran.
    pub calls: u64,
    /// Whether user, time and objects are those of each single run.
    pub precise: bool,
    /// What it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accessed: Vec<Access>,
    /// Bytes that it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Rows that it returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// The time that the target's own log covers without a hole, in milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Coverage {
    /// The beginning.
    pub from_ms: u64,
    /// The end.
    pub to_ms: u64,
}
