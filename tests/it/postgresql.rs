//! Steps 1 to 3 on a real PostgreSQL, compared with what its own catalogue says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Random};

/// How large a server is made: roles, tables in each of two databases, and grantees drawn for each table.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) roles: usize,
    pub(crate) tables: usize,
    pub(crate) grantees: usize,
}

/// About 100,000 grants.
pub(crate) const FULL: Size = Size { roles: 1_100, tables: 500, grantees: 52 };

/// Makes roles, two databases with tables, and grants.
pub(crate) fn fill(server: &Postgres, random: &mut Random, size: Size) {
    let mut roles = String::new();
    for index in 0..size.roles {
        let login = if index % 3 == 0 { "login" } else { "nologin" };
        let inherit = if random.chance(15) { "noinherit" } else { "inherit" };
        writeln!(roles, "create role \"role {index}\" {login} {inherit};").expect("a text");
    }
    for _ in 0..size.roles * 15 / 11 {
        let (member, role) = (random.below(size.roles), random.below(size.roles));
        if member < role {
            let admin = if random.chance(10) { " with admin option" } else { "" };
            writeln!(roles, "grant \"role {role}\" to \"role {member}\"{admin};").expect("a text");
        }
    }
    roles.push_str("comment on role \"role 7\" is 'Seven: a role with a ''comment''';\ncreate database shop;\ncreate database \"back office\";\n");
    server.sql("postgres", &roles);
    for database in ["shop", "back office"] {
        server.sql(database, &objects(random, size));
    }
}

/// Statements that fill one database.
fn objects(random: &mut Random, size: Size) -> String {
    const TABLE: [&str; 7] = ["select", "insert", "update", "delete", "truncate", "references", "trigger"];
    let mut sql = String::from("begin;\n");
    for schema in 0..10 {
        writeln!(sql, "create schema s{schema}; grant usage on schema s{schema} to \"role {schema}\", public;")
            .expect("a text");
    }
    for table in 0..size.tables {
        let schema = table % 10;
        writeln!(sql, "create table s{schema}.\"Table {table}\" (id bigint, \"Name\" text, note varchar(20));")
            .expect("a text");
        let grantees: BTreeSet<usize> = (0..size.grantees).map(|_| random.below(size.roles)).collect();
        for grantee in grantees {
            let privileges: BTreeSet<&str> = (0..2).map(|_| *random.pick(&TABLE)).collect();
            let option = if random.chance(5) { " with grant option" } else { "" };
            let list: Vec<&str> = privileges.into_iter().collect();
            writeln!(sql, "grant {} on s{schema}.\"Table {table}\" to \"role {grantee}\"{option};", list.join(", "))
                .expect("a text");
        }
        if table % 7 == 0 {
            writeln!(
                sql,
                "grant select (id, \"Name\"), update (note) on s{schema}.\"Table {table}\" to \"role {}\";",
                random.below(size.roles)
            )
            .expect("a text");
        }
        if table % 50 == 0 {
            writeln!(sql, "alter table s{schema}.\"Table {table}\" owner to \"role {table}\";").expect("a text");
        }
    }
    sql.push_str(
        "create view s0.v as select id from s0.\"Table 0\"; create materialized view s0.m as select 1 as one;\n\
         create sequence s1.counter; grant usage on sequence s1.counter to \"role 3\";\n\
         create function s2.f(a integer, b text) returns integer language sql as 'select 1';\n\
         create function s2.f(a integer) returns integer language sql security definer as 'select 1';\n\
         create procedure s2.p() language sql as 'select 1';\n\
         revoke execute on function s2.f(integer) from public; grant execute on function s2.f(integer) to \"role 5\";\n\
         alter default privileges for role \"role 1\" in schema s3 grant select on tables to \"role 2\" with grant option;\n\
         alter default privileges for role \"role 1\" grant execute on functions to \"role 2\";\n\
         alter table s4.\"Table 4\" enable row level security;\n\
         create policy eu_only on s4.\"Table 4\" for select to \"role 9\", \"role 10\" using (\"Name\" = 'eu');\n\
         create policy deny_all on s4.\"Table 4\" as restrictive using (true) with check (false);\n\
         alter table s5.\"Table 5\" enable row level security; alter table s5.\"Table 5\" force row level security;\n\
         comment on table s0.\"Table 0\" is 'The first';\n\
         comment on column s0.\"Table 0\".\"Name\" is 'A name';\ncommit;\n",
    );
    sql
}

