//! Retirement on a real PostgreSQL: what no entry names loses its members, keeps what it holds, and goes when its time is over.

use std::fs;

use crate::changes::{Managed, managed};

const HEAD: &str = "\
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_*, retire-days: 30 }]
grants:
  - name: R_STAYS
    what: [{ object: shop.sales.customers, permissions: [SELECT] }]
";

const ENTRY: &str = "  - name: R_READERS
    description: who reads sales
    who: [{ user: ann }, { control: R_STAYS }]
    what: [{ object: shop.sales.orders, permissions: [read] }]
";

fn description(managed: &Managed) -> String {
    managed.server.sql("postgres", "select shobj_description('\"R_READERS\"'::regrole, 'pg_authid')")
}

fn statements(managed: &Managed, since: usize) -> Vec<String> {
    managed.written()[since..].to_vec()
}

#[test]
fn what_no_entry_names_loses_its_members_first_and_comes_back_or_goes() {
    let managed = managed("createrole");
    let (with, without) = (format!("{HEAD}{ENTRY}"), HEAD.to_owned());
    managed.code("sales.yml", &with);
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    let (held, oid) = (managed.holds("R_READERS"), managed.oid("R_READERS"));
    let description_before = description(&managed);

    managed.code("sales.yml", &without);
    let shown = managed.access(&["plan"]).exits(0).stdout;
    assert!(shown.contains("0 to create, 1 to change, 0 to delete"), "{shown}");
    assert!(
        shown.contains("  retired: no entry names it, and it is kept without members\n      role R_READERS until 2"),
        "{shown}"
    );
    assert!(shown.contains("      1 person loses SELECT on table shop.sales.orders: ann"), "{shown}");
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    let kept: Vec<String> = held.iter().filter(|line| !line.starts_with("member ")).cloned().collect();
    assert_eq!((managed.holds("R_READERS"), managed.oid("R_READERS")), (kept.clone(), oid.clone()));
    assert!(description(&managed).starts_with("who reads sales [retired, kept until 2"), "{}", description(&managed));

    // Another machine, which knows nothing of earlier runs.
    fs::remove_dir_all(managed.place.path().join(".raito")).expect("ours");
    managed.plan(0);
    managed.access(&["drift", "--state", "state.json"]).exits(0);
    // Whoever lets somebody in again by hand is told of, and undone.
    managed.server.sql("postgres", "grant \"R_READERS\" to carl");
    let drift = managed.access(&["drift", "--state", "state.json"]).exits(3).stdout;
    assert!(drift.contains("  granted: ") && drift.contains("role R_READERS: member carl"), "{drift}");
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    assert_eq!(managed.holds("R_READERS"), kept);

    // The entry comes back: members are admitted, and nothing else is done.
    let before = managed.written().len();
    managed.code("sales.yml", &with);
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    let sent = statements(&managed, before);
    assert!(sent.iter().all(|text| text.starts_with("COMMENT ON ROLE ") || text.contains(" TO ")), "{sent:?}");
    assert!(!sent.iter().any(|text| text.contains(" ON TABLE ")), "{sent:?}");
    assert_eq!((managed.holds("R_READERS"), managed.oid("R_READERS")), (held, oid));
    assert_eq!(description(&managed), description_before);

    // It goes again, and its time is over.
    managed.code("sales.yml", &without);
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    let told = description(&managed);
    let (before, until) = told.split_once("kept until ").expect("it is retired");
    let over = format!("{before}kept until 2020-01-01{}", &until["2020-01-01".len()..]);
    managed.server.sql("postgres", &format!("comment on role \"R_READERS\" is '{over}'"));
    let drift = managed.access(&["drift", "--state", "state.json"]).exits(3).stdout;
    assert!(drift.contains("  expired: ") && drift.contains("it was retired, and its time is over"), "{drift}");
    let plan = managed.plan(3);
    assert_eq!(plan["targets"][0]["drops"], 1, "{plan:#}");
    managed.access(&["apply", "plan.json", "--yes"]).exits(0);
    assert_eq!(managed.oid("R_READERS"), "");
    managed.plan(0);
}
