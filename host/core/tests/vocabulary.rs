//! Properties of the vocabulary: whatever a guest passes, a request keeps the structure that its manifest declares.
//!
//! Each placeholder type is given hostile strings and random ones; the result is either a refusal, or a request that an
//! independent parser reads as the template with exactly that value (`vocabulary/checks.rs`).

#[path = "vocabulary/checks.rs"]
mod checks;

use proptest::prelude::*;
use raito_core::call::{Argument, Value};
use raito_core::manifest::{Manifest, SlotKind};

use checks::{check_everywhere, parsed, route, statement, text, with_route, with_statement};

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
fn a_list_of_columns_stands_behind_one_privilege() {
    let values = |privileges: &[&str]| {
        [
            ("p", Value::Keywords(privileges.iter().map(|word| (*word).into()).collect())),
            ("columns", Value::Names(vec![vec!["id".into()]])),
            ("t", Value::Name(vec!["public".into(), "orders".into()])),
            ("r", Value::Name(vec!["readers".into()])),
        ]
    };
    assert!(statement("name", &values(&["SELECT"])).is_ok());
    // The server reads SELECT on the whole table in `SELECT, INSERT (id)`.
    assert!(statement("name", &values(&["SELECT", "INSERT"])).is_err());
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
    let captures: String = (0..9).map(|at| format!("x{at} = \"/x\"\n")).collect();
    refused(&format!("{}[http.a.routes.r.returns]\n{captures}", route("GET /a")), "more than 8 values are captured");
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
    refused(&sql(read, "select {x:text}"), "as bind parameters alone");
    refused(&sql(read, "select a{x:name}"), "a column is written as alias.column");
    refused(&sql(read, "select U&{x:name}"), "the operator `&`");
    refused(&sql(read, "select $1"), "write a bind parameter as");
    refused(&sql(read, "select $x"), "needs the type");
    refused(&sql(read, "select $x::oid"), "needs the type");
    refused(&sql(read, "select $x::text, $x::bigint"), "twice with different types");
    refused(&sql(read, "select 'a"), "not closed");
    refused(&sql(read, "select pg_sleep(1)"), "calls = [\"pg_sleep\"]");
    refused(&sql(read, "select o.id::text from sales.orders o"), "relations = { \"sales.orders\" = [");
    refused(&sql(read, "delete from t"), "a read statement is one SELECT");
    refused(&sql(write, "GRANT a TO b; DROP ROLE c"), "one statement");
    for text in ["COMMIT", "SET ROLE x", "COPY t TO PROGRAM 'x'", "UPDATE t SET x = 1"] {
        refused(&sql(write, text), "a write statement begins with ALTER");
    }
    refused(&sql(write, "DO $$ begin end $$"), "write a bind parameter");
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
fn characters_that_mark_placeholders_inside_stand_for_themselves() {
    let body = r#"{"\u0001": "\u0001x", "\u0001\u0002": "a\u00010\u0002{x:id}\u0001", "c": {x:id}, "\\u0001": "\\u0001{x:id}"}"#;
    let entry = format!("[http.a.routes.r]\nmode = \"read\"\nrequest = \"POST /a\"\nbody = '''{body}'''\n");
    let manifest = Manifest::parse(&format!("name = \"t\"\nversion = \"1.0.0\"\nsummary = \"\"\n{entry}"));
    let manifest = manifest.expect("a manifest");
    let SlotKind::Http { routes, .. } = &manifest.slots.values().next().expect("one slot").kind else {
        panic!("it is for HTTP");
    };
    let route = routes.values().next().expect("one route");
    let request = route.build(&[Argument { name: "x".into(), value: text("7") }]).expect("a request");
    let sent: serde_json::Value = serde_json::from_slice(&request.body.expect("a body")).expect("JSON");
    let wanted = body.replace("{x:id},", "\"7\",").replace("{x:id}", "7");
    assert_eq!(sent, serde_json::from_str::<serde_json::Value>(&wanted).expect("JSON"));
}

#[test]
fn a_list_in_an_item_is_refused_however_deep_it_goes() {
    for depth in [2, 3, 10_000] {
        let body = format!("{}1{}", "{x:items(".repeat(depth), ")}".repeat(depth));
        let entry = format!("[http.a.routes.r]\nmode = \"read\"\nrequest = \"POST /a\"\nbody = '{body}'\n");
        refused(&entry, "{x:items(…)} cannot stand inside items(…)");
    }
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
