//! Named access controls, such as roles: which of the target's belongs to which entry, and which go.

use std::collections::BTreeMap;
use std::sync::Arc;

use raito_core::exchange::Desired;
use raito_core::marker::{marker, unmarked};
use raito_core::record::{AccessControl, ControlKind, Identity, Member, MemberKind, PermissionUse};
use raito_core::text::{ExternalId, Kind, Name};

use super::{Retired, Work, wanted};
use crate::circle::Members;
use crate::document::{Entry, Extent, Mode, Scope, Spot};
use crate::resolve::{is_for_everyone, is_own};
use crate::retire::Until;

/// What proves that an access control belongs to this repository.
enum Proof<'s> {
    /// Its marker names the repository and an entry.
    Marker(Name),
    /// A scope covers its name.
    Scope(&'s Scope),
    /// Nothing does, for this reason.
    None(String),
}

/// Access controls with the marker of this repository, by their kind and the entry that it names.
type Marked<'q> = BTreeMap<(&'q Kind, String), &'q AccessControl>;

impl<'q> Work<'_, 'q> {
    pub(super) fn named(&mut self, entries: &[(&Entry, &'q ControlKind)]) {
        self.check_retirement();
        let marked = self.marked();
        let mut found: Vec<Option<&'q AccessControl>> = Vec::new();
        for (entry, kind) in entries {
            let held = self.held(entry, kind, &marked);
            if let Some(held) = held {
                self.taken.insert(held.external_id.clone());
            }
            let id = held.map(|held| held.external_id.clone()).or_else(|| ExternalId::new(entry.id.as_str()).ok());
            if let Some(id) = id {
                self.resolver.will_be(&entry.name, id);
            }
            found.push(held);
        }
        self.find_leaving();
        let mut all = Vec::new();
        for (((entry, _), held), mut control) in entries.iter().zip(found).zip(self.controls(entries)) {
            if held.is_none() {
                self.check_everybody(entry);
            }
            if held.is_some_and(|held| held.actual_name.as_str() == entry.name.as_str()) {
                self.check_claim(entry, held);
            }
            if let Some(held) = held {
                control.policy = control.policy.or_else(|| held.policy.clone());
                if entry.mode == Mode::Additive {
                    control = widened(control, held);
                }
            }
            let desired = wanted(entry.id.clone(), held.map(|held| held.external_id.clone()), control);
            all.push((desired, entry.mode, Some(entry.spot)));
        }
        self.check_circles(&all);
        for (desired, mode, spot) in members_first(all) {
            self.want(desired, mode, spot);
        }
        self.rest();
    }

    /// The access control of the target that an entry is about: the one whose marker says so, or the one with its name.
    fn held(&self, entry: &Entry, kind: &ControlKind, marked: &Marked<'q>) -> Option<&'q AccessControl> {
        let ours = marked.get(&(&kind.name, entry.id.as_str().to_owned())).copied();
        ours.or_else(|| self.resolver.find(&kind.name, &entry.name))
    }

    /// What carries the marker of this repository.
    fn marked(&self) -> Marked<'q> {
        let mut all = Marked::new();
        for control in self.question.catalogue.controls.kept() {
            if let Some(marker) = marker(&control.description).filter(|marker| marker.master == *self.question.master) {
                all.entry((&control.kind, marker.entry)).or_insert(control);
            }
        }
        all
    }

    /// Refuses to take over what nothing proves to be ours.
    fn check_claim(&mut self, entry: &Entry, held: Option<&AccessControl>) {
        let Some(held) = held else { return };
        if marker(&held.description).is_some() || entry.mode == Mode::Observe {
            // Whose marker it is, core looks at.
            return;
        }
        if let Proof::None(_) = self.proof(held) {
            let message =
                format!("{} is there already, and nothing says that it belongs to this repository", entry.name);
            let help = format!(
                "add it to manages:, as in {{ on: {}, kind: {}, names: {} }}",
                entry.target, held.kind, entry.name
            );
            self.resolver.error(entry.spot, message, Some(help));
        }
    }

    /// Refuses what would be a member of itself by way of what the target has and no entry is about. What entries alone say was
    /// looked at when they were read.
    fn check_circles(&mut self, all: &[(Desired, Mode, Option<Spot>)]) {
        let mut names: BTreeMap<&ExternalId, &Name> = BTreeMap::new();
        let mut members: Members<&ExternalId, Option<Spot>> = BTreeMap::new();
        let wanted = all.iter().filter(|(_, mode, _)| *mode != Mode::Observe);
        let wanted = wanted.map(|(desired, _, spot)| (id_of(desired), &desired.control, *spot));
        let stays = |control: &&AccessControl| !self.resolver.leaving.contains(&control.external_id);
        let held = self.question.catalogue.controls.kept().filter(stays);
        // What an entry is about is in the place of what is there.
        for (id, control, spot) in wanted.chain(held.map(|control| (&control.external_id, control, None))) {
            if names.insert(id, &control.actual_name).is_none() {
                let inner = control.who.iter().filter(|member| member.kind == MemberKind::AccessControl);
                members.insert(id, inner.map(|member| (spot, &member.id)).collect());
            }
        }
        let mut found = Vec::new();
        for circle in crate::circle::circles(&members) {
            // What nothing here says is the target's own business.
            let Some(spot) = circle.iter().find_map(|(spot, _)| *spot) else { continue };
            let called: Vec<String> =
                circle.iter().filter_map(|(_, id)| names.get(id)).map(ToString::to_string).collect();
            found.push((spot, format!("these would be members of each other in a circle: {}", called.join(", "))));
        }
        for (spot, message) in found {
            self.resolver.error(spot, message, Some("take one of these members out, here or at the target".to_owned()));
        }
    }

    /// Refuses to create what is called like that by which the target gives something to everybody: who reads the name would take
    /// one for the other. Case is no difference, since people write `public` and `PUBLIC`.
    fn check_everybody(&mut self, entry: &Entry) {
        let is_called = |control: &AccessControl| {
            control.actual_name.as_str().eq_ignore_ascii_case(entry.name.as_str()) && is_for_everyone(control)
        };
        if self.question.catalogue.controls.kept().any(is_called) {
            let message =
                format!("{} is what the target calls what everybody has, and would be another one", entry.name);
            self.resolver.error(entry.spot, message, Some("take another name".to_owned()));
        }
    }

    fn proof(&self, control: &AccessControl) -> Proof<'q> {
        if let Some(marker) = marker(&control.description) {
            return match Name::new(marker.entry) {
                Ok(entry) if marker.master == *self.question.master => Proof::Marker(entry),
                _ => Proof::None(format!("it belongs to {}", marker.master)),
            };
        }
        self.scope_of(control).map_or_else(|| Proof::None("no file manages it".to_owned()), Proof::Scope)
    }

    /// The scope that covers a name, whoever's marker stands at the target.
    fn scope_of(&self, control: &AccessControl) -> Option<&'q Scope> {
        let covers = |scope: &&Scope| {
            let Extent::Names(names) = &scope.extent else { return false };
            names.iter().any(|name| name.takes(control.actual_name.as_str()))
        };
        self.scopes_of(&control.kind).find(covers)
    }

    /// The scopes about access controls of a kind.
    fn scopes_of(&self, kind: &Kind) -> impl Iterator<Item = &'q Scope> {
        let (target, usual) = (self.question.target, self.usual_kind());
        let code: &'q crate::code::Code = self.question.code;
        code.scopes.iter().filter(move |scope| {
            scope.target == *target && scope.kind.as_ref().or(usual.map(|usual| &usual.name)) == Some(kind)
        })
    }

    /// The kind that is meant where none is named.
    fn usual_kind(&self) -> Option<&'q ControlKind> {
        let kinds = &self.question.catalogue.description.controls;
        kinds.iter().find(|kind| kind.identity == Identity::Named && kind.can_create)
    }

    /// Refuses to retire what is not disabled by having no members: a rule without anybody named may hold for everybody.
    fn check_retirement(&mut self) {
        let code: &'q crate::code::Code = self.question.code;
        let here = code.scopes.iter().filter(|scope| scope.target == *self.question.target);
        for scope in here.filter(|scope| scope.retire_days.is_some()) {
            let known = scope.kind.as_ref().and_then(|kind| self.question.catalogue.description.control_kind(kind));
            if let Some(kind) = known.filter(|kind| kind.identity != Identity::Named) {
                let message =
                    format!("access controls of kind {} cannot be retired: they are not given to members", kind.name);
                self.resolver.error(scope.spot, message, Some("leave retire-days out".to_owned()));
            }
        }
    }

    /// How many days something that no entry names is kept without members: as the scope that covers it says, or, where none
    /// does, the longest that any scope of its kind says, since nobody knows in which of them it stood.
    fn retire_days(&self, control: &AccessControl) -> Option<u16> {
        match self.scope_of(control) {
            Some(scope) => scope.retire_days,
            None => self.scopes_of(&control.kind).filter_map(|scope| scope.retire_days).max(),
        }
    }

    /// Tells the resolver what will be taken away, so that nothing is made a member of others, or takes part in them, and goes.
    fn find_leaving(&mut self) {
        let goes = |control: &&AccessControl| {
            !is_own(control) && self.fate(control).is_ok_and(|(_, mode)| mode == Mode::Enforced)
        };
        let leaving = self.unnamed().filter(goes).map(|control| control.external_id.clone()).collect();
        self.resolver.leaving = Arc::new(leaving);
    }

    /// What the target has and no entry names.
    fn unnamed(&self) -> impl Iterator<Item = &'q AccessControl> {
        let catalogue = self.question.catalogue;
        let is_named = move |control: &&AccessControl| {
            let kind = catalogue.description.control_kind(&control.kind);
            kind.is_some_and(|kind| !kind.identity.is_list() && kind.can_create)
        };
        catalogue.controls.kept().filter(is_named).filter(move |control| !self.taken.contains(&control.external_id))
    }

    /// What becomes of something that no entry names: it goes, by this id and as this mode says.
    ///
    /// # Errors
    /// The reason for which it is left alone.
    fn fate(&self, control: &AccessControl) -> Result<(Name, Mode), String> {
        let (id, mode) = match self.proof(control) {
            Proof::None(reason) => return Err(reason),
            Proof::Marker(entry) => (entry, self.mode_of_marked(control)),
            Proof::Scope(scope) => (crate::read::usual_id(&control.actual_name), scope.mode),
        };
        if mode == Mode::Additive {
            Err("the file that manages it only adds".to_owned())
        } else if self.question.protected.controls.contains(&control.external_id) {
            Err("it is kept from changes: the host logs in with it, or it is for emergencies".to_owned())
        } else if !control.internalizable {
            Err("it cannot be managed from outside".to_owned())
        } else {
            Ok((id, mode))
        }
    }

    /// What the target has and no entry names: what is ours goes, the rest is left alone.
    fn rest(&mut self) {
        let mut gone = Vec::new();
        let unnamed: Vec<&AccessControl> = self.unnamed().collect();
        for control in unnamed {
            match self.fate(control) {
                Ok((id, mode)) => {
                    let desired = self.without(control, id);
                    if mode == Mode::Enforced {
                        self.tell_retired(&desired);
                    }
                    gone.push((desired, mode, ()));
                }
                Err(reason) => self.leave(control, reason),
            }
        }
        // What has members goes before its members do, and so loses them while they are still there.
        for (desired, mode, ()) in members_first(gone).into_iter().rev() {
            self.want(desired, mode, None);
        }
    }

    /// An access control that no entry names any more: it goes, at once or after it was retired. One that is a user's own stays
    /// with him, and holds nothing.
    fn without(&self, control: &AccessControl, id: Name) -> Desired {
        let mut bare = control.clone();
        bare.description = unmarked(&control.description);
        if is_own(control) {
            (bare.who, bare.what, bare.standing) = (Vec::new(), Vec::new(), Vec::new());
            return wanted(id, Some(control.external_id.clone()), bare);
        }
        let now_ms = self.question.now_ms;
        let until = self.retire_days(control).and_then(|days| match Until::told(&bare.description) {
            Some((until, _)) => Some(until).filter(|until| !until.is_over(now_ms)),
            None => Until::after(now_ms, days),
        });
        let Some(until) = until else {
            return Desired { delete: true, ..wanted(id, Some(control.external_id.clone()), bare) };
        };
        bare.description = until.written(&crate::retire::plain(&bare.description));
        bare.who = Vec::new();
        wanted(id, Some(control.external_id.clone()), bare)
    }

    /// Says until when something is kept that no entry names any more.
    fn tell_retired(&mut self, desired: &Desired) {
        let Desired { delete: false, control, .. } = desired else { return };
        if let Some((until, _)) = Until::told(&control.description) {
            let (kind, name) = (control.kind.clone(), control.actual_name.clone());
            self.evaluation.retired.push(Retired { kind, name, until: until.day().to_owned() });
        }
    }

    /// The mode for what carries our marker and stands in no file any more: that of the scope that covers it, or the weakest of
    /// the files about this target, since nobody knows in which of them it stood.
    fn mode_of_marked(&self, control: &AccessControl) -> Mode {
        if let Some(scope) = self.scope_of(control) {
            return scope.mode;
        }
        let code = self.question.code;
        let of_entries = code.entries.iter().filter(|entry| entry.target == *self.question.target);
        let of_scopes = code.scopes.iter().filter(|scope| scope.target == *self.question.target);
        let modes = of_entries.map(|entry| entry.mode).chain(of_scopes.map(|scope| scope.mode));
        modes.min().unwrap_or(Mode::Enforced)
    }
}

