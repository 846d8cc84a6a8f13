//! What is in the warehouse.

use std::collections::{BTreeMap, BTreeSet};

use crate::seed::Seed;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// People.
    pub people: usize,
    /// Groups.
    pub groups: usize,
    /// Datasets.
    pub datasets: usize,
    /// Tables of all datasets together.
    pub tables: usize,
    /// Roles.
    pub roles: usize,
    /// Statements in the usage log.
    pub statements: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { people: 240, groups: 40, datasets: 10, tables: 1_000, roles: 60, statements: 2_000 }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) active: bool,
    pub(crate) machine: bool,
    pub(crate) department: &'static str,
}

/// Somebody on a list: the id of a person, a group or a role, or `everyone`.
pub(crate) type Principal = String;

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) members: BTreeSet<Principal>,
}

#[derive(Debug, Clone)]
pub(crate) struct Dataset {
    pub(crate) name: String,
    pub(crate) comment: String,
    /// Who holds what: the list that is replaced as a whole.
    pub(crate) access: BTreeSet<(Principal, &'static str)>,
    /// The version of the list.
    pub(crate) version: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) dataset: String,
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) columns: Vec<(String, &'static str)>,
}

#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) members: BTreeSet<Principal>,
    /// Object, permission, whether it may be granted on.
    pub(crate) grants: BTreeMap<(String, &'static str), bool>,
}

#[derive(Debug, Clone)]
pub(crate) struct Mask {
    pub(crate) kind: &'static str,
    pub(crate) clear_for: BTreeSet<Principal>,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) person: String,
    pub(crate) role: Option<String>,
    pub(crate) text: String,
    pub(crate) started_ms: u64,
    pub(crate) ended_ms: u64,
    pub(crate) ok: bool,
    pub(crate) objects: Vec<(String, &'static str)>,
    pub(crate) rows: u64,
}

/// Permissions on a dataset's list.
pub(crate) const DATASET_PERMISSIONS: [&str; 3] = ["read", "write", "manage"];
/// Permissions that roles hold on tables.
pub(crate) const TABLE_PERMISSIONS: [&str; 4] = ["select", "insert", "update", "delete"];
/// Ways to mask a column.
pub(crate) const MASK_KINDS: [&str; 2] = ["hide", "sha256"];

/// Everything in the warehouse, by id.
#[derive(Debug, Clone, Default)]
pub struct Model {
    pub(crate) people: BTreeMap<String, Person>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) datasets: BTreeMap<String, Dataset>,
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) masks: BTreeMap<String, Mask>,
    pub(crate) usage: BTreeMap<String, Statement>,
    pub(crate) next_role: u64,
}

const FIRST: [&str; 24] = [
    "Ada", "Alan", "Barbara", "Claude", "Donald", "Edith", "Edsger", "Frances", "Grace", "Hedy", "Ivan", "Jean",
    "Karen", "Leslie", "Margaret", "Niklaus", "Ole", "Radia", "Robin", "Shafi", "Sophie", "Tony", "Ursula", "Zoë",
];
const LAST: [&str; 20] = [
    "Allen",
    "Borg",
    "Clarke",
    "Dahl",
    "Eckert",
    "Floyd",
    "Goldberg",
    "Hopper",
    "Iverson",
    "Jones",
    "Knuth",
    "Liskov",
    "Milner",
    "Naur",
    "O'Neil",
    "Perlis",
    "Rivest",
    "Sutherland",
    "Turing",
    "Wirth",
];
const DEPARTMENTS: [&str; 6] = ["finance", "sales", "research", "operations", "legal", "support"];
const DATASETS: [&str; 10] =
    ["sales", "finance", "people", "marketing", "logistics", "support", "research", "web", "risk", "archive"];
const NOUNS: [&str; 12] = [
    "orders",
    "customers",
    "invoices",
    "payments",
    "visits",
    "shipments",
    "tickets",
    "products",
    "contracts",
    "events",
    "salaries",
    "ledger",
];
const COLUMNS: [(&str, &str); 10] = [
    ("id", "bigint"),
    ("name", "text"),
    ("email", "text"),
    ("amount", "decimal"),
    ("country", "text"),
    ("created", "timestamp"),
    ("status", "text"),
    ("iban", "text"),
    ("note", "text"),
    ("score", "double"),
];

