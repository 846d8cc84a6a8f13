//! Step 4 held against the server's own record: what is shown is what is sent, and what the server only warns of has failed.

use serde_json::{Value, json};

use crate::changes::{Managed, WRITER, managed_on, on, revenue};
use crate::changes_policies::policy;
use crate::support::postgres::{SYSTEM, Version};

impl Managed {
    /// Adds a line to the target's configuration.
    pub(crate) fn configure(&self, line: &str) {
        let configuration = std::fs::read_to_string(self.place.path().join("raito.yml")).expect("readable");
        self.place.configure(&format!("{configuration}    {line}\n"));
    }

    /// The calls that a run would make, as its dry run tells programs.
    fn dry_run(&self) -> Vec<Value> {
        let lines = self.place.raito(&["run", "--quiet", "--dry-run", "--output", "json"]).exits(0).json();
        lines.into_iter().filter(|line| line["event"] == "planned").collect()
    }

    /// The same in the words for people.
    fn told(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let words = |call: &Value| format!("would send shop ({}): {}", text(&call["at"]), text(&call["request"]));
        self.dry_run().iter().map(words).collect()
    }

    /// The statements that a run would send, as its dry run shows them.
    fn planned(&self) -> Vec<String> {
        let planned = self.dry_run();
        // Shown escaped, and what runs in a role with the statements around it.
        let text = |line: &Value| line["request"].as_str().expect("a text").replace("\\n", "\n");
        planned.iter().flat_map(|line| text(line).split(";\n").map(str::to_owned).collect::<Vec<_>>()).collect()
    }
}

fn a_dry_run_shows_byte_for_byte_what_the_run_after_it_sends(version: Version) {
    let managed = managed_on(version, "superuser");
    managed.server.sql("shop", "alter table sales.orders enable row level security");
    let mut wanted = revenue(&managed);
    let revenue = managed.want(&wanted);
    let goes = managed.want(&json!({ "name": "goes", "kind": "role", "who": [managed.member("carl")],
        "what": [on("table", &["crm", "sales", "orders"], &["SELECT"]), on("schema", &["shop", "sales"], &["USAGE"])] }));
    let rule = json!({ "text": "region = 'it''s; here'", "commands": ["SELECT"], "enabled": true });
    let filter = managed.want(&policy("here", &[managed.member("ann")], &rule));
    managed.place.run(&["--apply-first"]);

    // Somebody else grants, which is taken back in his name; a role is renamed, changed and deleted, and a policy changed.
    managed.server.sql("shop", "set role untouched; grant select on sales.orders to revenue");
    managed.configure("drift: revert");
    wanted["name"] = json!("Income; \"new\"");
    wanted["actual-name"] = json!("Income; \"new\"");
    wanted["description"] = json!("it's\nnew");
    wanted["who"] = json!([managed.member("ann"), managed.member("bob")]);
    wanted["who"][0]["may-pass-on"] = json!(true);
    wanted["what"] = json!([on("table", &["shop", "sales", "orders"], &["SELECT", "UPDATE"])]);
    managed.change(&revenue, &wanted);
    managed.delete(&goes);
    let rule: Value = json!({ "text": "region = 'eu'", "commands": ["SELECT"], "enabled": true });
    managed.change(&filter, &policy("there", &[managed.member("ann"), managed.member("bob")], &rule));

    let sent = managed.committed().len();
    let planned = managed.planned();
    assert_eq!(managed.committed().len(), sent, "a dry run sends nothing");
    for words in [
        "SET LOCAL ROLE \"untouched\"",
        "RENAME TO \"Income; \"\"new\"\"\"",
        "DROP ROLE \"goes\"",
        "ALTER POLICY",
        "COMMENT ON ROLE",
        "REVOKE",
        "WITH ADMIN",
    ] {
        assert!(planned.iter().any(|statement| statement.contains(words)), "{words} is not planned: {planned:#?}");
    }
    let for_people = managed.place.raito(&["run", "--quiet", "--dry-run"]).exits(0).stdout;
    let shown: Vec<&str> = for_people.lines().filter(|line| line.starts_with("would send ")).collect();
    assert_eq!(shown, managed.told(), "people get on standard output what programs get");
    managed.place.run(&[]);
    assert_eq!(managed.committed().split_off(sent), planned);
    assert!(managed.planned().is_empty(), "all of it is done");
}

