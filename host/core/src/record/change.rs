//! Step 4: what the host decided, and what became of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessControl, AccessEntry, Member, ObjectRef, Policy, Standing, What};
use crate::fault::Fault;
use crate::text::{ExternalId, Kind, Name, Remark};

/// One change of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Create this access control, without members and facts.
    Create(Box<AccessControl>),
    /// Give it this technical name.
    Rename(Name),
    /// Give it this description.
    Describe(Remark),
    /// Admit these members.
    AddMembers(Vec<Member>),
    /// Remove these members.
    RemoveMembers(Vec<Member>),
    /// Change the options of these members.
    SetMemberOptions(Vec<Member>),
    /// Grant these permissions.
    Grant(Vec<What>),
    /// Revoke these permissions.
    Revoke(Vec<What>),
    /// Take the right to grant these permissions on.
    RevokePassOn(Vec<What>),
    /// Put these lines on the list of the object.
    AddEntries(Vec<AccessEntry>),
    /// Take these lines off the list of the object.
    RemoveEntries(Vec<AccessEntry>),
    /// Grant these permissions on objects that are created later.
    GrantStanding(Vec<Standing>),
    /// Revoke those.
    RevokeStanding(Vec<Standing>),
    /// Put this mask or filter in place.
    SetPolicy(Policy),
    /// Take the mask or filter away.
    ClearPolicy,
    /// Delete it.
    Delete,
}

/// All changes of one target entity, in the order to carry them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ChangeSet {
    /// The host's id.
    pub id: Name,
    /// The external id; none before the entity exists.
    pub external_id: Option<ExternalId>,
    /// The technical name: the one that it has, or the one to create it with.
    pub actual_name: Name,
    /// The name for people.
    pub name: Name,
    /// What it is for.
    pub description: Remark,
    /// The control kind.
    pub kind: Kind,
    /// The object, for kinds whose identity is an object.
    pub object: Option<ObjectRef>,
    /// The version of the list that the changes were decided on.
    pub version: Option<Name>,
    /// The whole list as it is to be, for kinds that the target replaces as a whole.
    pub entries: Option<Vec<AccessEntry>>,
    /// The changes.
    pub changes: Vec<Change>,
}

/// What became of one change-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Applied {
    /// The external id that the entity has now; none where only the next read can tell.
    pub external_id: Option<ExternalId>,
    /// The technical name that it has now.
    pub actual_name: Name,
    /// How many of the changes took effect before a fault.
    pub done: u32,
    /// Why not all of them did.
    pub fault: Option<Fault>,
    /// What people should know.
    pub warnings: Vec<Remark>,
}

impl Change {
    /// What the change is about, a line for each fact: for people, in the words of the contract.
    pub fn lines(&self) -> Vec<String> {
        let members = |verb: &str, list: &[Member]| -> Vec<String> {
            list.iter().map(|member| format!("{verb} {} {}", member.kind.word(), member.id)).collect()
        };
        let facts = |verb: &str, list: &[What]| -> Vec<String> {
            let of = |what: &What| {
                let names = what.permissions.iter().map(|used| used.name.to_string()).collect::<Vec<_>>().join(", ");
                format!("{verb} {names} on {}", what.object)
            };
            list.iter().map(of).collect()
        };
        let standings = |verb: &str, list: &[Standing]| -> Vec<String> {
            let of = |standing: &Standing| {
                let names =
                    standing.permissions.iter().map(|used| used.name.to_string()).collect::<Vec<_>>().join(", ");
                format!("{verb} {names} on later objects of kind {} below {}", standing.kind, standing.under)
            };
            list.iter().map(of).collect()
        };
        let entries = |verb: &str, list: &[AccessEntry]| -> Vec<String> {
            let of = |entry: &AccessEntry| {
                let names = entry.permissions.iter().map(|used| used.name.to_string()).collect::<Vec<_>>().join(", ");
                format!("{verb} {names} of {} {}", entry.member.kind.word(), entry.member.id)
            };
            list.iter().map(of).collect()
        };
        match self {
            Self::Create(_) => vec!["create it".to_owned()],
            Self::Rename(name) => vec![format!("rename it to {name}")],
            Self::Describe(_) => vec!["describe it".to_owned()],
            Self::AddMembers(list) => members("admit", list),
            Self::RemoveMembers(list) => members("remove", list),
            Self::SetMemberOptions(list) => members("change the options of", list),
            Self::Grant(list) => facts("grant", list),
            Self::Revoke(list) => facts("revoke", list),
            Self::RevokePassOn(list) => facts("revoke the right to grant", list),
            Self::AddEntries(list) => entries("add", list),
            Self::RemoveEntries(list) => entries("remove", list),
            Self::GrantStanding(list) => standings("grant", list),
            Self::RevokeStanding(list) => standings("revoke", list),
            Self::SetPolicy(_) => vec!["set its rule".to_owned()],
            Self::ClearPolicy => vec!["clear its rule".to_owned()],
            Self::Delete => vec!["delete it".to_owned()],
        }
    }
}
