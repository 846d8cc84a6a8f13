//! From the host's values to the guest's: contexts and changes.

use raito_core::ports::Context;
use raito_core::record::{
    AccessControl, AccessEntry, Action, Change, ChangeSet, Facet, Member, MemberKind, ObjectRef, PermissionUse, Policy,
    Standing, What,
};
use raito_core::text::Name;

use crate::bindings::exports::raito::connector::access_to_target as wit;
use crate::bindings::raito::connector::{access, types};

pub(crate) fn context(context: Context) -> types::Context {
    let setting = |(key, value)| types::Setting { key, value };
    let place = |place: raito_core::ports::Place| types::Place { slot: place.slot, at: place.at, write: place.write };
    types::Context {
        settings: context.settings.into_iter().map(setting).collect(),
        places: context.places.into_iter().map(place).collect(),
        resume: context.resume.map(|resume| resume.as_str().to_owned()),
    }
}

pub(crate) fn change_set(set: &ChangeSet) -> wit::ChangeSet {
    wit::ChangeSet {
        id: owned(&set.id),
        external_id: set.external_id.as_ref().map(owned),
        actual_name: owned(&set.actual_name),
        name: owned(&set.name),
        description: owned(&set.description),
        kind: owned(&set.kind),
        object: set.object.as_ref().map(object_ref),
        version: set.version.as_ref().map(owned),
        entries: set.entries.as_ref().map(|entries| entries.iter().map(entry).collect()),
        changes: set.changes.iter().map(change).collect(),
    }
}

fn change(change: &Change) -> wit::Change {
    match change {
        Change::Create(control) => wit::Change::Create(access_control(control)),
        Change::Rename(name) => wit::Change::Rename(owned(name)),
        Change::Describe(description) => wit::Change::Describe(owned(description)),
        Change::AddMembers(members) => wit::Change::AddMembers(members.iter().map(member).collect()),
        Change::RemoveMembers(members) => wit::Change::RemoveMembers(members.iter().map(member).collect()),
        Change::SetMemberOptions(members) => wit::Change::SetMemberOptions(members.iter().map(member).collect()),
        Change::Grant(what_list) => wit::Change::Grant(what_list.iter().map(what).collect()),
        Change::Revoke(what_list) => wit::Change::Revoke(what_list.iter().map(what).collect()),
        Change::RevokePassOn(what_list) => wit::Change::RevokePassOn(what_list.iter().map(what).collect()),
        Change::AddEntries(entries) => wit::Change::AddEntries(entries.iter().map(entry).collect()),
        Change::RemoveEntries(entries) => wit::Change::RemoveEntries(entries.iter().map(entry).collect()),
        Change::GrantStanding(list) => wit::Change::GrantStanding(list.iter().map(standing).collect()),
        Change::RevokeStanding(list) => wit::Change::RevokeStanding(list.iter().map(standing).collect()),
        Change::SetPolicy(given) => wit::Change::SetPolicy(policy(given)),
        Change::ClearPolicy => wit::Change::ClearPolicy,
        Change::Delete => wit::Change::Delete,
    }
}

fn owned(text: &impl AsRef<str>) -> String {
    text.as_ref().to_owned()
}

fn object_ref(object: &ObjectRef) -> types::ObjectRef {
    types::ObjectRef {
        path: object.path.iter().map(owned).collect(),
        signature: object.signature.as_ref().map(owned),
        kind: owned(&object.kind),
    }
}

fn member(member: &Member) -> access::Member {
    access::Member {
        kind: match member.kind {
            MemberKind::User => access::MemberKind::User,
            MemberKind::Group => access::MemberKind::Group,
            MemberKind::AccessControl => access::MemberKind::AccessControl,
            MemberKind::ActingAs => access::MemberKind::ActingAs,
            MemberKind::Special => access::MemberKind::Special,
            MemberKind::Recipient => access::MemberKind::Recipient,
        },
        id: owned(&member.id),
        inherits: member.inherits,
        assumable: member.assumable,
        may_pass_on: member.may_pass_on,
        granted_by: member.granted_by.as_ref().map(owned),
        expires_ms: member.expires_ms,
    }
}

fn permission(permission: &PermissionUse) -> access::PermissionUse {
    access::PermissionUse {
        name: owned(&permission.name),
        may_pass_on: permission.may_pass_on,
        granted_by: permission.granted_by.as_ref().map(owned),
    }
}

fn what(what: &What) -> access::What {
    access::What {
        object: object_ref(&what.object),
        permissions: what.permissions.iter().map(permission).collect(),
        condition: what.condition.as_ref().map(owned),
    }
}

fn entry(entry: &AccessEntry) -> access::AccessEntry {
    access::AccessEntry {
        member: member(&entry.member),
        permissions: entry.permissions.iter().map(permission).collect(),
        condition: entry.condition.as_ref().map(owned),
    }
}

fn standing(standing: &Standing) -> access::Standing {
    access::Standing {
        under: object_ref(&standing.under),
        kind: owned(&standing.kind),
        creator: standing.creator.as_ref().map(owned),
        permissions: standing.permissions.iter().map(permission).collect(),
    }
}

fn policy(policy: &Policy) -> access::Policy {
    access::Policy {
        kind: policy.kind.as_ref().map(owned).unwrap_or_default(),
        text: policy.text.as_ref().map(owned),
        check: policy.check.as_ref().map(owned),
        commands: policy.commands.iter().map(owned).collect(),
        columns: policy.columns.iter().map(owned).collect(),
        arguments: policy.arguments.iter().map(|(name, value): &(Name, Name)| (owned(name), owned(value))).collect(),
        restrictive: policy.restrictive,
        enabled: policy.enabled,
        forced: policy.forced,
    }
}

fn access_control(control: &AccessControl) -> access::AccessControl {
    access::AccessControl {
        external_id: owned(&control.external_id),
        name: owned(&control.name),
        actual_name: owned(&control.actual_name),
        kind: owned(&control.kind),
        description: owned(&control.description),
        action: match control.action {
            Action::Grant => access::Action::Grant,
            Action::Deny => access::Action::Deny,
            Action::Mask => access::Action::Mask,
            Action::Filter => access::Action::Filter,
            Action::Share => access::Action::Share,
        },
        version: control.version.as_ref().map(owned),
        who: control.who.iter().map(member).collect(),
        what: control.what.iter().map(what).collect(),
        standing: control.standing.iter().map(standing).collect(),
        policy: control.policy.as_ref().map(policy),
        locks: control.locks.iter().map(lock).collect(),
        internalizable: control.internalizable,
        incomplete: control.incomplete,
        tags: control
            .tags
            .iter()
            .map(|tag| types::Tag { key: owned(&tag.key), value: owned(&tag.value), source: owned(&tag.source) })
            .collect(),
    }
}

fn lock(lock: &raito_core::record::Lock) -> access::Lock {
    let facet = match lock.facet {
        Facet::Who => access::Facet::Who,
        Facet::Inheritance => access::Facet::Inheritance,
        Facet::What => access::Facet::What,
        Facet::Name => access::Facet::Name,
        Facet::Delete => access::Facet::Delete,
        Facet::Owners => access::Facet::Owners,
    };
    access::Lock { facet, reason: owned(&lock.reason) }
}
