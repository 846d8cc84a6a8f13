//! Answers about effective access.

use raito_core::record::ObjectRef;
use schemars::JsonSchema;
use serde::Serialize;

use super::usage::{LastUse, UsageCoverage};

/// Somebody.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Account")]
pub(crate) struct PersonItem {
    pub(crate) external_id: String,
    /// The account name.
    pub(crate) name: String,
    /// Whether it can log in.
    pub(crate) enabled: bool,
    /// Whether it is only named as a member, and no read tells of it: its name is its id then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) undefined: bool,
}

/// One step of the way from somebody to a permission.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "PathStep")]
pub(crate) struct StepItem {
    /// `is`, `in`, `switches-to`, `admits-himself-to` or `holds`.
    pub(crate) does: String,
    /// What is named: a kind of principal, or the permission that is held.
    pub(crate) kind: String,
    /// Its name, or the object.
    pub(crate) name: String,
}

/// Which rows are seen.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Rows")]
pub(crate) enum RowsItem {
    /// All.
    All,
    /// None: no filter of the object is for him.
    Nothing,
    /// Those that these filters show.
    Filtered(Vec<String>),
}

/// Rows that are seen by acting as something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "WiderRows")]
pub(crate) struct WiderItem {
    /// `active`, `assumable` or `obtainable`.
    pub(crate) how: String,
    /// The name of whom they act as.
    pub(crate) acting_as: String,
    pub(crate) rows: RowsItem,
}

/// On how many parts of an object a permission is held.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "HeldParts")]
pub(crate) struct PartsItem {
    /// The kind of the parts, such as `column`.
    pub(crate) kind: String,
    /// On how many it is held.
    pub(crate) held: u64,
    /// How many there are.
    pub(crate) of: u64,
}

/// That somebody holds a permission.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "EffectiveAccess")]
pub(crate) struct AnswerItem {
    pub(crate) user: PersonItem,
    pub(crate) object: ObjectRef,
    pub(crate) permission: String,
    /// Where it is held on parts of the object alone, on how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<PartsItem>,
    /// `active`, `assumable` or `obtainable`.
    pub(crate) how: String,
    /// Whether what the permission needs on the objects above is held in the same way.
    pub(crate) usable: bool,
    /// Whether it holds under a condition only.
    pub(crate) conditional: bool,
    pub(crate) rows: RowsItem,
    /// More rows that are seen by acting as something else, the most of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wider: Option<WiderItem>,
    /// Masks that hide the object from him.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) masked: Vec<String>,
    /// The shortest way.
    pub(crate) path: Vec<StepItem>,
    /// How many other facts give the same.
    pub(crate) others: u64,
    /// When the user last used the permission on the object, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_use: Option<LastUse>,
}

/// Somebody who reaches data through other objects.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "IndirectAccess")]
pub(crate) struct IndirectItem {
    pub(crate) user: PersonItem,
    /// The objects that he goes through, from the one that he may use on.
    pub(crate) through: Vec<ObjectRef>,
    /// What he holds on the first of them.
    pub(crate) permission: String,
    pub(crate) usable: bool,
}

/// A routine through which more may be reached.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MayReach")]
pub(crate) struct MayReachItem {
    pub(crate) through: ObjectRef,
    /// How many users may call it.
    pub(crate) users: u64,
}

/// What an answer rests on.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Coverage {
    /// Reads that the answer rests on: the newest of each step that was complete.
    pub(crate) reads: Vec<ReadItem>,
    /// What the newest reads could not read.
    pub(crate) gaps: Vec<String>,
    /// What no read tells, because it is not granted: the inside of these objects.
    pub(crate) not_granted: Vec<String>,
    /// What no read tells, because the connector does not know such things.
    pub(crate) not_known: Vec<String>,
    /// Groups and access controls of which something could not be told.
    pub(crate) incomplete: Vec<String>,
    /// Rules for members that are not expanded.
    pub(crate) not_expanded: Vec<String>,
    /// Users, groups, access controls and objects that the answer rests on and that no record
    /// defines; at most 100.
    pub(crate) undefined: Vec<String>,
}

/// A read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Read")]
pub(crate) struct ReadItem {
    pub(crate) step: String,
    /// When the newest read was taken in, in milliseconds since 1970.
    pub(crate) newest_ms: u64,
    /// When the newest complete one was.
    pub(crate) complete_ms: Option<u64>,
    /// Whether the cloud's clock was ahead when one of these was taken in. It is from before now,
    /// and nobody can tell from when.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) clock_was_ahead: bool,
}

/// A page of answers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct AccessPage {
    /// The object that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<ObjectRef>,
    /// How many answers there are, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    pub(crate) items: Vec<AnswerItem>,
    /// Who reads the object's data through others; on the first page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) indirect: Vec<IndirectItem>,
    /// Routines through which the object's data may be reached; on the first page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) may_reach: Vec<MayReachItem>,
    pub(crate) coverage: Coverage,
    /// What is known of use; absent where the answer is about the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<UsageCoverage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

/// Something that is needed and not held.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MissingNeed")]
pub(crate) struct Missing {
    pub(crate) permission: String,
    pub(crate) object: Option<String>,
}

/// Why somebody holds a permission, or what is missing.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Explanation")]
pub(crate) struct Explained {
    pub(crate) user: PersonItem,
    pub(crate) object: ObjectRef,
    pub(crate) permission: String,
    /// `active`, `assumable` or `obtainable`; absent where it is not held.
    pub(crate) how: Option<String>,
    pub(crate) conditional: bool,
    pub(crate) usable: bool,
    pub(crate) path: Vec<StepItem>,
    pub(crate) others: u64,
    /// What it needs above the object and what is not held there.
    pub(crate) missing: Vec<Missing>,
    pub(crate) rows: RowsItem,
    /// More rows that are seen by acting as something else, the most of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wider: Option<WiderItem>,
    /// Access controls that would give it.
    pub(crate) would_give: Vec<String>,
    /// Access controls that take it.
    pub(crate) denied_by: Vec<String>,
    pub(crate) coverage: Coverage,
}

/// An object of a source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct FoundObject {
    pub(crate) source: String,
    pub(crate) object: ObjectRef,
}