/// What personal data the values of a column with this name are.
pub(crate) fn personal(column: &str) -> Option<&'static str> {
    match column {
        "email" => Some("email"),
        "iban" => Some("bank-account"),
        _ => None,
    }
}

impl Model {
    /// Makes everything from a seed.
    pub(crate) fn new(size: &Size, seed: u64, now_ms: u64) -> Self {
        let mut model = Self::default();
        let mut seed = Seed::new(seed);
        model.add_people(size.people, &mut seed);
        model.add_groups(size.groups, &mut seed);
        model.add_tables(size, &mut seed);
        model.add_roles(size.roles, &mut seed);
        model.add_access(&mut seed);
        model.add_usage(size.statements, now_ms, &mut seed);
        model
    }

    /// Takes a principal that is no more off every list.
    pub(crate) fn forget(&mut self, principal: &str) {
        for role in self.roles.values_mut() {
            role.members.remove(principal);
        }
        for mask in self.masks.values_mut() {
            mask.clear_for.remove(principal);
        }
        for dataset in self.datasets.values_mut() {
            let before = dataset.access.len();
            dataset.access.retain(|(held, _)| held != principal);
            dataset.version += u64::from(dataset.access.len() < before);
        }
    }

    /// The id of a table.
    pub(crate) fn table_id(&self, dataset: &str, table: &str) -> Option<String> {
        let of_dataset = |id: &str| self.datasets.get(id).is_some_and(|known| known.name == dataset);
        let mut found = self.tables.iter().filter(|(_, known)| known.name == table && of_dataset(&known.dataset));
        found.next().map(|(id, _)| id.clone())
    }

    /// The id of a column.
    pub(crate) fn column_id(&self, dataset: &str, table: &str, column: &str) -> Option<String> {
        let table = self.table_id(dataset, table)?;
        let at = self.tables[&table].columns.iter().position(|(name, _)| name == column)?;
        Some(format!("{table}.c{at}"))
    }

    fn add_people(&mut self, count: usize, seed: &mut Seed) {
        for number in 1..=count {
            let (first, last) = (seed.pick(&FIRST), seed.pick(&LAST));
            let machine = seed.one_in(12);
            let login = if machine { format!("svc-{number}") } else { format!("{}.{number}", first.to_lowercase()) };
            let email = (!machine).then(|| format!("{}{number}@example.test", last.to_lowercase().replace('\'', "")));
            let name = if machine { format!("Service {number}") } else { format!("{first} {last}") };
            let person =
                Person { login, name, email, active: !seed.one_in(15), machine, department: seed.pick(&DEPARTMENTS) };
            self.people.insert(format!("p{number:04}"), person);
        }
    }

    /// Groups of people; the first ones hold later ones, two levels deep.
    fn add_groups(&mut self, count: usize, seed: &mut Seed) {
        let people: Vec<String> = self.people.keys().cloned().collect();
        for number in 1..=count {
            let department = DEPARTMENTS[number % DEPARTMENTS.len()];
            let mut members: BTreeSet<Principal> = (0..3 + seed.below(12)).map(|_| seed.pick(&people)).collect();
            for below in [number * 3, number * 3 + 1].into_iter().filter(|below| *below <= count) {
                members.insert(format!("g{below:02}"));
            }
            let group =
                Group { name: format!("{department}-{number}"), title: format!("{department} team {number}"), members };
            self.groups.insert(format!("g{number:02}"), group);
        }
    }

    fn add_tables(&mut self, size: &Size, seed: &mut Seed) {
        for number in 1..=size.datasets {
            let name = match DATASETS.get(number - 1) {
                Some(name) => (*name).to_owned(),
                None => format!("dataset{number}"),
            };
            let comment = format!("Everything about {name}");
            self.datasets
                .insert(format!("d{number:02}"), Dataset { name, comment, access: BTreeSet::new(), version: 1 });
        }
        for number in 1..=size.tables {
            let dataset = format!("d{:02}", 1 + number % size.datasets);
            let columns = (0..3 + seed.index(4)).map(|at| COLUMNS[(at + number) % COLUMNS.len()]);
            let table = Table {
                dataset,
                name: format!("{}_{number}", seed.pick(&NOUNS)),
                comment: if seed.one_in(3) {
                    format!("Loaded every {} hours", 1 + seed.below(24))
                } else {
                    String::new()
                },
                columns: columns.map(|(name, kind)| (name.to_owned(), kind)).collect(),
            };
            self.tables.insert(format!("t{number:04}"), table);
        }
    }

