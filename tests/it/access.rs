//! Access as code on a real PostgreSQL: files say who may do what, and the server has exactly that.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::changes::{Managed, managed};
use crate::kill::{kill_at, lines};
use crate::support::raito::Outcome;

impl Managed {
    pub(crate) fn access(&self, arguments: &[&str]) -> Outcome {
        self.place.raito(&[&["access"], arguments].concat())
    }

    /// Writes a file of access code.
    pub(crate) fn code(&self, name: &str, text: &str) {
        let path = self.place.path().join("access").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    /// The statements that were committed and change something.
    pub(crate) fn changed(&self) -> Vec<String> {
        let words = ["CREATE ", "COMMENT ", "GRANT ", "REVOKE ", "DROP ", "ALTER "];
        let changes = |text: &String| words.iter().any(|word| text.starts_with(word));
        self.committed().into_iter().filter(changes).collect()
    }

    /// Asserts that every statement of the last apply is on record with its plan and its commit, before the first one was sent.
    #[track_caller]
    fn has_on_record(&self, planned: &[String], commit: &str) {
        let sum =
            Command::new("sha256sum").arg(self.place.path().join("plan.json")).output().expect("it is there").stdout;
        let plan = Value::from(String::from_utf8(sum).expect("UTF-8").split(' ').next());
        let events = self.place.events();
        let changes: Vec<&Value> = events.iter().filter(|event| event["kind"] == "access-change").collect();
        let said: Vec<&str> = changes.iter().filter_map(|event| event["statement"].as_str()).collect();
        assert_eq!(said, planned);
        assert!(changes.iter().all(|event| event["plan"] == plan && event["commit"] == commit), "{plan}: {changes:#?}");
        let is_sent = |event: &&Value| event["kind"] == "call" && event["mode"] == "write";
        let sent: Vec<&Value> = events.iter().filter(is_sent).collect();
        assert!(changes.iter().all(|event| event["seq"].as_u64() < sent[0]["seq"].as_u64()));
        let said: Vec<&str> = sent.iter().filter_map(|event| event["statement"].as_str()).collect();
        assert!(said.len() >= planned.len() && said[said.len() - planned.len()..] == *planned, "{said:#?}");
    }

    /// The plan, as it is written down.
    #[track_caller]
    pub(crate) fn plan(&self, code: i32) -> Value {
        self.access(&["plan", "--out", "plan.json", "--detailed-exitcode"]).exits(code);
        let text = fs::read_to_string(self.place.path().join("plan.json")).expect("a plan");
        serde_json::from_str(&text).expect("JSON")
    }
}

/// What a plan would send, as the server sees it.
pub(crate) fn statements(plan: &Value) -> Vec<String> {
    let calls = plan["targets"]
        .as_array()
        .expect("targets")
        .iter()
        .flat_map(|target| target["calls"].as_array().expect("calls"));
    calls.map(|call| call["shown"].as_str().expect("a text").to_owned()).collect()
}

const CODE: &str = "
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_READERS
    description: who reads sales
    who: [{ user: ann }, { control: R_LEADS }]
    what:
      - { select: { kind: table, under: shop.sales }, permissions: [read] }
  - name: R_LEADS
    who: [{ user: bob, reason: he leads }]
    what:
      - { object: function shop.sales.total(text), permissions: [EXECUTE], may-pass-on: true }
tests:
  - { assert: allowed, user: bob, object: shop.sales.orders, permission: read }
  - { assert: denied, user: carl, object: crm.sales.orders, permission: SELECT }
";

#[test]
fn files_become_roles_and_a_second_plan_is_empty() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    let commit = "f1".repeat(20);
    fs::create_dir(managed.place.path().join(".git")).expect("writable");
    managed.place.write(".git/HEAD", &commit);
    let plan = managed.plan(3);
    let planned = statements(&plan);
    assert!(managed.written().is_empty(), "a plan sends nothing");
    let shown = managed.access(&["plan"]).exits(0).stdout;
    for line in [
        "shop: 2 to create, 0 to change, 0 to delete; 11 calls",
        "  + role R_READERS  access/sales.yml:7",
        "      + member R_LEADS",
        "      2 people gain SELECT on table shop.sales.orders: ann, bob",
    ] {
        assert!(shown.lines().any(|other| other == line), "{line} is not in\n{shown}");
    }
    let comment = managed.access(&["plan", "--output", "markdown"]).exits(0).stdout;
    assert!(comment.starts_with("## Access plan\n\n### `shop`: 2 to create"), "{comment}");
    assert_eq!(comment, managed.access(&["plan", "--output", "markdown"]).exits(0).stdout, "the same each time");
    let effects = plan["targets"][0]["effects"]["effects"].as_array().expect("effects");
    let orders =
        effects.iter().find(|effect| effect["object"]["path"][2] == "orders" && effect["permission"] == "SELECT");
    assert_eq!(orders.expect("an effect")["gain"], serde_json::json!(["ann", "bob"]));
    managed.access(&["apply", "plan.json", "--yes"]).exits(0);
    assert_eq!(managed.written(), planned, "byte for byte, in order");
    managed.has_on_record(&planned, &commit);
    assert_eq!(
        managed.holds("R_READERS"),
        ["member R_LEADS", "member ann", "shop sales USAGE", "shop sales.customers SELECT", "shop sales.orders SELECT"]
            .map(String::from)
    );
    assert_eq!(statements(&managed.plan(0)), Vec::<String>::new());
    assert!(Path::new(&managed.place.path().join(".raito/access")).read_dir().expect("a folder").next().is_none());
}

