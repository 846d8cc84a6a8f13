//! Step 4 on a real PostgreSQL: what the cloud wants reaches the server, and nothing else does.

use serde_json::{Value, json};

use crate::support::postgres::{ONLY_TLS, PASSWORD};
use crate::support::raito::postgresql_target;
use crate::support::{Place, Postgres};

/// The login that changes things.
const WRITER: &str = "raito_write";
/// Everything that statements are sent with is on record at the server.
const LOGGED: &str = "log_statement = all\nlog_line_prefix = 'user=%u '\n";

/// A server with two databases, a few people and tables, and a place that may change it.
struct Managed {
    server: Postgres,
    place: Place,
}

fn managed(writer: &str) -> Managed {
    let server = Postgres::start_with(LOGGED, ONLY_TLS);
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
    server.sql("shop", "create role untouched; comment on role untouched is 'ours'; grant select on sales.orders to untouched with grant option; grant untouched to carl");
    if !writer.contains("superuser") {
        for database in ["shop", "crm"] {
            server.sql(database, &format!("alter schema sales owner to {WRITER}; alter table sales.orders owner to {WRITER};
                alter table sales.customers owner to {WRITER}; alter sequence sales.numbers owner to {WRITER};
                alter function sales.total(integer, integer) owner to {WRITER}; alter function sales.total(text) owner to {WRITER}"));
        }
        server.sql("postgres", &format!("grant ann, bob, carl, staff to {WRITER} with admin option"));
    }
    let grant = format!("write: {{ user: {WRITER}, password: {{ env: PG_PASSWORD }} }}");
    let place = Place::new(&postgresql_target(&server, "shop, crm", &grant));
    place.run(&[]);
    Managed { server, place }
}

fn permissions(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "name": name })).collect()
}

fn on(kind: &str, path: &[&str], names: &[&str]) -> Value {
    json!({ "object": { "kind": kind, "path": path }, "permissions": permissions(names) })
}

impl Managed {
    fn oid(&self, role: &str) -> String {
        self.server.sql("postgres", &format!("select oid from pg_roles where rolname = '{role}'"))
    }

    fn member(&self, role: &str) -> Value {
        json!({ "kind": "access-control", "id": self.oid(role), "inherits": true, "assumable": true })
    }

    fn send(&self, verb: &str, path: &str, body: &Value) -> Value {
        self.place.write("body.json", body.to_string());
        self.place.raito(&["cloud", verb, path, "body.json"]).exits(0).value()
    }

    /// Wants a role, and gives its id in the cloud.
    fn want(&self, draft: &Value) -> String {
        let made = self.send("post", "/sources/shop/internal-access-controls", draft);
        made["id"].as_str().expect("an id").to_owned()
    }

    fn internal(&self, id: &str) -> Value {
        self.place.get(&format!("/sources/shop/internal-access-controls/{id}"))
    }

    /// What the server's catalogue says of a role: memberships and privileges, in both databases.
    fn holds(&self, role: &str) -> Vec<String> {
        let members = format!(
            "select 'member ' || m.rolname from pg_auth_members a join pg_roles r on r.oid = a.roleid \
             join pg_roles m on m.oid = a.member where r.rolname = '{role}' and m.rolname <> '{WRITER}' order by 1"
        );
        let mut all = self.server.rows("shop", &members);
        let acls = "select n.nspname || '.' || c.relname, c.relacl from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    union all select n.nspname || '.' || c.relname || '.' || a.attname, a.attacl from pg_attribute a
                      join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                    union all select n.nspname, n.nspacl from pg_namespace n
                    union all select p.oid::regprocedure::text, p.proacl from pg_proc p
                    union all select 'later ' || defaclobjtype::text || ' ' || coalesce(n.nspname, ''), defaclacl from pg_default_acl d
                      left join pg_namespace n on n.oid = d.defaclnamespace";
        for database in ["shop", "crm"] {
            let sql = format!(
                "select '{database} ' || o.name || ' ' || x.privilege_type || case when x.is_grantable then '*' else '' end \
                 from ({acls}) o (name, acl) cross join lateral aclexplode(o.acl) x join pg_roles r on r.oid = x.grantee \
                 where r.rolname = '{role}' order by 1"
            );
            all.extend(self.server.rows(database, &sql));
        }
        all
    }

    /// The statements of the writer that the server has logged so far, without those that only open a session.
    fn written(&self) -> Vec<String> {
        let log = self.server.log();
        let mut statements = Vec::new();
        let mut lines = log.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix(&format!("user={WRITER} LOG:  ")) else { continue };
            let text = rest
                .strip_prefix("statement: ")
                .or_else(|| rest.split_once(": ").filter(|(how, _)| how.starts_with("execute")).map(|(_, text)| text));
            let Some(text) = text else { continue };
            let mut text = text.to_owned();
            while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
                text.push('\n');
                text.push_str(&more[1..]);
            }
            let opens = ["set ", "select ", "begin", "commit", "rollback", "show "];
            if !opens.iter().any(|word| text.to_lowercase().starts_with(word)) || text.starts_with("SET LOCAL ROLE") {
                statements.push(text);
            }
        }
        statements
    }
}

fn revenue(managed: &Managed) -> Value {
    json!({
        "name": "revenue", "kind": "role", "description": "Reads revenue",
        "who": [managed.member("ann"), managed.member("staff")],
        "what": [
            on("schema", &["shop", "sales"], &["USAGE"]),
            on("table", &["shop", "sales", "orders"], &["SELECT", "INSERT"]),
            on("column", &["shop", "sales", "customers", "name"], &["SELECT"]),
            on("sequence", &["crm", "sales", "numbers"], &["USAGE"]),
            { "object": { "kind": "function", "path": ["crm", "sales", "total"], "signature": "a integer, b integer" }, "permissions": [{ "name": "EXECUTE", "may-pass-on": true }] },
        ],
        "standing": [{ "under": { "kind": "schema", "path": ["shop", "sales"] }, "kind": "table", "creator": managed.oid("bob"), "permissions": [{ "name": "SELECT" }] }],
    })
}

#[test]
fn what_the_cloud_wants_reaches_the_server_and_stays() {
    let managed = managed("superuser");
    let before = managed.holds("untouched");
    let id = managed.want(&revenue(&managed));

    // Nothing was ever changed here, so the plan is only shown.
    let first = managed.place.raito(&["run", "--quiet"]).exits(4).says(&["first change", "--apply-first"]);
    assert!(first.stderr.contains("CREATE ROLE"), "{}", first.stderr);
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
    assert_eq!(managed.holds("untouched"), before);
}
