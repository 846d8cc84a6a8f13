//! Facts, and sets of them.
//!
//! A fact is the smallest thing that can be granted: this principal has this permission on this object, this principal
//! belongs to this access control. Access controls are bundles of facts, and two of them may want the same one; so the
//! union of all bundles is compared, and a fact goes only when nobody wants it any more. Nothing goes on the strength of a
//! read that was not whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{AccessControl, Gap, Identity, Member, MemberKind, ObjectRef, PermissionUse};
use crate::text::{ExternalId, Kind, Name, PermissionName, PolicyText};

/// Who holds something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A named access control, by its id in this comparison.
    Control(Name),
    /// A user, group, access control, special or recipient that stands on an object's list.
    Member(MemberKind, ExternalId),
}

/// The smallest thing that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fact {
    /// Somebody belongs to a named access control.
    Member {
        /// The access control.
        control: Name,
        /// What the member is.
        kind: MemberKind,
        /// The member.
        id: ExternalId,
    },
    /// A principal has a permission on an object.
    Permission {
        /// Who.
        principal: Principal,
        /// On what.
        object: ObjectRef,
        /// Which.
        permission: PermissionName,
        /// Under which condition.
        condition: Option<PolicyText>,
    },
    /// A principal will have a permission on objects that come later.
    Standing {
        /// Who.
        principal: Principal,
        /// Below what.
        under: ObjectRef,
        /// On which kind.
        kind: Kind,
        /// Created by whom.
        creator: Option<ExternalId>,
        /// Which.
        permission: PermissionName,
    },
}

/// How somebody holds something; two equal facts may differ in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Options {
    /// Whether a member has the permissions without doing anything.
    pub inherits: bool,
    /// Whether a member can switch to the access control.
    pub assumable: bool,
    /// Whether it may be passed on.
    pub may_pass_on: bool,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

impl Options {
    /// What two sources of one fact give together: whatever either gives, for as long as the longer one gives it.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            inherits: self.inherits || other.inherits,
            assumable: self.assumable || other.assumable,
            may_pass_on: self.may_pass_on || other.may_pass_on,
            expires_ms: match (self.expires_ms, other.expires_ms) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            },
        }
    }
}

/// A set of facts, each with how it is held.
pub type FactSet = BTreeMap<Fact, Options>;

/// Adds a fact, or what it gives more than is there already.
pub fn insert(facts: &mut FactSet, fact: Fact, options: Options) {
    facts.entry(fact).and_modify(|held| *held = held.union(options)).or_insert(options);
}

/// Adds all facts of an access control. `id` names it in this comparison, where it is a named one.
pub fn insert_control(facts: &mut FactSet, id: &Name, control: &AccessControl, identity: Identity) {
    match identity {
        Identity::Named | Identity::NamedOnObject => {
            for member in &control.who {
                let fact = Fact::Member { control: id.clone(), kind: member.kind, id: member.id.clone() };
                insert(facts, fact, member_options(member));
            }
            insert_held(facts, &Principal::Control(id.clone()), Options::default(), control);
        }
        Identity::PerObject | Identity::PerObjectPermission => {
            for member in &control.who {
                let principal = Principal::Member(member.kind, member.id.clone());
                let options = Options { expires_ms: member.expires_ms, ..Options::default() };
                insert_held(facts, &principal, options, control);
            }
        }
    }
}

/// How a member belongs to an access control.
pub(crate) fn member_options(member: &Member) -> Options {
    Options {
        inherits: member.inherits,
        assumable: member.assumable,
        may_pass_on: member.may_pass_on,
        expires_ms: member.expires_ms,
    }
}

/// How an access control holds a permission.
pub(crate) fn held_options(used: &PermissionUse) -> Options {
    Options { may_pass_on: used.may_pass_on, ..Options::default() }
}

/// Adds what a principal holds through a control.
fn insert_held(facts: &mut FactSet, principal: &Principal, options: Options, control: &AccessControl) {
    for what in &control.what {
        for permission in &what.permissions {
            let fact = Fact::Permission {
                principal: principal.clone(),
                object: what.object.clone(),
                permission: permission.name.clone(),
                condition: what.condition.clone(),
            };
            insert(facts, fact, Options { may_pass_on: permission.may_pass_on, ..options });
        }
    }
    for standing in &control.standing {
        for permission in &standing.permissions {
            let fact = Fact::Standing {
                principal: principal.clone(),
                under: standing.under.clone(),
                kind: standing.kind.clone(),
                creator: standing.creator.clone(),
                permission: permission.name.clone(),
            };
            insert(facts, fact, Options { may_pass_on: permission.may_pass_on, ..options });
        }
    }
}

/// What of the actual facts could not be read, so that their absence says nothing and their presence may not be all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unread {
    /// Anything may be missing.
    pub anything: bool,
    /// These access controls, by their ids in this comparison.
    pub controls: BTreeSet<Name>,
}

impl Unread {
    /// Nothing is unread.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// What the gaps of a read leave open. `control` gives the id of an access control in this comparison by its external
    /// id; a gap anywhere else may hide anything.
    pub fn from_gaps(gaps: &[Gap], control: impl Fn(&ExternalId) -> Option<Name>) -> Self {
        let mut unread = Self::default();
        for gap in gaps {
            match gap.scope.as_ref().and_then(&control) {
                Some(id) => {
                    unread.controls.insert(id);
                }
                None => unread.anything = true,
            }
        }
        unread
    }

    /// Whether anything of this access control may be missing.
    pub fn of(&self, id: &Name) -> bool {
        self.anything || self.controls.contains(id)
    }
}
