//! What a decision leads to, for states that nobody thought of: its changes are carried out on a model of a target, which
//! behaves as PostgreSQL does.

use proptest::prelude::*;
use raito_core::exchange::Desired;
use raito_core::fact::{Fact, FactSet, insert_control};
use raito_core::grant::Drift;
use raito_core::record::{AccessControl, Change, Identity};
use raito_core::text::Name;
use serde_json::{Value, json};

use crate::case::{Case, held, on, record, wanted};

/// What a role holds: members with their options, permissions on objects, and on objects that come later.
fn state() -> impl Strategy<Value = Value> {
    let ids = || prop::sample::select(vec!["a", "b", "c"]);
    let members = prop::collection::btree_map(ids(), any::<(bool, bool, bool)>(), 0..3);
    let what = prop::collection::btree_map(
        prop::sample::select(vec![
            (("table", vec!["s", "t"]), "SELECT"),
            (("table", vec!["s", "t"]), "INSERT"),
            (("table", vec!["s", "u"]), "SELECT"),
            (("column", vec!["s", "t", "c"]), "SELECT"),
            (("column", vec!["s", "t", "d"]), "SELECT"),
        ]),
        any::<bool>(),
        0..5,
    );
    let later = prop::collection::btree_map(prop::sample::select(vec!["table", "sequence"]), any::<bool>(), 0..3);
    (members, what, later).prop_map(|(members, what, later)| {
        let member = |(id, (inherits, assumable, may_pass_on)): (&str, (bool, bool, bool))| {
            json!({ "kind": "user", "id": id, "inherits": inherits, "assumable": assumable, "may-pass-on": may_pass_on })
        };
        let used = |name: &str, may_pass_on: bool| json!([{ "name": name, "may-pass-on": may_pass_on }]);
        let held = |(((kind, path), name), may_pass_on): (((&str, Vec<&str>), &str), bool)| {
            json!({ "object": on(kind, &path, &[])["object"], "permissions": used(name, may_pass_on) })
        };
        let standing = |(kind, may_pass_on): (&str, bool)| {
            json!({ "under": { "kind": "schema", "path": ["s"] }, "kind": kind, "creator": "9",
                    "permissions": used("SELECT", may_pass_on) })
        };
        json!({ "who": members.into_iter().map(member).collect::<Vec<_>>(), "what": what.into_iter().map(held).collect::<Vec<_>>(),
                "standing": later.into_iter().map(standing).collect::<Vec<_>>() })
    })
}

/// A wish about the role `r`, which is at first as the target has it.
fn desired(now: &Value, last: Option<&Value>, wish: &Value) -> Desired {
    wanted(&held("1", "r", now.clone()), last.map(|last| held("1", "r", last.clone())).as_ref(), wish.clone())
}

fn facts(state: &Value) -> FactSet {
    facts_of(&record(held("1", "r", state.clone())))
}

fn facts_of(control: &AccessControl) -> FactSet {
    let mut facts = FactSet::new();
    insert_control(&mut facts, &Name::new("r").expect("a name"), control, Identity::Named);
    facts
}

