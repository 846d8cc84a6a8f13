//! Who can use a permission as he is or by switching, as sets: what a comparison of two snapshots needs, and no more.

use roaring::RoaringBitmap;

use super::objects::ObjectId;
use super::principals::PrincipalId;
use super::rules::PermissionId;
use super::snapshot::Snapshot;

/// Users by how they hold a permission without making themselves members of anything.
pub(super) struct Acting {
    /// Everybody who holds it by acting as what he is, access controls included.
    pub(super) all: RoaringBitmap,
    pub(super) active: RoaringBitmap,
    /// Those who have to switch first.
    pub(super) assumable: RoaringBitmap,
    /// Those of both who hold it under a condition only.
    pub(super) conditional: RoaringBitmap,
    /// Those of both who hold in the same way what it needs above.
    pub(super) usable: RoaringBitmap,
}

/// The users who can use a permission on an object, actively or after switching.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usable {
    all: RoaringBitmap,
    conditional: RoaringBitmap,
}

impl Usable {
    /// Whether somebody can use it: none where he cannot, and otherwise whether only under a condition.
    pub fn by(&self, user: PrincipalId) -> Option<bool> {
        self.all.contains(user.0).then(|| self.conditional.contains(user.0))
    }

    /// Whoever can use it here and not there, or under a condition here and plainly there. Both must be of snapshots in which
    /// users have the same numbers, as [`Catalogue::snapshots`](crate::catalogue::Catalogue::snapshots) makes them.
    pub fn differing(&self, other: &Self) -> impl Iterator<Item = PrincipalId> + use<> {
        let differing = (&self.all ^ &other.all) | (&self.conditional ^ &other.conditional);
        differing.into_iter().map(PrincipalId)
    }
}

impl Snapshot {
    /// Who can use a permission on an object, whatever rows and values he sees with it.
    pub fn usable(&self, object: ObjectId, permission: PermissionId) -> Usable {
        let Acting { conditional, usable, .. } = self.who_acts(object, permission);
        Usable { conditional: conditional & &usable, all: usable }
    }

    /// Whether filters or masks stand on an object.
    pub fn has_rules(&self, object: ObjectId) -> bool {
        self.policies.contains_key(&object)
    }

    pub(super) fn who_acts(&self, object: ObjectId, permission: PermissionId) -> Acting {
        let users = self.principals.users();
        let holders = self.holders(object, permission);
        let all = &holders.plain | &holders.conditional;
        let usable = self.with_needs(object, permission, &all);
        let reached = self.principals.reach(&all, false);
        // Most often all of them can use it, and nobody holds it under a condition.
        let reach = |some: &RoaringBitmap| (*some != all).then(|| self.principals.reach(some, false));
        let (usable_reached, plain_reached) = (reach(&usable), reach(&holders.plain));
        let active = &all & users;
        let assumable = &(&reached & users) - &active;
        let plain_reached = plain_reached.as_ref().unwrap_or(&reached);
        let conditional = &(&holders.conditional & users) | &(&assumable - plain_reached);
        let usable_reached = usable_reached.as_ref().unwrap_or(&reached);
        let usable = &(&usable & &active) | &(usable_reached & &assumable);
        Acting { all, active, assumable, conditional, usable }
    }
}
