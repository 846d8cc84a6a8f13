//! Filters and masks as a part of the answer: which rows somebody sees, and what is hidden from him.

use super::answer::Rows;
use super::objects::ObjectId;
use super::principals::{Active, PrincipalId};
use super::rules::PermissionId;
use super::snapshot::{Rule, Snapshot};
use crate::record::Action;

impl Snapshot {
    /// The rows that a user sees with a permission on an object, by acting as what he is.
    pub(super) fn rows_for(&self, user: PrincipalId, object: ObjectId, permission: PermissionId) -> Rows {
        let Some(rules) = self.policies.get(&object) else { return Rows::All };
        self.rows_of(rules, &self.principals.active(user), object, permission)
    }

    fn rows_of(&self, rules: &[Rule], active: &Active, object: ObjectId, permission: PermissionId) -> Rows {
        let name = &self.rules.rule(permission).name;
        let filters: Vec<&Rule> =
            rules.iter().filter(|rule| rule.action == Action::Filter && rule.policy.enabled).collect();
        let forced = filters.iter().any(|rule| rule.policy.forced);
        if filters.is_empty() || self.overrides(active, object, forced) {
            return Rows::All;
        }
        let about = |rule: &&&Rule| rule.policy.commands.is_empty() || rule.policy.commands.contains(name);
        // What no filter of the object is about, such as TRUNCATE, is not filtered.
        if !filters.iter().any(|rule| about(&rule)) {
            return Rows::All;
        }
        let mine = |rule: &&&Rule| active.has(rule.control);
        let shown: Vec<&&Rule> = filters.iter().filter(about).filter(mine).collect();
        if !shown.iter().any(|rule| !rule.policy.restrictive) {
            return Rows::Nothing;
        }
        let mut names: Vec<PrincipalId> = shown.iter().map(|rule| rule.control).collect();
        names.sort_unstable();
        Rows::Filtered(names)
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

    /// The masks that hide the object from a user.
    pub(super) fn masks_for(&self, user: PrincipalId, object: ObjectId) -> Vec<PrincipalId> {
        let Some(rules) = self.policies.get(&object) else { return Vec::new() };
        let masks = rules.iter().filter(|rule| rule.action == Action::Mask && rule.policy.enabled);
        let active = self.principals.active(user);
        masks.filter(|rule| !active.has(rule.control)).map(|rule| rule.control).collect()
    }
}
