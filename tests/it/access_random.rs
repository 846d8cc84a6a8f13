//! Access code against chance: whatever files say and somebody changed by hand, each login can do exactly what a plain reading of
//! the files gives, by the server's own word and by the rows that it sees.
//!
//! The plain reading knows nothing of plans, markers or expansion: it follows names and looks at every table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::changes::{Managed, managed};
use crate::support::Random;

const ROUNDS: usize = 6;
const USERS: [&str; 3] = ["ann", "bob", "carl"];
const PERMISSIONS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];
const SCHEMAS: [&str; 2] = ["one", "two"];
const TABLES: usize = 3;
const ROLES: usize = 6;
/// Rows of the table that is filtered, which is the first one.
const NUMBERS: usize = 6;

/// A table: its schema and its number there.
type Table = (usize, usize);

fn tables() -> impl Iterator<Item = Table> {
    (0..SCHEMAS.len()).flat_map(|schema| (0..TABLES).map(move |number| (schema, number)))
}

fn shown((schema, number): Table) -> String {
    format!("{}.t{number}", SCHEMAS[schema])
}

/// A role as the files say it.
#[derive(Debug, Clone, Default)]
struct Role {
    /// Users, and whether their time is over.
    users: BTreeMap<usize, bool>,
    /// Roles that are members; their numbers are smaller, so that nobody is a member of himself.
    roles: BTreeSet<usize>,
    held: BTreeSet<(Table, usize)>,
    /// Whether `read` on all tables of a schema is said, which brings USAGE of it.
    reads: Option<usize>,
    /// USAGE of a schema by name.
    uses: Option<usize>,
}

/// A filter of the first table: who sees which numbers.
#[derive(Debug, Clone, Default)]
struct Filter {
    users: BTreeSet<usize>,
    numbers: BTreeSet<usize>,
}

#[derive(Debug, Clone, Default)]
struct Files {
    roles: BTreeMap<usize, Role>,
    filters: Vec<Filter>,
}

/// What a user can do: schemas that he may use, and permissions on tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Can {
    schemas: BTreeSet<usize>,
    tables: BTreeSet<(Table, usize)>,
}

impl Files {
    fn random(random: &mut Random) -> Self {
        let mut files = Self::default();
        for number in (0..ROLES).filter(|_| random.chance(80)).collect::<Vec<_>>() {
            let mut role = Role::default();
            for user in 0..USERS.len() {
                if random.chance(35) {
                    role.users.insert(user, random.chance(25));
                }
            }
            role.roles = files.roles.keys().copied().filter(|_| random.chance(25)).collect();
            for table in tables() {
                role.held.extend((0..PERMISSIONS.len()).filter(|_| random.chance(15)).map(|name| (table, name)));
            }
            role.reads = random.chance(25).then(|| random.below(SCHEMAS.len()));
            role.uses = random.chance(50).then(|| random.below(SCHEMAS.len()));
            files.roles.insert(number, role);
        }
        for _ in 0..random.below(4) {
            let users = (0..USERS.len()).filter(|_| random.chance(50)).collect::<BTreeSet<_>>();
            let numbers = (0..NUMBERS).filter(|_| random.chance(40)).collect();
            if !users.is_empty() {
                files.filters.push(Filter { users, numbers });
            }
        }
        files
    }

    /// What a user can do, by a plain reading.
    fn can(&self, user: usize) -> Can {
        let mut can = Can::default();
        for (number, role) in &self.roles {
            if !self.has(*number, user) {
                continue;
            }
            can.schemas.extend(role.reads.iter().chain(&role.uses));
            can.tables.extend(&role.held);
            can.tables.extend(tables().filter(|table| Some(table.0) == role.reads).map(|table| (table, 0)));
        }
        can
    }

