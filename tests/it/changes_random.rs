//! Step 4 against chance: whatever is wanted, locked and changed by hand, the server has what it is to have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::changes::{Managed, managed, on};
use crate::support::Random;

/// Roles, and how often each of them is wanted in another way: 200 states.
const ROLES: usize = 20;
const ROUNDS: usize = 10;
const PEOPLE: [&str; 4] = ["ann", "bob", "carl", "staff"];

/// Something that can be granted: what the catalogue calls it, the draft of it, and the statement's words for it.
struct Grantable {
    shown: String,
    draft: Value,
    words: String,
    database: &'static str,
}

fn grantables() -> Vec<Grantable> {
    let mut all = Vec::new();
    for database in ["shop", "crm"] {
        let mut add = |shown: &str, kind: &str, path: &[&str], permission: &str, words: &str| {
            let path: Vec<&str> = std::iter::once(database).chain(path.iter().copied()).collect();
            all.push(Grantable {
                shown: format!("{database} {shown} {permission}"),
                draft: on(kind, &path, &[permission]),
                words: words.to_owned(),
                database,
            });
        };
        for permission in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
            for table in ["orders", "customers"] {
                let words = format!("{permission} on sales.{table}");
                add(&format!("sales.{table}"), "table", &["sales", table], permission, &words);
            }
        }
        for column in ["id", "region"] {
            let words = format!("SELECT ({column}) on sales.orders");
            add(&format!("sales.orders.{column}"), "column", &["sales", "orders", column], "SELECT", &words);
        }
        add("sales.numbers", "sequence", &["sales", "numbers"], "USAGE", "USAGE on sequence sales.numbers");
        add("sales", "schema", &["sales"], "USAGE", "USAGE on schema sales");
    }
    all
}

/// What a role is to have, as the catalogue shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    members: BTreeSet<usize>,
    grants: BTreeSet<usize>,
}

impl Held {
    fn random(random: &mut Random, grantables: &[Grantable]) -> Self {
        Self {
            members: (0..PEOPLE.len()).filter(|_| random.chance(40)).collect(),
            grants: (0..grantables.len()).filter(|_| random.chance(30)).collect(),
        }
    }

    fn shown(&self, grantables: &[Grantable]) -> BTreeSet<String> {
        let members = self.members.iter().map(|at| format!("member {}", PEOPLE[*at]));
        members.chain(self.grants.iter().map(|at| grantables[*at].shown.clone())).collect()
    }

    fn draft(&self, managed: &Managed, name: &str, locks: &[&str], grantables: &[Grantable]) -> Value {
        let lock = |facet: &&str| json!({ "facet": facet, "reason": "for a test" });
        json!({
            "name": name, "kind": "role",
            "who": self.members.iter().map(|at| managed.member(PEOPLE[*at])).collect::<Vec<_>>(),
            "what": self.grants.iter().map(|at| grantables[*at].draft.clone()).collect::<Vec<_>>(),
            "locks": locks.iter().map(lock).collect::<Vec<_>>(),
        })
    }
}

/// Somebody changes a few things by hand; `is` follows.
fn by_hand(managed: &Managed, random: &mut Random, roles: &mut BTreeMap<String, Held>, grantables: &[Grantable]) {
    let mut statements: BTreeMap<&str, String> = BTreeMap::new();
    for (name, is) in roles.iter_mut() {
        for _ in 0..random.below(4) {
            let at = random.below(grantables.len());
            let Grantable { words, database, .. } = &grantables[at];
            let sql = statements.entry(database).or_default();
            // A revoke on a table takes what was granted on its columns along, so only what stands alone is revoked.
            let alone = !words.contains("orders");
            if is.grants.contains(&at) && alone {
                is.grants.remove(&at);
                sql.push_str(&format!("revoke {words} from {name};"));
            } else {
                is.grants.insert(at);
                sql.push_str(&format!("grant {words} to {name};"));
            }
        }
        if random.chance(30) {
            let at = random.below(PEOPLE.len());
            let sql = statements.entry("shop").or_default();
            if is.members.remove(&at) {
                sql.push_str(&format!("revoke {name} from {};", PEOPLE[at]));
            } else {
                is.members.insert(at);
                sql.push_str(&format!("grant {name} to {};", PEOPLE[at]));
            }
        }
    }
    statements.iter().for_each(|(database, sql)| drop(managed.server.sql(database, sql)));
}

#[test]
fn whatever_is_wanted_and_changed_by_hand_the_server_has_what_it_is_to_have() {
    let mut random = Random::from_environment("whatever_is_wanted");
    let managed = managed("superuser");
    let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
    managed.place.configure(&format!(
        "{configuration}    drift: revert\n    thresholds: {{ remove-percent: 100, remove-count: 100000 }}\n"
    ));
    let grantables = grantables();
    let names: Vec<String> = (0..ROLES).map(|at| format!("role_{at}")).collect();
    let mut server = managed.place.serve_cloud();
    let ids: BTreeMap<&String, String> = names
        .iter()
        .map(|name| (name, managed.want(&Held::default().draft(&managed, name, &[], &grantables))))
        .collect();
    managed.place.run(&["--apply-first"]);
    let mut is: BTreeMap<String, Held> = names.iter().map(|name| (name.clone(), Held::default())).collect();
    for round in 0..ROUNDS {
        by_hand(&managed, &mut random, &mut is, &grantables);
        for name in &names {
            let wanted = Held::random(&mut random, &grantables);
            let locked = [random.chance(15), random.chance(15)];
            let mut locks = Vec::new();
            if locked[0] {
                locks.extend(["who", "inheritance"]);
            }
            if locked[1] {
                locks.push("what");
            }
            let draft = wanted.draft(&managed, name, &locks, &grantables);
            managed.change_version(&ids[name], round + 1, &draft);
            // A locked side is as the target has it.
            let held = is.get_mut(name).expect("a role");
            if !locked[0] {
                held.members = wanted.members;
            }
            if !locked[1] {
                held.grants = wanted.grants;
            }
        }
        managed.place.run(&[]);
        for (name, held) in &is {
            let real: BTreeSet<String> = managed.holds(name).into_iter().collect();
            assert_eq!(real, held.shown(&grantables), "{name} in round {round}");
        }
    }
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), sent, "nothing is left to do");
    let _ = server.kill();
    let _ = server.wait();
}
