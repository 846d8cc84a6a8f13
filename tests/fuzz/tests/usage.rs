//! What statements use, told from their texts, against PostgreSQL's own parser.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../support/random.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod random;

use std::collections::BTreeSet;

use raito_core::text::PathPart;
use raito_core::uses::uses;
use random::Random;

/// Makes statements of the parts that SQL has, with every relation under a name of its own.
struct Maker<'r> {
    random: &'r mut Random,
    relations: usize,
    queries: Vec<String>,
    depth: usize,
}

impl Maker<'_> {
    fn relation(&mut self) -> String {
        self.relations += 1;
        let number = self.relations;
        match self.random.below(4) {
            0 => format!("s.t{number}"),
            1 => format!("\"t{number}\""),
            2 => format!("T{number}"),
            _ => format!("t{number}"),
        }
    }

    fn one(&mut self, of: &[&str]) -> String {
        self.random.pick(of).to_string()
    }

    fn value(&mut self) -> String {
        if self.depth > 5 {
            return "1".into();
        }
        self.depth += 1;
        let value = match self.random.below(16) {
            0 => format!("(select max(x) from {})", self.relation()),
            1 => format!("exists ({})", self.query()),
            2 => format!("extract(epoch from {})", self.value()),
            3 => "substring(a.b from 2 for 3)".into(),
            4 => format!("trim(both 'from' from {})", self.value()),
            5 => format!("{} is distinct from {}", self.value(), self.value()),
            6 => format!("case when {} then {} else 'from x' end", self.value(), self.value()),
            7 => format!("x in (table {})", self.relation()),
            8 => format!("array({})", self.query()),
            9 => format!("f({}, {})", self.value(), self.value()),
            10 => format!("({}) and ({})", self.value(), self.value()),
            11 => "$$ from d $$ || $1 /* from c */".into(),
            12 => format!("x = any ({})", self.query()),
            13 => "count(*) filter (where x) over (partition by y order by z rows between 1 preceding and current row)"
                .into(),
            14 => format!("row({}, {})", self.value(), self.value()),
            _ => self.one(&["1", "a.b", "'from'", "\"from\"", "e'\\' from x'", "current_date", "- 1", "null"]),
        };
        self.depth -= 1;
        value
    }

    fn item(&mut self) -> String {
        if self.depth > 5 {
            return self.relation();
        }
        self.depth += 1;
        let item = match self.random.below(12) {
            0 => format!("({}) q", self.query()),
            1 => format!("lateral ({}) as q (a, b)", self.query()),
            2 => format!("f({}) with ordinality as r (x, y)", self.value()),
            3 => "rows from (f(1), g(2)) as r".into(),
            4 => format!("({} join {} on {})", self.item(), self.item(), self.value()),
            5 => format!("{} left join {} using (x)", self.item(), self.relation()),
            6 => format!("{} natural join {} cross join {}", self.relation(), self.relation(), self.relation()),
            7 => format!("only {} as o", self.relation()),
            8 => format!("{} * tablesample system (1) repeatable (2)", self.relation()),
            9 if !self.queries.is_empty() => {
                let at = self.random.below(self.queries.len());
                self.queries[at].clone()
            }
            10 => format!("(values (1, {}), (2, 3)) v", self.value()),
            _ => format!("{} as x", self.relation()),
        };
        self.depth -= 1;
        item
    }

    fn query(&mut self) -> String {
        if self.depth > 6 {
            return format!("select * from {}", self.relation());
        }
        self.depth += 1;
        let mut query = match self.random.below(8) {
            0 => format!("({}) union all ({})", self.query(), self.query()),
            1 => format!("select 1 except {}", self.query()),
            2 => format!("table {}", self.relation()),
            3 => "values (1), (2)".into(),
            _ => {
                let distinct = self.one(&["", "distinct ", "all ", "distinct on (x) "]);
                let mut text = format!("select {distinct}{} as a, {}", self.value(), self.value());
                text.push_str(&format!(" from {}", self.item()));
                for _ in 0..self.random.below(3) {
                    text.push_str(&format!(", {}", self.item()));
                }
                if self.random.chance(50) {
                    text.push_str(&format!(" where {}", self.value()));
                }
                if self.random.chance(20) {
                    text.push_str(&format!(" group by a, b having {}", self.value()));
                }
                text
            }
        };
        if self.random.chance(15) {
            query.push_str(" order by 1, 2 limit 3 offset 4");
        }
        self.depth -= 1;
        query
    }

    fn with(&mut self) -> String {
        if !self.random.chance(40) {
            return String::new();
        }
        let mut parts = Vec::new();
        for _ in 0..=self.random.below(2) {
            let name = format!("c{}", self.queries.len());
            let body = match self.random.below(4) {
                0 => format!("insert into {} {} returning *", self.relation(), self.query()),
                1 => {
                    format!("delete from {} using {} where {} returning x", self.relation(), self.item(), self.value())
                }
                _ => self.query(),
            };
            let how = self.one(&["", "materialized ", "not materialized "]);
            parts.push(format!("{name} (a, b) as {how}({body})"));
            self.queries.push(name);
        }
        format!("with {} ", parts.join(", "))
    }

    fn statement(&mut self) -> String {
        let with = self.with();
        let body = match self.random.below(7) {
            0 => format!(
                "insert into {} as i (a, b) {} on conflict (a) do update set a = excluded.a, b = {} returning a, b",
                self.relation(),
                self.query(),
                self.value()
            ),
            1 => format!(
                "update {} as u set a = {}, (b, c) = (select 1, 2 from {}) from {}, {} where {} returning *",
                self.relation(),
                self.value(),
                self.relation(),
                self.item(),
                self.item(),
                self.value()
            ),
            2 => format!(
                "delete from only {} d using {}, {} where {}",
                self.relation(),
                self.item(),
                self.item(),
                self.value()
            ),
            3 => format!(
                "merge into {} m using {} on {} when matched and {} then update set a = {}, b = 2 when not matched then \
                 insert (a, b) values (1, {})",
                self.relation(),
                self.item(),
                self.value(),
                self.value(),
                self.value(),
                self.value()
            ),
            _ => self.query(),
        };
        format!("{with}{body}")
    }
}

