//! Records: what connectors report and the cloud keeps, each made once at the border and right from then on.
//!
//! The types mirror the contract (`wit/connector`), with the same names. Their JSON form is the wire form of the cloud, so
//! reading an upload checks the same bounds as reading a guest's page.

mod access;
mod change;
mod description;
mod identity;
mod object;
mod page;
mod usage;

pub use access::{
    AccessControl, AccessEntry, Action, Facet, Lock, Member, MemberKind, Part, PermissionUse, Policy, Standing, What,
};
pub use change::{Applied, Change, ChangeSet};
pub use description::{
    ControlKind, Description, Identity, KindPermission, MaskKind, ObjectKind, Permission, Reach, Shorthand, Special,
};
pub use identity::{Group, Membership, User};
pub use object::{DataObject, ObjectRef, Rights};
pub use page::{AccessPage, Gap, IdentityPage, ObjectPage, Page, UsagePage};
pub use usage::{Access, Coverage, Named, Statement};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::{Name, TagValue};

/// A label that something carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Tag {
    /// What the label says something about.
    pub key: Name,
    /// What it says.
    pub value: TagValue,
    /// Who put it there.
    pub source: Name,
}

/// Says whether a flag has its usual value and can be left out of JSON.
fn is_false(flag: &bool) -> bool {
    !*flag
}
