//! Whether two access controls hold the same. Most do, in most runs, and to see that takes no set of facts: lines that point
//! into what was read are sorted and compared.

use crate::fact::{Options, held_options, member_options};
use crate::record::{AccessControl, MemberKind, ObjectRef};
use crate::text::{ExternalId, Kind, PermissionName, PolicyText};

/// A fact of an access control, without who holds it: that is the access control itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Line<'c> {
    Member(MemberKind, &'c ExternalId),
    Permission(&'c ObjectRef, Option<&'c PolicyText>, &'c PermissionName),
    Standing(&'c ObjectRef, &'c Kind, Option<&'c ExternalId>, &'c PermissionName),
}

/// How many facts are wanted, where what is held are the same ones, held in the same way. Who granted them does not count, nor
/// does what is held and cannot be managed, or what somebody granted himself, which comes with what he is. None also where there is the same fact twice in different ways.
pub(super) fn same(wanted: &AccessControl, held: &AccessControl, manages: impl Fn(&Line<'_>) -> bool) -> Option<usize> {
    let counts = |line: &Line<'_>, by: Option<&ExternalId>| by != Some(&held.external_id) && manages(line);
    let (wanted, held) = (lines(wanted, |_, _| true)?, lines(held, counts)?);
    (wanted == held).then_some(wanted.len())
}

/// The facts of an access control that count, in order, each once.
fn lines(
    control: &AccessControl,
    counts: impl Fn(&Line<'_>, Option<&ExternalId>) -> bool,
) -> Option<Vec<(Line<'_>, Options)>> {
    let members = control
        .who
        .iter()
        .map(|member| (Line::Member(member.kind, &member.id), member_options(member), member.granted_by.as_ref()));
    let held = control.what.iter().flat_map(|what| {
        let line = |name| Line::Permission(&what.object, what.condition.as_ref(), name);
        what.permissions.iter().map(move |used| (line(&used.name), held_options(used), used.granted_by.as_ref()))
    });
    let later = control.standing.iter().flat_map(|standing| {
        let line = |name| Line::Standing(&standing.under, &standing.kind, standing.creator.as_ref(), name);
        standing.permissions.iter().map(move |used| (line(&used.name), held_options(used), used.granted_by.as_ref()))
    });
    let all = members.chain(held).chain(later).filter(|(line, _, by)| counts(line, *by));
    let mut lines: Vec<(Line<'_>, Options)> = all.map(|(line, options, _)| (line, options)).collect();
    lines.sort();
    lines.dedup();
    let is_twice = lines.windows(2).any(|pair| matches!(pair, [(one, _), (next, _)] if one == next));
    (!is_twice).then_some(lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fact::{FactSet, insert_control};
    use crate::record::{Identity, Member};
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
            let once = |control| lines(control, |_, _| true).is_some();
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
