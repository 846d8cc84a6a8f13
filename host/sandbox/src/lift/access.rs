//! Pages of step 3, and what they share with groups.

use raito_core::fault::BadRecord;
use raito_core::limits;
use raito_core::record::{
    AccessControl, AccessPage, Action, Facet, Lock, Member, MemberKind, Page, Part, PermissionUse, Policy, Standing,
    What,
};

use super::{Lifted, check_size, list, object_ref, optional, page, tags, text, texts};
use crate::bindings::exports::raito::connector::access_from_target as wit;
use crate::bindings::raito::connector::access;

pub(crate) fn access_page(given: wit::Page) -> Lifted<Page<AccessPage>> {
    let of_controls: usize =
        given.access_controls.iter().map(|control| 1 + held(&control.who, &control.what, &control.standing)).sum();
    let of_parts: usize = given.parts.iter().map(|part| 1 + held(&part.who, &part.what, &part.standing)).sum();
    check_size(of_controls + of_parts)?;
    let records = AccessPage {
        access_controls: list("access-controls", limits::PAGE_RECORDS, given.access_controls, access_control)?,
        parts: list("parts", limits::PAGE_RECORDS, given.parts, part)?,
    };
    page(records, given.gaps, given.resume)
}

fn held(who: &[access::Member], what: &[access::What], standing: &[access::Standing]) -> usize {
    who.len() + what.len() + standing.len()
}

fn access_control(control: access::AccessControl) -> Lifted<AccessControl> {
    Ok(AccessControl {
        external_id: text("external-id", control.external_id)?,
        name: text("name", control.name)?,
        actual_name: text("actual-name", control.actual_name)?,
        kind: text("kind", control.kind)?,
        description: text("description", control.description)?,
        action: action(control.action),
        version: optional("version", control.version)?,
        who: list("who", limits::RECORD_ITEMS, control.who, member)?,
        what: list("what", limits::RECORD_ITEMS, control.what, what)?,
        standing: list("standing", limits::RECORD_ITEMS, control.standing, standing)?,
        policy: control.policy.map(policy).transpose().map_err(|bad| bad.within("policy"))?,
        locks: list("locks", 16, control.locks, lock)?,
        internalizable: control.internalizable,
        incomplete: control.incomplete,
        tags: tags(control.tags)?,
    })
}

fn part(part: wit::Part) -> Lifted<Part> {
    Ok(Part {
        control: text("control", part.control)?,
        who: list("who", limits::RECORD_ITEMS, part.who, member)?,
        what: list("what", limits::RECORD_ITEMS, part.what, what)?,
        standing: list("standing", limits::RECORD_ITEMS, part.standing, standing)?,
    })
}

pub(super) fn member(member: access::Member) -> Lifted<Member> {
    let kind = match member.kind {
        access::MemberKind::User => MemberKind::User,
        access::MemberKind::Group => MemberKind::Group,
        access::MemberKind::AccessControl => MemberKind::AccessControl,
        access::MemberKind::ActingAs => MemberKind::ActingAs,
        access::MemberKind::Special => MemberKind::Special,
        access::MemberKind::Recipient => MemberKind::Recipient,
    };
    Ok(Member {
        kind,
        id: text("id", member.id)?,
        inherits: member.inherits,
        assumable: member.assumable,
        may_pass_on: member.may_pass_on,
        granted_by: optional("granted-by", member.granted_by)?,
        expires_ms: member.expires_ms,
    })
}

fn permissions(items: Vec<access::PermissionUse>) -> Lifted<Vec<PermissionUse>> {
    if items.is_empty() {
        return Err(BadRecord::new("permissions", "it has no items: a fact is about at least one permission"));
    }
    list("permissions", limits::FACT_PERMISSIONS, items, |permission| {
        Ok(PermissionUse {
            name: text("name", permission.name)?,
            may_pass_on: permission.may_pass_on,
            granted_by: optional("granted-by", permission.granted_by)?,
        })
    })
}

fn what(what: access::What) -> Lifted<What> {
    Ok(What {
        object: object_ref(what.object).map_err(|bad| bad.within("object"))?,
        permissions: permissions(what.permissions)?,
        condition: optional("condition", what.condition)?,
    })
}

fn standing(standing: access::Standing) -> Lifted<Standing> {
    Ok(Standing {
        under: object_ref(standing.under).map_err(|bad| bad.within("under"))?,
        kind: text("kind", standing.kind)?,
        creator: optional("creator", standing.creator)?,
        permissions: permissions(standing.permissions)?,
    })
}

fn policy(policy: access::Policy) -> Lifted<Policy> {
    let kind = if policy.kind.is_empty() { None } else { Some(policy.kind) };
    Ok(Policy {
        kind: optional("kind", kind)?,
        text: optional("text", policy.text)?,
        check: optional("check", policy.check)?,
        commands: texts("commands", 64, policy.commands)?,
        columns: texts("columns", limits::FACT_PERMISSIONS, policy.columns)?,
        arguments: list("arguments", 64, policy.arguments, |(name, value)| Ok((text("0", name)?, text("1", value)?)))?,
        restrictive: policy.restrictive,
        enabled: policy.enabled,
        forced: policy.forced,
    })
}

fn lock(lock: access::Lock) -> Lifted<Lock> {
    let facet = match lock.facet {
        access::Facet::Who => Facet::Who,
        access::Facet::Inheritance => Facet::Inheritance,
        access::Facet::What => Facet::What,
        access::Facet::Name => Facet::Name,
        access::Facet::Delete => Facet::Delete,
        access::Facet::Owners => Facet::Owners,
    };
    Ok(Lock { facet, reason: text("reason", lock.reason)? })
}

fn action(action: access::Action) -> Action {
    match action {
        access::Action::Grant => Action::Grant,
        access::Action::Deny => Action::Deny,
        access::Action::Mask => Action::Mask,
        access::Action::Filter => Action::Filter,
        access::Action::Share => Action::Share,
    }
}