#[test]
fn what_is_imported_needs_no_change_and_what_is_deleted_by_hand_comes_back() {
    let managed = managed("createrole");
    managed.server.sql(
        "shop",
        "create role \"Odd Name, yes\"; comment on role staff is 'all: of \"us\"';
         grant select, insert on sales.orders to staff; grant update (note) on sales.orders to staff;
         grant update on sales.customers to staff with grant option; grant usage on sales.numbers to \"Odd Name, yes\";
         alter default privileges for role raito_write in schema sales grant select on tables to staff;
         grant staff to bob; grant staff to \"Odd Name, yes\" with admin option; grant select on sales.orders to ann",
    );
    managed.access(&["import", "shop", "--repository", "corp/access"]).exits(0);
    let before = managed.written().len();
    let plan = managed.plan(0);
    assert_eq!(plan["targets"][0]["refused"], Value::Null, "{plan:#}");
    managed.access(&["fmt", "--check"]).exits(0);
    managed.access(&["validate"]).exits(0);
    managed.server.sql("shop", "drop owned by staff; drop role staff");
    let plan = managed.plan(3);
    let entities = plan["targets"][0]["entities"].as_array().expect("entities");
    assert_eq!(entities.len(), 1, "{entities:#?}");
    assert_eq!((&entities[0]["sign"], &entities[0]["name"]), (&Value::from("+"), &Value::from("staff")));
    let planned = statements(&plan);
    managed.access(&["apply", "--yes"]).exits(0);
    let written = managed.written();
    assert_eq!(written[before..], planned, "byte for byte, in order");
    managed.plan(0);
}

#[test]
fn a_plan_is_refused_when_anything_that_it_was_made_of_has_moved() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    managed.access(&["apply", "--yes"]).exits(0);
    managed.code("sales.yml", &CODE.replace("permissions: [EXECUTE], may-pass-on: true", "permissions: [EXECUTE]"));
    managed.plan(3);
    let before = managed.written().len();
    managed.server.sql("shop", "grant select on sales.customers to \"R_LEADS\"");
    let said = managed.access(&["apply", "plan.json", "--yes"]).exits(7);
    said.says(&["E-stale-plan", "role R_LEADS was changed", "SELECT ON TABLE", "nothing was sent"]);
    managed.server.sql("shop", "revoke select on sales.customers from \"R_LEADS\"");
    managed.code("more.yml", "version: 1\n");
    managed.access(&["apply", "plan.json", "--yes"]).exits(7).says(&["access/more.yml is new"]);
    fs::remove_file(managed.place.path().join("access/more.yml")).expect("ours");
    assert_eq!(managed.written().len(), before, "nothing was sent");
    managed.access(&["apply", "plan.json"]).exits(4).says(&["E-not-confirmed", "--yes"]);
    managed.access(&["apply", "plan.json", "--resume", "--yes"]).exits(2).says(&["not begun here"]);
    managed.access(&["apply", "plan.json", "--yes"]).exits(0);
    managed.plan(0);
    // Whoever comes meanwhile into a role that the plan does not touch would gain by it too.
    managed.server.sql("postgres", "create role team; grant staff to team");
    managed.code("sales.yml", &CODE.replace("reason: he leads }", "reason: he leads }, { control: staff }"));
    managed.plan(3);
    let before = managed.written().len();
    managed.server.sql("postgres", "grant team to carl");
    let said = managed.access(&["apply", "plan.json", "--yes"]).exits(7);
    said.says(&["now it means: 1 person gains SELECT on table shop.sales.customers: carl", "nothing was sent"]);
    assert_eq!(managed.written().len(), before, "nothing was sent");
}