/// What the catalogue says of the privileges on relations: (role, path, privilege, grantable, grantor), as lines.
const RELATION_FACTS: &str = r#"
select coalesce(g.rolname, 'PUBLIC'), current_database(), n.nspname, c.relname, a.privilege_type, a.is_grantable, o.rolname
from pg_class c join pg_namespace n on n.oid = c.relnamespace,
     aclexplode(coalesce(c.relacl, acldefault(case when c.relkind = 'S' then 's' else 'r' end::"char", c.relowner))) a
     left join pg_roles g on g.oid = a.grantee join pg_roles o on o.oid = a.grantor
where c.relkind in ('r','p','v','m','f','S') and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\_%'
order by 1, 2, 3, 4, 5, 7"#;

/// The facts of the export, in the same words.
struct Exported {
    /// Control key to name.
    controls: BTreeMap<String, String>,
    /// External id to name.
    names: BTreeMap<String, String>,
    /// Object key to kind and path.
    objects: BTreeMap<String, (String, Vec<String>)>,
    lines: Vec<Value>,
}

impl Exported {
    fn of(place: &Place) -> Self {
        let lines = place.export();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut exported =
            Self { controls: BTreeMap::new(), names: BTreeMap::new(), objects: BTreeMap::new(), lines: Vec::new() };
        for line in &lines {
            match line[0].as_str() {
                Some("access_controls") => {
                    exported.controls.insert(text(&line[1]), text(&line[4]));
                    exported.names.insert(text(&line[2]), text(&line[4]));
                }
                Some("objects") => {
                    let path: Vec<String> = serde_json::from_str(line[5].as_str().expect("a path")).expect("JSON");
                    exported.objects.insert(text(&line[7]), (text(&line[4]), path));
                }
                _ => {}
            }
        }
        exported.lines = lines;
        exported
    }

    fn count(&self, table: &str) -> usize {
        self.lines.iter().filter(|line| line[0] == table).count()
    }

    /// Facts about relations of one database, in the words of [`RELATION_FACTS`]: without those of ownership.
    fn relation_facts(&self, database: &str) -> BTreeSet<String> {
        self.facts(database, &["table", "view", "materialized-view", "foreign-table", "sequence"])
    }

    /// The same about objects of these kinds.
    fn facts(&self, database: &str, kinds: &[&str]) -> BTreeSet<String> {
        let facts = self.lines.iter().filter(|line| line[0] == "facts" && line[4] != "OWNERSHIP");
        let told = facts.filter_map(|line| {
            let (kind, path) = self.objects.get(line[3].as_str()?)?;
            let here = kinds.contains(&kind.as_str()) && path.first().map(String::as_str) == Some(database);
            let control = &self.controls[line[1].as_str()?];
            let grantor = &self.names[line[6].as_str()?];
            let grantable = if line[5] == 1 { "t" } else { "f" };
            here.then(|| {
                format!("{control}|{}|{}|{grantable}|{grantor}", path.join("|"), line[4].as_str().unwrap_or_default())
            })
        });
        told.collect()
    }
}

fn number(server: &Postgres, database: &str, sql: &str) -> usize {
    server.sql(database, sql).parse().expect("a number")
}

/// What a report says of a step: (added, updated, unchanged, removed, kept).
fn counts(report: &Value, step: &str) -> [u64; 5] {
    let steps = report["targets"][0]["steps"].as_array().expect("steps");
    let step = steps.iter().find(|candidate| candidate["step"] == step).unwrap_or_else(|| panic!("{report:#}"));
    ["added", "updated", "unchanged", "removed", "kept"].map(|key| step["receipt"][key].as_u64().expect("a number"))
}

const READ_STEPS: [&str; 3] = ["identity-store", "data-source", "access-from-target"];

