//! Step 2: how a target behaves. Everything that the host derives about access, it derives from here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccessControl, MemberKind, ObjectRef};
use crate::text::{ExternalId, Kind, Name, PermissionName, Remark};

/// A permission on objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KindPermission {
    /// The object kind.
    pub kind: Kind,
    /// The permission's name.
    pub permission: PermissionName,
}

/// A permission that comes with another one on descendants of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Reach {
    /// What is held below.
    pub to: KindPermission,
    /// Whether this also covers descendants that are created later.
    pub later_too: bool,
}

/// How a word like ALL behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shorthand {
    /// The permission stands for itself.
    None,
    /// It stands for the permissions that exist when it is granted.
    AtGrant,
    /// It stands for whatever permissions exist when access is checked.
    AtCheck,
}

/// One permission that objects of a kind know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Permission {
    /// The name that the target uses.
    pub name: PermissionName,
    /// What it allows.
    pub description: Remark,
    /// Which of `read`, `write` and `admin` it counts as.
    pub counts_as: Vec<Name>,
    /// Permissions on the same object that come with it.
    pub implies: Vec<PermissionName>,
    /// What is held on descendants with it.
    pub reaches: Vec<Reach>,
    /// What must be held on ancestors for it to be usable: all of the outer list, any of each inner one.
    pub needs: Vec<Vec<KindPermission>>,
    /// Whether it is a word for several permissions.
    pub shorthand: Shorthand,
    /// Whether it can be granted.
    pub can_be_granted: bool,
    /// Whether who holds it can be allowed to grant it on.
    pub can_be_passed_on: bool,
    /// Whether it is asked of the user when they log in, whatever they switch to later.
    #[serde(default)]
    pub asked_at_login: bool,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ObjectKind {
    /// The kind.
    pub name: Kind,
    /// The kind for people.
    pub label: Name,
    /// What can be held on objects of this kind.
    pub permissions: Vec<Permission>,
    /// The kinds of objects that stand directly below.
    pub children: Vec<Kind>,
    /// Whether a revoke on the object also takes what was granted on its parts.
    pub revoke_clears_parts: bool,
}

/// What an access control of a kind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// An entity with a name.
    Named,
    /// A rule with a name that is its own on one object only. Its members and its rule are put in place as a whole.
    NamedOnObject,
    /// The access list of one object.
    PerObject,
    /// One permission on one object.
    PerObjectPermission,
}

impl Identity {
    /// Whether an access control of such a kind stands for lines on the list of its object, and is no entity of its own.
    pub fn is_list(self) -> bool {
        matches!(self, Self::PerObject | Self::PerObjectPermission)
    }
}

/// A kind of access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ControlKind {
    /// The kind.
    pub name: Kind,
    /// The kind for people.
    pub label: Name,
    /// What a control of this kind is.
    pub identity: Identity,
    /// Whether one can be created from outside.
    pub can_create: bool,
    /// Whether one can be renamed from outside.
    pub can_rename: bool,
    /// Whether its members can switch to it.
    pub assumable: bool,
    /// Which member kinds it takes.
    pub members: Vec<super::MemberKind>,
    /// Which of them can be admitted and removed from outside.
    #[serde(default)]
    pub admits: Vec<super::MemberKind>,
    /// The object kind under which all of its objects must stand.
    pub common_parent: Option<Kind>,
    /// Whether the target replaces its list as a whole.
    pub replaced_whole: bool,
}

/// A member that is a rule rather than somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Special {
    /// The id that members use.
    pub name: ExternalId,
    /// Whom it covers.
    pub covers: Remark,
}

/// A way to mask a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaskKind {
    /// The kind.
    pub name: Kind,
    /// The kind for people.
    pub label: Name,
    /// The data types that it can mask; empty for any.
    pub data_kinds: Vec<Name>,
    /// The object kinds that it applies to.
    pub applies_to: Vec<Kind>,
}

/// How a target behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Description {
    /// The target's own name.
    pub name: Name,
    /// What tells this instance from every other one for good.
    pub instance_id: ExternalId,
    /// All kinds of objects.
    pub kinds: Vec<ObjectKind>,
    /// All kinds of access controls.
    pub controls: Vec<ControlKind>,
    /// All rule-like members.
    pub specials: Vec<Special>,
    /// Whether access controls can be members of access controls.
    pub inheritance: bool,
    /// All ways to mask.
    pub masks: Vec<MaskKind>,
    /// The object kinds that row filters apply to.
    pub filters_apply_to: Vec<Kind>,
    /// Permissions whose holders see unmasked data.
    pub mask_overrides: Vec<PermissionName>,
    /// Permissions whose holders see all rows.
    pub filter_overrides: Vec<PermissionName>,
    /// A regular expression that the names of access controls match as a whole.
    pub name_pattern: Name,
    /// How many bytes such a name may have.
    pub name_bytes_max: u32,
    /// Prefixes that such a name must not have.
    pub reserved_prefixes: Vec<Name>,
    /// The SQL dialect in which statements of step 5 are written.
    pub sql_dialect: Option<Name>,
    /// What no read tells: with a scope what was not granted or asked for, without one what the connector does not know.
    #[serde(default)]
    pub left_out: Vec<super::Gap>,
}

impl Description {
    /// The object kind with this name.
    pub fn object_kind(&self, name: &Kind) -> Option<&ObjectKind> {
        self.kinds.iter().find(|kind| kind.name == *name)
    }

    /// The control kind with this name.
    pub fn control_kind(&self, name: &Kind) -> Option<&ControlKind> {
        self.controls.iter().find(|kind| kind.name == *name)
    }
}

impl ControlKind {
    /// The user whose own an access control of this kind is: the one user that belongs to it, where nobody can be admitted but by
    /// way of such access controls. A role of PostgreSQL that can log in is one.
    pub fn user_of<'c>(&self, control: &'c AccessControl) -> Option<&'c ExternalId> {
        let is_own = self.members.contains(&MemberKind::User) && !self.admits.contains(&MemberKind::User);
        let mut users = control.who.iter().filter(|member| member.kind == MemberKind::User);
        let user = users.next().filter(|_| is_own && self.admits.contains(&MemberKind::AccessControl))?;
        users.next().is_none().then_some(&user.id)
    }

    /// Whether somebody may say that such a member is to be admitted: one that can be, or one whose place others take that can be.
    /// A user comes by way of the access control that is his own, and the users of a group in its place (`members`).
    pub fn can_be_wanted(&self, member: MemberKind) -> bool {
        let by_own = self.admits.contains(&MemberKind::AccessControl) && self.members.contains(&MemberKind::User);
        let users = by_own || self.admits.contains(&MemberKind::User);
        match member {
            MemberKind::User => users,
            MemberKind::Group => self.admits.contains(&member) || (users && self.members.contains(&member)),
            _ => self.admits.contains(&member),
        }
    }

    /// The one object that an access control of this kind is on, where its name is its own there only.
    pub fn object_of<'c>(&self, control: &'c AccessControl) -> Option<&'c ObjectRef> {
        let object = control.what.first().map(|what| &what.object);
        object.filter(|_| self.identity == Identity::NamedOnObject)
    }
}

impl ObjectKind {
    /// The permission with this name.
    pub fn permission(&self, name: &PermissionName) -> Option<&Permission> {
        self.permissions.iter().find(|permission| permission.name == *name)
    }
}