#[test]
fn a_wrong_pattern_does_not_delete_much_and_an_entry_that_goes_deletes_just_its_role() {
    let managed = managed("createrole");
    let entry = |number: usize| {
        format!("  - name: R_{number}\n    what: [{{ object: shop.sales.orders, permissions: [SELECT] }}]\n")
    };
    let code = |names: &str, numbers: &[usize]| {
        let head = format!(
            "version: 1\nrepository: corp/access\non: shop\nmanages: [{{ kind: role, names: \"{names}\" }}]\ngrants:\n"
        );
        head + &numbers.iter().map(|number| entry(*number)).collect::<String>()
    };
    managed.code("all.yml", &code("R_*", &[1, 2, 3, 4, 5, 6, 7, 8]));
    managed.access(&["apply", "--yes"]).exits(0);
    // Another machine, which knows nothing of earlier runs.
    fs::remove_dir_all(managed.place.path().join(".raito")).expect("ours");
    managed.code("all.yml", &code("R_*", &[1, 2, 3, 4, 5, 6, 7]));
    let plan = managed.plan(3);
    let gone = statements(&plan);
    assert!(gone.iter().all(|statement| statement.contains("\"R_8\"")) && gone.len() == 2, "{gone:?}");
    managed.access(&["apply", "--yes"]).exits(0);
    let before = managed.written().len();
    managed.code("all.yml", &code("R_*", &[1]));
    managed.access(&["plan"]).exits(4).says(&["E-over-threshold", "--allow-revokes=12"]);
    managed.access(&["apply", "--yes"]).exits(4);
    managed.access(&["apply", "--yes", "--allow-revokes=11"]).exits(4);
    assert_eq!(managed.written().len(), before, "nothing was sent");
    managed.access(&["apply", "--yes", "--allow-revokes=12"]).exits(0);
    let left = managed.server.rows("postgres", "select rolname from pg_roles where rolname like 'R\\_%'");
    assert_eq!(left, ["R_1"]);
    assert!(!managed.holds("untouched").is_empty(), "what no file manages is left alone");
}

/// An accident that happens to tools which act on what a query finds: a typo in its filter, and 112 of 1,100 roles are left.
#[test]
fn files_that_lost_most_roles_are_stopped_with_the_exact_number() {
    let (all, left) = (1_100, 112);
    let managed = managed("superuser");
    let roles = format!(
        "do $$ begin for n in 1..{all} loop
           execute format('create role %I', 'R_' || n);
           execute format('grant select on sales.orders to %I', 'R_' || n);
         end loop; end $$"
    );
    managed.server.sql("shop", &roles);
    let code = |count: usize| {
        let entry = |number| {
            format!("  - name: R_{number}\n    what: [{{ object: shop.sales.orders, permissions: [SELECT] }}]\n")
        };
        let head =
            "version: 1\nrepository: corp/access\non: shop\nmanages: [{ kind: role, names: \"R_*\" }]\ngrants:\n";
        head.to_owned() + &(1..=count).map(entry).collect::<String>()
    };
    managed.code("all.yml", &code(all));
    managed.plan(0);
    managed.code("all.yml", &code(left));
    let before = managed.written().len();
    // Each of them with its permission.
    let number = format!("--allow-revokes={}", 2 * (all - left));
    managed.access(&["plan"]).exits(4).says(&["E-over-threshold", &number]);
    managed.access(&["apply", "--yes"]).exits(4).says(&[&number]);
    assert_eq!(managed.written().len(), before, "nothing was sent");
    let count = managed.server.sql("postgres", "select count(*) from pg_roles where rolname like 'R\\_%'");
    assert_eq!(count, all.to_string());
}

#[test]
fn what_is_there_is_not_taken_over_unless_a_file_manages_it() {
    let managed = managed("createrole");
    let code =
        "version: 1\nrepository: corp/access\non: shop\ngrants:\n  - name: untouched\n    who: [{ user: nobody }]\n";
    managed.code("a.yml", code);
    let said = managed.access(&["plan"]).exits(2);
    said.says(&[
        "access/a.yml:5:11",
        "nothing says that it belongs to this repository",
        "names: untouched",
        "there is no user nobody",
    ]);
    let manages = "manages: [{ names: untouched }]\ngrants:";
    managed.code("a.yml", &code.replace("grants:", manages).replace("nobody", "an"));
    managed.access(&["plan"]).exits(2).says(&["there is no user an", "did you mean ann?"]);
    managed.code("a.yml", &code.replace("grants:", manages).replace("nobody", "ann"));
    let plan = managed.plan(3);
    let lines = plan["targets"][0]["entities"][0]["lines"].as_array().expect("lines");
    assert!(lines.iter().any(|line| line["sign"] == "-" && line["text"] == "member carl"), "{lines:#?}");
}