#[test]
fn the_cloud_holds_what_the_catalogue_says_and_follows_its_changes() {
    let mut random = Random::from_environment("the_cloud_holds_what_the_catalogue_says");
    let server = Postgres::start();
    fill(&server, &mut random, FULL);
    let place = Place::new(&postgresql_target(&server, "shop, back office", ""));
    place.run(&[]);

    let exported = Exported::of(&place);
    compare_counts(&server, &exported);
    let mut all = Vec::new();
    for database in ["shop", "back office"] {
        let expected: BTreeSet<String> = server.rows(database, RELATION_FACTS).into_iter().collect();
        let told = exported.relation_facts(database);
        assert_eq!(told.len(), expected.len(), "{database}");
        all.extend(expected.into_iter().map(|fact| (told.contains(&fact), fact)));
    }
    assert!(all.len() >= 90_000, "{} facts", all.len());
    for _ in 0..1_000 {
        let (told, fact) = random.pick(&all);
        assert!(told, "the catalogue says {fact}, and the cloud does not");
    }

    let second = place.run(&[]);
    for step in READ_STEPS {
        let [added, updated, unchanged, removed, kept] = counts(&second, step);
        assert_eq!([added, updated, removed, kept], [0; 4], "{step}");
        assert!(unchanged > 0, "{step}");
    }
    follows_changes(&server, &place);
}

fn compare_counts(server: &Postgres, exported: &Exported) {
    const OURS: &str = "n.nspname not in ('pg_catalog', 'information_schema') and n.nspname not like 'pg\\_%'";
    let both = |sql: &str| ["shop", "back office"].iter().map(|name| number(server, name, sql)).sum::<usize>();
    let cluster = |sql: &str| number(server, "postgres", sql);
    assert_eq!(exported.count("users"), cluster("select count(*) from pg_roles where rolcanlogin"));
    let databases = cluster("select count(*) from pg_database where datallowconn");
    // Each policy, and what hides every other row of a table with row security.
    let policies = both("select count(*) from pg_policy") + both("select count(*) from pg_class where relrowsecurity");
    // PUBLIC, the creator, five attributes, and the owner of each database.
    let built_in = 2 + 5 + databases;
    assert_eq!(exported.count("access_controls"), cluster("select count(*) from pg_roles") + built_in + policies);
    let of_policies = both("select coalesce(sum(cardinality(polroles)), 0) from pg_policy");
    // Whoever acts as a role with an attribute, and its own user; each attribute is counted.
    let of_attributes = cluster(
        "select sum((1 + rolcanlogin::int) * (rolsuper::int + rolcreaterole::int + rolcreatedb::int + rolreplication::int + rolbypassrls::int)) from pg_roles",
    );
    // Until 15, CREATEROLE may admit to every role that is no superuser.
    let admitting = cluster(
        "select case when current_setting('server_version_num')::int < 160000 then count(*) else 0 end from pg_roles where not rolsuper",
    );
    let memberships = cluster("select count(*) from pg_auth_members") + exported.count("users") + 2 + databases;
    assert_eq!(exported.count("members"), memberships + of_policies + of_attributes + admitting);
    let relations = both(&format!(
        "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where {OURS} and relkind in ('r','p','v','m','f','S')"
    ));
    let schemas = both(&format!("select count(*) from pg_namespace n where {OURS}"));
    let columns = both(&format!(
        "select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
         where {OURS} and relkind in ('r','p','v','m','f') and attnum > 0 and not attisdropped"
    ));
    let routines =
        both(&format!("select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {OURS}"));
    assert_eq!(exported.count("objects"), 1 + databases + schemas + relations + columns + routines);
    // Built in, for each database: what the creator has on tables and their kin, on sequences, schemas and routines, and
    // EXECUTE for everybody. Of the two that were made: four kinds like tables; functions and procedures for three grantees,
    // and that the creator owns them.
    let maintain = cluster("select (current_setting('server_version_num')::int >= 170000)::int");
    let standings = databases * (4 * (8 + maintain) + 4 + 3 + 2 * 2 + 2) + 2 * (4 + 2 * 3 + 2);
    assert_eq!(exported.count("standings"), standings);
}

