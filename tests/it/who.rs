//! Effective access on a real PostgreSQL: the server's own functions are the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use raito_core::expansion::{AnswerFilter, How, ObjectId, PathStep, PermissionId, PrincipalId, Snapshot};
use raito_core::record::ObjectRef;
use raito_core::text::PermissionName;
use serde_json::Value;

use crate::support::postgres::{ONLY_TLS, SYSTEM, Version};
use crate::support::raito::postgresql_target;
use crate::support::snapshot::Exported;
use crate::support::{Place, Postgres, Random};

pub(crate) const DATABASES: [&str; 3] = ["shop", "billing", "archive"];
pub(crate) const LOGINS: usize = 36;
const ROLES: usize = 30;

/// Makes roles with every attribute, memberships with every option, and three databases with every kind of object.
pub(crate) fn fill(server: &Postgres, version: usize, random: &mut Random) {
    let mut sql = String::new();
    for index in 0..LOGINS {
        let inherit = if random.chance(20) { "noinherit" } else { "inherit" };
        writeln!(sql, "create role \"u{index}\" login {inherit} password 'pw';").expect("a text");
    }
    for index in 0..ROLES {
        writeln!(sql, "create role \"g{index}\" nologin;").expect("a text");
    }
    sql.push_str(
        "alter role u0 superuser; alter role g0 superuser; grant g0 to u1; alter role u2 bypassrls; alter role u3 createrole;\n\
         grant pg_read_all_data to u4; grant pg_write_all_data to g1; grant g1 to u5; grant pg_read_all_data to g2;\n\
         grant g2 to u6;\n\
         -- Whoever does not inherit has nothing by way of these, and the test counts what comes by each way.\n\
         alter role u1 inherit; alter role u4 inherit; alter role u5 inherit; alter role u6 inherit;\n",
    );
    if version >= 17 {
        sql.push_str("grant pg_maintain to u8;\n");
    }
    for _ in 0..90 {
        let (member, role) = (random.below(LOGINS + ROLES), 3 + random.below(ROLES - 3));
        let member = if member < LOGINS { format!("u{member}") } else { format!("g{}", member - LOGINS) };
        let up = member.strip_prefix('g').and_then(|at| at.parse::<usize>().ok()).is_none_or(|at| at > role);
        if !up {
            continue;
        }
        let option = if version >= 16 {
            ["", " with inherit false", " with set false", " with inherit true, set true", " with admin true"]
                [random.below(5)]
        } else {
            ["", " with admin option"][random.below(2)]
        };
        writeln!(sql, "grant g{role} to {member}{option};").expect("a text");
    }
    for (at, database) in DATABASES.iter().enumerate() {
        writeln!(sql, "alter role u{0} inherit; create database {database} owner u{0};", 10 + at).expect("a text");
    }
    sql.push_str(
        "revoke connect on database archive from public; grant connect on database archive to g5, u9, raito_read;\n",
    );
    server.sql("postgres", &sql);
    for database in DATABASES {
        server.sql(database, &objects(version, random));
    }
}

fn somebody(random: &mut Random) -> String {
    match random.below(10) {
        0 => "public".to_owned(),
        1..=6 => format!("g{}", random.below(ROLES)),
        _ => format!("u{}", random.below(LOGINS)),
    }
}

