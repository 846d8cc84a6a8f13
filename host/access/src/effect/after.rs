//! Access controls as they will be when changes were carried out.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::catalogue::Catalogue;
use raito_core::record::{
    AccessControl, AccessEntry, Action, Change, ChangeSet, Identity, Member, ObjectRef, PermissionUse, Policy,
    Standing, What,
};
use raito_core::text::{ExternalId, PermissionName};

/// The access controls of a catalogue after changes. What is created has the host's id for its external id.
pub fn after(catalogue: &Catalogue, sets: &[ChangeSet]) -> Vec<AccessControl> {
    let mut all: BTreeMap<ExternalId, AccessControl> =
        catalogue.controls.kept().map(|control| (control.external_id.clone(), control.clone())).collect();
    for set in sets {
        match &set.object {
            Some(object) => change_list(catalogue, &mut all, set, object),
            None => change_named(&mut all, set),
        }
    }
    all.into_values().collect()
}

/// The id that what is changed is known by: the target's, or ours for what is only created.
fn id_of(set: &ChangeSet) -> Option<ExternalId> {
    set.external_id.clone().or_else(|| ExternalId::new(set.id.as_str()).ok())
}

fn change_named(all: &mut BTreeMap<ExternalId, AccessControl>, set: &ChangeSet) {
    let Some(id) = id_of(set) else { return };
    for change in &set.changes {
        match change {
            Change::Create(control) => {
                all.insert(id.clone(), AccessControl { external_id: id.clone(), ..(**control).clone() });
            }
            Change::Delete => {
                all.remove(&id);
                all.values_mut().for_each(|control| control.who.retain(|member| member.id != id));
            }
            _ => {
                if let Some(control) = all.get_mut(&id) {
                    change_one(control, change);
                }
            }
        }
    }
}

fn change_one(control: &mut AccessControl, change: &Change) {
    let same = |one: &Member, two: &Member| (one.kind, &one.id) == (two.kind, &two.id);
    match change {
        Change::Rename(name) => (control.name, control.actual_name) = (name.clone(), name.clone()),
        Change::Describe(text) => control.description = text.clone(),
        Change::AddMembers(members) | Change::SetMemberOptions(members) => {
            control.who.retain(|had| !members.iter().any(|member| same(had, member)));
            control.who.extend(members.iter().cloned());
        }
        Change::RemoveMembers(members) => {
            let is_it = |had: &Member, member: &Member| {
                same(had, member) && (member.granted_by.is_none() || member.granted_by == had.granted_by)
            };
            control.who.retain(|had| !members.iter().any(|member| is_it(had, member)));
        }
        Change::Grant(list) => control.what.extend(list.iter().cloned()),
        Change::Revoke(list) => list.iter().for_each(|what| revoke(&mut control.what, what)),
        Change::GrantStanding(list) => control.standing.extend(list.iter().cloned()),
        Change::RevokeStanding(list) => {
            list.iter().for_each(|standing| revoke_standing(&mut control.standing, standing))
        }
        Change::SetPolicy(policy) => control.policy = Some(policy.clone()),
        Change::ClearPolicy => control.policy = None,
        Change::RevokePassOn(list) => {
            for what in list {
                let of = control.what.iter_mut().filter(|had| had.object == what.object);
                for used in of.flat_map(|had| &mut had.permissions) {
                    used.may_pass_on &= !what.permissions.iter().any(|taken| taken.name == used.name);
                }
            }
        }
        Change::Create(_) | Change::Delete | Change::AddEntries(_) | Change::RemoveEntries(_) => {}
    }
}

/// Whether a permission is one that is taken: by anybody, or by the grantor that is named.
fn is_taken(used: &PermissionUse, taken: &[PermissionUse]) -> bool {
    taken.iter().any(|one| one.name == used.name && (one.granted_by.is_none() || one.granted_by == used.granted_by))
}

fn revoke(held: &mut Vec<What>, taken: &What) {
    for what in held.iter_mut().filter(|what| what.object == taken.object && what.condition == taken.condition) {
        what.permissions.retain(|used| !is_taken(used, &taken.permissions));
    }
    held.retain(|what| !what.permissions.is_empty());
}

fn revoke_standing(held: &mut Vec<Standing>, taken: &Standing) {
    let same = |one: &Standing| (&one.under, &one.kind, &one.creator) == (&taken.under, &taken.kind, &taken.creator);
    for standing in held.iter_mut().filter(|standing| same(standing)) {
        standing.permissions.retain(|used| !is_taken(used, &taken.permissions));
    }
    held.retain(|standing| !standing.permissions.is_empty());
}

/// Lines that are put on a list stand in an access control of their own; lines that are taken go from whatever has them. A rule
/// of an object is one access control, with all of its members.
fn change_list(
    catalogue: &Catalogue,
    all: &mut BTreeMap<ExternalId, AccessControl>,
    set: &ChangeSet,
    object: &ObjectRef,
) {
    for (number, change) in set.changes.iter().enumerate() {
        match change {
            Change::AddEntries(entries) => {
                for (line, entry) in entries.iter().enumerate() {
                    let id = format!("{} {object} {number}.{line}", set.id.as_str());
                    let Ok(id) = ExternalId::new(id) else { continue };
                    all.insert(id.clone(), line_of(set, object, entry, id));
                }
            }
            Change::RemoveEntries(entries) => take_lines(all, set, object, entries),
            Change::SetPolicy(policy) => {
                if let Some(id) = id_of(set) {
                    let control = ruled(catalogue, all, set, (object, policy), id.clone());
                    all.insert(id, control);
                }
            }
            Change::ClearPolicy | Change::Delete => {
                set.external_id.as_ref().and_then(|id| all.remove(id));
            }
            Change::Rename(_) | Change::Describe(_) => {
                if let Some(control) = set.external_id.as_ref().and_then(|id| all.get_mut(id)) {
                    change_one(control, change);
                }
            }
            _ => {}
        }
    }
}

