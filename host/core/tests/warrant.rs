//! Warrants: of everything that a connector could say instead of a decided change, nothing is let through.

use raito_core::call::{Argument, Value};
use raito_core::manifest::{Manifest, SlotKind};
use raito_core::record::{Change, ChangeSet, Member, ObjectRef, PermissionUse, Standing, What};
use raito_core::text::ExternalId;
use raito_core::vocabulary::{Mode, Statement};
use raito_core::warrant::{Names, Used, Warranted, Warrants, WriteEntry};
use serde_json::json;

const MANIFEST: &str = include_str!("../../../connectors/postgresql/connector.toml");

fn record<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn statements() -> Vec<(String, Statement)> {
    let manifest = Manifest::parse(MANIFEST).expect("a manifest");
    let mut found = Vec::new();
    for slot in manifest.slots.into_values() {
        if let SlotKind::Sql { statements, .. } = slot.kind {
            found.extend(statements.into_iter().filter(|(_, statement)| statement.mode == Mode::Write));
        }
    }
    found.into_iter().map(|(name, statement)| (name.to_string(), statement)).collect()
}

fn object(kind: &str, path: &[&str]) -> ObjectRef {
    record(json!({ "kind": kind, "path": path }))
}

fn member(id: &str, inherits: bool) -> Member {
    record(json!({ "kind": "access-control", "id": id, "inherits": inherits, "assumable": true, "granted-by": "12" }))
}

fn used(names: &[&str], granted_by: Option<&str>) -> Vec<PermissionUse> {
    names.iter().map(|name| record(json!({ "name": name, "granted-by": granted_by }))).collect()
}

fn what(object: ObjectRef, permissions: Vec<PermissionUse>) -> What {
    What { object, permissions, condition: None }
}

/// One role of everything: members, grants on a table, on a column and on a routine, defaults, a new name.
fn sets() -> Vec<ChangeSet> {
    let set = |id: &str, oid: &str, name: &str, changes| ChangeSet {
        changes,
        ..record(
            json!({ "id": id, "external-id": oid, "actual-name": name, "name": name, "description": "what it is for",
            "kind": "role", "object": null, "version": null, "entries": null, "changes": [] }),
        )
    };
    let routine: ObjectRef =
        record(json!({ "kind": "function", "path": ["shop", "sales", "total"], "signature": "integer" }));
    let later: Standing = record(json!({ "under": { "kind": "schema", "path": ["shop", "sales"] }, "kind": "table",
        "creator": "12", "permissions": [{ "name": "SELECT" }] }));
    vec![
        set(
            "r1",
            "10",
            "readers",
            vec![
                Change::Rename(record(json!("income"))),
                Change::AddMembers(vec![member("11", true)]),
                Change::RemoveMembers(vec![member("12", true)]),
                Change::SetMemberOptions(vec![member("13", false)]),
                Change::Grant(vec![
                    what(object("table", &["shop", "sales", "orders"]), used(&["SELECT", "INSERT"], None)),
                    what(object("column", &["shop", "sales", "people", "name"]), used(&["SELECT"], None)),
                    what(routine, used(&["EXECUTE"], None)),
                ]),
                Change::Revoke(vec![what(object("schema", &["crm", "sales"]), used(&["USAGE"], Some("12")))]),
                Change::GrantStanding(vec![later]),
            ],
        ),
        set("r2", "20", "writers", vec![Change::AddMembers(vec![member("13", true)]), Change::Delete]),
    ]
}

fn names() -> Names {
    let mut names = Names::default();
    for (id, name) in [("10", "readers"), ("11", "ann"), ("12", "bob"), ("13", "carl"), ("20", "writers")] {
        names.control(ExternalId::new(id).expect("an id"), name.to_owned());
    }
    names
}

/// A call: its entry, its database, its arguments.
type Said = (String, String, Vec<Argument>);

