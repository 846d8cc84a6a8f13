//! Rules with a name on one object, such as row-security policies of a table: members and rule are put in place as a whole.
//!
//! Whether an object applies its rules at all is not decided here: that shows or hides every row of it for everybody, and is
//! its owner's to say.

mod expression;

use std::collections::BTreeSet;

use self::expression::is_same_text;
use super::drift::{Compared, DriftItem, DriftKind, Left, compare, unknown_group};
use super::named::One;
use super::{Decision, bare};
use crate::fact::{Fact, FactSet, insert_control};
use crate::grant::Drift;
use crate::record::{
    AccessControl, AccessEntry, Change, ChangeSet, Facet, Identity, Member, MemberKind, ObjectRef, Policy,
};
use crate::text::PolicyText;

/// Creates one.
pub(super) fn create(one: &One<'_>, decision: &mut Decision) -> Result<(), String> {
    let control = &one.wanted.control;
    let policy = policy_of(control)?;
    object_of(control)?;
    check_members(one, control, None)?;
    let created = AccessControl { description: one.description(), ..bare(control) };
    let list = vec![Change::Create(Box::new(created)), Change::SetPolicy(policy.clone())];
    let set = whole(one, None, control.who.clone(), list)?;
    decision.push(set, vec![one.wanted.id.clone()]);
    Ok(())
}

/// The changes that make it what it is to be.
pub(super) fn keep(one: &One<'_>, held: &AccessControl, decision: &mut Decision) -> Result<(), String> {
    let control = &one.wanted.control;
    let (wanted, now) = (policy_of(control)?, policy_of(held)?);
    check_form(control, held)?;
    check_members(one, control, Some(held))?;
    let revert = one.situation.drift == Drift::Revert;
    let (desired, actual) = (facts(one, control), facts(one, held));
    decision.count(&one.kind.name).held += actual.len() as u64;
    let left = Left::of(one.wanted, |state| facts(one, state));
    let mut compared = compare(&desired, &actual, left.as_ref(), revert, one.situation);
    one.leave_unread(&mut compared, left.as_ref(), held);
    one.leave_locked(&mut compared, held);
    let Compared { add, remove, mut drift, .. } = compared;
    let mut list = one.own_changes(held, &mut drift)?;
    let differs = !says_the_same(wanted, now);
    let was_left = one.wanted.left().any(|left| left.policy.as_ref() == Some(now));
    let by_hand = differs && one.wanted.applied.is_some() && !was_left;
    if by_hand {
        drift.push(DriftItem::new(DriftKind::Policy, &held.actual_name, revert));
    }
    let takes_rule = differs && (!by_hand || revert) && !one.is_locked(Facet::What, Some(held));
    decision.count(&one.kind.name).removes += remove.len() as u64 + u64::from(takes_rule);
    if takes_rule || !add.is_empty() || !remove.is_empty() {
        list.push(Change::SetPolicy(if takes_rule { wanted } else { now }.clone()));
    } else if list.is_empty() && wanted.enabled && !now.enabled {
        return Err(format!(
            "{} is in place, and {} does not apply its rules: to switch that on hides every row that no rule shows, so it is \
             for its owner to say",
            held.actual_name,
            object_of(held)?
        ));
    }
    let stays = held.who.iter().filter(|member| !remove.contains_key(&fact(one, member)));
    let comes = control.who.iter().filter(|member| add.contains_key(&fact(one, member)));
    let set = whole(one, Some(held), stays.chain(comes).cloned().collect(), list)?;
    one.settle(held, set, drift, decision);
    Ok(())
}

/// A change-set with all members, of which there must be one.
fn whole(
    one: &One<'_>,
    held: Option<&AccessControl>,
    members: Vec<Member>,
    list: Vec<Change>,
) -> Result<ChangeSet, String> {
    if members.is_empty() {
        return Err("it would have no member, and a rule without any cannot be: delete it instead".into());
    }
    let entry = |member| AccessEntry { member, permissions: Vec::new(), condition: None };
    Ok(ChangeSet { entries: Some(members.into_iter().map(entry).collect()), ..one.set(held, list) })
}

fn policy_of(control: &AccessControl) -> Result<&Policy, String> {
    control.policy.as_ref().ok_or_else(|| format!("{} has no rule", control.actual_name))
}

fn object_of(control: &AccessControl) -> Result<&ObjectRef, String> {
    let objects: BTreeSet<&ObjectRef> = control.what.iter().map(|what| &what.object).collect();
    let mut objects = objects.into_iter();
    match (objects.next(), objects.next()) {
        (Some(object), None) => Ok(object),
        _ => Err(format!("{} is to be on exactly one object", control.actual_name)),
    }
}

fn fact(one: &One<'_>, member: &Member) -> Fact {
    Fact::Member { control: one.wanted.id.clone(), kind: member.kind, id: member.id.clone() }
}

/// The members that can be given and taken from outside.
fn facts(one: &One<'_>, control: &AccessControl) -> FactSet {
    let mut facts = FactSet::new();
    insert_control(&mut facts, &one.wanted.id, control, Identity::NamedOnObject);
    facts.retain(|fact, _| matches!(fact, Fact::Member { .. }) && one.is_manageable(fact));
    facts
}

/// Refuses a member that cannot be given, unless it is there anyway.
fn check_members(one: &One<'_>, control: &AccessControl, held: Option<&AccessControl>) -> Result<(), String> {
    let given = facts(one, control);
    let is_there = |member: &Member| {
        held.is_some_and(|held| held.who.iter().any(|there| (there.kind, &there.id) == (member.kind, &member.id)))
    };
    match control.who.iter().find(|member| !given.contains_key(&fact(one, member)) && !is_there(member)) {
        None => Ok(()),
        Some(member) if member.kind == MemberKind::Group => Err(unknown_group(&member.id)),
        Some(member) => {
            let (kind, id) = (member.kind.word(), &member.id);
            Err(format!("{kind} {id} cannot be given from outside, or is kept from changes"))
        }
    }
}

/// Refuses what no target can change of a rule that is there.
fn check_form(control: &AccessControl, held: &AccessControl) -> Result<(), String> {
    let name = &held.actual_name;
    let (to, from) = (object_of(control)?, object_of(held)?);
    let (wanted, now) = (policy_of(control)?, policy_of(held)?);
    let refused = |what: &str| Err(format!("{name}: {what}; delete it and create another one"));
    let commands = |policy: &Policy| policy.commands.iter().cloned().collect::<BTreeSet<_>>();
    if to != from {
        return refused(&format!("a rule on {from} cannot move to {to}"));
    }
    if commands(wanted) != commands(now) || wanted.restrictive != now.restrictive {
        return refused("the commands of a rule, and whether it is restrictive, cannot be changed");
    }
    let goes = |wanted: &Option<PolicyText>, now: &Option<PolicyText>| wanted.is_none() && now.is_some();
    if goes(&wanted.text, &now.text) || goes(&wanted.check, &now.check) {
        return refused("a part of a rule can be changed and cannot be taken away");
    }
    Ok(())
}

/// Whether two rules say the same of which rows they show and let be written.
fn says_the_same(wanted: &Policy, now: &Policy) -> bool {
    let same = |wanted: &Option<PolicyText>, now: &Option<PolicyText>| match (wanted, now) {
        (Some(wanted), Some(now)) => is_same_text(wanted.as_str(), now.as_str()),
        (wanted, now) => wanted == now,
    };
    same(&wanted.text, &now.text) && same(&wanted.check, &now.check)
}
