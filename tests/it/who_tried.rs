//! Answers tried for real: statements as the login, rows under row security, views of views, and objects that did not exist
//! when the catalogue was read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use raito_core::expansion::{How, NewObject, Rows, Snapshot};
use raito_core::record::ObjectRef;
use raito_core::text::{ExternalId, Kind, PermissionName};
use serde_json::{Value, json};

use crate::support::postgres::{ONLY_TLS, SYSTEM, Version};
use crate::support::raito::postgresql_target;
use crate::support::snapshot::Exported;
use crate::support::{Place, Postgres, Random};
use crate::who::{DATABASES, LOGINS, Names, fill, triples, whole};

/// Tries a statement as somebody, undoes it, and says whether it was allowed.
const TRIED: &str = "
create schema probe; grant usage on schema probe to public;
create function probe.tried(login text, statement text) returns boolean language plpgsql as $$
begin
    perform set_config('role', login, true);
    execute statement;
    raise exception using errcode = 'XX999';
exception
    when insufficient_privilege then return false;
    when sqlstate 'XX999' then return true;
end $$;";

/// Row security, views of views, and what each is good for.
const EXTRA: &str = "
create schema x; grant usage on schema x to public;
create table x.rows (id bigint, region text); insert into x.rows select i, case when i % 3 = 0 then 'eu' else 'us' end from generate_series(1, 12) i;
alter table x.rows enable row level security; grant select on x.rows to public; alter table x.rows owner to u20;
create role eu; create role reader login in role eu;
create policy eu_only on x.rows for select to g5, eu using (region = 'eu');
create policy small on x.rows for select to u21 using (id <= 4);
create policy even on x.rows as restrictive for select to u21, u22 using (id % 2 = 0);
create policy everything on x.rows for select to u22 using (true);
grant g5 to u23; grant insert, truncate on x.rows to u21;
create table x.base (id bigint); create view x.one as select id from x.base; create view x.two as select id from x.one;
alter view x.one owner to u24; alter view x.two owner to u25; grant select on x.base to u24; grant select on x.one to u25; grant select on x.two to u26;
create view x.lost as select id from x.base; alter view x.lost owner to u27; grant select on x.lost to u28;
create table x.parent (id bigint) partition by range (id); create table x.part partition of x.parent for values from (0) to (9);
grant select on x.parent to u29;
create function x.peek() returns bigint language sql security definer as 'select count(*) from x.base'; alter function x.peek() owner to u24;
alter default privileges for role u30 in schema x grant select on tables to u31;
alter default privileges for role u30 revoke execute on functions from public;
alter default privileges for role u30 grant insert on tables to public;
grant create on schema x to u30, u32;";

fn prepared(version: Version) -> (Postgres, Place, Snapshot, Random) {
    let mut random = Random::from_environment("answers are tried for real");
    let server = Postgres::start_version(version, "", ONLY_TLS);
    let number = server.sql("postgres", "show server_version_num").parse::<usize>().expect("a number") / 10_000;
    fill(&server, number, &mut random);
    for database in DATABASES {
        server.sql(database, TRIED);
    }
    server.sql("shop", EXTRA);
    let place = Place::new(&postgresql_target(&server, &DATABASES.join(", "), ""));
    place.run(&[]);
    let snapshot = whole(&Exported::new(place.export()));
    (server, place, snapshot, random)
}

/// The statement that needs just this privilege on a table of three columns.
fn statement(path: &[String], privilege: &str) -> Option<String> {
    let table = format!("{}.\"{}\"", path[1], path[2]);
    Some(match privilege {
        "SELECT" => format!("select * from {table}"),
        "INSERT" => format!("insert into {table} values (1, 'a', 'b')"),
        "UPDATE" => format!("update {table} set id = 1, region = 'a', note = 'b'"),
        "DELETE" => format!("delete from {table}"),
        "TRUNCATE" => format!("truncate {table}"),
        _ => return None,
    })
}