/// Carries out changes as PostgreSQL does: what is granted again keeps the right to be passed on, and a revoke on a table takes
/// what was granted on its columns.
fn carry_out(mut facts: FactSet, changes: &[Change]) -> FactSet {
    let blank: AccessControl = record(held("1", "r", json!({})));
    for change in changes {
        let part = match change.clone() {
            Change::AddMembers(who) | Change::SetMemberOptions(who) | Change::RemoveMembers(who) => {
                AccessControl { who, ..blank.clone() }
            }
            Change::Grant(what) | Change::Revoke(what) | Change::RevokePassOn(what) => {
                AccessControl { what, ..blank.clone() }
            }
            Change::GrantStanding(standing) | Change::RevokeStanding(standing) => {
                AccessControl { standing, ..blank.clone() }
            }
            other => panic!("nothing of it was wished: {other:?}"),
        };
        for (fact, options) in facts_of(&part) {
            match change {
                Change::RemoveMembers(_) | Change::RevokeStanding(_) => drop(facts.remove(&fact)),
                Change::Revoke(_) => facts.retain(|held, _| *held != fact && !is_part(held, &fact)),
                Change::RevokePassOn(_) => {
                    let lost = |held: &Fact| *held == fact || is_part(held, &fact);
                    facts.iter_mut().filter(|(held, _)| lost(held)).for_each(|(_, held)| held.may_pass_on = false);
                }
                Change::Grant(_) | Change::GrantStanding(_) => {
                    let known = facts.get(&fact).is_some_and(|held| held.may_pass_on);
                    let may_pass_on = known || options.may_pass_on;
                    facts.insert(fact, raito_core::fact::Options { may_pass_on, ..options });
                }
                _ => drop(facts.insert(fact, options)),
            }
        }
    }
    facts
}

/// Whether a fact is about a column of the table that another one is about.
fn is_part(part: &Fact, of: &Fact) -> bool {
    match (part, of) {
        (
            Fact::Permission { object: column, permission: one, .. },
            Fact::Permission { object: table, permission: other, .. },
        ) => one == other && column.path.len() > table.path.len() && column.path.starts_with(&table.path),
        _ => false,
    }
}

fn after(case: &Case, now: &Value) -> FactSet {
    let changes: Vec<Change> = case.decide().sets.into_iter().flat_map(|set| set.changes).collect();
    carry_out(facts(now), &changes)
}

/// What is to be there in the end of one fact, from what was left, what is, and what is wanted, where changes made by hand stay.
fn expected<T: PartialEq + Copy>(last: Option<T>, now: Option<T>, wish: Option<T>) -> Option<T> {
    match (last, now, wish) {
        (None, now @ Some(_), None) => now,
        (Some(_), None, Some(_)) => None,
        (Some(last), Some(now), Some(_)) if last != now => Some(now),
        (_, _, wish) => wish,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn carrying_it_out_leads_to_what_is_wanted(now in state(), wish in state(), last in prop::option::of(state())) {
        let mut case = Case::new(vec![desired(&now, last.as_ref(), &wish)], &[&held("1", "r", now.clone())]);
        case.drift = Drift::Revert;
        prop_assert_eq!(after(&case, &now), facts(&wish));
        let again = Case::new(vec![desired(&wish, Some(&wish), &wish)], &[&held("1", "r", wish.clone())]);
        prop_assert_eq!(again.lines(), Vec::<String>::new());
    }

    #[test]
    fn what_somebody_else_did_stays_and_what_is_newly_wanted_comes(now in state(), wish in state(), last in state()) {
        let case = Case::new(vec![desired(&now, Some(&last), &wish)], &[&held("1", "r", now.clone())]);
        let (last, was, wish) = (facts(&last), facts(&now), facts(&wish));
        let all = last.keys().chain(was.keys()).chain(wish.keys());
        let of = |facts: &FactSet, fact: &Fact| facts.get(fact).copied();
        let expected: FactSet = all
            .filter_map(|fact| Some((fact.clone(), expected(of(&last, fact), of(&was, fact), of(&wish, fact))?)))
            .collect();
        prop_assert_eq!(after(&case, &now), expected);
    }

    #[test]
    fn what_was_not_read_whole_loses_nothing(now in state(), wish in state(), last in prop::option::of(state()), revert in any::<bool>()) {
        let mut case = Case::new(vec![desired(&now, last.as_ref(), &wish)], &[&held("1", "r", now.clone())]);
        case.drift = if revert { Drift::Revert } else { Drift::Report };
        case.unread.anything = true;
        let after = after(&case, &now);
        for (fact, options) in facts(&now) {
            prop_assert_eq!(after.get(&fact), Some(&options), "{:?}", fact);
        }
        prop_assert!(case.decide().in_sync.is_empty());
    }
}