#[test]
fn guardrails_and_tests_are_looked_at_in_what_would_come_of_the_files() {
    let managed = managed("createrole");
    let policy = "
policy:
  - { rule: owner-required }
  - { rule: max-expiry, days: 30, waivers: [{ about: bob, until: 2999-01-01, reason: he stays }] }
  - { rule: separation, controls: [R_READERS, R_LEADS] }
";
    managed.code(
        "sales.yml",
        &format!("{CODE}  - {{ assert: denied, user: ann, object: shop.sales.orders, permission: SELECT }}\n{policy}"),
    );
    let said = managed.access(&["plan", "--output", "github"]).exits(4);
    for part in [
        "::error file=access/sales.yml,line=7,col=11,title=owner-required::R_READERS has no owner",
        "title=max-expiry::user ann is a member without an end",
        "::warning file=access/sales.yml,line=13,col=11,title=max-expiry::user bob",
        "title=separation::user bob would have R_READERS and R_LEADS",
        "title=test::shop: ann has not SELECT on shop.sales.orders: SELECT is held (active): in ann, in R_READERS",
        "::notice file=access/sales.yml,line=12",
    ] {
        assert!(said.stdout.contains(part), "{part} is not in\n{}", said.stdout);
    }
    managed.access(&["apply", "--yes"]).exits(4).says(&["E-policy"]);
    assert!(managed.written().is_empty());
    let sarif = managed.access(&["plan", "--output", "sarif"]).exits(4).value();
    assert_eq!(sarif["version"], "2.1.0");
    let gitlab = managed.access(&["plan", "--output", "gitlab"]).exits(4).value();
    assert!(gitlab.as_array().expect("a list").iter().any(|one| one["check_name"] == "separation"));
}

#[test]
fn tests_run_against_a_snapshot_without_reaching_anything() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    let snapshot = managed.access(&["export", "shop", "--output", "json"]).exits(0);
    managed.place.write("shop.jsonl", &snapshot.stdout);
    let csv = managed.access(&["export", "shop", "--output", "csv"]).exits(0).stdout;
    assert!(
        csv.lines().any(|line| line == "role,untouched,object,table shop.sales.orders,SELECT,true,raito_write"),
        "{csv}"
    );
    // No configuration: nothing can be reached.
    fs::rename(managed.place.path().join("raito.yml"), managed.place.path().join("away.yml")).expect("ours");
    let offline = ["test", "access", "--snapshot", "shop=shop.jsonl", "--junit", "junit.xml"];
    managed.access(&offline).exits(0).says(&["2 tests, 0 fail"]);
    managed.code("sales.yml", &CODE.replace("assert: denied, user: carl", "assert: allowed, user: carl"));
    managed.access(&offline).exits(1).says(&["carl has SELECT", "it is not held actively"]);
    let junit = fs::read_to_string(managed.place.path().join("junit.xml")).expect("a report");
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && junit.contains("file=\"access/sales.yml\""), "{junit}");
    let cut = snapshot.stdout.lines().take(10).collect::<Vec<_>>().join("\n");
    managed.place.write("shop.jsonl", cut);
    managed.access(&offline).exits(2).says(&["shop.jsonl"]);
}

#[test]
fn connectors_run_where_each_command_is_told() {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    for place in ["in-process", "process"] {
        let commands: [&[&str]; 6] = [
            &["plan"],
            &["apply", "--yes"],
            &["test"],
            &["drift"],
            &["export", "shop", "--output", "csv"],
            &["import", "shop", "--into", place],
        ];
        for command in commands {
            managed.access(&[command, &["--isolation", place]].concat()).exits(0);
            let events = managed.place.events();
            let last = events.iter().rfind(|event| event["kind"] == "isolation").expect("it is on record");
            assert_eq!(last["isolation"], place, "{command:?}");
        }
    }
}

impl Managed {
    /// All roles of the files with their members and comments, and all access lists that have one of them, of both databases.
    fn roles_and_grants(&self) -> Vec<String> {
        let roles = "select r.rolname || ' ' || coalesce(shobj_description(r.oid, 'pg_authid'), '') || ' ' ||
                       coalesce((select string_agg(m.rolname, ',' order by m.rolname) from pg_auth_members a
                         join pg_roles m on m.oid = a.member where a.roleid = r.oid), '')
                     from pg_roles r where r.rolname like 'R\\_%' order by 1";
        let lists = "select n.nspname || '.' || c.relname || ' ' || array(select unnest(c.relacl)::text order by 1)::text from pg_class c
                       join pg_namespace n on n.oid = c.relnamespace where c.relacl::text like '%R\\_%'
                     union all select nspname || ' ' || array(select unnest(nspacl)::text order by 1)::text from pg_namespace where nspacl::text like '%R\\_%' order by 1";
        let mut all = self.server.rows("shop", roles);
        all.extend(self.server.rows("shop", lists));
        all.extend(self.server.rows("crm", lists));
        all
    }
}