/// The id that others name it with: the target's, and for what is only created, ours.
fn id_of(desired: &Desired) -> &ExternalId {
    desired.external_id.as_ref().unwrap_or(&desired.control.external_id)
}

/// Members come before what they are members of.
fn members_first<T>(all: Vec<(Desired, Mode, T)>) -> Vec<(Desired, Mode, T)> {
    let mut left: BTreeMap<usize, (Desired, Mode, T)> = all.into_iter().enumerate().collect();
    let by_id: BTreeMap<ExternalId, usize> =
        left.iter().map(|(at, (desired, ..))| (id_of(desired).clone(), *at)).collect();
    let mut ordered = Vec::with_capacity(left.len());
    let starts: Vec<usize> = left.keys().copied().collect();
    for start in starts {
        // A chain of members is followed to its end; a circle ends where it began, and the target refuses it.
        let mut stack = vec![start];
        let mut entered = std::collections::BTreeSet::from([start]);
        while let Some(at) = stack.last().copied() {
            let next = left.get(&at).and_then(|(desired, ..)| {
                let members = desired.control.who.iter().filter_map(|member| by_id.get(&member.id));
                members.copied().find(|member| left.contains_key(member) && !entered.contains(member))
            });
            match next {
                Some(next) => {
                    entered.insert(next);
                    stack.push(next);
                }
                None => {
                    stack.pop();
                    ordered.extend(left.remove(&at));
                }
            }
        }
    }
    ordered
}

