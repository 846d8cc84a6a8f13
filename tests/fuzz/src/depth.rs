//! Texts that nest as deep as asked, in every way that a parser may follow, and texts that are as
//! wide.

use raito_core::limits;

/// A way to nest, or to go on side by side.
pub struct Shape {
    /// Its name.
    pub name: &'static str,
    /// Whether its parts stand in each other.
    pub is_deep: bool,
    /// A text of so many levels, or parts.
    pub make: fn(usize) -> String,
}

/// The shapes for a target of this crate, and the bytes that its longest text may have. A target
/// without a language has none.
pub fn shapes(target: &str) -> (&'static [Shape], usize) {
    match target {
        "manifest" => (&MANIFESTS, limits::MANIFEST_BYTES),
        "configuration" | "code" => (&YAML, limits::CONFIG_BYTES),
        "documents" => (&JSON, limits::UPLOAD_LINE_BYTES),
        "filters" => (&FILTERS, limits::MANIFEST_BYTES),
        "statements" => (&STATEMENTS, limits::MANIFEST_BYTES),
        "texts" => (&TEXTS, limits::ARGUMENT_BYTES),
        _ => (&[], 0),
    }
}

const fn deep(name: &'static str, make: fn(usize) -> String) -> Shape {
    Shape { name, is_deep: true, make }
}

const fn wide(name: &'static str, make: fn(usize) -> String) -> Shape {
    Shape { name, is_deep: false, make }
}

/// `inner` in `depth` pairs of `open` and `close`.
fn within(open: &str, inner: &str, close: &str, depth: usize) -> String {
    [&open.repeat(depth), inner, &close.repeat(depth)].concat()
}

/// Lines that each begin further in than the one before: every second one where `two` of them may
/// begin in one column.
fn stairs(steps: [&str; 2], depth: usize) -> String {
    let in_one_column = if steps[0] == steps[1] { 1 } else { 2 };
    (0..depth).map(|at| format!("{}{}\n", " ".repeat(at / in_one_column), steps[at % 2])).collect()
}

const YAML: [Shape; 21] = [
    deep("lists in brackets", |depth| format!("a: {}\n", within("[", "", "]", depth))),
    deep("lists in brackets over lines", |depth| format!("a: {}\n", within("[\n ", "", "\n ]", depth))),
    deep("open lists", |depth| format!("a: {}\n", "[".repeat(depth))),
    deep("mappings in braces", |depth| format!("a: {}\n", within("{a: ", "1", "}", depth))),
    deep("open mappings", |depth| format!("a: {}\n", "{a: ".repeat(depth))),
    deep("lists and mappings", |depth| format!("a: {}\n", within("[{a: ", "1", "}]", depth))),
    deep("dashes on a line", |depth| format!("a:\n{}x\n", "- ".repeat(depth))),
    deep("keys on a line", |depth| format!("{}x\n", "? ".repeat(depth))),
    deep("values on a line", |depth| format!("{}x\n", ": ".repeat(depth))),
    deep("dashes with tabs", |depth| format!("a:\n{}x\n", "-\t".repeat(depth))),
    deep("dashes on lines", |depth| format!("a:\n{}", stairs(["-", "-"], depth))),
    deep("keys on lines", |depth| stairs(["a:", "a:"], depth)),
    deep("keys and dashes", |depth| stairs(["a:", "-"], depth)),
    deep("everything that nests", |depth| {
        let column = " ".repeat(depth / 2 + 1);
        format!("{}{column}{}\n", stairs(["a:", "-"], depth), within("{a: ", "1", "}", depth.min(250)))
    }),
    deep("texts that go back", |depth| {
        (0..depth).map(|at| format!("{}a: \"x\n{}y\"\n", " ".repeat(at), " ".repeat(at + 1))).collect()
    }),
    wide("anchors", |depth| (0..depth).map(|at| format!("a{at}: &a{at} [*a{at}, *a{at}]\n")).collect()),
    deep("tags", |depth| format!("a: {}x\n", "!t ".repeat(depth))),
    wide("documents", |depth| "--- a\n".repeat(depth)),
    wide("items", |depth| format!("grants:\n{}", "  - { name: x, who: [{ user: a }] }\n".repeat(depth))),
    wide("keys", |depth| (0..depth).map(|at| format!("k{at}: 1\n")).collect()),
    wide("comments", |depth| format!("a: 1\n{}", "# x\n".repeat(depth))),
];

