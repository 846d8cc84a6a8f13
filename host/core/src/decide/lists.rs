//! Access lists of objects: several access controls may want lines of one list, and others on it are nobody's business.
//!
//! A list is one entity. What any access control wants is on it, what one of them wanted and none wants any more goes, and
//! every other line stays as it is. So two access controls can want the same line, and it goes with the last of them. A line
//! cannot stand there twice: one that stood there before an access control wanted it is taken over by being wanted. So is a mask
//! or a filter that is there just as it is wanted; another one is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use super::drift::{DriftItem, Left, compare, shown, unknown_group};
use super::{Decision, InSync, Situation};
use crate::exchange::Desired;
use crate::fact::{Fact, FactSet, Options, Principal, insert_control};
use crate::grant::Drift;
use crate::record::{
    AccessControl, AccessEntry, Action, Change, ChangeSet, ControlKind, Member, MemberKind, ObjectRef, PermissionUse,
};
use crate::text::{ExternalId, Kind, Name, PolicyText};

/// One list: the kind of access control, and the object.
type Key = (Kind, ObjectRef);

/// Decides about all lists that access controls want something of.
pub(super) fn decide(situation: &Situation<'_>, all: &[&Desired], decision: &mut Decision) {
    let mut lists: BTreeMap<Key, Vec<&Desired>> = BTreeMap::new();
    for wanted in all {
        if wanted.hand_back {
            decision.gone.push(wanted.id.clone());
            continue;
        }
        let objects: BTreeSet<&ObjectRef> = objects(&wanted.control).chain(wanted.left().flat_map(objects)).collect();
        if objects.is_empty() && wanted.delete {
            decision.gone.push(wanted.id.clone());
        }
        for object in objects {
            lists.entry((wanted.control.kind.clone(), object.clone())).or_default().push(wanted);
        }
    }
    let mut settled = Settled::default();
    for ((kind, object), owners) in &lists {
        let Some(described) = situation.description.control_kind(kind) else { continue };
        let list = List { situation, kind: described, object, owners };
        if let Err(reason) = list.decide(decision, &mut settled) {
            for wanted in owners {
                settled.refused.insert(wanted.id.clone());
                decision.refused.push((wanted.id.clone(), reason.clone()));
            }
        }
    }
    // One that needs no change anywhere is as it is to be, and one that was to go has left nothing behind.
    for wanted in
        all.iter().filter(|wanted| !settled.changed.contains(&wanted.id) && !settled.refused.contains(&wanted.id))
    {
        if wanted.hand_back {
            continue;
        }
        if wanted.delete {
            if !decision.gone.contains(&wanted.id) {
                decision.gone.push(wanted.id.clone());
            }
        } else if situation.unread.of(&wanted.id) {
            decision.unknown.push(wanted.id.clone());
        } else {
            let is_known = wanted.applied.as_deref() == Some(&wanted.control) && wanted.begun.is_empty();
            let drifted = decision.drift.iter().any(|(id, _)| *id == wanted.id);
            let is_told = !is_known && !drifted && !situation.master.is_repository();
            let applied = is_told.then(|| Box::new(wanted.control.clone()));
            decision.in_sync.push(InSync { id: wanted.id.clone(), external_id: None, applied });
        }
    }
}

#[derive(Default)]
struct Settled {
    changed: BTreeSet<Name>,
    refused: BTreeSet<Name>,
}

fn objects(control: &AccessControl) -> impl Iterator<Item = &ObjectRef> {
    control.what.iter().map(|what| &what.object)
}

/// One list, and who wants something of it.
struct List<'d> {
    situation: &'d Situation<'d>,
    kind: &'d ControlKind,
    object: &'d ObjectRef,
    owners: &'d [&'d Desired],
}

