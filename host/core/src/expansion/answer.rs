//! Answers: who holds what on an object, and what somebody holds anywhere.

use roaring::RoaringBitmap;

use super::filters::Sight;
use super::objects::ObjectId;
use super::principals::{Active, PrincipalId, PrincipalKind};
use super::rules::PermissionId;
use super::snapshot::Snapshot;
use super::usable::Acting;

/// How somebody holds a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// Without doing anything.
    Active,
    /// After switching to an access control.
    Assumable,
    /// After making himself a member of one, or granting it to himself.
    Obtainable,
}

impl How {
    /// All of them, the nearest first.
    pub const ALL: [Self; 3] = [Self::Active, Self::Assumable, Self::Obtainable];

    /// The word in JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Assumable => "assumable",
            Self::Obtainable => "obtainable",
        }
    }
}

/// One step of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathStep {
    /// Is somebody.
    Is(PrincipalId),
    /// Is in a group, has an access control, or is covered by a rule.
    In(PrincipalId),
    /// Switches to an access control.
    Switches(PrincipalId),
    /// Makes himself a member of an access control.
    Admits(PrincipalId),
    /// Holds a permission on an object, from which the rest follows.
    Holds(PermissionId, ObjectId),
}

/// A way from somebody to a permission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path {
    /// The steps, from the person on.
    pub steps: Vec<PathStep>,
    /// How many other facts give the same.
    pub others: usize,
}

/// Which rows somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// None: the object filters its rows, and no filter is for him.
    Nothing,
    /// Those that these filters show.
    Filtered(Vec<PrincipalId>),
}

/// Rows that somebody sees in another way than the one that is told, and not in that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wider {
    /// How.
    pub how: How,
    /// As whom they act then.
    pub acting_as: PrincipalId,
    /// The rows.
    pub rows: Rows,
}

/// That somebody holds a permission on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who.
    pub user: PrincipalId,
    /// On what.
    pub object: ObjectId,
    /// Which permission.
    pub permission: PermissionId,
    /// How.
    pub how: How,
    /// Whether what the permission needs on the objects above is held in the same way.
    pub usable: bool,
    /// Whether it holds under a condition only.
    pub conditional: bool,
    /// The rows that are seen with it, by acting as told.
    pub rows: Rows,
    /// More rows that are seen by acting as something else, the most of them.
    pub wider: Option<Wider>,
    /// Masks that apply to the object.
    pub masked: Vec<PrincipalId>,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct AnswerFilter {
    /// Only these permissions; all where there is none.
    pub permissions: Vec<PermissionId>,
    /// Only those that are held in this way; all where there is none.
    pub how: Option<How>,
}

impl AnswerFilter {
    pub(super) fn takes(&self, permission: PermissionId) -> bool {
        self.permissions.is_empty() || self.permissions.contains(&permission)
    }

    fn wants(&self, how: How) -> bool {
        self.how.is_none_or(|wanted| wanted == how)
    }
}

/// Users by how they hold a permission: each stands in one of the three sets, with those who hold it under a condition and
/// those for whom it is usable.
struct Sets {
    by_how: [RoaringBitmap; 3],
    conditional: RoaringBitmap,
    usable: RoaringBitmap,
}

impl Snapshot {
    /// Everybody who holds something on an object: by permission, then how, then user, in the order of names.
    pub fn who(&self, object: ObjectId, filter: &AnswerFilter) -> Vec<Answer> {
        let mut answers = Vec::new();
        for permission in self.permissions_of(object).into_iter().filter(|permission| filter.takes(*permission)) {
            let sets = self.sets(object, permission);
            for how in How::ALL.into_iter().filter(|how| filter.wants(*how)) {
                let mut users: Vec<PrincipalId> = sets.by_how[how as usize].iter().map(PrincipalId).collect();
                users.sort_by(|one, two| self.principal(*one).name.cmp(&self.principal(*two).name));
                answers.extend(users.into_iter().map(|user| {
                    let Sight { rows, wider, masked } = self.sight(user, how, object, permission);
                    Answer {
                        user,
                        object,
                        permission,
                        how,
                        usable: sets.usable.contains(user.0),
                        conditional: sets.conditional.contains(user.0),
                        rows,
                        wider,
                        masked,
                    }
                }));
            }
        }
        answers
    }

    fn sets(&self, object: ObjectId, permission: PermissionId) -> Sets {
        let Acting { all, active, assumable, conditional, usable } = self.who_acts(object, permission);
        let obtainable = self.principals.reach(&(&all | self.administrators(object)), true);
        let obtainable = &(&(&obtainable & self.principals.users()) - &active) - &assumable;
        Sets { by_how: [active, assumable, obtainable], conditional, usable }
    }

