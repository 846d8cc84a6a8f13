//! What real clusters hold and nobody expects: one odd thing never blinds a whole target.

use serde_json::Value;

use crate::access::statements;
use crate::changes::{Managed, managed_on};
use crate::support::postgres::{SYSTEM, Version};

/// The oldest and the newest server that there is.
const BOTH: [Version; 2] = [SYSTEM, Version(18)];

/// A role that reads a table, in a file.
const READERS: &str = "
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_READERS
    who: [{ user: ann }]
    what:
      - { object: table shop.sales.orders, permissions: [SELECT] }
";

impl Managed {
    /// Reads and plans, which must find everything.
    #[track_caller]
    fn goes_on(&self, what: &str) {
        let said = self.place.raito(&["run"]);
        assert_eq!(said.code, Some(0), "{what}: {}{}", said.stdout, said.stderr);
        for command in [&["plan"][..], &["drift"], &["export", "shop", "--output", "csv"]] {
            let said = self.access(command);
            assert_eq!(said.code, Some(0), "{what}: {command:?}: {}{}", said.stdout, said.stderr);
            assert!(!said.stdout.contains("try again"), "{what}: {command:?}: {}", said.stdout);
        }
    }

    fn control(&self, name: &str) -> Option<Value> {
        let controls = self.place.list("/sources/shop/access-controls");
        controls.into_iter().find(|control| control["name"] == name)
    }
}

#[test]
fn an_access_list_without_entries_is_read_everywhere() {
    for version in BOTH {
        let managed = managed_on(version, "superuser");
        managed.code("readers.yml", READERS);
        managed.access(&["apply", "--yes"]).exits(0);
        for made in [
            "create table sales.mine (id int); alter table sales.mine owner to ann; revoke all on sales.mine from ann",
            "create view sales.looks as select 1 as a; revoke all on sales.looks from postgres",
            "create materialized view sales.kept as select 1 as a; revoke all on sales.kept from postgres",
            "create sequence sales.counts; revoke all on sequence sales.counts from postgres",
            "create schema shut; revoke all on schema shut from postgres",
            "revoke all on function sales.total(text) from public, postgres",
            "create procedure sales.act() language sql as 'select 1'; revoke all on procedure sales.act() from public, postgres",
            "grant select (id) on sales.mine to bob; revoke select (id) on sales.mine from bob",
            "create database shut; revoke all on database shut from public, postgres",
            "alter default privileges for role ann revoke all on tables from ann",
            "alter default privileges for role ann revoke all on sequences from ann",
            "alter default privileges for role ann revoke all on functions from ann, public",
            "alter default privileges for role ann revoke all on schemas from ann",
        ] {
            for statement in made.split("; ") {
                managed.server.sql("shop", statement);
            }
            managed.goes_on(made);
        }
        let empty = "select count(*) from (select relacl as acl from pg_class union all select nspacl from pg_namespace
            union all select proacl from pg_proc union all select datacl from pg_database
            union all select defaclacl from pg_default_acl) l where cardinality(acl) = 0";
        assert_eq!(managed.server.sql("shop", empty), "12", "the lists are empty indeed");
        // An owner who took everything from themselves can give it back, and reads nothing until then.
        let who = managed.place.raito(&["who", "--user", "ann", "--output", "json"]).exits(0).value();
        let of_mine: Vec<&Value> = who["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|item| item["object"]["path"][2] == "mine")
            .collect();
        assert!(!of_mine.is_empty());
        for item in of_mine {
            assert!(item["permission"] == "OWNERSHIP" || item["how"] == "obtainable", "{item}");
        }
    }
}

