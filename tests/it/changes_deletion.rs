//! Deleting roles at a real PostgreSQL: item by item, with all of it or nothing, and only when nothing names the role any more.

use serde_json::{Value, json};

use crate::changes::{Managed, begins, managed_on, on, revenue};
use crate::changes_policies::policy;
use crate::support::postgres::{SYSTEM, Version};

impl Managed {
    /// The statements of the writer's transactions, one list for each, without their begin and end and the roles that they run in.
    fn transactions(&self) -> Vec<Vec<String>> {
        let mut open: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        let mut all = Vec::new();
        for (process, text) in self.log() {
            match text.as_str() {
                text if begins(text) => drop(open.insert(process, Vec::new())),
                "COMMIT" => all.extend(open.remove(&process)),
                "ROLLBACK" => drop(open.remove(&process)),
                _ if text.starts_with("SET LOCAL ROLE") || text == "RESET ROLE" => {}
                _ => {
                    if let Some(statements) = open.get_mut(&process) {
                        statements.push(text);
                    }
                }
            }
        }
        all
    }

    /// Runs, and expects that the deletion is refused with these words before anything is sent.
    fn refuses(&self, words: &[&str]) {
        let (sent, held) = (self.written().len(), self.raw("revenue"));
        self.place.raito(&["run", "--quiet"]).exits(1).says(words);
        assert_eq!(self.written().len(), sent, "{:#?}", self.written().split_off(sent));
        assert_eq!(self.raw("revenue"), held);
    }
}

fn a_role_is_deleted_item_by_item_and_only_when_nothing_names_it(version: Version) {
    let managed = managed_on(version, "superuser");
    let id = managed.want(&revenue(&managed));
    managed.place.run(&["--apply-first"]);
    let server = &managed.server;
    server.sql("postgres", "create database other");
    let path = managed.delete(&id);

    server.sql("shop", "create table sales.own (id bigint); insert into sales.own values (1)");
    server.sql("shop", "alter table sales.own owner to revenue");
    managed.refuses(&["has 1 of its own", "OWNERSHIP on table shop.sales.own"]);
    server.sql("shop", "alter table sales.own owner to postgres");

    // What stands where nothing is read, or names the role without being a privilege.
    for (database, make, take, words) in [
        (
            "shop",
            "create policy theirs on sales.orders to revenue, bob using (region = 'eu')",
            "alter policy theirs on sales.orders to bob",
            "policy theirs on table sales.orders in database shop names it",
        ),
        (
            "crm",
            "grant usage on language plpgsql to revenue",
            "revoke usage on language plpgsql from revenue",
            "leave its privileges on language plpgsql in database crm",
        ),
        (
            "shop",
            "create type sales.mood as enum ('good'); grant usage on type sales.mood to revenue",
            "revoke usage on type sales.mood from revenue",
            "leave its privileges on type sales.mood in database shop",
        ),
        (
            "crm",
            "select lo_create(4711); grant select on large object 4711 to revenue",
            "revoke select on large object 4711 from revenue",
            "leave its privileges on large object 4711 in database crm",
        ),
        (
            "shop",
            "grant create on tablespace pg_default to revenue",
            "revoke create on tablespace pg_default from revenue",
            "leave its privileges on tablespace pg_default",
        ),
        (
            "other",
            "create table theirs (id bigint); grant select on theirs to revenue",
            "revoke select on theirs from revenue",
            "database other, which is not granted, names it 1 times",
        ),
        (
            "crm",
            "grant usage on schema sales to revenue; set role revenue;
             grant execute on function sales.total(integer, integer) to bob;
             reset role; revoke usage on schema sales from revenue",
            "grant usage on schema sales to revenue; set role revenue;
             revoke execute on function sales.total(integer, integer) from bob;
             reset role; revoke usage on schema sales from revenue",
            "others have privileges on function sales.total(integer,integer) in database crm from it",
        ),
    ] {
        server.sql(database, make);
        managed.refuses(&["the role cannot be dropped", words, "Nothing of it was changed"]);
        server.sql(database, take);
    }

    let sent = managed.transactions().len();
    managed.place.run(&[]);
    let sent = managed.transactions().split_off(sent);
    let [cluster, shop, crm] = sent.as_slice() else { panic!("three transactions: {sent:#?}") };
    assert_eq!(cluster.iter().filter(|statement| statement.starts_with("REVOKE \"revenue\" FROM")).count(), 2);
    let about =
        |list: &[String]| list.iter().map(|text| text.split(" ON ").nth(1).unwrap_or(text).to_owned()).collect();
    let (shop, crm): (Vec<String>, Vec<String>) = (about(shop), about(crm));
    assert_eq!(shop.len(), 4, "{shop:#?}");
    assert!(shop.iter().any(|what| what.starts_with("TABLES FROM")), "{shop:#?}");
    assert_eq!(crm.len(), 3, "{crm:#?}");
    assert!(crm[2].starts_with("DROP ROLE"), "the last privileges and the role go together: {crm:#?}");
    let all = sent.concat().join("\n").to_lowercase();
    assert!(!all.contains("owned") && !all.contains("cascade"), "{all}");
    assert_eq!(server.sql("shop", "select count(*) from pg_roles where rolname = 'revenue'"), "0");
    assert_eq!(server.sql("shop", "select count(*) from sales.own"), "1");
    assert_eq!(server.sql("shop", "select polroles::regrole[]::text from pg_policy"), "{bob}", "theirs stays");
    managed.place.raito(&["cloud", "get", &path]).exits(6);
}

