//! Access code at size: a thousand files that are checked, also after each key in an editor, and a target of 1,100 roles, 1,000
//! tables and 100,000 grants that is imported and planned. Prints one line for each.

use std::time::Instant;

use raito_access::code::{Source, read_code, together};
use raito_access::editor::Page;
use raito_access::effect;
use raito_access::evaluate::{Question, evaluate};
use raito_access::import::{Request, import};
use raito_access::read_document;
use raito_core::catalogue::{Catalogue, CatalogueBuilder};
use raito_core::decide::Protected;
use raito_core::marker::Master;
use raito_core::text::TargetName;
use serde_json::{Value, json};

const ROLES: usize = 1_100;
const TABLES: usize = 1_000;
const GRANTS: usize = 100_000;
const FILES: usize = 1_000;

fn main() {
    validate();
    plan();
}

/// A thousand files with ten grants each.
fn validate() {
    let source = |number: usize| {
        let grants: String = (0..10)
            .map(|at| {
                format!(
                    "  - name: R_{number}_{at}\n    description: what it is for\n    who:\n      - {{ user: user{at}, expires: 2999-12-31, \
                     reason: JIRA-{at} }}\n      - {{ group: group{at} }}\n    what:\n      - {{ object: table shop.s{at}.t{number}, permissions: \
                     [SELECT, INSERT] }}\n      - select: {{ kind: table, under: shop.s{at}, tags: {{ domain: finance }} }}\n        \
                     permissions: [read]\n"
                )
            })
            .collect();
        let text = format!("version: 1\nowner: team@corp\non: shop\ngrants:\n{grants}");
        Source { path: format!("access/{number}.yml"), text }
    };
    let sources: Vec<Source> = (0..FILES).map(source).collect();
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();
    let began = Instant::now();
    let code = read_code(&sources).expect("no mistakes");
    println!(
        "{FILES} files with {} access controls ({bytes} bytes) checked: {:.2?}",
        code.entries.len(),
        began.elapsed()
    );
    keystroke(&sources);
}

/// One of the files changes in an editor: it is read, and the mistakes of all are told.
fn keystroke(sources: &[Source]) {
    let documents: Vec<_> =
        sources.iter().enumerate().map(|(file, source)| read_document(&source.text, file)).collect();
    let path = |file: usize| sources[file].path.as_str();
    let began = Instant::now();
    let mut now = documents.clone();
    let page = Page::read(sources[FILES / 2].text.clone());
    now[FILES / 2] = read_document(&page.text, FILES / 2);
    assert!(together(now, &path).is_ok() && page.entries.len() == 10);
    println!("one of {FILES} files changed in an editor, and all checked: {:.2?}", began.elapsed());
}

fn permission(name: &str) -> Value {
    json!({ "name": name, "description": "", "counts-as": [if name == "SELECT" { "read" } else { "write" }], "implies": [], "reaches": [],
        "needs": [], "shorthand": "none", "can-be-granted": true, "can-be-passed-on": true })
}

/// Half of the roles are users' own, which are members of the others.
fn catalogue() -> Catalogue {
    let kind = |name: &str, permissions: Vec<Value>, children: &[&str]| json!({ "name": name, "label": name, "permissions": permissions, "children": children, "revoke-clears-parts": false });
    let control = json!({ "name": "role", "label": "Role", "identity": "named", "can-create": true, "can-rename": true, "assumable": true,
        "members": ["user", "access-control"], "admits": ["access-control"], "common-parent": null, "replaced-whole": false });
    let names = ["SELECT", "INSERT", "UPDATE", "DELETE"];
    let description = json!({ "name": "t", "instance-id": "i", "controls": [control], "specials": [], "inheritance": true, "masks": [],
        "kinds": [kind("schema", vec![], &["table"]), kind("table", names.iter().map(|name| permission(name)).collect(), &[])],
        "filters-apply-to": [], "mask-overrides": [], "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63,
        "reserved-prefixes": [], "sql-dialect": null });
    let mut lines: Vec<Value> = Vec::new();
    for user in 0..ROLES / 2 {
        let record = json!({ "external-id": user.to_string(), "user-name": format!("user{user}"), "display-name": "", "enabled": true });
        lines.push(json!({ "user": record }));
    }
    lines.push(json!({ "description": description }));
    let path = |table: usize| json!(["db", format!("s{}", table % 20), format!("t{table}")]);
    for table in 0..TABLES {
        lines.push(
            json!({ "object": { "external-id": format!("t{table}"), "name": format!("t{table}"), "description": "",
            "ref": { "kind": "table", "path": path(table) } } }),
        );
    }
    for role in 0..ROLES {
        let own = role < ROLES / 2;
        let name = if own { format!("user{role}") } else { format!("role{role}") };
        let member =
            |kind: &str, id: usize| json!({ "kind": kind, "id": id.to_string(), "inherits": true, "assumable": true });
        let who: Vec<Value> = if own {
            vec![member("user", role)]
        } else {
            (0..5).map(|at| member("access-control", (role * 7 + at * 31) % (ROLES / 2))).collect()
        };
        // Each fact is two grants.
        let facts = if own { 0 } else { GRANTS / 2 / (ROLES / 2) };
        let what: Vec<Value> = (0..facts)
            .map(|at| json!({ "object": { "kind": "table", "path": path((role * 13 + at) % TABLES) }, "permissions": [{ "name": "SELECT" }, { "name": names[1 + at % 3] }] }))
            .collect();
        lines.push(json!({ "access-control": { "external-id": role.to_string(), "name": name, "actual-name": name, "kind": "role",
            "description": "", "action": "grant", "who": who, "what": what, "internalizable": true } }));
    }
    lines.push(json!({ "end": { "lines": lines.len(), "complete": true } }));
    let mut builder = CatalogueBuilder::default();
    lines.into_iter().for_each(|line| builder.take(serde_json::from_value(line).expect("a record")).expect("it fits"));
    builder.finish().expect("whole")
}

fn plan() {
    let catalogue = catalogue();
    let (target, master): (TargetName, Master) = ("t".parse().expect("a name"), "git:bench".parse().expect("a master"));
    let protected = Protected::default();
    let began = Instant::now();
    let request = Request {
        target: &target,
        catalogue: &catalogue,
        protected: &protected,
        master: &master,
        names: &[],
        compact: false,
    };
    let files = import(&request).files;
    println!(
        "{ROLES} roles, {TABLES} tables, {GRANTS} grants imported into {} files: {:.2?}",
        files.len(),
        began.elapsed()
    );
    let mut sources: Vec<Source> = files.into_iter().map(|(path, text)| Source { path, text }).collect();
    for gone in [0, 1] {
        // The second time, one role stands in no file any more.
        sources.truncate(sources.len() - gone);
        let began = Instant::now();
        let code = read_code(&sources).expect("no mistakes");
        let read = began.elapsed();
        let question = Question {
            code: &code,
            target: &target,
            catalogue: &catalogue,
            protected: &protected,
            master: &master,
            now_ms: 0,
        };
        let evaluation = evaluate(&question);
        assert!(evaluation.problems.is_empty(), "{:?}", evaluation.problems);
        let decision = evaluation.decide(&question);
        let decided = began.elapsed();
        let compared = effect::compare(&catalogue, &decision.sets, 0).expect("it fits");
        let (sets, effects) = (decision.sets.len(), compared.effects.effects.len());
        println!(
            "planned with {sets} changes and {effects} effects: {:.2?} (files {read:.2?}, decision {:.2?}, effects {:.2?})",
            began.elapsed(),
            decided - read,
            began.elapsed() - decided
        );
    }
}