/// A dropped table and a revoked grant are gone after the next run, and nothing is while a database does not answer.
fn follows_changes(server: &Postgres, place: &Place) {
    let lost = number(
        server,
        "shop",
        "select count(*) from pg_class c, aclexplode(coalesce(relacl, acldefault('r', relowner))) where relname = 'Table 21'",
    );
    let of_columns = number(
        server,
        "shop",
        "select count(*) from pg_attribute t, aclexplode(attacl) where attrelid = 's1.\"Table 21\"'::regclass and attacl is not null",
    );
    server.sql("shop", "drop table s1.\"Table 21\"; revoke usage on sequence s1.counter from \"role 3\"");
    let third = place.run(&["--allow-removals", &(lost + of_columns + 2).to_string()]);
    assert_eq!(counts(&third, "data-source")[3], 4, "the table and its three columns");
    // Its privileges, its owner's fact, those on its columns, and the one that was revoked.
    assert_eq!(counts(&third, "access-from-target")[3], (lost + 1 + of_columns + 1) as u64);

    server.sql("shop", "revoke all on s0.\"Table 0\" from \"role 0\", \"role 1\"; drop table s2.\"Table 2\"");
    server.close("\"back office\"", true);
    let before = place.list("/sources/shop/objects?prefix=Table").len();
    server.sql("postgres", "revoke connect on database shop from public");
    let outcome = place.raito(&["run"]).exits(1);
    assert!(outcome.stderr.contains("shop"), "{}", outcome.stderr);
    assert_eq!(place.list("/sources/shop/objects?prefix=Table").len(), before, "nothing is removed");
    server.close("shop", false);
    let fourth = place.run(&["--allow-removals", "100000"]);
    let [_, _, _, removed, kept] = counts(&fourth, "data-source");
    assert_eq!(removed, 4, "of the database that answers");
    assert!(kept > 2_000, "of the one that does not: {kept}");
    let [_, _, _, _, kept] = counts(&fourth, "access-from-target");
    assert!(kept > 40_000, "facts of the database that does not answer: {kept}");
    server.close("\"back office\"", false);
    let fifth = place.run(&[]);
    assert_eq!(counts(&fifth, "data-source")[3..], [0, 0]);
}

#[test]
fn what_is_told_depends_on_no_page() {
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create schema s; create role a; create role b; grant a to b; create table s.one (id bigint, name text);
         create table s.two (id bigint); create view s.three as select id from s.two; grant select on s.one to a, b;
         grant update (name) on s.one to b; create function s.f(x integer) returns integer language sql as 'select 1';
         grant execute on function s.f(integer) to a; alter default privileges in schema s grant select on tables to b;
         alter table s.one enable row level security; create policy p on s.one to a using (true); create policy q on s.one to b using (id > 1)",
    );
    let told = |settings: &str| {
        let place = Place::new(&format!("{}{settings}", postgresql_target(&server, "postgres", "")));
        place.run(&[]);
        place.digest()
    };
    let whole = told("");
    for size in [1, 2, 3] {
        assert_eq!(told(&format!("    settings: {{ page-size: {size} }}\n")), whole, "pages of {size}");
    }
}

/// An access list is told in several rows where it has more than 5,000 entries: here it ends between two permissions of one role.
#[test]
fn an_access_list_that_takes_several_rows_is_told_whole() {
    const ROLES: usize = 2_600;
    let server = Postgres::start();
    server.sql(
        "postgres",
        &format!(
            "create schema much; create role first; grant usage on schema much to first;
             do $$ begin
               for n in 1..{ROLES} loop execute format('create role %I', 'r' || n); end loop;
               execute 'grant usage, create on schema much to ' || (select string_agg('r' || n, ',') from generate_series(1, {ROLES}) n);
             end $$"
        ),
    );
    let place = Place::new(&postgresql_target(&server, "postgres", ""));
    place.run(&[]);
    let told = Exported::of(&place).facts("postgres", &["schema"]);
    let mut expected: BTreeSet<String> = (1..=ROLES)
        .flat_map(|number| ["USAGE", "CREATE"].map(|name| format!("r{number}|postgres|much|{name}|f|postgres")))
        .collect();
    expected.insert("first|postgres|much|USAGE|f|postgres".to_owned());
    let of_owner = |line: &&String| line.starts_with("postgres|");
    let others: BTreeSet<String> =
        told.iter().filter(|line| line.contains("|much|")).filter(|line| !of_owner(line)).cloned().collect();
    let wrong: Vec<&String> = others.symmetric_difference(&expected).take(10).collect();
    assert!(wrong.is_empty(), "{} told: {wrong:?}", others.len());
}
