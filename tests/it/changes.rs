//! Step 4 on a real PostgreSQL: what the cloud wants reaches the server, and nothing else does.

use serde_json::{Value, json};

use crate::kill::{kill_at, lines_of};
use crate::support::postgres::{ONLY_TLS, PASSWORD, SYSTEM, Version};
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres, Random};

/// The login that changes things.
pub(crate) const WRITER: &str = "raito_write";
/// Everything that statements are sent with is on record at the server.
const LOGGED: &str = "log_statement = all\nlog_line_prefix = 'user=%u %p '\n";

/// A server with two databases, a few people and tables, and a place that may change it.
pub(crate) struct Managed {
    pub(crate) server: Postgres,
    pub(crate) place: Place,
}

pub(crate) fn managed(writer: &str) -> Managed {
    managed_on(SYSTEM, writer)
}

pub(crate) fn managed_on(version: Version, writer: &str) -> Managed {
    let server = Postgres::start_version(version, LOGGED, ONLY_TLS);
    server.sql("postgres", "create database shop; create database crm");
    server.sql("postgres", &format!("create role {WRITER} login {writer} password '{PASSWORD}'"));
    let schema = "create schema sales;
        create table sales.orders (id bigint, region text, note text);
        create table sales.customers (id bigint, name text);
        create sequence sales.numbers;
        create function sales.total(a integer, b integer) returns integer language sql as 'select a + b';
        create function sales.total(a text) returns text language sql as 'select a'";
    for database in ["shop", "crm"] {
        server.sql(database, schema);
    }
    server.sql("postgres", "create role ann login; create role bob login; create role carl login; create role staff");
    server.sql("shop", "create role untouched; comment on role untouched is 'ours'; grant usage on schema sales to untouched; grant select on sales.orders to untouched with grant option; grant untouched to carl");
    if !writer.contains("superuser") {
        for database in ["shop", "crm"] {
            server.sql(database, &format!("alter schema sales owner to {WRITER}; alter table sales.orders owner to {WRITER};
                alter table sales.customers owner to {WRITER}; alter sequence sales.numbers owner to {WRITER};
                alter function sales.total(integer, integer) owner to {WRITER}; alter function sales.total(text) owner to {WRITER}"));
        }
        server.sql("postgres", &format!("grant ann, bob, carl, staff to {WRITER} with admin option"));
    }
    let powers = if writer.contains("superuser") { ", login-may: [superuser]" } else { "" };
    let grant = format!("write: {{ user: {WRITER}, password: {{ env: PG_PASSWORD }}{powers} }}");
    let place = Place::new(&postgresql_target(&server, "shop, crm", &grant));
    place.run(&[]);
    Managed { server, place }
}

/// Every list of privileges of a database, with what it is on.
pub(crate) const ACLS: &str =
    "select n.nspname || '.' || c.relname, c.relacl from pg_class c join pg_namespace n on n.oid = c.relnamespace
    union all select n.nspname || '.' || c.relname || '.' || a.attname, a.attacl from pg_attribute a
      join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    union all select n.nspname, n.nspacl from pg_namespace n
    union all select p.oid::regprocedure::text, p.proacl from pg_proc p
    union all select 'later ' || defaclobjtype::text || ' ' || coalesce(n.nspname, ''), defaclacl from pg_default_acl d
      left join pg_namespace n on n.oid = d.defaclnamespace
    union all select 'database ' || datname, datacl from pg_database";

fn permissions(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name })).collect()
}

pub(crate) fn on(kind: &str, path: &[&str], names: &[&str]) -> Value {
    json!({ "object": { "kind": kind, "path": path }, "permissions": permissions(names) })
}

impl Managed {
    pub(crate) fn oid(&self, role: &str) -> String {
        self.server.sql("postgres", &format!("select oid from pg_roles where rolname = '{role}'"))
    }

    pub(crate) fn member(&self, role: &str) -> Value {
        json!({ "kind": "access-control", "id": self.oid(role), "inherits": true, "assumable": true })
    }

    fn send(&self, verb: &str, path: &str, body: &Value) -> Value {
        self.place.write("body.json", body.to_string());
        self.place.raito(&["cloud", verb, path, "body.json"]).exits(0).value()
    }

