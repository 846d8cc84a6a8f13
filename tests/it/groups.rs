//! Groups as members where a target takes people only: masks of the warehouse.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::demo::{ask, want, writes};
use crate::support::Warehouse;

/// Groups, and who is directly in each: `p` begins the ids of people, and `g` those of groups.
type Groups = BTreeMap<String, BTreeSet<String>>;

/// The groups as the warehouse itself tells them.
fn groups(warehouse: &Warehouse) -> Groups {
    let (_, body) = ask(warehouse, "GET /v1/groups?limit=500", "");
    let told: Value = serde_json::from_str(&body).expect("JSON");
    let group = |one: &Value| (text(&one["id"]), one["members"].as_array().into_iter().flatten().map(text).collect());
    told["items"].as_array().expect("groups").iter().map(group).collect()
}

/// Everybody in a group: whoever is in it is added until nobody comes any more.
fn people_of(groups: &Groups, group: &str) -> BTreeSet<String> {
    let mut found = groups[group].clone();
    loop {
        let before = found.len();
        let inner: Vec<String> = found.iter().filter_map(|id| groups.get(id)).flatten().cloned().collect();
        found.extend(inner);
        if found.len() == before {
            found.retain(|id| id.starts_with('p'));
            return found;
        }
    }
}

#[test]
fn a_mask_is_lifted_for_everybody_in_a_group_where_the_warehouse_takes_people_only() {
    let warehouse = Warehouse::serve(&["--seed", "12", "--tables", "20"]);
    let place = warehouse.place("");
    place.run(&[]);
    let groups = groups(&warehouse);
    // A group of which somebody is a member only by way of another one, and one beside it.
    let is_nested = |id: &&String| people_of(&groups, id).iter().any(|person| !groups[*id].contains(person));
    let nested = groups.keys().find(is_nested).expect("nested groups");
    let other = groups.keys().find(|id| *id != nested).expect("another group");
    let columns = place.list("/sources/warehouse/objects?kind=column");
    let masked: Vec<Value> = place.list("/sources/warehouse/access-controls?kind=mask");
    let name = |column: &Value| -> String {
        column["path"].as_array().expect("a path").iter().map(text).collect::<Vec<_>>().join(".")
    };
    let is_free = |column: &&Value| masked.iter().all(|mask| mask["name"] != name(column));
    let free = columns.iter().find(is_free).expect("a column without a mask");
    let draft = |group: &str| {
        serde_json::json!({ "name": "mask", "kind": "mask", "action": "mask",
            "who": [{ "kind": "group", "id": group, "inherits": true }],
            "policy": { "kind": "hide", "enabled": true },
            "what": [{ "object": { "kind": "column", "path": free["path"] }, "permissions": [{ "name": "clear" }] }] })
    };
    let clear_for = || -> BTreeSet<String> {
        let mask = place
            .list("/sources/warehouse/access-controls?kind=mask")
            .into_iter()
            .find(|mask| mask["name"] == name(free));
        let id = text(&mask.expect("a mask")["external-id"]);
        let who = place.get(&format!("/sources/warehouse/access-controls/{id}"))["who"].clone();
        who.as_array()
            .into_iter()
            .flatten()
            .map(|member| format!("{} {}", text(&member["kind"]), text(&member["id"])))
            .collect()
    };
    let users =
        |group: &str| people_of(&groups, group).into_iter().map(|id| format!("user {id}")).collect::<BTreeSet<_>>();
    let id = want(&place, &draft(nested));
    place.run(&["--apply-first"]);
    let sent = writes(&place);
    place.run(&[]);
    assert_eq!((clear_for(), writes(&place)), (users(nested), sent), "and nothing is left to do");
    let path = format!("/sources/warehouse/internal-access-controls/{id}");
    let change = |group: &str| {
        let version = place.get(&path)["version"].to_string();
        place.write("body.json", draft(group).to_string());
        place.raito(&["cloud", "put", &path, "body.json", "--version", &version]).exits(0);
    };
    change(other);
    place.run(&[]);
    place.run(&[]);
    assert_eq!(clear_for(), users(other));
    // One that was set in the warehouse's console can be taken over, with the users in the place of its group.
    let of_console = masked
        .iter()
        .map(|mask| place.get(&format!("/sources/warehouse/access-controls/{}", text(&mask["external-id"]))));
    let mut with_group = of_console.filter(|mask| mask["who"][0]["kind"] == "group");
    let theirs: Value = with_group.next().expect("a mask that is lifted for a group");
    let take_over = format!("/sources/warehouse/access-controls/{}/take-over", text(&theirs["external-id"]));
    let asked = place.raito(&["cloud", "post", &take_over]).exits(0).value();
    let group = text(&theirs["who"][0]["id"]);
    let told = format!("{} gets the users of group {group} in its place", text(&theirs["name"]));
    assert_eq!(asked["changes"], serde_json::json!([told]));
    // A group that the warehouse does not have takes nothing from anybody.
    change("g99");
    place.raito(&["run", "--quiet"]).exits(1).says(&["group g99 cannot be given"]);
    assert_eq!((clear_for(), text(&place.get(&path)["status"])), (users(other), "failed".to_owned()));
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