fn try_statements(server: &Postgres, snapshot: &Snapshot, random: &mut Random) {
    let version = server.sql("postgres", "show server_version_num").parse::<usize>().expect("a number") / 10_000;
    let all = triples(server, version);
    let names = Names::new(snapshot);
    let of_tables: Vec<_> = all
        .iter()
        .filter(|triple| triple.kind == "table" && triple.path[1].starts_with('s') && triple.path[0] != "archive")
        .filter(|triple| triple.user.starts_with('u'))
        .filter_map(|triple| Some((triple, statement(&triple.path, &triple.privilege)?)))
        .collect();
    for database in ["shop", "billing"] {
        let here: Vec<_> = of_tables.iter().filter(|(triple, _)| triple.path[0] == database).collect();
        let chosen: Vec<_> = (0..1_000).map(|_| *random.pick(&here)).collect();
        let mut sql = String::new();
        for (triple, statement) in &chosen {
            writeln!(sql, "select probe.tried('{}', $s${statement}$s$);", triple.user).expect("a text");
        }
        let answers = server.rows(database, &sql);
        assert_eq!(answers.len(), chosen.len());
        for ((triple, statement), allowed) in chosen.iter().zip(&answers) {
            let user = names.users[&triple.user];
            let held = |kind: &str, path: &[String]| {
                let object = names.objects[&(kind.to_owned(), path.to_vec())];
                let permission = names.permission(object, &triple.privilege);
                let why = snapshot.explain(user, object, permission);
                (why.how == Some(How::Active) && why.missing.is_empty(), why)
            };
            let (on_table, why) = held(&triple.kind, &triple.path);
            // The statement names all three columns, and a privilege on each of them does as well (manual, GRANT).
            let by_columns = matches!(triple.privilege.as_str(), "SELECT" | "INSERT" | "UPDATE")
                && ["id", "region", "note"]
                    .into_iter()
                    .all(|column| held("column", &[triple.path.as_slice(), &[column.to_owned()]].concat()).0);
            let expected = on_table || by_columns;
            assert_eq!(expected, allowed == "t", "{} as {}: {why:?}", statement, triple.user);
        }
    }
}

fn rows_are_as_predicted(server: &Postgres, snapshot: &Snapshot) {
    let names = Names::new(snapshot);
    let object = names.objects[&("table".to_owned(), ["shop", "x", "rows"].map(str::to_owned).to_vec())];
    let select = names.permission(object, "SELECT");
    let mut seen = BTreeSet::new();
    for login in (0..LOGINS).map(|at| format!("u{at}")) {
        let sql = format!("set role {login}; select count(*) from x.rows");
        let real: i64 = server.sql("shop", &sql).parse().expect("a number");
        let predicted = match snapshot.explain(names.users[&login], object, select).rows {
            Rows::All => 12,
            Rows::Nothing => 0,
            Rows::Filtered(by) => {
                let by: Vec<&str> = by.iter().map(|id| snapshot.principal(*id).name.as_str()).collect();
                let condition = |name: &str| match name.split(' ').next() {
                    Some("eu_only") => ("region = 'eu'", true),
                    Some("small") => ("id <= 4", true),
                    Some("even") => ("id % 2 = 0", false),
                    _ => ("true", true),
                };
                let of = |permissive: bool, joint: &str| {
                    let all: Vec<&str> = by
                        .iter()
                        .map(|name| condition(name))
                        .filter(|rule| rule.1 == permissive)
                        .map(|rule| rule.0)
                        .collect();
                    if all.is_empty() { "true".to_owned() } else { all.join(joint) }
                };
                let sql =
                    format!("select count(*) from x.rows where ({}) and ({})", of(true, " or "), of(false, " and "));
                server.sql("shop", &sql).parse().expect("a number")
            }
        };
        assert_eq!(predicted, real, "{login}");
        seen.insert(real);
    }
    assert!(seen.len() >= 4, "every case is there: {seen:?}");
    // No policy is about INSERT, so no row may be added; and none could be about TRUNCATE.
    let rows = |privilege: &str| snapshot.explain(names.users["u21"], object, names.permission(object, privilege)).rows;
    assert_eq!([rows("INSERT"), rows("TRUNCATE")], [Rows::Nothing, Rows::All]);
    let tried = |statement: &str| server.sql("shop", &format!("select probe.tried('u21', $s${statement}$s$)"));
    assert_eq!([tried("insert into x.rows values (1, 'eu')"), tried("truncate x.rows")], ["f", "t"]);
}