    /// Wants a role, and gives its id in the cloud.
    pub(crate) fn want(&self, draft: &Value) -> String {
        let made = self.send("post", "/sources/shop/internal-access-controls", draft);
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Wants something else of a role.
    pub(crate) fn change(&self, id: &str, draft: &Value) {
        let version = self.internal(id)["version"].as_u64().expect("a number");
        self.change_version(id, version as usize, draft);
    }

    /// Wants something else of a role that has this version.
    pub(crate) fn change_version(&self, id: &str, version: usize, draft: &Value) {
        let path = format!("/sources/shop/internal-access-controls/{id}");
        self.place.write("body.json", draft.to_string());
        self.place.raito(&["cloud", "put", &path, "body.json", "--version", &version.to_string()]).exits(0);
    }

    /// Wants it gone, and gives its path in the cloud.
    pub(crate) fn delete(&self, id: &str) -> String {
        let version = self.internal(id)["version"].to_string();
        let path = format!("/sources/shop/internal-access-controls/{id}");
        self.place.raito(&["cloud", "delete", &path, "--version", &version]).exits(0);
        path
    }

    pub(crate) fn internal(&self, id: &str) -> Value {
        self.place.get(&format!("/sources/shop/internal-access-controls/{id}"))
    }

    /// What the server's catalogue says of a role: memberships and privileges, in both databases.
    pub(crate) fn holds(&self, role: &str) -> Vec<String> {
        let members = format!(
            "select 'member ' || m.rolname || case when a.admin_option then '*' else '' end from pg_auth_members a join pg_roles r on r.oid = a.roleid \
             join pg_roles m on m.oid = a.member where r.rolname = '{role}' and m.rolname <> '{WRITER}' order by 1"
        );
        let mut all = self.server.rows("shop", &members);
        for database in ["shop", "crm"] {
            let sql = format!(
                "select '{database} ' || o.name || ' ' || x.privilege_type || case when x.is_grantable then '*' else '' end \
                 from ({ACLS}) o (name, acl) cross join lateral aclexplode(o.acl) x join pg_roles r on r.oid = x.grantee \
                 where r.rolname = '{role}' order by 1"
            );
            all.extend(self.server.rows(database, &sql));
        }
        all
    }

    /// Everything that the catalogue has of a role, as it has it: the role, its memberships, its comment, and the entries of
    /// privilege lists that name it.
    pub(crate) fn raw(&self, role: &str) -> Vec<String> {
        let mut all = self.server.rows(
            "shop",
            &format!(
                "select 'role ' || to_jsonb(a)::text from pg_authid a where rolname = '{role}'
                 union all (select 'membership ' || to_jsonb(m)::text from pg_auth_members m
                   where '{role}'::regrole::oid in (m.roleid, m.member, m.grantor) order by m.roleid, m.member, m.grantor)
                 union all select 'comment ' || description from pg_shdescription where objoid = '{role}'::regrole::oid"
            ),
        );
        for database in ["shop", "crm"] {
            let items =
                "select o.name || ' ' || item::text from (ACLS) o (name, acl) cross join lateral unnest(o.acl) item";
            let items = items.replace("ACLS", ACLS);
            all.extend(self.server.rows(database, &format!("{items} where item::text ~ '\\m{role}\\M' order by 1")));
        }
        assert!(all.len() > 1, "there is such a role: {all:?}");
        all
    }

    /// What the writer sent so far, each with the server process that took it: statements in their order.
    pub(crate) fn log(&self) -> Vec<(String, String)> {
        let log = self.server.log();
        let mut statements = Vec::new();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix(&format!("user={WRITER} ")) else { continue };
            let Some((process, rest)) = rest.split_once(" LOG:  ") else { continue };
            let executed = || rest.split_once(": ").filter(|(how, _)| how.starts_with("execute")).map(|(_, text)| text);
            let Some(text) = rest.strip_prefix("statement: ").or_else(executed) else { continue };
            let mut text = text.to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                text.push('\n');
                text.push_str(&more[1..]);
            }
            statements.push((process.to_owned(), text));
        }
        statements
    }

    /// The statements that change something.
    pub(crate) fn written(&self) -> Vec<String> {
        let opens = ["set ", "select ", "begin", "commit", "rollback", "show "];
        let changes = |text: &String| !opens.iter().any(|word| text.to_lowercase().starts_with(word));
        self.log().into_iter().map(|(_, text)| text).filter(changes).collect()
    }

    /// The statements that were committed.
    pub(crate) fn committed(&self) -> Vec<String> {
        let mut open: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
        let mut committed = Vec::new();
        for (process, text) in self.log() {
            match text.as_str() {
                text if text == "ROLLBACK" || begins(text) => drop(open.insert(process, Vec::new())),
                "COMMIT" => committed.extend(open.remove(&process).unwrap_or_default()),
                _ => open.entry(process).or_default().push(text),
            }
        }
        committed
    }
}

