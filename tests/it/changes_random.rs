//! Step 4 against chance: whatever is wanted, locked and changed by hand, the server has what it is to have.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::api::{Served, token};
use crate::changes::{ACLS, Managed, WRITER, managed_on, on};
use crate::changes_policies::policy;
use crate::support::Random;
use crate::support::postgres::{SYSTEM, Version};

/// Roles and policies, and how often each of them is wanted in another way on each version: 200 states of roles, 40 of policies.
const ROLES: usize = 20;
const POLICIES: usize = 4;
const ROUNDS: usize = 5;
const PEOPLE: [&str; 4] = ["ann", "bob", "carl", "staff"];
/// The version from which a membership has options beside that of admitting others, as `server_version_num` has it.
const WITH_OPTIONS: u32 = 160_000;
/// Rules, each as it is written and as the server shows it.
const RULES: [(&str, &str); 4] = [
    ("region = 'eu'", "(region = 'eu'::text)"),
    ("region <> 'jp' and id > 5", "((region <> 'jp'::text) AND (id > 5))"),
    ("id > 5", "(id > 5)"),
    ("true", "true"),
];

/// Something that can be granted: what the catalogue calls it, the draft of it, and the statement's words for it.
struct Grantable {
    shown: String,
    object: Value,
    permission: &'static str,
    /// The kind of objects, for what comes with objects that bob creates later.
    later: Option<&'static str>,
    words: String,
    database: &'static str,
}

fn grantables() -> Vec<Grantable> {
    let mut all = Vec::new();
    for database in ["shop", "crm"] {
        let mut add = |shown: &str, object: Value, permission, words: String, later| {
            let shown = format!("{database} {shown} {permission}");
            all.push(Grantable { shown, object, permission, later, words, database });
        };
        let object = |kind: &str, path: &[&str]| {
            let path: Vec<&str> = std::iter::once(database).chain(path.iter().copied()).collect();
            on(kind, &path, &[])["object"].clone()
        };
        for permission in ["SELECT", "INSERT", "UPDATE", "DELETE"] {
            for table in ["orders", "customers"] {
                let words = format!("{permission} on sales.{table}");
                add(&format!("sales.{table}"), object("table", &["sales", table]), permission, words, None);
            }
        }
        for column in ["id", "region"] {
            let words = format!("SELECT ({column}) on sales.orders");
            let object = object("column", &["sales", "orders", column]);
            add(&format!("sales.orders.{column}"), object, "SELECT", words, None);
        }
        let words = "USAGE on sequence sales.numbers".to_owned();
        add("sales.numbers", object("sequence", &["sales", "numbers"]), "USAGE", words, None);
        add("sales", object("schema", &["sales"]), "USAGE", "USAGE on schema sales".to_owned(), None);
        for (signature, shown) in [("integer, integer", "integer,integer"), ("text", "text")] {
            let mut object = object("function", &["sales", "total"]);
            object["signature"] = signature.into();
            let words = format!("EXECUTE on function sales.total({shown})");
            add(&format!("sales.total({shown})"), object, "EXECUTE", words, None);
        }
        for (letter, kind, permission) in [
            ("r", "table", "SELECT"),
            ("r", "table", "DELETE"),
            ("S", "sequence", "USAGE"),
            ("f", "function", "EXECUTE"),
        ] {
            let words = format!("{permission} on {kind}s");
            add(&format!("later {letter} sales"), object("schema", &["sales"]), permission, words, Some(kind));
        }
    }
    all
}

impl Grantable {
    /// The statement that gives or takes it by hand.
    fn by_hand(&self, verb: &str, direction: &str, role: &str, end: &str) -> String {
        let prefix = if self.later.is_some() { "alter default privileges for role bob in schema sales " } else { "" };
        format!("{prefix}{verb} {} {direction} {role}{end};", self.words)
    }
}

/// How somebody is a member: whether he may admit others, has what the role has at all times, and may switch to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Membership {
    admin: bool,
    inherits: bool,
    assumable: bool,
}

impl Membership {
    fn random(random: &mut Random, has_options: bool) -> Self {
        let mut option = |percent| !has_options || random.chance(percent);
        let (inherits, assumable) = (option(70), option(70));
        Self { admin: random.chance(30), inherits, assumable }
    }
}

/// What a role is to have, as the catalogue shows it: members, and grants by whether they may be passed on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    members: BTreeMap<usize, Membership>,
    grants: BTreeMap<usize, bool>,
}

/// What a policy is to be: members by name, and a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    members: BTreeSet<String>,
    rule: usize,
}