/// Statements that fill one database.
fn objects(version: usize, random: &mut Random) -> String {
    let mut tables = vec!["select", "insert", "update", "delete", "truncate", "references", "trigger"];
    if version >= 17 {
        tables.push("maintain");
    }
    let mut sql = String::from("begin;\n");
    for schema in 0..4 {
        writeln!(sql, "create schema s{schema};").expect("a text");
        for _ in 0..3 {
            writeln!(sql, "grant usage on schema s{schema} to {};", somebody(random)).expect("a text");
        }
        writeln!(sql, "grant create on schema s{schema} to {};", somebody(random)).expect("a text");
    }
    sql.push_str("grant usage on schema s0 to public;\n");
    for table in 0..24 {
        let schema = table % 4;
        let name = format!("s{schema}.\"T {table}\"");
        writeln!(sql, "create table {name} (id bigint, region text, note text);").expect("a text");
        if table % 3 > 0 {
            for _ in 0..14 {
                writeln!(sql, "grant {} on {name} to {};", random.pick(&tables), somebody(random)).expect("a text");
            }
        }
        for _ in 0..9 {
            let column = ["id", "region", "note"][random.below(3)];
            let privilege = ["select", "insert", "update", "references"][random.below(4)];
            writeln!(sql, "grant {privilege} ({column}) on {name} to {};", somebody(random)).expect("a text");
        }
        if table % 3 > 0 {
            writeln!(sql, "alter table {name} owner to u{};", random.below(LOGINS)).expect("a text");
        }
        if table % 4 == 3 {
            writeln!(sql, "grant all on {name} to pg_database_owner;").expect("a text");
        }
        if table % 11 == 5 {
            writeln!(sql, "revoke all on {name} from current_user;").expect("a text");
        }
    }
    for at in 0..8 {
        writeln!(sql, "create sequence s{}.q{at}; create function s{}.f{at}(a integer) returns integer language sql as 'select 1';", at % 4, at % 4)
            .expect("a text");
        let privilege = ["usage", "select", "update"][random.below(3)];
        writeln!(sql, "grant {privilege} on sequence s{}.q{at} to {};", at % 4, somebody(random)).expect("a text");
        if at % 2 == 0 {
            writeln!(sql, "revoke execute on function s{}.f{at}(integer) from public; grant execute on function s{}.f{at}(integer) to {};", at % 4, at % 4, somebody(random))
                .expect("a text");
        }
    }
    sql.push_str("create view s0.v as select id from s0.\"T 0\"; create materialized view s1.m as select 1 as one;\n");
    writeln!(
        sql,
        "grant select on s0.v to {}; grant select on s1.m to {};\ncommit;",
        somebody(random),
        somebody(random)
    )
    .expect("a text");
    sql
}

/// Asks the server for every (login, object, privilege) of a database: `user|kind|path|privilege|t`.
fn oracle(version: usize) -> String {
    let maintain = if version >= 17 { ", 'MAINTAIN'" } else { "" };
    format!(
        "with logins as (select oid, rolname from pg_roles where rolcanlogin),
         ours as (select oid, nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema')
         select r.rolname, case c.relkind when 'v' then 'view' when 'm' then 'materialized-view' else 'table' end,
                current_database() || chr(9) || n.nspname || chr(9) || c.relname, p, has_table_privilege(r.oid, c.oid, p)
           from logins r, pg_class c join ours n on n.oid = c.relnamespace,
                unnest(array['SELECT','INSERT','UPDATE','DELETE','TRUNCATE','REFERENCES','TRIGGER'{maintain}]) p
          where c.relkind in ('r', 'p', 'v', 'm')
         union all
         select r.rolname, 'column', current_database() || chr(9) || n.nspname || chr(9) || c.relname || chr(9) || a.attname, p,
                has_column_privilege(r.oid, c.oid, a.attnum, p)
           from logins r, pg_class c join ours n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid,
                unnest(array['SELECT','INSERT','UPDATE','REFERENCES']) p
          where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
         union all
         select r.rolname, 'schema', current_database() || chr(9) || n.nspname, p, has_schema_privilege(r.oid, n.oid, p)
           from logins r, ours n, unnest(array['USAGE','CREATE']) p
         union all
         select r.rolname, 'database', current_database(), p, has_database_privilege(r.oid, current_database(), p)
           from logins r, unnest(array['CONNECT','CREATE','TEMPORARY']) p
         union all
         select r.rolname, 'sequence', current_database() || chr(9) || n.nspname || chr(9) || c.relname, p, has_sequence_privilege(r.oid, c.oid, p)
           from logins r, pg_class c join ours n on n.oid = c.relnamespace, unnest(array['USAGE','SELECT','UPDATE']) p
          where c.relkind = 'S'
         union all
         select r.rolname, 'function', current_database() || chr(9) || n.nspname || chr(9) || f.proname, 'EXECUTE', has_function_privilege(r.oid, f.oid, 'EXECUTE')
           from logins r, pg_proc f join ours n on n.oid = f.pronamespace"
    )
}

/// One question and the server's answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Triple {
    pub(crate) user: String,
    pub(crate) kind: String,
    pub(crate) path: Vec<String>,
    pub(crate) privilege: String,
    pub(crate) held: bool,
}

pub(crate) fn triples(server: &Postgres, version: usize) -> Vec<Triple> {
    let mut all = Vec::new();
    for database in DATABASES {
        for row in server.rows(database, &oracle(version)) {
            let cells: Vec<&str> = row.split('|').collect();
            let [user, kind, path, privilege, held] = cells.as_slice() else { panic!("{row}") };
            all.push(Triple {
                user: (*user).to_owned(),
                kind: (*kind).to_owned(),
                path: path.split('\t').map(str::to_owned).collect(),
                privilege: (*privilege).to_owned(),
                held: *held == "t",
            });
        }
    }
    all
}

