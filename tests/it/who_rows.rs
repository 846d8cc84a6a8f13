//! Rows and logins as the server has them: each login, acting as itself and as every role that it can
//! switch to, sees the rows that are told, and connects where that is told.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use raito_core::expansion::{AnswerFilter, How, PrincipalId, Rows, Snapshot};

use crate::support::postgres::{ONLY_TLS, SYSTEM, Version};
use crate::support::raito::postgresql_target;
use crate::support::snapshot::Exported;
use crate::support::{Place, Postgres, Random};
use crate::who::{Names, whole};

const LOGINS: usize = 12;
const ROLES: usize = 8;
const TABLES: usize = 10;
/// Rows of each table.
const ALL: i64 = 24;

/// The rows that a role reads of a table; none where it may not read it.
const PROBE: &str = "
create schema probe; grant usage on schema probe to public;
create function probe.reads(acting text, named text) returns text language plpgsql as $$
declare found text;
begin
    perform set_config('role', acting, true);
    execute 'select coalesce(string_agg(id::text, '','' order by id), ''nothing'') from ' || named into found;
    perform set_config('role', 'none', true);
    return found;
exception when insufficient_privilege then
    perform set_config('role', 'none', true);
    return 'refused';
end $$;";

/// A condition by the name of its policy, which tells it.
fn condition(policy: &str) -> impl Fn(i64) -> bool + use<> {
    let numbers: Vec<i64> = policy.split('_').filter_map(|part| part.parse().ok()).collect();
    let (divisor, rest) = (numbers[1], numbers[2]);
    move |id| id % divisor == rest
}

fn roles(version: usize, random: &mut Random) -> String {
    let mut sql = String::new();
    for at in 0..LOGINS {
        let inherit = if random.chance(25) { "noinherit" } else { "inherit" };
        let bypass = if random.chance(10) { "bypassrls" } else { "nobypassrls" };
        writeln!(sql, "create role l{at} login {inherit} {bypass};").expect("a text");
    }
    for at in 0..ROLES {
        let bypass = if random.chance(20) { "bypassrls" } else { "nobypassrls" };
        writeln!(sql, "create role r{at} {bypass};").expect("a text");
    }
    for _ in 0..30 {
        let role = random.below(ROLES);
        let member =
            if random.chance(70) { format!("l{}", random.below(LOGINS)) } else { format!("r{}", random.below(ROLES)) };
        // A role is a member of those behind it only, so that there is no ring.
        if member.strip_prefix('r').and_then(|at| at.parse::<usize>().ok()).is_some_and(|at| at >= role) {
            continue;
        }
        let options = if version >= 16 {
            ["", " with inherit false", " with set false", " with inherit false, set false"][random.below(4)]
        } else {
            ""
        };
        writeln!(sql, "grant r{role} to {member}{options};").expect("a text");
    }
    for (at, database) in ["shop", "crm"].iter().enumerate() {
        writeln!(sql, "create database {database}; revoke all on database {database} from public;").expect("a text");
        writeln!(sql, "grant connect on database {database} to raito_read;").expect("a text");
        for _ in 0..6 {
            let who = if random.chance(50) {
                format!("l{}", random.below(LOGINS))
            } else {
                format!("r{}", random.below(ROLES))
            };
            let what = ["connect", "temporary", "connect, temporary", "create"][(at + random.below(4)) % 4];
            writeln!(sql, "grant {what} on database {database} to {who};").expect("a text");
        }
    }
    sql
}

fn tables(random: &mut Random) -> String {
    let mut sql = "create schema x; grant usage on schema x to public;\n".to_owned();
    let somebody = |random: &mut Random| match random.below(12) {
        0 => "public".to_owned(),
        1..=7 => format!("r{}", random.below(ROLES)),
        _ => format!("l{}", random.below(LOGINS)),
    };
    for table in 0..TABLES {
        let name = format!("x.t{table}");
        writeln!(
            sql,
            "create table {name} (id bigint, note text); insert into {name} select i from generate_series(1, {ALL}) i;"
        )
        .expect("a text");
        for _ in 0..5 {
            writeln!(sql, "grant select on {name} to {};", somebody(random)).expect("a text");
        }
        writeln!(sql, "grant insert, truncate on {name} to {};", somebody(random)).expect("a text");
        for at in 0..random.below(6) {
            let kind = if random.chance(30) { "restrictive" } else { "permissive" };
            let command = ["select", "all", "insert", "select"][random.below(4)];
            let (divisor, rest) = (3 + random.below(3), random.below(2));
            let rule = format!("(id % {divisor} = {rest})");
            let rule = if command == "insert" { format!("with check {rule}") } else { format!("using {rule}") };
            writeln!(
                sql,
                "create policy p{at}_{at}_{divisor}_{rest} on {name} as {kind} for {command} to {} {rule};",
                somebody(random)
            )
            .expect("a text");
        }
        if random.chance(85) {
            writeln!(sql, "alter table {name} enable row level security;").expect("a text");
        }
        if random.chance(30) {
            writeln!(sql, "alter table {name} force row level security;").expect("a text");
        }
        if random.chance(60) {
            writeln!(
                sql,
                "grant create on schema x to public; alter table {name} owner to {};",
                if random.chance(60) {
                    format!("r{}", random.below(ROLES))
                } else {
                    format!("l{}", random.below(LOGINS))
                }
            )
            .expect("a text");
        }
    }
    sql
}