fn ways_through_views(place: &Place) {
    let indirect = |object: &str| -> Vec<(String, Vec<String>)> {
        let answer = place.raito(&["who", object, "--output", "json", "--permission", "SELECT"]).exits(0).value();
        let through = |item: &Value| -> Vec<String> {
            let names = item["through"].as_array().expect("a way").iter();
            names.map(|object| object["path"][2].as_str().expect("a name").to_owned()).collect()
        };
        let items = answer["indirect"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| (item["user"]["name"].as_str().expect("a name").to_owned(), through(item))).collect()
    };
    let base = indirect("table shop.x.base");
    assert!(base.contains(&("u26".to_owned(), vec!["two".to_owned(), "one".to_owned()])), "{base:?}");
    assert!(base.contains(&("u25".to_owned(), vec!["one".to_owned()])), "{base:?}");
    assert!(!base.iter().any(|(user, _)| user == "u28"), "the owner of the view has no SELECT: {base:?}");
    let part = indirect("table shop.x.part");
    assert!(part.contains(&("u29".to_owned(), vec!["parent".to_owned()])), "{part:?}");
    let answer = place.raito(&["who", "table shop.x.base", "--output", "json"]).exits(0).value();
    let may = answer["may-reach"].as_array().expect("routines");
    assert!(may.iter().any(|item| item["through"]["path"][2] == "peek"), "{may:?}");
    let human = place.raito(&["who", "table shop.x.rows", "--permission", "SELECT"]).exits(0).stdout;
    assert!(human.contains("rows filtered by eu_only on x.rows") && human.contains("no rows"), "{human}");
}

fn forecasts_come_true(server: &Postgres, snapshot: &Snapshot) {
    let names = Names::new(snapshot);
    let reference = |kind: &str, path: &[&str]| -> ObjectRef {
        serde_json::from_value(json!({ "kind": kind, "path": path })).expect("a reference")
    };
    for creator in ["u30", "u32"] {
        let oid = server.sql("shop", &format!("select oid from pg_roles where rolname = '{creator}'"));
        let forecast = |kind: &str| {
            snapshot.forecast(&NewObject {
                under: vec![reference("schema", &["shop", "x"]), reference("database", &["shop"])],
                kind: Kind::new(kind).expect("a kind"),
                creator: ExternalId::new(oid.as_str()).expect("an id"),
            })
        };
        server.sql("shop", &format!("set role {creator}; create table x.new_{creator} (id bigint); create function x.new_{creator}() returns bigint language sql as 'select 1::bigint'"));
        for (kind, function, permissions) in [
            (
                "table",
                format!("has_table_privilege(r.oid, 'x.new_{creator}', p)"),
                "'SELECT','INSERT','UPDATE','DELETE','TRIGGER'",
            ),
            ("function", format!("has_function_privilege(r.oid, 'x.new_{creator}()', p)"), "'EXECUTE'"),
        ] {
            let told = forecast(kind);
            let sql = format!(
                "select r.rolname, p from pg_roles r, unnest(array[{permissions}]) p where r.rolcanlogin and not r.rolsuper and {function}
                 and not pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') and not pg_has_role(r.oid, 'pg_write_all_data', 'USAGE')"
            );
            let real: BTreeSet<String> = server.rows("shop", &sql).into_iter().collect();
            let blanket = server.rows("shop", "select rolname from pg_roles r where r.rolsuper or pg_has_role(r.oid, 'pg_read_all_data', 'USAGE') or pg_has_role(r.oid, 'pg_write_all_data', 'USAGE')");
            let asked: Vec<PermissionName> = permissions
                .split(',')
                .map(|name| PermissionName::new(name.trim_matches('\'')).expect("a name"))
                .collect();
            let mut predicted = BTreeSet::new();
            for (permission, users) in told.iter().filter(|(name, _)| asked.contains(name)) {
                for user in users {
                    let name = snapshot.principal(*user).name.as_str();
                    if !blanket.iter().any(|other| other == name) {
                        predicted.insert(format!("{name}|{permission}"));
                    }
                }
            }
            assert_eq!(predicted, real, "{kind} of {creator}");
        }
    }
    assert!(!names.users.is_empty());
}

fn all(version: Version) {
    let (server, place, snapshot, mut random) = prepared(version);
    try_statements(&server, &snapshot, &mut random);
    rows_are_as_predicted(&server, &snapshot);
    ways_through_views(&place);
    forecasts_come_true(&server, &snapshot);
}

#[test]
fn answers_come_true_on_the_systems_postgresql() {
    all(SYSTEM);
}

#[test]
fn answers_come_true_on_postgresql_18() {
    all(Version(18));
}
