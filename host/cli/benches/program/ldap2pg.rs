//! Planning the access of one PostgreSQL from files: `raito access plan`, and ldap2pg 5.9 where `RAITO_BENCH_LDAP2PG` names it, on
//! the same server and with the same input: 1,000 people in 100 roles, which hold 100,000 permissions on 1,000 tables.
//!
//! ldap2pg speaks of all tables of a schema, so that is what the input says; it is dry by default, and needs no directory where its
//! rules name the roles. What raito has to read is more: objects, columns, policies, who granted what, and what everybody has.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::support::postgres::{PASSWORD, SUPERUSER};
use super::support::raito::postgresql_target;
use super::support::{Place, Postgres};
use super::{Cost, measure};

const PEOPLE: usize = 1_000;
const ROLES: usize = 100;
const SCHEMAS: usize = 20;
const TABLES_OF_SCHEMA: usize = 50;
const SCHEMAS_OF_ROLE: usize = 5;
const RUNS: usize = 9;
/// What ldap2pg writes of each role, so that there is nothing to do for either.
const COMMENT: &str = "Managed by ldap2pg";

/// The roles that somebody is a member of.
fn roles_of(person: usize) -> [usize; 2] {
    [person % ROLES, (person * 7 + 1 + person / ROLES) % ROLES]
}

/// The schemas that a role reads and writes.
fn schemas_of(role: usize) -> impl Iterator<Item = usize> {
    (0..SCHEMAS_OF_ROLE).map(move |at| (role + at * 3) % SCHEMAS)
}

/// A role with its people and its schemas.
struct Role {
    number: usize,
    people: Vec<usize>,
    schemas: Vec<usize>,
}

fn roles() -> Vec<Role> {
    let role = |number| {
        let people = (0..PEOPLE).filter(|person| roles_of(*person).contains(&number)).collect();
        Role { number, people, schemas: schemas_of(number).collect() }
    };
    (0..ROLES).map(role).collect()
}

/// What the server has.
fn sql(roles: &[Role]) -> String {
    let mut sql = String::from("begin;\n");
    for person in 0..PEOPLE {
        writeln!(sql, "create role u{person} login;").expect("a text");
    }
    for schema in 0..SCHEMAS {
        writeln!(sql, "create schema s{schema};").expect("a text");
        for table in 0..TABLES_OF_SCHEMA {
            writeln!(sql, "create table s{schema}.t{table} (id bigint, name text, note text);").expect("a text");
        }
    }
    for Role { number, people, schemas } in roles {
        let people: Vec<String> = people.iter().map(|person| format!("u{person}")).collect();
        writeln!(sql, "create role r_{number}; comment on role r_{number} is '{COMMENT}';").expect("a text");
        writeln!(sql, "grant r_{number} to {};", people.join(", ")).expect("a text");
        for schema in schemas {
            writeln!(
                sql,
                "grant usage on schema s{schema} to r_{number};
                 grant select, insert, update, delete on all tables in schema s{schema} to r_{number};"
            )
            .expect("a text");
        }
    }
    sql.push_str("commit;\n");
    sql
}

/// The same as access code.
fn access_code(roles: &[Role]) -> String {
    let mut text =
        String::from("version: 1\nrepository: bench\non: shop\nmanages: [{ kind: role, names: r_* }]\ngrants:\n");
    for Role { number, people, schemas } in roles {
        let mut line = |line: String| writeln!(text, "{line}").expect("a text");
        line(format!("  - name: r_{number}\n    description: {COMMENT}\n    who:"));
        people.iter().for_each(|person| line(format!("      - {{ user: u{person} }}")));
        line("    what:".to_owned());
        for schema in schemas {
            line(format!("      - {{ object: schema postgres.s{schema}, permissions: [USAGE] }}"));
            line(format!("      - select: {{ kind: table, under: postgres.s{schema} }}"));
            line("        permissions: [SELECT, INSERT, UPDATE, DELETE]".to_owned());
        }
    }
    text
}