/// Whether a message begins a transaction: with its settings, where it is the host's.
pub(crate) fn begins(text: &str) -> bool {
    text == "BEGIN" || text.starts_with("BEGIN; ") || text.starts_with("BEGIN ISOLATION ")
}

pub(crate) fn revenue(managed: &Managed) -> Value {
    json!({
        "name": "revenue", "kind": "role", "description": "Reads revenue",
        "who": [managed.member("ann"), managed.member("staff")],
        "what": [
            on("schema", &["shop", "sales"], &["USAGE"]),
            on("table", &["shop", "sales", "orders"], &["SELECT", "INSERT"]),
            on("column", &["shop", "sales", "customers", "name"], &["SELECT"]),
            on("sequence", &["crm", "sales", "numbers"], &["USAGE"]),
            { "object": { "kind": "function", "path": ["crm", "sales", "total"], "signature": "integer, integer" }, "permissions": [{ "name": "EXECUTE", "may-pass-on": true }] },
        ],
        "standing": [{ "under": { "kind": "schema", "path": ["shop", "sales"] }, "kind": "table", "creator": managed.oid("bob"), "permissions": [{ "name": "SELECT" }] }],
    })
}

#[test]
fn what_the_cloud_wants_reaches_the_server_and_stays() {
    let managed = managed("superuser");
    let before = managed.raw("untouched");
    let id = managed.want(&revenue(&managed));

    // Nothing was ever changed here, so the plan is only shown.
    let first = managed.place.raito(&["run", "--quiet"]).exits(4).says(&["first change", "--apply-first"]);
    assert!(first.stdout.contains("would send shop") && first.stdout.contains("CREATE ROLE"), "{}", first.stdout);
    assert!(managed.written().is_empty(), "{:?}", managed.written());

    // A dry run says what the run after it sends, statement by statement.
    let planned = managed.place.raito(&["run", "--quiet", "--dry-run", "--output", "json"]).exits(0).json();
    let planned: Vec<String> = planned
        .iter()
        .filter(|line| line["event"] == "planned")
        .map(|line| line["request"].as_str().expect("a text").to_owned())
        .collect();
    assert!(managed.written().is_empty());
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.written(), planned);
    assert_eq!(
        managed.holds("revenue"),
        [
            "member ann",
            "member staff",
            "shop later r sales SELECT",
            "shop sales USAGE",
            "shop sales.customers.name SELECT",
            "shop sales.orders INSERT",
            "shop sales.orders SELECT",
            "crm sales.numbers USAGE",
            "crm sales.total(integer,integer) EXECUTE*",
        ]
    );
    let comment = managed
        .server
        .sql("shop", "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = 'revenue'");
    assert!(comment.starts_with("Reads revenue [raito cloud:") && comment.ends_with(&format!("{id}]")), "{comment}");
    assert_eq!(managed.internal(&id)["status"], "synced", "{:#}", managed.internal(&id));

    // The second run has nothing to say, and nothing managed is external.
    managed.place.run(&[]);
    assert_eq!(managed.written(), planned);
    let listed = managed.place.list("/sources/shop/access-controls?prefix=revenue");
    assert!(listed.iter().all(|control| control["managed"] == true), "{listed:#?}");
    assert_eq!(managed.raw("untouched"), before);
}