/// Finds what questions are about.
pub(crate) struct Names<'s> {
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) users: BTreeMap<String, PrincipalId>,
    pub(crate) objects: BTreeMap<(String, Vec<String>), ObjectId>,
}

impl<'s> Names<'s> {
    pub(crate) fn new(snapshot: &'s Snapshot) -> Self {
        let name = |id: PrincipalId| (snapshot.principal(id).name.as_str().to_owned(), id);
        let object = |id: ObjectId| {
            let ObjectRef { kind, path, .. } = snapshot.object(id);
            ((kind.as_str().to_owned(), path.iter().map(|part| part.as_str().to_owned()).collect()), id)
        };
        Self {
            snapshot,
            users: snapshot.users().map(name).collect(),
            objects: snapshot.all_objects().map(object).collect(),
        }
    }

    pub(crate) fn permission(&self, object: ObjectId, name: &str) -> PermissionId {
        let name = PermissionName::new(name).expect("a name");
        self.snapshot.find_permission(object, &name).unwrap_or_else(|| panic!("{name} is not described"))
    }

    /// Everything that each user holds actively.
    fn active(&self) -> BTreeSet<(PrincipalId, ObjectId, PermissionId)> {
        let filter = AnswerFilter { how: Some(How::Active), ..AnswerFilter::default() };
        let first = self.snapshot.object_at(0).expect("objects");
        let of = |user: &PrincipalId| self.snapshot.of_user(*user, &filter, first, usize::MAX);
        let held = self.users.values().flat_map(of).filter(|answer| !answer.conditional);
        held.map(|answer| (answer.user, answer.object, answer.permission)).collect()
    }

    /// The questions that the snapshot answers otherwise than the server.
    fn mismatches<'t>(&self, triples: &'t [Triple]) -> Vec<&'t Triple> {
        let active = self.active();
        let differs = |triple: &&Triple| {
            let Some(object) = self.objects.get(&(triple.kind.clone(), triple.path.clone())) else { return true };
            let Some(user) = self.users.get(&triple.user) else { return triple.held };
            let permission = self.permission(*object, &triple.privilege);
            active.contains(&(*user, *object, permission)) != triple.held
        };
        triples.iter().filter(differs).collect()
    }
}

pub(crate) fn whole(exported: &Exported) -> Snapshot {
    exported.snapshot(&exported.description, |_| false)
}

