//! Parts of an object: who holds a permission on some columns of a table, and not on the table itself.

use std::collections::BTreeMap;

use super::answer::{AnswerFilter, How, Rows, Wider};
use super::filters::Sight;
use super::objects::ObjectId;
use super::principals::PrincipalId;
use super::rules::PermissionId;
use super::snapshot::Snapshot;
use super::usable::Acting;

/// That somebody holds a permission on parts of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partly {
    /// Who.
    pub user: PrincipalId,
    /// The permission that they do not hold on the object itself.
    pub permission: PermissionId,
    /// How they hold it on one of the parts, the nearest way.
    pub how: How,
    /// Whether what it needs above is held as well.
    pub usable: bool,
    /// The first part that is held, and the permission there.
    pub first: (ObjectId, PermissionId),
    /// On how many parts it is held.
    pub held: usize,
    /// How many parts there are.
    pub of: usize,
    /// The rows that are seen of the first part.
    pub rows: Rows,
    /// More rows that are seen by acting as something else.
    pub wider: Option<Wider>,
}

/// What is found of one user.
struct Found {
    how: How,
    usable: bool,
    first: (ObjectId, PermissionId),
    held: usize,
}

impl Snapshot {
    /// Everybody who holds a permission on parts of an object, actively or after switching, and who does not
    /// hold it on the object in a way that is as near: by permission, then how, then name.
    pub fn partly(&self, object: ObjectId, filter: &AnswerFilter) -> Vec<Partly> {
        let mut answers = Vec::new();
        for permission in self.permissions_of(object).into_iter().filter(|permission| filter.takes(*permission)) {
            let of_parts = self.rules.rule(permission).reaches.clone();
            let parts: Vec<(ObjectId, PermissionId)> =
                of_parts.iter().flat_map(|part| self.parts(object, *part).map(|child| (child, *part))).collect();
            if !parts.iter().any(|part| self.has_facts(*part)) {
                continue;
            }
            let whole = self.who_acts(object, permission);
            for (user, Found { how, usable, first, held }) in self.found(&parts, &whole) {
                if filter.how.is_none_or(|wanted| wanted == how) {
                    let Sight { rows, wider, .. } = self.sight(user, how, first.0, first.1);
                    let of = parts.len();
                    answers.push(Partly { user, permission, how, usable, first, held, of, rows, wider });
                }
            }
        }
        let name = |id: PrincipalId| &self.principal(id).name;
        answers.sort_by(|one, two| {
            (one.permission, one.how, name(one.user)).cmp(&(two.permission, two.how, name(two.user)))
        });
        answers
    }

    /// The objects directly below one that have a permission.
    fn parts(&self, object: ObjectId, permission: PermissionId) -> impl Iterator<Item = ObjectId> {
        let kind = self.rules.rule(permission).kind;
        let below = self.objects.below(object).map(ObjectId);
        below.filter(move |id| {
            let node = self.objects.get(*id);
            node.parent == Some(object) && node.kind == kind
        })
    }

    /// By user: what is held of these parts. Who has the whole is left out, as far as that is as near.
    fn found(&self, parts: &[(ObjectId, PermissionId)], whole: &Acting) -> BTreeMap<PrincipalId, Found> {
        let mut found: BTreeMap<PrincipalId, Found> = BTreeMap::new();
        for part in parts.iter().filter(|part| self.has_facts(**part)) {
            let Acting { active, assumable, usable, .. } = self.who_acts(part.0, part.1);
            let active = &active - &whole.active;
            let assumable = &(&assumable - &whole.active) - &whole.assumable;
            for (how, users) in [(How::Active, active), (How::Assumable, assumable)] {
                for user in users {
                    let usable = usable.contains(user);
                    let known = found.entry(PrincipalId(user)).or_insert(Found { how, usable, first: *part, held: 0 });
                    known.held += 1;
                    known.usable |= usable;
                    if how < known.how {
                        (known.how, known.first) = (how, *part);
                    }
                }
            }
        }
        found
    }
}