#[test]
fn a_dropped_role_that_is_still_named_is_told_by_its_number_and_holds_nothing_back() {
    for version in BOTH {
        let managed = managed_on(version, "superuser");
        managed.code("readers.yml", READERS);
        managed.access(&["apply", "--yes"]).exits(0);
        let server = &managed.server;
        // Each one is granted something of its own, and leaves it behind.
        let names =
            ["on_table", "on_column", "on_schema", "on_routine", "on_database", "later", "in_policy", "granting"];
        for name in names {
            server.sql("postgres", &format!("create role {name}"));
        }
        server.sql(
            "shop",
            "grant select on sales.orders to on_table; grant select (id) on sales.customers to on_column;
             grant usage on schema sales to on_schema; grant execute on function sales.total(text) to on_routine;
             grant connect on database shop to on_database;
             alter default privileges in schema sales grant select on tables to later;
             create policy theirs on sales.customers for select to in_policy, ann using (true);
             grant select on sales.customers to granting with grant option; grant usage on schema sales to granting;
             set role granting; grant select on sales.customers to bob",
        );
        let oids: Vec<String> = names.iter().map(|name| managed.oid(name)).collect();
        server.sql("postgres", &format!("delete from pg_authid where rolname in ('{}')", names.join("', '")));
        managed.goes_on("dropped roles");
        for (name, oid) in names.iter().zip(&oids) {
            let control =
                managed.control(&format!("dropped role {oid}")).unwrap_or_else(|| panic!("{name} is not told"));
            assert_eq!((&control["kind"], &control["external-id"]), (&"dropped-role".into(), &oid.as_str().into()));
        }
        // The next plan is about what the files say, and sends nothing that names one of them.
        managed.code("readers.yml", &READERS.replace("sales.orders", "sales.customers"));
        let sent = statements(&managed.plan(3));
        assert!(sent.len() == 2 && sent.iter().all(|text| !oids.iter().any(|oid| text.contains(oid))), "{sent:?}");
        managed.access(&["apply", "--yes"]).exits(0);
        managed.goes_on("afterwards");
    }
}

#[test]
fn routines_of_every_kind_can_be_granted_by_a_rule() {
    for version in BOTH {
        let managed = managed_on(version, "superuser");
        managed.server.sql(
            "shop",
            "create schema odd;
             create procedure odd.act(a integer, inout b text) language sql as 'select b';
             create aggregate odd.adds(integer) (sfunc = int4pl, stype = integer, initcond = '0');
             create aggregate odd.counts(*) (sfunc = int8inc, stype = bigint, initcond = '0');
             create aggregate odd.middle(float8 order by anyelement) (sfunc = ordered_set_transition, stype = internal,
               finalfunc = percentile_disc_final, finalfunc_extra);
             create function odd.ranks() returns bigint language internal window as 'window_row_number';
             create function odd.many(variadic a integer[]) returns integer language sql as 'select 1';
             create function odd.rows(a integer, out b integer, out c text) returns setof record language sql as 'select 1, null::text';
             create function odd.\"A \"\"name\"() returns integer language sql as 'select 1';
             create function odd.long(a timestamp with time zone, b timestamp without time zone, c double precision[],
               d character varying, e bit varying, f \"char\", g sales.orders) returns integer language sql as 'select 1';
             revoke all on all routines in schema odd from public",
        );
        managed.code(
            "callers.yml",
            "
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_CALLERS
    who: [{ user: ann }]
    what:
      - { select: { kind: function, under: shop.odd }, permissions: [EXECUTE] }
      - { select: { kind: procedure, under: shop.odd }, permissions: [EXECUTE] }
",
        );
        managed.access(&["apply", "--yes"]).exits(0);
        let left = "select p.oid::regprocedure from pg_proc p where p.pronamespace = 'odd'::regnamespace
            and not has_function_privilege('ann', p.oid, 'execute')";
        assert_eq!(managed.server.rows("shop", left), [""; 0]);
        managed.plan(0);
        // The role can be deleted, whatever it may call.
        managed.code(
            "callers.yml",
            "version: 1\nrepository: corp/access\non: shop\nmanages: [{ kind: role, names: R_* }]\ngrants: []\n",
        );
        managed.access(&["apply", "--yes"]).exits(0);
        let left = "select count(*) from pg_roles where rolname = 'R_CALLERS'";
        assert_eq!(managed.server.sql("postgres", left), "0");
    }
}

#[test]
fn a_database_that_is_gone_or_answers_with_an_error_leaves_the_others_as_they_are() {
    let managed = managed_on(SYSTEM, "superuser");
    managed.code("readers.yml", READERS);
    managed.access(&["apply", "--yes"]).exits(0);
    managed.server.sql("postgres", "drop database crm");
    managed.server.sql("shop", "create table sales.later (id int)");
    let said = managed.place.raito(&["run"]);
    assert!(said.stdout.contains("crm") && said.stdout.contains("does not exist"), "{}{}", said.stdout, said.stderr);
    let objects = managed.place.list("/sources/shop/objects");
    assert!(objects.iter().any(|object| object["name"] == "later"), "the other database was read");
    managed.access(&["plan"]).exits(1).says(&["E-target-incomplete", "database crm"]);
}