fn compare(server: &Postgres, version: usize) {
    let mut random = Random::from_environment("effective access equals the server's answer");
    fill(server, version, &mut random);
    let place = Place::new(&postgresql_target(server, &DATABASES.join(", "), ""));
    place.run(&[]);
    let triples = triples(server, version);
    let held = triples.iter().filter(|triple| triple.held).count();
    println!("PostgreSQL {version}: {} questions, {held} of them true", triples.len());
    let exported = Exported::new(place.export());
    let snapshot = whole(&exported);
    let wrong = Names::new(&snapshot).mismatches(&triples);
    assert!(wrong.is_empty(), "{} differ, such as {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert!(triples.len() >= 50_000 && held * 5 >= triples.len(), "{} questions, {held} true", triples.len());
    only_through(server, &snapshot, &triples);
    each_rule_counts(&exported, &triples);
    assumable(server, &snapshot, &triples, &mut random);
    the_command_line_says_the_same(&place, &snapshot, &triples, &mut random);
}

/// Ways by which something is held when nothing else gives it.
const WAYS: [&str; 9] = [
    "direct",
    "nested",
    "PUBLIC",
    "column",
    "owner",
    "superuser",
    "predefined role",
    "pg_database_owner",
    "default ACL",
];

/// Every way by which something can be held is the only one for many answers, so that none is right by chance.
fn only_through(server: &Postgres, snapshot: &Snapshot, triples: &[Triple]) {
    const WITHOUT_LIST: &str = "select current_database() || chr(9) || n.nspname || chr(9) || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relacl is null and n.nspname ~ '^s[0-9]'
        union all select current_database() || chr(9) || n.nspname || chr(9) || f.proname from pg_proc f join pg_namespace n on n.oid = f.pronamespace
        where f.proacl is null and n.nspname ~ '^s[0-9]'";
    let without_list: BTreeSet<String> = DATABASES.iter().flat_map(|name| server.rows(name, WITHOUT_LIST)).collect();
    let names = Names::new(snapshot);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for triple in triples.iter().filter(|triple| triple.held) {
        let object = names.objects[&(triple.kind.clone(), triple.path.clone())];
        let permission = names.permission(object, &triple.privilege);
        let path = snapshot.shortest_path(names.users[&triple.user], object, permission, How::Active);
        let path = path.unwrap_or_else(|| panic!("{triple:?} is held and has no way"));
        if path.others == 0 {
            let owns =
                snapshot.find_permission(object, &PermissionName::new("OWNERSHIP").expect("a name")).is_some_and(
                    |owned| snapshot.explain(names.users[&triple.user], object, owned).how == Some(How::Active),
                );
            *counts.entry(way_of(snapshot, &path.steps, owns, &without_list, triple)).or_default() += 1;
        }
    }
    println!("only through: {counts:?}");
    for way in WAYS {
        let count = counts.get(way).copied().unwrap_or_default();
        assert!(count >= 200, "{count} are held only through {way}: {counts:?}");
    }
}

fn way_of(
    snapshot: &Snapshot,
    steps: &[PathStep],
    owns: bool,
    without_list: &BTreeSet<String>,
    triple: &Triple,
) -> &'static str {
    let named: Vec<&str> = steps
        .iter()
        .filter_map(|step| match step {
            PathStep::In(id) => Some(snapshot.principal(*id).name.as_str()),
            _ => None,
        })
        .collect();
    let last = named.last().copied().unwrap_or_default();
    let on_column = steps
        .iter()
        .any(|step| matches!(step, PathStep::Holds(_, held) if snapshot.object(*held).kind.as_str() == "column"));
    match last {
        "SUPERUSER" => "superuser",
        _ if last.starts_with("pg_database_owner of") => "pg_database_owner",
        _ if last.starts_with("pg_") => "predefined role",
        _ if without_list.contains(&triple.path[..triple.path.len().min(3)].join("\t")) => "default ACL",
        "PUBLIC" => "PUBLIC",
        _ if on_column => "column",
        _ if owns => "owner",
        _ if named.len() > 1 => "nested",
        _ => "direct",
    }
}

/// Takes away one rule after the other: each time an answer must be wrong.
fn each_rule_counts(exported: &Exported, triples: &[Triple]) {
    let without_control = |kind: &'static str| move |line: &Value| line[0] == "access_controls" && line[5] == kind;
    let members = |test: fn(&Value) -> bool| move |line: &Value| line[0] == "members" && test(line);
    type IsOfRule = Box<dyn Fn(&Value) -> bool>;
    let rules: Vec<(&str, IsOfRule)> = vec![
        ("PUBLIC", Box::new(without_control("public"))),
        ("attributes", Box::new(without_control("attribute"))),
        ("pg_database_owner", Box::new(without_control("database-owner"))),
        ("membership", Box::new(members(|line| line[3] == "access-control"))),
        ("own user", Box::new(members(|line| line[3] == "user"))),
    ];
    for (rule, leave_out) in rules {
        let snapshot = exported.snapshot(&exported.description, leave_out);
        assert!(!Names::new(&snapshot).mismatches(triples).is_empty(), "without {rule} every answer is the same");
    }
    let mut without_reach = exported.description.clone();
    for kind in without_reach["kinds"].as_array_mut().expect("kinds") {
        for permission in kind["permissions"].as_array_mut().expect("permissions") {
            permission["reaches"] = Value::Array(vec![]);
        }
    }
    let snapshot = exported.snapshot(&without_reach, |_| false);
    assert!(!Names::new(&snapshot).mismatches(triples).is_empty(), "without reaching every answer is the same");
}