    /// Whether a user is in a role, himself or by way of a role that is.
    fn has(&self, number: usize, user: usize) -> bool {
        let Some(role) = self.roles.get(&number) else { return false };
        role.users.get(&user) == Some(&false) || role.roles.iter().any(|member| self.has(*member, user))
    }

    /// The numbers that a user sees of the filtered table; none where he cannot read it at all.
    fn sees(&self, user: usize) -> Option<Vec<String>> {
        let can = self.can(user);
        let reads = can.schemas.contains(&0) && can.tables.contains(&((0, 0), 0));
        let of = self.filters.iter().filter(|filter| filter.users.contains(&user));
        let numbers: BTreeSet<usize> = of.flat_map(|filter| filter.numbers.iter().copied()).collect();
        reads.then(|| numbers.into_iter().map(|number| number.to_string()).collect())
    }

    /// The files as text, with a test for each user, table and permission, so that the plan is held against the same.
    fn text(&self) -> String {
        let mut text =
            "version: 1\nrepository: corp/access\non: shop\nmanages: [{ kind: role, names: R_* }]\n".to_owned();
        let mut list = |name: &str, items: Vec<String>| {
            if !items.is_empty() {
                let _ = write!(text, "{name}:\n{}", items.concat());
            }
        };
        list("grants", self.roles.iter().map(|(number, role)| role.text(*number)).collect());
        let filter = |(number, filter): (usize, &Filter)| {
            let users: Vec<String> = filter.users.iter().map(|user| format!("{{ user: {} }}", USERS[*user])).collect();
            let numbers: Vec<String> = filter.numbers.iter().map(ToString::to_string).collect();
            format!(
                "  - {{ name: filter_{number}, rule: \"number = any ('{{{}}}')\", what: [{{ object: table shop.one.t0 }}], who: [{}] }}\n",
                numbers.join(","),
                users.join(", ")
            )
        };
        list("filters", self.filters.iter().enumerate().map(filter).collect());
        let mut tests = Vec::new();
        for (user, name) in USERS.iter().enumerate() {
            let can = self.can(user);
            // Rows of the first table are looked at as the user himself.
            for table in tables().filter(|table| *table != (0, 0)) {
                for (permission, word) in PERMISSIONS.iter().enumerate() {
                    let holds = can.schemas.contains(&table.0) && can.tables.contains(&(table, permission));
                    let says = if holds { "allowed" } else { "denied" };
                    tests.push(format!(
                        "  - {{ assert: {says}, user: {name}, object: table shop.{}, permission: {word} }}\n",
                        shown(table)
                    ));
                }
            }
        }
        list("tests", tests);
        text
    }
}

impl Role {
    fn text(&self, number: usize) -> String {
        let mut text = format!("  - name: R_{number}\n");
        let ended = |over: bool| if over { ", expires: 2020-01-01" } else { "" };
        let users = self.users.iter().map(|(user, over)| format!("{{ user: {}{} }}", USERS[*user], ended(*over)));
        let roles = self.roles.iter().map(|role| format!("{{ control: R_{role} }}"));
        let _ = writeln!(text, "    who: [{}]", users.chain(roles).collect::<Vec<_>>().join(", "));
        let mut what: Vec<String> = self
            .held
            .iter()
            .map(|(table, name)| {
                format!("{{ object: table shop.{}, permissions: [{}] }}", shown(*table), PERMISSIONS[*name])
            })
            .collect();
        what.extend(self.reads.map(|schema| {
            format!("{{ select: {{ kind: table, under: shop.{} }}, permissions: [read] }}", SCHEMAS[schema])
        }));
        what.extend(
            self.uses.map(|schema| format!("{{ object: schema shop.{}, permissions: [USAGE] }}", SCHEMAS[schema])),
        );
        let _ = writeln!(text, "    what:{}", if what.is_empty() { " []" } else { "" });
        text.extend(what.iter().map(|item| format!("      - {item}\n")));
        text
    }
}