/// What somebody does by hand, and how that is told.
const BY_HAND: [(&str, &str, &str); 9] = [
    ("shop", "grant delete on sales.orders to revenue", "granted DELETE on table shop.sales.orders"),
    ("shop", "revoke insert on sales.orders from revenue", "revoked INSERT on table shop.sales.orders"),
    ("shop", "grant revenue to bob", "member-added access-control bob ({bob})"),
    ("shop", "revoke revenue from ann", "member-removed access-control ann ({ann})"),
    ("shop", "grant revenue to staff with admin option", "member-options access-control staff ({staff})"),
    ("shop", "grant usage on schema sales to revenue with grant option", "grant-option USAGE on schema shop.sales"),
    (
        "shop",
        "set role untouched; grant select on sales.orders to revenue",
        "other-grantor SELECT on table shop.sales.orders",
    ),
    ("shop", "grant select (region) on sales.orders to revenue", "granted SELECT on column shop.sales.orders.region"),
    ("crm", "grant usage on schema sales to revenue", "granted USAGE on schema crm.sales"),
];

fn what_is_changed_by_hand(version: Version) {
    let managed = managed_on(version, "superuser");
    let untouched = managed.raw("untouched");
    let id = managed.want(&revenue(&managed));
    managed.place.run(&["--apply-first"]);
    let right = managed.holds("revenue");
    let mut expected: Vec<String> = Vec::new();
    for (database, by_hand, told) in BY_HAND {
        let before = managed.holds("revenue");
        managed.server.sql(database, by_hand);
        assert_ne!(managed.holds("revenue"), before, "{by_hand}");
        let named = ["ann", "bob", "staff"]
            .iter()
            .fold(told.to_owned(), |told, role| told.replace(&format!("{{{role}}}"), &managed.oid(role)));
        expected.push(named);
    }
    expected.sort();
    let (changed, sent) = (managed.holds("revenue"), managed.written().len());
    let told = |prefix: &str, report: &Value| -> Vec<String> {
        let warnings = report["targets"][0]["steps"][3]["warnings"].as_array().cloned().unwrap_or_default();
        let of = |warning: &Value| warning.as_str()?.strip_prefix(prefix).map(str::to_owned);
        let mut told: Vec<String> = warnings.iter().filter_map(of).collect();
        told.sort();
        told
    };
    assert_eq!(told("drift, left as it is: ", &managed.place.run(&[])), expected);
    assert_eq!((managed.written().len(), managed.holds("revenue")), (sent, changed), "nothing is sent");
    let mut listed: Vec<String> = managed
        .place
        .list("/sources/shop/drift")
        .iter()
        .map(|item| format!("{} {}", item["kind"].as_str().expect("a kind"), item["what"].as_str().expect("a text")))
        .collect();
    listed.sort();
    assert_eq!(listed, expected);
    assert_eq!(managed.internal(&id)["status"], "out-of-sync");

    let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
    managed.place.configure(&format!("{configuration}    drift: revert\n"));
    assert_eq!(told("drift, reverted: ", &managed.place.run(&[])), expected);
    assert_eq!(managed.holds("revenue"), right);
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), sent, "once");
    assert_eq!(managed.internal(&id)["status"], "synced");
    assert!(managed.place.list("/sources/shop/drift").is_empty());
    assert_eq!(managed.raw("untouched"), untouched);
}

#[test]
fn what_is_changed_by_hand_is_reported_and_reverted_only_where_that_is_configured() {
    what_is_changed_by_hand(SYSTEM);
}

#[test]
fn what_is_changed_by_hand_on_postgresql_18() {
    what_is_changed_by_hand(Version(18));
}

