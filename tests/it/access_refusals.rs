//! What access code leaves alone on a real PostgreSQL: what was not read whole, who is kept for emergencies, and files that do not
//! enforce.

use std::fs;

use crate::changes::managed;
use crate::support::Warehouse;

/// A role that reads something in both databases.
pub(crate) const CODE: &str = "
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_READERS
    who: [{ user: ann }, { user: bob }]
    what:
      - { object: table shop.sales.orders, permissions: [read] }
      - { object: table crm.sales.orders, permissions: [read] }
";

#[test]
fn what_was_not_read_whole_takes_nothing() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    managed.access(&["apply", "--yes"]).exits(0);
    let (held, sent) = (managed.holds("R_READERS"), managed.written().len());
    // One database is closed, and the files want less than there is.
    managed.server.sql("postgres", "alter database crm allow_connections false");
    let without = CODE.replace("      - { object: table crm.sales.orders, permissions: [read] }\n", "");
    managed.code("sales.yml", &without.replace(", { user: bob }", ""));
    managed.access(&["plan"]).exits(1).says(&["E-target-incomplete", "database crm: ", "not currently accepting"]);
    managed.access(&["drift"]).exits(1).says(&["E-target-incomplete"]);
    managed.access(&["apply", "--yes"]).exits(1);
    managed.access(&["apply", "--yes", "--allow-revokes=1"]).exits(1);
    managed.server.sql("postgres", "alter database crm allow_connections true");
    assert_eq!((managed.holds("R_READERS"), managed.written().len()), (held, sent), "nothing was sent");
    managed.access(&["apply", "--yes"]).exits(0);
    assert!(!managed.holds("R_READERS").contains(&"member bob".to_owned()));
}

#[test]
fn a_command_that_sends_nothing_needs_no_secret_of_who_writes() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    let path = managed.place.path().join("raito.yml");
    let text = fs::read_to_string(&path).expect("a configuration");
    let elsewhere = text
        .replace("user: raito_write, password: { env: PG_PASSWORD }", "user: raito_write, password: { env: NOT_HERE }");
    assert_ne!(elsewhere, text);
    managed.place.configure(&elsewhere);
    let plan = managed.plan(3);
    managed.access(&["drift"]).exits(3);
    managed.place.raito(&["run", "--quiet", "--dry-run"]).exits(0);
    for command in [&["access", "apply", "plan.json", "--yes"][..], &["run", "--quiet"]] {
        managed.place.raito(command).says(&["E-secret", "NOT_HERE"]);
    }
    assert!(managed.written().is_empty());
    managed.place.configure(&text);
    assert_eq!(managed.plan(3)["targets"], plan["targets"], "it is the same plan");
}

#[test]
fn people_that_are_not_read_are_not_taken_for_people_that_are_gone() {
    let warehouse = Warehouse::serve(&["--seed", "12", "--tables", "5"]);
    let place = warehouse.place("steps: { identity-store: false }");
    fs::create_dir(place.path().join("access")).expect("writable");
    place.write("access/a.yml", "version: 1\nrepository: corp/access\non: warehouse\nmanages: [{ names: r_* }]\n");
    for command in [&["access", "plan"][..], &["access", "apply", "--yes"], &["access", "drift"]] {
        place.raito(command).exits(1).says(&["step 1 (identity-store) is needed", "leaves it out"]);
    }
}

#[test]
fn who_is_kept_for_emergencies_loses_nothing_and_is_not_touched() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    managed.access(&["apply", "--yes"]).exits(0);
    managed.configure("break-glass: [ann]");
    let (held, sent) = (managed.holds("R_READERS"), managed.written().len());
    // As a member he stays, whatever the files say.
    managed.code("sales.yml", &CODE.replace("{ user: ann }, ", ""));
    managed.access(&["plan", "--detailed-exitcode"]).exits(0);
    // What he has by way of a role stays, unless it comes another way.
    let less = CODE.replace("      - { object: table crm.sales.orders, permissions: [read] }\n", "");
    managed.code("sales.yml", &less);
    let said = managed.access(&["plan"]).exits(4);
    said.says(&["E-locked-out", "ann would lose SELECT on table crm.sales.orders", "leave them what they have"]);
    managed.access(&["apply", "--yes"]).exits(4).says(&["E-locked-out"]);
    managed.access(&["apply", "--yes", "--allow-revokes=2"]).exits(4).says(&["E-locked-out"]);
    assert_eq!((managed.holds("R_READERS"), managed.written().len()), (held, sent), "nothing was sent");
    managed.server.sql("crm", "grant usage on schema sales to ann; grant select on sales.orders to ann");
    managed.access(&["apply", "--yes"]).exits(0);
    assert!(!managed.holds("R_READERS").iter().any(|line| line.starts_with("crm sales.orders")));
}

