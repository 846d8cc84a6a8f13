//! What holds for every value: a request keeps the structure that its manifest declares, and an independent parser (URL
//! standard, JSON, SQL tokenizer, LDAP filter) reads the value back. The properties and the fuzz targets share this.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use pg_query::NodeEnum;
use pg_query::protobuf::{GrantStmt, Node, RangeVar};
use raito_core::call::{Argument, Value};
use raito_core::manifest::{Manifest, SlotKind};
use raito_core::vocabulary::{EncodeError, Filter, HttpRequest, LdapRequest, Route, Search, SqlRequest, Statement};
use serde_json::{Value as Json, json};

const MANIFEST: &str = r#"
name = "test"
version = "1.0.0"
summary = "Every placeholder type, once"

[http.api.routes.path]
mode = "read"
request = "GET /a/{x:text}/b"
[http.api.routes.path-id]
mode = "read"
request = "GET /a/pre-{x:id}.json"
[http.api.routes.query]
mode = "read"
request = "GET /a?before=1&x={x:text}&after=2"
[http.api.routes.filter-scim]
mode = "read"
request = "GET /a?filter=userName eq {x:quoted(scim)} and active&z=1"
[http.api.routes.filter-odata]
mode = "read"
request = "GET /a?$filter=name eq {x:quoted(odata)}&z=1"
[http.api.routes.filter-okta]
mode = "read"
request = "GET /a?search=profile.login eq {x:quoted(okta)}"
[http.api.routes.kinds]
mode = "read"
request = "GET /{n:integer}/{b:boolean}/{t:time}/{w:keywords(red,dark-blue)}?n={n:integer}&t=x{t:time}"
[http.api.routes.header]
mode = "read"
request = "GET /a"
headers = { If-Match = "{x:text}", X-Part = "v-{y:id}" }
[http.api.routes.body]
mode = "write"
does = "create"
request = "POST /a"
body = '{"x":{x:text@control},"fixed":"a","inside":"id-{y:id@object}","n":{n:integer@version},"list":[1,{b:boolean@inherits}],"rows":{rows:items({"who":{who:text@member},"n":{n:integer@version}})}}'
returns = { id = "/id" }
[http.api.routes.free]
mode = "read"
request = "POST /a"
body = '{"x":{x:json},"fixed":"a"}'

[sql.main]
kind = "postgresql"
[sql.main.statements.bind]
mode = "read"
text = "select r.rolname from pg_roles r where r.oid > $after::bigint::oid and r.rolname = any($names::text[]) and r.rolname <> $x::text and $flag::boolean"
[sql.main.statements.name]
mode = "write"
does = "grant"
text = "GRANT {p:keywords(SELECT,INSERT)@permission} ({columns:names@object}) ON TABLE {t:name@object} TO {r:name@control}"
[sql.main.statements.comment]
mode = "write"
does = "describe"
text = "COMMENT ON ROLE {r:name@control} IS {x:literal@description}"
[sql.main.statements.routine]
mode = "write"
does = "grant"
text = "GRANT {p:keywords(EXECUTE)@permission} ON FUNCTION {o:name@object}({x:text@signature}) TO {r:name@control}"
[sql.main.statements.policy]
mode = "write"
does = "set-policy"
text = "ALTER POLICY {n:name@control} ON {t:name@object} TO PUBLIC USING ({x:text@policy})"

[ldap.directory.searches.person]
base = "{base:dn}"
scope = "subtree"
filter = "(&(objectClass=person)(|(uid={x:text})(memberOf:1.2.840.113556.1.4.1941:={g:dn}))(!(cn=a*b*)))"
attributes = ["uid", "memberOf"]
"#;

pub(crate) fn manifest() -> &'static Manifest {
    static PARSED: LazyLock<Manifest> =
        LazyLock::new(|| Manifest::parse(MANIFEST).unwrap_or_else(|errors| panic!("{errors:#?}")));
    &PARSED
}