const HEAD: &str = "name = \"a\"\nversion = \"1.0.0\"\nsummary = \"\"\n";

fn body(body: &str) -> String {
    format!(
        "{HEAD}[http.api]\nhelp = \"\"\n[http.api.routes.r]\nmode = \"read\"\nrequest = \"POST /x\"\nbody = '''{body}'''\n"
    )
}

fn request(target: &str) -> String {
    format!("{HEAD}[http.api]\nhelp = \"\"\n[http.api.routes.r]\nmode = \"read\"\nrequest = '''GET /{target}'''\n")
}

fn search(base: &str, filter: &str) -> String {
    format!(
        "{HEAD}[ldap.d]\nhelp = \"\"\n[ldap.d.searches.s]\nbase = '''{base}'''\nscope = \"base\"\nattributes = [\"cn\"]\n\
         filter = '''{filter}'''\n"
    )
}

fn default(value: &str) -> String {
    format!("{HEAD}[settings.x]\ntype = \"list\"\nhelp = \"\"\n{value}\n")
}

const MANIFESTS: [Shape; 24] = [
    deep("dotted keys", |depth| format!("{HEAD}{} = 1\n", vec!["a"; depth + 1].join("."))),
    deep("dotted tables", |depth| format!("{HEAD}[{}]\n", vec!["a"; depth + 1].join("."))),
    deep("dotted lists of tables", |depth| format!("{HEAD}[[{}]]\n", vec!["a"; depth + 1].join("."))),
    deep("arrays", |depth| default(&format!("default = {}", within("[", "", "]", depth)))),
    deep("open arrays", |depth| default(&format!("default = {}", "[".repeat(depth)))),
    deep("inline tables", |depth| default(&format!("default = {}", within("{a = ", "1", "}", depth)))),
    deep("dotted keys inside", |depth| default(&format!("default.{} = 1", vec!["a"; depth + 1].join(".")))),
    deep("arrays of a body", |depth| body(&within("[", "", "]", depth))),
    deep("objects of a body", |depth| body(&within("{\"a\":", "1", "}", depth))),
    deep("items in items", |depth| body(&within("{a:items(", "1", ")}", depth))),
    deep("items in objects", |depth| body(&within("{a:items({\"x\":", "1", "})}", depth))),
    deep("items in texts", |depth| body(&format!("\"{}\"", within("{a:items(", "1", ")}", depth)))),
    deep("open placeholders", |depth| body(&format!("\"{}\"", "{a:".repeat(depth)))),
    deep("braces", |depth| body(&format!("\"{}:\"", "{x ".repeat(depth)))),
    wide("placeholders", |depth| {
        body(&format!("[{}1]", (0..depth).map(|at| format!("{{p{at}:text}},")).collect::<String>()))
    }),
    wide("marks", |depth| body(&format!("{{\"\\u0001\":\"{}{{a:id}}\\u00010\\u0002\"}}", "\\u0001".repeat(depth)))),
    wide("words", |depth| body(&format!("[{{a:keywords({})}}]", vec!["A"; depth + 1].join(",")))),
    deep("filters in filters", |depth| search("", &within("(!", "(a=1)", ")", depth))),
    wide("filters", |depth| search("", &format!("(&{})", "(a=1)".repeat(depth)))),
    wide("placeholders of filters", |depth| search("", &format!("(|{})", "(a={a:text})".repeat(depth)))),
    wide("names of directories", |depth| search(&vec!["dc=a"; depth + 1].join(","), "(a=1)")),
    wide("segments", |depth| request(&"{a:id}/".repeat(depth))),
    wide("parameters", |depth| request(&format!("x?{}", "a={b:id}&".repeat(depth)))),
    wide("entries", |depth| (0..depth).fold(body("1"), |all, at| format!("{all}[http.api.routes.r{at}]\n"))),
];