/// Roles whose creation takes thirty statements and more, in both databases.
fn thirty() -> (Vec<String>, String) {
    let names: Vec<String> = (0..5).map(|number| format!("R_{number}")).collect();
    let entry = |name: &String| {
        format!(
            "  - name: {name}\n    description: a role\n    who: [{{ user: ann }}]\n    what:\n      \
             - {{ select: {{ kind: table, under: shop.sales }}, permissions: [read] }}\n      \
             - {{ object: crm.sales.orders, permissions: [read] }}\n"
        )
    };
    let entries: String = names.iter().map(entry).collect();
    let head = "version: 1\nrepository: corp/access\non: shop\nmanages: [{ kind: role, names: R_* }]\ngrants:\n";
    (names, format!("{head}{entries}"))
}

#[test]
fn an_apply_that_is_killed_at_any_statement_is_gone_on_with() {
    let managed = managed("createrole");
    let (names, code) = thirty();
    managed.code("all.yml", &code);
    let mut planned = statements(&managed.plan(3));
    planned.sort();
    assert!(planned.len() >= 30, "{planned:#?}");
    managed.access(&["apply", "plan.json", "--yes"]).exits(0);
    let expected = managed.roles_and_grants();
    let begun = managed.place.path().join(".raito/access/shop.begun");
    let (mut killed, mut partly) = (0, 0);
    let lines_to_kill_at = breaks(&managed);
    let mut sent = managed.changed().len();
    for line in &lines_to_kill_at {
        let listed = names.join("\", \"");
        managed.server.sql("crm", &format!("drop owned by \"{listed}\""));
        managed.server.sql("shop", &format!("drop owned by \"{listed}\"; drop role \"{listed}\""));
        let before = lines(&managed.place);
        let mut child = managed.place.spawn(&["access", "apply", "plan.json", "--yes"]);
        let was_killed = kill_at(&managed.place, &mut child, before, *line);
        let _ = child.wait();
        let broke_off = managed.changed().len() - sent;
        killed += usize::from(was_killed);
        partly += usize::from(broke_off > 0 && broke_off < planned.len());
        // Whoever was killed behind the very last line had nothing left to do.
        if begun.exists() {
            managed.access(&["apply", "plan.json", "--yes", "--resume"]).exits(0);
        }
        assert_eq!(managed.roles_and_grants(), expected, "killed at line {line}");
        let mut committed = managed.changed()[sent..].to_vec();
        sent += committed.len();
        committed.sort();
        assert_eq!(committed, planned, "each statement once, killed at line {line}");
    }
    managed.plan(0);
    println!("{killed} of {} were killed while they ran, {partly} between two commits", lines_to_kill_at.len());
    assert!(killed * 2 >= lines_to_kill_at.len(), "only {killed} applies were caught while they ran");
    assert!(partly > 0, "no apply broke off between two commits");
}

/// Where the last run can break off: the lines of its record, counted from its first, for each statement that was sent, and
/// for everything between the last commit and the end, in which the plan still counts as begun.
fn breaks(managed: &Managed) -> Vec<u64> {
    let events = managed.place.events();
    let run = events.last().expect("events")["run"].clone();
    let of_run: Vec<&Value> = events.iter().filter(|event| event["run"] == run).collect();
    let number =
        |event: &Value| event["seq"].as_u64().expect("a number") - of_run[0]["seq"].as_u64().expect("a number");
    let is_sent =
        |event: &&&Value| event["step"] == "access-to-target" && event["kind"] == "call" && event["mode"] == "write";
    let sent: Vec<u64> = of_run.iter().filter(is_sent).map(|event| number(event)).collect();
    let last = *sent.last().expect("calls");
    let ends = ["step-start", "step-end", "target-end"];
    let behind = of_run.iter().filter(|event| ends.iter().any(|kind| event["kind"] == *kind));
    let behind = behind.map(|event| number(event)).filter(|line| *line > last);
    let all: Vec<u64> = sent.iter().copied().chain(behind).collect();
    assert!(sent.len() >= 30 && all.len() > sent.len() + 5, "{all:?}");
    all
}