pub(crate) fn with_route<T>(name: &str, test: impl FnOnce(&Route) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Http { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Http { routes, .. } => test(&routes[name]),
        SlotKind::Sql { .. } | SlotKind::Ldap { .. } => unreachable!("found as HTTP"),
    }
}

pub(crate) fn with_statement<T>(name: &str, test: impl FnOnce(&Statement) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Sql { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Sql { statements, .. } => test(&statements[name]),
        SlotKind::Http { .. } | SlotKind::Ldap { .. } => unreachable!("found as SQL"),
    }
}

pub(crate) fn with_search<T>(name: &str, test: impl FnOnce(&Search) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Ldap { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Ldap { searches } => test(&searches[name]),
        SlotKind::Http { .. } | SlotKind::Sql { .. } => unreachable!("found as LDAP"),
    }
}

pub(crate) fn arguments(values: &[(&str, Value)]) -> Vec<Argument> {
    values.iter().map(|(name, value)| Argument { name: (*name).into(), value: value.clone() }).collect()
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub(crate) fn route(name: &str, values: &[(&str, Value)]) -> Result<HttpRequest, EncodeError> {
    with_route(name, |route| route.build(&arguments(values)))
}

pub(crate) fn statement(name: &str, values: &[(&str, Value)]) -> Result<SqlRequest, EncodeError> {
    with_statement(name, |statement| statement.build(&arguments(values)))
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&behind[..2]).expect("ASCII"), 16).expect("two digits"));
            rest = &behind[2..];
        } else {
            bytes.push(*byte);
            rest = behind;
        }
    }
    String::from_utf8(bytes).expect("the value was UTF-8")
}

/// What a URL parser reads: the decoded segments and the decoded parameters.
pub(crate) fn parsed(request: &HttpRequest) -> (Vec<String>, Vec<(String, String)>) {
    let url = url::Url::parse(&format!("https://origin.test{}", request.target)).expect("a URL");
    assert_eq!(url.host_str(), Some("origin.test"));
    assert_eq!(url.fragment(), None);
    let segments = url.path_segments().expect("a path").map(percent_decoded).collect();
    let query = url.query().unwrap_or_default();
    let parameters = query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (key, value) = part.split_once('=').expect("key=value");
        (key.to_owned(), percent_decoded(value))
    });
    (segments, parameters.collect())
}

pub(crate) fn check_path(value: &str) {
    if let Ok(request) = route("path", &[("x", text(value))]) {
        assert_eq!(parsed(&request).0, ["a", value, "b"]);
    } else {
        let must_fail =
            matches!(value, "" | "." | "..") || value.contains(['/', '\\']) || value.chars().any(char::is_control);
        assert!(must_fail || value.len() > 2_000, "{value:?} is a segment like any other");
    }
    if let Ok(request) = route("path-id", &[("x", text(value))]) {
        assert_eq!(parsed(&request).0, ["a".to_owned(), format!("pre-{value}.json")]);
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)));
    }
}

