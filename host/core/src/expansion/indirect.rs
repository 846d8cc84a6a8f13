//! Ways through other objects: a view shows what its owner may read, a partitioned table what its partitions hold, and a
//! routine with the rights of its owner may reach anything that he can.

use std::collections::BTreeSet;

use roaring::RoaringBitmap;

use super::objects::ObjectId;
use super::principals::PrincipalId;
use super::rules::PermissionId;
use super::snapshot::Snapshot;
use crate::record::Rights;

/// Somebody who reaches the data of an object through others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indirect {
    /// Who.
    pub user: PrincipalId,
    /// The objects that he goes through, from the one that he may use to the one next to the data.
    pub through: Vec<ObjectId>,
    /// The permission that he holds on the first of them.
    pub permission: PermissionId,
    /// Whether what that permission needs above is held as well.
    pub usable: bool,
}

/// A routine through which the data of an object may be reached: what it really does is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayReach {
    /// The routine.
    pub object: ObjectId,
    /// How many users may call it.
    pub users: u64,
}

/// The longest way through other objects that is looked for.
const DEPTH: usize = 16;

impl Snapshot {
    /// Everybody who reads the data of an object through others, each by the shortest way. Who may read it himself is left
    /// out.
    pub fn indirect(&self, object: ObjectId) -> Vec<Indirect> {
        let own = self.readers(object).map(|(_, starts)| starts).fold(RoaringBitmap::new(), |all, some| all | some);
        let mut seen = own;
        let mut found = Vec::new();
        let mut ways = vec![vec![object]];
        let mut visited = BTreeSet::from([object]);
        while let Some(way) = (!ways.is_empty()).then(|| ways.remove(0)) {
            let at = way[way.len() - 1];
            for outer in self.objects.get(at).read_by.clone() {
                if way.len() > DEPTH || !self.hands_out(outer, at) || !visited.insert(outer) {
                    continue;
                }
                let mut longer = way.clone();
                longer.push(outer);
                for (permission, starts) in self.readers(outer).collect::<Vec<_>>() {
                    let users = &(&starts & self.principals.users()) - &seen;
                    let usable = self.with_needs(outer, permission, &users);
                    let through: Vec<ObjectId> = longer[1..].iter().rev().copied().collect();
                    found.extend(users.iter().map(|user| Indirect {
                        user: PrincipalId(user),
                        through: through.clone(),
                        permission,
                        usable: usable.contains(user),
                    }));
                    seen |= users;
                }
                ways.push(longer);
            }
        }
        found.sort_by(|one, two| self.principal(one.user).name.cmp(&self.principal(two.user).name));
        found
    }

    /// Everybody who holds a permission that counts as reading, permission by permission.
    fn readers(&self, object: ObjectId) -> impl Iterator<Item = (PermissionId, RoaringBitmap)> {
        let of_kind = self.rules.of_kind(self.objects.get(object).kind);
        let reading = of_kind.filter(|id| self.rules.rule(*id).reads);
        reading.map(move |id| (id, self.holders(object, id).plain))
    }

    /// Whether an object shows the data of another one to whoever may read it.
    fn hands_out(&self, outer: ObjectId, inner: ObjectId) -> bool {
        match self.objects.get(outer).rights {
            Rights::Nobody => true,
            Rights::Caller => false,
            Rights::Owner => {
                let owners = self.owners(outer);
                self.readers(inner).any(|(_, starts)| owners.iter().any(|owner| starts.contains(owner.0)))
            }
        }
    }

    /// The access controls that own an object: those with a fact about it that counts as admin.
    fn owners(&self, object: ObjectId) -> Vec<PrincipalId> {
        let of_kind = self.rules.of_kind(self.objects.get(object).kind);
        let admin: Vec<_> = of_kind.filter(|id| self.rules.rule(*id).administers).map(|id| (object, id)).collect();
        self.giving(&self.grants, &admin).map(|fact| fact.control).collect()
    }

    /// Routines with the rights of an owner who can read an object.
    pub fn may_reach(&self, object: ObjectId) -> Vec<MayReach> {
        let readers = self.readers(object).map(|(_, starts)| starts).fold(RoaringBitmap::new(), |all, some| all | some);
        let mut found = Vec::new();
        for routine in self.all_objects() {
            let node = self.objects.get(routine);
            if node.rights != Rights::Owner || !node.reads.is_empty() {
                continue;
            }
            if !self.owners(routine).iter().any(|owner| readers.contains(owner.0)) {
                continue;
            }
            let of_kind = self.rules.of_kind(node.kind).filter(|id| !self.rules.rule(*id).administers);
            let callers = of_kind.map(|id| self.holders(routine, id).plain);
            let callers = callers.fold(RoaringBitmap::new(), |all, some| all | some) & self.principals.users();
            if !callers.is_empty() {
                found.push(MayReach { object: routine, users: callers.len() });
            }
        }
        found
    }
}