/// Every login with the roles that it can act as, itself first.
fn acting(server: &Postgres, version: usize) -> BTreeMap<String, Vec<String>> {
    let power = if version >= 16 { "SET" } else { "MEMBER" };
    let sql = format!(
        "select l.rolname, r.rolname from pg_roles l join pg_roles r on pg_has_role(l.oid, r.oid, '{power}')
         where l.rolname ~ '^l[0-9]+$' and r.rolname ~ '^[lr][0-9]+$' order by l.rolname, r.rolname <> l.rolname, r.rolname"
    );
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in server.rows("shop", &sql) {
        let (login, role) = row.split_once('|').expect("two columns");
        all.entry(login.to_owned()).or_default().push(role.to_owned());
    }
    assert_eq!(all.len(), LOGINS);
    all
}

/// The rows that a view shows.
fn shown(snapshot: &Snapshot, rows: &Rows) -> BTreeSet<i64> {
    let all = 1..=ALL;
    match rows {
        Rows::All => all.collect(),
        Rows::Nothing => BTreeSet::new(),
        Rows::Filtered(by) => {
            let rules: Vec<(bool, String)> = by.iter().map(|id| policy(snapshot, *id)).collect();
            let passes = |id: &i64| {
                let of = |restrictive| rules.iter().filter(move |rule| rule.0 == restrictive);
                of(false).any(|rule| condition(&rule.1)(*id)) && of(true).all(|rule| condition(&rule.1)(*id))
            };
            all.filter(passes).collect()
        }
    }
}

/// Whether a policy is restrictive, which its number tells here, and its name.
fn policy(snapshot: &Snapshot, id: PrincipalId) -> (bool, String) {
    let name = snapshot.principal(id).name.as_str();
    let name = name.split(' ').next().unwrap_or_default();
    (snapshot.is_restrictive(id), name.to_owned())
}

/// Compares the rows of every table for every login; gives how many comparisons those were.
fn rows_of_every_actor(server: &Postgres, snapshot: &Snapshot, acting: &BTreeMap<String, Vec<String>>) -> usize {
    let names = Names::new(snapshot);
    let actors: BTreeSet<&String> = acting.values().flatten().collect();
    let mut compared = 0;
    for table in 0..TABLES {
        let path = vec!["shop".to_owned(), "x".to_owned(), format!("t{table}")];
        let object = names.objects[&("table".to_owned(), path.clone())];
        let select = names.permission(object, "SELECT");
        let mut sql = String::new();
        for actor in &actors {
            writeln!(sql, "select probe.reads('{actor}', 'x.t{table}');").expect("a text");
        }
        let read: BTreeMap<&String, String> = actors.iter().copied().zip(server.rows("shop", &sql)).collect();
        let answers = snapshot.who(object, &AnswerFilter { permissions: vec![select], how: None });
        for (login, roles) in acting {
            let real: Vec<Option<BTreeSet<i64>>> = roles
                .iter()
                .map(|role| match read[role].as_str() {
                    "refused" => None,
                    "nothing" => Some(BTreeSet::new()),
                    ids => Some(ids.split(',').map(|id| id.parse().expect("a number")).collect()),
                })
                .collect();
            let told = answers.iter().find(|answer| answer.user == names.users[login] && answer.how != How::Obtainable);
            let Some(told) = told else {
                assert!(
                    real.iter().all(Option::is_none),
                    "{login} reads t{table} as one of {roles:?}, which is not told"
                );
                continue;
            };
            let rows = shown(snapshot, &told.rows);
            match told.how {
                How::Active => assert_eq!(Some(&rows), real[0].as_ref(), "{login} in t{table}: {told:?}"),
                _ => {
                    assert_eq!(real[0], None, "{login} in t{table}");
                    assert!(real.contains(&Some(rows.clone())), "{login} in t{table}: {told:?} {real:?}");
                }
            }
            let wider = told.wider.as_ref().filter(|wider| wider.how != How::Obtainable);
            let more = wider.map(|wider| shown(snapshot, &wider.rows));
            assert!(more.is_none() || real.contains(&more), "{login} in t{table}: {told:?} {real:?}");
            let is_whole = |rows: &BTreeSet<i64>| rows.len() as i64 == ALL;
            for (role, seen) in roles.iter().zip(&real).filter_map(|(role, seen)| Some((role, seen.as_ref()?))) {
                let is_told = seen.is_subset(&rows) || more.is_some();
                assert!(is_told, "{login} as {role} in t{table}: {told:?} {seen:?}");
                // No filters show all rows here, so nothing but what is exempt from them does.
                let all_told = is_whole(&rows) || more.as_ref().is_some_and(is_whole);
                assert!(!is_whole(seen) || all_told, "{login} as {role} in t{table}: {told:?}");
                compared += 1;
            }
            // Row security covers the columns of a table as it does the table.
            for column in ["id", "note"] {
                let object = names.objects[&("column".to_owned(), [path.as_slice(), &[column.to_owned()]].concat())];
                let why = snapshot.explain(names.users[login], object, names.permission(object, "SELECT"));
                assert_eq!((why.how, &why.rows), (Some(told.how), &told.rows), "{login}: t{table}.{column}");
                compared += 1;
            }
            let why = snapshot.explain(names.users[login], object, names.permission(object, "TRUNCATE"));
            assert_eq!(why.rows, Rows::All, "no policy is about TRUNCATE");
        }
    }
    compared
}