#[test]
fn a_role_is_deleted_from_the_systems_postgresql() {
    a_role_is_deleted_item_by_item_and_only_when_nothing_names_it(SYSTEM);
}

#[test]
fn a_role_is_deleted_from_postgresql_18() {
    a_role_is_deleted_item_by_item_and_only_when_nothing_names_it(Version(18));
}

#[test]
fn a_role_and_the_managed_policy_that_names_it_go_in_one_run() {
    let managed = managed_on(SYSTEM, "superuser");
    let role = managed.want(&json!({ "name": "readers", "kind": "role",
        "what": [on("table", &["shop", "sales", "orders"], &["SELECT"])] }));
    managed.place.run(&["--apply-first"]);
    managed.server.sql("shop", "alter table sales.orders enable row level security");
    let rule = json!({ "text": "id > 0", "commands": ["SELECT"], "enabled": true });
    let who = |role: &str| -> [Value; 1] { [managed.member(role)] };
    let filter = managed.want(&policy("positive", &who("readers"), &rule));
    managed.place.run(&[]);
    let named = || managed.server.sql("shop", "select polroles::regrole[]::text from pg_policy");
    assert_eq!(named(), "{readers}");
    managed.change(&filter, &policy("positive", &who("bob"), &rule));
    managed.delete(&role);
    managed.place.run(&[]);
    assert_eq!(named(), "{bob}");
    assert_eq!(managed.server.sql("shop", "select count(*) from pg_roles where rolname = 'readers'"), "0");
}

/// Tables and members of a large role. Its statements in one database are more than HTTP calls may be sent at once.
const MANY: usize = 300;

#[test]
fn a_role_with_hundreds_of_tables_and_members_is_made_and_deleted_in_one_transaction_each() {
    let managed = managed_on(SYSTEM, "superuser");
    let tables =
        format!("select format('create table sales.t%s (id bigint)', n) from generate_series(1, {MANY}) n \\gexec");
    let people = format!("select format('create role p%s', n) from generate_series(1, {MANY}) n \\gexec");
    managed.server.sql("shop", &tables);
    managed.server.sql("shop", &people);
    managed.place.run(&[]);
    let oids = managed.server.rows("shop", "select oid from pg_roles where rolname ~ '^p[0-9]+$' order by 1");
    let member = |oid: &String| json!({ "kind": "access-control", "id": oid, "inherits": true, "assumable": true });
    let who: Vec<Value> = oids.iter().map(member).collect();
    let table = |number: usize| on("table", &["shop", "sales", &format!("t{number}")], &["SELECT"]);
    let what: Vec<Value> = (1..=MANY).map(table).collect();
    let id = managed.want(&json!({ "name": "many", "kind": "role", "who": who, "what": what }));
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.holds("many").len(), 2 * MANY);
    let made = managed.transactions();
    let longest = made.iter().map(Vec::len).max();
    assert_eq!(longest, Some(MANY + 2), "the role, its description and its members");

    managed.delete(&id);
    let removed = 2 * MANY + 1;
    managed.place.raito(&["run", "--quiet"]).exits(4).says(&[&format!("--allow-revokes {removed}")]);
    managed.place.run(&["--allow-revokes", &removed.to_string()]);
    assert_eq!(managed.server.sql("shop", "select count(*) from pg_roles where rolname = 'many'"), "0");
    let gone = managed.transactions().split_off(made.len());
    assert_eq!(
        gone.iter().map(Vec::len).collect::<Vec<_>>(),
        [MANY, MANY + 1],
        "members, then privileges and the role"
    );
}
