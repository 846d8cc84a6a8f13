//! What travels from a run to the cloud: lines of JSON, one record each, and the receipt that answers them.
//!
//! The same lines are digested into the audit log, sent, and read by the cloud; the receipt carries the digest of what
//! the cloud read. So a third party can say that what was extracted is what arrived.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::record::{AccessControl, Coverage, DataObject, Description, Gap, Group, Membership, Part, Statement, User};
use crate::step::Step;

/// One line of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A user.
    User(User),
    /// A group.
    Group(Group),
    /// A membership.
    Membership(Membership),
    /// The description, before all objects.
    Description(Box<Description>),
    /// An object.
    Object(DataObject),
    /// An access control.
    AccessControl(Box<AccessControl>),
    /// More of an access control.
    Part(Part),
    /// A statement.
    Statement(Statement),
    /// What the statements cover.
    Coverage(Coverage),
    /// What could not be read.
    Gap(Gap),
    /// The last line: without it nothing of the upload counts.
    End(End),
}

/// The last line of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct End {
    /// How many lines came before.
    pub lines: u64,
    /// Whether the read was whole but for its gaps, so that what it no longer has may be removed.
    pub complete: bool,
}

impl Line {
    /// Whether the line belongs to this step.
    pub fn belongs_to(&self, step: Step) -> bool {
        match self {
            Self::User(_) | Self::Group(_) | Self::Membership(_) => step == Step::IdentityStore,
            Self::Description(_) | Self::Object(_) => step == Step::DataSource,
            Self::AccessControl(_) | Self::Part(_) => step == Step::AccessFromTarget,
            Self::Statement(_) | Self::Coverage(_) => step == Step::DataUsage,
            Self::Gap(_) | Self::End(_) => true,
        }
    }

    /// Writes the line with its line break.
    pub fn write(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("records can be written as JSON, and a vector takes every byte");
        out.push(b'\n');
    }
}

/// What the cloud did with an upload. Records are users, groups, memberships, objects, access controls, facts, members
/// and statements, each counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Receipt {
    /// Records that the upload held.
    pub accepted: u64,
    /// Records that were not there before.
    pub added: u64,
    /// Records that were there with another content.
    pub updated: u64,
    /// Records that were there as they are.
    pub unchanged: u64,
    /// Records that were there and are no longer.
    pub removed: u64,
    /// Records that the upload did not hold and that stay, because they may lie in a gap.
    pub kept: u64,
    /// SHA-256 of all bytes of the upload.
    pub digest: Digest,
}
