//! What a statement rests on at the server: settings, the names that it uses, a pooler between the two,
//! and what becomes of it when raito is gone.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::changes::{WRITER, managed};
use crate::reads::{component, manifest, manifest_with, packed_by_hand, place};
use crate::support::pooler::Pooler;
use crate::support::postgres::READER;
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres};

/// What the cloud knows of a place's source, without what differs between two runs.
fn known(place: &Place) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for list in ["users", "objects", "access-controls"] {
        let page = place.get(&format!("/sources/shop/{list}?limit=1000"));
        for item in page["items"].as_array().expect("a list") {
            let mut item = item.clone();
            if let Some(fields) = item.as_object_mut() {
                fields.retain(|key, _| !key.contains("run") && !key.ends_with("-ms") && !key.ends_with("at"));
            }
            known.insert(format!("{list} {item}"));
        }
    }
    known
}

#[test]
fn what_somebody_put_beside_the_servers_own_is_refused() {
    let server = Postgres::start();
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.run(&[]);
    for (make, named, take) in [
        (
            "create function pg_catalog.quote_ident(name) returns text language sql as 'select $1::text'",
            "function quote_ident",
            "drop function pg_catalog.quote_ident(name)",
        ),
        (
            "create function public.same(oid, bigint) returns boolean language sql as 'select true';
             create operator pg_catalog.= (leftarg = oid, rightarg = bigint, function = public.same)",
            "operator =",
            "drop operator pg_catalog.= (oid, bigint); drop function public.same",
        ),
        ("create cast (text as bigint) with inout as implicit", "cast text to bigint", "drop cast (text as bigint)"),
        (
            "create function pg_catalog.set_option(pg_catalog.pg_auth_members) returns boolean language sql as 'select true'",
            "function set_option",
            "drop function pg_catalog.set_option(pg_catalog.pg_auth_members)",
        ),
        (
            "create schema evil; create function evil.cmp(aclitem, aclitem) returns int language sql as 'select 0';
             create function evil.is(aclitem, aclitem) returns boolean language sql as 'select true';
             create operator evil.< (leftarg = aclitem, rightarg = aclitem, function = evil.is);
             create operator evil.= (leftarg = aclitem, rightarg = aclitem, function = evil.is);
             create operator class evil.acls default for type aclitem using btree as
               operator 1 evil.<, operator 3 evil.=, function 1 evil.cmp(aclitem, aclitem)",
            "default operator class acls",
            "drop schema evil cascade",
        ),
    ] {
        server.sql("postgres", make);
        place.raito(&["run"]).exits(4).says(&["E-denied", "step 1", named, "beside the server's own"]);
        server.sql("postgres", take);
        place.run(&[]);
    }
}

/// Makes everything of a schema fail that a statement of the host could find there before it looks names
/// up among the server's own.
fn shadows(server: &Postgres, database: &str) {
    let mut sql = "create schema evil; grant usage on schema evil to public;\n".to_owned();
    let fails =
        "language plpgsql as $$ begin raise exception 'EVIL RUNS as % in %', current_user, current_query(); end $$";
    for (left, right) in [("text", "text"), ("name", "name"), ("name", "text"), ("oid", "oid"), ("boolean", "boolean")]
    {
        for (operator, name) in [("=", "eq"), ("<>", "ne"), (">=", "ge"), ("<", "lt"), ("||", "cat")] {
            let function = format!("evil.{name}_{left}_{right}");
            sql.push_str(&format!(
                "create function {function}({left}, {right}) returns boolean {fails}; \
                 create operator evil.{operator} (leftarg = {left}, rightarg = {right}, function = {function});\n"
            ));
        }
    }
    for function in [
        "current_setting(text)",
        "current_setting(text, boolean)",
        "set_config(text, text, boolean)",
        "pg_has_role(oid, text, text)",
        "has_parameter_privilege(text, text)",
        "bool_or(boolean)",
        "format_type(oid, integer)",
        "quote_ident(text)",
    ] {
        sql.push_str(&format!("create function evil.{function} returns text {fails};\n"));
    }
    sql.push_str("create domain evil.text as pg_catalog.text check (evil.eq_text_text(value, value));\n");
    sql.push_str(&format!("alter database {database} set search_path = evil, pg_catalog"));
    server.sql(database, &sql);
}

#[test]
fn nothing_of_a_databases_owner_runs_before_names_mean_the_servers_own() {
    for version in [crate::support::postgres::SYSTEM, crate::support::postgres::Version(18)] {
        let managed = crate::changes::managed_on(version, "createrole");
        shadows(&managed.server, "shop");
        let said = managed.place.raito(&["run"]);
        assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
        managed.place.raito(&["validate", "--connect"]).exits(0);
        managed.code(
            "a.yml",
            "version: 1\nrepository: corp/access\non: shop\nmanages: [{ kind: role, names: R_* }]\ngrants:\n  - name: R_A\n    \
             who: [{ user: ann }]\n    what: [{ object: table shop.sales.orders, permissions: [SELECT] }]\n",
        );
        managed.access(&["apply", "--yes"]).exits(0);
        let holds = "select pg_catalog.has_table_privilege('ann', 'sales.orders', 'select')";
        assert_eq!(managed.server.sql("shop", holds), "t");
    }
}

