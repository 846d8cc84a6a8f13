//! Whether two access controls hold the same. Most do, in most runs, and to see that takes no set of facts: lines that point
//! into what was read are sorted and compared.

use crate::fact::{Options, held_options, member_options};
use crate::record::{AccessControl, Member, MemberKind, ObjectRef, PermissionUse};
use crate::text::{ExternalId, Kind, PermissionName, PolicyText};

/// What of a fact says whether it can be given and taken from outside: a member, or a permission on objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'c> {
    Member(MemberKind, &'c ExternalId),
    Permission(&'c Kind, &'c PermissionName),
}

/// Permissions with how they are held, by what they are held on.
type Held<'c, K> = Vec<(K, Vec<(&'c PermissionName, Options)>)>;

/// The facts of an access control that count, in order, each once. Objects are sorted once and not with each permission on them:
/// to compare their paths is most of the work.
#[derive(Debug, PartialEq, Eq)]
struct Lines<'c> {
    members: Vec<((MemberKind, &'c ExternalId), Options)>,
    now: Held<'c, (&'c ObjectRef, Option<&'c PolicyText>)>,
    later: Held<'c, (&'c ObjectRef, &'c Kind, Option<&'c ExternalId>)>,
}

/// How many facts are wanted, where what is held are the same ones, held in the same way. Who granted them does not count, nor
/// does what is held and cannot be managed, or what somebody granted himself, which comes with what he is. None also where there is
/// the same fact twice in different ways.
pub(super) fn same(wanted: &AccessControl, held: &AccessControl, manages: impl Fn(&Line<'_>) -> bool) -> Option<usize> {
    let counts = |line: &Line<'_>, by: Option<&ExternalId>| by != Some(&held.external_id) && manages(line);
    let (wanted, held) = (Lines::of(wanted, |_, _| true)?, Lines::of(held, counts)?);
    (wanted == held).then(|| wanted.count())
}

impl<'c> Lines<'c> {
    /// The facts of an access control that `counts` lets through; none where there is one twice in different ways.
    fn of(control: &'c AccessControl, counts: impl Fn(&Line<'_>, Option<&ExternalId>) -> bool) -> Option<Self> {
        let is_member = |member: &&Member| counts(&Line::Member(member.kind, &member.id), member.granted_by.as_ref());
        let mut members: Vec<_> = control
            .who
            .iter()
            .filter(is_member)
            .map(|member| ((member.kind, &member.id), member_options(member)))
            .collect();
        let now = control.what.iter().map(|what| {
            let (object, condition) = (&what.object, what.condition.as_ref());
            let of = |name: &_, by: Option<&_>| counts(&Line::Permission(&object.kind, name), by);
            ((object, condition), held(&what.permissions, of))
        });
        let later = control.standing.iter().map(|standing| {
            let (under, kind, creator) = (&standing.under, &standing.kind, standing.creator.as_ref());
            let of = |name: &_, by: Option<&_>| counts(&Line::Permission(kind, name), by);
            ((under, kind, creator), held(&standing.permissions, of))
        });
        in_order(&mut members).then_some(())?;
        Some(Self { members, now: grouped(now)?, later: grouped(later)? })
    }

    fn count(&self) -> usize {
        let (now, later) = (self.now.iter().map(|(_, held)| held.len()), self.later.iter().map(|(_, held)| held.len()));
        self.members.len() + now.chain(later).sum::<usize>()
    }
}

/// Those of some permissions that count.
fn held(
    uses: &[PermissionUse],
    counts: impl Fn(&PermissionName, Option<&ExternalId>) -> bool,
) -> Vec<(&PermissionName, Options)> {
    let all = uses.iter().filter(|used| counts(&used.name, used.granted_by.as_ref()));
    all.map(|used| (&used.name, held_options(used))).collect()
}

/// Sorts facts and takes each once. Says whether none is left twice, held in different ways.
fn in_order<F: Ord>(facts: &mut Vec<(F, Options)>) -> bool {
    facts.sort_unstable();
    facts.dedup();
    facts.is_sorted_by(|(one, _), (next, _)| one < next)
}

