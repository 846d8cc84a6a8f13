//! Steps 3 and 4: access controls and the facts that they are made of.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ObjectRef, Tag, is_false};
use crate::text::{ExternalId, Kind, Name, PathPart, PermissionName, PolicyText, Remark};

/// What an access control does for its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Gives permissions.
    Grant,
    /// Takes permissions.
    Deny,
    /// Hides values of columns.
    Mask,
    /// Shows only matching rows.
    Filter,
    /// Gives objects to other accounts of the same service.
    Share,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    /// A user.
    User,
    /// A group.
    Group,
    /// Another access control.
    AccessControl,
    /// Whoever acts as an access control, because he switched to it; not who only inherits from it.
    ActingAs,
    /// A rule of the description.
    Special,
    /// Another account of the same service.
    Recipient,
}

impl MemberKind {
    /// The word of the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::AccessControl => "access-control",
            Self::ActingAs => "acting-as",
            Self::Special => "special",
            Self::Recipient => "recipient",
        }
    }
}

/// Somebody who has an access control, or belongs to a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Member {
    /// What the member is.
    pub kind: MemberKind,
    /// Its external id, or the name of a special.
    pub id: ExternalId,
    /// Whether the member has the permissions without doing anything.
    pub inherits: bool,
    /// Whether the member can switch to the access control.
    #[serde(default, skip_serializing_if = "is_false")]
    pub assumable: bool,
    /// Whether the member may admit others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_pass_on: bool,
    /// Who made it a member, where the target keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<ExternalId>,
    /// When the membership ends, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
}

/// One permission of a fact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PermissionUse {
    /// The permission's name.
    pub name: PermissionName,
    /// Whether it may be granted on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_pass_on: bool,
    /// Who granted it, where the target keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<ExternalId>,
}

/// Permissions on one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct What {
    /// The object.
    pub object: ObjectRef,
    /// What is held on it.
    pub permissions: Vec<PermissionUse>,
    /// A condition under which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<PolicyText>,
}

/// One line of an object's own access list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessEntry {
    /// Who.
    pub member: Member,
    /// What the member holds.
    pub permissions: Vec<PermissionUse>,
    /// A condition under which this holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<PolicyText>,
}

/// Permissions that objects will get when they are created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Standing {
    /// The object below which they are created.
    pub under: ObjectRef,
    /// The kind of the objects.
    pub kind: Kind,
    /// Who must create them; anybody where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<ExternalId>,
    /// What is held on them.
    pub permissions: Vec<PermissionUse>,
}

/// What a mask or a filter does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Policy {
    /// A mask kind, or empty for a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// The rule in the target's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<PolicyText>,
    /// The rule that written rows must match, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<PolicyText>,
    /// The commands that it applies to; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<PermissionName>,
    /// The columns that it covers or refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<PathPart>,
    /// Names and values that the kind takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<(Name, Name)>,
    /// Whether it narrows what other filters show.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restrictive: bool,
    /// Whether the object applies its filters at all.
    pub enabled: bool,
    /// Whether it applies them to its owner as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub forced: bool,
}

impl Policy {
    /// Whether what a target tells is this policy. Columns that are named nowhere here are the target's to tell: a mask on a column
    /// covers that one.
    pub fn is_met_by(&self, held: &Self) -> bool {
        let columns = if self.columns.is_empty() { &held.columns } else { &self.columns };
        *held == Self { columns: columns.clone(), ..self.clone() }
    }
}

/// A side of an access control that can be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// Users and groups.
    Who,
    /// Access controls as members.
    Inheritance,
    /// Objects and permissions.
    What,
    /// The name.
    Name,
    /// That it exists.
    Delete,
    /// Its owners.
    Owners,
}

/// One side that must not be changed from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    /// The side.
    pub facet: Facet,
    /// Why.
    pub reason: Remark,
}

/// An access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AccessControl {
    /// What identifies it for good.
    pub external_id: ExternalId,
    /// The name for people.
    pub name: Name,
    /// The technical name.
    pub actual_name: Name,
    /// The control kind.
    pub kind: Kind,
    /// What it is for.
    pub description: Remark,
    /// What it does.
    pub action: Action,
    /// The version of a list that the target replaces as a whole, as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Name>,
    /// Its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<Member>,
    /// Its facts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<What>,
    /// Its standing grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Standing>,
    /// What a mask or a filter does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// What must not be changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Lock>,
    /// Whether it can be managed from outside.
    pub internalizable: bool,
    /// Whether something of it could not be told.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete: bool,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// More of an access control that was too large for one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Part {
    /// The external id of the access control.
    pub control: ExternalId,
    /// More members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<Member>,
    /// More facts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<What>,
    /// More standing grants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Standing>,
}

