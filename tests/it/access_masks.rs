//! Masks and access lists as code on the warehouse: which columns show what they hold, who may use a dataset, and who is told
//! that neither is to be given so.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::demo::{ask, writes};
use crate::support::raito::Outcome;
use crate::support::{Place, Warehouse};

/// A warehouse whose columns with addresses are masked by files, but for a group and a person.
struct Masked {
    warehouse: Warehouse,
    place: Place,
    /// The dataset that the files are about.
    dataset: String,
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn masked() -> Masked {
    let warehouse = Warehouse::serve(&["--seed", "12", "--tables", "20"]);
    let place = warehouse.place("");
    std::fs::create_dir(place.path().join("access")).expect("writable");
    let tables = items(&warehouse, "tables");
    let has_address = |table: &&Value| table["columns"].as_array().expect("columns").iter().any(is_address);
    let dataset = text(&tables.iter().find(has_address).expect("an address")["dataset_name"]).to_owned();
    Masked { warehouse, place, dataset }
}

fn items(warehouse: &Warehouse, of: &str) -> Vec<Value> {
    let (_, body) = ask(warehouse, &format!("GET /v1/{of}?limit=500"), "");
    let told: Value = serde_json::from_str(&body).expect("JSON");
    told["items"].as_array().expect("a list").clone()
}

fn is_address(column: &Value) -> bool {
    column["pii"] == "email"
}

impl Masked {
    fn access(&self, arguments: &[&str]) -> Outcome {
        self.place.raito(&[&["access"], arguments].concat())
    }

    /// Files that mask all addresses of the dataset in this way, with more keys at the end.
    fn code(&self, kind: &str, except: &str, more: &str) {
        let dataset = &self.dataset;
        self.place.write(
            "access/masks.yml",
            format!(
                "version: 1\nrepository: corp/access\non: warehouse\nmasks:\n  - name: addresses\n    type: {kind}\n    \
                 what: [{{ select: {{ kind: column, under: {dataset}, tags: {{ pii: email }} }} }}]\n    except: {except}\n{more}"
            ),
        );
    }

    fn manages(&self) -> String {
        format!("manages: [{{ kind: mask, under: {} }}]\n", self.dataset)
    }

    /// Files that manage the masks of the dataset, and want none.
    fn none(&self) -> String {
        format!("version: 1\nrepository: corp/access\non: warehouse\n{}", self.manages())
    }

    /// A mask as the warehouse tells it.
    fn mask(&self, column: &str) -> Value {
        let all = items(&self.warehouse, "masks");
        all.into_iter().find(|mask| mask["column"] == column).expect("such a mask")
    }

    /// The path that the warehouse has a mask at.
    fn at(&self, column: &str) -> String {
        let path = &self.mask(column)["path"];
        format!("/v1/masks/{}/{}/{}", text(&path[0]), text(&path[1]), text(&path[2]))
    }