/// A mask or a filter with the rule and the members of a change-set: the one that is there, or a new one.
fn ruled(
    catalogue: &Catalogue,
    all: &BTreeMap<ExternalId, AccessControl>,
    set: &ChangeSet,
    (object, policy): (&ObjectRef, &Policy),
    id: ExternalId,
) -> AccessControl {
    let who = set.entries.iter().flatten().map(|entry| entry.member.clone()).collect();
    let held = all.get(&id);
    let mut policy = policy.clone();
    let kind = catalogue.description.control_kind(&set.kind);
    let is_beside =
        |control: &&AccessControl| control.kind == set.kind && control.what.iter().any(|what| what.object == *object);
    let beside: Vec<&AccessControl> = all.values().filter(is_beside).collect();
    if kind.is_some_and(|kind| kind.identity == Identity::NamedOnObject) {
        // No rule decides whether its object applies rules: that stays as any rule of the object says, and where it has none, it
        // applies none (`raito_core::decide`).
        let told = held.or_else(|| beside.first().copied()).and_then(|control| control.policy.as_ref());
        (policy.enabled, policy.forced) = told.map_or((false, false), |told| (told.enabled, told.forced));
    }
    let control = match held {
        Some(held) => held.clone(),
        None => {
            let action = if policy.kind.is_some() { Action::Mask } else { Action::Filter };
            let permissions = ruled_permissions(catalogue, &beside, object, &policy);
            let what = vec![What { object: object.clone(), permissions, condition: None }];
            AccessControl { action, what, ..blank(set, id) }
        }
    };
    AccessControl { who, policy: Some(policy), ..control }
}

/// The permissions that a rule is about: those of its commands, and without any, all that rules of its object are about. Where
/// there is no other rule, that is whatever can be held on the object.
fn ruled_permissions(
    catalogue: &Catalogue,
    beside: &[&AccessControl],
    object: &ObjectRef,
    policy: &Policy,
) -> Vec<PermissionUse> {
    let on_object = beside.iter().flat_map(|control| &control.what).filter(|what| what.object == *object);
    let known: BTreeSet<&PermissionName> =
        on_object.flat_map(|what| &what.permissions).map(|permission| &permission.name).collect();
    let all = catalogue.description.object_kind(&object.kind).map_or(&[][..], |kind| &kind.permissions);
    let about = |name: &PermissionName| {
        policy.commands.contains(name) || (policy.commands.is_empty() && (known.is_empty() || known.contains(name)))
    };
    let used = |name: &PermissionName| PermissionUse { name: name.clone(), may_pass_on: false, granted_by: None };
    all.iter().map(|permission| &permission.name).filter(|name| about(name)).map(used).collect()
}

fn blank(set: &ChangeSet, id: ExternalId) -> AccessControl {
    AccessControl {
        external_id: id,
        name: set.name.clone(),
        actual_name: set.actual_name.clone(),
        kind: set.kind.clone(),
        description: set.description.clone(),
        action: Action::Grant,
        version: None,
        who: Vec::new(),
        what: Vec::new(),
        standing: Vec::new(),
        policy: None,
        locks: Vec::new(),
        internalizable: true,
        incomplete: false,
        tags: Vec::new(),
    }
}

fn line_of(set: &ChangeSet, object: &ObjectRef, entry: &AccessEntry, id: ExternalId) -> AccessControl {
    let what =
        What { object: object.clone(), permissions: entry.permissions.clone(), condition: entry.condition.clone() };
    AccessControl { who: vec![entry.member.clone()], what: vec![what], ..blank(set, id) }
}

/// Takes lines off a list. A control that gives its members several permissions is split into one for each member first.
fn take_lines(
    all: &mut BTreeMap<ExternalId, AccessControl>,
    set: &ChangeSet,
    object: &ObjectRef,
    entries: &[AccessEntry],
) {
    let on_list: Vec<ExternalId> = all
        .values()
        .filter(|control| control.kind == set.kind && control.what.iter().any(|what| what.object == *object))
        .map(|control| control.external_id.clone())
        .collect();
    for id in on_list {
        let Some(control) = all.remove(&id) else { continue };
        for (number, member) in control.who.iter().enumerate() {
            let taken: BTreeSet<&PermissionName> = entries
                .iter()
                .filter(|entry| (entry.member.kind, &entry.member.id) == (member.kind, &member.id))
                .flat_map(|entry| entry.permissions.iter().map(|used| &used.name))
                .collect();
            let mut left = AccessControl { who: vec![member.clone()], ..control.clone() };
            for what in left.what.iter_mut().filter(|what| what.object == *object) {
                what.permissions.retain(|used| !taken.contains(&used.name));
            }
            left.what.retain(|what| !what.permissions.is_empty());
            let own = if number == 0 { Ok(id.clone()) } else { ExternalId::new(format!("{} {number}", id.as_str())) };
            if let (Ok(own), false) = (own, left.what.is_empty()) {
                left.external_id = own.clone();
                all.insert(own, left);
            }
        }
    }
}
