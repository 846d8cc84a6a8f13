//! Properties of the vocabulary: whatever a guest passes, a request keeps the structure that its manifest declares.
//!
//! Each placeholder type is given hostile strings and random ones; the result is either a refusal, or a request that an
//! independent parser (URL standard, JSON, SQL tokenizer, LDAP filter) reads as the template with exactly that value.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;
use raito_core::call::{Argument, Value};
use raito_core::manifest::{Manifest, SlotKind};
use raito_core::vocabulary::{EncodeError, Filter, HttpRequest, LdapRequest, Route, Search, SqlRequest, Statement};
use serde_json::{Value as Json, json};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

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
text = "select rolname from pg_roles where oid > $after::bigint::oid and rolname = any($names::text[]) and rolname <> $x::text and $flag::boolean"
[sql.main.statements.name]
mode = "write"
does = "grant"
text = "GRANT {p:keywords(SELECT,INSERT)@permission} ({columns:names@object}) ON TABLE {t:name@object} TO {r:name@control} /* $x, { and } */"
[sql.main.statements.comment]
mode = "write"
does = "describe"
text = "COMMENT ON ROLE {r:name@control} IS {x:literal@description}"
[sql.main.statements.limit]
mode = "write"
does = "create"
text = "ALTER ROLE {r:name@control} CONNECTION LIMIT -{n:integer@version}"
[sql.main.statements.raw]
mode = "write"
does = "set-policy"
text = "CREATE POLICY p ON {t:name@object} USING ({x:raw})"

[ldap.directory.searches.person]
base = "{base:dn}"
scope = "subtree"
filter = "(&(objectClass=person)(|(uid={x:text})(memberOf:1.2.840.113556.1.4.1941:={g:dn}))(!(cn=a*b*)))"
attributes = ["uid", "memberOf"]
"#;

fn manifest() -> &'static Manifest {
    static PARSED: LazyLock<Manifest> =
        LazyLock::new(|| Manifest::parse(MANIFEST).unwrap_or_else(|errors| panic!("{errors:#?}")));
    &PARSED
}

fn with_route<T>(name: &str, test: impl FnOnce(&Route) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Http { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Http { routes, .. } => test(&routes[name]),
        SlotKind::Sql { .. } | SlotKind::Ldap { .. } => unreachable!("found as HTTP"),
    }
}

fn with_statement<T>(name: &str, test: impl FnOnce(&Statement) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Sql { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Sql { statements, .. } => test(&statements[name]),
        SlotKind::Http { .. } | SlotKind::Ldap { .. } => unreachable!("found as SQL"),
    }
}

fn with_search<T>(name: &str, test: impl FnOnce(&Search) -> T) -> T {
    let slot = manifest().slots.values().find(|slot| matches!(slot.kind, SlotKind::Ldap { .. }));
    match &slot.expect("the manifest has one").kind {
        SlotKind::Ldap { searches } => test(&searches[name]),
        SlotKind::Http { .. } | SlotKind::Sql { .. } => unreachable!("found as LDAP"),
    }
}

fn arguments(values: &[(&str, Value)]) -> Vec<Argument> {
    values.iter().map(|(name, value)| Argument { name: (*name).into(), value: value.clone() }).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn route(name: &str, values: &[(&str, Value)]) -> Result<HttpRequest, EncodeError> {
    with_route(name, |route| route.build(&arguments(values)))
}

fn statement(name: &str, values: &[(&str, Value)]) -> Result<SqlRequest, EncodeError> {
    with_statement(name, |statement| statement.build(&arguments(values)))
}

/// Strings that have broken out of something somewhere.
fn hostile() -> Vec<String> {
    let mut strings: Vec<String> = [
        "",
        ".",
        "..",
        "...",
        "/",
        "\\",
        "a/b",
        "a\\b",
        "../..",
        "%2e%2e",
        "%2e%2e%2f",
        "%00",
        "\0",
        "a\0b",
        "?",
        "&",
        "#",
        "a?b=c&d#e",
        "a b",
        "a+b",
        "'",
        "''",
        "\"",
        "\"\"",
        "a\"b",
        "a'b",
        "\\'",
        "\\\"",
        "--",
        "/*",
        "*/",
        ";",
        "$$",
        "$1",
        "$x::text",
        "{x:text}",
        "{{",
        "}}",
        "\r\n",
        "a\r\nX-Evil: 1",
        "\n",
        "\t",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "ä",
        "日本",
        "\u{202e}abc",
        "\u{feff}",
        "e\u{301}",
        "’; DROP ROLE x",
        "x'); DROP ROLE y; --",
        "\" TO PUBLIC; --",
        "public",
        "PUBLIC",
        "none",
        "*",
        "(",
        ")",
        "a)(uid=*",
        "\\2a",
        "\\",
        "a,ou=b",
        "a+b=c",
        "#04",
        " a",
        "a ",
        "null",
        "true",
        "1e9",
        "@evil",
        "user:pw@host",
        "http://evil/",
        "//evil",
        "javascript:",
        "<script>",
        "=1+1",
        "U&'\\0041'",
        "E'\\''",
    ]
    .map(str::to_owned)
    .to_vec();
    strings.push("x".repeat(64 * 1_024));
    strings.push("'".repeat(64 * 1_024));
    strings.push("\"\\".repeat(32 * 1_024));
    strings
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<String>(),
        2 => "[ -~]{0,40}",
        2 => r#"['"\\%./?&#;$(){}*\-+=,@ \r\n\x00]{0,12}"#,
        1 => prop::sample::select(hostile()),
    ]
}