fn call(entry: &str, at: &str, arguments: &[(&str, Value)]) -> Said {
    let argument = |(name, value): &(&str, Value)| Argument { name: (*name).to_owned(), value: value.clone() };
    (entry.to_owned(), at.to_owned(), arguments.iter().map(argument).collect())
}

fn name(parts: &[&str]) -> Value {
    Value::Name(parts.iter().map(|part| (*part).to_owned()).collect())
}

fn words(words: &[&str]) -> Value {
    Value::Keywords(words.iter().map(|word| (*word).to_owned()).collect())
}

/// Every call that the changes are carried out with.
fn right() -> Vec<Said> {
    // Behind the change of its name, it has the new one.
    let (old, r) = (("r", name(&["readers"])), ("r", name(&["income"])));
    let (yes, no) = (words(&["TRUE"]), words(&["FALSE"]));
    let orders = ("o", name(&["sales", "orders"]));
    vec![
        call("rename-role", "shop", &[old, ("n", name(&["income"]))]),
        call(
            "admit",
            "shop",
            &[r.clone(), ("m", name(&["ann"])), ("a", no.clone()), ("i", yes.clone()), ("s", yes.clone())],
        ),
        call("remove-granted-by", "shop", &[r.clone(), ("m", name(&["bob"])), ("g", name(&["bob"]))]),
        call(
            "admit-otherwise-granted-by",
            "shop",
            &[
                r.clone(),
                ("m", name(&["carl"])),
                ("a", no.clone()),
                ("i", no.clone()),
                ("s", yes.clone()),
                ("g", name(&["bob"])),
            ],
        ),
        call("grant-table", "shop", &[r.clone(), orders.clone(), ("p", words(&["SELECT", "INSERT"]))]),
        call(
            "grant-column",
            "shop",
            &[
                r.clone(),
                ("o", name(&["sales", "people"])),
                ("c", Value::Names(vec![vec!["name".into()]])),
                ("p", words(&["SELECT"])),
            ],
        ),
        call("grant-function", "shop", &[r.clone(), ("o", name(&["sales", "total"])), ("p", words(&["EXECUTE"]))]),
        call("revoke-schema", "crm", &[r.clone(), ("o", name(&["sales"])), ("p", words(&["USAGE"]))]),
        call(
            "grant-later-in-schema",
            "shop",
            &[r, ("o", name(&["sales"])), ("c", name(&["bob"])), ("p", words(&["SELECT"])), ("k", words(&["TABLES"]))],
        ),
        call(
            "admit",
            "shop",
            &[("r", name(&["writers"])), ("m", name(&["carl"])), ("a", no), ("i", yes.clone()), ("s", yes)],
        ),
        call("drop-role", "shop", &[("r", name(&["writers"]))]),
    ]
}

fn check(all: &[(String, Statement)], warrants: &Warrants, said: &Said) -> Result<Warranted, String> {
    let (entry, at, arguments) = said;
    let (_, statement) = all.iter().find(|(name, _)| name == entry).ok_or("there is no such entry")?;
    let written = WriteEntry {
        does: statement.does.ok_or("it does nothing")?,
        on: &statement.on,
        member: statement.member.as_ref(),
        placeholders: statement.placeholders(),
        database: Some(at),
    };
    let warranted = warrants.check(&written, arguments, |_| None, &mut Used::default())?;
    // What is let through is built as well: an argument too many or of another type ends there.
    let arguments = [arguments.as_slice(), &warranted.spliced].concat();
    statement.build(&arguments).map_err(|error| error.to_string())?;
    Ok(warranted)
}