/// Statements that read.
const STATEMENTS: [Shape; 20] = [
    deep("parentheses of a value", |depth| format!("select {}", within("(", "1", ")", depth))),
    deep("open parentheses", |depth| format!("select {}", "(".repeat(depth))),
    deep("statements in parentheses", |depth| within("(", "select 1", ")", depth)),
    deep("subqueries", |depth| format!("select {}", within("(select ", "1", ")", depth))),
    deep("subqueries in FROM", |depth| within("select x.a from (", "select 1 as a", ") x", depth)),
    deep("joins in parentheses", |depth| {
        let joins = within("(", "pg_class c", " cross join pg_class d)", depth);
        format!("select 1 from {joins}")
    }),
    deep("open lists of WITH", |depth| format!("{}1", "with a as (select ".repeat(depth))),
    deep("calls", |depth| format!("select {}", within("lower(", "'a'", ")", depth))),
    deep("CASE", |depth| format!("select {}", within("case when true then ", "1", " end", depth))),
    deep("CASE and ELSE", |depth| format!("select {}", within("case when true then 1 else ", "1", " end", depth))),
    deep("NOT", |depth| format!("select {}true", "not ".repeat(depth))),
    deep("signs", |depth| format!("select {}1", "- ".repeat(depth))),
    deep("arrays", |depth| format!("select {}", within("array[", "1", "]", depth))),
    deep("subscripts", |depth| format!("select {}", within("a[", "1", "]", depth))),
    deep("EXISTS", |depth| format!("select {}", within("exists (select 1 where ", "true", ")", depth))),
    wide("casts", |depth| format!("select '1'{}", "::text".repeat(depth))),
    wide("AND", |depth| format!("select true{}", " and true".repeat(depth))),
    wide("sums", |depth| format!("select 1{}", " + 1".repeat(depth))),
    wide("columns", |depth| format!("select 1{}", ", 1".repeat(depth))),
    wide("UNION", |depth| format!("select 1{}", " union all select 1".repeat(depth))),
];

/// Rules of policies, and argument types.
const TEXTS: [Shape; 7] = [
    deep("parentheses", |depth| within("(", "a", ")", depth)),
    deep("open brackets", |depth| "([".repeat(depth)),
    deep("calls", |depth| within("f(", "a", ")", depth)),
    deep("comments in comments", |depth| within("/*", "", "*/", depth)),
    wide("OR", |depth| format!("a{}", " or a".repeat(depth))),
    wide("types", |depth| format!("integer{}", ", integer".repeat(depth))),
    wide("brackets of a type", |depth| format!("integer{}", "[]".repeat(depth))),
];

const FILTERS: [Shape; 6] = [
    deep("not", |depth| within("(!", "(a=1)", ")", depth)),
    deep("and", |depth| within("(&", "(a=1)", ")", depth)),
    deep("open", |depth| "(|".repeat(depth)),
    wide("side by side", |depth| format!("(&{})", "(a=1)".repeat(depth))),
    wide("pieces", |depth| format!("(a={})", "x*".repeat(depth))),
    wide("escapes", |depth| format!("(a={})", "\\2a".repeat(depth))),
];

/// A user whose tags are this.
fn user(tags: &str) -> String {
    format!("{{\"user\":{{\"external-id\":\"1\",\"user-name\":\"a\",\"display-name\":\"\",\"tags\":{tags}}}}}")
}

/// A scenario with an answer whose body is this.
fn scenario(json: &str) -> String {
    format!(
        "{{\"answers\":[{{\"slot\":\"http.api\",\"entry\":\"r\",\"answer\":{{\"http\":{{\"status\":200,\"body\":{{\"json\":{json}}}}}}}}}]}}"
    )
}

const JSON: [Shape; 10] = [
    deep("arrays", |depth| within("[", "", "]", depth)),
    deep("objects", |depth| within("{\"a\":", "1", "}", depth)),
    deep("open arrays", |depth| "[".repeat(depth)),
    deep("arrays of a line", |depth| user(&within("[", "", "]", depth))),
    deep("objects of a line", |depth| user(&within("{\"a\":", "1", "}", depth))),
    deep("what a plan does not know", |depth| format!("{{\"v\":1,\"x\":{}}}", within("[", "", "]", depth))),
    deep("targets of a plan", |depth| format!("{{\"v\":1,\"targets\":{}}}", within("[", "", "]", depth))),
    deep("bodies of a scenario", |depth| scenario(&within("[", "1", "]", depth))),
    deep("objects of a scenario", |depth| scenario(&within("{\"a\":", "1", "}", depth))),
    wide("items", |depth| scenario(&format!("[{}1]", "[],".repeat(depth)))),
];
