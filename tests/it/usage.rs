//! Step 5 on a real PostgreSQL: what clients did is what the cloud tells, from the audit log and from the counters.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::postgres::{ONLY_TLS, PASSWORD};
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Random};

/// A server that audits and counts.
const AUDITED: &str = "shared_preload_libraries = 'pg_stat_statements, pgaudit'\npgaudit.log = 'read, write'\npgaudit.log_relation = on\n\
                       logging_collector = on\nlog_rotation_age = 0\npg_stat_statements.track = all\n";
const USERS: usize = 50;

/// Uses by user, object and action, as often as each was.
type Uses = BTreeMap<(String, String, String), u64>;

pub(crate) struct Watched {
    pub(crate) server: Postgres,
    /// A place that reads the log, and one that reads the counters.
    pub(crate) log: Place,
    pub(crate) counters: Place,
}

fn watched(destination: &str) -> Watched {
    watched_with(destination, "")
}

/// The same with more settings, which hold against those that are usual here.
pub(crate) fn watched_with(destination: &str, settings: &str) -> Watched {
    let began = std::time::Instant::now();
    let server = Postgres::start_with(&format!("{AUDITED}log_destination = '{destination}'\n{settings}"), ONLY_TLS);
    server.sql("postgres", "create database shop; create database crm");
    let schema = "create schema sales; create schema hr;
        create table sales.orders (id bigint, note text); create table sales.customers (id bigint, name text);
        create table hr.people (id bigint, name text); create table hr.customers (id bigint);
        create table sales.\"Odd, \"\"name\"\"\" (id bigint); create materialized view sales.totals as select 1 as id;
        grant usage on schema sales, hr to public; grant all on all tables in schema sales, hr to public;";
    for database in ["shop", "crm"] {
        server.sql(database, schema);
    }
    server.sql("shop", "create extension pg_stat_statements");
    for user in 0..USERS {
        server.sql("postgres", &format!("create role u{user} login password '{PASSWORD}'"));
    }
    for login in ["raito_log", "raito_counters"] {
        server.sql("postgres", &format!("create role {login} login password '{PASSWORD}'"));
    }
    server.sql(
        "shop",
        "grant pg_monitor to raito_log; grant pg_read_all_stats to raito_counters;
        grant execute on function pg_read_binary_file(text, bigint, bigint, boolean) to raito_log",
    );
    // The passwords stand in the statements that made the roles, and no answer may hold a secret.
    server.sql("shop", "select pg_stat_statements_reset()");
    let place = |slot: &str, grant: &str| {
        let target = postgresql_target(&server, "shop, crm", "");
        let more = format!(
            "      {slot}:\n        url: \"postgresql://{}@localhost:{}/\"\n        databases: [shop]\n        \
             password: {{ env: PG_PASSWORD }}\n        addresses: [\"127.0.0.1/32\"]\n        ca: \"{}\"\n        \
             {grant}\n",
            slot.replace("sql.", "raito_"),
            server.port,
            server.authority().display()
        );
        Place::new(&format!("{target}{more}"))
    };
    let settings = "relations: [pg_catalog.pg_db_role_setting]";
    let log = place("sql.log", &format!("calls: [pg_ls_logdir, pg_read_binary_file]\n        {settings}"));
    let functions = "pg_stat_statements.pg_stat_statements, pg_stat_statements.pg_stat_statements_info";
    let counters = place("sql.counters", &format!("calls: [{functions}]\n        {settings}"));
    // Of a log that is younger than two seconds, a first run covers nothing.
    std::thread::sleep(std::time::Duration::from_millis(2_200).saturating_sub(began.elapsed()));
    Watched { server, log, counters }
}

/// One statement, and what it uses.
fn statement(random: &mut Random) -> (&'static str, &'static [(&'static str, &'static str)]) {
    const ALL: [(&str, &[(&str, &str)]); 11] = [
        ("select count(*) from sales.orders", &[("sales.orders", "SELECT")]),
        (
            "select o.id from sales.orders o join sales.customers c on c.id = o.id",
            &[("sales.orders", "SELECT"), ("sales.customers", "SELECT")],
        ),
        ("insert into hr.people values (1, 'a, \"b\"')", &[("hr.people", "INSERT")]),
        (
            "insert into sales.orders (id) select id from hr.people limit 1",
            &[("sales.orders", "INSERT"), ("hr.people", "SELECT")],
        ),
        ("update hr.people set name = 'x' where id = 7", &[("hr.people", "UPDATE")]),
        ("delete from sales.orders where id = 99", &[("sales.orders", "DELETE")]),
        ("with orders as (select id from sales.customers) select * from orders", &[("sales.customers", "SELECT")]),
        ("select 1", &[]),
        (
            "select *\n-- a comment, and \"quotes\"\nfrom sales.\"Odd, \"\"name\"\"\"",
            &[("sales.Odd, \"name\"", "SELECT")],
        ),
        ("select * from sales.totals", &[("sales.totals", "SELECT")]),
        (
            "set search_path = sales, hr; select count(*) from people where id in (select id from orders)",
            &[("hr.people", "SELECT"), ("sales.orders", "SELECT")],
        ),
    ];
    ALL[random.below(ALL.len())]
}