/// Other values for one argument.
fn other_values(value: &Value) -> Vec<Value> {
    match value {
        Value::Name(path) => {
            let mut others: Vec<Value> =
                ["public", "PUBLIC", "none", "postgres", "carl", "readers", "readers\"; drop role ann", "Ann", ""]
                    .iter()
                    .map(|other| name(&[other]))
                    .collect();
            let last = path.last().cloned().unwrap_or_default();
            others.push(Value::Name([path.as_slice(), &["x".to_owned()]].concat()));
            others.push(Value::Name([&["crm".to_owned()], path.as_slice()].concat()));
            others.push(name(&["crm", &last]));
            others.push(name(&["pg_catalog", &last]));
            if path.len() > 1 {
                others.push(name(&[&last]));
            }
            others.push(Value::Captured("captured-1".into()));
            others.push(Value::Free("PUBLIC".into()));
            others.retain(|other| other != value);
            others
        }
        Value::Keywords(given) if given.iter().any(|word| matches!(word.as_str(), "TRUE" | "FALSE")) => {
            let other = if given[0] == "TRUE" { "FALSE" } else { "TRUE" };
            vec![words(&[other]), words(&["TRUE", "FALSE"]), Value::Free("TRUE".into())]
        }
        Value::Keywords(given) => {
            let more: Vec<&str> = given.iter().map(String::as_str).chain(["DELETE"]).collect();
            vec![words(&["DELETE"]), words(&more), words(&["ALL"]), Value::Null, Value::Free("ALL".into())]
        }
        Value::Names(_) => vec![
            Value::Names(vec![vec!["id".into()]]),
            Value::Names(vec![vec!["name".into()], vec!["id".into()]]),
            Value::Names(vec![]),
        ],
        _ => Vec::new(),
    }
}

/// Everything near a right call that is another one.
fn wrong(all: &[(String, Statement)]) -> Vec<Said> {
    let right = right();
    let mut wrong = Vec::new();
    for (entry, at, arguments) in &right {
        for (index, argument) in arguments.iter().enumerate() {
            for value in other_values(&argument.value) {
                let mut other = arguments.clone();
                other[index].value = value;
                wrong.push((entry.clone(), at.clone(), other));
            }
            let mut fewer = arguments.clone();
            fewer.remove(index);
            wrong.push((entry.clone(), at.clone(), fewer));
        }
        // The same in another database, with the right to pass it on, with SQL of the connector's own, by another entry.
        wrong.push((entry.clone(), if at == "shop" { "crm" } else { "shop" }.to_owned(), arguments.clone()));
        for (name, value) in [("on", words(&["WITH GRANT OPTION"])), ("signature", Value::Free("a text".into()))] {
            let more = [arguments.as_slice(), &[Argument { name: name.into(), value }]].concat();
            wrong.push((entry.clone(), at.clone(), more));
        }
        for (other, _) in all.iter().filter(|(other, _)| other != entry) {
            wrong.push((other.clone(), at.clone(), arguments.clone()));
        }
    }
    // What is about the cluster can be sent to any database; and a member may also be admitted before 16.
    wrong.retain(|said| {
        !right.iter().any(|(entry, _, arguments)| *entry == said.0 && *arguments == said.2 && is_of_cluster(entry))
    });
    wrong
}

fn is_of_cluster(entry: &str) -> bool {
    matches!(entry, "rename-role" | "admit" | "admit-otherwise-granted-by" | "remove-granted-by" | "drop-role")
}

#[test]
fn every_right_call_is_let_through() {
    let (all, warrants) = (statements(), Warrants::of(&sets(), &names()));
    for said in right() {
        let warranted = check(&all, &warrants, &said).unwrap_or_else(|reason| panic!("{said:?}: {reason}"));
        assert_eq!(warranted.set, usize::from(said.2[0].value == name(&["writers"])));
    }
    let routine = check(&all, &warrants, &right()[6]).expect("a grant");
    assert_eq!(routine.spliced[0].value, Value::Free("integer".into()), "the host gives the argument types");
    assert_eq!(check(&all, &warrants, &right()[7]).expect("a revoke").grantor.as_deref(), Some("bob"));
}