impl List<'_> {
    fn decide(&self, decision: &mut Decision, settled: &mut Settled) -> Result<(), String> {
        if self.situation.unread.anything {
            return Err(format!("the list of {} was not read whole", self.object));
        }
        let found: Vec<&AccessControl> = self.found().collect();
        if let Some(incomplete) = found.iter().find(|control| control.incomplete) {
            return Err(format!("{} could not be told whole, so it cannot be replaced", incomplete.name));
        }
        if self.owners.iter().any(|wanted| wanted.control.action == Action::Mask || wanted.control.policy.is_some()) {
            return self.policy(&found, decision, settled);
        }
        let actual = self.union(found.iter().copied());
        let desired = self.union(self.owners.iter().filter(|wanted| !wanted.delete).map(|wanted| &wanted.control));
        self.check_protected(&actual, &desired)?;
        self.check_groups()?;
        let left = self.left();
        // Of what is on the list, only what was once wanted there is ours.
        let ours: FactSet = actual
            .iter()
            .filter(|(fact, _)| desired.contains_key(*fact) || left.may_have(fact))
            .filter(|(fact, _)| desired.contains_key(*fact) || !self.is_protected(fact))
            .map(|(fact, options)| (fact.clone(), *options))
            .collect();
        let revert = self.situation.drift == Drift::Revert;
        let known = self.owners.iter().any(|wanted| wanted.applied.is_some()).then_some(&left);
        let mut compared = compare(&desired, &ours, known, revert, self.situation);
        if self.is_unread() {
            compared.only_give(known);
        }
        decision.count(&self.kind.name).held += ours.len() as u64;
        decision.count(&self.kind.name).removes += compared.remove.len() as u64;
        self.tell(&compared.drift, decision);
        if compared.add.is_empty() && compared.remove.is_empty() {
            return Ok(());
        }
        let mut whole = actual;
        whole.retain(|fact, _| !compared.remove.contains_key(fact));
        whole.extend(compared.add.iter().map(|(fact, options)| (fact.clone(), *options)));
        let mut changes = Vec::new();
        for (facts, change) in [
            (&compared.add, Change::AddEntries as fn(Vec<AccessEntry>) -> Change),
            (&compared.remove, Change::RemoveEntries as fn(Vec<AccessEntry>) -> Change),
        ] {
            if !facts.is_empty() {
                changes.push(change(entries(facts)));
            }
        }
        let entries = self.kind.replaced_whole.then(|| entries(&whole));
        self.push(&found, entries, changes, decision, settled);
        Ok(())
    }

    /// What the access controls of this list may have left on it.
    fn left(&self) -> Left {
        let told = self.union(self.owners.iter().filter_map(|wanted| wanted.applied.as_deref()));
        let states = self.owners.iter().map(|wanted| wanted.begun.len()).max().unwrap_or_default();
        // One of which nothing more was begun is in every later state as it was.
        let at = |state: usize| {
            self.union(
                self.owners
                    .iter()
                    .copied()
                    .filter_map(|wanted| wanted.begun.get(state).or(wanted.begun.last()).or(wanted.applied.as_deref())),
            )
        };
        Left::of_all(told, (0..states).map(at).collect())
    }

    fn is_protected(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Permission { principal: Principal::Member(kind, id), .. } => self.situation.protected.has(*kind, id),
            _ => false,
        }
    }

    /// Refuses to give something to those who are kept from changes, unless they have it.
    fn check_protected(&self, actual: &FactSet, desired: &FactSet) -> Result<(), String> {
        match desired.keys().find(|fact| self.is_protected(fact) && !actual.contains_key(*fact)) {
            Some(fact) => {
                Err(format!("{} cannot be given: that member is kept from changes", shown(fact, self.situation.names)))
            }
            None => Ok(()),
        }
    }

    /// Refuses a group where the target takes the users of groups, and nobody knows those of this one.
    fn check_groups(&self) -> Result<(), String> {
        if self.kind.admits.contains(&MemberKind::Group) {
            return Ok(());
        }
        let wanted = self.owners.iter().filter(|wanted| !wanted.delete && !wanted.hand_back);
        let mut who = wanted.flat_map(|wanted| &wanted.control.who);
        who.find(|member| member.kind == MemberKind::Group).map_or(Ok(()), |group| Err(unknown_group(&group.id)))
    }

    /// Whether nobody knows all of whom one of the access controls is for.
    fn is_unread(&self) -> bool {
        self.owners.iter().any(|wanted| self.situation.unread.of(&wanted.id))
    }

    /// The access controls of a whole read that are about this list.
    fn found(&self) -> impl Iterator<Item = &AccessControl> {
        let about = move |control: &&AccessControl| {
            control.kind == self.kind.name && objects(control).any(|object| object == self.object)
        };
        self.situation.actual.kept().filter(about)
    }

    /// All lines that access controls have on this list.
    fn union<'c>(&self, controls: impl Iterator<Item = &'c AccessControl>) -> FactSet {
        let mut facts = FactSet::new();
        for control in controls {
            insert_control(&mut facts, &control.name, control, self.kind.identity);
        }
        facts.retain(|fact, _| matches!(fact, Fact::Permission { object, .. } if object == self.object));
        facts
    }

    /// A mask or a filter: one rule for the object, with those it does not concern.
    fn policy(&self, found: &[&AccessControl], decision: &mut Decision, settled: &mut Settled) -> Result<(), String> {
        let is_here = |wanted: &&&Desired| objects(&wanted.control).any(|object| object == self.object);
        let wanted: Vec<&&Desired> = self.owners.iter().filter(|wanted| !wanted.delete).filter(is_here).collect();
        let held = found.first();
        let ours = self.owners.iter().any(|wanted| wanted.applied.is_some() || wanted.external_id.is_some());
        match (wanted.as_slice(), held) {
            ([], None) => Ok(()),
            // What was never ours stays, whoever once wanted something here.
            ([], Some(_)) if !ours => Ok(()),
            ([], Some(held)) => {
                decision.count(&self.kind.name).removes += 1;
                self.push(&[*held], None, vec![Change::ClearPolicy], decision, settled);
                Ok(())
            }
            ([one], held) => {
                let control = &one.control;
                let Some(policy) = &control.policy else { return Err("it has no rule".into()) };
                if held.is_some_and(|held| is_met(control, held)) {
                    return Ok(());
                }
                if let Some(held) = held
                    && !ours
                {
                    return Err(format!(
                        "{} has {} already, which is another one and managed elsewhere: take it over",
                        self.object, held.name
                    ));
                }
                let by_hand = one.applied.as_ref().zip(held.copied()).is_some_and(|(last, held)| !is_met(last, held));
                let revert = self.situation.drift == Drift::Revert;
                if by_hand {
                    let item = DriftItem::new(super::DriftKind::Policy, self.object, revert);
                    decision.drift.push((one.id.clone(), item));
                    if !revert {
                        return Ok(());
                    }
                }
                self.check_members(held.map_or(&[], |held| &held.who), &control.who)?;
                self.check_groups()?;
                if held.is_some() && self.is_unread() {
                    // The rule is put in place with all of its members, so it would take from those who were not read.
                    return Err(format!("the rule of {} stays as it is: not all of its groups were read", self.object));
                }
                let line =
                    |member: &Member| AccessEntry { member: member.clone(), permissions: vec![], condition: None };
                let entries = Some(control.who.iter().map(line).collect());
                let found: Vec<&AccessControl> = held.into_iter().copied().collect();
                self.push(&found, entries, vec![Change::SetPolicy(policy.clone())], decision, settled);
                Ok(())
            }
            (several, _) => {
                let names: Vec<String> = several.iter().map(|wanted| wanted.control.name.to_string()).collect();
                Err(format!("{} can have one rule, and several want one: {}", self.object, names.join(", ")))
            }
        }
    }

    /// Refuses to treat somebody otherwise who is kept from changes.
    fn check_members(&self, before: &[Member], after: &[Member]) -> Result<(), String> {
        let kept = |(kind, id): &&(MemberKind, &ExternalId)| self.situation.protected.has(*kind, id);
        match members(before).symmetric_difference(&members(after)).find(kept) {
            Some((kind, id)) => {
                Err(format!("{} {id} is kept from changes, and the rule would treat it otherwise", kind.word()))
            }
            None => Ok(()),
        }
    }

    fn tell(&self, drift: &[DriftItem], decision: &mut Decision) {
        for wanted in self.owners {
            decision.drift.extend(drift.iter().map(|item| (wanted.id.clone(), item.clone())));
        }
    }

    fn push(
        &self,
        found: &[&AccessControl],
        entries: Option<Vec<AccessEntry>>,
        changes: Vec<Change>,
        decision: &mut Decision,
        settled: &mut Settled,
    ) {
        let Some(first) = self.owners.first() else { return };
        let held = found.first();
        let owners: Vec<Name> = self.owners.iter().map(|wanted| wanted.id.clone()).collect();
        settled.changed.extend(owners.iter().cloned());
        let id: Option<ExternalId> = held.map(|held| held.external_id.clone());
        decision.push(
            ChangeSet {
                id: first.id.clone(),
                external_id: id,
                actual_name: held.map_or_else(|| first.control.actual_name.clone(), |held| held.actual_name.clone()),
                name: first.control.name.clone(),
                description: first.control.description.clone(),
                kind: self.kind.name.clone(),
                object: Some(self.object.clone()),
                version: held.and_then(|held| held.version.clone()),
                entries,
                changes,
            },
            owners,
        );
    }
}

