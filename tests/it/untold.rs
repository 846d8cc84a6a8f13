//! Runs of which the cloud did not hear everything: what they did still counts as raito's own, and never as somebody else's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::changes::{Managed, managed, managed_on, on};
use crate::support::postgres::Version;
use crate::support::raito::postgresql_target;
use crate::support::{Postgres, Warehouse};

const STATUS: &str = "/sources/shop/internal-access-controls";

/// A role that reads something in both databases.
fn both(extra: &[Value]) -> Value {
    let mut what = vec![
        on("table", &["shop", "sales", "orders"], &["SELECT"]),
        on("table", &["crm", "sales", "orders"], &["SELECT"]),
    ];
    what.extend(extra.iter().cloned());
    json!({ "name": "readers", "kind": "role", "what": what })
}

fn drift(managed: &Managed) -> Value {
    managed.place.get("/sources/shop/drift")["items"].clone()
}

fn status(managed: &Managed, id: &str) -> String {
    managed.place.get(&format!("{STATUS}/{id}"))["status"].as_str().expect("a word").to_owned()
}

#[test]
fn what_stood_in_a_database_that_was_closed_for_a_run_is_still_ours() {
    let managed = managed("superuser");
    let id = managed.want(&both(&[]));
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.holds("readers").len(), 2);

    // One run that has nothing to do, and one that changes something elsewhere, while a database does not answer.
    managed.server.close("crm", true);
    managed.place.raito(&["run", "--quiet"]);
    assert_eq!(status(&managed, &id), "synced", "what was known of it stays known");
    managed.change(&id, &both(&[on("table", &["shop", "sales", "customers"], &["SELECT"])]));
    managed.place.raito(&["run", "--quiet"]);
    managed.server.close("crm", false);

    managed.change(
        &id,
        &json!({ "name": "readers", "kind": "role", "what": [on("table", &["shop", "sales", "orders"], &["SELECT"])] }),
    );
    managed.place.run(&[]);
    assert_eq!(managed.holds("readers"), ["shop sales.orders SELECT"]);
    assert_eq!((drift(&managed), status(&managed, &id).as_str()), (json!([]), "synced"));
}

#[test]
fn what_a_killed_run_had_committed_goes_when_it_is_no_longer_wanted() {
    let managed = managed("superuser");
    let id = managed.want(&both(&[]));
    managed.place.run(&["--apply-first"]);
    let more = both(&[on("table", &["shop", "sales", "customers"], &["SELECT"])]);
    for _ in 0..5 {
        managed.change(&id, &more);
        let before = managed.committed().len();
        let mut child = managed.place.spawn(&["run", "--quiet"]);
        let began = Instant::now();
        while managed.committed().len() == before && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("ours");
        child.wait().expect("ours");
        assert_eq!(managed.holds("readers").len(), 3, "it was committed");
        let untold = status(&managed, &id) == "in-progress";
        managed.change(&id, &both(&[]));
        managed.place.run(&[]);
        assert_eq!(managed.holds("readers"), ["shop sales.orders SELECT", "crm sales.orders SELECT"]);
        assert_eq!(drift(&managed), json!([]));
        if untold {
            return;
        }
    }
    panic!("five runs told the cloud before they were killed");
}

/// Lists of the cloud that a run of another target could replace.
const TAKEN: [&str; 4] = ["users", "groups", "objects", "access-controls"];

#[test]
fn another_instance_is_not_taken_for_the_source_whichever_steps_are_left_out() {
    // Clusters of one release are copies of one here, and share what tells instances apart.
    let (one, other) = (managed("superuser"), managed_on(Version(18), "superuser"));
    other.server.sql("postgres", "drop role bob");
    one.want(&both(&[]));
    one.place.run(&["--apply-first"]);
    let sent = other.written().len();
    let taken = || TAKEN.map(|list| one.place.list(&format!("/sources/shop/{list}")));
    let known = taken();
    let instance = |server: &Postgres| server.sql("postgres", "select system_identifier from pg_control_system()");
    let (was, is) = (instance(&one.server), instance(&other.server));
    let write = "write: { user: raito_write, password: { env: PG_PASSWORD }, login-may: [superuser] }";
    one.place.configure(&postgresql_target(&other.server, "shop, crm", write));
    let only_people = ["--skip-data-access-sync", "--skip-data-usage-sync", "--skip-data-source-sync"];
    let skips: [&[&str]; 4] = [&[], &["--skip-data-source-sync"], &["--skip-identity-store-sync"], &only_people];
    for (skipped, dry) in skips.iter().flat_map(|skipped| [(skipped, &["--dry-run"][..]), (skipped, &[][..])]) {
        let arguments = [&["run", "--quiet"], *skipped, dry].concat();
        let said = one.place.raito(&arguments).exits(1);
        said.says(&[
            "source shop was instance",
            &was,
            &is,
            "another instance is another source",
            "correct the target's address",
        ]);
        assert_eq!(taken(), known, "{arguments:?}");
    }
    assert_eq!(other.written().len(), sent);

    // Another connector tells of another instance as well.
    let warehouse = Warehouse::serve(&["--seed", "1", "--tables", "5"]);
    warehouse.give_token(&one.place);
    one.place.configure(&warehouse.target("").replace("name: warehouse", "name: shop"));
    one.place.raito(&["run", "--quiet"]).exits(1).says(&["step 1", &was, "another instance is another source"]);
    assert_eq!(taken(), known);
}

#[test]
fn a_role_that_the_cloud_made_is_a_member_of_another_by_the_clouds_id_for_good() {
    let managed = managed("superuser");
    let inner = managed.want(&both(&[]));
    let member = json!({ "kind": "access-control", "id": inner, "inherits": true, "assumable": true });
    let outer = json!({ "name": "analysts", "kind": "role", "who": [member],
                        "what": [on("schema", &["shop", "sales"], &["USAGE"])] });
    let id = managed.want(&outer);
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.holds("analysts"), ["member readers", "shop sales USAGE"]);
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!((managed.written().len(), drift(&managed), status(&managed, &id).as_str()), (sent, json!([]), "synced"));
    managed.server.sql("postgres", "revoke analysts from readers");
    managed.place.run(&[]);
    assert_eq!(drift(&managed)[0]["kind"], "member-removed", "{:#}", drift(&managed));
}