/// Who can switch to which role, and what he holds then, as the server says.
fn assumable(server: &Postgres, snapshot: &Snapshot, triples: &[Triple], random: &mut Random) {
    let names = Names::new(snapshot);
    let filter = AnswerFilter { how: Some(How::Assumable), ..AnswerFilter::default() };
    let first = snapshot.object_at(0).expect("objects");
    let mut logins: Vec<&String> = names.users.keys().filter(|name| name.starts_with('u')).collect();
    logins.sort();
    for _ in 0..6 {
        let login = *random.pick(&logins);
        let user = names.users[login];
        let told: BTreeSet<(ObjectId, PermissionId)> = snapshot
            .of_user(user, &filter, first, usize::MAX)
            .into_iter()
            .map(|answer| (answer.object, answer.permission))
            .collect();
        let sql = format!(
            "select string_agg(quote_ident(rolname), ',') from pg_roles where rolname <> '{login}' and pg_has_role('{login}', oid, '{}')",
            if server.sql("postgres", "show server_version_num").as_str() >= "160000" { "SET" } else { "MEMBER" }
        );
        let roles = server.sql("shop", &sql);
        let held_by_login: BTreeSet<&Triple> =
            triples.iter().filter(|triple| triple.user == *login && triple.held).collect();
        let mut expected = BTreeSet::new();
        for role in roles.split(',').filter(|role| !role.is_empty()) {
            let sql = format!(
                "set role {role}; select c.relname || '|' || n.nspname || '|' || p from pg_class c join pg_namespace n on n.oid = c.relnamespace, \
                 unnest(array['SELECT','INSERT','UPDATE','DELETE']) p where c.relkind = 'r' and n.nspname ~ '^s[0-9]' and has_table_privilege(c.oid, p)"
            );
            for row in server.rows("shop", &format!("set session authorization {login}; {sql}")) {
                let cells: Vec<&str> = row.split('|').collect();
                let path = vec!["shop".to_owned(), cells[1].to_owned(), cells[0].to_owned()];
                let object = names.objects[&("table".to_owned(), path.clone())];
                let active = held_by_login.iter().any(|triple| triple.path == path && triple.privilege == cells[2]);
                if !active {
                    expected.insert((object, names.permission(object, cells[2])));
                }
            }
        }
        for (object, permission) in &expected {
            assert!(
                told.contains(&(*object, *permission)),
                "{login} can switch to {} on {}",
                snapshot.permission_name(*permission),
                snapshot.object(*object)
            );
        }
        let rows = ["SELECT", "INSERT", "UPDATE", "DELETE"];
        let of_shop = told.iter().filter(|(object, permission)| {
            let reference = snapshot.object(*object);
            reference.kind.as_str() == "table"
                && reference.path[0].as_str() == "shop"
                && rows.contains(&snapshot.permission_name(*permission).as_str())
        });
        for (object, permission) in of_shop {
            assert!(
                expected.contains(&(*object, *permission)),
                "{login} cannot switch to {} on {}",
                snapshot.permission_name(*permission),
                snapshot.object(*object)
            );
        }
    }
}

/// A few answers through the program, with their ways.
fn the_command_line_says_the_same(place: &Place, snapshot: &Snapshot, triples: &[Triple], random: &mut Random) {
    let names = Names::new(snapshot);
    for _ in 0..12 {
        let triple = random.pick(triples);
        let object = format!("{} {}", triple.kind, triple.path.join("."));
        let answer = place
            .raito(&["who", "--output", "json", "--explain", &triple.user, &object, &triple.privilege])
            .exits(0)
            .value();
        assert_eq!(answer["how"] == "active", triple.held, "{triple:?}: {answer:#}");
        assert_eq!(
            answer["path"].as_array().is_some_and(|path| !path.is_empty()),
            answer["how"].is_string(),
            "{answer:#}"
        );
    }
    // The same view exists in each database, so the name alone is not enough.
    place.raito(&["who", "s0.v", "--source", "shop"]).exits(2).says(&["3 objects are called s0.v", "shop.s0.v"]);
    let listed = place
        .raito(&["who", "shop.s0.v", "--permission", "SELECT", "--how", "active", "--output", "json"])
        .exits(0)
        .value();
    let told: BTreeSet<&str> =
        listed["items"].as_array().expect("items").iter().filter_map(|item| item["user"]["name"].as_str()).collect();
    let expected: BTreeSet<&str> = triples
        .iter()
        .filter(|triple| {
            triple.held && triple.kind == "view" && triple.path == ["shop", "s0", "v"] && triple.privilege == "SELECT"
        })
        .map(|triple| triple.user.as_str())
        .collect();
    assert_eq!(told, expected);
    assert!(!names.users.is_empty());
}

/// Starts a server of a version, and compares.
fn on(version: Version) {
    let server = Postgres::start_version(version, "", ONLY_TLS);
    let number = server.sql("postgres", "show server_version_num").parse::<usize>().expect("a number") / 10_000;
    compare(&server, number);
}

#[test]
fn active_and_assumable_equal_the_answers_of_the_systems_postgresql() {
    on(SYSTEM);
}

#[test]
fn active_and_assumable_equal_the_answers_of_postgresql_16() {
    on(Version(16));
}

#[test]
fn active_and_assumable_equal_the_answers_of_postgresql_17() {
    on(Version(17));
}

#[test]
fn active_and_assumable_equal_the_answers_of_postgresql_18() {
    on(Version(18));
}