/// A server, a cloud that is asked without a process for each question, and the oids of roles.
struct World {
    managed: Managed,
    /// Whether memberships have options beside that of admitting others.
    has_options: bool,
    cloud: Served,
    token: String,
    grantables: Vec<Grantable>,
    oids: BTreeMap<String, String>,
}

impl World {
    fn new(version: Version) -> Self {
        let managed = managed_on(version, "superuser");
        let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
        managed.place.configure(&format!(
            "{configuration}    drift: revert\n    thresholds: {{ remove-percent: 100, remove-count: 100000 }}\n"
        ));
        managed.server.sql("shop", "alter table sales.orders enable row level security");
        let number: u32 = managed.server.sql("shop", "show server_version_num").parse().expect("a number");
        let has_options = number >= WITH_OPTIONS;
        let (token, cloud) = (token(&managed.place, &["write"]), Served::of(&managed.place));
        let mut world = Self { managed, has_options, cloud, token, grantables: grantables(), oids: BTreeMap::new() };
        world.learn();
        world
    }

    /// Learns the oids of all roles.
    fn learn(&mut self) {
        let rows = self.managed.server.rows("shop", "select rolname || '|' || oid from pg_roles");
        self.oids = rows.iter().filter_map(|row| row.split_once('|')).map(|(a, b)| (a.into(), b.into())).collect();
    }

    fn member(&self, name: &str, how: Membership) -> Value {
        json!({ "kind": "access-control", "id": self.oids[name], "inherits": how.inherits, "assumable": how.assumable,
                "may-pass-on": how.admin })
    }

    /// Wants something: newly, or in the place of what was wanted under this path. Gives the path.
    fn want(&self, known: Option<(&str, usize)>, draft: &Value) -> String {
        const ALL: &str = "/api/v1/sources/shop/internal-access-controls";
        let bearer = format!("Bearer {}", self.token);
        let version = known.map(|(_, version)| format!("\"{version}\"")).unwrap_or_default();
        let mut fields = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        fields.extend(known.map(|_| ("if-match", version.as_str())));
        let (verb, path) = known.map_or(("POST", ALL), |(path, _)| ("PUT", path));
        let answer = self.cloud.ask(verb, path, &fields, &draft.to_string());
        assert!([200, 201].contains(&answer.status), "{path}: {:#}", answer.body);
        known.map_or_else(
            || format!("{ALL}/{}", answer.body["id"].as_str().expect("an id")),
            |(path, _)| path.to_owned(),
        )
    }

    fn random(&self, random: &mut Random) -> Held {
        let mut held = Held { members: BTreeMap::new(), grants: BTreeMap::new() };
        for at in 0..PEOPLE.len() {
            if random.chance(40) {
                held.members.insert(at, Membership::random(random, self.has_options));
            }
        }
        for at in 0..self.grantables.len() {
            if random.chance(30) {
                held.grants.insert(at, random.chance(25));
            }
        }
        held
    }

    fn draft(&self, held: &Held, name: &str, locks: &[&str]) -> Value {
        let given =
            |later: bool| held.grants.iter().filter(move |(at, _)| self.grantables[**at].later.is_some() == later);
        let used = |at: usize, option: bool| json!([{ "name": self.grantables[at].permission, "may-pass-on": option }]);
        let what = given(false)
            .map(|(at, option)| json!({ "object": self.grantables[*at].object, "permissions": used(*at, *option) }));
        let standing = given(true).map(|(at, option)| {
            json!({ "under": self.grantables[*at].object, "kind": self.grantables[*at].later, "creator": self.oids["bob"],
                    "permissions": used(*at, *option) })
        });
        json!({
            "name": name, "kind": "role", "locks": locked(locks),
            "who": held.members.iter().map(|(at, how)| self.member(PEOPLE[*at], *how)).collect::<Vec<_>>(),
            "what": what.collect::<Vec<_>>(), "standing": standing.collect::<Vec<_>>(),
        })
    }

    fn random_rule(&self, random: &mut Random) -> Rule {
        let names: Vec<String> = PEOPLE.iter().map(|name| (*name).to_owned()).chain((0..3).map(role)).collect();
        let mut members: BTreeSet<String> = names.iter().filter(|_| random.chance(40)).cloned().collect();
        if members.is_empty() {
            members.insert(random.pick(&names).clone());
        }
        Rule { members, rule: random.below(RULES.len()) }
    }

    fn rule_draft(&self, rule: &Rule, name: &str, locks: &[&str]) -> Value {
        let how = Membership { admin: false, inherits: true, assumable: false };
        let who: Vec<Value> = rule.members.iter().map(|member| self.member(member, how)).collect();
        let mut draft =
            policy(name, &who, &json!({ "text": RULES[rule.rule].0, "commands": ["SELECT"], "enabled": true }));
        draft["locks"] = locked(locks);
        draft
    }