#[test]
fn settings_of_roles_and_databases_change_nothing() {
    let server = Postgres::start();
    server.sql("postgres", "create database shop; create role ann login; create role readers");
    server.sql(
        "shop",
        "create schema s; create table s.t (id int, \"select\" text); grant select on s.t to readers with grant option;
         create table s.filtered (id int); alter table s.filtered enable row level security;
         create policy p on s.filtered for select to readers using (id = 1 and current_user = 'a\\b');
         comment on table s.t is 'a\\b ''c'''",
    );
    server.sql(
        "shop",
        "create schema evil; grant usage on schema evil to public;
         create function evil.note() returns void language plpgsql security definer as
           $$ begin execute 'create table if not exists public.reached (x int)'; end $$;
         create function evil.lower(text) returns text language plpgsql as $$ begin perform evil.note(); return $1; end $$;
         create function evil.coalesce(text) returns text language sql as 'select $1';
         create view evil.pg_roles as select 1 as oid, 'evil'::name as rolname, evil.lower('x') as rolcanlogin",
    );
    let place = Place::new(&postgresql_target(&server, "shop", ""));
    place.run(&[]);
    let before = known(&place);
    assert!(before.len() > 20, "{before:#?}");
    for setting in [
        "search_path = evil, pg_catalog",
        "standard_conforming_strings = off",
        "backslash_quote = on",
        "quote_all_identifiers = on",
        "transform_null_equals = on",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = iso_8601",
        "timezone = 'Asia/Tokyo'",
        "bytea_output = escape",
        "extra_float_digits = -5",
        "client_encoding = 'LATIN1'",
        "statement_timeout = 0",
        "lock_timeout = 0",
        "row_security = on",
        "default_transaction_read_only = off",
        "default_transaction_isolation = 'serializable'",
    ] {
        server.sql("shop", &format!("alter role {READER} set {setting}; alter database shop set {setting}"));
    }
    place.run(&[]);
    assert_eq!(known(&place), before);
    assert_eq!(server.sql("shop", "select to_regclass('public.reached') is null"), "t", "nobody's function ran");
}

/// The target of `managed`, by way of a pooler.
fn through(pooler: &Pooler, managed: &crate::changes::Managed) -> String {
    let file = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("a configuration");
    file.replace(&format!("localhost:{}/", managed.server.port), &format!("localhost:{}/", pooler.port))
}

#[test]
fn a_pooler_serves_reads_and_changes_in_both_modes() {
    for mode in [
        "pool_mode = session",
        "pool_mode = transaction",
        // As many set-ups have it: options of the start are dropped without a word.
        "pool_mode = transaction\nignore_startup_parameters = extra_float_digits, options, search_path",
        "pool_mode = session\nignore_startup_parameters = options\nserver_reset_query_always = 1",
    ] {
        let managed = managed("createrole");
        let direct = known(&managed.place);
        let pooler = Pooler::start(&managed.server, &[READER, WRITER], mode);
        managed.place.configure(&through(&pooler, &managed));
        managed.place.run(&[]);
        assert_eq!(known(&managed.place), direct, "{mode}");
        managed.want(&json!({ "kind": "role", "name": "made", "description": "a\\b", "who": [managed.member("ann")], "what": [
            { "object": { "kind": "table", "path": ["shop", "sales", "orders"] }, "permissions": [{ "name": "SELECT" }] },
        ] }));
        managed.place.run(&["--apply-first"]);
        assert_eq!(managed.holds("made"), ["member ann", "shop sales.orders SELECT"], "{mode}");
        // Whoever gets the connections next finds none of our statements and settings.
        for user in [READER, WRITER] {
            let url = format!("host=localhost port={} user={user} dbname=shop sslmode=require", pooler.port);
            let mut psql = std::process::Command::new("psql");
            psql.env("PGPASSWORD", crate::support::postgres::PASSWORD).args(["-XAtq", &url, "-c"]);
            psql.arg(
                "select count(*), current_setting('row_security'), current_setting('jit') from pg_prepared_statements",
            );
            let output = psql.output().expect("psql runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0|on|on", "{mode}: {output:?}");
        }
    }
}

#[test]
fn a_pooler_that_takes_statements_apart_is_refused_with_what_to_do() {
    let managed = managed("createrole");
    let pooler = Pooler::start(&managed.server, &[READER, WRITER], "pool_mode = statement");
    managed.place.configure(&through(&pooler, &managed));
    managed.place.raito(&["run"]).fails().says(&["shop", "BEGIN"]);
}

