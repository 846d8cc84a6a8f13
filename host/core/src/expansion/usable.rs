//! Who can use a permission as he is or by switching, as sets: what a comparison of two snapshots needs, and no more.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use roaring::RoaringBitmap;

use super::holders::Holders;
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

/// What is needed: of each list, one.
type Needs = Vec<Vec<(ObjectId, PermissionId)>>;

/// Where an answer comes from: what gives the permission and is given to anybody, and what whoever acts and whoever logs in
/// needs above.
type Grounds = (Vec<(ObjectId, PermissionId)>, Needs, Needs);

/// Answers and grounds that are kept: a table's, while its columns are asked about.
const KEPT: usize = 64;

/// Asks who can use what, of one object after the other. What is asked of the columns of a table has most often the grounds of the
/// table itself, and what all tables of a schema need is the same: both are answered from what was just asked.
pub struct Asked<'s> {
    snapshot: &'s Snapshot,
    answers: HashMap<Grounds, Rc<Usable>>,
    needs: RefCell<HashMap<(ObjectId, PermissionId), Rc<RoaringBitmap>>>,
}

impl<'s> Asked<'s> {
    /// Of this snapshot.
    pub fn new(snapshot: &'s Snapshot) -> Self {
        Self { snapshot, answers: HashMap::new(), needs: RefCell::default() }
    }

    /// Who can use a permission on an object, whatever rows and values he sees with it.
    pub fn usable(&mut self, object: ObjectId, permission: PermissionId) -> Rc<Usable> {
        let snapshot = self.snapshot;
        let mut givers = snapshot.givers(object, permission);
        givers.retain(|giver| snapshot.has_facts(*giver));
        givers.sort_unstable();
        let grounds = (givers, snapshot.needs(object, permission), snapshot.login_needs(object, permission));
        if let Some(known) = self.answers.get(&grounds) {
            return Rc::clone(known);
        }
        let holders = snapshot.holders_by(&grounds.0);
        let Acting { conditional, usable, .. } =
            snapshot.acting_of(holders, |all| self.holding(&grounds.1, all), |users| self.holding(&grounds.2, users));
        let answer = Rc::new(Usable { conditional: conditional & &usable, all: usable });
        if self.answers.len() >= KEPT {
            self.answers.clear();
        }
        self.answers.insert(grounds, Rc::clone(&answer));
        answer
    }

    fn holding(&self, needs: &Needs, starts: &RoaringBitmap) -> RoaringBitmap {
        let mut left = starts.clone();
        for any in needs {
            let met = any.iter().map(|need| self.need(*need));
            left &= met.fold(RoaringBitmap::new(), |all, some| all | &*some);
        }
        left
    }

    fn need(&self, need: (ObjectId, PermissionId)) -> Rc<RoaringBitmap> {
        let mut needs = self.needs.borrow_mut();
        if let Some(known) = needs.get(&need) {
            return Rc::clone(known);
        }
        if needs.len() >= KEPT {
            needs.clear();
        }
        let holders = Rc::new(self.snapshot.holders(need.0, need.1).plain);
        needs.insert(need, Rc::clone(&holders));
        holders
    }
}

impl Snapshot {
    /// Whether filters or masks stand on an object, or on one above it.
    pub fn has_rules(&self, object: ObjectId) -> bool {
        !self.policies.is_empty() && self.objects.chain(object).iter().any(|above| self.policies.contains_key(above))
    }

    pub(super) fn who_acts(&self, object: ObjectId, permission: PermissionId) -> Acting {
        let usable = |all: &RoaringBitmap| self.holding(&self.needs(object, permission), all);
        let logging_in = |users: &RoaringBitmap| self.holding(&self.login_needs(object, permission), users);
        self.acting_of(self.holders(object, permission), usable, logging_in)
    }

    /// Of these holders; `usable` gives those of them who hold as well what the permission needs above, and `logging_in` those
    /// users who hold what it needs of whoever logs in.
    fn acting_of(
        &self,
        holders: Holders,
        usable: impl FnOnce(&RoaringBitmap) -> RoaringBitmap,
        logging_in: impl FnOnce(&RoaringBitmap) -> RoaringBitmap,
    ) -> Acting {
        let users = self.principals.users();
        let all = &holders.plain | &holders.conditional;
        let usable = usable(&all);
        let reached = self.principals.reach(&all, false);
        // Most often all of them can use it, and nobody holds it under a condition.
        let reach = |some: &RoaringBitmap| (*some != all).then(|| self.principals.reach(some, false));
        let (usable_reached, plain_reached) = (reach(&usable), reach(&holders.plain));
        let active = &all & users;
        let assumable = &(&reached & users) - &active;
        let plain_reached = plain_reached.as_ref().unwrap_or(&reached);
        let conditional = &(&holders.conditional & users) | &(&assumable - plain_reached);
        let usable_reached = usable_reached.as_ref().unwrap_or(&reached);
        let usable = logging_in(&(&(&usable & &active) | &(usable_reached & &assumable)));
        Acting { all, active, assumable, conditional, usable }
    }
}
