//! Killed behind a COMMIT that nobody heard the answer of: what it did counts, whoever reads the target next finds it, and no
//! statement is committed a second time.
//!
//! A server that waits for a standby has committed when it begins to wait, and answers when the standby has (manual, Synchronous
//! Replication). One that waits for a standby that does not exist never answers, so a process can be killed in just that moment.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::access::statements;
use crate::access_refusals::CODE;
use crate::changes::{Managed, WRITER, managed, on, revenue};

impl Managed {
    /// Has no COMMIT in this database answered until it is let go on; those in other databases are.
    fn hold_commits(&self, database: &str) {
        for other in ["shop", "crm"] {
            let how = if other == database { "remote_apply" } else { "local" };
            self.server
                .sql("postgres", &format!("alter role {WRITER} in database {other} set synchronous_commit = {how}"));
        }
        self.server.sql("postgres", "alter system set synchronous_standby_names = 'nobody'");
        self.server.sql("postgres", "select pg_reload_conf()");
    }

    fn waiting(&self) -> String {
        self.server.sql("postgres", "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")
    }

    /// Waits until a COMMIT is done and not answered, kills who sent it, and has the server be as before.
    fn kill_behind_commit(&self, mut child: Child) {
        let began = Instant::now();
        while self.waiting() == "0" {
            assert!(began.elapsed() < Duration::from_secs(60), "nothing is committed");
            assert!(child.try_wait().expect("ours").is_none(), "it ended, and was not answered");
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
        self.server.sql("postgres", "alter system reset synchronous_standby_names");
        self.server.sql("postgres", "select pg_reload_conf()");
        self.server
            .sql("postgres", "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'");
        while self.waiting() != "0" {
            assert!(began.elapsed() < Duration::from_secs(60), "it waits on");
        }
    }

    /// The statements that were committed since, in no order, whichever role they are about.
    fn committed_since(&self, since: usize, role: &str, id: &str) -> Vec<String> {
        let plain = |text: &String| text.replace(role, "ROLE").replace(id, "ID");
        let mut all: Vec<String> = self.committed()[since..].iter().map(plain).collect();
        all.sort();
        all
    }
}

#[test]
fn a_run_that_is_killed_behind_its_commit_has_done_what_it_committed() {
    let managed = managed("superuser");
    let draft = |name: &str, less: bool| {
        let mut draft = revenue(&managed);
        draft["name"] = json!(name);
        if less {
            draft["who"] = json!([managed.member("ann")]);
            draft["what"] = json!([on("table", &["shop", "sales", "orders"], &["SELECT"])]);
        }
        draft
    };
    // What is sent for it, and what the server has then, where nobody is disturbed.
    let made = managed.want(&draft("undisturbed", false));
    managed.place.run(&["--apply-first"]);
    let sent = managed.committed_since(0, "undisturbed", &made);
    let whole = (managed.holds("undisturbed"), sent.clone());
    managed.change(&made, &draft("undisturbed", true));
    managed.place.run(&[]);
    let less = (managed.holds("undisturbed"), managed.committed_since(sent.len(), "undisturbed", &made));
    for database in ["shop", "crm"] {
        let name = format!("killed_in_{database}");
        let id = managed.want(&draft(&name, false));
        // It is made, and later narrowed to what takes revokes in both databases.
        for (number, right) in [&whole, &less].into_iter().enumerate() {
            if number == 1 {
                managed.change(&id, &draft(&name, true));
            }
            let since = managed.committed().len();
            managed.hold_commits(database);
            managed.kill_behind_commit(managed.place.spawn(&["run", "--quiet"]));
            assert!(managed.committed().len() > since, "it was committed");
            managed.place.raito(&["audit", "verify"]).exits(0);
            managed.place.run(&[]);
            assert_eq!(
                &(managed.holds(&name), managed.committed_since(since, &name, &id)),
                right,
                "each statement once"
            );
            let before = managed.committed().len();
            managed.place.run(&[]);
            assert_eq!(managed.committed().len(), before, "and nothing is left to do");
            let drift = managed.place.get("/sources/shop/drift")["items"].clone();
            assert_eq!(drift, json!([]), "what it did itself is nobody else's");
            assert_eq!(managed.internal(&id)["status"], "synced");
        }
    }
}

#[test]
fn an_apply_that_is_killed_behind_its_commit_goes_on_with_what_is_left() {
    let managed = managed("createrole");
    let code = CODE.replace("[read]", "[read, INSERT]");
    let less = code.replace(", { user: bob }", "").replace(", INSERT", "");
    for database in ["shop", "crm"] {
        for text in [&code, &less] {
            managed.code("sales.yml", text);
            let plan = managed.plan(3);
            let mut planned = statements(&plan);
            planned.sort();
            let since = managed.changed().len();
            managed.hold_commits(database);
            managed.kill_behind_commit(managed.place.spawn(&["access", "apply", "plan.json", "--yes"]));
            assert!(managed.changed().len() > since, "it was committed");
            // Without a word of going on, the plan is another one by now.
            managed.access(&["apply", "plan.json", "--yes"]).exits(7).says(&["--resume goes on with it"]);
            managed.access(&["apply", "plan.json", "--resume", "--yes"]).exits(0);
            let mut committed = managed.changed()[since..].to_vec();
            committed.sort();
            assert_eq!(committed, planned, "each statement once");
            managed.plan(0);
        }
    }
}
