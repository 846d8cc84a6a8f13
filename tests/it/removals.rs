//! How much an upload may remove, and who decides that: the cloud, and never the token that
//! uploads.

use serde_json::{Value, json};

use crate::api::{Answer, Served, token};
use crate::support::{Place, Warehouse};

fn ask(served: &Served, method: &str, path: &str, token: &str, body: &Value) -> Answer {
    let (bearer, body) = (format!("Bearer {token}"), if body.is_null() { String::new() } else { body.to_string() });
    let fields = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    served.ask(method, &format!("/api/v1{path}"), &fields, &body)
}

/// Uploads a read of step 1 that found nobody, as a run of its own.
fn upload_nothing(served: &Served, token: &str, number: u32, query: &str) -> Answer {
    let run = format!("00000000-0000-4000-8000-{number:012}");
    let opening = json!({
        "run": run, "source": "warehouse", "connector": "demo", "version": "1.0.0", "sha256": "0".repeat(64),
    });
    let opened = ask(served, "POST", "/runs", token, &opening);
    assert_eq!(opened.status, 200, "{:#}", opened.body);
    let end = format!("{}\n", json!({ "end": { "lines": 0, "complete": true } }));
    let path = format!("/api/v1/runs/{run}/uploads/identity-store{query}");
    served.ask("PUT", &path, &[("authorization", &format!("Bearer {token}"))], &end)
}

fn refused(answer: &Answer) -> u64 {
    assert_eq!((answer.status, answer.body["type"].as_str()), (409, Some("over-threshold")), "{:#}", answer.body);
    assert_eq!(answer.body["over-threshold"]["by-cloud"], true, "{:#}", answer.body);
    answer.body["over-threshold"]["total"].as_u64().expect("a number")
}

#[test]
fn e11_no_upload_decides_what_it_may_remove() {
    let warehouse = Warehouse::serve(&["--seed", "5", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let served = Served::of(&place);
    let of = |scopes: &[&str]| token(&place, scopes);
    let (sync, both, may) = (of(&["sync"]), of(&["sync", "removals"]), of(&["removals"]));
    let users = || ask(&served, "GET", "/sources/warehouse/users?limit=1000", &of(&["read"]), &Value::Null).body;
    let before = users();

    let total = refused(&upload_nothing(&served, &sync, 1, ""));
    refused(&upload_nothing(&served, &sync, 2, "?remove-percent=100&remove-count=1000000"));
    refused(&upload_nothing(&served, &sync, 3, &format!("?allow-removals={total}")));
    let all = format!("?remove-percent=100&remove-count=1000000&allow-removals={total}");
    refused(&upload_nothing(&served, &sync, 4, &all));

    // Thresholds and numbers are not for whoever uploads.
    let exactly = json!({ "records": total, "reason": "the warehouse was emptied" });
    let anything = json!({ "remove-percent": 100, "remove-count": 1_000_000 });
    for scope in ["sync", "write", "read", "state", "admin"] {
        let wrong = of(&[scope]);
        assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &wrong, &exactly).status, 403, "{scope}");
        assert_eq!(ask(&served, "PUT", "/sources/warehouse/thresholds", &wrong, &anything).status, 403, "{scope}");
    }
    // Nor is a number that the same token confirms, another number, or one of another source.
    assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &both, &exactly).status, 201);
    refused(&upload_nothing(&served, &both, 5, &all));
    // Nor are thresholds that the same token set.
    assert_eq!(ask(&served, "PUT", "/sources/warehouse/thresholds", &both, &anything).status, 204);
    refused(&upload_nothing(&served, &both, 50, &all));
    let usual = json!({ "remove-percent": 20, "remove-count": 50 });
    assert_eq!(ask(&served, "PUT", "/sources/warehouse/thresholds", &may, &usual).status, 204);
    let other = json!({ "records": total + 1 });
    assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &may, &other).status, 201);
    assert_eq!(ask(&served, "POST", "/sources/elsewhere/removals", &may, &exactly).status, 404);
    assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &may, &json!({ "records": 0 })).status, 422);
    refused(&upload_nothing(&served, &both, 6, &all));
    assert_eq!(users(), before, "nobody was removed");

    // Another token says so, and once it is used it is used up.
    assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &may, &exactly).status, 201);
    let stricter = upload_nothing(&served, &sync, 7, "?remove-percent=0&remove-count=0");
    assert_eq!(
        stricter.body["over-threshold"]["by-cloud"],
        Value::Null,
        "an upload can be stricter: {:#}",
        stricter.body
    );
    let taken = upload_nothing(&served, &sync, 8, "");
    assert_eq!((taken.status, taken.body["removed"].as_u64()), (200, Some(total)), "{:#}", taken.body);
    let listed = ask(&served, "GET", "/sources/warehouse/removals", &of(&["read"]), &Value::Null).body;
    let used: Vec<&Value> =
        listed["items"].as_array().expect("a list").iter().filter(|one| !one["run"].is_null()).collect();
    assert_eq!(used.len(), 1, "{listed:#}");
    assert_eq!(
        (&used[0]["records"], &used[0]["step"], &used[0]["made-by"]),
        (&json!(total), &json!("identity-store"), &json!("test"))
    );
}

