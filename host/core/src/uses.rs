//! Which relations a statement uses, from its text, for targets that keep texts and do not report objects.
//!
//! The text is somebody else's, up to 60,000 bytes of it, and as deep as they like. So it is not parsed
//! into a tree: its lexemes are walked once, with a stack of our own for parentheses (`walk`). Names are
//! taken as they are written; which objects they mean is for whoever knows the objects. Utility
//! statements, which use no rows, name nothing. A text that is not understood is an error, so that nobody
//! takes it for a statement without uses.

mod walk;

use std::collections::BTreeSet;

use crate::limits;
use crate::record::Named;
use crate::sql::scan::scan;
use crate::text::{PathPart, PermissionName};
use walk::Walk;

/// Why the uses of a statement are unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It is no statement.
    #[error("the text is not understood")]
    Text,
    /// The dialect is none that the host knows.
    #[error("the dialect is not known")]
    Dialect,
    /// It names more than a record may hold, or something that is no name.
    #[error("it names too much, or what is no name")]
    Names,
}

/// What a statement does with a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

/// A name as the server reads it: in lower case unless it is quoted.
type Path = Vec<String>;

/// The relations that a statement names, each with what it does with them: `SELECT`, `INSERT`, `UPDATE`,
/// `DELETE` or `TRUNCATE`.
///
/// # Errors
/// `Unclear` where that cannot be known.
pub fn uses(text: &str, dialect: &str) -> Result<Vec<Named>, Unclear> {
    if dialect != "postgresql" {
        return Err(Unclear::Dialect);
    }
    let lexemes = scan(text).map_err(|_| Unclear::Text)?;
    let mut all: BTreeSet<(Path, Action)> = BTreeSet::new();
    let is_semicolon = |lexeme: &crate::sql::scan::Lexeme| lexeme.of(text) == ";";
    for statement in lexemes.split(is_semicolon) {
        all.extend(Walk::new(text, statement).uses()?);
    }
    if all.len() > limits::FACT_PERMISSIONS {
        return Err(Unclear::Names);
    }
    let named = |(path, action): (Path, Action)| {
        let parts: Result<Vec<PathPart>, _> = path.into_iter().map(PathPart::new).collect();
        let action = PermissionName::new(action.word()).map_err(|_| Unclear::Names)?;
        Ok(Named { parts: parts.map_err(|_| Unclear::Names)?, action })
    };
    all.into_iter().map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<String> {
        let one = |named: Named| {
            let parts: Vec<&str> = named.parts.iter().map(PathPart::as_str).collect();
            format!("{} {}", named.action, parts.join("."))
        };
        let mut told: Vec<String> = uses(text, "postgresql")
            .unwrap_or_else(|unclear| panic!("{text}: {unclear}"))
            .into_iter()
            .map(one)
            .collect();
        told.sort();
        told
    }

    #[test]
    fn relations_are_told_with_what_is_done() {
        for (text, uses) in [
            (
                "select * from sales.orders o join Customers c on o.c = c.id",
                &["SELECT customers", "SELECT sales.orders"][..],
            ),
            ("insert into a select * from b returning id", &["INSERT a", "SELECT b"]),
            ("insert into a (x) values (1) on conflict (x) do update set x = excluded.x", &["INSERT a"]),
            ("insert into a table b", &["INSERT a", "SELECT b"]),
            ("update only a as t set x = $1 from b where t.id = b.id", &["SELECT b", "UPDATE a"]),
            ("delete from only_a using b, c where true", &["DELETE only_a", "SELECT b", "SELECT c"]),
            ("truncate a, only s.b restart identity cascade", &["TRUNCATE a", "TRUNCATE s.b"]),
            ("copy s.a (x) to stdout", &["SELECT s.a"]),
            ("copy a from stdin with (format csv)", &["INSERT a"]),
            ("copy (select * from a where x in (select y from b)) to stdout", &["SELECT a", "SELECT b"]),
            ("table a", &["SELECT a"]),
            ("insert into a select * from a", &["INSERT a", "SELECT a"]),
            (
                "select (select max(x) from b) from \"A b\" where exists (select from c)",
                &["SELECT A b", "SELECT b", "SELECT c"],
            ),
            (
                "merge into a using b on a.x = b.x when matched and b.y then update set y = 1 when not matched then insert (x) values (1)",
                &["INSERT a", "SELECT b", "UPDATE a"],
            ),
            ("create table n as select * from a", &["SELECT a"]),
            ("explain (analyze, buffers) delete from a", &["DELETE a"]),
            ("declare c cursor with hold for select * from a", &["SELECT a"]),
            ("select 1; select * from a;", &["SELECT a"]),
        ] {
            assert_eq!(told(text), uses, "{text}");
        }
    }

    #[test]
    fn from_is_a_clause_only_where_it_is_one() {
        for (text, uses) in [
            ("select extract(epoch from x), substring(y from 2), trim(both ' ' from z) from a", &["SELECT a"][..]),
            ("select x is distinct from y, x is not distinct from z from a", &["SELECT a"]),
            ("select distinct from a", &["SELECT a"]),
            (
                "select * from (a join b on a.x = b.x) join (c cross join d) on true, e",
                &["SELECT a", "SELECT b", "SELECT c", "SELECT d", "SELECT e"],
            ),
            ("select * from f(1) with ordinality as r (x, y), lateral g(r.x) s, a", &["SELECT a"]),
            ("select * from rows from (f(1), g(2)) as r, current_date, a tablesample system (1)", &["SELECT a"]),
            ("select * from a, lateral (select * from b where b.x = a.x) q", &["SELECT a", "SELECT b"]),
            ("((select * from a) union select * from b) except (table c)", &["SELECT a", "SELECT b", "SELECT c"]),
            (
                "select case when a.from_x then 1 end, count(*) filter (where x), array(select y from b) from a for update",
                &["SELECT a", "SELECT b"],
            ),
            ("select x as \"from\", 'from c', $$ from d $$ /* from e */ from a -- from f", &["SELECT a"]),
            (
                "select * from a join b using (x) where (select y from c) in (table d)",
                &["SELECT a", "SELECT b", "SELECT c", "SELECT d"],
            ),
        ] {
            assert_eq!(told(text), uses, "{text}");
        }
    }

    #[test]
    fn names_of_own_queries_are_no_relations() {
        for (text, uses) in [
            ("with t as (select * from a) select * from t", &["SELECT a"][..]),
            ("with recursive t as (select 1 union select * from t) select * from t", &[]),
            ("with t as (select * from t) select * from t", &["SELECT t"]),
            ("with recursive t (x) as (select * from u), u as not materialized (select 1) select * from t", &[]),
            ("with gone as (delete from a returning *) insert into b select * from gone", &["DELETE a", "INSERT b"]),
            ("with t as (select 1) select * from s.t", &["SELECT s.t"]),
            ("select * from (with t as (select 1) select * from t) q, t", &["SELECT t"]),
            (
                "with t as (select * from a), u as (select * from t) update b set x = 1 from u",
                &["SELECT a", "UPDATE b"],
            ),
        ] {
            assert_eq!(told(text), uses, "{text}");
        }
    }

    #[test]
    fn statements_without_rows_name_nothing_and_other_texts_are_unclear() {
        for text in [
            "set x = 1",
            "begin",
            "create table t (id int)",
            "select 1",
            "explain select * from a",
            "",
            "grant select on a to b",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
        for text in [
            "select * from (a",
            "<insufficient privilege>",
            "select * from a where \u{0}",
            "select * from",
            "selec * from a",
            "select * from a)",
        ] {
            assert_eq!(uses(text, "postgresql"), Err(Unclear::Text), "{text}");
        }
        assert_eq!(uses("select 1", "cobol"), Err(Unclear::Dialect));
    }

    #[test]
    fn a_text_of_any_depth_ends() {
        for text in [
            format!("select {}1{} from a", "(".repeat(30_000), ")".repeat(30_000)),
            format!("select 1{} from a", "+1".repeat(30_000)),
            format!("select * from {}a{}", "(".repeat(20_000), ")".repeat(20_000)),
        ] {
            assert_eq!(told(&text), ["SELECT a"]);
        }
        let nested = format!("{}select * from a{}", "select * from (".repeat(3_000), ") q".repeat(3_000));
        assert_eq!(told(&nested), ["SELECT a"]);
    }
}
