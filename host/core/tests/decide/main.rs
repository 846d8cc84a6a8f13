//! Decisions of step 4: what is changed, what is left, and what is refused.

mod case;
mod groups;
mod property;

use raito_core::decide::{Decision, DriftKind, removals};
use raito_core::exchange::Desired;
use raito_core::grant::Drift;
use raito_core::members::resolve_users;
use raito_core::record::Change;
use raito_core::text::ExternalId;
use serde_json::{Value, json};

use case::{Case, description, held, on, read, record, wanted};

#[test]
fn what_is_wanted_newly_is_carried_out_and_what_somebody_else_did_is_left() {
    let last = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["SELECT"])] }));
    // Somebody took SELECT and gave INSERT; meanwhile USAGE is wanted.
    let now = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["INSERT"])] }));
    let wish = json!({ "what": [on("table", &["s", "a"], &["SELECT"]), on("schema", &["s"], &["USAGE"])] });
    let mut case = Case::new(vec![wanted(&now, Some(&last), wish)], &[&now]);
    assert_eq!(case.lines(), ["grant USAGE on schema s"]);
    let kinds: Vec<DriftKind> = case.decide().drift.iter().map(|(_, item)| item.kind).collect();
    assert_eq!(kinds, [DriftKind::Revoked, DriftKind::Granted]);
    case.drift = Drift::Revert;
    assert_eq!(case.lines(), ["revoke INSERT on table s.a", "grant USAGE on schema s", "grant SELECT on table s.a"]);
}

#[test]
fn what_a_revoke_takes_along_is_granted_again_behind_it() {
    let column = on("column", &["s", "a", "id"], &["SELECT"]);
    let now = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["SELECT"]), column.clone()] }));
    let case = Case::new(vec![wanted(&now, Some(&now), json!({ "what": [column] }))], &[&now]);
    assert_eq!(case.lines(), ["revoke SELECT on table s.a", "grant SELECT on column s.a.id"]);
}

#[test]
fn a_default_is_the_sibling_of_one_for_a_like_kind_only() {
    let later = |kind: &str| json!({ "under": { "kind": "schema", "path": ["s"] }, "kind": kind, "creator": "9", "permissions": [{ "name": "SELECT" }] });
    let now = held("1", "readers", json!({ "standing": [later("table"), later("view"), later("sequence")] }));
    let last = held("1", "readers", json!({ "standing": [later("table"), later("sequence")] }));
    let case = Case::new(vec![wanted(&now, Some(&last), json!({ "standing": [later("table")] }))], &[&now]);
    assert_eq!(case.lines(), ["revoke SELECT on later objects of kind sequence below schema s"]);
}

#[test]
fn what_is_not_ours_to_change_is_refused() {
    let reasons = |case: &Case| case.decide().refused.into_iter().map(|(_, reason)| reason).collect::<Vec<_>>();
    let mut now = held("1", "readers", json!({}));
    let add = json!({ "what": [on("schema", &["s"], &["USAGE"])] });
    let mut case = Case::new(vec![wanted(&now, Some(&now), add.clone())], &[&now]);
    case.protected.controls.insert(ExternalId::new("1").expect("an id"));
    assert!(reasons(&case)[0].contains("kept from changes"));
    now["description"] = "x [raito git:other readers]".into();
    assert!(reasons(&Case::new(vec![wanted(&now, None, add.clone())], &[&now]))[0].contains("belongs to git:other"));
    let mut unmanageable = held("1", "readers", json!({}));
    unmanageable["internalizable"] = false.into();
    assert!(
        reasons(&Case::new(vec![wanted(&unmanageable, None, add)], &[&unmanageable]))[0].contains("cannot be managed")
    );
    let owner = held("1", "readers", json!({ "what": [on("table", &["s", "a"], &["OWNERSHIP"])] }));
    let mut gone = wanted(&owner, Some(&owner), json!({}));
    gone.delete = true;
    assert!(reasons(&Case::new(vec![gone.clone()], &[&owner]))[0].contains("somebody else has to own it"));
    let mut unread = Case::new(vec![gone], &[&held("1", "readers", json!({}))]);
    unread.unread.anything = true;
    assert!(reasons(&unread)[0].contains("not everything was read"));
    let renamed = wanted(&held("1", "readers", json!({})), None, json!({ "actual-name": "writers" }));
    let taken = Case::new(vec![renamed], &[&held("1", "readers", json!({})), &held("2", "writers", json!({}))]);
    assert!(reasons(&taken)[0].contains("belongs to 2"));
}