    /// The masks of the dataset, or of all others, as the warehouse tells them: column, kind, and who sees it all the same.
    fn masks(&self, of_dataset: bool) -> Vec<(String, String, BTreeSet<String>)> {
        let all = items(&self.warehouse, "masks");
        let here = all.iter().filter(|mask| (mask["path"][0] == self.dataset.as_str()) == of_dataset);
        let clear =
            |mask: &Value| mask["clear_for"].as_array().expect("a list").iter().map(|id| text(id).to_owned()).collect();
        here.map(|mask| (text(&mask["column"]).to_owned(), text(&mask["kind"]).to_owned(), clear(mask))).collect()
    }
}

#[test]
fn columns_with_a_tag_are_masked_but_for_a_group_and_a_person() {
    let masked = masked();
    // Nobody has masked anything in the dataset yet.
    let (before, others) = (masked.masks(true), masked.masks(false));
    for (column, ..) in &before {
        ask(&masked.warehouse, &format!("DELETE {}", masked.at(column)), "");
    }
    assert_eq!(masked.masks(true), []);
    let people = items(&masked.warehouse, "people");
    let groups = items(&masked.warehouse, "groups");
    let group = groups.iter().find(|group| {
        group["members"]
            .as_array()
            .is_some_and(|list| list.len() > 1 && list.iter().all(|id| text(id).starts_with('p')))
    });
    let group = group.expect("a group of people");
    let of_group: BTreeSet<String> =
        group["members"].as_array().expect("a list").iter().map(|id| text(id).to_owned()).collect();
    let person = people.iter().find(|person| !of_group.contains(text(&person["id"]))).expect("somebody else");
    let except = format!("[{{ group: \"{}\" }}, {{ user: {} }}]", text(&group["name"]), text(&person["login"]));
    let mut clear = of_group;
    clear.insert(text(&person["id"]).to_owned());

    // A guardrail asks for the masks before there are any.
    masked.place.write("access/policy.yml", "version: 1\npolicy: [{ rule: tagged-needs-mask, tag: { pii: email } }]\n");
    masked.place.write("access/masks.yml", masked.none());
    masked.access(&["plan"]).exits(4).says(&["tagged-needs-mask", "is tagged pii, and nothing masks it"]);
    std::fs::remove_file(masked.place.path().join("access/policy.yml")).expect("ours");

    masked.code("hide", &except, "");
    masked.access(&["apply", "--yes"]).exits(0);
    let addresses: BTreeSet<String> = items(&masked.warehouse, "tables")
        .iter()
        .filter(|table| table["dataset_name"] == masked.dataset.as_str())
        .flat_map(|table| table["columns"].as_array().expect("columns").clone())
        .filter(is_address)
        .map(|column| text(&column["id"]).to_owned())
        .collect();
    let wanted =
        |kind: &str| addresses.iter().map(|id| (id.clone(), kind.to_owned(), clear.clone())).collect::<Vec<_>>();
    assert_eq!(masked.masks(true), wanted("hide"));
    masked.access(&["plan", "--detailed-exitcode"]).exits(0);

    // What is there is changed only where the files manage it.
    masked.code("sha256", &except, "");
    let sent = writes(&masked.place);
    let shown = masked.access(&["plan"]).exits(1).stdout;
    assert!(shown.contains("which is another one and managed elsewhere"), "{shown}");
    masked.access(&["apply", "--yes"]).exits(1);
    assert_eq!((masked.masks(true), writes(&masked.place)), (wanted("hide"), sent));
    masked.code("sha256", &except, &masked.manages());
    masked.access(&["apply", "--yes"]).exits(0);
    assert_eq!(masked.masks(true), wanted("sha256"));
    masked.access(&["plan", "--detailed-exitcode"]).exits(0);

    // Whoever is let in by hand is put out again, and a mask that no entry wants goes with what manages it.
    let (column, ..) = &masked.masks(true)[0];
    let by_hand = format!("{{\"kind\":\"sha256\",\"clear_for\":[{{\"member\":\"{}\"}}]}}", text(&people[0]["id"]));
    ask(&masked.warehouse, &format!("PUT {}", masked.at(column)), &by_hand);
    assert_ne!(masked.masks(true), wanted("sha256"));
    masked.access(&["apply", "--yes"]).exits(0);
    assert_eq!(masked.masks(true), wanted("sha256"));
    masked.place.write("access/masks.yml", masked.none());
    masked.access(&["apply", "--yes"]).exits(0);
    assert_eq!((masked.masks(true), masked.masks(false)), (vec![], others), "and others stay");
}

#[test]
fn the_list_of_a_dataset_is_as_the_files_say_and_lists_of_others_stay() {
    let masked = masked();
    let Masked { warehouse, place, dataset } = &masked;
    let lines = |of_dataset: bool| -> BTreeSet<String> {
        let datasets = items(warehouse, "datasets");
        let here = datasets.iter().map(|one| text(&one["name"])).filter(|name| (name == dataset) == of_dataset);
        let list = |name: &str| -> Value {
            serde_json::from_str(&ask(warehouse, &format!("GET /v1/datasets/{name}/access"), "").1).expect("JSON")
        };
        let line =
            |name: &str, entry: &Value| format!("{name} {} {}", text(&entry["permission"]), text(&entry["principal"]));
        here.flat_map(|name| {
            list(name)["entries"].as_array().expect("lines").iter().map(|entry| line(name, entry)).collect::<Vec<_>>()
        })
        .collect()
    };
    let (before, others) = (lines(true), lines(false));
    assert!(before.len() > 2, "there is something to take: {before:?}");
    let people = items(warehouse, "people");
    let grant = |mode: &str, who: &str| {
        format!(
            "version: 1\nrepository: corp/access\non: warehouse\nmode: {mode}\nmanages: [{{ kind: dataset-access, under: {dataset} }}]\n\
             grants:\n  - name: readers\n    kind: dataset-access\n    who: [{who}]\n    what: [{{ object: dataset {dataset}, \
             permissions: [read] }}]\n"
        )
    };
    let (ann, bob) = (&people[0], &people[1]);
    let user = |one: &Value| format!("{{ user: {} }}", text(&one["login"]));
    let line = |one: &Value| format!("{dataset} read {}", text(&one["id"]));
    place.write("access/list.yml", grant("additive", &user(ann)));
    masked.access(&["apply", "--yes"]).exits(0);
    let mut more = before.clone();
    more.insert(line(ann));
    assert_eq!(lines(true), more);
    place.write("access/list.yml", grant("enforced", &[user(ann), user(bob)].join(", ")));
    masked.access(&["apply", "--yes"]).exits(0);
    assert_eq!(lines(true), [line(ann), line(bob)].into());
    masked.access(&["plan", "--detailed-exitcode"]).exits(0);
    assert_eq!(lines(false), others, "lists of others stay");

    place.write("access/policy.yml", "version: 1\npolicy: [{ rule: no-everyone }, { rule: no-direct-users }]\n");
    place.write("access/list.yml", grant("enforced", &format!("{}, {{ special: everyone }}", user(ann))));
    let said = masked.access(&["apply", "--yes"]).exits(4);
    said.says(&["error[no-everyone]: readers is for special everyone", "error[no-direct-users]: user", "E-policy"]);
    assert_eq!(lines(true), [line(ann), line(bob)].into(), "nothing was sent");
}