#[test]
fn nothing_else_is() {
    let (all, warrants) = (statements(), Warrants::of(&sets(), &names()));
    let wrong = wrong(&all);
    assert!(wrong.len() >= 200, "{} cases", wrong.len());
    let through: Vec<&Said> = wrong.iter().filter(|said| check(&all, &warrants, said).is_ok()).collect();
    assert!(through.is_empty(), "{} of {} were let through: {through:#?}", through.len(), wrong.len());
}

const OVER_HTTP: &str = r#"
name = "test"
version = "1.0.0"
summary = "A write over HTTP"

[http.api.routes.grant]
mode = "write"
does = "grant"
request = "POST /grants"
body = '{"role":{role:id@control},"object":{object:text@object},"permission":{permission:keywords(read,write)@permission}}'
"#;

#[test]
fn what_a_call_leaves_out_is_not_said() {
    let manifest = Manifest::parse(OVER_HTTP).expect("a manifest");
    let Some(SlotKind::Http { routes, .. }) = manifest.slots.into_values().map(|slot| slot.kind).next() else {
        panic!("a slot")
    };
    let route = routes.values().next().expect("a route");
    let set: ChangeSet = record(json!({ "id": "r1", "external-id": "10", "actual-name": "readers", "name": "readers",
        "description": "", "kind": "role", "object": null, "version": null, "entries": null,
        "changes": [{ "grant": [{ "object": { "kind": "table", "path": ["orders"] }, "permissions": [{ "name": "read" }] }] }] }));
    let warrants = Warrants::of(&[set], &names());
    let said = |arguments: &[Argument]| {
        let does = route.does.expect("it writes");
        let entry =
            WriteEntry { does, on: &route.on, member: None, placeholders: route.placeholders(), database: None };
        warrants.check(&entry, arguments, |_| None, &mut Used::default())
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let (_, _, whole) =
        call("grant", "", &[("role", text("10")), ("object", text("orders")), ("permission", words(&["read"]))]);
    assert!(said(&whole).is_ok());
    for at in 0..whole.len() {
        // An absent member of a body, and one that is null: the target might take either for everything.
        let mut fewer = whole.clone();
        fewer.remove(at);
        assert!(said(&fewer).is_err(), "{fewer:?}");
        let mut null = whole.clone();
        null[at].value = Value::Null;
        assert!(said(&null).is_err(), "{null:?}");
    }
}

#[test]
fn a_call_that_says_very_much_is_refused_before_it_is_spelled_out() {
    let (all, warrants) = (statements(), Warrants::of(&sets(), &names()));
    let many = 10_000;
    let columns = Value::Names(vec![vec!["name".to_owned()]; many]);
    let said = call(
        "grant-column",
        "shop",
        &[
            ("r", name(&["income"])),
            ("o", name(&["sales", "people"])),
            ("c", columns),
            ("p", Value::Keywords(vec!["SELECT".to_owned(); many])),
        ],
    );
    assert_eq!(check(&all, &warrants, &said), Err("it says too much at once".to_owned()));
}

/// A policy for two roles that is to be created, and one for everybody that is to show other rows.
fn policies() -> Warrants {
    let set = |id: &str, external_id: Option<&str>, name: &str, members: &[(&str, &str)], changes: Vec<Change>| {
        let entries: Vec<_> = members
            .iter()
            .map(|(kind, id)| {
                json!({ "member": { "kind": kind, "id": id, "inherits": true, "assumable": false }, "permissions": [] })
            })
            .collect();
        ChangeSet {
            changes,
            ..record(
                json!({ "id": id, "external-id": external_id, "actual-name": name, "name": name, "description": "why",
                "kind": "row-policy", "object": { "kind": "table", "path": ["shop", "sales", "orders"] }, "version": null,
                "entries": entries, "changes": [] }),
            )
        }
    };
    let control = record(
        json!({ "external-id": "new", "name": "eu", "actual-name": "eu", "kind": "row-policy", "action": "filter", "description": "", "internalizable": true }),
    );
    let created = json!({ "text": "region = 'eu'", "check": "true", "commands": ["UPDATE"], "restrictive": true, "enabled": true });
    let shown = json!({ "text": "id > 0", "enabled": true });
    let roles = [("access-control", "11"), ("access-control", "12")];
    let sets = [
        set("p1", None, "eu", &roles, vec![Change::Create(Box::new(control)), Change::SetPolicy(record(created))]),
        set("p2", Some("d1/p2"), "all", &[("special", "everyone")], vec![Change::SetPolicy(record(shown))]),
    ];
    Warrants::of(&sets, &names())
}

#[test]
fn a_rule_is_put_in_place_as_a_whole_or_not_at_all() {
    let (all, warrants) = (statements(), policies());
    let members = |names: &[&str]| Value::Names(names.iter().map(|name| vec![(*name).to_owned()]).collect());
    let orders = || ("o", name(&["sales", "orders"]));
    let create = |entry: &str, at: &str, table: Value, kind: &str, command: &str, who: Option<Value>| {
        let mut arguments = vec![("n", name(&["eu"])), ("o", table), ("v", words(&[kind])), ("c", words(&[command]))];
        arguments.extend(who.map(|who| ("m", who)));
        call(entry, at, &arguments)
    };
    let both = || Some(members(&["ann", "bob"]));
    let table = || name(&["sales", "orders"]);
    let right = create("create-policy-checked", "shop", table(), "RESTRICTIVE", "UPDATE", both());
    let warranted = check(&all, &warrants, &right).expect("it is what was decided");
    let put_in: Vec<&Value> = warranted.spliced.iter().map(|argument| &argument.value).collect();
    assert_eq!(put_in, [&Value::Free("region = 'eu'".into()), &Value::Free("true".into())]);
    for wrong in [
        create("create-policy-checked", "shop", table(), "PERMISSIVE", "UPDATE", both()),
        create("create-policy-checked", "shop", table(), "RESTRICTIVE", "ALL", both()),
        create("create-policy-checked", "shop", name(&["sales", "people"]), "RESTRICTIVE", "UPDATE", both()),
        create("create-policy-checked", "crm", table(), "RESTRICTIVE", "UPDATE", both()),
        create("create-policy-checked", "shop", table(), "RESTRICTIVE", "UPDATE", Some(members(&["ann"]))),
        create(
            "create-policy-checked",
            "shop",
            table(),
            "RESTRICTIVE",
            "UPDATE",
            Some(members(&["ann", "bob", "carl"])),
        ),
        create("create-policy-checked", "shop", table(), "RESTRICTIVE", "UPDATE", Some(members(&["everyone"]))),
        create("create-policy-checked-for-everybody", "shop", table(), "RESTRICTIVE", "UPDATE", None),
        // Without the rule for rows that are written, or without that for rows that are shown.
        create("create-policy", "shop", table(), "RESTRICTIVE", "UPDATE", both()),
        create("create-policy-written", "shop", table(), "RESTRICTIVE", "UPDATE", both()),
        call("drop-policy", "shop", &[("n", name(&["eu"])), orders()]),
        call("drop-policy", "shop", &[("n", name(&["all"])), orders()]),
        call("alter-policy", "shop", &[("n", name(&["all"])), orders(), ("m", members(&["ann"]))]),
        call("alter-policy-for-everybody", "shop", &[("n", name(&["others"])), orders()]),
        call("alter-policy-checked-for-everybody", "shop", &[("n", name(&["all"])), orders()]),
    ] {
        assert!(check(&all, &warrants, &wrong).is_err(), "{wrong:?}");
    }
    let everybody = call("alter-policy-for-everybody", "shop", &[("n", name(&["all"])), orders()]);
    assert_eq!(check(&all, &warrants, &everybody).map(|warranted| warranted.set), Ok(1));
}