impl Managed {
    /// What a user can do, by the server's own word.
    fn can(&self, user: &str) -> Can {
        let all: Vec<String> = SCHEMAS
            .iter()
            .map(|schema| format!("has_schema_privilege('{user}', '{schema}', 'USAGE')"))
            .chain(tables().flat_map(|table| {
                PERMISSIONS.map(|word| format!("has_table_privilege('{user}', '{}', '{word}')", shown(table)))
            }))
            .collect();
        let said = self.server.rows("shop", &format!("select unnest(array[{}])", all.join(", ")));
        assert_eq!(said.len(), all.len(), "{said:?}");
        let yes: Vec<bool> = said.iter().map(|word| word == "t").collect();
        let (schemas, rest) = yes.split_at(SCHEMAS.len());
        let held = tables().flat_map(|table| (0..PERMISSIONS.len()).map(move |name| (table, name)));
        Can {
            schemas: (0..SCHEMAS.len()).filter(|schema| schemas[*schema]).collect(),
            tables: held.zip(rest).filter_map(|(held, yes)| yes.then_some(held)).collect(),
        }
    }

    /// Somebody changes a few things by hand that the files are the only source of.
    fn by_hand(&self, random: &mut Random) {
        let roles = self.server.rows("shop", "select rolname from pg_roles where rolname like 'R\\_%' order by 1");
        for role in &roles {
            let table = shown((random.below(SCHEMAS.len()), random.below(TABLES)));
            let (word, user) = (*random.pick(&PERMISSIONS), *random.pick(&USERS));
            let sql = match random.below(5) {
                0 => format!("grant {word} on {table} to \"{role}\""),
                1 => format!("revoke {word} on {table} from \"{role}\""),
                2 => format!("grant \"{role}\" to {user}"),
                3 => format!("revoke \"{role}\" from {user}"),
                _ => format!(
                    "create role \"{role}x\"; grant {word} on {table} to \"{role}x\"; grant \"{role}x\" to {user}"
                ),
            };
            self.server.sql("shop", &sql);
        }
    }
}

#[test]
fn what_logins_can_do_and_see_is_what_a_plain_reading_of_the_files_gives() {
    let mut random = Random::from_environment("what_logins_can_do_and_see");
    let managed = managed("superuser");
    let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
    let thresholds = "    thresholds: { remove-percent: 100, remove-count: 100000, drop-count: 100000 }\n";
    managed.place.configure(&format!("{configuration}{thresholds}"));
    for (schema, name) in SCHEMAS.iter().enumerate() {
        managed.server.sql("shop", &format!("create schema {name}"));
        for number in 0..TABLES {
            managed.server.sql("shop", &format!("create table {} (number integer)", shown((schema, number))));
        }
    }
    let last = NUMBERS - 1;
    managed.server.sql(
        "shop",
        &format!("alter table one.t0 enable row level security; insert into one.t0 select generate_series(0, {last})"),
    );
    let (mut held, mut rows) = (0, 0);
    for round in 0..ROUNDS {
        managed.by_hand(&mut random);
        let files = Files::random(&mut random);
        let text = files.text();
        managed.code("all.yml", &text);
        managed.access(&["apply", "--yes", "--quiet"]).exits(0);
        for (user, name) in USERS.iter().enumerate() {
            let can = managed.can(name);
            assert_eq!(can, files.can(user), "{name} in round {round} with\n{text}");
            held += can.tables.len();
            if let Some(numbers) = files.sees(user) {
                let seen =
                    managed.server.rows("shop", &format!("set role {name}; select number from one.t0 order by 1"));
                assert_eq!(seen, numbers, "{name} in round {round} with\n{text}");
                rows += seen.len();
            }
        }
        managed.access(&["plan", "--quiet", "--detailed-exitcode"]).exits(0);
    }
    println!("{held} permissions were held and {rows} rows seen");
    assert!(held > ROUNDS * 10, "files of chance that say nothing prove nothing");
}
