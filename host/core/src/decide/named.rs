//! Named access controls, such as roles: one entity each.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::{Grantors, changes, grantors};
use super::drift::{Compared, DriftItem, DriftKind, Left, compare, shown, unknown_group};
use super::same::{Line, same};
use super::{Decision, InSync, Situation, bare, rule};
use crate::exchange::Desired;
use crate::fact::{Fact, FactSet, Options, insert_control};
use crate::grant::Drift;
use crate::marker::{is_of, marked, marker, unmarked};
use crate::record::{AccessControl, Change, ChangeSet, ControlKind, Facet, Identity, MemberKind};
use crate::text::{ExternalId, Name, PathPart, PermissionName, Remark};

/// Decides about one.
pub(super) fn decide(situation: &Situation<'_>, wanted: &Desired, kind: &ControlKind, decision: &mut Decision) {
    let one = One { situation, wanted, kind };
    if let Err(reason) = one.decide(decision) {
        decision.refused.push((wanted.id.clone(), reason));
    }
}

/// One entity, as it is to be.
pub(super) struct One<'d> {
    pub(super) situation: &'d Situation<'d>,
    pub(super) wanted: &'d Desired,
    pub(super) kind: &'d ControlKind,
}

impl One<'_> {
    fn decide(&self, decision: &mut Decision) -> Result<(), String> {
        let wanted = self.wanted;
        if wanted.hand_back {
            return self.hand_back(decision);
        }
        let unread = self.situation.unread.of(&wanted.id);
        match (&wanted.external_id, self.held()?) {
            (_, _) if wanted.delete && unread => {
                Err("it is to go, and not everything was read that may depend on it".into())
            }
            (None, None) if wanted.creating.is_some() && unread => {
                Err("it may have been created, and was not read".into())
            }
            (Some(id), None) if self.situation.unread.anything => {
                Err(format!("{id} was not read, and may still be there"))
            }
            (_, None) if wanted.delete => {
                decision.gone.push(wanted.id.clone());
                Ok(())
            }
            (_, Some(held)) if wanted.delete => self.delete(held, decision),
            (Some(id), None) => self.gone(id, decision),
            (None, None) => self.create(decision),
            (_, Some(held)) => self.keep(held, decision),
        }
    }

    /// The entity as the target has it: the one with the known id, or the one that carries our marker, which a run created
    /// and could not tell of any more.
    fn held(&self) -> Result<Option<&AccessControl>, String> {
        let wanted = self.wanted;
        let actual = self.situation.actual;
        let by_id = wanted.external_id.as_ref().and_then(|id| actual.get(id));
        // One that a run was about to create is known by its name and by the marker that it was given.
        let by_name = || {
            let object = self.kind.object_of(&wanted.control);
            let known = wanted.creating.as_ref().and_then(|name| actual.id_of(&wanted.control.kind, name, object));
            known.and_then(|id| actual.get(id)).filter(|held| self.is_ours(held))
        };
        let held = by_id.or_else(by_name);
        let Some(held) = held else { return Ok(None) };
        if let Some(marker) = marker(&held.description)
            && !self.is_ours(held)
        {
            let (master, name) = (marker.master, &held.actual_name);
            return Err(format!("{name} belongs to {master}, which has to hand it over first"));
        }
        if self.situation.protected.controls.contains(&held.external_id) {
            return Err(format!(
                "{} is kept from changes: the host logs in with it, or it is for emergencies",
                held.actual_name
            ));
        }
        if wanted.creating.is_some() && !self.is_ours(held) {
            return Err(format!("{} is not the one that was created: it has no marker", held.actual_name));
        }
        if !held.internalizable {
            return Err(format!("{} cannot be managed from outside", held.actual_name));
        }
        Ok(Some(held))
    }

    /// Who has a technical name, where this entity would have it.
    fn named(&self, name: &Name) -> Option<&ExternalId> {
        let control = &self.wanted.control;
        self.situation.actual.id_of(&control.kind, name, self.kind.object_of(control))
    }

    /// Whether the marker says that it is this one of this master.
    fn is_ours(&self, held: &AccessControl) -> bool {
        is_of(&held.description, self.situation.master, self.wanted.id.as_str())
    }

    /// The description as it stands at the target, with the marker.
    pub(super) fn description(&self) -> Remark {
        marked(&self.wanted.control.description, self.situation.master, self.wanted.id.as_str())
    }

    pub(super) fn is_locked(&self, facet: Facet, held: Option<&AccessControl>) -> bool {
        let locks = held.into_iter().flat_map(|held| &held.locks).chain(&self.wanted.control.locks);
        locks.into_iter().any(|lock| lock.facet == facet)
    }

    pub(super) fn set(&self, held: Option<&AccessControl>, changes: Vec<Change>) -> ChangeSet {
        let control = &self.wanted.control;
        ChangeSet {
            id: self.wanted.id.clone(),
            external_id: held.map(|held| held.external_id.clone()),
            actual_name: held.map_or_else(|| control.actual_name.clone(), |held| held.actual_name.clone()),
            name: control.name.clone(),
            description: self.description(),
            kind: control.kind.clone(),
            object: self.kind.object_of(control).cloned(),
            version: held.and_then(|held| held.version.clone()),
            entries: None,
            changes,
        }
    }

    /// The facts of a control that can be given and taken from outside. What comes with owning something cannot.
    fn facts(&self, control: &AccessControl) -> FactSet {
        let mut facts = FactSet::new();
        insert_control(&mut facts, &self.wanted.id, control, Identity::Named);
        facts.retain(|fact, _| self.is_manageable(fact));
        facts
    }

    pub(super) fn is_manageable(&self, fact: &Fact) -> bool {
        self.is_line_manageable(&match fact {
            Fact::Member { kind, id, .. } => Line::Member(*kind, id),
            Fact::Permission { object, permission, .. } => Line::Permission(&object.kind, permission),
            Fact::Standing { kind, permission, .. } => Line::Permission(kind, permission),
        })
    }

    fn is_line_manageable(&self, line: &Line<'_>) -> bool {
        match line {
            Line::Member(kind, id) => self.kind.admits.contains(kind) && !self.situation.protected.has(*kind, id),
            Line::Permission(kind, permission) => {
                let known = self.situation.description.object_kind(kind).and_then(|kind| kind.permission(permission));
                known.is_none_or(|known| known.can_be_granted)
            }
        }
    }

    /// It stays as it is, without the marker.
    fn hand_back(&self, decision: &mut Decision) -> Result<(), String> {
        match self.held()? {
            Some(held) if marker(&held.description).is_some() => {
                let changes = vec![Change::Describe(unmarked(&held.description))];
                decision.push(self.set(Some(held), changes), vec![self.wanted.id.clone()]);
            }
            None if self.situation.unread.of(&self.wanted.id) => {
                return Err("it is to be handed back, and was not read, so its marker may still be there".into());
            }
            _ => decision.gone.push(self.wanted.id.clone()),
        }
        Ok(())
    }

    /// Creates it and gives it all of its facts.
    fn create(&self, decision: &mut Decision) -> Result<(), String> {
        let control = &self.wanted.control;
        self.check_name()?;
        if self.kind.identity == Identity::NamedOnObject {
            return rule::create(self, decision);
        }
        self.check_wanted(None)?;
        let created = AccessControl { description: self.description(), ..bare(control) };
        let given = Compared { add: self.facts(control), ..Compared::default() };
        let mut list = vec![Change::Create(Box::new(created))];
        list.extend(changes(&given, &Grantors::new(), false));
        decision.push(self.set(None, list), vec![self.wanted.id.clone()]);
        Ok(())
    }

    /// Refuses what is wanted and cannot be given, unless it is there anyway.
    fn check_wanted(&self, held: Option<&AccessControl>) -> Result<(), String> {
        let all = |control: &AccessControl| {
            let mut facts = FactSet::new();
            insert_control(&mut facts, &self.wanted.id, control, Identity::Named);
            facts
        };
        let mut impossible = all(&self.wanted.control);
        impossible.retain(|fact, _| !self.is_manageable(fact));
        if !impossible.is_empty() {
            let there = held.map(all).unwrap_or_default();
            impossible.retain(|fact, _| !there.contains_key(fact));
        }
        match impossible.into_keys().next() {
            None => Ok(()),
            Some(Fact::Member { kind: MemberKind::Group, id, .. }) => Err(unknown_group(&id)),
            Some(fact) => Err(format!(
                "{} cannot be given from outside, or is kept from changes",
                shown(&fact, self.situation.names)
            )),
        }
    }

    /// Refuses a name that the target would not take, or has already.
    pub(super) fn check_name(&self) -> Result<(), String> {
        let (control, description) = (&self.wanted.control, self.situation.description);
        let name = &control.actual_name;
        if !self.kind.can_create {
            return Err(format!("access controls of kind {} cannot be created at the target", control.kind));
        }
        if let Some(other) = self.named(name) {
            return Err(format!("the name {name} belongs to {other} at the target, which is another access control"));
        }
        crate::naming::check(name.as_str(), description)
    }

    /// It was there, and is no longer.
    fn gone(&self, id: &ExternalId, decision: &mut Decision) -> Result<(), String> {
        let (wanted, control) = (self.wanted, &self.wanted.control);
        let revert = self.situation.drift == Drift::Revert;
        if let Some(other) = self.named(&control.actual_name) {
            let item = DriftItem::new(DriftKind::Recreated, &control.actual_name, false);
            decision.drift.push((wanted.id.clone(), item));
            let name = &control.actual_name;
            return Err(format!(
                "{id} is gone, and {name} is now {other}: somebody dropped and created it again; take that one over"
            ));
        }
        let locked = self.is_locked(Facet::Delete, None);
        let item = DriftItem::new(DriftKind::Deleted, &control.actual_name, revert && !locked);
        decision.drift.push((wanted.id.clone(), item));
        if locked {
            return Err(format!("{id} is gone at the target, and that it exists is locked: it is not created again"));
        }
        if !revert {
            return Err(format!(
                "{id} is gone at the target, where somebody deleted it; drift: revert would create it again"
            ));
        }
        self.create(decision)
    }

    fn delete(&self, held: &AccessControl, decision: &mut Decision) -> Result<(), String> {
        if held.incomplete {
            return Err(format!("{} is to go, and could not be told whole", held.actual_name));
        }
        if self.is_locked(Facet::Delete, Some(held)) {
            return Err(format!("{} is to go, and that it exists is locked", held.actual_name));
        }
        if self.kind.identity == Identity::NamedOnObject {
            decision.count(&self.kind.name).removes += 1;
            decision.push(self.set(Some(held), vec![Change::Delete]), vec![self.wanted.id.clone()]);
            return Ok(());
        }
        let owned = self.owned(held);
        if !owned.is_empty() {
            let (name, some) = (&held.actual_name, owned.iter().take(5).cloned().collect::<Vec<_>>().join("; "));
            return Err(format!(
                "{name} is to go and has {} of its own: {some}; somebody else has to own it first",
                owned.len()
            ));
        }
        let by_whom = grantors(held, |part| self.facts(part));
        let facts = self.actual(held, &by_whom, &FactSet::new());
        decision.count(&self.kind.name).held += facts.len() as u64;
        decision.count(&self.kind.name).removes += facts.len() as u64 + 1;
        // What it was granted goes first, item by item: only an entity that holds nothing can be deleted.
        let taken = Compared { remove: facts, ..Compared::default() };
        let mut list = changes(&taken, &by_whom, false);
        list.push(Change::Delete);
        decision.push(self.set(Some(held), list), vec![self.wanted.id.clone()]);
        Ok(())
    }

    /// The facts that an entity holds. What it granted itself comes with what it is or owns and cannot be taken from it, so
    /// it counts only where it is wanted.
    fn actual(&self, held: &AccessControl, by_whom: &Grantors, desired: &FactSet) -> FactSet {
        let own = BTreeSet::from([held.external_id.clone()]);
        let mut facts = self.facts(held);
        facts.retain(|fact, _| desired.contains_key(fact) || by_whom.get(fact) != Some(&own));
        facts
    }

    /// What belongs to the entity and cannot be revoked: as long as there is any, it cannot go without taking data with it.
    fn owned(&self, held: &AccessControl) -> Vec<String> {
        let mut facts = FactSet::new();
        insert_control(&mut facts, &self.wanted.id, held, Identity::Named);
        let belongs = |fact: &&Fact| matches!(fact, Fact::Permission { .. }) && !self.is_manageable(fact);
        facts.keys().filter(belongs).map(|fact| shown(fact, self.situation.names)).collect()
    }

    /// The changes that make it what it is to be.
    fn keep(&self, held: &AccessControl, decision: &mut Decision) -> Result<(), String> {
        if self.kind.identity == Identity::NamedOnObject {
            return rule::keep(self, held, decision);
        }
        // Where a state was left, what others granted of what is there counts as well.
        if self.wanted.applied.is_none()
            && let Some(facts) = same(&self.wanted.control, held, |line| self.is_line_manageable(line))
        {
            return self.keep_facts(held, facts, decision);
        }
        let revert = self.situation.drift == Drift::Revert;
        let desired = self.facts(&self.wanted.control);
        let by_whom = grantors(held, |part| self.facts(part));
        let actual = self.actual(held, &by_whom, &desired);
        decision.count(&self.kind.name).held += actual.len() as u64;
        self.check_wanted(Some(held))?;
        let left = Left::of(self.wanted, |state| self.facts(state));
        let mut compared = compare(&desired, &actual, left.as_ref(), revert, self.situation);
        if let Some(last) = self.wanted.applied.as_deref() {
            self.other_grantors(&mut compared, last, &by_whom, revert);
        }
        self.leave_unread(&mut compared, left.as_ref(), held);
        self.leave_locked(&mut compared, held);
        self.grant_parts_again(&mut compared, &actual, &by_whom);
        let mut list = self.own_changes(held, &mut compared.drift)?;
        list.extend(changes(&compared, &by_whom, self.takes_from_parts(&compared)));
        decision.count(&self.kind.name).removes += self.taken(&compared);
        let drift = compared.drift;
        self.settle(held, self.set(Some(held), list), drift, decision);
        Ok(())
    }

    /// What it holds is what it is to hold.
    fn keep_facts(&self, held: &AccessControl, facts: usize, decision: &mut Decision) -> Result<(), String> {
        decision.count(&self.kind.name).held += facts as u64;
        let mut drift = Vec::new();
        let list = self.own_changes(held, &mut drift)?;
        self.settle(held, self.set(Some(held), list), drift, decision);
        Ok(())
    }

    /// How much is taken from somebody: facts, grants of others, and the right to pass something on or to have it at all times.
    fn taken(&self, compared: &Compared) -> u64 {
        let narrowed = |(_, from, to): &&(Fact, Options, Options)| {
            (from.may_pass_on && !to.may_pass_on)
                || (from.inherits && !to.inherits)
                || (from.assumable && !to.assumable)
        };
        let strangers: usize = compared.strangers.values().map(BTreeSet::len).sum();
        (compared.remove.len() + strangers + compared.change.iter().filter(narrowed).count()) as u64
    }

    /// What was decided about one that is there: in sync, or changes. Of one that was not read whole nobody knows whether it is
    /// in sync, and what is known of it stays what it was.
    pub(super) fn settle(
        &self,
        held: &AccessControl,
        mut set: ChangeSet,
        drift: Vec<DriftItem>,
        decision: &mut Decision,
    ) {
        if self.only_marks(held, &set.changes) {
            set.changes.clear();
        }
        let (id, external_id) = (self.wanted.id.clone(), Some(held.external_id.clone()));
        let drifted = !drift.is_empty();
        decision.drift.extend(drift.into_iter().map(|item| (id.clone(), item)));
        if set.changes.is_empty() && self.is_unread(held) {
            decision.unknown.push(id);
        } else if set.changes.is_empty() {
            // A repository is told of no state: what it says is all that there is.
            let applied = if drifted || self.situation.master.is_repository() { None } else { self.untold(held) };
            decision.in_sync.push(InSync { id, external_id, applied });
        } else {
            decision.push(set, vec![id]);
        }
    }

    /// What the target has of what is wanted, where nobody was told that yet.
    fn untold(&self, held: &AccessControl) -> Option<Box<AccessControl>> {
        let now = held.within(&self.wanted.control);
        let is_known = self.wanted.applied.as_deref() == Some(&now) && self.wanted.begun.is_empty();
        (!is_known).then(|| Box::new(now))
    }

    /// Whether all that is to be done is to write a repository's marker, which waits for the first change.
    fn only_marks(&self, held: &AccessControl, list: &[Change]) -> bool {
        self.situation.master.is_repository()
            && matches!(list, [Change::Describe(_)])
            && marker(&held.description).is_none()
            && held.description == self.wanted.control.description
    }

    /// Whether something is taken of whose parts the target takes it as well.
    fn takes_from_parts(&self, compared: &Compared) -> bool {
        let clears = |fact: &Fact| matches!(fact, Fact::Permission { object, .. } if self.clears_parts(object));
        let narrowed = compared.change.iter().filter(|(_, from, to)| from.may_pass_on && !to.may_pass_on);
        compared.remove.keys().chain(compared.strangers.keys()).chain(narrowed.map(|(fact, _, _)| fact)).any(clears)
    }

    /// A revoke on a table takes what the same grantor granted on its columns along: what is to stay there, wanted or left to
    /// somebody else, is granted again, behind it.
    fn grant_parts_again(&self, compared: &mut Compared, actual: &FactSet, by_whom: &Grantors) {
        let changed = compared.change.iter().map(|(fact, _, _)| fact);
        let mut taken: BTreeMap<(&[PathPart], &PermissionName), Vec<&Fact>> = BTreeMap::new();
        for fact in compared.remove.keys().chain(compared.strangers.keys()).chain(changed) {
            if let Fact::Permission { object, permission, .. } = fact
                && self.clears_parts(object)
            {
                taken.entry((&object.path, permission)).or_default().push(fact);
            }
        }
        let same_grantor = |whole: &Fact, part: &Fact| {
            by_whom.get(whole).zip(by_whom.get(part)).is_none_or(|(one, other)| !one.is_disjoint(other))
        };
        let goes_along = |fact: &Fact| {
            let Fact::Permission { object, permission, .. } = fact else { return false };
            let wholes = (0..object.path.len()).filter_map(|end| taken.get(&(&object.path[..end], permission)));
            wholes.flatten().any(|whole| same_grantor(whole, fact))
        };
        let mut again = FactSet::new();
        for (fact, options) in actual.iter().filter(|(fact, _)| !compared.remove.contains_key(*fact)) {
            if goes_along(fact) {
                let changed = compared.change.iter().find(|(changed, _, _)| changed == fact);
                again.insert(fact.clone(), changed.map_or(*options, |(_, _, to)| *to));
            }
        }
        compared.add.extend(again);
    }

    fn clears_parts(&self, object: &crate::record::ObjectRef) -> bool {
        self.situation.description.object_kind(&object.kind).is_some_and(|kind| kind.revoke_clears_parts)
    }

    /// What is locked is as the target has it.
    pub(super) fn leave_locked(&self, compared: &mut Compared, held: &AccessControl) {
        let locked = |facet| self.is_locked(facet, Some(held));
        let (who, inheritance, what) = (locked(Facet::Who), locked(Facet::Inheritance), locked(Facet::What));
        let stays = |fact: &Fact| match fact {
            Fact::Member { kind: MemberKind::AccessControl, .. } => inheritance,
            Fact::Member { .. } => who,
            Fact::Permission { .. } | Fact::Standing { .. } => what,
        };
        compared.add.retain(|fact, _| !stays(fact));
        compared.remove.retain(|fact, _| !stays(fact));
        compared.change.retain(|(fact, _, _)| !stays(fact));
        compared.strangers.retain(|fact, _| !stays(fact));
    }

    /// What a read left open takes nothing away, and is no drift. Only what was never there before is given.
    pub(super) fn leave_unread(&self, compared: &mut Compared, left: Option<&Left>, held: &AccessControl) {
        if self.is_unread(held) {
            compared.only_give(left);
        }
    }

    /// Whether the read may have left out something of it.
    fn is_unread(&self, held: &AccessControl) -> bool {
        self.situation.unread.of(&self.wanted.id) || held.incomplete
    }

    /// Grants of somebody else of what was granted already: as long as they are there, a revoke would not take it.
    fn other_grantors(&self, compared: &mut Compared, last: &AccessControl, by_whom: &Grantors, revert: bool) {
        let before = grantors(last, |part| self.facts(part));
        for fact in self.facts(&self.wanted.control).into_keys() {
            let (Some(now), Some(then)) = (by_whom.get(&fact), before.get(&fact)) else { continue };
            let strangers: BTreeSet<ExternalId> = now.difference(then).cloned().collect();
            // Where nobody of before is left, it is the same grant in another name.
            if strangers.is_empty() || now.is_disjoint(then) {
                continue;
            }
            compared.drift.push(DriftItem::new(DriftKind::OtherGrantor, shown(&fact, self.situation.names), revert));
            if revert {
                compared.strangers.insert(fact, strangers);
            }
        }
    }

    /// Name and description.
    pub(super) fn own_changes(&self, held: &AccessControl, drift: &mut Vec<DriftItem>) -> Result<Vec<Change>, String> {
        let control = &self.wanted.control;
        let differs = |same: fn(&AccessControl, &AccessControl) -> bool| {
            self.wanted.applied.is_some() && !self.wanted.left().any(|left| same(left, held))
        };
        let revert = self.situation.drift == Drift::Revert;
        let mut list = Vec::new();
        // What is not as it was last is somebody's change; it stays unless it is to be reverted.
        let mut ours = |kind: DriftKind, by_hand: bool, what: &str| {
            if by_hand {
                drift.push(DriftItem::new(kind, crate::text::escape(what), revert));
            }
            !by_hand || revert
        };
        let renamed = differs(|left, held| left.actual_name == held.actual_name);
        let wants_name = self.kind.can_rename && !self.is_locked(Facet::Name, Some(held));
        if held.actual_name != control.actual_name
            && ours(DriftKind::Renamed, renamed, held.actual_name.as_str())
            && wants_name
        {
            self.check_new_name()?;
            list.push(Change::Rename(control.actual_name.clone()));
        }
        let description = self.description();
        let described = differs(|left, held| left.description == held.description);
        if held.description != description && ours(DriftKind::Described, described, held.description.as_str()) {
            list.push(Change::Describe(description));
        }
        Ok(list)
    }

    /// Refuses to rename to what the target would not take, or has already.
    fn check_new_name(&self) -> Result<(), String> {
        let control = &self.wanted.control;
        match self.named(&control.actual_name) {
            Some(other) => Err(format!("the name {} belongs to {other} at the target", control.actual_name)),
            None => crate::naming::check(control.actual_name.as_str(), self.situation.description),
        }
    }
}