#[test]
fn locked_sides_are_as_the_target_has_them() {
    let member = |id: &str| json!({ "kind": "user", "id": id, "inherits": true });
    let now = held("1", "readers", json!({ "who": [member("a")], "what": [on("schema", &["s"], &["USAGE"])] }));
    let lock = |facet: &str| json!({ "facet": facet, "reason": "" });
    let wish = |locks: Value| json!({ "who": [member("b")], "what": [], "locks": locks });
    let lines = |locks| Case::new(vec![wanted(&now, Some(&now), wish(locks))], &[&now]).lines();
    assert_eq!(lines(json!([])).len(), 3);
    assert_eq!(lines(json!([lock("who")])), ["revoke USAGE on schema s"]);
    assert_eq!(lines(json!([lock("what")])), ["admit user b", "remove user a"]);
}

#[test]
fn what_is_not_created_is_no_member_of_anything() {
    let role = |id: &str, name: &str, who: Value| -> Desired {
        let control = held(id, name, json!({ "description": "", "who": who }));
        record(json!({ "id": id, "control": control }))
    };
    let of = |id: &str| json!([{ "kind": "access-control", "id": id, "inherits": true, "assumable": true }]);
    // The name of the first is the target's own; the others are made of it, one by way of the other.
    let (first, second) = (role("r1", "pg_own", json!([])), role("r2", "second", of("r1")));
    let (third, other) = (role("r3", "third", of("r2")), role("r4", "other", json!([])));
    let user = json!({ "kind": "user", "id": "a", "inherits": true, "assumable": true });
    let there = held("7", "there", json!({ "who": [user] }));
    let kept = wanted(&there, Some(&there), json!({ "who": of("r1") }));
    let decision = Case::new(vec![third, second, first, other, kept], &[&there]).decide();
    assert_eq!(decision.sets.iter().map(|set| set.id.as_str()).collect::<Vec<_>>(), ["r4"], "{decision:?}");
    assert_eq!(decision.owners.len(), 1);
    let refused =
        |id: &str| decision.refused.iter().find(|(refused, _)| refused.as_str() == id).map(|(_, why)| why.as_str());
    assert!(refused("r1").is_some_and(|why| why.contains("pg_")), "{decision:?}");
    assert_eq!(refused("r2"), Some("pg_own is to be a member, is not there and is not created"));
    assert_eq!(refused("r3"), Some("second is to be a member, is not there and is not created"));
    assert_eq!(decision.refused.len(), 4, "the one that is there as well: {decision:?}");
    assert!(decision.counts.values().all(|counts| counts.removes == 0), "what is not sent takes nothing: {decision:?}");
}

#[test]
fn a_mask_of_somebody_else_stays_whoever_once_wanted_one_there() {
    let mask = |id: &str, column: &str| {
        held(
            id,
            "mask",
            json!({ "kind": "mask", "action": "mask", "policy": { "kind": "hide", "enabled": true },
            "what": [on("column", &["s", "a", column], &["SELECT"])] }),
        )
    };
    let theirs = mask("m1", "x");
    let mut draft: Desired = record(json!({ "id": "d", "control": theirs }));
    // Just as it is wanted, it is taken over by being wanted, as a line of a list is.
    let decision = Case::new(vec![draft.clone()], &[&theirs]).decide();
    assert!(decision.sets.is_empty() && decision.refused.is_empty() && decision.in_sync.len() == 1, "{decision:?}");
    let rule = draft.control.policy.as_mut().expect("a rule");
    rule.kind = Some("sha256".parse().expect("a kind"));
    assert!(Case::new(vec![draft.clone()], &[&theirs]).decide().refused[0].1.contains("managed elsewhere"));
    draft.delete = true;
    let decision = Case::new(vec![draft.clone()], &[&theirs]).decide();
    assert!(decision.sets.is_empty() && decision.gone.len() == 1, "{decision:?}");
    // One that moves is cleared where it was.
    let ours = mask("m1", "x");
    let moved: Desired = record(json!({ "id": "d", "control": mask("d", "y"), "applied": ours }));
    let case = Case::new(vec![moved], &[&ours]);
    assert_eq!(case.lines(), ["clear its rule", "set its rule"]);
}

