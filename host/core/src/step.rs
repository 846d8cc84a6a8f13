//! The five steps, as one table.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Target to cloud: users, groups, memberships.
    IdentityStore,
    /// Target to cloud: the description and the objects.
    DataSource,
    /// Target to cloud: all access controls.
    AccessFromTarget,
    /// Cloud to target: changes of access controls.
    AccessToTarget,
    /// Target to cloud: who used what.
    DataUsage,
}

impl Step {
    /// All steps in the order of a run.
    pub const ALL: [Self; 5] =
        [Self::IdentityStore, Self::DataSource, Self::AccessFromTarget, Self::AccessToTarget, Self::DataUsage];

    /// The interface of the contract that a connector exports for it; also its name in configuration and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::IdentityStore => "identity-store",
            Self::DataSource => "data-source",
            Self::AccessFromTarget => "access-from-target",
            Self::AccessToTarget => "access-to-target",
            Self::DataUsage => "data-usage",
        }
    }

    /// What it is about, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::IdentityStore => "identities",
            Self::DataSource => "metadata",
            Self::AccessFromTarget => "access from target",
            Self::AccessToTarget => "access to target",
            Self::DataUsage => "usage",
        }
    }

    /// Its place in a run, from 1.
    pub fn number(self) -> usize {
        Self::ALL.iter().position(|step| *step == self).map_or(0, |index| index + 1)
    }

    /// The step with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