/// CONNECT is asked of the login, and TEMPORARY of whoever acts.
fn databases(server: &Postgres, snapshot: &Snapshot, acting: &BTreeMap<String, Vec<String>>) {
    let names = Names::new(snapshot);
    for database in ["shop", "crm"] {
        let holds = |privilege: &str| -> BTreeSet<String> {
            let sql =
                format!("select rolname from pg_roles where has_database_privilege(oid, '{database}', '{privilege}')");
            server.rows("shop", &sql).into_iter().collect()
        };
        let connect = holds("connect");
        let object = names.objects[&("database".to_owned(), vec![database.to_owned()])];
        for privilege in ["CONNECT", "TEMPORARY", "CREATE"] {
            let held = holds(privilege);
            let can = |(login, roles): (&String, &Vec<String>)| {
                let acts = if privilege == "CONNECT" { true } else { roles.iter().any(|role| held.contains(role)) };
                (connect.contains(login) && acts).then(|| login.clone())
            };
            let real: BTreeSet<String> = acting.iter().filter_map(can).collect();
            let asked = AnswerFilter { permissions: vec![names.permission(object, privilege)], how: None };
            let usable = snapshot
                .who(object, &asked)
                .into_iter()
                .filter(|answer| answer.usable && answer.how != How::Obtainable);
            let told: BTreeSet<String> = usable
                .map(|answer| snapshot.principal(answer.user).name.as_str().to_owned())
                .filter(|name| acting.contains_key(name))
                .collect();
            assert_eq!(told, real, "{privilege} on {database}");
            for login in acting.keys() {
                let of_user: Vec<_> = snapshot
                    .of_user(names.users[login], &asked, object, 1)
                    .into_iter()
                    .filter(|answer| answer.object == object && answer.usable && answer.how != How::Obtainable)
                    .collect();
                assert_eq!(!of_user.is_empty(), told.contains(login), "{login}: {privilege} on {database}");
                let why = snapshot.explain(names.users[login], object, names.permission(object, privilege));
                let is_usable = why.how.is_some_and(|how| how != How::Obtainable) && why.missing.is_empty();
                assert!(is_usable == told.contains(login) || told.contains(login), "{login}: {why:?}");
            }
        }
    }
}

fn all(version: Version) {
    let mut random = Random::from_environment("rows are those of whoever acts");
    let server = Postgres::start_version(version, "", ONLY_TLS);
    let number = server.sql("postgres", "show server_version_num").parse::<usize>().expect("a number") / 10_000;
    server.sql("postgres", &roles(number, &mut random));
    server.sql("shop", PROBE);
    server.sql("shop", &tables(&mut random));
    let place = Place::new(&postgresql_target(&server, "shop, crm", ""));
    place.run(&[]);
    let snapshot = whole(&Exported::new(place.export()));
    let acting = acting(&server, number);
    let compared = rows_of_every_actor(&server, &snapshot, &acting);
    assert!(compared > 100, "{compared}");
    databases(&server, &snapshot, &acting);
}

#[test]
fn rows_are_those_of_whoever_acts_on_the_systems_postgresql() {
    all(SYSTEM);
}

#[test]
fn rows_are_those_of_whoever_acts_on_postgresql_18() {
    all(Version(18));
}