#[test]
fn a_relation_of_users_is_read_without_running_its_owners_code() {
    let server = Postgres::start();
    server.sql(
        "postgres",
        &format!(
            "create table public.orders (id int, note text); insert into public.orders values (7, 'seven');
             create table public.filtered (id int, note text); alter table public.filtered enable row level security;
             create function public.owns() returns boolean language plpgsql as
               $$ begin raise exception 'the code of an owner ran'; end $$;
             create policy p on public.filtered using (public.owns());
             create view public.seen as select id, note from public.orders where public.owns();
             grant select on public.orders, public.filtered, public.seen to {READER}"
        ),
    );
    let target = |relation: &str, columns: &str| {
        let text = format!(
            "select o.id::bigint, o.note::text, true, true from public.{relation} o \
             where $after::bigint = 0 and $limit::bigint > 0"
        );
        let keys = format!("relations = {{ \"public.{relation}\" = {columns} }}");
        packed_by_hand(&component(), &manifest_with(&text, &keys))
    };
    let orders = target("orders", "[\"id\", \"note\"]");
    place(&server, &orders, "").raito(&["run"]).exits(4).says(&[
        "E-grant-missing",
        "reads id, note of public.orders, which runs code of its owner",
        "relations: [public.orders]",
    ]);
    let granted = place(&server, &orders, "relations: [public.orders]");
    granted.run(&[]);
    assert!(known(&granted).iter().any(|item| item.starts_with("users") && item.contains("seven")));
    for (relation, says) in
        [("filtered", "would be affected by row-level security policy"), ("seen", "is no column of a table there")]
    {
        let hostile = target(relation, "[\"id\", \"note\"]");
        let place = place(&server, &hostile, &format!("relations: [public.{relation}]"));
        place.raito(&["run"]).fails().says(&[says]);
    }
    // A column that is not there would be the call of a function with the row.
    server.sql("postgres", "alter table public.orders drop column note cascade");
    granted.raito(&["run"]).exits(4).says(&["reads note of public.orders, which is no column of a table there"]);
}

#[test]
fn a_statement_ends_soon_after_raito_was_killed() {
    let server = Postgres::start();
    let text = "select 1::bigint, pg_sleep(3600)::text, true, true where $after::bigint = 0 and $limit::bigint > 0";
    let hostile = packed_by_hand(&component(), &manifest(text, &["pg_sleep"]));
    let place = place(&server, &hostile, "calls: [pg_sleep]");
    let mut raito = place.command(&["run"]);
    let mut raito = raito.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let sleeping = || {
        let sql =
            format!("select count(*) from pg_stat_activity where usename = '{READER}' and query like '%pg_sleep%'");
        server.sql("postgres", &sql) != "0"
    };
    let wait_until = |wanted: bool, what: &str| {
        let began = Instant::now();
        while sleeping() != wanted {
            assert!(began.elapsed() < Duration::from_secs(120), "{what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    wait_until(true, "the statement never began");
    raito.kill().expect("killed");
    raito.wait().expect("ended");
    wait_until(false, "the statement sleeps on for an hour");
}

#[test]
fn validate_logs_in_where_it_is_asked_to_and_tells_what_a_run_would_find() {
    let managed = managed("createrole");
    let place = &managed.place;
    let outcome = place.raito(&["validate", "--connect"]).exits(0);
    for line in [
        "shop: sql.main shop as raito_read may read",
        "shop: sql.main crm as raito_write may change access",
        "note: temporary files of a statement have no bound: as a superuser, GRANT SET ON PARAMETER temp_file_limit TO \"raito_read\"",
    ] {
        assert!(outcome.stdout.contains(line), "{line}:\n{}", outcome.stdout);
    }
    managed.server.sql("postgres", &format!("grant set on parameter temp_file_limit to {READER}"));
    let outcome = place.raito(&["validate", "--connect"]).exits(0);
    assert!(!outcome.stdout.contains("note:"), "{}", outcome.stdout);
    let logins = place.raito(&["audit", "show", "--kind", "connect"]).exits(0).stdout;
    assert!(logins.matches(WRITER).count() >= 4, "{logins}");
    managed.server.sql("postgres", &format!("alter role {READER} superuser; alter role {WRITER} password 'another'"));
    let outcome = place.raito(&["validate", "--connect"]).fails();
    outcome.says(&["E-denied", "raito_read is a superuser", "E-target-unauthorized", "sql.main crm as raito_write"]);
    // What keeps it from logging in at all is a failure as well.
    let text = std::fs::read_to_string(place.path().join("raito.yml")).expect("a configuration");
    place.write("empty.pem", "");
    for (from, to, says) in [
        ("env: PG_PASSWORD", "env: NOT_SET_HERE", "NOT_SET_HERE"),
        ("env: PG_PASSWORD", "file: not-there", "not-there"),
        ("ca: ", "ca: empty.pem # ", "it has no certificate"),
    ] {
        place.configure(&text.replace(from, to));
        place.raito(&["validate", "--connect"]).fails().says(&["error[E-", says]);
    }
}
