//! Which of the permissions that are taken nobody loses, and by which way they are still held; which of those that are given nobody
//! can use.

use raito_access::effect::compare;
use raito_core::catalogue::{Catalogue, CatalogueBuilder};
use raito_core::record::ChangeSet;
use serde_json::{Value, json};

fn description() -> Value {
    let select = |reaches: Value, needs: Value| {
        json!({ "name": "SELECT", "description": "", "counts-as": ["read"], "implies": [], "reaches": reaches, "needs": needs,
                "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
    };
    let usage = json!({ "name": "USAGE", "description": "", "counts-as": [], "implies": [], "reaches": [], "needs": [],
                        "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true });
    let kind = |name: &str, permission: Value, children: &[&str]| json!({ "name": name, "label": name, "permissions": [permission], "children": children, "revoke-clears-parts": false });
    let of_schema = json!([[{ "kind": "schema", "permission": "USAGE" }]]);
    let columns = json!([{ "to": { "kind": "column", "permission": "SELECT" }, "later-too": true }]);
    let role = json!({ "name": "role", "label": "Role", "identity": "named", "can-create": true, "can-rename": true, "assumable": false,
        "members": ["user", "access-control"], "admits": ["user", "access-control"], "common-parent": null, "replaced-whole": false });
    json!({ "name": "t", "instance-id": "i", "controls": [role], "specials": [], "inheritance": true, "masks": [],
        "kinds": [kind("schema", usage, &["table"]), kind("table", select(columns, of_schema.clone()), &["column"]),
                  kind("column", select(json!([]), of_schema), &[])],
        "filters-apply-to": [], "mask-overrides": [], "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63,
        "reserved-prefixes": [], "sql-dialect": null })
}

fn on(kind: &str, path: &[&str], permission: &str) -> Value {
    json!({ "object": { "kind": kind, "path": path }, "permissions": [{ "name": permission }] })
}

fn table() -> Value {
    on("table", &["hr", "people"], "SELECT")
}

fn column() -> Value {
    on("column", &["hr", "people", "id"], "SELECT")
}

/// Ann and Bob, a table with a column, and these roles: their names, members and permissions.
fn catalogue(roles: &[(&str, &[&str], &[Value])]) -> Catalogue {
    let user =
        |id: &str| json!({ "user": { "external-id": id, "user-name": id, "display-name": "", "enabled": true } });
    let object = |kind: &str, path: &[&str]| {
        let parent = (path.len() > 1).then(|| path[..path.len() - 1].join("."));
        json!({ "object": { "external-id": path.join("."), "name": path[path.len() - 1], "ref": { "kind": kind, "path": path },
                            "description": "", "parent-external-id": parent } })
    };
    let role = |(name, who, what): &(&str, &[&str], &[Value])| {
        let who: Vec<Value> = who.iter().map(|id| json!({ "kind": "user", "id": id, "inherits": true })).collect();
        json!({ "access-control": { "external-id": name, "name": name, "actual-name": name, "kind": "role", "description": "",
                "action": "grant", "who": who, "what": what, "internalizable": true } })
    };
    let mut lines = vec![user("ann"), user("bob"), json!({ "description": description() })];
    lines.push(object("schema", &["hr"]));
    lines.push(object("table", &["hr", "people"]));
    lines.push(object("column", &["hr", "people", "id"]));
    lines.extend(roles.iter().map(role));
    lines.push(json!({ "end": { "lines": lines.len(), "complete": true } }));
    let mut builder = CatalogueBuilder::default();
    for line in lines {
        builder.take(serde_json::from_value(line).expect("a record")).expect("it fits");
    }
    builder.finish().expect("whole")
}

/// What is said where these permissions are taken from these roles, or given to them.
fn said(catalogue: &Catalogue, verb: &str, changes: &[(&str, Value)]) -> Vec<String> {
    let set = |(name, what): &(&str, Value)| -> ChangeSet {
        let set = json!({ "id": name, "external-id": name, "name": name, "actual-name": name, "description": "", "kind": "role",
                          "changes": [{ verb: [what] }] });
        serde_json::from_value(set).expect("a change-set")
    };
    let sets: Vec<ChangeSet> = changes.iter().map(set).collect();
    compare(catalogue, &sets, 0).expect("it is described").effects.lines()
}

#[test]
fn what_is_lost_with_the_object_above_is_not_without_effect() {
    let usage = || on("schema", &["hr"], "USAGE");
    let catalogue = catalogue(&[
        ("schema", &["bob"], &[usage()]),
        ("of_column", &["bob"], &[column()]),
        ("of_table", &["bob"], &[table()]),
        // Who can use nothing of it, since the schema is closed to her.
        ("other", &["ann"], &[table()]),
    ]);
    let lines = said(&catalogue, "revoke", &[("of_column", column()), ("of_table", table())]);
    assert_eq!(lines, ["1 person loses SELECT on table hr.people: bob"]);
    // One of the two is still held by the other, and by nobody else.
    let lines = said(&catalogue, "revoke", &[("of_column", column())]);
    assert_eq!(lines, ["no effect: SELECT on column hr.people.id is still held through of_table"]);
    // What nobody could use by this role, somebody else's use of it does not explain.
    let lines = said(&catalogue, "revoke", &[("other", table())]);
    assert_eq!(lines, ["no effect: nobody can use SELECT on table hr.people through other"]);
}

#[test]
fn what_is_given_and_cannot_be_used_is_said() {
    let catalogue = catalogue(&[
        ("schema", &["bob"], &[on("schema", &["hr"], "USAGE")]),
        ("closed", &["ann"], &[]),
        ("mixed", &["ann", "bob"], &[]),
        ("empty", &[], &[]),
    ]);
    let given = |role| said(&catalogue, "grant", &[(role, table())]);
    assert_eq!(given("closed"), ["no effect: nobody can use SELECT on table hr.people through closed"]);
    assert_eq!(given("mixed"), ["1 person gains SELECT on table hr.people: bob"]);
    assert!(given("empty").is_empty(), "nobody is to use it yet");
}
