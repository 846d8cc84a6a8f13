//! Sayings: change-sets, spelled out as the smallest things that a write call can say.

use std::collections::BTreeMap;

use crate::record::{Change, ChangeSet, Member, MemberKind, ObjectRef, PermissionUse, Policy, Standing, What};
use crate::text::ExternalId;
use crate::vocabulary::Does;

/// How members, grantors and creators are called at the target, by what whole reads of the same run told.
#[derive(Debug, Clone, Default)]
pub struct Names {
    users: BTreeMap<ExternalId, String>,
    controls: BTreeMap<ExternalId, String>,
}

impl Names {
    /// Adds a user's account name.
    pub fn user(&mut self, id: ExternalId, name: String) {
        self.users.insert(id, name);
    }

    /// Adds an access control's technical name.
    pub fn control(&mut self, id: ExternalId, name: String) {
        self.controls.insert(id, name);
    }

    /// A member as reports have it: the kind, the name where it is known, and the id that nothing else has.
    pub fn shown(&self, kind: MemberKind, id: &ExternalId) -> String {
        let name = match kind {
            MemberKind::User => self.users.get(id),
            MemberKind::AccessControl | MemberKind::ActingAs => self.controls.get(id),
            MemberKind::Group | MemberKind::Special | MemberKind::Recipient => None,
        };
        format!("{} {}", kind.word(), with_id(name, id))
    }

    /// Somebody as reports have him, whatever he is.
    pub fn shown_anybody(&self, id: &ExternalId) -> String {
        with_id(self.users.get(id).or_else(|| self.controls.get(id)), id)
    }

    /// What a member may be called: its id, and its name where it cannot be taken for somebody else's id.
    fn of(&self, kind: MemberKind, id: &ExternalId) -> Called {
        let name = match kind {
            MemberKind::User => self.users.get(id),
            MemberKind::AccessControl | MemberKind::ActingAs => self.controls.get(id),
            MemberKind::Group | MemberKind::Special | MemberKind::Recipient => None,
        };
        Called { is_special: kind == MemberKind::Special, ..Called::new(Some(id), name.cloned(), self) }
    }

    /// What a grantor or a creator may be called: access controls grant and create.
    fn of_control(&self, id: Option<&ExternalId>) -> Option<Called> {
        id.map(|id| self.of(MemberKind::AccessControl, id))
    }

    fn is_id(&self, text: &str) -> bool {
        self.users.contains_key(text) || self.controls.contains_key(text)
    }
}

fn with_id(name: Option<&String>, id: &ExternalId) -> String {
    match name {
        Some(name) if name != id.as_str() => format!("{} ({id})", crate::text::escape(name)),
        _ => id.to_string(),
    }
}

/// How somebody is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Called {
    id: Option<String>,
    name: Option<String>,
    /// Whether the name is somebody's id as well.
    ambiguous: bool,
    /// Whether it is a special member, which has no name.
    is_special: bool,
}

impl Called {
    fn new(id: Option<&ExternalId>, name: Option<String>, names: &Names) -> Self {
        let ambiguous = name.as_ref().is_some_and(|name| names.is_id(name));
        Self { id: id.map(|id| id.as_str().to_owned()), name, ambiguous, is_special: false }
    }

    /// Whether it is this special member.
    pub(super) fn is_special(&self, id: &ExternalId) -> bool {
        self.is_special && self.id.as_deref() == Some(id.as_str())
    }

    /// The technical name.
    pub(super) fn name(&self) -> Option<String> {
        self.name.clone()
    }

    /// Whether a text means him. SQL names by name alone; elsewhere an id counts, and a name that is nobody's id.
    pub(super) fn is(&self, text: &str, in_sql: bool) -> bool {
        let by_name = self.name.as_deref() == Some(text);
        if in_sql { by_name } else { self.id.as_deref() == Some(text) || (by_name && !self.ambiguous) }
    }
}

/// The smallest thing that a write call can say.
#[derive(Debug, Clone, Default)]
pub(super) struct Saying {
    pub(super) set: usize,
    pub(super) does: Option<Does>,
    pub(super) control: Called,
    pub(super) name: Option<String>,
    pub(super) member: Option<Called>,
    pub(super) object: Option<ObjectRef>,
    pub(super) permission: Option<String>,
    pub(super) grantor: Option<Called>,
    pub(super) creator: Option<Called>,
    pub(super) kind: Option<String>,
    pub(super) inherits: bool,
    pub(super) assumable: bool,
    pub(super) may_pass_on: bool,
    pub(super) description: Option<String>,
    pub(super) policy: Option<Policy>,
    pub(super) version: Option<String>,
    /// Whether the access control is only created.
    pub(super) creates: bool,
}