#[test]
fn files_that_observe_change_nothing_and_files_that_add_take_nothing() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    managed.access(&["apply", "--yes"]).exits(0);
    managed.server.sql("shop", "grant select on sales.customers to \"R_READERS\"; create role \"R_STRAY\"");
    let held = managed.holds("R_READERS");
    let wanted = CODE.replace("{ user: ann }", "{ user: carl }");
    let mode = |mode: &str| wanted.replace("on: shop\n", &format!("on: shop\nmode: {mode}\n"));
    let sent = managed.written().len();
    managed.code("sales.yml", &mode("observe"));
    let shown = managed.access(&["apply", "--yes"]).exits(0).stdout;
    for line in
        ["shop: nothing to do", "observed only: 0 to create, 1 to change, 1 to delete", "- member ann", "+ member carl"]
    {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    assert_eq!((managed.holds("R_READERS"), managed.written().len()), (held.clone(), sent), "nothing was sent");
    managed.code("sales.yml", &mode("additive"));
    managed.access(&["apply", "--yes"]).exits(0);
    let mut more = managed.holds("R_READERS");
    more.retain(|line| line != "member carl");
    assert_eq!((more, managed.oid("R_STRAY").is_empty()), (held, false), "nothing was taken");
    assert!(managed.holds("R_READERS").contains(&"member carl".to_owned()));
    managed.code("sales.yml", &mode("enforced"));
    managed.access(&["apply", "--yes"]).exits(0);
    let left = managed.holds("R_READERS");
    assert!(
        !left.contains(&"member ann".to_owned()) && !left.iter().any(|line| line.contains("customers")),
        "{left:?}"
    );
    assert_eq!(managed.oid("R_STRAY"), "");
}

#[test]
fn nothing_is_given_to_somebody_directly_where_a_guardrail_says_so() {
    let managed = managed("superuser");
    let code = CODE.replace("who: [{ user: ann }, { user: bob }]", "who: [{ user: ann }]");
    managed.code("sales.yml", &code);
    managed.access(&["plan"]).exits(0);
    let direct = "  - { name: ann, what: [{ object: table shop.sales.orders, permissions: [SELECT] }] }\n";
    managed.code(
        "direct.yml",
        &format!("version: 1\non: shop\nmanages: [{{ kind: role, names: ann }}]\ngrants:\n{direct}"),
    );
    managed.access(&["plan"]).exits(0);
    let policy = "version: 1\npolicy: [{ rule: no-direct-users }]\n";
    managed.code("policy.yml", policy);
    managed.access(&["plan"]).exits(4).says(&["access/direct.yml:5:13", "no-direct-users", "ann is a user's own"]);
    managed.access(&["apply", "--yes"]).exits(4).says(&["E-policy"]);
    let waived = "rule: no-direct-users, waivers: [{ about: ann, until: 2999-01-01, reason: he asked }]";
    managed.code("policy.yml", &policy.replace("rule: no-direct-users", waived));
    managed.access(&["plan"]).exits(0).says(&["warning[no-direct-users]"]);
    assert!(managed.written().is_empty());
}

#[test]
fn a_name_that_leads_to_no_file_is_no_code_without_mistakes() {
    let managed = managed("createrole");
    fs::create_dir(managed.place.path().join("empty")).expect("writable");
    for arguments in
        [&["validate", "empty"][..], &["validate", "acess/"], &["fmt", "--check", "empty"], &["expire", "empty"]]
    {
        managed.access(arguments).exits(2).says(&["E-file"]);
    }
    managed.place.raito(&["bogus\u{202e}"]).exits(2).says(&["bogus\\u{202e}"]);
}