fn percent_decoded(text: &str) -> String {
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
fn parsed(request: &HttpRequest) -> (Vec<String>, Vec<(String, String)>) {
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

fn check_path(value: &str) {
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

fn check_query(value: &str) {
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

fn check_header(value: &str) {
    if let Ok(request) = route("header", &[("x", text(value)), ("y", text("1"))]) {
        let headers: BTreeMap<_, _> = request.headers.into_iter().collect();
        assert_eq!(headers["if-match"], value);
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
    assert!(route("header", &[("y", text(value))]).is_err() || value.bytes().all(|byte| byte.is_ascii_graphic()));
}

fn check_body(value: &str) {
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

/// The tokens that matter, as a tokenizer that is not ours reads them.
fn tokens(sql: &str) -> Vec<Token> {
    let all = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap_or_else(|error| panic!("{sql}: {error}"));
    all.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect()
}

fn check_sql_name(value: &str) {
    let values = |name: &str| {
        [
            ("p", Value::Keywords(vec!["SELECT".into()])),
            ("columns", Value::Names(vec![vec!["id".into()], vec![name.into()]])),
            ("t", Value::Name(vec!["s".into(), name.into()])),
            ("r", Value::Name(vec!["role".into()])),
        ]
    };
    let plain = tokens(&statement("name", &values("plain")).expect("plain names").text);
    match statement("name", &values(value)) {
        Ok(request) => {
            let hostile = tokens(&request.text);
            assert_eq!(hostile.len(), plain.len(), "{}", request.text);
            for (hostile, plain) in hostile.iter().zip(&plain) {
                match (hostile, plain) {
                    (Token::Word(hostile), Token::Word(plain)) if plain.value == "plain" => {
                        assert_eq!(hostile.quote_style, Some('"'));
                        assert_eq!(hostile.value.replace("\"\"", "\""), value.replace("\"\"", "\""));
                    }
                    (hostile, plain) => assert_eq!(hostile, plain),
                }
            }
        }
        Err(_) => assert!(value.is_empty() || value.len() > 63 || value.contains('\0'), "{value:?} can be quoted"),
    }
}

fn check_sql_literal(value: &str) {
    let values = [("r", Value::Name(vec!["role".into()])), ("x", text(value))];
    match statement("comment", &values) {
        Ok(request) => {
            let tokens = tokens(&request.text);
            assert_eq!(tokens.len(), 6, "{}", request.text);
            match tokens.last().expect("the literal") {
                Token::SingleQuotedString(read) => assert_eq!(read, value),
                Token::EscapedStringLiteral(read) => assert_eq!(read, value),
                other => panic!("{other:?}"),
            }
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

fn search(values: &[(&str, Value)]) -> Result<LdapRequest, EncodeError> {
    with_search("person", |search| search.build(&arguments(values)))
}

fn check_ldap(value: &str) {
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

fn check_everywhere(value: &str) {
    check_path(value);
    check_query(value);
    check_header(value);
    check_body(value);
    check_sql_name(value);
    check_sql_literal(value);
    check_ldap(value);
}

#[test]
fn hostile_strings_stay_values() {
    for value in hostile() {
        check_everywhere(&value);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_strings_stay_values(value in any_text()) {
        check_everywhere(&value);
    }

    #[test]
    fn numbers_times_and_words_stay_what_they_are(n in any::<i64>(), b in any::<bool>(), wrong in any_text()) {
        let time = "2026-01-31T08:00:00+01:00";
        let values = [
            ("n", Value::Integer(n)), ("b", Value::Boolean(b)), ("t", text(time)), ("w", Value::Keywords(vec!["dark-blue".into()])),
        ];
        let (segments, parameters) = parsed(&route("kinds", &values).expect("values of their types"));
        prop_assert_eq!(segments, [n.to_string(), b.to_string(), time.into(), "dark-blue".into()]);
        prop_assert_eq!(parameters, [("n".into(), n.to_string()), ("t".into(), format!("x{time}"))]);
        let sql = statement("limit", &[("r", Value::Name(vec!["r".into()])), ("n", Value::Integer(n))]).expect("a number");
        prop_assert!(!sql.text.contains("--"), "a minus behind a minus would begin a comment: {}", sql.text);
        let mut other = values.clone();
        other[3].1 = Value::Keywords(vec![wrong.clone()]);
        prop_assert!(route("kinds", &other).is_err() || matches!(wrong.as_str(), "red" | "dark-blue"));
        let mut other = values;
        other[2].1 = text(&wrong);
        prop_assert!(route("kinds", &other).is_err());
    }
}

#[test]
fn a_role_is_never_the_keyword_public() {
    let values = |role: &str| {
        [
            ("p", Value::Keywords(vec!["SELECT".into()])),
            ("columns", Value::Names(vec![vec!["id".into()]])),
            ("t", Value::Name(vec!["public".into(), "none".into()])),
            ("r", Value::Name(vec![role.into()])),
        ]
    };
    assert!(statement("name", &values("Public")).is_ok());
    for role in ["public", "none"] {
        let error = statement("name", &values(role)).expect_err("even in quotes the server reads the keyword");
        assert!(error.to_string().contains("no role"), "{error}");
    }
}

#[test]
fn a_wrong_case_a_missing_and_an_unknown_argument_are_named() {
    let error = |values: &[(&str, Value)]| route("path", values).expect_err("refused").to_string();
    assert_eq!(error(&[]), "argument x: it needs a value");
    assert_eq!(error(&[("x", Value::Null)]), "argument x: it needs a value");
    assert_eq!(
        error(&[("x", Value::Integer(1))]),
        "argument x: a integer value is given where the manifest declares text"
    );
    assert_eq!(error(&[("x", text("a")), ("y", text("b"))]), "argument y: the entry has no placeholder of this name");
    assert_eq!(error(&[("x", text("a")), ("x", text("b"))]), "argument x: it is given twice");
    assert!(
        route("query", &[]).expect("an absent argument is an absent parameter").target.ends_with("?before=1&after=2")
    );
}

#[test]
fn free_text_only_stands_where_it_is_declared() {
    assert!(route("free", &[("x", Value::Free("{\"a\":[1]}".into()))]).is_ok());
    assert!(route("free", &[("x", Value::Free("1}, {".into()))]).is_err());
    assert!(route("body", &[("x", Value::Free("1".into()))]).is_err());
    with_route("free", |route| assert_eq!(route.red().len(), 2, "free JSON, and a method that can change the target"));
    with_statement("raw", |statement| assert_eq!(statement.red().len(), 1));
    with_statement("bind", |statement| assert_eq!(statement.red(), []));
}

/// Checks that a manifest with this entry is refused with this word in the message.
fn refused(entry: &str, because: &str) {
    let text = format!("name = \"t\"\nversion = \"1.0.0\"\nsummary = \"\"\n{entry}");
    let errors = Manifest::parse(&text).expect_err(entry);
    let said = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains(because), "{entry}\n{said}");
}

#[test]
fn a_type_stands_only_where_it_cannot_change_anything() {
    let route = |request: &str| format!("[http.a.routes.r]\nmode = \"read\"\nrequest = \"{request}\"\n");
    refused(&route("GET /a-{x:text}"), "cannot stand inside a larger value");
    refused(&route("GET /a?q=x{x:text}"), "cannot stand inside a larger value");
    refused(&route("GET /a/{x:quoted(scim)}"), "cannot stand");
    refused(&route("GET /a/{x:name}"), "cannot stand");
    refused(&route("GET /a/{x:json}"), "cannot stand");
    refused(&route("GET /a/{x:foo}"), "unknown type foo");
    refused(&route("GET /a/{x:text@nobody}"), "unknown origin");
    refused(&route("GET /../a"), "segment . or ..");
    refused(&route("GET /a//b"), "empty segment");
    refused(&route("GET a"), "begins with /");
    refused(&route("GET /a%2fb"), "has the character %");
    refused(&route("TRACE /a"), "unknown method TRACE");
    refused(&route("CONNECT /a"), "unknown method CONNECT");
    refused(&route("GET /{x:text}/{x:id}"), "stands here twice");
    refused(&format!("{}headers = {{ Authorization = \"x\" }}\n", route("GET /a")), "set by the host");
    refused(&format!("{}headers = {{ X-Forwarded-For = \"x\" }}\n", route("GET /a")), "set by the host");
    refused(&format!("{}body = '{{{{x:text}}: 1}}'\n", route("POST /a")), "body");
    let write = |body: &str| {
        format!("[http.a.routes.r]\nmode = \"write\"\ndoes = \"create\"\nrequest = \"POST /a\"\nbody = '{body}'\n")
    };
    refused(&write("{\"a{x:id}\": 1}"), "cannot stand in the name");
    refused(&write("{\"a\": \"x{x:text}\"}"), "cannot stand inside a larger value");
    refused(&write("{\"a\": {x:name}}"), "cannot stand as a JSON value");
    refused("[http.a.routes.r]\nmode = \"write\"\nrequest = \"POST /a\"\n", "says what it does");
    let sql = |mode: &str, text: &str| {
        format!("[sql.m]\nkind = \"postgresql\"\n[sql.m.statements.s]\n{mode}\ntext = \"{text}\"\n")
    };
    let read = "mode = \"read\"";
    let write = "mode = \"write\"\ndoes = \"grant\"";
    refused(&sql(read, "select '{x:name}'"), "stands in a comment, a literal");
    refused(&sql(read, "select 1 -- {x:name}"), "stands in a comment");
    refused(&sql(read, "select $$ {x:name} $$"), "stands in a comment, a literal");
    refused(&sql(read, "select {x:text}"), "cannot stand in SQL");
    refused(&sql(read, "select a{x:name}"), "touches a word");
    refused(&sql(read, "select U&{x:name}"), "touches a word");
    refused(&sql(read, "select $1"), "write bind parameters as");
    refused(&sql(read, "select $x"), "needs the type");
    refused(&sql(read, "select $x::oid"), "needs the type");
    refused(&sql(read, "select $x::text, $x::bigint"), "twice with different types");
    refused(&sql(read, "select 'a"), "not closed");
    refused(&sql(read, "select pg_sleep(1)"), "calls = [\\\"pg_sleep\\\"]".replace('\\', "").as_str());
    refused(&sql(read, "select * from sales.orders"), "relations = [\"sales.orders\"]");
    refused(&sql(read, "select * from {t:name}"), "relations = [\"*\"]");
    refused(&sql(read, "delete from t"), "is no read");
    refused(&sql(write, "GRANT a TO b; DROP ROLE c"), "one statement");
    refused(&sql(write, "COMMIT"), "begins with GRANT");
    refused(&sql(write, "SET ROLE x"), "begins with GRANT");
    refused(&sql(write, "COPY t TO PROGRAM 'x'"), "begins with GRANT");
    refused(&sql(write, "DO $$ begin end $$"), "begins with GRANT");
    let ldap = |base: &str, filter: &str| {
        format!(
            "[ldap.d.searches.s]\nbase = \"{base}\"\nscope = \"subtree\"\nfilter = \"{filter}\"\nattributes = [\"cn\"]\n"
        )
    };
    refused(&ldap("ou=x,{b:dn}", "(cn=a)"), "one distinguished name");
    refused(&ldap("{b:text}", "(cn=a)"), "cannot stand as the base");
    refused(&ldap("dc=x", "(cn=a{x:text})"), "stands alone");
    refused(&ldap("dc=x", "({x:text}=a)"), "no attribute name");
    refused(&ldap("dc=x", "(cn=a)(cn=b)"), "goes on behind");
    refused(&ldap("dc=x", "(cn=a"), "ends with )");
}

#[test]
fn a_chosen_relation_is_checked_again_when_it_is_known() {
    let text = r#"
name = "t"
version = "1.0.0"
summary = ""
[sql.m]
kind = "postgresql"
[sql.m.statements.s]
mode = "read"
text = "select count(*) from {t:name}"
relations = ["app.visits"]
"#;
    // The manifest names one relation, so a placeholder that could be any other is refused when the manifest is read.
    let errors = Manifest::parse(text).expect_err("any relation could be chosen");
    assert!(errors[0].to_string().contains("relations = [\"*\"]"), "{}", errors[0]);
    let any = text.replace("app.visits", "*");
    let manifest = Manifest::parse(&any).expect("declared");
    let slot = manifest.slots.values().next().expect("one slot");
    assert_eq!(slot.entries()[0].red.len(), 1);
}

#[test]
fn every_mistake_of_a_manifest_is_named_with_its_line() {
    let text = "name = \"Bad Name\"\nversion = \"one\"\nsummary = \"\"\n[http.a.routes.x]\nmode = \"read\"\nrequest = \"GET a\"\n";
    let errors = Manifest::parse(text).expect_err("three mistakes");
    let lines: Vec<_> = errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [1, 2, 4], "{errors:#?}");
    let unknown =
        Manifest::parse("name = \"a\"\nversion = \"1.0.0\"\nsummary = \"\"\nfoo = 1\n").expect_err("an unknown key");
    assert_eq!(unknown[0].line, 4);
    assert!(unknown[0].to_string().contains("foo"), "{}", unknown[0]);
}
