//! Access code and a server of a size that matters: what is imported needs no change, what one person deletes is all that a plan
//! shows, and drift names each thing that was moved by hand.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::changes::Managed;
use crate::postgresql::{FULL, fill};
use crate::support::postgres::{PASSWORD, Postgres};
use crate::support::raito::postgresql_target;
use crate::support::{Place, Random};

/// Has the role that will be made again, and those whom it admits, inherit: until PostgreSQL 15 that is a property of the member's own
/// role, which no file gives back.
const INHERITING: &str = "do $$ declare it record; begin
  for it in select rolname from pg_roles r where rolname = 'role 13' or exists
    (select from pg_auth_members a where a.member = r.oid and a.roleid = '\"role 13\"'::regrole) loop
    execute format('alter role %I inherit', it.rolname);
  end loop; end $$";

/// A server that was filled, and a place that may change it.
fn filled() -> Managed {
    let mut random = Random::from_environment("what_is_imported_needs_no_change");
    let server = Postgres::start();
    fill(&server, &mut random, FULL);
    server.sql("postgres", INHERITING);
    server.sql("postgres", &format!("create role raito_write login superuser password '{PASSWORD}'"));
    let grant = "write: { user: raito_write, password: { env: PG_PASSWORD }, login-may: [superuser] }";
    let place = Place::new(&postgresql_target(&server, "shop, back office", grant));
    Managed { server, place }
}

/// The file of a role.
fn file(managed: &Managed, role: &str) -> (PathBuf, String) {
    let folder = managed.place.path().join("access/shop");
    let mut files = fs::read_dir(&folder).expect("files").map(|entry| entry.expect("a file").path());
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(path).expect("a text"));
    let is_its = |text: &str| text.contains(&format!("  - name: {role}\n"));
    files
        .find_map(|path| Some(read(path)).filter(|(_, text)| is_its(text)))
        .unwrap_or_else(|| panic!("no file of {role}"))
}

/// How long something took, on the screen of whoever wants to know.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    println!("{what}: {:.1?}", began.elapsed());
    (result, began.elapsed())
}

/// With 1,100 roles, 1,000 tables and about 100,000 grants.
#[test]
fn what_is_imported_needs_no_change_and_each_move_by_hand_is_named() {
    let managed = timed("filled", filled).0;
    timed("import", || managed.access(&["import", "shop", "--repository", "corp/access"]).exits(0));
    let plan = timed("plan", || managed.plan(0)).0;
    assert_eq!(plan["targets"][0]["refused"], Value::Null, "{:#}", plan["targets"][0]["refused"]);
    timed("apply without changes", || managed.access(&["apply", "--yes", "--state", "state.json"]).exits(0));

    for database in ["shop", "back office"] {
        managed.server.sql(database, "drop owned by \"role 13\"");
    }
    managed.server.sql("postgres", "drop role \"role 13\"");
    let plan = managed.plan(3);
    let entities = plan["targets"][0]["entities"].as_array().expect("entities");
    assert!(entities.iter().any(|entity| entity["name"] == "role 13" && entity["sign"] == "+"), "{entities:#?}");
    for entity in entities.iter().filter(|entity| entity["name"] != "role 13") {
        // What it was a member of gets it back, with the marker that comes with the first change, and nothing else.
        let lines = entity["lines"].as_array().expect("lines");
        let is_its = |line: &Value| {
            let text = line["text"].as_str().expect("a text");
            (line["sign"] == "+" && text.starts_with("member role 13"))
                || (text.starts_with("description ") && text.contains("[raito git:corp/access "))
        };
        assert!(!lines.is_empty() && lines.iter().all(is_its), "{entity:#}");
    }
    timed("apply", || managed.access(&["apply", "plan.json", "--yes", "--state", "state.json"]).exits(0));
    managed.plan(0);

    let (role, member) = membership(&managed);
    by_hand(&managed, &role, &member);
    let said = timed("drift", || managed.access(&["drift", "--state", "state.json", "--output", "json"]).exits(3)).0;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let found: BTreeSet<[String; 3]> =
        said.json().iter().map(|line| [&line["class"], &line["control"], &line["what"]].map(text)).collect();
    let gone = |[class, _, what]: &&[String; 3]| {
        class == "gone" && what.contains("there is no object") && what.contains("s1.\"Table 11\"")
    };
    assert!(found.iter().filter(gone).count() > FULL.grantees / 4, "{found:#?}");
    // A member's options stand in parentheses behind him.
    let bare = |text: &'_ String| text.split(" (").next().unwrap_or_default().to_owned();
    let others: Vec<[String; 3]> = found.iter().filter(|one| !gone(one)).map(|one| one.each_ref().map(bare)).collect();
    let expected = [
        ["expired", &format!("role {role}"), &format!("member {member}")],
        ["granted", "role role 14", "CREATE on schema shop.s0"],
        ["revoked", "role role 3", "USAGE on schema \"back office\".s3"],
    ];
    assert_eq!(others, expected.map(|one| one.map(str::to_owned)));
}

/// A role and somebody whom it admits. The role has nothing on the table that will go: in an entry that was edited, a name that
/// is not there is a mistake of whoever edited it.
fn membership(managed: &Managed) -> (String, String) {
    let sql = "select r.rolname, m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
               where r.rolname like 'role %' and r.rolname not in ('role 3', 'role 13', 'role 14') and m.rolname <> 'role 13'
                 and r.oid not in (select (aclexplode(relacl)).grantee from pg_class where relname = 'Table 11')
               order by r.oid, m.oid limit 1";
    let row = managed.server.sql("shop", sql);
    let (role, member) = row.split_once('|').expect("two columns");
    (role.to_owned(), member.to_owned())
}

/// One of each: given, taken, gone; and in a file, a member whose time is over.
fn by_hand(managed: &Managed, role: &str, member: &str) {
    managed.server.sql("shop", "grant create on schema s0 to \"role 14\"; drop table s1.\"Table 11\"");
    managed.server.sql("back office", "revoke usage on schema s3 from \"role 3\"");
    let (path, text) = file(managed, role);
    let item =
        text.lines().find(|line| line.contains(&format!(": {member} }}")) || line.contains(&format!(": {member},")));
    let item = item.unwrap_or_else(|| panic!("{member} is not in\n{text}"));
    let over = item.replacen(&format!(": {member}"), &format!(": {member}, expires: 2020-01-01"), 1);
    fs::write(path, text.replacen(item, &over, 1)).expect("writable");
}