/// A policy of a table as the target has it, with these members.
fn policy(id: &str, name: &str, table: &str, members: &[&str], text: &str) -> Value {
    let who: Vec<Value> = members
        .iter()
        .map(|id| json!({ "kind": "access-control", "id": id, "inherits": true, "assumable": false }))
        .collect();
    held(
        id,
        name,
        json!({ "kind": "policy", "action": "filter", "who": who, "what": [on("table", &["s", table], &["SELECT"])],
                "policy": { "text": text, "commands": ["SELECT"], "enabled": true } }),
    )
}

#[test]
fn a_rule_is_created_with_its_members_and_its_name_is_its_own_on_its_object_only() {
    let there = policy("1", "eu", "other", &["7"], "true");
    let draft = policy("0", "eu", "a", &["7", "8"], "region = 'eu'");
    let mut new = wanted(&draft, None, json!({}));
    new.external_id = None;
    let decision = Case::new(vec![new.clone()], &[&there]).decide();
    assert_eq!(decision.refused, []);
    let [set] = decision.sets.as_slice() else { panic!("{decision:?}") };
    assert!(matches!(set.changes.as_slice(), [Change::Create(_), Change::SetPolicy(_)]), "{set:?}");
    assert_eq!(set.object.as_ref().map(ToString::to_string).as_deref(), Some("table s.a"));
    assert_eq!(set.entries.as_ref().map(Vec::len), Some(2), "its members are said as a whole");
    let same = policy("2", "eu", "a", &["9"], "true");
    let decision = Case::new(vec![new.clone()], &[&there, &same]).decide();
    assert!(decision.refused[0].1.contains("belongs to 2"), "{decision:?}");
    new.control.who.clear();
    let decision = Case::new(vec![new], &[]).decide();
    assert!(decision.refused[0].1.contains("would have no member"), "{decision:?}");
}

