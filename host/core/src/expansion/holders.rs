//! Who holds a permission on an object: sets of starts.

use std::sync::Arc;

use roaring::{MultiOps as _, RoaringBitmap};

use super::objects::ObjectId;
use super::principals::PrincipalId;
use super::rules::PermissionId;
use super::snapshot::{Fact, Snapshot};

/// Who holds a permission.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Holders {
    /// Those who hold it for certain.
    pub(super) plain: RoaringBitmap,
    /// Those who hold it under a condition only.
    pub(super) conditional: RoaringBitmap,
}

/// All of these sets at once: put together one by one, each would be looked at again with every other that comes.
fn union(sets: &[Arc<RoaringBitmap>]) -> RoaringBitmap {
    match sets {
        [one] => RoaringBitmap::clone(one),
        several => several.iter().map(|set| &**set).union(),
    }
}

impl Snapshot {
    /// Everything that gives a permission on an object: the permission there or above, and those with which it comes.
    pub(super) fn givers(&self, object: ObjectId, permission: PermissionId) -> Vec<(ObjectId, PermissionId)> {
        let chain = self.objects.chain(object);
        let mut found = vec![(0, permission)];
        let mut at = 0;
        while let Some((level, permission)) = found.get(at).copied() {
            let rule = self.rules.rule(permission);
            let same = rule.implied_by.iter().map(|other| (level, *other));
            let above = rule.reached_by.iter().flat_map(|other| {
                let kind = self.rules.rule(*other).kind;
                let levels = (level + 1..chain.len()).filter(|up| self.objects.get(chain[*up]).kind == kind);
                levels.map(|up| (up, *other)).collect::<Vec<_>>()
            });
            for new in same.chain(above).collect::<Vec<_>>() {
                if !found.contains(&new) {
                    found.push(new);
                }
            }
            at += 1;
        }
        found.into_iter().map(|(level, permission)| (chain[level], permission)).collect()
    }

    /// The facts of a sorted list that give a permission on an object.
    pub(super) fn giving<'f>(
        &self,
        facts: &'f [Fact],
        givers: &'f [(ObjectId, PermissionId)],
    ) -> impl Iterator<Item = &'f Fact> {
        givers.iter().flat_map(move |(object, permission)| {
            let first = facts.partition_point(|fact| (fact.object, fact.permission) < (*object, *permission));
            facts[first..].iter().take_while(move |fact| (fact.object, fact.permission) == (*object, *permission))
        })
    }

    /// Whether anything gives a permission on an object by itself, or takes it.
    pub(super) fn has_facts(&self, of: (ObjectId, PermissionId)) -> bool {
        let any = |facts| self.giving(facts, &[of]).next().is_some();
        any(&self.grants) || any(&self.denials)
    }

    /// Everybody who holds a permission on an object by acting as what he is.
    pub(super) fn holders(&self, object: ObjectId, permission: PermissionId) -> Holders {
        self.holders_by(&self.givers(object, permission))
    }

    /// The same for what is given by these.
    pub(super) fn holders_by(&self, givers: &[(ObjectId, PermissionId)]) -> Holders {
        let (mut plain, mut conditional) = (Vec::new(), Vec::new());
        for fact in self.giving(&self.grants, givers) {
            let list = if fact.conditional { &mut conditional } else { &mut plain };
            list.push(self.principals.starts(fact.control));
        }
        let mut holders = Holders { plain: union(&plain), conditional: union(&conditional) };
        for fact in self.giving(&self.denials, givers) {
            let starts = self.principals.starts(fact.control);
            if fact.conditional {
                holders.conditional |= &holders.plain & &*starts;
            } else {
                holders.conditional -= &*starts;
            }
            holders.plain -= &*starts;
        }
        holders.conditional -= &holders.plain;
        holders
    }

    /// What whoever acts needs above an object for a permission: of each list, one.
    pub(super) fn needs(&self, object: ObjectId, permission: PermissionId) -> Vec<Vec<(ObjectId, PermissionId)>> {
        self.placed(&self.rules.rule(permission).needs, object)
    }

    /// The same of what is asked of the user when they log in.
    pub(super) fn login_needs(&self, object: ObjectId, permission: PermissionId) -> Vec<Vec<(ObjectId, PermissionId)>> {
        self.placed(&self.rules.rule(permission).login_needs, object)
    }

    fn placed(&self, needs: &[Vec<PermissionId>], object: ObjectId) -> Vec<Vec<(ObjectId, PermissionId)>> {
        let of = |need: &PermissionId| Some((self.above(object, *need)?, *need));
        needs.iter().map(|any| any.iter().filter_map(of).collect()).collect()
    }

    /// Those of `starts` who hold one of each list.
    pub(super) fn holding(&self, needs: &[Vec<(ObjectId, PermissionId)>], starts: &RoaringBitmap) -> RoaringBitmap {
        let mut left = starts.clone();
        for any in needs {
            let met = any.iter().map(|(above, need)| self.holders(*above, *need).plain);
            left &= met.fold(RoaringBitmap::new(), |all, some| all | some);
        }
        left
    }

    /// Those of `users` who hold themselves what a permission needs.
    pub(super) fn with_needs(
        &self,
        object: ObjectId,
        permission: PermissionId,
        users: &RoaringBitmap,
    ) -> RoaringBitmap {
        let left = self.holding(&self.needs(object, permission), users);
        self.holding(&self.login_needs(object, permission), &left)
    }

    /// The object above (or itself) that a need is about.
    pub(super) fn above(&self, object: ObjectId, need: PermissionId) -> Option<ObjectId> {
        let kind = self.rules.rule(need).kind;
        self.objects.chain(object).into_iter().find(|above| self.objects.get(*above).kind == kind)
    }

    /// Everybody who can hand out what is held on an object, by acting as what he is.
    pub(super) fn administrators(&self, object: ObjectId) -> RoaringBitmap {
        let kind = self.objects.get(object).kind;
        let admin = self.rules.of_kind(kind).filter(|id| self.rules.rule(*id).administers);
        admin.map(|id| self.holders(object, id).plain).fold(RoaringBitmap::new(), |all, some| all | some)
    }

    /// The fact that gives a permission to a start by the shortest way, and how many others there are.
    pub(super) fn best_fact(
        &self,
        object: ObjectId,
        permission: PermissionId,
        start: PrincipalId,
    ) -> Option<(Fact, Vec<PrincipalId>, usize)> {
        let givers = self.givers(object, permission);
        let active = self.principals.active(start);
        let mut found: Vec<(&Fact, Vec<PrincipalId>)> = self
            .giving(&self.grants, &givers)
            .filter(|fact| active.has(fact.control))
            .map(|fact| (fact, active.way(fact.control)))
            .collect();
        found.sort_by_key(|(fact, way)| (fact.conditional, way.len(), **fact));
        let count = found.len();
        found.into_iter().next().map(|(fact, way)| (*fact, way, count - 1))
    }
}