#[test]
fn a_role_that_is_renamed_or_made_again_by_hand_is_known_by_its_id() {
    let managed = managed("superuser");
    let id = managed.want(&revenue(&managed));
    managed.place.run(&["--apply-first"]);
    let right = managed.holds("revenue");
    managed.server.sql("shop", "alter role revenue rename to income; comment on role income is 'mine'");
    let summary = managed.place.raito(&["run"]).exits(0).stdout;
    for told in ["drift, left as it is: renamed income", "drift, left as it is: described mine"] {
        assert!(summary.contains(told), "{told} is not in the summary:\n{summary}");
    }
    let drift: Vec<String> =
        managed.place.list("/sources/shop/drift").iter().map(|item| item["kind"].to_string()).collect();
    assert_eq!(drift, ["\"renamed\"", "\"described\""]);
    let reporting = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
    managed.place.configure(&format!("{reporting}    drift: revert\n"));
    let report = managed.place.run(&[]).to_string();
    assert!(["renamed income", "described mine"].iter().all(|what| report.contains(what)), "{report}");
    assert_eq!(managed.holds("revenue"), right);
    assert_eq!(managed.internal(&id)["status"], "synced");

    for database in ["shop", "crm"] {
        managed.server.sql(database, "drop owned by revenue");
    }
    managed.server.sql("shop", "drop role revenue; create role revenue");
    let refused = managed.place.raito(&["run", "--quiet", "--output", "json"]).exits(1);
    for told in ["drift, left as it is: recreated revenue", "dropped and created it again", "take that one over"] {
        assert!(refused.stdout.contains(told), "{told} is not in {}", refused.stdout);
    }
    assert_eq!(managed.place.list("/sources/shop/drift")[0]["kind"], "recreated");
    assert_eq!(managed.internal(&id)["status"], "failed");
    managed.server.sql("shop", "drop role revenue");
    let report = managed.place.run(&[]).to_string();
    assert!(report.contains("drift, reverted: deleted revenue"), "{report}");
    assert_eq!(managed.holds("revenue"), right, "what was deleted is made again");
}

#[test]
fn a_user_is_a_member_by_way_of_his_own_role() {
    let managed = managed("superuser");
    let user = |name: &str| json!({ "kind": "user", "id": managed.oid(name), "inherits": true, "assumable": true });
    let mut wanted = json!({ "name": "analysts", "kind": "role", "who": [user("ann"), user("bob")] });
    let id = managed.want(&wanted);
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.holds("analysts"), ["member ann", "member bob"]);
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!((managed.written().len(), managed.internal(&id)["status"].as_str()), (sent, Some("synced")));
    wanted["who"] = json!([user("bob")]);
    managed.change(&id, &wanted);
    managed.place.run(&[]);
    assert_eq!(managed.holds("analysts"), ["member bob"]);
    // Who cannot log in is no user.
    wanted["who"] = json!([user("staff")]);
    managed.change(&id, &wanted);
    managed.place.raito(&["run", "--quiet"]).exits(1).says(&["cannot be given from outside"]);
    assert_eq!(managed.holds("analysts"), ["member bob"]);
}

#[test]
fn what_keeps_a_first_change_from_being_planned_is_told() {
    let managed = managed("superuser");
    managed.want(&json!({ "name": "staff", "actual-name": "staff", "kind": "role" }));
    // There is nothing to look at first, so it is not that which ends the run.
    let told = managed.place.raito(&["run", "--quiet"]).exits(1).says(&["the name staff belongs to"]);
    assert!(!told.stderr.contains("first change"), "{}", told.stderr);
    managed.want(&json!({ "name": "fine", "kind": "role" }));
    managed
        .place
        .raito(&["run", "--quiet"])
        .exits(4)
        .says(&["first change of the target, with", "left out of the plan: the name staff belongs to"]);
    assert!(managed.written().is_empty(), "{:?}", managed.written());
}

#[test]
fn a_grant_is_narrowed_to_two_columns() {
    let managed = managed("superuser");
    let mut wanted =
        json!({ "name": "narrow", "kind": "role", "what": [on("table", &["shop", "sales", "orders"], &["SELECT"])] });
    let id = managed.want(&wanted);
    managed.place.run(&["--apply-first"]);
    wanted["what"] = json!([
        on("column", &["shop", "sales", "orders", "id"], &["SELECT"]),
        on("column", &["shop", "sales", "orders", "region"], &["SELECT"]),
    ]);
    managed.change(&id, &wanted);
    managed.place.run(&[]);
    assert_eq!(managed.holds("narrow"), ["shop sales.orders.id SELECT", "shop sales.orders.region SELECT"]);
    assert_eq!(managed.internal(&id)["status"], "synced");
}

