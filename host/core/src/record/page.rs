//! One page of a reading step.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessControl, DataObject, Group, Membership, Part, Standing, Statement, User, What};
use crate::text::{ExternalId, Remark, Resume};

/// A part of the source that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Gap {
    /// The external id of what could not be read whole; none where anything may be missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ExternalId>,
    /// Why it could not be read.
    pub reason: Remark,
}

/// A page of step 1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityPage {
    /// Some users.
    pub users: Vec<User>,
    /// Some groups.
    pub groups: Vec<Group>,
    /// Some direct memberships.
    pub memberships: Vec<Membership>,
}

/// A page of step 2.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectPage {
    /// Some objects.
    pub objects: Vec<DataObject>,
}

/// A page of step 3.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccessPage {
    /// Some access controls.
    pub access_controls: Vec<AccessControl>,
    /// More of access controls of this page or of an earlier one.
    pub parts: Vec<Part>,
}

impl AccessPage {
    /// Records on it: each access control, and each member and each permission of a control or of a part.
    pub fn count(&self) -> usize {
        let facts = |what: &[What], standing: &[Standing]| -> usize {
            let now: usize = what.iter().map(|what| what.permissions.len()).sum();
            now + standing.iter().map(|standing| standing.permissions.len()).sum::<usize>()
        };
        let controls =
            self.access_controls.iter().map(|control| 1 + control.who.len() + facts(&control.what, &control.standing));
        let parts = self.parts.iter().map(|part| part.who.len() + facts(&part.what, &part.standing));
        controls.chain(parts).sum()
    }
}

/// A page of step 5.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsagePage {
    /// Some statements.
    pub statements: Vec<Statement>,
}

/// A page of records with what belongs to every page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<Records> {
    /// The records.
    pub records: Records,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Where to go on after this page within the same run.
    pub resume: Option<Resume>,
}
