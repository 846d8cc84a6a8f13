//! For random targets and random files: what people can really do after a plan is what a plain reading of the files says.
//!
//! The plain reading knows nothing of change-sets, markers or expansion. It takes each entry, says who is in it by following
//! names, and what it gives by looking at every object, and adds what was there outside of the files.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use raito_access::code::{Code, Source, read_code};
use raito_access::effect;
use raito_access::evaluate::{Question, evaluate};
use raito_access::import::{Request, import};
use raito_core::catalogue::{Catalogue, CatalogueBuilder};
use raito_core::decide::Protected;
use raito_core::expansion::{AnswerFilter, How};
use raito_core::marker::Master;
use raito_core::record::{Change, ChangeSet};
use raito_core::text::{Remark, TargetName};
use serde_json::{Value, json};

const USERS: usize = 4;
const ROLES: usize = 5;
const TABLES: usize = 6;
const PERMISSIONS: [&str; 3] = ["SELECT", "INSERT", "UPDATE"];

/// A role: its users, the roles that are members of it, and its permissions on tables.
#[derive(Debug, Clone, Default, PartialEq)]
struct Role {
    users: BTreeSet<usize>,
    roles: BTreeSet<usize>,
    held: BTreeSet<(usize, usize)>,
    /// Whether files say: SELECT on all tables of the first schema.
    selects: bool,
}

/// Roles by number. Members have smaller numbers, so that nobody is a member of himself.
type Roles = BTreeMap<usize, Role>;

fn role(number: usize) -> impl Strategy<Value = Role> {
    let users = prop::collection::btree_set(0..USERS, 0..3);
    let roles = prop::collection::btree_set(0..number.max(1), 0..3);
    let held = prop::collection::btree_set((0..TABLES, 0..PERMISSIONS.len()), 0..6);
    (users, roles, held, any::<bool>()).prop_map(move |(users, roles, held, selects)| Role {
        users,
        roles: roles.into_iter().filter(|role| *role < number).collect(),
        held,
        selects,
    })
}

fn roles() -> impl Strategy<Value = Roles> {
    let each: Vec<_> = (0..ROLES).map(|number| prop::option::of(role(number))).collect();
    each.prop_map(|all| {
        let mut roles: Roles = all.into_iter().enumerate().filter_map(|(at, role)| Some((at, role?))).collect();
        let known: BTreeSet<usize> = roles.keys().copied().collect();
        roles.values_mut().for_each(|role| role.roles.retain(|member| known.contains(member)));
        roles
    })
}

fn table(number: usize) -> Value {
    json!({ "kind": "table", "path": ["db", schema(number), format!("t{number}")] })
}

/// The first half of the tables stands in one schema, the rest in another.
fn schema(number: usize) -> &'static str {
    if number < TABLES / 2 { "one" } else { "two" }
}