#[test]
fn much_is_taken_away_only_when_the_exact_number_is_said() {
    let managed = managed("superuser");
    let mut wanted = revenue(&managed);
    let id = managed.want(&wanted);
    managed.place.run(&["--apply-first"]);
    let right = managed.holds("revenue");
    let configuration = std::fs::read_to_string(managed.place.path().join("raito.yml")).expect("readable");
    managed.place.configure(&format!("{configuration}    thresholds: {{ remove-percent: 20, remove-count: 3 }}\n"));
    wanted["what"] = json!([]);
    wanted["who"] = json!([]);
    managed.change(&id, &wanted);
    managed.place.raito(&["run", "--quiet"]).exits(4).says(&["--allow-revokes 8"]);
    assert_eq!(managed.holds("revenue"), right);
    managed.place.raito(&["run", "--quiet", "--allow-revokes", "7"]).exits(4);
    managed.place.run(&["--allow-revokes", "8"]);
    assert_eq!(managed.holds("revenue"), ["shop later r sales SELECT"]);

    // Where a database does not answer, nothing that could stand in it is taken away.
    managed.change(&id, &revenue(&managed));
    managed.place.run(&[]);
    assert_eq!(managed.holds("revenue"), right);
    managed.change(&id, &wanted);
    managed.server.close("crm", true);
    managed.place.raito(&["run", "--quiet", "--allow-revokes", "8"]);
    managed.server.close("crm", false);
    assert_eq!(managed.holds("revenue"), right);
}

fn names_are_right_or_refused(version: Version) {
    let managed = managed_on(version, "superuser");
    let names = [
        ("a".repeat(63), true),
        ("b".repeat(64), false),
        ("with \"quotes\" and 'more'".to_owned(), true),
        ("Mixed.Case.dots".to_owned(), true),
        ("ünïcode ✓".to_owned(), true),
        ("public".to_owned(), false),
        ("none".to_owned(), false),
        ("pg_mine".to_owned(), false),
        ("staff".to_owned(), false),
    ];
    let what = json!([on("table", &["shop", "sales", "orders"], &["SELECT"])]);
    for (name, _) in &names {
        let who = [managed.member("ann")];
        managed.want(&json!({ "name": name, "actual-name": name, "kind": "role", "what": what, "who": who }));
    }
    managed.place.raito(&["run", "--quiet", "--apply-first"]).exits(1);
    let made = managed.server.rows("shop", "select rolname from pg_roles where oid > 16384 order by oid");
    for (name, right) in &names {
        let told = managed.place.list("/sources/shop/internal-access-controls");
        let told = told.iter().find(|control| control["control"]["name"] == name.as_str()).expect("told");
        assert_eq!(told["status"] == "synced", *right, "{name}: {told:#}");
        assert_eq!(made.contains(name), *right || name == "staff", "{name} of {made:?}");
        if *right {
            assert_eq!(managed.holds(&name.replace('\'', "''")), ["member ann", "shop sales.orders SELECT"]);
        }
    }
}

#[test]
fn names_are_right_or_refused_on_the_systems_postgresql() {
    names_are_right_or_refused(SYSTEM);
}

#[test]
fn names_are_right_or_refused_on_postgresql_18() {
    names_are_right_or_refused(Version(18));
}

#[test]
fn a_technical_name_that_is_taken_is_not_given_again_and_stays_once_it_is_given() {
    let managed = managed("superuser");
    let draft = json!({ "name": "staff", "kind": "role", "what": [], "who": [managed.member("ann")] });
    let ids = [managed.want(&draft), managed.want(&draft)];
    let names = ids.each_ref().map(|id| managed.internal(id)["control"]["actual-name"].clone());
    assert_eq!(names, ["staff__0", "staff__1"]);
    let renamed = json!({ "name": "all staff", "kind": "role", "what": [], "who": [managed.member("bob")] });
    managed.change(&ids[0], &renamed);
    assert_eq!(managed.internal(&ids[0])["control"]["actual-name"], "staff__0");
    // What nobody carries out is not connected; what waits for a run is out of date.
    assert_eq!(managed.internal(&ids[1])["status"], "out-of-date");
    managed.place.run(&["--skip-data-access-sync"]);
    assert_eq!(managed.internal(&ids[1])["status"], "not-connected");
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.internal(&ids[1])["status"], "synced");
    let made = managed.server.rows("shop", "select rolname from pg_roles where rolname like 'staff%' order by 1");
    assert_eq!(made, ["staff", "staff__0", "staff__1"]);
}

