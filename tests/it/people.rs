//! One person with accounts in several places: asked about everywhere, as it is and as it was.

use crate::support::postgres::ONLY_TLS;
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Warehouse};
use serde_json::Value;

/// A warehouse, and a database whose logins are called like two of the people of the warehouse.
struct Both {
    server: Postgres,
    warehouse: Warehouse,
    place: Place,
    /// An account name that both have.
    shared: String,
}

fn both() -> Both {
    let warehouse = Warehouse::serve(&["--seed", "5", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let users = place.list("/sources/warehouse/users");
    let name = |user: &Value| user["user-name"].as_str().expect("a name").to_owned();
    let enabled = users.iter().find(|user| user["enabled"] == true).expect("an enabled user");
    let shared = name(enabled);
    let server = Postgres::start_with("", ONLY_TLS);
    server.sql("postgres", "create database shop; create database crm");
    server.sql(
        "shop",
        &format!(
            "create role \"{shared}\" login; create role alone login; create table t (id bigint);
             grant select on t to \"{shared}\"; grant select on t to alone"
        ),
    );
    let shop = postgresql_target(&server, "shop", "");
    let shop = shop.split_once("targets:\n").expect("targets").1;
    place.configure(&format!("{}{shop}", warehouse.target("")));
    place.run(&[]);
    Both { server, warehouse, place, shared }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn accounts_are_one_person_where_a_configured_key_says_so() {
    let Both { place, shared, warehouse: _warehouse, .. } = both();
    // The catalogue has no addresses, so nothing links the accounts, and nobody guesses.
    let people = place.get(&format!("/people?account={shared}"));
    assert_eq!(people["unmatched"].as_array().map(Vec::len), Some(2), "{people:#}");
    place.raito(&["who", "--user", &shared]).exits(2).says(&["may be different people", "in shop", "in warehouse"]);

    // Where the object tells the source, the account there is the one that is meant.
    let why = ["who", "--output", "json", "--explain", &shared, "table public.t", "SELECT"];
    assert_eq!(place.raito(&why).exits(0).value()["how"], "active");

    place.write("key.json", "\"user-name\"");
    place.raito(&["cloud", "put", "/links/shop/warehouse", "key.json"]).exits(0);
    let people = place.get(&format!("/people?account={shared}"));
    let stores: Vec<&str> =
        people["linked"][0].as_array().expect("two").iter().map(|one| text(&one["store"])).collect();
    assert_eq!(stores, ["shop", "warehouse"]);

    let answers = place.raito(&["who", "--user", &shared, "--output", "json"]).exits(0).json();
    let [shop, warehouse] = answers.as_slice() else { panic!("two sources: {answers:?}") };
    assert_eq!([text(&shop["source"]), text(&warehouse["source"])], ["shop", "warehouse"]);
    let holds = |item: &Value| item["permission"] == "SELECT" && item["object"]["path"].to_string().contains("\"t\"");
    assert!(shop["items"].as_array().expect("items").iter().any(holds));
    assert!(!warehouse["items"].as_array().expect("items").is_empty());
    let csv = place.raito(&["who", "--user", &shared, "--output", "csv"]).exits(0).stdout;
    assert!(csv.starts_with("source,user,") && csv.contains("\nshop,") && csv.contains("\nwarehouse,"), "{csv}");
    place.raito(&["who", "--user", "nobody-at-all"]).exits(2).says(&["there is no user nobody-at-all"]);
}

#[test]
fn an_answer_says_what_it_does_not_cover() {
    let Both { place, server, warehouse: _warehouse, .. } = both();
    let told = place.raito(&["who", "table public.t"]).exits(0).stdout;
    for part in ["objects: read whole at", "database crm: not granted", "large objects", "pg_catalog"] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    // A database that was not granted cannot change who reads a table of another, but what somebody holds everywhere.
    place.raito(&["who", "table public.t", "--strict"]).exits(0);
    place.raito(&["who", "--user", "alone", "--strict"]).exits(1).says(&["not everything was read"]);
    // One that does not answer is a gap, which could hide anything.
    server.sql("postgres", "create database gone");
    let configuration = std::fs::read_to_string(place.path().join("raito.yml")).expect("readable");
    place.configure(&configuration.replace("databases: [shop]", "databases: [shop, crm, gone]"));
    place.run(&[]);
    place.raito(&["who", "table public.t", "--strict"]).exits(0);
    server.close("gone", true);
    place.raito(&["run", "--quiet", "--only-targets", "shop"]);
    place.raito(&["who", "table public.t", "--strict"]).exits(1);
    let told = place.raito(&["who", "table public.t"]).exits(0).stdout;
    assert!(told.contains("! not read: database gone"), "{told}");
}

#[test]
fn an_answer_can_be_about_the_past() {
    let Both { place, server, warehouse: _warehouse, .. } = both();
    let who = |more: &[&str]| -> Vec<String> {
        let asked = [&["who", "table public.t", "--permission", "SELECT", "--output", "json"], more].concat();
        let answer = place.raito(&asked).exits(0).value();
        let mut names: Vec<String> = answer["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| text(&item["user"]["name"]).to_owned())
            .collect();
        names.dedup();
        names
    };
    assert!(who(&[]).contains(&"alone".to_owned()));
    let before = jiff::Timestamp::now().to_string();
    server.sql("shop", "revoke select on t from alone; create role later login; grant select on t to later");
    std::thread::sleep(std::time::Duration::from_millis(5));
    place.run(&["--only-targets", "shop"]);
    let (now, then) = (who(&[]), who(&["--as-of", &before]));
    assert!(!now.contains(&"alone".to_owned()) && now.contains(&"later".to_owned()), "{now:?}");
    assert!(then.contains(&"alone".to_owned()) && !then.contains(&"later".to_owned()), "{then:?}");
    let why = ["who", "--output", "json", "--explain", "alone", "table public.t", "SELECT"];
    assert!(place.raito(&why).exits(0).value()["how"].is_null());
    assert_eq!(place.raito(&[&why[..], &["--as-of", &before]].concat()).exits(0).value()["how"], "active");
    let early = place.raito(&["who", "table public.t", "--as-of", "2020-01-01T00:00:00Z"]).exits(2);
    let early = early.says(&["there was no object table shop.public.t at that time", "had not been read yet"]);
    assert!(!early.stderr.contains('{'), "{}", early.stderr);
    place.raito(&["who", "table public.t", "--as-of", "yesterday"]).exits(2).says(&["yesterday", "RFC 3339"]);
}