fn description() -> Value {
    let permission = |name: &str| {
        json!({ "name": name, "description": "", "counts-as": [if name == "SELECT" { "read" } else { "write" }], "implies": [],
            "reaches": [], "needs": [], "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
    };
    let kind = |name: &str, permissions: Vec<Value>, children: &[&str]| json!({ "name": name, "label": name, "permissions": permissions, "children": children, "revoke-clears-parts": false });
    let control = json!({ "name": "role", "label": "Role", "identity": "named", "can-create": true, "can-rename": true,
        "assumable": false, "members": ["user", "access-control"], "admits": ["user", "access-control"],
        "common-parent": null, "replaced-whole": false });
    let everybody = json!({ "name": "public", "label": "Everybody", "identity": "named", "can-create": false,
        "can-rename": false, "assumable": false, "members": ["special"], "admits": [], "common-parent": null,
        "replaced-whole": false });
    json!({ "name": "t", "instance-id": "i", "controls": [control, everybody], "specials": [], "inheritance": true, "masks": [],
        "kinds": [kind("database", vec![], &["schema"]), kind("schema", vec![], &["table"]),
            kind("table", PERMISSIONS.iter().map(|name| permission(name)).collect(), &[])],
        "filters-apply-to": [], "mask-overrides": [], "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63,
        "reserved-prefixes": [], "sql-dialect": null })
}

/// A target with these roles, whose names begin with `R_`, and one that no file manages.
fn catalogue(roles: &Roles) -> Catalogue {
    catalogue_with("", roles)
}

/// The same with a description at each role.
fn catalogue_with(description: &str, roles: &Roles) -> Catalogue {
    catalogue_and(description, roles, None)
}

/// The same with one more line.
fn catalogue_and(description: &str, roles: &Roles, more: Option<Value>) -> Catalogue {
    let mut lines: Vec<Value> = Vec::new();
    for user in 0..USERS {
        let record = json!({ "external-id": format!("u{user}"), "user-name": format!("user{user}"), "display-name": "", "enabled": true });
        lines.push(json!({ "user": record }));
    }
    lines.push(json!({ "description": self::description() }));
    let object = |id: &str, kind: &str, path: &[&str], parent: Option<&str>| {
        json!({ "object": { "external-id": id, "name": path[path.len() - 1], "ref": { "kind": kind, "path": path },
            "description": "", "parent-external-id": parent } })
    };
    lines.push(object("db", "database", &["db"], None));
    lines.push(object("one", "schema", &["db", "one"], Some("db")));
    lines.push(object("two", "schema", &["db", "two"], Some("db")));
    for number in 0..TABLES {
        let name = format!("t{number}");
        lines.push(object(&name, "table", &["db", schema(number), &name], Some(schema(number))));
    }
    let member = |kind: &str, id: String| json!({ "kind": kind, "id": id, "inherits": true });
    let control = |id: String, name: String, who: Vec<Value>, what: Vec<Value>| {
        json!({ "access-control": { "external-id": id, "name": name, "actual-name": name, "kind": "role", "description": description,
            "action": "grant", "who": who, "what": what, "internalizable": true } })
    };
    for (number, role) in roles {
        let users = role.users.iter().map(|user| member("user", format!("u{user}")));
        let members = role.roles.iter().map(|role| member("access-control", format!("r{role}")));
        let what = role
            .held
            .iter()
            .map(|(at, name)| json!({ "object": table(*at), "permissions": [{ "name": PERMISSIONS[*name] }] }));
        lines.push(control(
            format!("r{number}"),
            format!("R_{number}"),
            users.chain(members).collect(),
            what.collect(),
        ));
    }
    let outside = json!({ "object": table(0), "permissions": [{ "name": "UPDATE" }] });
    lines.push(control("x".into(), "outside".into(), vec![member("user", "u0".into())], vec![outside]));
    lines.extend(more);
    lines.push(json!({ "end": { "lines": lines.len(), "complete": true } }));
    let mut builder = CatalogueBuilder::default();
    for line in lines {
        builder.take(serde_json::from_value(line).expect("a record")).expect("it fits");
    }
    builder.finish().expect("whole")
}

/// Files that say these roles, and what they manage.
fn code(manages: &str, roles: &Roles) -> Code {
    let mut text = format!("version: 1\nrepository: test\non: t\nmanages: [{manages}]\ngrants:\n");
    for (number, role) in roles {
        text += &format!("  - name: R_{number}\n    who:\n");
        role.users.iter().for_each(|user| text += &format!("      - user: user{user}\n"));
        role.roles.iter().for_each(|role| text += &format!("      - control: R_{role}\n"));
        text += "    what:\n";
        for (at, name) in &role.held {
            text += &format!("      - {{ object: db.{}.t{at}, permissions: [{}] }}\n", schema(*at), PERMISSIONS[*name]);
        }
        if role.selects {
            text += "      - { select: { kind: table, under: db.one }, permissions: [read] }\n";
        }
    }
    // A list without items is no list.
    let text = text.replace("    who:\n    what:\n", "    what:\n").replace("    what:\n  -", "  -");
    let text = text.strip_suffix("    what:\n").map(str::to_owned).unwrap_or(text);
    let text = text.strip_suffix("grants:\n").map(str::to_owned).unwrap_or(text);
    let text = text.replace("    who:\n  -", "  -");
    let text = text.strip_suffix("    who:\n").map(str::to_owned).unwrap_or(text);
    read_code(&[Source { path: "a.yml".into(), text: text.clone() }])
        .unwrap_or_else(|wrong| panic!("{wrong:?} in\n{text}"))
}

/// Who can do what by a plain reading: user, table, permission.
fn plainly(roles: &Roles) -> BTreeSet<(usize, usize, usize)> {
    let mut all = BTreeSet::from([(0, 0, 2)]);
    for (number, role) in roles {
        let mut members = role.users.clone();
        let mut open: Vec<usize> = role.roles.iter().copied().collect();
        let mut seen = BTreeSet::from([*number]);
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                members.extend(&roles[&next].users);
                open.extend(&roles[&next].roles);
            }
        }
        for user in members {
            all.extend(role.held.iter().map(|(table, permission)| (user, *table, *permission)));
            if role.selects {
                all.extend((0..TABLES / 2).map(|table| (user, table, 0)));
            }
        }
    }
    all
}