#[test]
fn a_role_is_taken_over_as_it_is_and_handed_back_as_it_was() {
    let managed = managed("superuser");
    let comment = || managed.server.sql("shop", "select shobj_description('untouched'::regrole, 'pg_authid')");
    let external = || {
        let all = managed.place.list("/sources/shop/access-controls?kind=role");
        all.iter().find(|control| control["name"] == "untouched").map(|control| control["managed"].clone())
    };
    let but_comment = || -> Vec<String> {
        managed.raw("untouched").into_iter().filter(|line| !line.starts_with("comment ")).collect()
    };
    let before = but_comment();
    let post = |path: &str, version: &[&str]| {
        let arguments = [&["cloud", "post", path], version].concat();
        managed.place.raito(&arguments).exits(0).value()
    };
    let path = format!("/sources/shop/access-controls/{}/take-over", managed.oid("untouched"));
    let asked = post(&path, &[]);
    assert!(asked["id"].is_null() && asked["changes"][0].to_string().contains("marker"), "{asked:#}");
    assert_eq!(asked["control"]["actual-name"], "untouched");
    assert!(managed.place.list("/sources/shop/internal-access-controls").is_empty(), "it was only asked");
    let taken = post(&format!("{path}?confirm=true"), &[]);
    let id = taken["id"].as_str().expect("an id").to_owned();

    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.internal(&id)["status"], "synced");
    assert!(comment().starts_with("ours [raito cloud:") && comment().ends_with(&format!("{id}]")), "{}", comment());
    assert_eq!(but_comment(), before, "taking over changes nothing but the description");
    assert_eq!(managed.written().len(), 1);
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), 1);
    managed.place.raito(&["cloud", "post", &path]).exits(6).says(&["is managed here already"]);
    // What is another master's, and what nobody manages from outside, is not taken over.
    managed.server.sql("postgres", "create role theirs; comment on role theirs is '[raito git:corp/access theirs]'");
    managed.place.run(&[]);
    for (role, says) in [
        ("theirs", "belongs to git:corp/access, which has to hand it over first"),
        ("pg_monitor", "cannot be managed from outside"),
    ] {
        let path = format!("/sources/shop/access-controls/{}/take-over?confirm=true", managed.oid(role));
        managed.place.raito(&["cloud", "post", &path]).exits(6).says(&[role, says]);
    }
    assert_eq!(managed.place.list("/sources/shop/internal-access-controls").len(), 1);

    let version = managed.internal(&id)["version"].to_string();
    post(&format!("/sources/shop/internal-access-controls/{id}/hand-back"), &["--version", &version]);
    managed.place.run(&[]);
    managed.place.run(&[]);
    assert_eq!(comment(), "ours");
    assert_eq!(but_comment(), before);
    assert!(managed.place.list("/sources/shop/internal-access-controls").is_empty());
    assert!(external().is_some(), "it is external again");
}

#[test]
fn what_somebody_else_gave_a_member_is_narrowed_in_his_name() {
    let managed = managed_on(Version(18), "superuser");
    managed.server.sql(
        "shop",
        "grant untouched to staff with admin option;
        set role staff; grant untouched to ann with admin true, inherit true, set true",
    );
    managed.place.run(&[]);
    let members = || {
        let sql = "select a.member::regrole || ' by ' || a.grantor::regrole || ' ' || a.admin_option || a.inherit_option || a.set_option
            from pg_auth_members a where a.roleid = 'untouched'::regrole order by 1";
        managed.server.rows("shop", sql)
    };
    let carl = "carl by postgres falsetruetrue";
    assert_eq!(members(), ["ann by staff truetruetrue", carl, "staff by postgres truetruetrue"]);
    let path = format!("/sources/shop/access-controls/{}/take-over?confirm=true", managed.oid("untouched"));
    let taken = managed.place.raito(&["cloud", "post", &path]).exits(0).value();
    let id = taken["id"].as_str().expect("an id").to_owned();
    let mut draft = managed.internal(&id)["control"].clone();
    let fields = draft.as_object_mut().expect("fields");
    let known = ["name", "actual-name", "kind", "description", "action", "who", "what", "standing"];
    fields.retain(|field, _| known.contains(&field.as_str()));
    let ann = managed.oid("ann");
    for member in draft["who"].as_array_mut().expect("members").iter_mut().filter(|member| member["id"] == ann) {
        member["may-pass-on"] = false.into();
        member["inherits"] = false.into();
    }
    managed.change(&id, &draft);
    managed.place.run(&["--apply-first"]);
    assert_eq!(members(), ["ann by staff falsefalsetrue", carl, "staff by postgres truetruetrue"]);
    assert_eq!(managed.internal(&id)["status"], "synced");
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), sent, "nothing is left to do");
}

