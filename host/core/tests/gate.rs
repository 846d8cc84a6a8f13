//! The gate for read statements: what it lets through, what it refuses and where, and what it sends.

use raito_core::sql::read::{Declared, ReadStatement};

fn parsed(text: &str) -> ReadStatement {
    ReadStatement::parse(text, &Declared::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match ReadStatement::parse(text, &Declared::default()) {
        Err(error) => error.to_string(),
        Ok(statement) => panic!("{text} is let through as {}", statement.text),
    }
}

fn declared(calls: &[&str], relations: &[(&str, &[&str])]) -> Declared {
    let columns = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
    Declared {
        calls: calls.iter().map(|name| (*name).to_owned()).collect(),
        relations: relations.iter().map(|(name, all)| ((*name).to_owned(), columns(all))).collect(),
    }
}

#[test]
fn one_tree_has_one_text() {
    for (text, sent) in [
        (
            "SELECT r.oid::int8, r.rolname FROM pg_roles r WHERE r.oid > $after::bigint::oid AND NOT r.rolsuper ORDER BY rolname DESC NULLS LAST LIMIT 5",
            "select r.oid::bigint, r.rolname\nfrom pg_catalog.pg_roles as r\nwhere (r.oid > $1::bigint::oid) and (not r.rolsuper)\norder by 2 desc nulls last\nlimit 5",
        ),
        (
            "select count(*), c.relkind as kind from pg_class as c group by kind having count(*) filter (where c.relrowsecurity) > 1",
            "select count(*), c.relkind as kind\nfrom pg_catalog.pg_class as c\ngroup by 2\nhaving count(*) filter (where c.relrowsecurity) > 1",
        ),
        (
            "select e.grantee from pg_class c, lateral aclexplode(c.relacl) e",
            "select e.grantee\nfrom pg_catalog.pg_class as c, aclexplode(c.relacl) as e (grantor, grantee, privilege_type, is_grantable)",
        ),
        (
            "with r as (select d.datname from pg_database d) select x.datname from r x union all (select n.nspname from pg_namespace n limit 1)",
            "with r as (select d.datname\n  from pg_catalog.pg_database as d)\nselect x.datname\nfrom r as x\nunion all (select n.nspname\n  from pg_catalog.pg_namespace as n\n  limit 1)",
        ),
        ("select 1 - 2 - 3, 1 - (2 - 3), - 1, 2 * (3 + 4)", "select (1 - 2) - 3, 1 - (2 - 3), -1, 2 * (3 + 4)"),
        ("select 'it''s' || current_user, pg_catalog.upper('a')", "select 'it''s' || current_user, upper('a')"),
    ] {
        assert_eq!(parsed(text).text.to_string(), sent);
    }
}

#[test]
fn names_of_parameters_are_shown_and_numbers_are_sent() {
    let statement = parsed("select $b::text, $a::bigint, $b::text");
    assert_eq!(statement.text.to_string(), "select $1::text, $2::bigint, $1::text");
    assert_eq!(statement.shown, "select $b::text, $a::bigint, $b::text");
    assert_eq!(statement.column_names(), ["column1", "column2", "column3"]);
}

#[test]
fn functions_in_the_clothes_of_columns_are_refused() {
    for text in [
        "select f.pg_sleep from unnest(array[1::double precision]) f (x)",
        "select ('x').pg_read_file",
        "select f.ts_stat from string_to_table('a', ',') f (x)",
        "select (c.relname).pg_terminate_backend from pg_class c",
        "select p.lo_creat from (select 1 as x) p",
        "select pg_class.to_jsonb from pg_class",
        "select c.pg_class from pg_class c",
    ] {
        refused(text);
    }
    assert!(refused("select f.pg_sleep from unnest(array[1]) f (x)").contains("f has no column pg_sleep: it has x"));
}

#[test]
fn whole_rows_and_renamed_columns_are_refused() {
    for text in [
        "select to_jsonb(a) from pg_attribute a",
        "select a from pg_attribute a",
        "select * from pg_roles",
        "select r.* from pg_roles r",
        "select count(r.*) from pg_roles r",
        "select p.c from pg_proc p (a1, a2, c)",
        "select q.x from (select 1) q (x)",
        "select 1 from pg_class c natural join pg_namespace n",
        "select 1 from pg_class c join pg_type t using (oid)",
        "select row(c.oid) from pg_class c",
        "select (c.oid, c.relname) from pg_class c",
        "select oid from pg_class",
    ] {
        refused(text);
    }
}

#[test]
fn relations_and_columns_are_on_lists_wherever_they_are_named() {
    for (text, name) in [
        ("select a.rolpassword from pg_authid a", "pg_catalog.pg_authid"),
        (
            "select u.umoptions from information_schema.user_mapping_options u",
            "information_schema.user_mapping_options",
        ),
        ("select p.prosrc from pg_proc p", "prosrc is not on the host's list of columns"),
        ("select a.attmissingval from pg_attribute a", "attmissingval"),
        ("select s.setconfig from pg_db_role_setting s", "setconfig"),
        ("select s.setting from pg_settings s", "pg_catalog.pg_settings"),
        ("select a.query from pg_stat_activity a", "pg_catalog.pg_stat_activity"),
        ("select 1 where exists (select 1 from sales.orders o)", "sales.orders"),
        ("select 1 union select a.rolpassword::int from pg_authid a", "pg_catalog.pg_authid"),
        ("select 1 order by (select max(o.id) from sales.orders o)", "sales.orders"),
    ] {
        assert!(refused(text).contains(name), "{text}: {}", refused(text));
    }
    for text in ["table pg_authid", "select 1 union table pg_authid", "select 1 union (table pg_authid)", "values (1)"]
    {
        refused(text);
    }
}

#[test]
fn functions_are_on_a_list_wherever_they_are_called() {
    for text in [
        "select pg_sleep(1)",
        "select lower(pg_read_file('x'))",
        "select d.x from dblink_exec('x', 'y') d (x)",
        "select 1 order by pg_sleep(1)",
        "select count(*) filter (where pg_sleep(1) is null) from pg_roles r",
        "select string_agg('a', ',' order by pg_sleep(1)) from pg_roles r",
        "select 1 from pg_roles r group by pg_sleep(1)",
        "select 1 from pg_roles r limit (select pg_sleep(1))",
        "select case when pg_sleep(1) is null then 1 end",
        "select array(select pg_sleep(1))",
        "select $x::text[][pg_sleep(1)]",
        "select public.lower('x')",
        "select lpad('x', 260000000)",
        "select set_config('a', 'b', true)",
        "select current_setting('is_superuser')",
        "select current_setting('log_' || 'line_prefix')",
        "select pg_get_viewdef(c.oid) from pg_class c",
        "select pg_input_is_valid('1', 'evil')",
        "select unnest(array[1])",
        "select 'x'::regtype",
        "select 'x'::public.evil",
        "select public.evil 'x'",
        "select interval '1 day'",
        "select 1 operator(public.+) 2",
    ] {
        refused(text);
    }
}

#[test]
fn whatever_is_no_plain_query_is_refused() {
    for text in [
        "",
        "commit",
        "show server_version",
        "update pg_class set relname = 'x'",
        "with x as (delete from t returning 1) select 1",
        "with recursive x as (select 1) select 1",
        "select 1 into t",
        "select 1 from pg_class c for update",
        "select 1; select 2",
        "select 1 from pg_class c tablesample system (1)",
        "select distinct on (1) 1",
        "select 1 from pg_class c group by cube (1)",
        "select count(*) over () from pg_class c",
        "select 1 from only pg_class c",
        "select 1 limit all",
        "explain select 1",
        "do 'x'",
        "call f()",
        "select 1 fetch first row only",
    ] {
        refused(text);
    }
}

#[test]
fn an_alias_means_one_thing_in_a_whole_statement() {
    for text in [
        "select 1 from pg_class c, pg_class c",
        "select 1 from pg_class c where exists (select 1 from pg_type c)",
        "with pg_class as (select 1 as oid) select pg_class.oid from pg_class",
        "with c as (select 1 as oid) select c.oid from pg_class c",
        "select x.oid from (select c.oid from pg_class c) x where c.oid = 1",
    ] {
        refused(text);
    }
    parsed("select c.oid from pg_class c where exists (select 1 from pg_type t where t.typrelid = c.oid)");
}

#[test]
fn a_declaration_widens_a_statement_by_what_it_names_and_nothing_else() {
    let parse =
        |text: &str, declared: &Declared| ReadStatement::parse(text, declared).map_err(|error| error.to_string());
    let logs = declared(&["pg_ls_logdir"], &[]);
    assert!(parse("select f.name from pg_ls_logdir() f (name)", &logs).is_ok());
    assert!(parse("select f.name from pg_ls_logdir() f", &logs).expect_err("no names").contains("name the columns"));
    assert!(parse("select 1", &logs).expect_err("unused").contains("does not need"));
    let orders = declared(&[], &[("sales.orders", &["id"])]);
    assert!(parse("select o.id::text from sales.orders o", &orders).is_ok());
    assert!(parse("select o.id from sales.orders o", &orders).expect_err("no cast").contains("is not cast"));
    assert!(parse("select o.total::text from sales.orders o", &orders).is_err());
    assert!(parse("select o.id::text from sales.other o", &orders).is_err());
    let config = declared(&[], &[("pg_catalog.pg_db_role_setting", &["setconfig"])]);
    let statement = parse("select s.setconfig::text from pg_db_role_setting s", &config).expect("declared");
    assert_eq!(statement.uses.unlisted_relations().count(), 1);
    assert_eq!(statement.uses.foreign_relations().count(), 0);
}

#[test]
fn an_error_names_its_line_and_column() {
    let text = "select c.oid::bigint,\n       c.relnaem\nfrom pg_class c";
    assert!(refused(text).starts_with("line 2, column 8 of the statement: relnaem is not on"), "{}", refused(text));
    assert!(refused("select c.oid\nfrom pg_classes c").starts_with("line 2, column 6"));
    assert!(refused("select 1,\n  lpad('a', 9)").starts_with("line 2, column 3"));
}

#[test]
fn a_statement_of_any_depth_is_one_error_or_let_through() {
    for depth in [1, 10, 30, 63, 64, 65, 1_000, 100_000] {
        let texts = [
            format!("select {}1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("select 1{}", " + 1".repeat(depth)),
            format!("select 1{}", "::text".repeat(depth)),
            format!("select {}1", "- ".repeat(depth)),
            format!("select {}true", "not ".repeat(depth)),
            format!("select {}1{}", "case when true then ".repeat(depth), " end".repeat(depth)),
            format!("select 1{}", " union select 1".repeat(depth)),
            format!("{}select 1{}", "(".repeat(depth), ")".repeat(depth)),
            format!("select {}1{}", "(select ".repeat(depth), ")".repeat(depth)),
            format!("select {}1{}", "lower(".repeat(depth), ")".repeat(depth)),
            format!("select {}", vec!["true"; depth].join(" and ")),
            format!("select {}", vec!["1"; depth].join(", ")),
        ];
        for text in texts {
            if let Ok(statement) = ReadStatement::parse(&text, &Declared::default()) {
                assert_eq!(statement.clone(), statement);
            }
        }
    }
}

#[test]
fn a_column_that_doubles_from_query_to_query_is_refused() {
    let doubled = |levels: usize| {
        let mut text = "select 'x' as t".to_owned();
        for level in 0..levels {
            text = format!("select q{level}.t || q{level}.t as t from ({text}) q{level}");
        }
        format!("select length(z.t) from ({text}) z")
    };
    parsed(&doubled(8));
    assert!(refused(&doubled(24)).contains("too large"), "it would have 16 million parts");
    let common = (1..24).fold("with c0 as (select 'x' as t)".to_owned(), |text, level| {
        format!("{text}, c{level} as (select a{level}.t || a{level}.t as t from c{} a{level})", level - 1)
    });
    assert!(refused(&format!("{common} select z.t from c23 z")).contains("too large"));
    let many = |count: usize| (0..count).map(|at| format!("1 as c{at}")).collect::<Vec<_>>().join(", ");
    parsed(&format!("select {}", many(1_664)));
    assert!(refused(&format!("select {}", many(1_665))).contains("at most 1664"));
}