pub(crate) fn check_query(value: &str) {
    if let Ok(request) = route("query", &[("x", text(value))]) {
        let (segments, parameters) = parsed(&request);
        assert_eq!(segments, ["a"]);
        let wanted =
            [("before", "1"), ("x", value), ("after", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(parameters, wanted);
    } else {
        assert!(value.len() > 2_000, "{value:?} is a value like any other");
    }
    for (name, key) in [("filter-scim", "filter"), ("filter-okta", "search")] {
        if let Ok(request) = route(name, &[("x", text(value))]) {
            let (_, parameters) = parsed(&request);
            assert_eq!(parameters[0].0, key);
            let quoted = parameters[0].1.split_once(" eq ").expect("the operator").1;
            let mut stream = serde_json::Deserializer::from_str(quoted).into_iter::<Json>();
            assert_eq!(stream.next().expect("a string").expect("JSON"), json!(value));
            let behind = &quoted[stream.byte_offset()..];
            assert_eq!(behind, if name == "filter-scim" { " and active" } else { "" });
        }
    }
    if let Ok(request) = route("filter-odata", &[("x", text(value))]) {
        let (_, parameters) = parsed(&request);
        let quoted =
            parameters[0].1.strip_prefix("name eq '").and_then(|rest| rest.strip_suffix('\'')).expect("quotes");
        assert!(!quoted.replace("''", "\u{1}").contains('\''), "no lone quote");
        assert_eq!(quoted.replace("''", "'"), value);
    }
}

pub(crate) fn check_header(value: &str) {
    if let Ok(request) = route("header", &[("x", text(value)), ("y", text("1"))]) {
        let headers: BTreeMap<_, _> = request.headers.into_iter().collect();
        assert_eq!(headers["if-match"], value);
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    assert!(route("header", &[("y", text(value))]).is_err() || value.bytes().all(|byte| byte.is_ascii_graphic()));
}

pub(crate) fn check_body(value: &str) {
    let items = vec![vec![("who".to_owned(), value.to_owned()), ("n".to_owned(), "7".to_owned())]];
    let values = [
        ("x", text(value)),
        ("y", text("o1")),
        ("n", Value::Integer(-3)),
        ("b", Value::Boolean(true)),
        ("rows", Value::Items(items)),
    ];
    let request = route("body", &values).expect("JSON holds every text");
    let body: Json = serde_json::from_slice(&request.body.expect("a body")).expect("JSON");
    let wanted = json!({"x": value, "fixed": "a", "inside": "id-o1", "n": -3, "list": [1, true], "rows": [{"who": value, "n": 7}]});
    assert_eq!(body, wanted);
    let mut inside = values.clone();
    inside[1].1 = text(value);
    assert!(
        route("body", &inside).is_err()
            || value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    );
}

/// The one statement of a text, as PostgreSQL's own parser reads it.
pub(crate) fn parsed_sql(request: &SqlRequest) -> NodeEnum {
    let text = request.text.to_string();
    // Whatever the server makes of a backslash in quotes, it must read the same.
    let plain = pg_query::ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS;
    let read = |options: pg_query::ParserOptions| {
        let parsed = pg_query::parse(&text, options).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.protobuf.stmts.len(), 1, "{text}");
        parsed.protobuf.stmts[0].stmt.as_ref().and_then(|node| node.node.clone()).expect("a statement")
    };
    let statement = read(pg_query::ParserOptions::DEFAULT);
    assert_eq!(format!("{:?}", read(plain)), format!("{statement:?}"), "{text}");
    statement
}

fn string(node: &Node) -> &str {
    match node.node.as_ref() {
        Some(NodeEnum::String(text)) => &text.sval,
        other => panic!("{other:?}"),
    }
}

fn relation(grant: &GrantStmt) -> &RangeVar {
    match grant.objects[0].node.as_ref() {
        Some(NodeEnum::RangeVar(relation)) => relation,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn check_sql_name(value: &str) {
    let values = [
        ("p", Value::Keywords(vec!["SELECT".into()])),
        ("columns", Value::Names(vec![vec!["id".into()], vec![value.into()]])),
        ("t", Value::Name(vec!["s".into(), value.into()])),
        ("r", Value::Name(vec!["role".into()])),
    ];
    let Ok(request) = statement("name", &values) else {
        assert!(value.is_empty() || value.len() > 63 || value.contains('\0'), "{value:?} can be quoted");
        return;
    };
    let NodeEnum::GrantStmt(grant) = parsed_sql(&request) else { panic!("{}", request.text) };
    assert_eq!((grant.objects.len(), grant.privileges.len(), grant.grantees.len()), (1, 1, 1), "{}", request.text);
    assert_eq!((relation(&grant).schemaname.as_str(), relation(&grant).relname.as_str()), ("s", value));
    let Some(NodeEnum::AccessPriv(privilege)) = &grant.privileges[0].node else { panic!("{}", request.text) };
    assert_eq!(privilege.cols.iter().map(string).collect::<Vec<_>>(), ["id", value]);
}

/// A signature is a list of types, or refused; a policy is one expression in its parentheses, or refused.
pub(crate) fn check_sql_spliced(value: &str) {
    let free = Value::Free(value.to_owned());
    let routine = [
        ("p", Value::Keywords(vec!["EXECUTE".into()])),
        ("o", Value::Name(vec!["s".into(), "f".into()])),
        ("x", free.clone()),
        ("r", Value::Name(vec!["role".into()])),
    ];
    if let Ok(request) = statement("routine", &routine) {
        let NodeEnum::GrantStmt(grant) = parsed_sql(&request) else { panic!("{}", request.text) };
        assert_eq!((grant.objects.len(), grant.grantees.len(), grant.is_grant), (1, 1, true), "{}", request.text);
        let Some(NodeEnum::ObjectWithArgs(routine)) = &grant.objects[0].node else { panic!("{}", request.text) };
        assert_eq!(routine.objname.iter().map(string).collect::<Vec<_>>(), ["s", "f"]);
        assert!(routine.objargs.iter().all(|kind| matches!(kind.node, Some(NodeEnum::TypeName(_)))));
    }
    let policy = [("n", Value::Name(vec!["p".into()])), ("t", Value::Name(vec!["s".into(), "t".into()])), ("x", free)];
    if let Ok(request) = statement("policy", &policy) {
        let text = request.text.to_string();
        // What is balanced need not be an expression; if the server takes it, it is this one statement.
        let Ok(parsed) = pg_query::parse(&text, 0) else { return };
        assert_eq!(parsed.protobuf.stmts.len(), 1, "{text}");
        let node = parsed.protobuf.stmts[0].stmt.as_ref().and_then(|node| node.node.as_ref());
        let Some(NodeEnum::AlterPolicyStmt(altered)) = node else { panic!("{text}") };
        assert_eq!((altered.policy_name.as_str(), altered.roles.len()), ("p", 1), "{text}");
        assert!(altered.qual.is_some() && altered.with_check.is_none(), "{text}");
    }
}

pub(crate) fn check_sql_literal(value: &str) {
    let values = [("r", Value::Name(vec!["role".into()])), ("x", text(value))];
    match statement("comment", &values) {
        Ok(request) => {
            let NodeEnum::CommentStmt(comment) = parsed_sql(&request) else { panic!("{}", request.text) };
            assert_eq!(comment.comment, value);
        }
        Err(_) => assert!(value.contains('\0'), "{value:?} can be quoted"),
    }
    let binds = [
        ("after", Value::Integer(7)),
        ("names", Value::Texts(vec![value.into()])),
        ("x", text(value)),
        ("flag", Value::Boolean(true)),
    ];
    match statement("bind", &binds) {
        Ok(request) => {
            assert_eq!(request.text, statement("bind", &[]).expect("NULL for all").text, "values never enter the text");
            assert_eq!(request.parameters.len(), 4);
        }
        Err(_) => assert!(value.contains('\0'), "{value:?} travels beside the text"),
    }
}

pub(crate) fn search(values: &[(&str, Value)]) -> Result<LdapRequest, EncodeError> {
    with_search("person", |search| search.build(&arguments(values)))
}

pub(crate) fn check_ldap(value: &str) {
    let request = search(&[("base", text("dc=x")), ("x", text(value)), ("g", text("cn=g,dc=x"))])
        .expect("octets hold every text");
    let Filter::And(parts) = Filter::parse(&request.filter).expect("a filter") else { panic!("{}", request.filter) };
    let Filter::Or(any) = &parts[1] else { panic!("{}", request.filter) };
    assert_eq!(any[0], Filter::Compare("uid".into(), "=".into(), value.as_bytes().to_vec()));
    assert_eq!((parts.len(), any.len()), (3, 2));
    if let Ok(request) = search(&[("base", text(value)), ("x", text("a")), ("g", text("cn=g"))]) {
        assert_eq!(request.base.as_str(), value);
    }
}

pub(crate) fn check_everywhere(value: &str) {
    check_path(value);
    check_query(value);
    check_header(value);
    check_body(value);
    check_sql_name(value);
    check_sql_spliced(value);
    check_sql_literal(value);
    check_ldap(value);
}
