//! Named access controls, such as roles: which of the target's belongs to which entry, and which go.

use std::collections::BTreeMap;

use raito_core::exchange::Desired;
use raito_core::marker::{marker, unmarked};
use raito_core::record::{AccessControl, ControlKind, Identity, Member, PermissionUse};
use raito_core::text::{ExternalId, Kind, Name};

use super::{Retired, Work, wanted};
use crate::document::{Entry, Extent, Mode, Scope};
use crate::resolve::is_own;
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

impl<'q> Work<'_, 'q> {
    pub(super) fn named(&mut self, entries: &[(&Entry, &'q ControlKind)]) {
        self.check_retirement();
        let mut found: Vec<Option<&'q AccessControl>> = Vec::new();
        for (entry, kind) in entries {
            let held = self.held(entry, kind);
            if let Some(held) = held {
                self.taken.insert(held.external_id.clone());
            }
            let id = held.map(|held| held.external_id.clone()).or_else(|| ExternalId::new(entry.id.as_str()).ok());
            if let Some(id) = id {
                self.resolver.will_be(&entry.name, id);
            }
            found.push(held);
        }
        let mut all = Vec::new();
        for ((entry, kind), held) in entries.iter().zip(found) {
            let mut control = self.control(entry, kind);
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
        for (desired, mode, spot) in members_first(all) {
            self.want(desired, mode, spot);
        }
        self.rest();
    }

    /// The access control of the target that an entry is about: the one whose marker says so, or the one with its name.
    fn held(&self, entry: &Entry, kind: &ControlKind) -> Option<&'q AccessControl> {
        let ours = |control: &&AccessControl| {
            marker(&control.description)
                .is_some_and(|marker| marker.master == *self.question.master && marker.entry == entry.id.as_str())
        };
        self.resolver.named(&kind.name).find(ours).or_else(|| self.resolver.find(&kind.name, &entry.name))
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

    /// What the target has and no entry names: what is ours goes, the rest is left alone.
    fn rest(&mut self) {
        let catalogue = self.question.catalogue;
        let is_named = |control: &&AccessControl| {
            let kind = catalogue.description.control_kind(&control.kind);
            kind.is_some_and(|kind| !kind.identity.is_list() && kind.can_create)
        };
        let mut gone = Vec::new();
        for control in catalogue.controls.kept().filter(is_named) {
            if self.taken.contains(&control.external_id) {
                continue;
            }
            let (id, mode) = match self.proof(control) {
                Proof::None(reason) => {
                    self.leave(control, reason);
                    continue;
                }
                Proof::Marker(entry) => (entry, self.mode_of_marked(control)),
                Proof::Scope(scope) => (crate::read::usual_id(&control.actual_name), scope.mode),
            };
            if mode == Mode::Additive {
                self.leave(control, "the file that manages it only adds");
            } else if self.question.protected.controls.contains(&control.external_id) {
                self.leave(control, "it is kept from changes: the host logs in with it, or it is for emergencies");
            } else if !control.internalizable {
                self.leave(control, "it cannot be managed from outside");
            } else {
                gone.push((self.without(control, id), mode, ()));
            }
        }
        // What has members goes before its members do, and so loses them while they are still there.
        for (desired, mode, ()) in members_first(gone).into_iter().rev() {
            self.want(desired, mode, None);
        }
    }

    /// An access control that no entry names any more: it goes, at once or after it was retired. One that is a user's own stays
    /// with him, and holds nothing.
    fn without(&mut self, control: &AccessControl, id: Name) -> Desired {
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
        self.evaluation.retired.push(Retired {
            kind: control.kind.clone(),
            name: control.actual_name.clone(),
            until: until.day().to_owned(),
        });
        wanted(id, Some(control.external_id.clone()), bare)
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

/// Members come before what they are members of.
fn members_first<T>(all: Vec<(Desired, Mode, T)>) -> Vec<(Desired, Mode, T)> {
    let mut left: BTreeMap<usize, (Desired, Mode, T)> = all.into_iter().enumerate().collect();
    let by_id: BTreeMap<ExternalId, usize> =
        left.iter().map(|(at, (desired, ..))| (desired.control.external_id.clone(), *at)).collect();
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