/// What comes of asking about the target, by the repository of these files.
fn asked<T>(catalogue: &Catalogue, code: &Code, ask: impl FnOnce(&Question<'_>) -> T) -> T {
    let target = TargetName::new("t").expect("a name");
    let master: Master = "git:test".parse().expect("a master");
    let protected = Protected::default();
    ask(&Question { code, target: &target, catalogue, protected: &protected, master: &master, now_ms: 0 })
}

/// Who can do what by way of the plan.
fn by_plan(catalogue: &Catalogue, code: &Code) -> (BTreeSet<(usize, usize, usize)>, effect::Effects, usize) {
    let (evaluation, decision) = asked(catalogue, code, |question| {
        let evaluation = evaluate(question);
        let decision = evaluation.decide(question);
        (evaluation, decision)
    });
    assert!(evaluation.problems.is_empty(), "{:?}", evaluation.problems);
    assert!(decision.refused.is_empty(), "{:?}", decision.refused);
    let compared = effect::compare(catalogue, &decision.sets, 0).expect("it fits");
    let mut all = BTreeSet::new();
    for number in 0..TABLES {
        let object = serde_json::from_value(table(number)).expect("an object");
        let id = compared.after.find_object(&object).expect("a table");
        for answer in compared.after.who(id, &AnswerFilter { how: Some(How::Active), ..AnswerFilter::default() }) {
            let user = compared.after.principal(answer.user).external_id.as_str()[1..].parse().expect("a number");
            let name = compared.after.permission_name(answer.permission).as_str();
            let permission = PERMISSIONS.iter().position(|known| *known == name).expect("a permission");
            all.insert((user, number, permission));
        }
    }
    (all, compared.effects, decision.sets.len())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_people_can_do_after_a_plan_is_what_the_files_say(before in roles(), wanted in roles(), retires in any::<bool>()) {
        let before: Roles = before.into_iter().map(|(at, role)| (at, Role { selects: false, ..role })).collect();
        let catalogue = catalogue(&before);
        // Whoever is only retired gives as little as whoever is gone.
        let manages = if retires { "{ names: R_*, retire-days: 1 }" } else { "{ names: R_* }" };
        let (after, effects, _) = by_plan(&catalogue, &code(manages, &wanted));
        prop_assert_eq!(&after, &plainly(&wanted));
        // What is said to be gained and lost is the difference.
        let was = plainly(&before);
        let told = |list: fn(&effect::Effect) -> &Vec<raito_core::text::Name>| -> BTreeSet<(usize, usize, usize)> {
            effects.effects.iter().flat_map(|effect| {
                let table = effect.object.path[2].as_str()[1..].parse().expect("a number");
                let permission = PERMISSIONS.iter().position(|known| *known == effect.permission.as_str()).expect("known");
                list(effect).iter().map(move |user| (user.as_str()[4..].parse().expect("a number"), table, permission)).collect::<Vec<_>>()
            }).collect()
        };
        prop_assert_eq!(told(|effect| &effect.gain), after.difference(&was).copied().collect());
        prop_assert_eq!(told(|effect| &effect.lose), was.difference(&after).copied().collect());
    }

    #[test]
    fn what_is_imported_changes_nothing(before in roles(), compact in any::<bool>()) {
        let before: Roles = before.into_iter().map(|(at, role)| (at, Role { selects: false, ..role })).collect();
        let catalogue = catalogue(&before);
        let target = TargetName::new("t").expect("a name");
        let master: Master = "git:test".parse().expect("a master");
        let request = Request { target: &target, catalogue: &catalogue, protected: &Protected::default(), master: &master,
            names: &[], compact };
        let imported = import(&request);
        prop_assert!(imported.left.is_empty());
        let sources: Vec<Source> = imported.files.iter().map(|(path, text)| Source { path: path.clone(), text: text.clone() }).collect();
        for source in &sources {
            let formatted = raito_access::format::format_text(&source.text);
            prop_assert_eq!(formatted.as_deref(), Ok(source.text.as_str()));
        }
        let (after, _, sets) = by_plan(&catalogue, &read_code(&sources).expect("no mistakes"));
        prop_assert_eq!(sets, 0);
        prop_assert_eq!(after, plainly(&before));
    }
}

/// What would become of a role that no entry names, whose description at the target is this.
fn unnamed(manages: &str, description: &str, now_ms: u64) -> Vec<Change> {
    let role = Role { users: BTreeSet::from([1]), held: BTreeSet::from([(0, 0)]), ..Role::default() };
    let catalogue = catalogue_with(description, &Roles::from([(1, role)]));
    let (target, master) = (TargetName::new("t").expect("a name"), "git:test".parse().expect("a master"));
    let (code, protected) = (code(manages, &Roles::new()), Protected::default());
    let question = Question {
        code: &code,
        target: &target,
        catalogue: &catalogue,
        protected: &protected,
        master: &master,
        now_ms,
    };
    let evaluation = evaluate(&question);
    assert!(evaluation.problems.is_empty(), "{:?}", evaluation.problems);
    let of_role = |set: &ChangeSet| set.actual_name.as_str() == "R_1";
    evaluation.decide(&question).sets.into_iter().filter(of_role).flat_map(|set| set.changes).collect()
}

#[test]
fn what_is_retired_is_kept_to_its_last_day_and_then_goes() {
    const DAY: u64 = 86_400_000;
    let scope = "{ names: R_*, retire-days: 30 }";
    let marked = "who reads [retired, kept until 1970-01-31] [raito git:test R_1]";
    let changes = unnamed(scope, "who reads", 0);
    assert!(changes.contains(&Change::Describe(Remark::new(marked).expect("a text"))), "{changes:?}");
    assert!(changes.iter().any(|change| matches!(change, Change::RemoveMembers(_))), "{changes:?}");
    assert_eq!(changes.len(), 2, "what it holds stays: {changes:?}");

    let is_deleted = |manages: &str, now_ms: u64| {
        let changes = unnamed(manages, marked, now_ms);
        let is_emptied = matches!(changes.as_slice(), [Change::RemoveMembers(_)]);
        assert!(is_emptied || changes.contains(&Change::Delete), "{changes:?}");
        !is_emptied
    };
    assert!(!is_deleted(scope, 31 * DAY - 1) && is_deleted(scope, 31 * DAY));
    // The day was said when it was retired, whatever the files say now; where they say that it goes at once, it does.
    assert!(!is_deleted("{ names: R_*, retire-days: 1 }", 20 * DAY) && is_deleted("{ names: R_* }", 0));
    // What stands in no scope any more is kept as long as the longest of its kind says.
    assert!(!is_deleted("{ names: S_*, retire-days: 2 }, { names: T_* }", 0) && is_deleted("{ names: S_* }", 0));
    let longest = unnamed("{ names: S_*, retire-days: 2 }, { names: T_*, retire-days: 9 }", "[raito git:test R_1]", 0);
    let marked = Remark::new("[retired, kept until 1970-01-10] [raito git:test R_1]").expect("a text");
    assert!(longest.contains(&Change::Describe(marked)), "{longest:?}");
}

/// What is wrong with files, and what they would change, by name and in order, seen from a target that has the roles `R_1` and, as
/// a member of it, `R_0`, and `PUBLIC`, which everybody is in.
fn problems(text: &str) -> Vec<String> {
    seen(text).0
}

fn seen(text: &str) -> (Vec<String>, Vec<String>) {
    let roles = Roles::from([(0, Role::default()), (1, Role { roles: BTreeSet::from([0]), ..Role::default() })]);
    let catalogue = catalogue_and("", &roles, Some(everybody()));
    let text = format!("version: 1\nrepository: test\non: t\n{text}");
    let code = read_code(&[Source { path: "a.yml".into(), text }]).expect("no mistakes");
    let line = |problem: raito_access::resolve::Problem| format!("{}: {}", problem.spot.place.line, problem.message);
    asked(&catalogue, &code, |question| {
        let evaluation = evaluate(question);
        let sets = evaluation.decide(question).sets;
        let names = sets.iter().map(|set| set.actual_name.to_string()).collect();
        (evaluation.problems.into_iter().map(line).collect(), names)
    })
}

#[test]
fn what_no_entry_keeps_cannot_be_a_member_of_what_stays() {
    let text = |manages: &str| format!("manages: [{manages}]\ngrants:\n  - name: R_1\n    who: [{{ control: R_0 }}]\n");
    let said = ["7: R_0 is named here, and no entry keeps it"];
    assert_eq!(problems(&text("{ names: R_* }")), said);
    assert_eq!(problems(&text("{ names: R_*, retire-days: 30 }")), said, "it would only be emptied first");
    assert!(problems(&text("{ names: R_1 }")).is_empty(), "it is left alone, and stays");
    assert!(problems(&(text("{ names: R_* }") + "  - name: R_0\n")).is_empty());
    assert!(problems(&format!("mode: additive\n{}", text("{ names: R_* }"))).is_empty(), "nothing goes");
}

#[test]
fn a_circle_by_way_of_what_stays_at_the_target_is_told() {
    let text = "grants:\n  - name: R_0\n    who: [{ control: R_1 }]\n";
    let said = ["6: these would be members of each other in a circle: R_1, R_0"];
    assert_eq!(problems(&format!("manages: [{{ names: R_0 }}]\n{text}")), said, "R_1 is left alone, and has R_0");
    // Where the files turn the two around, what is taken comes before what is given.
    let (problems, order) = seen(&format!("manages: [{{ names: R_* }}]\n{text}  - name: R_1\n"));
    assert_eq!((problems, order), (vec![], vec!["R_1".to_owned(), "R_0".to_owned()]));
}

#[test]
fn a_new_role_is_created_before_it_is_a_member_of_another_new_one() {
    let member = |name: &str, of: &str| format!("  - name: {name}\n    who: [{{ control: {of} }}]\n");
    let text = [member("S_A", "S_B"), member("S_B", "S_C"), "  - name: S_C\n".to_owned()].concat();
    let (problems, order) = seen(&format!("grants:\n{text}"));
    assert_eq!((problems, order), (vec![], ["S_C", "S_B", "S_A"].map(str::to_owned).to_vec()));
}

#[test]
fn nothing_is_created_that_is_called_as_what_everybody_has() {
    for name in ["PUBLIC", "public"] {
        let said = format!("5: {name} is what the target calls what everybody has, and would be another one");
        assert_eq!(problems(&format!("grants:\n  - name: {name}\n")), [said]);
    }
    assert!(problems("grants:\n  - name: PUBLICATIONS\n").is_empty());
}

/// What the target gives to everybody.
fn everybody() -> Value {
    json!({ "access-control": { "external-id": "e", "name": "PUBLIC", "actual-name": "PUBLIC", "kind": "public",
        "description": "", "action": "grant", "who": [{ "kind": "special", "id": "everyone", "inherits": true }], "what": [],
        "internalizable": true } })
}

#[test]
fn what_is_left_out_of_an_import_is_said_with_its_reason() {
    let roles: Roles = [(0, Role::default()), (1, Role::default())].into();
    let catalogue = catalogue_and("theirs [raito git:other R_x]", &roles, Some(everybody()));
    let (target, master) = (TargetName::new("t").expect("a name"), "git:test".parse().expect("a master"));
    let first = catalogue.controls.kept().find(|control| control.actual_name.as_str() == "R_0").expect("a role");
    let protected = Protected { controls: [first.external_id.clone()].into(), ..Protected::default() };
    let left = |master: &Master, protected: &Protected| {
        let names = &["R_*".parse().expect("a pattern"), "P*".parse().expect("a pattern")];
        import(&Request { target: &target, catalogue: &catalogue, protected, master, names, compact: false }).left
    };
    let public = "public PUBLIC: only access controls of kind role are imported";
    assert_eq!(left(&master, &protected), [public, "role R_0, R_1: git:other manages that"]);
    let other = "git:other".parse().expect("a master");
    assert_eq!(left(&other, &protected), [public, "role R_0: kept from changes"]);
    assert_eq!(left(&other, &Protected::default()), [public]);
}

#[test]
fn markers_that_somebody_copied_into_a_description_are_not_imported() {
    let catalogue =
        catalogue_with("who reads [raito git:old R_0] [raito git:test R_0]", &[(0, Role::default())].into());
    let (target, master) = ("t".parse().expect("a name"), "git:test".parse().expect("a master"));
    let names = &["R_*".parse().expect("a pattern")];
    let protected = Protected::default();
    let request = Request {
        target: &target,
        catalogue: &catalogue,
        protected: &protected,
        master: &master,
        names,
        compact: false,
    };
    let files = import(&request).files;
    let sources: Vec<Source> =
        files.iter().map(|(path, text)| Source { path: path.clone(), text: text.clone() }).collect();
    let code = read_code(&sources).expect("no mistakes");
    assert_eq!(code.entries[0].description.as_str(), "who reads");
}

#[test]
fn a_name_that_is_to_be_kept_apart_and_is_not_there_is_said() {
    let roles: Roles = [(0, Role::default()), (1, Role::default())].into();
    let catalogue = catalogue(&roles);
    let controls: Vec<_> = catalogue.controls.kept().cloned().collect();
    let after = catalogue.snapshot(controls.iter(), 0).expect("it fits");
    let said = |more: &str| {
        let text = format!(
            "version: 1\nrepository: test\non: t\n{more}policy:\n  - {{ rule: separation, controls: [R_0, R_TYPO] }}\n"
        );
        let code = read_code(&[Source { path: "a.yml".into(), text }]).expect("no mistakes");
        let problems = asked(&catalogue, &code, |question| raito_access::policy::check(question, &controls, &after));
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    let one = "manages: [{ kind: role, names: R_* }]\n";
    assert_eq!(said(one), ["there is no access control R_TYPO, so nobody is kept from it"]);
    let several = "manages: [{ kind: role, names: R_* }, { on: other, kind: role, names: R_* }]\n";
    assert!(said(several).is_empty(), "another target may have it");
}
