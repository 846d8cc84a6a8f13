//! Step 1: who there is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Member, Tag, is_false};
use crate::text::{Email, ExternalId, Name, Remark};

/// An account of the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct User {
    /// What identifies the account for good.
    pub external_id: ExternalId,
    /// The account name, as used to log in.
    pub user_name: Name,
    /// The name for people.
    pub display_name: Name,
    /// The address that links accounts of one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Whether the account can be used now.
    pub enabled: bool,
    /// Whether a machine uses it, where the target can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<bool>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// A group of users and groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// What identifies the group for good.
    pub external_id: ExternalId,
    /// The technical name.
    pub name: Name,
    /// The name for people.
    pub display_name: Name,
    /// What the group is for.
    pub description: Remark,
    /// Whether some of its members could not be read or told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete: bool,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// One member of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Membership {
    /// The group.
    pub group_external_id: ExternalId,
    /// The member: a user or a group.
    pub member: Member,
}