/// Puts together what is held on the same thing. None where something is held twice in different ways.
fn grouped<'c, K: Ord>(all: impl Iterator<Item = (K, Vec<(&'c PermissionName, Options)>)>) -> Option<Held<'c, K>> {
    let mut all: Held<'c, K> = all.filter(|(_, held)| !held.is_empty()).collect();
    all.sort_by(|(one, _), (next, _)| one.cmp(next));
    all.dedup_by(|(next, more), (one, held)| {
        let is_same = next == one;
        if is_same {
            held.append(more);
        }
        is_same
    });
    all.iter_mut().all(|(_, held)| in_order(held)).then_some(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fact::{FactSet, insert_control};
    use crate::record::Identity;
    use crate::text::Name;

    /// An access control with members, permissions and later permissions out of few, some of them twice.
    fn control() -> impl Strategy<Value = AccessControl> {
        let few = prop::collection::vec((0..4_u8, 0..4_u8, any::<bool>(), 0..3_u8), 0..6);
        (few.clone(), few.clone(), few).prop_map(|(who, what, later)| {
            let members = who.iter().map(|(id, kind, option, _)| {
                let kind = if kind % 2 == 0 { "user" } else { "access-control" };
                json!({ "kind": kind, "id": id.to_string(), "inherits": option, "assumable": true })
            });
            let used = |option: bool, by: u8| {
                let by = (by > 0).then(|| format!("grantor {by}"));
                json!([{ "name": "SELECT", "may-pass-on": option, "granted-by": by }])
            };
            let on = |at: u8| json!({ "kind": "table", "path": ["db", format!("t{at}")] });
            let held = what.iter().map(|(at, condition, option, by)| {
                let condition = (*condition == 0).then_some("x > 0");
                json!({ "object": on(*at), "permissions": used(*option, *by), "condition": condition })
            });
            let standing = later.iter().map(|(at, creator, option, by)| {
                let creator = (*creator > 1).then(|| creator.to_string());
                json!({ "under": on(*at), "kind": "table", "creator": creator, "permissions": used(*option, *by) })
            });
            serde_json::from_value(json!({
                "external-id": "1", "name": "r", "actual-name": "r", "kind": "role", "action": "grant", "internalizable": true,
                "description": "", "who": members.collect::<Vec<_>>(), "what": held.collect::<Vec<_>>(),
                "standing": standing.collect::<Vec<_>>(),
            }))
            .expect("an access control")
        })
    }

    fn member() -> Member {
        serde_json::from_value(json!({ "kind": "user", "id": "1", "inherits": true, "assumable": true }))
            .expect("a member")
    }

    fn facts(control: &AccessControl) -> FactSet {
        let mut facts = FactSet::new();
        insert_control(&mut facts, &Name::new("r").expect("a name"), control, Identity::Named);
        facts
    }

    proptest! {
        #[test]
        fn what_is_the_same_has_the_same_facts(one in control(), other in control(), turned in any::<bool>()) {
            // Also one that differs from the other in nothing but the order.
            let turn = |mut control: AccessControl| {
                control.who.reverse();
                control.what.reverse();
                control.standing.reverse();
                control
            };
            let other = if turned { turn(one.clone()) } else { other };
            let (facts_of_one, facts_of_other) = (facts(&one), facts(&other));
            let once = |control| Lines::of(control, |_, _| true).is_some();
            match same(&one, &other, |_| true) {
                Some(count) => {
                    prop_assert_eq!(&facts_of_one, &facts_of_other);
                    prop_assert_eq!(count, facts_of_one.len());
                }
                // Only what one of them has twice may be overlooked.
                None => prop_assert!(facts_of_one != facts_of_other || !once(&one) || !once(&other)),
            }
            // A user who cannot be managed is no difference where he is held, and one where he is wanted.
            let mut more = other.clone();
            more.who.push(Member { id: ExternalId::new("postgres").expect("an id"), ..member() });
            let manages = |line: &Line<'_>| !matches!(line, Line::Member(_, id) if id.as_str() == "postgres");
            prop_assert_eq!(same(&one, &more, manages), same(&one, &other, |_| true));
            prop_assert_eq!(same(&more, &more, manages), None);
            // The same holds of one whom the access control made a member itself.
            let mut more = other.clone();
            more.who.push(Member { id: ExternalId::new("itself").expect("an id"), granted_by: Some(more.external_id.clone()), ..member() });
            prop_assert_eq!(same(&one, &more, |_| true), same(&one, &other, |_| true));
            prop_assert_eq!(same(&more, &more, |_| true), None);
        }
    }
}
