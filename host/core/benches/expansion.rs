//! Effective access at size: 100,000 people, 200,000 objects nested six deep, a million grants. Prints one line for each;
//! `host/docs/performance.md` has them.

use std::time::{Duration, Instant};

use raito_core::expansion::{AnswerFilter, Builder, Snapshot};
use raito_core::record::{AccessControl, Action, DataObject, Description, Member, ObjectRef, User, What};
use raito_core::text::ExternalId;
use serde_json::{Value, json};

const PEOPLE: u64 = 100_000;
const OBJECTS: u64 = 200_000;
const GRANTS: u64 = 1_000_000;
const ROLES: u64 = 10_000;
/// Kinds, outermost first.
const KINDS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// SplitMix64, so that every run measures the same graph.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn record<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a record")
}

fn description() -> Description {
    let permission = |name: &str, reaches: Vec<Value>, needs: Value| {
        json!({ "name": name, "description": "", "counts-as": ["read"], "implies": [], "reaches": reaches, "needs": needs,
                "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
    };
    let kinds: Vec<Value> = KINDS
        .iter()
        .enumerate()
        .map(|(at, kind)| {
            let reaches = KINDS
                .get(at + 1)
                .map(|below| json!({ "to": { "kind": below, "permission": "read" }, "later-too": true }));
            let needs = if at == 0 { json!([]) } else { json!([[{ "kind": "k0", "permission": "use" }]]) };
            json!({ "name": kind, "label": kind, "children": [], "revoke-clears-parts": false, "permissions": [
                permission("read", reaches.into_iter().collect(), needs.clone()),
                permission("use", vec![], json!([])),
                permission("write", vec![], needs),
            ] })
        })
        .collect();
    record(json!({
        "name": "t", "instance-id": "i", "inheritance": true, "masks": [], "filters-apply-to": [], "mask-overrides": [],
        "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63, "reserved-prefixes": [], "sql-dialect": null,
        "specials": [], "kinds": kinds,
        "controls": [{ "name": "role", "label": "role", "identity": "named", "can-create": false, "can-rename": false,
            "assumable": true, "members": ["user", "access-control"], "common-parent": null, "replaced-whole": false }],
    }))
}

/// The reference of an object: each stands below the one whose number is a sixth of its own.
fn reference(number: u64) -> (ObjectRef, Option<u64>) {
    let depth = (0..)
        .scan(number, |at, _| {
            let now = *at;
            *at /= 8;
            Some(now)
        })
        .take_while(|at| *at > 0)
        .count()
        .min(5);
    let parent = (number > 0).then_some(number / 8);
    (record(json!({ "kind": KINDS[depth], "path": [format!("o{number:07}")] })), parent)
}

fn build() -> Snapshot {
    let mut random = Random(7);
    let mut builder = Builder::new(&description(), 0);
    for at in 0..PEOPLE {
        let id = format!("u{at}");
        builder
            .user(&record::<User>(json!({ "external-id": id, "user-name": id, "display-name": id, "enabled": true })));
    }
    let mut objects = Vec::new();
    for at in 0..OBJECTS {
        let (object, parent) = reference(at);
        let mut value =
            json!({ "external-id": format!("o{at}"), "name": format!("o{at}"), "ref": object, "description": "" });
        if let Some(parent) = parent {
            value["parent-external-id"] = json!(format!("o{parent}"));
        }
        builder.object(&record::<DataObject>(value)).expect("described");
        objects.push(object);
    }
    let member = |kind: &str, id: String| -> Member { record(json!({ "kind": kind, "id": id, "inherits": true })) };
    for role in 0..ROLES {
        let id = format!("r{role}");
        let mut who: Vec<Member> = (0..20).map(|_| member("user", format!("u{}", random.below(PEOPLE)))).collect();
        // Roles in roles, six deep at most: each belongs to one with a smaller number.
        if role >= 8 {
            who.push(member("access-control", format!("r{}", role / 8)));
        }
        let what: Vec<What> = (0..GRANTS / ROLES)
            .map(|_| {
                let object = &objects[random.below(OBJECTS) as usize];
                record(json!({ "object": object, "permissions": [{ "name": (["read", "use", "write"][random.below(3) as usize]) }] }))
            })
            .collect();
        let control: AccessControl = record(json!({ "external-id": id, "name": id, "actual-name": id, "kind": "role",
            "description": "", "action": "grant", "internalizable": true }));
        builder.control(&control).expect("described");
        builder.held(&control.external_id, Action::Grant, &who, &what, &[]).expect("described");
    }
    builder.finish()
}

fn percentile(mut all: Vec<Duration>, of_hundred: usize) -> Duration {
    all.sort();
    all[(all.len() * of_hundred / 100).min(all.len() - 1)]
}

/// Resident memory of this process, in MiB (proc(5)).
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() / 1024
}

fn main() {
    let began = Instant::now();
    let snapshot = build();
    println!(
        "{PEOPLE} people, {OBJECTS} objects, {GRANTS} grants: put together in {:.2?}, {} MiB",
        began.elapsed(),
        memory()
    );
    let mut random = Random(11);
    let filter = AnswerFilter::default();
    let mut who = Vec::new();
    for _ in 0..300 {
        let (object, _) = reference(random.below(OBJECTS));
        let object = snapshot.find_object(&object).expect("an object");
        let began = Instant::now();
        std::hint::black_box(snapshot.who(object, &filter));
        who.push(began.elapsed());
    }
    let mut access = Vec::new();
    let first = snapshot.object_at(0).expect("objects");
    for _ in 0..100 {
        let id = ExternalId::new(format!("u{}", random.below(PEOPLE))).expect("an id");
        let user = snapshot.find_user(&id).expect("a user");
        let began = Instant::now();
        std::hint::black_box(snapshot.of_user(user, &filter, first, 100));
        access.push(began.elapsed());
    }
    println!("who OBJECT: median {:.2?}, p99 {:.2?}", percentile(who.clone(), 50), percentile(who, 99));
    println!(
        "who --user, a page of 100: median {:.2?}, p99 {:.2?}",
        percentile(access.clone(), 50),
        percentile(access, 99)
    );
    println!("{} MiB after all questions", memory());
}
