//! Step 4 on row-security policies of a real PostgreSQL, held against the rows that logins see.

use serde_json::{Value, json};

use crate::changes::{Managed, managed_on, on};
use crate::support::postgres::{SYSTEM, Version};

impl Managed {
    /// The regions of the orders that a login sees.
    pub(crate) fn sees(&self, login: &str) -> Vec<String> {
        let sql = format!("set role {login}; select region from sales.orders order by 1");
        self.server.rows("shop", &sql)
    }

    /// What the catalogue says of the policies.
    fn policies(&self) -> Vec<String> {
        self.server.rows(
            "shop",
            "select polname || ' ' || polcmd::text || ' ' || polpermissive || ' ' || polroles::regrole[]::text || ' ' || \
             coalesce(pg_get_expr(polqual, polrelid), '-') || ' ' || coalesce(pg_get_expr(polwithcheck, polrelid), '-') \
             from pg_policy order by 1",
        )
    }
}

pub(crate) fn policy(name: &str, who: &[Value], rule: &Value) -> Value {
    let commands = rule["commands"].as_array().cloned().unwrap_or_default();
    let of = |command: &Value| command.as_str().expect("a command").to_owned();
    let mut commands: Vec<String> = commands.iter().map(of).collect();
    if commands.is_empty() {
        commands = ["SELECT", "INSERT", "UPDATE", "DELETE"].map(str::to_owned).to_vec();
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    json!({ "kind": "row-policy", "action": "filter", "name": name, "actual-name": name, "description": "", "who": who,
            "what": [on("table", &["shop", "sales", "orders"], &commands)], "standing": [], "policy": rule, "locks": [] })
}

fn policies_come_change_and_go(version: Version) {
    let managed = managed_on(version, "superuser");
    managed.server.sql(
        "shop",
        "insert into sales.orders values (1, 'eu'), (2, 'us'), (3, 'jp'); alter table sales.orders enable row level security; \
         grant usage on schema sales to ann, bob; grant select on sales.orders to ann, bob; \
         create policy theirs on sales.orders as restrictive for select to bob using (id < 9)",
    );
    assert!(managed.sees("ann").is_empty());
    let (ann, bob) = (managed.member("ann"), managed.member("bob"));
    let shows = |text: &str| json!({ "text": text, "commands": ["SELECT"], "enabled": true });
    let id = managed.want(&policy("eu", std::slice::from_ref(&ann), &shows("region = 'eu'")));
    let all = json!({ "text": "region <> 'jp'", "check": "id > 0", "enabled": true });
    managed.want(&policy(
        "all of it",
        &[json!({ "kind": "special", "id": "everyone", "inherits": true, "assumable": false })],
        &all,
    ));
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.sees("ann"), ["eu", "us"], "what either of them shows");
    let theirs = "theirs r false {bob} (id < 9) -";
    let everybody = "all of it * true {-} (region <> 'jp'::text) (id > 0)";
    assert_eq!(managed.policies(), [everybody, "eu r true {ann} (region = 'eu'::text) -", theirs]);
    let written = managed.written().len();
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), written, "it is in sync, whatever words the server keeps it in");

    // Other rows, another member, another name.
    managed.change(&id, &policy("asia", &[ann.clone(), bob], &shows("region = 'jp'")));
    managed.place.run(&[]);
    assert_eq!(
        (managed.sees("ann"), managed.sees("bob")),
        (vec!["eu".into(), "jp".into(), "us".into()], managed.sees("ann"))
    );
    assert_eq!(managed.policies()[1], "asia r true {ann,bob} (region = 'jp'::text) -");

    // What somebody writes by hand is told, and stays until it is to be reverted.
    managed.server.sql("shop", "alter policy asia on sales.orders to ann using (true)");
    let report = managed.place.run(&[]);
    assert!(report.to_string().contains("policy"), "{report}");
    assert_eq!(managed.policies()[1], "asia r true {ann} true -");

    managed.delete(&id);
    managed.place.run(&[]);
    assert_eq!(managed.policies(), [everybody, theirs], "what is theirs stays");
    managed.place.run(&[]);
    let found = managed.place.get("/sources/shop/access-controls?kind=row-policy").to_string();
    assert!(!found.contains("\"asia\""), "{found}");
}

#[test]
fn policies_come_change_and_go_on_the_systems_postgresql() {
    policies_come_change_and_go(SYSTEM);
}

#[test]
fn policies_come_change_and_go_on_postgresql_18() {
    policies_come_change_and_go(Version(18));
}