#[test]
fn a_rule_is_changed_as_a_whole_and_only_in_what_can_be_changed() {
    let now = policy("1", "eu", "a", &["7", "8"], "(region = 'eu'::text)");
    let rule = |text: &str| json!({ "policy": { "text": text, "commands": ["SELECT"], "enabled": true } });
    let decide = |last: Option<&Value>, change: Value, drift| {
        let mut case = Case::new(vec![wanted(&now, last, change)], &[&now]);
        case.drift = drift;
        case.decide()
    };
    let members = |decision: &Decision| -> Vec<String> {
        let entries = decision.sets.iter().flat_map(|set| set.entries.clone().unwrap_or_default());
        entries.map(|entry| entry.member.id.to_string()).collect()
    };
    // The target writes it in its own words.
    let decision = decide(Some(&now), rule("region = 'eu'"), Drift::Report);
    assert_eq!((decision.sets.len(), decision.in_sync.len()), (0, 1), "{decision:?}");
    let decision = decide(Some(&now), rule("region = 'us'"), Drift::Report);
    assert_eq!((members(&decision), decision.drift.len()), (vec!["7".to_owned(), "8".to_owned()], 0));
    // One member less, one more: the statement has all that are left.
    let who: Vec<Value> = ["8", "9"]
        .map(|id| json!({ "kind": "access-control", "id": id, "inherits": true, "assumable": false }))
        .to_vec();
    let decision = decide(Some(&now), json!({ "who": who }), Drift::Report);
    assert_eq!((members(&decision), removals(&decision.counts)[0].removed), (vec!["8".to_owned(), "9".to_owned()], 1));
    // Somebody else wrote the rule and took a member: that stays, or is taken back.
    let last = policy("1", "eu", "a", &["7", "8", "9"], "(region = 'us'::text)");
    let wish = json!({ "who": last["who"], "policy": last["policy"] });
    let left = decide(Some(&last), wish.clone(), Drift::Report);
    let kinds: Vec<DriftKind> = left.drift.iter().map(|(_, item)| item.kind).collect();
    assert_eq!((left.sets.len(), kinds), (0, vec![DriftKind::MemberRemoved, DriftKind::Policy]), "{left:?}");
    let reverted = decide(Some(&last), wish, Drift::Revert);
    assert_eq!(members(&reverted), ["7", "8", "9"]);
    let [Change::SetPolicy(set)] = reverted.sets[0].changes.as_slice() else { panic!("{reverted:?}") };
    assert_eq!(set.text.as_ref().map(|text| text.as_str()), Some("(region = 'us'::text)"));
    for (change, because) in [
        (json!({ "policy": { "text": "true", "commands": [], "enabled": true } }), "cannot be changed"),
        (
            json!({ "policy": { "text": "true", "commands": ["SELECT"], "enabled": true, "restrictive": true } }),
            "cannot be",
        ),
        (json!({ "policy": { "check": "true", "commands": ["SELECT"], "enabled": true } }), "cannot be taken away"),
        (json!({ "what": [on("table", &["s", "b"], &["SELECT"])] }), "cannot move to table s.b"),
        (json!({ "who": [] }), "would have no member"),
    ] {
        let decision = decide(Some(&now), change, Drift::Report);
        assert!(decision.sets.is_empty() && decision.refused[0].1.contains(because), "{because}: {decision:?}");
    }
}

#[test]
fn a_rule_that_its_object_does_not_apply_is_said_and_nothing_switches_that_on() {
    let mut now = policy("1", "eu", "a", &["7"], "true");
    now["policy"]["enabled"] = false.into();
    let rule = json!({ "policy": { "text": "true", "commands": ["SELECT"], "enabled": true } });
    let decision = Case::new(vec![wanted(&now, Some(&now), rule)], &[&now]).decide();
    assert!(decision.sets.is_empty() && decision.refused[0].1.contains("does not apply its rules"), "{decision:?}");
    let gone = Desired { delete: true, ..wanted(&now, Some(&now), json!({})) };
    let decision = Case::new(vec![gone], &[&now]).decide();
    assert_eq!(decision.sets[0].changes, [Change::Delete], "it goes with all that it is");
}

#[test]
fn what_an_untold_run_was_about_to_do_is_not_taken_for_somebody_elses() {
    let table = |names: &[&str]| json!({ "what": [on("table", &["s", "a"], names)] });
    let state = |names: &[&str]| held("1", "readers", table(names));
    let decide = |told: &[&str], begun: &[&[&str]], now: &[&str], wish: &[&str]| {
        let mut desired = wanted(&state(now), Some(&state(told)), table(wish));
        desired.begun = begun.iter().map(|names| record(state(names))).collect();
        let case = Case::new(vec![desired], &[&state(now)]);
        (case.lines(), case.decide().drift.len())
    };
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    // It granted INSERT, and that is no longer wanted.
    let both: &[&str] = &["SELECT", "INSERT"];
    assert_eq!(decide(&["SELECT"], &[both], both, &["SELECT"]), (lines(&["revoke INSERT on table s.a"]), 0));
    // Without that knowledge it would be left as somebody's.
    assert_eq!(decide(&["SELECT"], &[], both, &["SELECT"]), (vec![], 1));
    // It revoked INSERT, and that is wanted again.
    assert_eq!(decide(both, &[&["SELECT"]], &["SELECT"], both), (lines(&["grant INSERT on table s.a"]), 0));
    // What none of the states explains is somebody's all the same.
    assert_eq!(decide(both, &[both], &["SELECT"], both), (vec![], 1));
    assert_eq!(decide(&["SELECT"], &[&["SELECT"]], both, &["SELECT"]), (vec![], 1));
}

