//! Drift on a real PostgreSQL: who moved since the last apply, and what is done about it; and members whose time is over.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::changes::{Managed, managed};
use crate::support::Place;

const CODE: &str = "\
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  # who reads
  - name: R_READERS
    description: who reads sales
    who:
      - { user: ann } # since ever
      - { user: bob, expires: 2999-01-01, reason: JIRA-7 }
    what:
      - { object: shop.sales.orders, permissions: [SELECT] }
      - { object: function shop.sales.total(text), permissions: [EXECUTE] }
  - name: R_LEADS
    who: [{ user: carl }]
    what: [{ object: shop.sales.customers, permissions: [INSERT, UPDATE] }, { object: shop.sales.old, permissions: [SELECT] }]
  - name: R_GONE
    what: [{ object: shop.sales.customers, permissions: [DELETE] }]
  - name: R_ALL
    who: [{ control: R_GONE }]
    what:
      - select: { kind: table, under: shop.sales }
        permissions: [SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER]
";

/// A server that is as the files say, with the state of the apply.
fn applied() -> Managed {
    let managed = managed("createrole");
    managed.server.sql("shop", "create table sales.old (id int); alter table sales.old owner to raito_write");
    managed.code("sales.yml", CODE);
    managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0);
    managed
}

impl Managed {
    /// The differences, each as its class, its access control and what it is.
    #[track_caller]
    fn drift(&self, arguments: &[&str], code: i32) -> BTreeSet<(String, String, String)> {
        let said = self.access(&[&["drift", "--output", "json"], arguments].concat()).exits(code);
        let differences = said.json().into_iter().filter(|line| line["event"] == "drift");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        differences.map(|line| (text(&line["class"]), text(&line["control"]), text(&line["what"]))).collect()
    }
}

fn some(expected: &[(&str, &str, &str)]) -> BTreeSet<(String, String, String)> {
    expected.iter().map(|(one, two, three)| ((*one).into(), (*two).into(), (*three).into())).collect()
}

#[test]
fn drift_tells_who_moved_and_fix_moves_it_back() {
    let managed = applied();
    let state = fs::metadata(managed.place.path().join("state.json")).expect("a state");
    assert_eq!(state.permissions().mode() & 0o777, 0o600, "it names people");
    assert!(managed.drift(&["--state", "state.json"], 0).is_empty());
    managed.server.sql(
        "shop",
        "grant \"R_READERS\" to carl; revoke select on sales.orders from \"R_READERS\"; grant delete on sales.customers to \"R_LEADS\";
         comment on role \"R_READERS\" is 'mine'; drop owned by \"R_GONE\"; drop role \"R_GONE\";
         create table sales.fresh (id int); alter table sales.fresh owner to raito_write",
    );
    let moved = CODE.replace("2999-01-01", "2020-01-01").replace("[INSERT, UPDATE] }", "[INSERT, UPDATE, SELECT] }");
    managed.code("sales.yml", &moved);
    let found = managed.drift(&["--state", "state.json"], 3);
    let (described, others): (BTreeSet<_>, BTreeSet<_>) =
        found.into_iter().partition(|(_, _, what)| what.starts_with("description "));
    let described: Vec<_> = described.iter().map(|(class, control, _)| (class.as_str(), control.as_str())).collect();
    assert_eq!(described, [("changed", "role R_READERS")]);
    let mut expected = some(&[
        ("granted", "role R_READERS", "member carl"),
        ("granted", "role R_LEADS", "DELETE on table shop.sales.customers"),
        ("revoked", "role R_READERS", "SELECT on table shop.sales.orders"),
        ("gone", "role R_GONE", "all of it"),
        ("gone", "role R_ALL", "member R_GONE"),
        ("expired", "role R_READERS", "member bob"),
        ("files", "role R_LEADS", "SELECT on table shop.sales.customers"),
    ]);
    for permission in ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"] {
        let what = format!("{permission} on table shop.sales.fresh");
        expected.insert(("new".into(), "role R_ALL".into(), what));
    }
    assert_eq!(others, expected);
    let unknown = managed.drift(&[], 3);
    let classes: BTreeSet<&str> = unknown.iter().map(|(class, ..)| class.as_str()).collect();
    assert_eq!(classes, BTreeSet::from(["differs", "expired"]), "without a state nobody is blamed");
    let shown = managed.access(&["drift", "--state", "state.json"]).exits(3).stdout;
    for line in [
        "  granted: given at the target, and no file says it",
        "      role R_READERS: member carl  access/sales.yml:7",
        "      role R_READERS: member bob  access/sales.yml:11",
    ] {
        assert!(shown.lines().any(|other| other == line), "{line} is not in\n{shown}");
    }
    managed.access(&["drift", "--state", "state.json", "--fix"]).exits(4).says(&["E-not-confirmed"]);
    assert_eq!(managed.drift(&["--state", "state.json"], 3).len(), expected.len() + 1, "nothing was sent");
    managed.access(&["drift", "--state", "state.json", "--fix", "--yes"]).exits(0);
    assert!(managed.drift(&["--state", "state.json"], 0).is_empty());
    managed.plan(0);
}

