//! Statements that are near those of the manifests: what an attacker of the gate would try.

use std::path::Path;

/// What an attacker would put into a statement: what lexers read differently, functions in the clothes
/// of columns, relations in the clothes of sets, and clauses that the language does not have.
pub const HOSTILE: &[&str] = &[
    "$€$ /* $€$",
    "$$x$$",
    "$a$ $a$",
    "--",
    "/*",
    "*/",
    "-- x\n",
    "\r",
    "\u{0b}",
    "\u{a0}",
    "'",
    "''",
    "\"",
    "E'\\''",
    "e'a'",
    "U&'\\0041'",
    "b'1'",
    "x'1f'",
    "n'a'",
    "\\",
    "||--",
    "+-",
    "->>",
    "~*",
    "!~",
    "operator(pg_catalog.+)",
    "::text",
    "::public.evil",
    "::regproc",
    "::\"char\"",
    "[1]",
    "[1:2]",
    "[:]",
    ".*",
    "*",
    ".pg_sleep",
    ".pg_read_file",
    ".ts_stat",
    "(f).x",
    "row(1, 2)",
    "(1, 2)",
    "pg_sleep(1)",
    "public.evil('x')",
    "public.evil 'x'",
    "interval '1'",
    "lpad('x', 260000000)",
    "table pg_authid",
    "union table pg_authid",
    "union all select 1",
    "intersect select 2",
    "values (1)",
    "natural join pg_class",
    "join pg_class using (oid)",
    "cross join lateral (select 1 as x) q",
    "left join pg_class k on true",
    "tablesample system(1)",
    "for update",
    "into t",
    "group by cube (1)",
    "over ()",
    "within group (order by 1)",
    "filter (where true)",
    "order by 1 using <",
    "limit all",
    "fetch first row only",
    "with recursive r as (select 1) ",
    "with r as (select 1 as x) ",
    "collate \"C\"",
    "at time zone 'UTC'",
    "is distinct from",
    "is not null",
    "is unknown",
    "between 1 and 2",
    "between symmetric 1 and 2",
    "not",
    "not in (1)",
    "in (select 1)",
    "like 'a' escape 'b'",
    "similar to 'a'",
    "= any (array[1])",
    "<> all (select 1)",
    "exists (select 1)",
    "array(select 1)",
    "case when true then 1 end",
    "coalesce(1)",
    "nullif(1, 2)",
    "greatest(1)",
    "cast(1 as text)",
    "extract(epoch from now())",
    "current_user",
    "position('a' in 'b')",
    "substring('a' from 1)",
    "trim(both 'a')",
    "xmlelement(name a)",
    "$1",
    "$x::text",
    "{t:name}",
    ";",
    "; drop table t",
    "1.5",
    "1e5",
    "0x1f",
    "1_0",
    "-1",
    "- 1",
    "- -1",
    "(",
    ")",
    ",",
    ".",
    "as",
    "lateral",
    "distinct",
    "all",
    "null",
    "true",
    "a.b.c",
    "\"A b\"",
    "current_setting('is_superuser')",
    "set_config('a', 'b', true)",
    "prosrc",
    "rolpassword",
    "attmissingval",
    "information_schema.tables",
];

/// All read statements of the manifests in this repository.
///
/// # Panics
/// Where a manifest cannot be read.
pub fn manifests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut all = Vec::new();
    for path in ["connectors/postgresql/connector.toml", "tests/guests/chaos/connector.toml"] {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        for slot in manifest["sql"].as_table().expect("slots").values() {
            for statement in slot["statements"].as_table().expect("statements").values() {
                if statement["mode"].as_str() == Some("read") {
                    all.push(statement["text"].as_str().expect("a text").to_owned());
                }
            }
        }
    }
    all
}

/// Words, runs of blanks and single characters.
fn pieces(text: &str) -> Vec<&str> {
    let class = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => 0,
        ' ' | '\n' => 1,
        _ => 2,
    };
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut last = None;
    for (at, character) in text.char_indices() {
        let now = class(character);
        if last.is_some_and(|last| last != now || now == 2) {
            pieces.push(&text[start..at]);
            start = at;
        }
        last = Some(now);
    }
    pieces.push(&text[start..]);
    pieces
}

/// A statement near `text`, which may have parts of `others`. `below` gives a random number below its
/// argument.
pub fn near(text: &str, others: &[String], mut below: impl FnMut(usize) -> usize) -> String {
    let mut parts: Vec<String> = pieces(text).into_iter().map(str::to_owned).collect();
    for _ in 0..=below(3) {
        let at = below(parts.len());
        match below(6) {
            0 => {
                parts.remove(at);
            }
            1 => parts.insert(at, parts[at].clone()),
            2 => {
                let other = below(parts.len());
                parts.swap(at, other);
            }
            3 => {
                let other = pieces(&others[below(others.len())]).into_iter().map(str::to_owned).collect::<Vec<_>>();
                parts[at] = other[below(other.len())].clone();
            }
            4 => parts[at] = HOSTILE[below(HOSTILE.len())].to_owned(),
            _ => parts.insert(at, format!(" {} ", HOSTILE[below(HOSTILE.len())])),
        }
        if parts.is_empty() {
            break;
        }
    }
    parts.concat()
}