    /// What the roles hold and what the policies say, in the catalogue's words.
    fn real(&self) -> BTreeMap<String, BTreeSet<String>> {
        let option =
            |name: &str| format!("case when to_jsonb(a) ->> '{name}_option' = 'false' then ' no {name}' else '' end");
        let mut rows = self.managed.server.rows(
            "shop",
            &format!(
                "select r.rolname || '|member ' || m.rolname || case when a.admin_option then ' admin' else '' end || {} || {} \
                 from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member \
                 where r.rolname ~ '^role_' and m.rolname <> '{WRITER}'
                 union all select polname || '|{{' || (select string_agg(r.rolname, ',' order by r.rolname collate \"C\") \
                 from pg_roles r where r.oid = any(polroles)) || '}} ' || pg_get_expr(polqual, polrelid) from pg_policy",
                option("inherit"),
                option("set")
            ),
        );
        for database in ["shop", "crm"] {
            let sql = format!(
                "select r.rolname || '|{database} ' || o.name || ' ' || x.privilege_type || case when x.is_grantable then '*' else '' end \
                 from ({ACLS}) o (name, acl) cross join lateral aclexplode(o.acl) x join pg_roles r on r.oid = x.grantee \
                 where r.rolname ~ '^role_'"
            );
            rows.extend(self.managed.server.rows(database, &sql));
        }
        let mut real: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for row in rows {
            let (name, what) = row.split_once('|').expect("a name");
            assert!(real.entry(name.to_owned()).or_default().insert(what.to_owned()), "twice: {row}");
        }
        real
    }

    fn shown(&self, held: &Held) -> BTreeSet<String> {
        let member = |(at, how): (&usize, &Membership)| {
            let option = |set: bool, text: &'static str| if set { text } else { "" };
            let (admin, inherits) = (option(how.admin, " admin"), option(!how.inherits, " no inherit"));
            format!("member {}{admin}{inherits}{}", PEOPLE[*at], option(!how.assumable, " no set"))
        };
        let grant =
            |(at, option): (&usize, &bool)| format!("{}{}", self.grantables[*at].shown, if *option { "*" } else { "" });
        held.members.iter().map(member).chain(held.grants.iter().map(grant)).collect()
    }

    /// Somebody changes a few things of a role by hand; `is` follows.
    fn by_hand(&self, random: &mut Random, name: &str, is: &mut Held, sql: &mut BTreeMap<&'static str, String>) {
        for _ in 0..random.below(4) {
            let at = random.below(self.grantables.len());
            let grantable = &self.grantables[at];
            let sql = sql.entry(grantable.database).or_default();
            // A revoke on a table takes what was granted on its columns along, so only what stands alone is revoked.
            let alone = !grantable.words.contains("orders");
            let known = is.grants.get(&at).copied();
            match known {
                Some(_) if alone && random.chance(50) => {
                    is.grants.remove(&at);
                    sql.push_str(&grantable.by_hand("revoke", "from", name, ""));
                }
                Some(true) if alone => {
                    is.grants.insert(at, false);
                    sql.push_str(&grantable.by_hand("revoke grant option for", "from", name, ""));
                }
                _ => {
                    let option = known == Some(true) || random.chance(40);
                    is.grants.insert(at, option);
                    let end = if option { " with grant option" } else { "" };
                    sql.push_str(&grantable.by_hand("grant", "to", name, end));
                }
            }
        }
        if random.chance(40) {
            let at = random.below(PEOPLE.len());
            let (person, sql) = (PEOPLE[at], sql.entry("shop").or_default());
            match is.members.get(&at).copied() {
                Some(_) if random.chance(40) => {
                    is.members.remove(&at);
                    sql.push_str(&format!("revoke {name} from {person};"));
                }
                known => {
                    let mut how = Membership::random(random, self.has_options);
                    if self.has_options {
                        let Membership { admin, inherits, assumable } = how;
                        sql.push_str(&format!(
                            "grant {name} to {person} with admin {admin}, inherit {inherits}, set {assumable};"
                        ));
                    } else if known.is_some_and(|known| known.admin) {
                        how.admin = false;
                        sql.push_str(&format!("revoke admin option for {name} from {person};"));
                    } else {
                        let end = if how.admin { " with admin option" } else { "" };
                        sql.push_str(&format!("grant {name} to {person}{end};"));
                    }
                    is.members.insert(at, how);
                }
            }
        }
    }

    /// Somebody changes a policy by hand, or drops it: then it is made anew, as it is wanted.
    fn rule_by_hand(&self, random: &mut Random, name: &str, is: &mut Option<Rule>, sql: &mut String) {
        let other = self.random_rule(random);
        let Some(rule) = is.as_mut() else { return };
        if random.chance(30) {
            let members: Vec<&str> = other.members.iter().map(String::as_str).collect();
            sql.push_str(&format!("alter policy {name} on sales.orders to {};", members.join(", ")));
            rule.members = other.members;
        }
        if random.chance(30) {
            sql.push_str(&format!("alter policy {name} on sales.orders using ({});", RULES[other.rule].0));
            rule.rule = other.rule;
        }
        if random.chance(10) {
            sql.push_str(&format!("drop policy {name} on sales.orders;"));
            *is = None;
        }
    }
}

fn role(at: usize) -> String {
    format!("role_{at}")
}

fn locked(locks: &[&str]) -> Value {
    locks.iter().map(|facet| json!({ "facet": facet, "reason": "for a test" })).collect()
}

/// Facets that are locked: members, and what they get.
fn locks(random: &mut Random) -> (Vec<&'static str>, bool, bool) {
    let (who, what) = (random.chance(15), random.chance(15));
    let mut locks = Vec::new();
    locks.extend(who.then_some(["who", "inheritance"]).into_iter().flatten());
    locks.extend(what.then_some("what"));
    (locks, who, what)
}

fn whatever_is_wanted(version: Version, test: &str) {
    let mut random = Random::from_environment(test);
    let mut world = World::new(version);
    let roles: BTreeMap<String, String> = (0..ROLES)
        .map(role)
        .map(|name| (name.clone(), world.want(None, &world.draft(&Held::default(), &name, &[]))))
        .collect();
    world.managed.place.run(&["--apply-first"]);
    world.learn();
    let mut is: BTreeMap<String, Held> = roles.keys().map(|name| (name.clone(), Held::default())).collect();
    let mut rules: BTreeMap<String, (String, Option<Rule>)> = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut by_hand = BTreeMap::new();
        is.iter_mut().for_each(|(name, held)| world.by_hand(&mut random, name, held, &mut by_hand));
        let sql = by_hand.entry("shop").or_default();
        rules.iter_mut().for_each(|(name, (_, rule))| world.rule_by_hand(&mut random, name, rule, sql));
        by_hand.iter().for_each(|(database, sql)| drop(world.managed.server.sql(database, sql)));
        for (name, held) in &mut is {
            let (wanted, (locks, who, what)) = (world.random(&mut random), locks(&mut random));
            world.want(Some((&roles[name], round + 1)), &world.draft(&wanted, name, &locks));
            // A locked side is as the target has it.
            held.members = if who { std::mem::take(&mut held.members) } else { wanted.members };
            held.grants = if what { std::mem::take(&mut held.grants) } else { wanted.grants };
        }
        for name in (0..POLICIES).map(|at| format!("rule_{at}")) {
            let (wanted, (locks, who, what)) = (world.random_rule(&mut random), locks(&mut random));
            let draft = world.rule_draft(&wanted, &name, &locks);
            match rules.get_mut(&name) {
                None => drop(rules.insert(name, (world.want(None, &draft), Some(wanted)))),
                Some((path, is)) => {
                    world.want(Some((path, round)), &draft);
                    *is = Some(match is.take() {
                        Some(rule) => Rule {
                            members: if who { rule.members } else { wanted.members },
                            rule: if what { rule.rule } else { wanted.rule },
                        },
                        None => wanted,
                    });
                }
            }
        }
        world.managed.place.run(&[]);
        let mut real = world.real();
        for (name, held) in &is {
            assert_eq!(real.remove(name).unwrap_or_default(), world.shown(held), "{name} in round {round}");
        }
        for (name, (_, rule)) in &rules {
            let rule = rule.as_ref().expect("it was made again");
            let members = rule.members.iter().cloned().collect::<Vec<_>>().join(",");
            let shown = BTreeSet::from([format!("{{{members}}} {}", RULES[rule.rule].1)]);
            assert_eq!(real.remove(name).unwrap_or_default(), shown, "{name} in round {round}");
        }
        assert!(real.is_empty(), "in round {round}: {real:?}");
    }
    let sent = world.managed.written().len();
    world.managed.place.run(&[]);
    assert_eq!(world.managed.written().len(), sent, "nothing is left to do");
}

#[test]
fn whatever_is_wanted_and_changed_by_hand_the_systems_postgresql_has_what_it_is_to_have() {
    whatever_is_wanted(SYSTEM, "whatever_is_wanted_on_the_systems_postgresql");
}

#[test]
fn whatever_is_wanted_and_changed_by_hand_postgresql_18_has_what_it_is_to_have() {
    whatever_is_wanted(Version(18), "whatever_is_wanted_on_postgresql_18");
}