#[test]
fn adopting_writes_what_is_there_and_leaves_what_people_wrote() {
    let managed = applied();
    managed.server.sql(
        "shop",
        "grant \"R_READERS\" to carl; revoke \"R_READERS\" from ann; revoke update on sales.customers from \"R_LEADS\";
         grant delete on sales.customers to \"R_LEADS\"; drop table sales.old; drop owned by \"R_GONE\"; drop role \"R_GONE\";
         create role \"R_EXTRA\"; grant select on sales.orders to \"R_EXTRA\"; grant \"R_EXTRA\" to bob",
    );
    let found = managed.drift(&["--state", "state.json"], 3);
    let gone =
        found.iter().any(|(class, _, what)| class == "gone" && what.starts_with("there is no object shop.sales.old"));
    assert!(gone, "{found:#?}");
    assert!(found.contains(&("granted".into(), "role R_EXTRA".into(), "all of it".into())), "{found:#?}");
    managed.access(&["drift", "--state", "state.json", "--adopt"]).exits(0);
    let text = fs::read_to_string(managed.place.path().join("access/sales.yml")).expect("a file");
    let expected = CODE
        .replace("      - { user: ann } # since ever\n", "")
        .replace("reason: JIRA-7 }\n", "reason: JIRA-7 }\n      - { user: carl }\n")
        .replace(
            "    what: [{ object: shop.sales.customers, permissions: [INSERT, UPDATE] }, { object: shop.sales.old, permissions: [SELECT] }]\n",
            "    what:\n      [\n        { object: shop.sales.customers, permissions: [INSERT] },\n        { object: table shop.sales.customers, permissions: [DELETE] },\n      ]\n",
        )
        .replace("  - name: R_GONE\n    what: [{ object: shop.sales.customers, permissions: [DELETE] }]\n", "")
        .replace("    who: [{ control: R_GONE }]\n", "");
    assert_eq!(text.replace(['\n', ' '], "").replace(",]", "]"), expected.replace(['\n', ' '], "").replace(",]", "]"));
    managed.access(&["fmt", "--check"]).exits(0);
    managed.plan(0);
    assert!(managed.drift(&["--state", "state.json"], 0).is_empty());
    // What was adopted is known: taking it is seen as such.
    managed.server.sql("shop", "revoke \"R_EXTRA\" from bob; revoke insert on sales.orders from \"R_ALL\"");
    let found = managed.drift(&["--state", "state.json"], 3);
    assert_eq!(
        found,
        some(&[
            ("revoked", "role R_EXTRA", "member bob"),
            ("revoked", "role R_ALL", "INSERT on table shop.sales.orders")
        ])
    );
    let said = managed.access(&["drift", "--state", "state.json", "--adopt"]).exits(3);
    said.says(&["not adopted: role R_ALL: INSERT on table shop.sales.orders: line ", "says it together with others"]);
    assert_eq!(managed.drift(&["--state", "state.json"], 3).len(), 1);
}

#[test]
fn a_state_is_only_believed_about_its_own_repository() {
    let managed = applied();
    managed.access(&["drift", "--state", "none.json"]).exits(2).says(&["none.json", "apply --state"]);
    managed.code("sales.yml", &CODE.replace("corp/access", "corp/other"));
    managed.access(&["drift", "--state", "state.json"]).exits(2).says(&["git:corp/access", "git:corp/other"]);
    managed.place.write("state.json", "{}");
    managed.access(&["drift", "--state", "state.json"]).exits(2).says(&["state.json: it is no state"]);
}

#[test]
fn members_whose_time_is_over_are_listed_and_go() {
    let place = Place::new("targets: []\n");
    let text = "version: 1\non: shop\ngrants:\n  - name: R_A\n    who:\n      # for the audit\n      - { user: ann, expires: 2020-01-31, reason: JIRA-1 }\n      - { user: bob, expires: 2999-01-01 }\n";
    fs::create_dir(place.path().join("access")).expect("ours");
    place.write("access/a.yml", text);
    let said = place.raito(&["access", "expire"]).exits(3);
    said.says(&[
        "access/a.yml:7:9: warning[expired]: the membership of user ann in R_A on shop ended 2020-01-31 (JIRA-1)",
        "1 are over",
    ]);
    let all = place.raito(&["access", "expire", "--within", "99999w", "--output", "json"]).exits(3).json();
    let over: Vec<_> =
        all.iter().map(|one| (one["who"].as_str(), one["over"].as_bool(), one["line"].as_u64())).collect();
    assert_eq!(over, [(Some("user ann"), Some(true), Some(7)), (Some("user bob"), Some(false), Some(8))]);
    let github = place.raito(&["access", "expire", "--output", "github"]).exits(3).stdout;
    assert!(
        github.starts_with("::warning file=access/a.yml,line=7,col=9,title=expired::the membership of user ann"),
        "{github}"
    );
    place.raito(&["access", "expire", "--within", "soon"]).exits(2).says(&["such as 14d"]);
    place.raito(&["access", "expire", "--write"]).exits(0);
    let left = fs::read_to_string(place.path().join("access/a.yml")).expect("a file");
    assert_eq!(left, text.replace("      - { user: ann, expires: 2020-01-31, reason: JIRA-1 }\n", ""));
    place.raito(&["access", "expire"]).exits(0);
    place.raito(&["access", "fmt", "--check"]).exits(0);
}
