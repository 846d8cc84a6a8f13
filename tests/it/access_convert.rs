//! Files of the first `raito access` on a real PostgreSQL: read as they are, and as access code, they say the same; and those of other
//! tools plan.

use std::fs;

use crate::access::statements;
use crate::changes::managed;

/// The shape that such files have had since 2023-03.
const FLAT: &str = "
accessProviders:
  - name: Data Scientist
    description: who looks at sales
    who: { users: [ann, bob] }
    what:
      - { dataObject: { fullName: shop.sales.orders, type: table }, permissions: [SELECT, INSERT] }
      - { dataObject: { fullName: shop.sales, type: schema }, permissions: [USAGE] }
  - name: Leads
    namingHint: team leads
    who: { users: [carl], inheritFrom: [R_DATA_SCIENTIST] }
    what: [{ dataObject: { fullName: crm.sales.orders, type: table }, permissions: [SELECT] }]
";

/// The same one level deeper, as files were before.
const NESTED: &str = "
accessProviders:
  - name: Data Scientist
    description: who looks at sales
    access:
      - who: { users: [ann, bob] }
        what:
          - { dataObject: { fullName: shop.sales.orders, type: table }, permissions: [SELECT, INSERT] }
          - { dataObject: { fullName: shop.sales, type: schema }, permissions: [USAGE] }
  - name: Leads
    namingHint: team leads
    access:
      - who: { users: [carl], inheritFrom: [R_DATA_SCIENTIST] }
        what: [{ dataObject: { fullName: crm.sales.orders, type: table }, permissions: [SELECT] }]
";

const JSON: &str = r#"{"accessProviders": [
  {"name": "Data Scientist", "description": "who looks at sales", "who": {"users": ["ann", "bob"]}, "what": [
    {"dataObject": {"fullName": "shop.sales.orders", "type": "table"}, "permissions": ["SELECT", "INSERT"]},
    {"dataObject": {"fullName": "shop.sales", "type": "schema"}, "permissions": ["USAGE"]}]},
  {"name": "Leads", "namingHint": "team leads", "who": {"users": ["carl"], "inheritFrom": ["R_DATA_SCIENTIST"]}, "what": [
    {"dataObject": {"fullName": "crm.sales.orders", "type": "table"}, "permissions": ["SELECT"]}]}
]}"#;

#[test]
fn a_file_of_the_first_raito_access_says_the_same_when_it_is_converted() {
    let managed = managed("createrole");
    managed.server.sql("shop", "create role \"R_GONE\"; create role stays");
    for (name, text) in [("flat.yml", FLAT), ("nested.yml", NESTED), ("file.json", JSON)] {
        managed.place.write(name, text);
    }
    let plan = |file: &str| {
        let asked = ["plan", file, "--format", "raito", "--out", "plan.json", "--detailed-exitcode"];
        managed.access(&asked).exits(3);
        let plan = fs::read_to_string(managed.place.path().join("plan.json")).expect("a plan");
        statements(&serde_json::from_str(&plan).expect("JSON"))
    };
    let planned = plan("flat.yml");
    assert!(
        planned.contains(&"DROP ROLE \"R_GONE\"".to_owned()),
        "what has the prefix and is not in the file goes: {planned:#?}"
    );
    assert_eq!((plan("nested.yml"), plan("file.json")), (planned.clone(), planned));
    managed.access(&["apply", "--files", "flat.yml", "--format", "raito", "--yes"]).exits(0);
    assert_eq!(
        managed.holds("R_DATA_SCIENTIST"),
        ["member ann", "member bob", "shop sales USAGE", "shop sales.orders INSERT", "shop sales.orders SELECT"]
    );
    assert_eq!(managed.oid("R_GONE"), "");
    assert_ne!(managed.oid("stays"), "");
    for file in ["flat.yml", "nested.yml", "file.json"] {
        let code = managed.access(&["convert", file, "--from", "raito", "--on", "shop"]).exits(0).stdout;
        managed.code("converted.yml", &code);
        managed.plan(0);
    }
}

#[test]
fn files_of_other_tools_plan_when_they_are_converted() {
    let managed = managed("superuser");
    let ldap2pg = "version: 6
privileges:
  reading: [__connect__, __usage_on_schemas__, __select_on_tables__]
rules:
  - roles: [{ name: readers, comment: who reads, parents: [staff] }, { names: [ann], parent: readers, options: LOGIN }, staff]
    grant: [{ privilege: reading, role: readers, database: shop, schema: sales, owner: bob }]
";
    let permifrost = "version: \"1.0\"
databases:
  - shop: { shared: no }
roles:
  - analyst:
      member_of: [reader]
      privileges:
        databases: { read: [shop] }
        schemas: { read: [shop.sales] }
        tables: { read: [shop.sales.customers], write: [shop.sales.orders] }
  - reader:
      privileges: { tables: { read: [shop.sales.customers] } }
users:
  - ann: { can_login: yes, member_of: [analyst] }
";
    for (tool, text, wanted) in [
        ("ldap2pg", ldap2pg, "GRANT SELECT ON TABLE \"sales\".\"orders\" TO \"readers\""),
        ("permifrost", permifrost, "GRANT \"reader\" TO \"analyst\""),
    ] {
        managed.place.write("theirs.yml", text);
        let code = managed.access(&["convert", "theirs.yml", "--from", tool, "--on", "shop"]).stdout;
        managed.code("converted.yml", &code);
        let planned = statements(&managed.plan(3));
        assert!(planned.iter().any(|text| text == wanted), "{tool}: {wanted} is not in {planned:#?}");
        managed.access(&["apply", "--yes"]).exits(0);
        managed.plan(0);
    }
}
