//! Changes in the audit log: each as it was sent, apart from those that were only planned.

use serde_json::{Value, json};

use crate::changes::{Managed, managed};
use crate::support::{Place, Warehouse};

fn statements(place: &Place, kind: &str) -> Vec<String> {
    let events = place.events();
    let of_kind = events.iter().filter(|event| event["kind"] == kind && event["step"] == "access-to-target");
    of_kind.filter_map(|event| Some(event["statement"].as_str()?.to_owned())).collect()
}

/// A role with three members and a permission.
fn readers(managed: &Managed) -> Value {
    let who: Vec<Value> = ["ann", "bob", "staff"].iter().map(|name| managed.member(name)).collect();
    let what = json!([{ "object": { "kind": "table", "path": ["shop", "sales", "orders"] }, "permissions": [{ "name": "SELECT" }] }]);
    json!({ "name": "readers", "kind": "role", "who": who, "what": what })
}

#[test]
fn c19_every_write_is_on_record_as_it_is_sent() {
    let managed = managed("superuser");
    managed.want(&readers(&managed));
    managed.place.raito(&["run", "--quiet"]).exits(4);
    let planned = statements(&managed.place, "planned-call");
    assert!(planned.iter().any(|text| text == "GRANT \"readers\" TO \"ann\""), "{planned:#?}");
    assert!(statements(&managed.place, "call").is_empty() && managed.written().is_empty(), "nothing was sent");

    managed.place.run(&["--apply-first"]);
    let sent = statements(&managed.place, "call");
    assert_eq!(sent, planned, "what was planned is what was sent");
    assert_eq!(sent, managed.written(), "and what the server was sent is on record");
    assert_eq!(statements(&managed.place, "planned-call"), [planned.clone(), planned].concat());

    // People see the same: who got what, and whether it was sent.
    let listed = |kind: &str| managed.place.raito(&["audit", "show", "--kind", kind]).exits(0).stdout;
    let grant = "statement=GRANT \"readers\" TO \"ann\"";
    let lines = |kind: &str| listed(kind).lines().filter(|line| line.contains(grant)).count();
    assert_eq!((lines("call"), lines("planned-call")), (1, 2));
    assert!(listed("call").lines().all(|line| !line.contains("planned")), "{}", listed("call"));
    let json = managed.place.raito(&["audit", "show", "--kind", "call", "--output", "json"]).exits(0).json();
    assert_eq!(json.iter().filter(|event| event["mode"] == "write").count(), sent.len());
    assert!(json.iter().all(|event| event["mode"] == "write" || event.get("statement").is_none()), "reads have none");
    managed.place.raito(&["audit", "verify"]).exits(0);
}

#[test]
fn c19_members_are_on_record_as_digests_where_the_target_says_so() {
    let managed = managed("superuser");
    let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("a text");
    managed.place.configure(&format!("{configuration}    audit: {{ members: hash }}\n"));
    managed.want(&readers(&managed));
    managed.place.run(&["--apply-first"]);
    assert!(managed.holds("readers").contains(&"member ann".to_owned()), "{:?}", managed.holds("readers"));

    let (sent, planned) = (statements(&managed.place, "call"), statements(&managed.place, "planned-call"));
    assert_eq!(sent, planned);
    let admitted: Vec<&String> = sent.iter().filter(|text| text.starts_with("GRANT \"readers\" TO ")).collect();
    assert_eq!(admitted.len(), 3, "{sent:#?}");
    assert!(admitted.iter().all(|text| text.contains("TO \"hmac-sha256-")), "{admitted:#?}");
    assert!(
        sent.iter().any(|text| text.contains("GRANT SELECT ON TABLE \"sales\".\"orders\" TO \"readers\"")),
        "{sent:#?}"
    );
    let log = std::fs::read_to_string(managed.place.audit_log()).expect("a log");
    for name in ["ann", "bob", "staff"] {
        assert!(!log.contains(&format!("\\\"{name}\\\"")), "{name} is on record");
    }

    // A member that is taken away has the same digest.
    let id = managed.place.list("/sources/shop/internal-access-controls")[0]["id"].as_str().expect("an id").to_owned();
    let mut fewer = readers(&managed);
    fewer["who"] = json!([managed.member("bob"), managed.member("staff")]);
    managed.change(&id, &fewer);
    managed.place.run(&[]);
    let of_ann = |text: &String| text.split('"').rfind(|part| part.starts_with("hmac-sha256-")).map(str::to_owned);
    let sent = statements(&managed.place, "call");
    let taken = sent.iter().find(|text| text.starts_with("REVOKE \"readers\" FROM")).expect("it was taken");
    assert!(of_ann(taken).is_some());
    assert_eq!(sent.iter().filter(|text| of_ann(text) == of_ann(taken)).count(), 2, "{sent:#?}");
}

#[test]
fn c19_a_request_that_writes_is_on_record_with_its_body() {
    let warehouse = Warehouse::serve(&["--seed", "8", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let user = place.list("/sources/warehouse/users")[0]["external-id"].clone();
    let who = json!([{ "kind": "user", "id": user, "inherits": true, "assumable": false }]);
    place.write("body.json", json!({ "name": "readers", "kind": "role", "who": who }).to_string());
    place.raito(&["cloud", "post", "/sources/warehouse/internal-access-controls", "body.json"]).exits(0);
    place.run(&["--apply-first"]);
    let sent = statements(&place, "call");
    assert!(sent.iter().any(|text| text.starts_with("POST /v1/roles {") && text.contains("\"readers\"")), "{sent:#?}");
    assert_eq!(sent.len(), statements(&place, "planned-call").len());
    assert!(!sent.concat().contains(&warehouse.token), "credentials are put in later");
}