/// What an access control holds, by what it is held on: the names of permissions, so that each is looked up and none searched.
type Held<'a, K> = BTreeMap<K, BTreeSet<&'a PermissionName>>;
/// An object, and the condition under which something is held on it.
type On<'a> = (&'a ObjectRef, Option<&'a PolicyText>);
/// Objects that come later: below what, of which kind, created by whom.
type Later<'a> = (&'a ObjectRef, &'a Kind, Option<&'a ExternalId>);

impl What {
    fn on(&self) -> On<'_> {
        (&self.object, self.condition.as_ref())
    }
}

impl Standing {
    fn later(&self) -> Later<'_> {
        (&self.under, &self.kind, self.creator.as_ref())
    }
}

fn insert<'a, K: Ord>(held: &mut Held<'a, K>, key: K, permissions: &'a [PermissionUse]) {
    held.entry(key).or_default().extend(permissions.iter().map(|used| &used.name));
}

/// Those of some permissions that are held, or those that are not.
fn which<K: Ord>(permissions: &[PermissionUse], held: &Held<'_, K>, key: &K, is_held: bool) -> Vec<PermissionUse> {
    let known = held.get(key);
    let has = |used: &&PermissionUse| known.is_some_and(|known| known.contains(&used.name)) == is_held;
    permissions.iter().filter(has).cloned().collect()
}

impl AccessControl {
    fn members(&self) -> BTreeSet<(MemberKind, &ExternalId)> {
        self.who.iter().map(|member| (member.kind, &member.id)).collect()
    }

    fn held(&self) -> Held<'_, On<'_>> {
        let mut held = Held::new();
        self.what.iter().for_each(|what| insert(&mut held, what.on(), &what.permissions));
        held
    }

    fn held_later(&self) -> Held<'_, Later<'_>> {
        let mut held = Held::new();
        self.standing.iter().for_each(|standing| insert(&mut held, standing.later(), &standing.permissions));
        held
    }

    /// This access control without members and facts.
    #[must_use]
    pub fn without_facts(&self) -> Self {
        Self {
            external_id: self.external_id.clone(),
            name: self.name.clone(),
            actual_name: self.actual_name.clone(),
            kind: self.kind.clone(),
            description: self.description.clone(),
            action: self.action,
            version: self.version.clone(),
            who: Vec::new(),
            what: Vec::new(),
            standing: Vec::new(),
            policy: self.policy.clone(),
            locks: self.locks.clone(),
            internalizable: self.internalizable,
            incomplete: self.incomplete,
            tags: self.tags.clone(),
        }
    }

    /// Of this access control only the members and facts that another one has as well, as this one holds them.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let (members, held, held_later) = (other.members(), other.held(), other.held_later());
        let what = self.what.iter().filter_map(|what| {
            let permissions = which(&what.permissions, &held, &what.on(), true);
            (!permissions.is_empty()).then(|| What { permissions, ..what.clone() })
        });
        let standing = self.standing.iter().filter_map(|standing| {
            let permissions = which(&standing.permissions, &held_later, &standing.later(), true);
            (!permissions.is_empty()).then(|| Standing { permissions, ..standing.clone() })
        });
        let who = self.who.iter().filter(|member| members.contains(&(member.kind, &member.id)));
        Self { who: who.cloned().collect(), what: what.collect(), standing: standing.collect(), ..self.without_facts() }
    }

    /// This access control, with the members and facts of another one that it does not have.
    #[must_use]
    pub fn with(mut self, other: &Self) -> Self {
        let (members, held, held_later) = (self.members(), self.held(), self.held_later());
        let who = other.who.iter().filter(|member| !members.contains(&(member.kind, &member.id)));
        let what = other.what.iter().filter_map(|what| {
            let permissions = which(&what.permissions, &held, &what.on(), false);
            (!permissions.is_empty()).then(|| What { permissions, ..what.clone() })
        });
        let standing = other.standing.iter().filter_map(|standing| {
            let permissions = which(&standing.permissions, &held_later, &standing.later(), false);
            (!permissions.is_empty()).then(|| Standing { permissions, ..standing.clone() })
        });
        let (who, what, standing): (Vec<_>, Vec<_>, Vec<_>) =
            (who.cloned().collect(), what.collect(), standing.collect());
        self.who.extend(who);
        self.what.extend(what);
        self.standing.extend(standing);
        self
    }
}