/// What is wanted with all that is held, where nothing is to be taken.
fn widened(mut control: AccessControl, held: &AccessControl) -> AccessControl {
    let held_member =
        |member: &Member| held.who.iter().find(|had| (had.kind, &had.id) == (member.kind, &member.id)).cloned();
    for member in &mut control.who {
        if let Some(had) = held_member(member) {
            member.inherits |= had.inherits;
            member.assumable |= had.assumable;
            member.may_pass_on |= had.may_pass_on;
        }
    }
    let passes =
        |list: &[PermissionUse], used: &PermissionUse| list.iter().any(|had| had.name == used.name && had.may_pass_on);
    for what in &mut control.what {
        for had in held.what.iter().filter(|had| had.object == what.object && had.condition == what.condition) {
            what.permissions.iter_mut().for_each(|used| used.may_pass_on |= passes(&had.permissions, used));
        }
    }
    for standing in &mut control.standing {
        let same = |had: &&raito_core::record::Standing| {
            (&had.under, &had.kind, &had.creator) == (&standing.under, &standing.kind, &standing.creator)
        };
        for had in held.standing.iter().filter(same) {
            standing.permissions.iter_mut().for_each(|used| used.may_pass_on |= passes(&had.permissions, used));
        }
    }
    control.with(held)
}
