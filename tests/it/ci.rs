//! The examples for CI, run as they stand: their commands, taken out of the files, against a real PostgreSQL and without a terminal.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use marked_yaml::Node;
use serde_json::Value;

use crate::changes::{Managed, managed};
use crate::support::postgres::READER;
use crate::support::raito::Outcome;

const CODE: &str = "\
version: 1
repository: corp/access
on: shop
manages: [{ kind: role, names: R_* }]
grants:
  - name: R_READERS
    who: [{ user: ann }, { user: bob, expires: 2020-01-01 }]
    what: [{ object: shop.sales.orders, permissions: [read] }]
";

fn example(name: &str) -> Node {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    marked_yaml::parse_yaml(0, text).expect("YAML")
}

fn child<'n>(node: &'n Node, key: &str) -> &'n Node {
    let found = node.as_mapping().and_then(|map| map.get_node(key));
    found.unwrap_or_else(|| panic!("there is no {key}"))
}

fn text(node: &Node) -> String {
    node.as_scalar().expect("a text").as_str().to_owned()
}

/// A server with access code, and stand-ins for what speaks to GitHub and GitLab: each keeps what it was called with.
fn repository() -> Managed {
    let managed = managed("createrole");
    managed.code("sales.yml", CODE);
    let tools = managed.place.path().join("tools");
    fs::create_dir(&tools).expect("ours");
    for name in ["gh", "curl"] {
        let path = tools.join(name);
        let script = "#!/bin/sh\nfor part in \"$@\"; do printf '%s\\n' \"$part\"; done > \"$0.called\"\n";
        fs::write(&path, script).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
    }
    managed
}

