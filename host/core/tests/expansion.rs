//! The expansion against a brute-force oracle: random graphs with cycles, denials and conditions, walked forwards by rules
//! that are written down once more, as simply as possible.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use raito_core::expansion::{AnswerFilter, Asked, Builder, How, Snapshot};
use raito_core::record::{
    AccessControl, Action, DataObject, Description, Group, Member, MemberKind, Membership, ObjectRef, PermissionUse,
    User, What,
};
use serde_json::{Value, json};

const USERS: usize = 3;
const GROUPS: usize = 2;
const CONTROLS: usize = 4;
/// Objects: two of kind `a`, each with a `b` below it, each with two `c` below that.
const OBJECTS: [(&str, &str, Option<&str>); 8] = [
    ("a1", "a", None),
    ("b1", "b", Some("a1")),
    ("c1", "c", Some("b1")),
    ("c2", "c", Some("b1")),
    ("a2", "a", None),
    ("b2", "b", Some("a2")),
    ("c3", "c", Some("b2")),
    ("c4", "c", Some("b2")),
];
const PERMISSIONS: [(&str, &[&str]); 3] =
    [("a", &["all", "own"]), ("b", &["read", "write", "manage"]), ("c", &["read"])];

fn record<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn description() -> Description {
    let permission = |name: &str, counts: &str, implies: Value, reaches: Value, needs: Value| {
        json!({ "name": name, "description": "", "counts-as": [counts], "implies": implies, "reaches": reaches, "needs": needs,
                "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
    };
    let reach = |kind: &str, name: &str| json!({ "to": { "kind": kind, "permission": name }, "later-too": true });
    let kind = |name: &str, permissions: Value, children: Value| json!({ "name": name, "label": name, "permissions": permissions, "children": children, "revoke-clears-parts": false });
    record(json!({
        "name": "t", "instance-id": "i", "inheritance": true, "masks": [], "filters-apply-to": [], "mask-overrides": [],
        "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63, "reserved-prefixes": [], "sql-dialect": null,
        "specials": [{ "name": "everyone", "covers": "all" }],
        "controls": [{ "name": "role", "label": "role", "identity": "named", "can-create": false, "can-rename": false,
            "assumable": true, "members": ["user", "group", "access-control", "acting-as", "special"],
            "common-parent": null, "replaced-whole": false }],
        "kinds": [
            kind("a", json!([
                permission("all", "write", json!([]), json!([reach("b", "write"), reach("c", "read")]), json!([])),
                permission("own", "admin", json!([]), json!([]), json!([])),
            ]), json!(["b"])),
            kind("b", json!([
                permission("read", "read", json!([]), json!([reach("c", "read")]), json!([])),
                permission("write", "write", json!(["read"]), json!([]), json!([])),
                permission("manage", "admin", json!(["write"]), json!([]), json!([])),
            ]), json!(["c"])),
            kind("c", json!([permission("read", "read", json!([]), json!([]),
                json!([[{ "kind": "b", "permission": "read" }, { "kind": "a", "permission": "all" }]]))]), json!([])),
        ],
    }))
}

/// A membership: member, what it is in, and its options.
#[derive(Debug, Clone)]
struct Link {
    member: (MemberKind, String),
    of: String,
    inherits: bool,
    assumable: bool,
    may_pass_on: bool,
}

#[derive(Debug, Clone)]
struct Fact {
    control: usize,
    object: usize,
    permission: String,
    conditional: bool,
}

#[derive(Debug, Clone)]
struct World {
    links: Vec<Link>,
    facts: Vec<Fact>,
    denies: Vec<bool>,
}

fn control(at: usize) -> String {
    format!("r{at}")
}

fn world() -> impl Strategy<Value = World> {
    let member = prop_oneof![
        (0..USERS).prop_map(|at| (MemberKind::User, format!("u{at}"))),
        (0..GROUPS).prop_map(|at| (MemberKind::Group, format!("g{at}"))),
        (0..CONTROLS).prop_map(|at| (MemberKind::AccessControl, control(at))),
        (0..CONTROLS).prop_map(|at| (MemberKind::ActingAs, control(at))),
        Just((MemberKind::Special, "everyone".to_owned())),
    ];
    let in_group = (
        prop_oneof![
            (0..USERS).prop_map(|at| (MemberKind::User, format!("u{at}"))),
            (0..GROUPS).prop_map(|at| (MemberKind::Group, format!("g{at}"))),
        ],
        0..GROUPS,
    )
        .prop_map(|(member, of)| Link {
            member,
            of: format!("g{of}"),
            inherits: true,
            assumable: false,
            may_pass_on: false,
        });
    let in_control =
        (member, 0..CONTROLS, any::<[bool; 3]>()).prop_map(|(member, of, [inherits, assumable, may_pass_on])| {
            let acting = member.0 == MemberKind::ActingAs;
            Link {
                member,
                of: control(of),
                inherits: inherits || acting,
                assumable: assumable && !acting,
                may_pass_on: may_pass_on && !acting,
            }
        });
    let fact = (0..CONTROLS, 0..OBJECTS.len(), 0..3_usize, any::<bool>(), any::<bool>()).prop_map(
        |(control, object, at, first, second)| {
            let kind = OBJECTS[object].1;
            let names = PERMISSIONS.iter().find(|(other, _)| *other == kind).expect("a kind").1;
            Fact { control, object, permission: names[at % names.len()].to_owned(), conditional: first && second }
        },
    );
    (vec(in_group, 0..5), vec(in_control, 0..9), vec(fact, 0..8), vec(proptest::bool::weighted(0.2), CONTROLS))
        .prop_map(|(groups, controls, facts, denies)| World { links: [groups, controls].concat(), facts, denies })
}

fn reference(object: usize) -> ObjectRef {
    record(json!({ "kind": OBJECTS[object].1, "path": [OBJECTS[object].0] }))
}

fn snapshot(world: &World) -> Snapshot {
    let mut builder = Builder::new(&description(), 0);
    for at in 0..USERS {
        let id = format!("u{at}");
        builder
            .user(&record::<User>(json!({ "external-id": id, "user-name": id, "display-name": id, "enabled": true })));
    }
    for at in 0..GROUPS {
        let id = format!("g{at}");
        builder
            .group(&record::<Group>(json!({ "external-id": id, "name": id, "display-name": id, "description": "" })));
    }
    for (at, (id, _, parent)) in OBJECTS.iter().enumerate() {
        let mut object = json!({ "external-id": id, "name": id, "ref": reference(at), "description": "" });
        if let Some(parent) = parent {
            object["parent-external-id"] = json!(parent);
        }
        builder.object(&record::<DataObject>(object)).expect("described");
    }
    let member = |link: &Link| -> Member {
        record(json!({ "kind": link.member.0, "id": link.member.1, "inherits": link.inherits,
            "assumable": link.assumable, "may-pass-on": link.may_pass_on }))
    };
    for link in world.links.iter().filter(|link| link.of.starts_with('g')) {
        let group_external_id = record(json!(link.of));
        builder.membership(&Membership { group_external_id, member: member(link) });
    }
    for at in 0..CONTROLS {
        let action = if world.denies[at] { Action::Deny } else { Action::Grant };
        let who: Vec<Member> = world.links.iter().filter(|link| link.of == control(at)).map(member).collect();
        let what = |fact: &Fact| What {
            object: reference(fact.object),
            permissions: vec![record::<PermissionUse>(json!({ "name": fact.permission }))],
            condition: fact.conditional.then(|| record(json!("only then"))),
        };
        let id = control(at);
        builder
            .control(&AccessControl {
                who,
                what: world.facts.iter().filter(|fact| fact.control == at).map(what).collect(),
                action,
                ..record(json!({ "external-id": id, "name": id, "actual-name": id, "kind": "role", "description": "",
                    "action": "grant", "internalizable": true }))
            })
            .expect("described");
    }
    builder.finish()
}

/// The oracle: everything that is active for a start, by repeating until nothing is added.
fn active(world: &World, start: &str) -> BTreeSet<String> {
    let mut active = BTreeSet::from([start.to_owned(), "everyone".to_owned()]);
    loop {
        let before = active.len();
        for link in &world.links {
            let is_member = match link.member.0 {
                MemberKind::ActingAs => link.member.1 == start,
                _ => active.contains(&link.member.1),
            };
            if link.inherits && is_member {
                active.insert(link.of.clone());
            }
        }
        if active.len() == before {
            return active;
        }
    }
}

/// What follows from a permission on an object: itself, what it implies, and what it reaches below.
fn follows(object: usize, permission: &str) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::from([(object, permission.to_owned())]);
    loop {
        let mut more = found.clone();
        for (object, permission) in &found {
            let (id, kind, _) = OBJECTS[*object];
            let below = |wanted: &str| -> Vec<usize> {
                let is_below = |mut at: usize| loop {
                    match OBJECTS[at].2 {
                        Some(parent) if parent == id => return true,
                        Some(parent) => at = OBJECTS.iter().position(|other| other.0 == parent).expect("a parent"),
                        None => return false,
                    }
                };
                (0..OBJECTS.len()).filter(|at| OBJECTS[*at].1 == wanted && is_below(*at)).collect()
            };
            match (kind, permission.as_str()) {
                ("a", "all") => {
                    more.extend(below("b").into_iter().map(|at| (at, "write".to_owned())));
                    more.extend(below("c").into_iter().map(|at| (at, "read".to_owned())));
                }
                ("b", "read") => more.extend(below("c").into_iter().map(|at| (at, "read".to_owned()))),
                ("b", "write") => more.extend([(*object, "read".to_owned())]),
                ("b", "manage") => more.extend([(*object, "write".to_owned())]),
                _ => {}
            }
        }
        if more.len() == found.len() {
            return found;
        }
        found = more;
    }
}

/// Whether a start holds a permission: plainly, under a condition, or not.
fn holds(world: &World, start: &str, object: usize, permission: &str) -> Option<bool> {
    let active = active(world, start);
    let gives = |fact: &&Fact| {
        active.contains(&control(fact.control))
            && follows(fact.object, &fact.permission).contains(&(object, permission.to_owned()))
    };
    let of = |deny: bool| world.facts.iter().filter(move |fact| world.denies[fact.control] == deny).filter(gives);
    if of(true).any(|fact| !fact.conditional) || of(false).next().is_none() {
        return None;
    }
    let plain = of(false).any(|fact| !fact.conditional) && of(true).next().is_none();
    Some(!plain)
}

/// Everybody that somebody can come to act as.
fn acting(world: &World, user: &str, admit: bool) -> BTreeSet<String> {
    let mut acting = BTreeSet::from([user.to_owned()]);
    loop {
        let mut more = acting.clone();
        for start in &acting {
            let active = active(world, start);
            for link in world.links.iter().filter(|link| link.member.0 != MemberKind::ActingAs) {
                let shared = matches!(link.member.0, MemberKind::Group | MemberKind::Special);
                let switches =
                    link.assumable && (link.member.1 == *start || (shared && active.contains(&link.member.1)));
                if switches || (admit && link.may_pass_on && active.contains(&link.member.1)) {
                    more.insert(link.of.clone());
                }
            }
        }
        if more.len() == acting.len() {
            return acting;
        }
        acting = more;
    }
}

fn usable(world: &World, start: &str, object: usize, permission: &str) -> bool {
    if (OBJECTS[object].1, permission) != ("c", "read") {
        return true;
    }
    let position = |id: Option<&str>| OBJECTS.iter().position(|other| Some(other.0) == id).expect("a parent");
    let b = position(OBJECTS[object].2);
    let a = position(OBJECTS[b].2);
    holds(world, start, b, "read") == Some(false) || holds(world, start, a, "all") == Some(false)
}

/// The oracle's answer: how, whether under a condition, whether usable.
fn expected(world: &World, user: &str, object: usize, permission: &str) -> Option<(How, bool, bool)> {
    if let Some(conditional) = holds(world, user, object, permission) {
        return Some((How::Active, conditional, usable(world, user, object, permission)));
    }
    let switched = acting(world, user, false);
    let of: Vec<(bool, bool)> = switched
        .iter()
        .filter_map(|start| Some((holds(world, start, object, permission)?, usable(world, start, object, permission))))
        .collect();
    if !of.is_empty() {
        return Some((
            How::Assumable,
            of.iter().all(|(conditional, _)| *conditional),
            of.iter().any(|(_, usable)| *usable),
        ));
    }
    let admin = match OBJECTS[object].1 {
        "a" => Some("own"),
        "b" => Some("manage"),
        _ => None,
    };
    let all = acting(world, user, true);
    let obtains = all.iter().any(|start| {
        holds(world, start, object, permission).is_some()
            || admin.is_some_and(|admin| holds(world, start, object, admin) == Some(false))
    });
    obtains.then_some((How::Obtainable, false, false))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_expansion_equals_the_oracle(world in world()) {
        let snapshot = snapshot(&world);
        let mut asked = Asked::new(&snapshot);
        for (at, (_, kind, _)) in OBJECTS.iter().enumerate() {
            let object = snapshot.find_object(&reference(at)).expect("an object");
            let who = snapshot.who(object, &AnswerFilter::default());
            for name in PERMISSIONS.iter().find(|(other, _)| other == kind).expect("a kind").1 {
                let permission = snapshot.find_permission(object, &record(json!(name))).expect("described");
                for user in 0..USERS {
                    let user = format!("u{user}");
                    let id = snapshot.find_user(&record(json!(user))).expect("a user");
                    let wanted = expected(&world, &user, at, name);
                    let simple = |how, conditional, usable| match how {
                        How::Obtainable => (how, false, false),
                        how => (how, conditional, usable),
                    };
                    let by_object = who.iter().find(|answer| answer.user == id && answer.permission == permission);
                    let by_object = by_object.map(|answer| simple(answer.how, answer.conditional, answer.usable));
                    prop_assert_eq!(by_object, wanted, "who {} {} {}", &user, name, OBJECTS[at].0);
                    let of_user = snapshot.of_user(id, &AnswerFilter::default(), object, 1);
                    let by_user = of_user.iter().find(|answer| answer.object == object && answer.permission == permission);
                    let by_user = by_user.map(|answer| simple(answer.how, answer.conditional, answer.usable));
                    prop_assert_eq!(by_user, wanted, "user {} {} {}", &user, name, OBJECTS[at].0);
                    let uses = wanted.filter(|(how, _, usable)| *how != How::Obtainable && *usable);
                    let uses = uses.map(|(_, conditional, _)| conditional);
                    prop_assert_eq!(asked.usable(object, permission).by(id), uses, "usable {} {} {}", &user, name, OBJECTS[at].0);
                    let why = snapshot.explain(id, object, permission);
                    if let Some((how, _, _)) = wanted.filter(|(how, _, _)| *how != How::Obtainable) {
                        prop_assert_eq!(why.how, Some(how));
                        prop_assert!(why.path.is_some());
                    }
                }
            }
        }
    }
}