#[test]
fn a_dry_run_is_exact_on_the_systems_postgresql() {
    a_dry_run_shows_byte_for_byte_what_the_run_after_it_sends(SYSTEM);
}

#[test]
fn a_dry_run_is_exact_on_postgresql_18() {
    a_dry_run_shows_byte_for_byte_what_the_run_after_it_sends(Version(18));
}

/// Warnings 01007 and 01006: the server does nothing, and says OK.
fn what_the_server_only_warns_of_has_failed(version: Version) {
    let managed = managed_on(version, "createrole");
    let server = &managed.server;
    server.sql("shop", &format!("create table sales.theirs (id bigint); grant select on sales.theirs to {WRITER}"));
    let on_theirs = on("table", &["shop", "sales", "theirs"], &["SELECT"]);
    let on_orders = on("table", &["shop", "sales", "orders"], &["SELECT"]);
    let id = managed.want(&json!({ "name": "readers", "kind": "role", "what": [on_orders, on_theirs] }));
    let refused = managed.place.raito(&["run", "--quiet", "--apply-first"]).exits(1);
    refused.says(&["grant-table: the server only warned: no privileges were granted for \"theirs\""]);
    assert!(server.log().contains("WARNING:  no privileges were granted for \"theirs\""));
    assert_eq!(managed.holds("readers"), [""; 0], "neither of the two in one transaction");
    assert_eq!(managed.internal(&id)["status"], "failed");

    // Once the writer may grant it, it is granted.
    server.sql("shop", &format!("grant select on sales.theirs to {WRITER} with grant option"));
    managed.place.run(&[]);
    assert_eq!(managed.holds("readers"), ["shop sales.orders SELECT", "shop sales.theirs SELECT"]);

    // A list of privileges in which the grantor has lost his right to grant: the server itself would not make one.
    let broken = format!(
        "set allow_system_table_mods = on; update pg_class set relacl = \
         '{{postgres=arwdDxt/postgres,{WRITER}=r/postgres,readers=r/{WRITER}}}' where relname = 'theirs'"
    );
    server.sql("shop", &broken);
    managed.change(&id, &json!({ "name": "readers", "kind": "role", "what": [] }));
    let refused = managed.place.raito(&["run", "--quiet"]).exits(1);
    refused.says(&["revoke-table: the server only warned: no privileges could be revoked for \"theirs\""]);
    assert_eq!(managed.holds("readers"), ["shop sales.orders SELECT", "shop sales.theirs SELECT"]);
    assert_eq!(managed.internal(&id)["status"], "failed");
}

#[test]
fn what_the_systems_postgresql_only_warns_of_has_failed() {
    what_the_server_only_warns_of_has_failed(SYSTEM);
}

#[test]
fn what_postgresql_18_only_warns_of_has_failed() {
    what_the_server_only_warns_of_has_failed(Version(18));
}

#[test]
fn what_somebody_else_granted_is_reported_as_not_possible_where_the_login_cannot_be_him() {
    let managed = managed_on(Version(18), "createrole");
    let what = on("table", &["shop", "sales", "orders"], &["SELECT"]);
    let id =
        managed.want(&json!({ "name": "readers", "kind": "role", "who": [managed.member("ann")], "what": [what] }));
    managed.place.run(&["--apply-first"]);
    // Not `untouched`: whoever administers carl, who is a member of it, can switch to it.
    let stranger = "create role stranger; grant usage on schema sales to stranger;
        grant select on sales.orders to stranger with grant option; set role stranger; grant select on sales.orders to readers";
    managed.server.sql("shop", stranger);
    let (readers, stranger) = (managed.raw("readers"), managed.raw("stranger"));
    managed.configure("drift: revert");
    let refused = managed.place.raito(&["run", "--quiet"]).exits(1);
    refused.says(&["readers", "revoke-table", "permission denied to set role \"stranger\""]);
    assert_eq!((managed.raw("readers"), managed.raw("stranger")), (readers, stranger));
    assert_eq!(managed.internal(&id)["status"], "failed");
    // What could not be taken does not pass for raito's own in the next run.
    managed.place.raito(&["run", "--quiet"]).exits(1).says(&["permission denied to set role \"stranger\""]);
}