impl Watched {
    /// Has every user run statements, and gives what they used.
    fn work(&self, random: &mut Random, statements: usize) -> Uses {
        let mut uses = Uses::new();
        for user in 0..USERS {
            let database = if user % 5 == 0 { "crm" } else { "shop" };
            let mut text = String::from("\\o /dev/null\n");
            for _ in 0..statements {
                let (sql, used) = statement(random);
                text.push_str(sql);
                text.push_str(";\n");
                for (object, action) in used {
                    *uses
                        .entry((format!("u{user}"), format!("{database}.{object}"), (*action).to_owned()))
                        .or_default() += 1;
                }
            }
            self.server.sql_as(&format!("u{user}"), database, &text);
        }
        // Lines that are younger than two seconds are left to the next run.
        std::thread::sleep(std::time::Duration::from_millis(2_200));
        uses
    }

    /// What the cloud of a place tells of the users.
    fn told(&self, place: &Place) -> Uses {
        let names: BTreeMap<String, String> = self
            .server
            .rows("postgres", "select oid, rolname from pg_roles where rolname ~ '^u[0-9]+$'")
            .iter()
            .filter_map(|row| row.split_once('|').map(|(oid, name)| (oid.to_owned(), name.to_owned())))
            .collect();
        let page = place.get("/sources/shop/usage?limit=1000");
        let rows = page["items"].as_array().expect("a list");
        assert!(rows.len() < 1_000, "all fit on a page");
        let mut uses = Uses::new();
        for row in rows {
            let Some(name) = row["user"].as_str().and_then(|oid| names.get(oid)) else { continue };
            let path: Vec<&str> =
                row["object"]["path"].as_array().expect("a path").iter().filter_map(Value::as_str).collect();
            let key = (name.clone(), path.join("."), row["action"].as_str().expect("a word").to_owned());
            *uses.entry(key).or_default() += row["calls"].as_u64().expect("a number");
        }
        uses
    }
}

pub(crate) fn covered(place: &Place) -> Vec<(u64, u64)> {
    let page = place.get("/sources/shop/usage");
    let bound = |one: &Value, key: &str| one[key].as_u64().expect("a time");
    page["coverage"]["covered"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (bound(one, "from-ms"), bound(one, "to-ms")))
        .collect()
}

fn add(uses: &mut Uses, more: Uses) {
    for (key, count) in more {
        *uses.entry(key).or_default() += count;
    }
}

fn differing(told: &Uses, record: &Uses) -> Vec<String> {
    let keys = told.keys().chain(record.keys()).collect::<std::collections::BTreeSet<_>>();
    let count = |uses: &Uses, key| uses.get(key).copied().unwrap_or_default();
    let differs = keys.into_iter().filter(|key| count(told, *key) != count(record, *key));
    differs.map(|key| format!("{key:?}: told {}, done {}", count(told, key), count(record, key))).take(20).collect()
}

/// What users did is told as often as they did it, over rotations and resets, and nothing twice.
fn usage_is_what_was_done(destination: &str, statements: usize) {
    let watched = watched(destination);
    let mut random = Random::from_environment("usage");
    for place in [&watched.log, &watched.counters] {
        place.run(&[]);
    }
    let mut record = watched.work(&mut random, statements);
    for place in [&watched.log, &watched.counters] {
        place.run(&[]);
        assert_eq!(differing(&watched.told(place), &record), [""; 0]);
        place.run(&[]);
        assert_eq!(differing(&watched.told(place), &record), [""; 0], "nothing is told twice");
        assert_eq!(covered(place).len(), 1, "the runs join: {:?}", covered(place));
    }

    // After a rotation the log goes on in another file. After a reset the counters have a hole.
    watched.server.sql("shop", "select pg_rotate_logfile()");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    add(&mut record, watched.work(&mut random, 4));
    watched.log.run(&[]);
    assert_eq!(differing(&watched.told(&watched.log), &record), [""; 0]);
    assert_eq!(covered(&watched.log).len(), 1, "{:?}", covered(&watched.log));
    watched.counters.run(&[]);
    watched.server.sql("shop", "select pg_stat_statements_reset()");
    add(&mut record, watched.work(&mut random, 1));
    watched.counters.run(&[]);
    assert_eq!(differing(&watched.told(&watched.counters), &record), [""; 0]);
    assert_eq!(covered(&watched.counters).len(), 2, "{:?}", covered(&watched.counters));

    let who = watched.log.raito(&["who", "table shop.sales.orders", "--permission", "DELETE"]).exits(0);
    assert!(who.stdout.contains("last used") && who.stdout.contains("usage: told whole from"), "{}", who.stdout);
    let texts = watched.log.list("/sources/shop/statements");
    assert!(texts.iter().all(|statement| statement["text"].is_null()), "no text leaves unless that is configured");
}

#[test]
fn usage_is_what_was_done_in_json() {
    usage_is_what_was_done("jsonlog", 200);
}

#[test]
fn usage_is_what_was_done_in_csv() {
    usage_is_what_was_done("csvlog", 4);
}