/// The same for ldap2pg 5.9.
fn ldap2pg_rules(roles: &[Role]) -> String {
    let mut text = String::from(
        "version: 5\npostgres:\n  databases_query: [postgres]\n  managed_roles_query: |\n    select rolname from pg_roles where rolname ~ \
         '^(u|r_)[0-9]+$'\n  schemas_query: |\n    select nspname from pg_namespace where nspname ~ '^s[0-9]+$'\nprivileges:\n  all: \
         [__usage_on_schemas__, __select_on_tables__, __insert_on_tables__, __update_on_tables__, __delete_on_tables__]\n\
         sync_map:\n- roles:\n",
    );
    for Role { number, .. } in roles {
        writeln!(text, "  - names: [r_{number}]").expect("a text");
    }
    for person in 0..PEOPLE {
        let mut parents = roles_of(person).map(|role| format!("r_{role}")).to_vec();
        parents.dedup();
        writeln!(text, "  - {{ names: [u{person}], options: LOGIN, parents: [{}] }}", parents.join(", "))
            .expect("a text");
    }
    for Role { number, schemas, .. } in roles {
        for schema in schemas {
            writeln!(text, "- grant: {{ privilege: all, database: postgres, schema: s{schema}, role: r_{number} }}")
                .expect("a text");
        }
    }
    text
}

fn ldap2pg(program: &Path, place: &Place, server: &Postgres, mode: &str) -> Command {
    let mut command = Command::new(program);
    command.args([mode, "--quiet", "--config", "ldap2pg.yml"]).current_dir(place.path());
    // It tells of each change there.
    command.stderr(Stdio::null());
    command.env("PGHOST", "localhost").env("PGPORT", server.port.to_string()).env("PGDATABASE", "postgres");
    command.env("PGUSER", SUPERUSER).env("PGPASSWORD", PASSWORD).env("PGSSLMODE", "require").env("HOME", place.path());
    command
}

/// The run whose wall time is in the middle, of those of one program.
fn median(mut costs: Vec<Cost>) -> Cost {
    costs.sort_by_key(|cost| cost.wall);
    costs.swap_remove(costs.len() / 2)
}

/// Plans where nothing is to be done, and where a role is missing.
pub(super) fn plan() {
    let server = Postgres::start();
    let roles = roles();
    server.sql("postgres", &sql(&roles));
    // What autovacuum does within a minute.
    server.sql("postgres", "vacuum analyze");
    let grant = "write: { user: raito_read, password: { env: PG_PASSWORD } }";
    let place = Place::new(&postgresql_target(&server, "postgres", grant));
    place.write("access.yml", access_code(&roles));
    place.write("ldap2pg.yml", ldap2pg_rules(&roles));
    let other = std::env::var_os("RAITO_BENCH_LDAP2PG").map(PathBuf::from);
    if let Some(program) = &other {
        // It comments on people's roles too.
        measure(ldap2pg(program, &place, &server, "--real"));
    }
    // The connector is compiled once for all runs.
    place.raito(&["access", "plan"]).exits(0);
    for what in ["nothing to do", "a role is missing"] {
        let mut raito = Vec::new();
        let mut ldap = Vec::new();
        for _ in 0..RUNS {
            raito.push(measure(place.command(&["access", "plan", "--quiet"])));
            ldap.extend(other.as_deref().map(|program| measure(ldap2pg(program, &place, &server, "--dry"))));
        }
        let raito = median(raito);
        println!("raito access plan, {what}: {raito} (median of {RUNS})");
        if !ldap.is_empty() {
            let ldap = median(ldap);
            let times = ldap.wall.as_secs_f64() / raito.wall.max(Duration::from_nanos(1)).as_secs_f64();
            println!("ldap2pg on the same, {what}: {ldap} (median of {RUNS}): raito is {times:.1} times as fast");
        }
        if what == "nothing to do" {
            server.sql("postgres", "drop owned by r_7; drop role r_7");
        }
    }
}