/// Everything that the changes of a set say; `at` is the set's position.
pub(super) fn spell(at: usize, set: &ChangeSet, names: &Names) -> Vec<Saying> {
    let mut sayings = Vec::new();
    let called = |name: &str| Called::new(set.external_id.as_ref(), Some(name.to_owned()), names);
    let mut base = Saying {
        set: at,
        control: called(set.actual_name.as_str()),
        object: set.object.clone(),
        creates: set.changes.iter().any(|change| matches!(change, Change::Create(_))),
        ..Saying::default()
    };
    let replaces = |change: &Change| matches!(change, Change::AddEntries(_) | Change::RemoveEntries(_));
    if set.entries.as_ref().is_some_and(Vec::is_empty) && set.changes.iter().any(replaces) {
        let version = set.version.as_ref().map(|version| version.as_str().to_owned());
        sayings.push(Saying { does: Some(Does::ReplaceEntries), version, ..base.clone() });
    }
    for entry in set.entries.iter().flatten().filter(|_| set.changes.iter().any(replaces)) {
        let version = set.version.as_ref().map(|version| version.as_str().to_owned());
        let of_entry = Saying { does: Some(Does::ReplaceEntries), version, ..base.clone() };
        let of_entry = with_member(&of_entry, &entry.member, names);
        sayings.extend(entry.permissions.iter().map(|used| with_permission(&of_entry, used, names)));
    }
    for change in &set.changes {
        spell_change(set, change, &base, names, &mut sayings);
        if let Change::Rename(to) = change {
            // From here on it has its new name, and no longer the old one.
            base.control = called(to.as_str());
        }
    }
    sayings
}

fn with_member(base: &Saying, member: &Member, names: &Names) -> Saying {
    Saying {
        member: Some(names.of(member.kind, &member.id)),
        inherits: member.inherits,
        assumable: member.assumable,
        may_pass_on: member.may_pass_on,
        grantor: names.of_control(member.granted_by.as_ref()),
        ..base.clone()
    }
}

fn with_permission(base: &Saying, used: &PermissionUse, names: &Names) -> Saying {
    Saying {
        permission: Some(used.name.as_str().to_owned()),
        may_pass_on: used.may_pass_on,
        grantor: names.of_control(used.granted_by.as_ref()),
        ..base.clone()
    }
}

/// Adds what one change says.
fn spell_change(set: &ChangeSet, change: &Change, base: &Saying, names: &Names, sayings: &mut Vec<Saying>) {
    let doing = |does| Saying { does: Some(does), ..base.clone() };
    let members = |does, list: &[Member]| -> Vec<Saying> {
        list.iter().map(|member| with_member(&doing(does), member, names)).collect()
    };
    let facts = |does, list: &[What]| -> Vec<Saying> {
        let of = |what: &What| {
            let base = Saying { object: Some(what.object.clone()), ..doing(does) };
            what.permissions.iter().map(|used| with_permission(&base, used, names)).collect::<Vec<_>>()
        };
        list.iter().flat_map(of).collect()
    };
    let standings = |does, list: &[Standing]| -> Vec<Saying> {
        let of = |standing: &Standing| {
            let base = Saying {
                object: Some(standing.under.clone()),
                kind: Some(standing.kind.as_str().to_owned()),
                creator: names.of_control(standing.creator.as_ref()),
                ..doing(does)
            };
            standing.permissions.iter().map(|used| with_permission(&base, used, names)).collect::<Vec<_>>()
        };
        list.iter().flat_map(of).collect()
    };
    let name = |name: &crate::text::Name| Some(name.as_str().to_owned());
    let description = Some(set.description.as_str().to_owned());
    match change {
        Change::Create(_) => {
            sayings.push(Saying { name: name(&set.actual_name), description, ..doing(Does::Create) });
        }
        Change::Rename(to) => sayings.push(Saying { name: name(to), ..doing(Does::Rename) }),
        Change::Describe(text) => {
            sayings.push(Saying { description: Some(text.as_str().to_owned()), ..doing(Does::Describe) });
        }
        Change::AddMembers(list) => sayings.extend(members(Does::AddMember, list)),
        Change::RemoveMembers(list) => sayings.extend(members(Does::RemoveMember, list)),
        Change::SetMemberOptions(list) => sayings.extend(members(Does::SetMemberOptions, list)),
        Change::Grant(list) => sayings.extend(facts(Does::Grant, list)),
        Change::Revoke(list) => sayings.extend(facts(Does::Revoke, list)),
        Change::RevokePassOn(list) => sayings.extend(facts(Does::RevokePassOn, list)),
        Change::GrantStanding(list) => sayings.extend(standings(Does::GrantStanding, list)),
        Change::RevokeStanding(list) => sayings.extend(standings(Does::RevokeStanding, list)),
        Change::AddEntries(list) | Change::RemoveEntries(list) => {
            let does = if matches!(change, Change::AddEntries(_)) { Does::AddEntry } else { Does::RemoveEntry };
            for entry in list {
                let of_entry = with_member(&doing(does), &entry.member, names);
                sayings.extend(entry.permissions.iter().map(|used| with_permission(&of_entry, used, names)));
            }
        }
        Change::SetPolicy(policy) => {
            let base = Saying { policy: Some(policy.clone()), ..doing(Does::SetPolicy) };
            match set.entries.as_deref() {
                None | Some([]) => sayings.push(base),
                Some(entries) => {
                    sayings.extend(entries.iter().map(|entry| with_member(&base, &entry.member, names)));
                }
            }
        }
        Change::ClearPolicy => sayings.push(doing(Does::ClearPolicy)),
        Change::Delete => sayings.push(doing(Does::Delete)),
    }
}
