//! Filters as code: files say which rows people see, and each login sees exactly those.

use crate::changes::managed;

/// The regions that ann and bob may see.
fn filters(of_ann: &str, of_bob: Option<&str>) -> String {
    let filter = |name: &str, user: &str, rule: &str| {
        format!(
            "  - {{ name: {name}, rule: \"{rule}\", what: [{{ object: table shop.sales.orders }}], who: [{{ user: {user} }}] }}\n"
        )
    };
    let bob = of_bob.map(|rule| filter("Office of bob", "bob", rule)).unwrap_or_default();
    format!("version: 1\nrepository: corp/access\non: shop\nfilters:\n{}{bob}", filter("ann_sees", "ann", of_ann))
}

#[test]
fn each_login_sees_the_rows_that_the_files_say() {
    let managed = managed("superuser");
    managed.server.sql(
        "shop",
        "insert into sales.orders values (1, 'eu'), (2, 'us'), (3, 'jp'); alter table sales.orders enable row level security; \
         grant usage on schema sales to ann, bob, carl; grant select on sales.orders to ann, bob, carl; \
         create policy theirs on sales.orders for select to carl using (region = 'jp')",
    );
    managed.code("rows.yml", &filters("region = 'eu'", Some("region <> 'eu'")));
    managed.access(&["apply", "--yes"]).exits(0);
    assert_eq!((managed.sees("ann"), managed.sees("bob")), (vec!["eu".to_owned()], vec!["jp".into(), "us".into()]));
    managed.plan(0);
    managed.code("rows.yml", &filters("region in ('eu', 'us')", None));
    managed.plan(3);
    // The server writes IN in other words, and says so; it is in place all the same.
    let said = managed.access(&["apply", "--yes"]);
    assert_eq!((managed.sees("ann"), managed.sees("bob")), (vec!["eu".to_owned(), "us".into()], vec![]), "{said:?}");
    managed.code("rows.yml", &filters("region = any (array['eu', 'us'])", None));
    managed.plan(0);
    assert_eq!(managed.sees("carl"), ["jp"], "what no file manages is left alone");
    let names = managed.server.rows("shop", "select polname from pg_policy order by 1");
    assert_eq!(names, ["ann_sees", "theirs"]);
}