    /// Everything that somebody holds, object by object. `from` is the first object to look at; the walk ends after `limit`
    /// answers, at the end of an object.
    pub fn of_user(&self, user: PrincipalId, filter: &AnswerFilter, from: ObjectId, limit: usize) -> Vec<Answer> {
        let mut answers = Vec::new();
        let acting = self.acting(user, filter);
        let candidates = self.candidates(&acting);
        for object in candidates.range(from.0..).map(ObjectId) {
            for permission in self.permissions_of(object).into_iter().filter(|permission| filter.takes(*permission)) {
                if let Some((how, conditional, usable)) = self.held_by(&acting, object, permission)
                    && filter.wants(how)
                {
                    let Sight { rows, wider, masked } = self.sight(user, how, object, permission);
                    answers.push(Answer { user, object, permission, how, usable, conditional, rows, wider, masked });
                }
            }
            if answers.len() >= limit {
                break;
            }
        }
        answers
    }

    /// The objects on which anything can be held: those of facts that are active for any of the starts, and everything below
    /// them where a fact reaches down.
    fn candidates(&self, acting: &[(How, Active)]) -> RoaringBitmap {
        let mut controls: Vec<PrincipalId> = acting.iter().flat_map(|(_, active)| active.all()).collect();
        controls.sort_unstable();
        controls.dedup();
        let mut objects = RoaringBitmap::new();
        for at in controls.iter().filter_map(|control| self.by_control.get(control)).flatten() {
            let fact = self.grants[*at as usize];
            objects.insert(fact.object.0);
            if self.rules.reaches_down(fact.permission) {
                objects.insert_range(self.objects.below(fact.object));
            }
        }
        objects
    }

    /// Everybody that a user can act as, with what is active then: himself first, then by switching, then by admission.
    pub(super) fn acting(&self, user: PrincipalId, filter: &AnswerFilter) -> Vec<(How, Active)> {
        let mut acting = vec![(How::Active, self.principals.active(user))];
        let mut seen = RoaringBitmap::from([user.0]);
        for (how, admit) in [(How::Assumable, false), (How::Obtainable, true)] {
            if filter.how.is_some_and(|wanted| wanted < how) {
                break;
            }
            let mut at = 0;
            while at < acting.len() {
                for next in self.next_acting(&acting[at].1, admit) {
                    if seen.insert(next.0) {
                        acting.push((how, self.principals.active(next)));
                    }
                }
                at += 1;
            }
        }
        acting
    }

    /// Whom somebody can switch to, or make himself a member of, by one step.
    fn next_acting(&self, active: &Active, admit: bool) -> Vec<PrincipalId> {
        let mut next = Vec::new();
        for principal in active.all() {
            let kind = self.principal(principal).kind;
            let carries =
                active.start() == Some(principal) || matches!(kind, PrincipalKind::Group | PrincipalKind::Special);
            for link in self.principals.memberships(principal) {
                if (link.assumable && carries) || (admit && link.may_pass_on) {
                    next.push(link.other);
                }
            }
        }
        next.sort_unstable();
        next
    }

    fn held_by(
        &self,
        acting: &[(How, Active)],
        object: ObjectId,
        permission: PermissionId,
    ) -> Option<(How, bool, bool)> {
        let givers = self.givers(object, permission);
        let mut found: Option<(How, bool, bool)> = None;
        for (how, active) in acting {
            if found.is_some_and(|(nearest, conditional, usable)| (nearest < *how) || (!conditional && usable)) {
                break;
            }
            let Some(conditional) = self.holds(active, &givers) else { continue };
            let usable = *how != How::Obtainable
                && self.all_held(active, &self.needs(object, permission))
                && self.all_held(&acting[0].1, &self.login_needs(object, permission));
            found = match found {
                None => Some((*how, conditional, usable)),
                Some((nearest, before, was)) => Some((nearest, before && conditional, was || usable)),
            };
        }
        if found.is_none() && acting.iter().any(|(_, active)| self.administers(active, object)) {
            found = Some((How::Obtainable, false, false));
        }
        found
    }

    /// Whether what is active gives a permission: under a condition, plainly, or not at all.
    pub(super) fn holds(&self, active: &Active, givers: &[(ObjectId, PermissionId)]) -> Option<bool> {
        let mut held = None;
        for fact in self.giving(&self.grants, givers).filter(|fact| active.has(fact.control)) {
            held = Some(held.unwrap_or(true) && fact.conditional);
        }
        for fact in self.giving(&self.denials, givers).filter(|fact| active.has(fact.control)) {
            if !fact.conditional {
                return None;
            }
            held = held.map(|_| true);
        }
        held
    }

    /// Whether what is active holds one of each list.
    pub(super) fn all_held(&self, active: &Active, needs: &[Vec<(ObjectId, PermissionId)>]) -> bool {
        let is_held =
            |(above, need): &(ObjectId, PermissionId)| self.holds(active, &self.givers(*above, *need)) == Some(false);
        needs.iter().all(|any| any.iter().any(is_held))
    }

    pub(super) fn administers(&self, active: &Active, object: ObjectId) -> bool {
        let kind = self.objects.get(object).kind;
        let mut admin = self.rules.of_kind(kind).filter(|id| self.rules.rule(*id).administers);
        admin.any(|id| self.holds(active, &self.givers(object, id)) == Some(false))
    }
}
