//! What a filter that is created, changed or deleted makes of effective access: rows are shown and hidden, and no permission is lost
//! with them.

use raito_access::assert;
use raito_access::code::{Source, read_code};
use raito_access::effect::{Effect, compare};
use raito_access::evaluate::{Question, evaluate};
use raito_core::catalogue::{Catalogue, CatalogueBuilder};
use raito_core::decide::Protected;
use raito_core::marker::Master;
use raito_core::text::TargetName;
use serde_json::{Value, json};

/// A policy of the only table that files manage: its rule, and the roles of ann and bob that are its members.
struct Held {
    rule: &'static str,
    members: &'static [&'static str],
}

fn description() -> Value {
    let permission = |name: &str| {
        json!({ "name": name, "description": "", "counts-as": ["read"], "implies": [], "reaches": [], "needs": [],
            "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
    };
    let kind = |name: &str, permissions: Vec<Value>| json!({ "name": name, "label": name, "permissions": permissions, "children": [], "revoke-clears-parts": false });
    let control = |name: &str, identity: &str, admits: &[&str]| {
        json!({ "name": name, "label": name, "identity": identity, "can-create": true, "can-rename": true,
            "assumable": false, "members": ["user", "access-control"], "admits": admits, "common-parent": null,
            "replaced-whole": identity != "named" })
    };
    json!({ "name": "t", "instance-id": "i", "specials": [], "inheritance": true, "masks": [],
        "controls": [control("role", "named", &["user", "access-control"]),
            control("row-policy", "named-on-object", &["access-control"])],
        "kinds": [kind("table", vec![permission("SELECT"), permission("UPDATE")])],
        "filters-apply-to": ["table"], "mask-overrides": [], "filter-overrides": [], "name-pattern": ".*",
        "name-bytes-max": 63, "reserved-prefixes": [], "sql-dialect": null })
}

/// A table that ann and bob may read, by way of a role of each, with row security where that is said.
fn catalogue(row_security: bool, held: Option<Held>) -> Catalogue {
    let table = json!({ "kind": "table", "path": ["orders"] });
    let member = |kind: &str, id: &str| json!({ "kind": kind, "id": id, "inherits": true });
    let control = |id: &str, kind: &str, action: &str, who: Vec<Value>, permissions: &[&str], policy: Value| {
        let marker = format!("[raito git:test {id}]");
        let used: Vec<Value> = permissions.iter().map(|name| json!({ "name": name })).collect();
        json!({ "access-control": { "external-id": format!("id/{id}"), "name": id, "actual-name": id, "kind": kind,
            "description": if id == "eu" { &marker } else { "" }, "action": action, "who": who, "what": [{ "object": table, "permissions": used }],
            "policy": policy, "internalizable": true } })
    };
    let mut lines = Vec::new();
    for user in ["ann", "bob"] {
        lines.push(json!({ "user": { "external-id": user, "user-name": user, "display-name": "", "enabled": true } }));
    }
    lines.push(json!({ "description": description() }));
    lines.push(json!({ "object": { "external-id": "o", "name": "orders", "ref": table, "description": "" } }));
    for user in ["ann", "bob"] {
        let role = format!("R_{user}");
        lines.push(control(&role, "role", "grant", vec![member("user", user)], &["SELECT"], Value::Null));
    }
    let both = ["SELECT", "UPDATE"];
    if row_security {
        let policy = json!({ "enabled": true, "commands": both });
        lines.push(control("row security", "row-policy", "filter", vec![], &both, policy));
    }
    if let Some(Held { rule, members }) = held {
        let who = members.iter().map(|user| member("access-control", &format!("id/R_{user}"))).collect();
        let policy = json!({ "enabled": row_security, "text": rule });
        lines.push(control("eu", "row-policy", "filter", who, &both, policy));
    }
    lines.push(json!({ "end": { "lines": lines.len(), "complete": true } }));
    let mut builder = CatalogueBuilder::default();
    for line in lines {
        builder.take(serde_json::from_value(line).expect("a record")).expect("it fits");
    }
    builder.finish().expect("whole")
}

/// What comes of files: effects in words, and which of ann and bob may read, by the files' own tests.
fn planned(catalogue: &Catalogue, filters: &str) -> (Vec<String>, Vec<bool>) {
    let tests: String = ["ann", "bob"]
        .map(|user| format!("  - {{ assert: allowed, user: {user}, object: orders, permission: SELECT }}\n"))
        .concat();
    let manages = "manages: [{ kind: row-policy, names: eu }]";
    let text = format!("version: 1\nrepository: test\non: t\n{manages}\n{filters}\ntests:\n{tests}");
    let code = read_code(&[Source { path: "a.yml".into(), text }]).expect("no mistakes");
    let target = TargetName::new("t").expect("a name");
    let master: Master = "git:test".parse().expect("a master");
    let protected = Protected::default();
    let question =
        Question { code: &code, target: &target, catalogue, protected: &protected, master: &master, now_ms: 0 };
    let evaluation = evaluate(&question);
    assert!(evaluation.problems.is_empty(), "{:?}", evaluation.problems);
    let decision = evaluation.decide(&question);
    assert!(decision.refused.is_empty() && !decision.sets.is_empty(), "{decision:?}");
    let compared = compare(catalogue, &decision.sets, 0).expect("it fits");
    let (outcomes, problems) = assert::run(&question, &compared.after);
    assert!(problems.is_empty(), "{problems:?}");
    let told = compared.effects.effects.iter().flat_map(Effect::lines).collect();
    (told, outcomes.iter().map(|outcome| outcome.failure.is_none()).collect())
}

fn filter(rule: &str, members: &[&str]) -> String {
    let who: Vec<String> = members.iter().map(|user| format!("{{ control: R_{user} }}")).collect();
    let who = who.join(", ");
    format!("filters:\n  - {{ name: eu, rule: \"{rule}\", what: [{{ object: orders }}], who: [{who}] }}")
}

const EU: &str = "region = 'eu'";

#[test]
fn another_rule_shows_other_rows_and_takes_no_permission() {
    let catalogue = catalogue(true, Some(Held { rule: EU, members: &["ann"] }));
    let (told, allowed) = planned(&catalogue, &filter("region = 'us'", &["ann"]));
    assert_eq!(told, ["1 person sees other data with SELECT on table orders: ann"]);
    assert_eq!(allowed, [true, false]);
}

#[test]
fn another_member_of_a_filter_sees_its_rows_and_who_is_none_any_more_sees_none() {
    let catalogue = catalogue(true, Some(Held { rule: EU, members: &["ann"] }));
    let (told, allowed) = planned(&catalogue, &filter(EU, &["ann", "bob"]));
    assert_eq!((told, allowed), (vec!["1 person gains SELECT on table orders: bob".to_owned()], vec![true, true]));
    let (told, allowed) = planned(&catalogue, &filter(EU, &["bob"]));
    let both = ["1 person gains SELECT on table orders: bob", "1 person loses SELECT on table orders: ann"];
    assert_eq!((told, allowed), (both.map(str::to_owned).to_vec(), vec![false, true]));
}

#[test]
fn the_first_policy_of_a_table_shows_rows_where_it_applies_rules_and_hides_none_where_it_does_not() {
    let (told, allowed) = planned(&catalogue(true, None), &filter(EU, &["ann"]));
    assert_eq!((told, allowed), (vec!["1 person gains SELECT on table orders: ann".to_owned()], vec![true, false]));
    let (told, allowed) = planned(&catalogue(false, None), &filter(EU, &["ann"]));
    assert_eq!((told, allowed), (vec![], vec![true, true]), "row security is not on");
}

#[test]
fn a_policy_that_goes_shows_nobody_its_rows_any_more() {
    let catalogue = catalogue(true, Some(Held { rule: EU, members: &["ann"] }));
    let (told, allowed) = planned(&catalogue, "");
    assert_eq!((told, allowed), (vec!["1 person loses SELECT on table orders: ann".to_owned()], vec![false, false]));
}