#[test]
fn e11_the_thresholds_of_a_source_are_the_clouds() {
    let warehouse = Warehouse::serve(&["--seed", "6", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let served = Served::of(&place);
    let (sync, may, read) = (token(&place, &["sync"]), token(&place, &["removals"]), token(&place, &["read"]));
    let path = "/sources/warehouse/thresholds";
    let usual = json!({ "remove-percent": 20, "remove-count": 50 });
    assert_eq!(ask(&served, "GET", path, &read, &Value::Null).body, usual);
    let wrong = json!({ "remove-percent": 101, "remove-count": 0 });
    assert_eq!(ask(&served, "PUT", path, &may, &wrong).status, 422);
    refused(&upload_nothing(&served, &sync, 1, ""));
    let anything = json!({ "remove-percent": 100, "remove-count": 0 });
    assert_eq!(ask(&served, "PUT", path, &may, &anything).status, 204);
    assert_eq!(ask(&served, "GET", path, &read, &Value::Null).body, anything);
    assert_eq!(upload_nothing(&served, &sync, 2, "").status, 200);
    // They hold for whoever owns the cloud too, who can say a number.
    let none = json!({ "remove-percent": 0, "remove-count": 0 });
    drop(served);
    place.write("none.json", none.to_string());
    place.raito(&["cloud", "put", path, "none.json"]).exits(0);
    place.run(&[]);
    let emptied = Warehouse::serve(&["--seed", "6", "--tables", "19"]);
    place.configure(&emptied.target(""));
    place.write("warehouse.token", &emptied.token);
    place.raito(&["run"]).exits(4).says(&["E-over-threshold", "--allow-removals"]);
}

/// The configuration of a place, with a cloud elsewhere.
fn elsewhere(warehouse: &Warehouse, served: &Served, sync: &str) -> Place {
    let cloud = format!("cloud: {{ url: \"http://{}\", token: {{ file: cloud.token }} }}\n", served.address);
    let place = Place::new(&warehouse.target("").replacen("cloud: embedded\n", &cloud, 1));
    warehouse.give_token(&place);
    place.write("cloud.token", sync);
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(place.path().join("cloud.token"), private).expect("ours");
    place
}

#[test]
fn a_run_with_a_cloud_elsewhere_waits_for_somebody_who_may_confirm() {
    let warehouse = Warehouse::serve(&["--seed", "7", "--tables", "300"]);
    let owner = Place::new("targets: []\n");
    let served = Served::of(&owner);
    let (sync, may, read) = (token(&owner, &["sync"]), token(&owner, &["removals"]), token(&owner, &["read"]));
    elsewhere(&warehouse, &served, &sync).run(&[]);
    let smaller = Warehouse::serve(&["--seed", "7", "--tables", "30"]);
    let tables = || {
        ask(&served, "GET", "/sources/warehouse/objects?kind=table&limit=1000", &read, &Value::Null).body["items"]
            .as_array()
            .map(Vec::len)
    };
    let before = tables();
    let host = elsewhere(&smaller, &served, &sync);
    let skip = ["--skip-identity-store-sync", "--skip-data-access-sync", "--skip-data-usage-sync"];
    let run = |more: &[&str]| host.raito(&[&["run", "--output", "json"], &skip[..], more].concat());
    let outcome = run(&[]).exits(4);
    let error = outcome.json().into_iter().find(|line| line["event"] == "error").expect("an error");
    let help = error["help"][0].as_str().unwrap_or_default();
    assert!(error["code"] == "E-over-threshold" && help.contains("/sources/NAME/removals"), "{error:#}");
    let total = help.split("--allow-removals ").nth(1).expect("a number");
    run(&["--allow-removals", total]).exits(4);
    assert_eq!(tables(), before, "nothing was removed");
    let exactly = json!({ "records": total.parse::<u64>().expect("a number") });
    assert_eq!(ask(&served, "POST", "/sources/warehouse/removals", &may, &exactly).status, 201);
    run(&[]).exits(4);
    run(&["--allow-removals", total]).exits(0);
    assert_eq!(tables(), Some(30));
}