    fn principal(&self, seed: &mut Seed) -> Principal {
        let from = |list: &mut dyn Iterator<Item = &String>, at: usize| list.nth(at).cloned().unwrap_or_default();
        if seed.one_in(3) {
            from(&mut self.people.keys(), seed.index(self.people.len()))
        } else {
            from(&mut self.groups.keys(), seed.index(self.groups.len()))
        }
    }

    fn add_roles(&mut self, count: usize, seed: &mut Seed) {
        let tables: Vec<String> = self.tables.keys().cloned().collect();
        for number in 1..=count {
            let mut members: BTreeSet<Principal> = (0..1 + seed.below(5)).map(|_| self.principal(seed)).collect();
            if number > 3 && seed.one_in(3) {
                members.insert(format!("r{:03}", 1 + seed.below(number as u64 - 1)));
            }
            let grants = (0..5 + seed.below(60))
                .map(|_| ((seed.pick(&tables), seed.pick(&TABLE_PERMISSIONS)), seed.one_in(20)))
                .collect();
            let role = Role {
                name: format!("{}_{}", seed.pick(&DATASETS), number),
                comment: "Made by the demo".to_owned(),
                members,
                grants,
            };
            self.roles.insert(format!("r{number:03}"), role);
        }
        self.next_role = count as u64 + 1;
    }

    /// Access lists of datasets, and masks on columns that need them.
    fn add_access(&mut self, seed: &mut Seed) {
        let ids: Vec<String> = self.datasets.keys().cloned().collect();
        for (at, id) in ids.iter().enumerate() {
            let mut access: BTreeSet<(Principal, &'static str)> =
                (0..4 + seed.below(8)).map(|_| (self.principal(seed), seed.pick(&DATASET_PERMISSIONS))).collect();
            if at == 7 {
                access.insert(("everyone".to_owned(), "read"));
            }
            if let Some(dataset) = self.datasets.get_mut(id) {
                dataset.access = access;
            }
        }
        let sensitive = |table: &Table| table.columns.iter().position(|(name, _)| personal(name).is_some());
        let found: Vec<String> = self
            .tables
            .iter()
            .filter_map(|(id, table)| sensitive(table).map(|at| format!("{id}.c{at}")))
            .take(25)
            .collect();
        for column in found {
            let clear_for = [self.principal(seed)].into();
            self.masks.insert(column, Mask { kind: seed.pick(&MASK_KINDS), clear_for });
        }
    }

    fn add_usage(&mut self, count: usize, now_ms: u64, seed: &mut Seed) {
        const MONTH_MS: u64 = 30 * 24 * 3_600 * 1_000;
        let people: Vec<String> = self.people.keys().cloned().collect();
        let roles: Vec<String> = self.roles.keys().cloned().collect();
        let tables: Vec<String> = self.tables.keys().cloned().collect();
        let begin = now_ms.saturating_sub(MONTH_MS);
        for number in 0..count {
            let started_ms = begin + MONTH_MS / count.max(1) as u64 * number as u64;
            let id = format!("q{:06}", number + 1);
            let table = seed.pick(&tables);
            let text = format!("select * from {} where id = {}", self.tables[&table].name, seed.below(1_000));
            let statement = Statement {
                id: id.clone(),
                person: seed.pick(&people),
                role: (!roles.is_empty() && !seed.one_in(4)).then(|| seed.pick(&roles)),
                text,
                started_ms,
                ended_ms: started_ms + seed.below(5_000),
                ok: !seed.one_in(30),
                objects: vec![(table, if seed.one_in(5) { "insert" } else { "select" })],
                rows: seed.below(10_000),
            };
            self.usage.insert(id, statement);
        }
    }
}