/// With the rights that `host/docs/postgresql.md` names, and no more.
fn a_login_that_is_no_superuser_can_change_what_it_owns(version: Version) {
    let managed = managed_on(version, "createrole");
    let mut wanted = revenue(&managed);
    wanted["standing"][0]["creator"] = json!(managed.oid(WRITER));
    let id = managed.want(&wanted);
    let before = managed.raw("untouched");
    managed.place.run(&["--apply-first"]);
    assert_eq!(managed.holds("revenue").len(), 9, "{:#?}", managed.holds("revenue"));
    assert_eq!(managed.internal(&id)["status"], "synced");
    let sent = managed.written().len();
    managed.place.run(&[]);
    assert_eq!(managed.written().len(), sent, "the membership of who created it stays");
    wanted["who"] = json!([managed.member("bob")]);
    wanted["what"] = json!([on("schema", &["shop", "sales"], &["USAGE"])]);
    managed.change(&id, &wanted);
    managed.place.run(&[]);
    assert_eq!(managed.holds("revenue"), ["member bob", "shop later r sales SELECT", "shop sales USAGE"]);

    // What it may not do is said, and the others go on.
    managed.server.sql("crm", "create table sales.theirs (id bigint)");
    managed.place.run(&[]);
    let theirs =
        json!({ "name": "theirs", "kind": "role", "what": [on("table", &["crm", "sales", "theirs"], &["SELECT"])] });
    managed.want(&theirs);
    wanted["who"] = json!([]);
    managed.change(&id, &wanted);
    managed.place.raito(&["run", "--quiet"]).exits(1).says(&["permission denied for table theirs"]);
    assert_eq!(managed.holds("revenue"), ["shop later r sales SELECT", "shop sales USAGE"]);
    assert_eq!(managed.raw("untouched"), before);
}

#[test]
fn a_createrole_login_changes_the_systems_postgresql() {
    a_login_that_is_no_superuser_can_change_what_it_owns(SYSTEM);
}

#[test]
fn a_createrole_login_changes_postgresql_16() {
    a_login_that_is_no_superuser_can_change_what_it_owns(Version(16));
}

#[test]
fn a_createrole_login_changes_postgresql_17() {
    a_login_that_is_no_superuser_can_change_what_it_owns(Version(17));
}

#[test]
fn a_createrole_login_changes_postgresql_18() {
    a_login_that_is_no_superuser_can_change_what_it_owns(Version(18));
}

/// Runs that are killed while they change something.
const KILLS: usize = 10;

#[test]
fn a_change_that_is_killed_anywhere_is_made_good_and_nothing_is_committed_twice() {
    let mut random = Random::from_environment("a_change_that_is_killed_anywhere");
    let managed = managed("superuser");
    let wanted = |name: &str| {
        let mut wanted = revenue(&managed);
        wanted["name"] = json!(name);
        wanted
    };
    managed.want(&wanted("undisturbed"));
    managed.place.run(&["--apply-first"]);
    let right = managed.holds("undisturbed");
    let lines = lines_of(&managed.place, "access-to-target");
    let mut killed = 0;
    for number in 0..KILLS {
        let name = format!("disturbed{number}");
        managed.want(&wanted(&name));
        let before = crate::kill::lines(&managed.place);
        let mut child = managed.place.spawn(&["run", "--quiet"]);
        killed += usize::from(kill_at(&managed.place, &mut child, before, *random.pick(&lines)));
        managed.place.raito(&["audit", "verify"]).exits(0);
        managed.place.run(&[]);
        assert_eq!(managed.holds(&name), right);
    }
    assert!(killed >= KILLS - 2, "only {killed} runs were caught while they ran");
    let mut committed = managed.committed();
    let all = committed.len();
    committed.sort();
    committed.dedup();
    assert_eq!(committed.len(), all, "no statement was committed twice");
    assert_eq!(committed.iter().filter(|statement| statement.starts_with("CREATE ROLE")).count(), KILLS + 1);
}