/// What PostgreSQL's parser finds: all relations, and those that are changed. The first are looked for in all of
/// its tree, since the library passes over parts of MERGE.
fn theirs(text: &str) -> Option<(BTreeSet<String>, BTreeSet<String>)> {
    let parsed = pg_query::parse(text, 0).ok()?;
    let tree = format!("{:?}", parsed.protobuf);
    let mut named = BTreeSet::new();
    for part in tree.split("RangeVar { ").skip(1) {
        let field = |name: &str| {
            let (_, rest) = part.split_once(&format!("{name}: \""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let (schema, relation) = (field("schemaname")?, field("relname")?);
        // Queries of WITH are called c0, c1 …
        if schema.is_empty() && relation.starts_with('c') {
            continue;
        }
        named.insert(if schema.is_empty() { relation } else { format!("{schema}.{relation}") });
    }
    Some((named, parsed.dml_tables().into_iter().collect()))
}

fn ours(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let named = uses(text, "postgresql").unwrap_or_else(|unclear| panic!("{unclear}: {text}"));
    let (mut all, mut changed) = (BTreeSet::new(), BTreeSet::new());
    for one in named {
        let path: Vec<&str> = one.parts.iter().map(PathPart::as_str).collect();
        if one.action.as_str() != "SELECT" {
            changed.insert(path.join("."));
        }
        all.insert(path.join("."));
    }
    (all, changed)
}

#[test]
fn relations_of_random_statements_are_those_that_postgresql_names() {
    let mut random = Random::from_environment("relations_of_random_statements");
    let mut compared = 0;
    for round in 0..20_000 {
        let mut maker = Maker { random: &mut random, relations: 0, queries: Vec::new(), depth: 0 };
        let text = maker.statement();
        let Some(theirs) = theirs(&text) else { continue };
        compared += 1;
        assert_eq!(ours(&text), theirs, "round {round}: {text}");
    }
    assert!(compared > 10_000, "PostgreSQL takes only {compared} of the statements");
}