/// Whether a rule is there as it is wanted, for those it is wanted for.
fn is_met(wanted: &AccessControl, held: &AccessControl) -> bool {
    let says_so = wanted.policy.as_ref().zip(held.policy.as_ref()).is_some_and(|(one, other)| one.is_met_by(other));
    says_so && members(&wanted.who) == members(&held.who)
}

/// Members as a set.
fn members(list: &[Member]) -> BTreeSet<(MemberKind, &ExternalId)> {
    list.iter().map(|member| (member.kind, &member.id)).collect()
}

/// Facts as lines of a list, one for each member.
fn entries(facts: &FactSet) -> Vec<AccessEntry> {
    let mut lines: BTreeMap<_, (Vec<PermissionUse>, Options)> = BTreeMap::new();
    for (fact, options) in facts {
        let Fact::Permission { principal: Principal::Member(kind, id), permission, condition, .. } = fact else {
            continue;
        };
        let line = lines.entry((*kind, id.clone(), condition.clone())).or_insert_with(|| (Vec::new(), *options));
        line.0.push(PermissionUse { name: permission.clone(), may_pass_on: options.may_pass_on, granted_by: None });
    }
    type Key = (MemberKind, ExternalId, Option<PolicyText>);
    let line = |((kind, id, condition), (permissions, options)): (Key, (Vec<PermissionUse>, Options))| AccessEntry {
        member: Member {
            kind,
            id,
            inherits: true,
            assumable: false,
            may_pass_on: false,
            granted_by: None,
            expires_ms: options.expires_ms,
        },
        permissions,
        condition,
    };
    lines.into_iter().map(line).collect()
}
