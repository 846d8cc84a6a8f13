//! Filters and masks as a part of the answer: which rows somebody sees, and what is hidden from them.
//!
//! Both are about who acts. A user who switches to an access control sees the rows that its filters
//! show, and no longer those that their own do; so each way to hold a permission has its own view.

use super::answer::{AnswerFilter, How, Rows, Wider};
use super::objects::ObjectId;
use super::principals::{Active, PrincipalId};
use super::rules::PermissionId;
use super::snapshot::{Rule, Snapshot};
use crate::record::Action;

/// The filters that an object has for a permission.
struct Filters<'s> {
    /// The object that they stand on: itself, or the one above of which it is a part.
    on: ObjectId,
    rules: Vec<&'s Rule>,
    /// Whether they hold for owners too.
    forced: bool,
}

/// What somebody sees with a permission that they hold in some way.
pub(super) struct Sight {
    pub(super) rows: Rows,
    pub(super) wider: Option<Wider>,
    pub(super) masked: Vec<PrincipalId>,
}

impl Snapshot {
    /// Whether an access control is a filter that narrows what others show.
    pub fn is_restrictive(&self, control: PrincipalId) -> bool {
        self.restrictive.contains(control.0)
    }

    /// What a user sees who holds a permission on an object in this way.
    pub(super) fn sight(&self, user: PrincipalId, how: How, object: ObjectId, permission: PermissionId) -> Sight {
        let filters = self.filters(object, permission);
        if filters.is_none() && !self.has_masks(object) {
            return Sight { rows: Rows::All, wider: None, masked: Vec::new() };
        }
        self.sight_of(&self.acting(user, &AnswerFilter::default()), how, object, permission)
    }

    /// The same of somebody who can act as these, themselves first.
    pub(super) fn sight_of(
        &self,
        acting: &[(How, Active)],
        how: How,
        object: ObjectId,
        permission: PermissionId,
    ) -> Sight {
        let filters = self.filters(object, permission);
        let givers = self.givers(object, permission);
        let views = acting.iter().filter_map(|(nearest, active)| {
            let how = match self.holds(active, &givers) {
                Some(_) => *nearest,
                None if self.administers(active, object) => How::Obtainable,
                None => return None,
            };
            let rows = filters.as_ref().map_or(Rows::All, |filters| self.rows_of(filters, active));
            Some((how, active, rows))
        });
        let mut views: Vec<(How, &Active, Rows)> = views.collect();
        if !views.iter().any(|(other, ..)| *other == how) {
            let own = acting.first().map(|(_, active)| active);
            let rows = |active| filters.as_ref().map_or(Rows::All, |filters| self.rows_of(filters, active));
            views.extend(own.map(|active| (how, active, rows(active))));
        }
        let here = views.iter().filter(|(other, ..)| *other == how);
        let Some((_, active, rows)) =
            here.reduce(|best, next| if self.shows_all_of(&best.2, &next.2) { best } else { next })
        else {
            return Sight { rows: Rows::Nothing, wider: None, masked: Vec::new() };
        };
        let mut wider: Vec<&(How, &Active, Rows)> =
            views.iter().filter(|view| !self.shows_all_of(rows, &view.2)).collect();
        wider.sort_by_key(|(how, _, rows)| (*rows != Rows::All, *how));
        let wider = wider
            .first()
            .and_then(|(how, active, rows)| Some(Wider { how: *how, acting_as: active.start()?, rows: rows.clone() }));
        Sight { rows: rows.clone(), wider, masked: self.masks_for(active, object) }
    }

    /// The filters that decide which rows of an object are seen with a permission: its own, or those of an
    /// object above with whose permission this one comes, as that on a column comes with that on its table.
    fn filters(&self, object: ObjectId, permission: PermissionId) -> Option<Filters<'_>> {
        if self.policies.is_empty() {
            return None;
        }
        self.objects.chain(object).into_iter().enumerate().find_map(|(level, on)| {
            let enabled = || {
                let rules = self.policies.get(&on).into_iter().flatten();
                rules.filter(|rule| rule.action == Action::Filter && rule.policy.enabled)
            };
            let is_about = |of: &PermissionId| {
                (level == 0 && *of == permission) || self.rules.rule(*of).reaches.contains(&permission)
            };
            let rules: Vec<&Rule> = enabled().filter(|rule| rule.permissions.iter().any(is_about)).collect();
            let forced = enabled().any(|rule| rule.policy.forced);
            (!rules.is_empty()).then_some(Filters { on, rules, forced })
        })
    }

    fn rows_of(&self, filters: &Filters<'_>, active: &Active) -> Rows {
        if self.overrides(active, filters.on, filters.forced) {
            return Rows::All;
        }
        let shown: Vec<&&Rule> = filters.rules.iter().filter(|rule| active.has(rule.control)).collect();
        if !shown.iter().any(|rule| !rule.policy.restrictive) {
            return Rows::Nothing;
        }
        let mut names: Vec<PrincipalId> = shown.iter().map(|rule| rule.control).collect();
        names.sort_unstable();
        Rows::Filtered(names)
    }

    /// Whether one view shows every row that another does, whatever the rules say.
    fn shows_all_of(&self, one: &Rows, other: &Rows) -> bool {
        match (one, other) {
            (Rows::All, _) | (_, Rows::Nothing) => true,
            (Rows::Nothing, _) | (_, Rows::All) => false,
            (Rows::Filtered(one), Rows::Filtered(other)) => {
                let is_restrictive = |id: &&PrincipalId| self.is_restrictive(**id);
                other.iter().filter(|id| !is_restrictive(id)).all(|id| one.contains(id))
                    && one.iter().filter(is_restrictive).all(|id| other.contains(id))
            }
        }
    }

    /// Whether something that is held lets all rows be seen: on the object itself, unless filters are forced on its owner;
    /// or above it, where it is a permission that objects of this kind do not have themselves. Owning a database is not owning
    /// what is in it.
    fn overrides(&self, active: &Active, object: ObjectId, forced: bool) -> bool {
        let chain = self.objects.chain(object);
        let on_kind = self.rules.of_kind(self.objects.get(object).kind);
        let own: Vec<_> = on_kind.map(|id| &self.rules.rule(id).name).collect();
        chain.into_iter().enumerate().any(|(level, above)| {
            if forced && level == 0 {
                return false;
            }
            let of_kind = self.rules.of_kind(self.objects.get(above).kind);
            let counts = |id: &PermissionId| {
                let rule = self.rules.rule(*id);
                rule.overrides_filters && (level == 0 || !own.contains(&&rule.name))
            };
            let mut overriding = of_kind.filter(counts);
            overriding.any(|id| self.directly(active, above, id))
        })
    }

    /// Whether a fact about this very object gives a permission to what is active.
    fn directly(&self, active: &Active, object: ObjectId, permission: PermissionId) -> bool {
        self.giving(&self.grants, &[(object, permission)]).any(|fact| !fact.conditional && active.has(fact.control))
    }

    fn has_masks(&self, object: ObjectId) -> bool {
        let rules = self.policies.get(&object).into_iter().flatten();
        rules.into_iter().any(|rule| rule.action == Action::Mask && rule.policy.enabled)
    }

    /// The masks that hide the object from whoever acts so.
    fn masks_for(&self, active: &Active, object: ObjectId) -> Vec<PrincipalId> {
        let Some(rules) = self.policies.get(&object) else { return Vec::new() };
        let masks = rules.iter().filter(|rule| rule.action == Action::Mask && rule.policy.enabled);
        masks.filter(|rule| !active.has(rule.control)).map(|rule| rule.control).collect()
    }
}
