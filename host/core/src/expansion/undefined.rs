//! Dangling references of an answer: members, access controls and objects that it rests on and that
//! no record defines. No answer can say who such a member is, and what else they hold.

use std::collections::{BTreeSet, VecDeque};

use super::objects::ObjectId;
use super::principals::{PrincipalId, PrincipalKind};
use super::snapshot::Snapshot;

/// How many names are told at most.
const TOLD: usize = 100;

impl Snapshot {
    /// Whether a user, a group or an access control is only named.
    pub fn is_undefined(&self, id: PrincipalId) -> bool {
        self.principals.is_undefined(id)
    }

    /// The dangling references behind the answer for an object: the object, the access controls
    /// that are about it or the objects above it, and everybody who is in these by any way.
    pub fn undefined_about(&self, object: ObjectId) -> Vec<String> {
        let chain = self.objects.chain(object);
        let mut found: BTreeSet<String> = chain
            .iter()
            .filter(|at| self.strangers.contains(at.0))
            .map(|at| format!("object {}", self.object(*at)))
            .collect();
        let facts = |facts: &[super::snapshot::Fact]| -> Vec<PrincipalId> {
            let of = |at: &ObjectId| {
                let first = facts.partition_point(|fact| fact.object < *at);
                facts[first..].iter().take_while(|fact| fact.object == *at).map(|fact| fact.control).collect::<Vec<_>>()
            };
            chain.iter().flat_map(of).collect()
        };
        let rules = chain.iter().flat_map(|at| self.policies.get(at).into_iter().flatten()).map(|rule| rule.control);
        let given = facts(&self.grants).into_iter().chain(facts(&self.denials));
        let mut open: VecDeque<PrincipalId> = given.chain(rules).collect();
        let mut seen: BTreeSet<PrincipalId> = open.iter().copied().collect();
        while let Some(at) = open.pop_front() {
            self.tell(at, &mut found);
            let all: Vec<PrincipalId> = match self.principals.is_everyone(at) {
                true => {
                    self.principals.undefined().filter(|id| self.principal(*id).kind == PrincipalKind::User).collect()
                }
                false => self.principals.members(at).iter().map(|link| link.other).collect(),
            };
            open.extend(all.into_iter().filter(|id| seen.insert(*id)));
        }
        found.into_iter().take(TOLD).collect()
    }

    /// The dangling references behind the answer for a user: the user, everything that the user is
    /// in by any way, and the objects that these are about.
    pub fn undefined_of(&self, user: PrincipalId) -> Vec<String> {
        let mut found = BTreeSet::new();
        let (mut open, mut seen) = (VecDeque::from([user]), BTreeSet::from([user]));
        while let Some(at) = open.pop_front() {
            self.tell(at, &mut found);
            for fact in self.by_control.get(&at).into_iter().flatten().map(|at| &self.grants[*at as usize]) {
                if self.strangers.contains(fact.object.0) {
                    found.insert(format!("object {}", self.object(fact.object)));
                }
            }
            open.extend(self.principals.memberships(at).iter().map(|link| link.other).filter(|id| seen.insert(*id)));
        }
        found.into_iter().take(TOLD).collect()
    }

    fn tell(&self, id: PrincipalId, found: &mut BTreeSet<String>) {
        if self.is_undefined(id) {
            let principal = self.principal(id);
            let kind = match principal.kind {
                PrincipalKind::User => "user",
                PrincipalKind::Group => "group",
                PrincipalKind::Control => "access control",
                PrincipalKind::Special => return,
            };
            found.insert(format!("{kind} {}", principal.external_id));
        }
    }
}