#[test]
fn of_what_was_not_read_whole_nobody_says_that_it_is_in_sync() {
    let now = held("1", "readers", json!({ "what": [on("schema", &["s"], &["USAGE"])] }));
    let mut last = now.clone();
    last["what"] = json!([on("schema", &["s"], &["USAGE"]), on("table", &["far", "b"], &["SELECT"])]);
    // What was granted where nothing can be read now is neither granted again nor forgotten.
    let mut case = Case::new(vec![wanted(&now, Some(&last), json!({ "what": last["what"] }))], &[&now]);
    case.unread.anything = true;
    let decision = case.decide();
    assert_eq!((decision.sets.len(), decision.in_sync.len(), decision.unknown.len()), (0, 0, 1), "{decision:?}");
    let mut back = wanted(&now, Some(&now), json!({}));
    back.hand_back = true;
    let mut case = Case::new(vec![back], &[]);
    assert_eq!(case.decide().gone.len(), 1);
    case.unread.anything = true;
    assert!(case.decide().refused[0].1.contains("may still be there"), "its marker would stay");
}

#[test]
fn nobody_takes_from_the_protected_and_nobody_gives_them() {
    let line = |id: &str| json!([{ "kind": "user", "id": id, "inherits": true }]);
    let list = |id: &str, member: &str| {
        held(
            id,
            "list",
            json!({ "kind": "list", "who": line(member), "what": [on("table", &["s", "a"], &["SELECT"])] }),
        )
    };
    let ours = list("l1", "alice");
    let mut gone: Desired = record(json!({ "id": "d", "control": list("d", "alice"), "applied": ours }));
    gone.delete = true;
    let mut case = Case::new(vec![gone], &[&ours]);
    assert_eq!(case.lines(), ["remove SELECT of user alice"]);
    case.protected.users.insert(ExternalId::new("alice").expect("an id"));
    assert_eq!(case.lines(), Vec::<String>::new());
    let draft: Desired = record(json!({ "id": "d", "control": list("d", "alice") }));
    let mut case = Case::new(vec![draft], &[&list("l1", "bob")]);
    case.protected.users.insert(ExternalId::new("alice").expect("an id"));
    let decision = case.decide();
    assert!(decision.sets.is_empty() && decision.refused[0].1.contains("kept from changes"), "{decision:?}");
}

#[test]
fn a_user_is_admitted_by_way_of_the_one_role_that_is_his_own() {
    let mut description = serde_json::to_value(description()).expect("JSON");
    description["controls"][0]["admits"] = json!(["access-control"]);
    let description = record(description);
    let user = |id: &str| json!([{ "kind": "user", "id": id, "inherits": true }]);
    let own = |role: &str, id: &str| held(role, role, json!({ "who": user(id) }));
    let found = read(&[own("r1", "ann"), own("r2", "bob"), own("r3", "bob")], &description);
    let wanted = |id: &str| -> Desired {
        record(json!({ "id": "d", "control": held("d", "team", json!({ "who": user(id) })) }))
    };
    let mut desired = [wanted("ann"), wanted("bob"), wanted("carl")];
    resolve_users(&mut desired, &found, &description);
    let members: Vec<String> = desired
        .iter()
        .flat_map(|wanted| &wanted.control.who)
        .map(|member| format!("{} {}", member.kind.word(), member.id))
        .collect();
    // Bob has two, so nobody can say which one is his; Carl has none.
    assert_eq!(members, ["access-control r1", "user bob", "user carl"]);
}

#[test]
fn what_is_narrowed_counts_as_taken() {
    let member = |inherits: bool| json!([{ "kind": "user", "id": "a", "inherits": inherits, "assumable": true }]);
    let now = held("1", "readers", json!({ "who": member(true) }));
    let decision = Case::new(vec![wanted(&now, Some(&now), json!({ "who": member(false) }))], &[&now]).decide();
    let [counted] = removals(&decision.counts).try_into().expect("one kind");
    assert_eq!((counted.removed, counted.before), (1, 1), "{decision:?}");
}