impl Managed {
    /// Runs a script as the runners do: bash, which ends with the first command that fails.
    fn script(&self, script: &str) -> Outcome {
        let program = Path::new(env!("CARGO_BIN_EXE_raito")).parent().expect("a folder");
        let path = format!(
            "{}:{}:{}",
            self.place.path().join("tools").display(),
            program.display(),
            std::env::var("PATH").expect("a path")
        );
        let environment = self.place.command(&[]);
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(self.place.path());
        bash.stdin(Stdio::null()).env("PATH", path).env("CI", "true");
        for (name, value) in environment.get_envs() {
            match value {
                Some(value) => bash.env(name, value),
                None => bash.env_remove(name),
            };
        }
        bash.env("GITHUB_STEP_SUMMARY", self.place.path().join("summary.md")).env("PULL_REQUEST", "7");
        bash.envs([
            ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
            ("CI_PROJECT_ID", "1"),
            ("CI_MERGE_REQUEST_IID", "2"),
        ]);
        bash.env("ACCESS_TOKEN", "token");
        let output = bash.output().expect("bash starts");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Runs the step of a job of the example for GitHub that has this name.
    fn step(&self, job: &str, name: &str) -> Outcome {
        let workflow = example("github-actions.yml");
        let steps = child(child(child(&workflow, "jobs"), job), "steps").as_sequence().expect("steps").to_vec();
        let is_named = |step: &&Node| {
            step.as_mapping().and_then(|map| map.get_scalar("name")).is_some_and(|found| found.as_str() == name)
        };
        let step = steps.iter().find(is_named).unwrap_or_else(|| panic!("there is no step {name}"));
        self.script(&text(child(step, "run")))
    }

    /// Runs a job of the example for GitLab.
    fn job(&self, name: &str) -> Outcome {
        let pipeline = example("gitlab-ci.yml");
        let lines = child(child(&pipeline, name), "script").as_sequence().expect("lines").to_vec();
        self.script(&lines.iter().map(text).collect::<Vec<_>>().join("\n"))
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }
}

#[test]
fn the_example_for_github_plans_on_a_change_and_applies_on_merge() {
    let managed = repository();
    managed.step("plan", "Check the files").exits(0);
    let planned = managed.step("plan", "Plan").exits(0).stdout;
    for line in [
        "::warning file=access/sales.yml,line=7,col=26,title=expired::the membership of user bob ended 2020-01-01",
        "::notice file=access/sales.yml,line=6,col=11,title=plan::+ role R_READERS: + member ann; ",
    ] {
        assert!(planned.lines().any(|other| other.starts_with(line)), "{line} is not in\n{planned}");
    }
    managed.step("plan", "Show the plan").exits(0);
    let summary = managed.file("summary.md");
    assert!(summary.starts_with("## Access plan\n\n### `shop`: 1 to create, 0 to change, 0 to delete\n"), "{summary}");
    for line in [
        "gains SELECT on table shop.sales.orders: ann`",
        "+      member ann",
        "| <code>access/sales.yml&#58;7</code> | warning | <code>the membership of user bob ended 2020-01-01</code> |",
    ] {
        assert!(summary.contains(line), "{line} is not in\n{summary}");
    }
    assert_eq!(summary, managed.file("plan.md"));
    let called = managed.file("tools/gh.called");
    assert_eq!(called, "pr\ncomment\n7\n--edit-last\n--create-if-none\n--body-file\nplan.md\n");
    assert!(managed.written().is_empty(), "a plan sends nothing");
    managed.step("apply", "Apply").exits(0);
    assert_eq!(managed.holds("R_READERS"), ["member ann", "shop sales USAGE", "shop sales.orders SELECT"]);
    let ending = managed.step("drift", "Members whose time is over within two weeks").exits(0).stdout;
    assert!(ending.starts_with("::warning file=access/sales.yml,line=7"), "{ending}");
    managed.step("drift", "Drift").exits(0);
    managed.server.sql("shop", "grant \"R_READERS\" to carl");
    managed.step("drift", "Drift").exits(3);
    assert!(
        managed.file("summary.md").contains("role R&#95;READERS&#58; member carl"),
        "{}",
        managed.file("summary.md")
    );
}

#[test]
fn a_guardrail_fails_the_job_on_github_and_its_line_is_marked() {
    let managed = repository();
    managed.code("policy.yml", "version: 1\npolicy: [{ rule: owner-required }]\n");
    managed.step("plan", "Check the files").exits(0);
    let planned = managed.step("plan", "Plan").exits(4).stdout;
    let line = "::error file=access/sales.yml,line=6,col=11,title=owner-required::R_READERS has no owner";
    assert!(planned.contains(line), "{planned}");
    assert!(
        managed
            .file("plan.md")
            .contains("| <code>access/sales.yml&#58;6</code> | error | <code>R&#95;READERS has no owner")
    );
    managed.code("sales.yml", &CODE.replace("grants:", "grant:"));
    let checked = managed.step("plan", "Check the files").exits(2).stdout;
    assert!(
        checked.contains("::error file=access/sales.yml,line=5,col=1,title=mistake::unknown key grant"),
        "{checked}"
    );
    // The comment says that there is no plan, in the place of the one that was there.
    managed.step("plan", "Plan").exits(2);
    managed.step("plan", "Show the plan").exits(0);
    let shown = "## Access plan\n\nThere is no plan.\n\n| where | | what |\n|---|---|---|\n| <code>access/sales.yml&#58;5</code> | error | <code>unknown key grant";
    assert!(managed.file("plan.md").starts_with(shown), "{}", managed.file("plan.md"));
    managed.step("apply", "Apply").exits(2);
    assert!(managed.written().is_empty());
}

#[test]
fn why_a_plan_fails_stands_in_the_comment_and_at_a_line() {
    let managed = repository();
    managed.code("sales.yml", &CODE.replace("R_READERS", "pg_foo"));
    let planned = managed.step("plan", "Plan").exits(1).stdout;
    let line = "::error file=access/sales.yml,line=6,col=11,title=cannot-be-done::pg_foo: ";
    assert!(planned.contains(line), "{planned}");
    let plan = managed.file("plan.md");
    assert!(plan.contains("\n\nCannot be done:\n\n- `pg_foo: ") && !plan.contains("Nothing to do"), "{plan}");
    let drift = managed.access(&["drift"]).exits(1).stdout;
    assert_eq!(drift, "shop: 0 differences, and 1 that cannot be compared\n");
    // Somebody who is not known, and a server that does not let the host in.
    managed.code("sales.yml", &CODE.replace("user: ann", "user: nobody"));
    managed.job("access-plan").exits(2);
    assert!(
        managed
            .file("plan.md")
            .contains("| <code>access/sales.yml&#58;7</code> | error | <code>there is no user nobody")
    );
    assert!(managed.file("tools/curl.called").contains("body@plan.md"));
    managed.server.sql("shop", &format!("alter role {READER} password 'another'"));
    let refused = managed.job("access-plan");
    assert!(!matches!(refused.code, Some(0 | 2)), "{refused:?}");
    let plan = managed.file("plan.md");
    assert!(plan.starts_with("## Access plan\n\nThere is no plan.\n\n- `error[E-"), "{plan}");
}

#[test]
fn the_example_for_gitlab_plans_on_a_change_and_applies_on_merge() {
    let managed = repository();
    managed.job("access-plan").exits(0);
    let report: Value = serde_json::from_str(&managed.file("gl-code-quality-report.json")).expect("JSON");
    let rules: Vec<&str> =
        report.as_array().expect("a list").iter().filter_map(|one| one["check_name"].as_str()).collect();
    assert_eq!(rules, ["plan", "expired"]);
    assert!(managed.file("plan.md").starts_with("## Access plan\n"));
    let called = managed.file("tools/curl.called");
    let asked = "body@plan.md\nhttps://gitlab.example/api/v4/projects/1/merge_requests/2/notes\n";
    assert!(called.ends_with(asked), "{called}");
    managed.job("access-apply").exits(0);
    assert_eq!(managed.holds("R_READERS"), ["member ann", "shop sales USAGE", "shop sales.orders SELECT"]);
    managed.job("access-drift").exits(0);
    managed.server.sql("shop", "revoke select on sales.orders from \"R_READERS\"");
    managed.job("access-drift").exits(3);
}
