//! What a statement uses, told from its text, for targets that keep texts and do not tell the objects.
//!
//! Names are taken as they stand: which objects they mean is for whoever knows the objects. Utility statements, which use no
//! rows, name nothing. What the parser does not understand is an error, so that nobody takes it for a statement without uses.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    CopySource, FromTable, Ident, ObjectName, Query, Statement, TableFactor, TableObject, TableWithJoins, Visit,
    Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::limits;
use crate::record::Named;
use crate::text::{PathPart, PermissionName};

/// Why nobody can tell what a statement uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The parser does not understand it.
    #[error("the text is not understood")]
    Text,
    /// The dialect is none that the host knows.
    #[error("the dialect is not known")]
    Dialect,
    /// It names more than a record may hold, or something that is no name.
    #[error("it names too much, or what is no name")]
    Names,
}

/// The relations that a statement names, each with what it does with them: `SELECT`, `INSERT`, `UPDATE`, `DELETE` or
/// `TRUNCATE`.
///
/// # Errors
/// `Unclear` where nobody can tell.
pub fn uses(text: &str, dialect: &str) -> Result<Vec<Named>, Unclear> {
    if dialect != "postgresql" {
        return Err(Unclear::Dialect);
    }
    // COPY … FROM STDIN ends with a semicolon for the parser, since rows may follow.
    let is_copy = text.trim_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case("copy"));
    let whole =
        if is_copy { Cow::Owned(format!("{};", text.trim_end().trim_end_matches(';'))) } else { Cow::Borrowed(text) };
    let statements = Parser::parse_sql(&PostgreSqlDialect {}, &whole).map_err(|_| Unclear::Text)?;
    let mut names = Names::default();
    for statement in statements.iter().filter(|statement| uses_rows(statement)) {
        if let ControlFlow::Break(unclear) = statement.visit(&mut names) {
            return Err(unclear);
        }
    }
    names.finish()
}

fn uses_rows(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Query(_)
            | Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Truncate(_)
            | Statement::Copy { .. }
    )
}

/// A name as the server reads it: in lower case unless it is quoted.
type Path = Vec<String>;

#[derive(Default)]
struct Names {
    /// Every relation that is named, as often as it is.
    named: Vec<Path>,
    /// Those of them that are changed, with what is done.
    changed: Vec<(Path, &'static str)>,
    /// Names that the statement gives to queries of its own.
    own: BTreeSet<String>,
    /// Those of them that mean a relation within the query that they are given to.
    meant: BTreeSet<String>,
}

impl Names {
    fn change(&mut self, name: &ObjectName, action: &'static str) -> ControlFlow<Unclear> {
        let Some(path) = path(name) else { return ControlFlow::Break(Unclear::Names) };
        self.changed.push((path, action));
        ControlFlow::Continue(())
    }

    fn change_tables(&mut self, tables: &[TableWithJoins], action: &'static str) -> ControlFlow<Unclear> {
        for table in tables {
            if let TableFactor::Table { name, .. } = &table.relation {
                self.change(name, action)?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Each name once. One that is changed was visited as any other, and counts there no more.
    fn finish(mut self) -> Result<Vec<Named>, Unclear> {
        for (path, _) in &self.changed {
            if let Some(at) = self.named.iter().position(|named| named == path) {
                self.named.swap_remove(at);
            }
        }
        let is_own = |path: &Path| match path.as_slice() {
            [name] => self.own.contains(name) && !self.meant.contains(name),
            _ => false,
        };
        let read = self.named.iter().filter(|path| !is_own(path)).map(|path| (path.clone(), "SELECT"));
        let all: BTreeSet<(Path, &str)> = self.changed.iter().cloned().chain(read).collect();
        if all.len() > limits::FACT_PERMISSIONS {
            return Err(Unclear::Names);
        }
        let named = |(path, action): (Path, &str)| {
            let parts: Result<Vec<PathPart>, _> = path.into_iter().map(PathPart::new).collect();
            let action = PermissionName::new(action).map_err(|_| Unclear::Names)?;
            Ok(Named { parts: parts.map_err(|_| Unclear::Names)?, action })
        };
        all.into_iter().map(named).collect()
    }
}

fn path(name: &ObjectName) -> Option<Path> {
    name.0.iter().map(|part| part.as_ident().map(folded)).collect()
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

impl Visitor for Names {
    type Break = Unclear;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Unclear> {
        let Some(path) = path(relation) else { return ControlFlow::Break(Unclear::Names) };
        self.named.push(path);
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<Unclear> {
        match statement {
            Statement::Insert(insert) => match &insert.table {
                TableObject::TableName(name) => self.change(name, "INSERT"),
                _ => ControlFlow::Break(Unclear::Names),
            },
            Statement::Update(update) => self.change_tables(std::slice::from_ref(&update.table), "UPDATE"),
            Statement::Delete(delete) => match &delete.from {
                FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables) => {
                    self.change_tables(tables, "DELETE")
                }
            },
            Statement::Merge(merge) => match &merge.table {
                TableFactor::Table { name, .. } => {
                    merge_actions(merge).try_for_each(|action| self.change(name, action))
                }
                _ => ControlFlow::Break(Unclear::Names),
            },
            Statement::Truncate(truncate) => {
                truncate.table_names.iter().try_for_each(|target| self.change(&target.name, "TRUNCATE"))
            }
            Statement::Copy { source: CopySource::Table { table_name, .. }, to, .. } => {
                self.change(table_name, if *to { "SELECT" } else { "INSERT" })
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Unclear> {
        let Some(with) = &query.with else { return ControlFlow::Continue(()) };
        for cte in &with.cte_tables {
            let name = folded(&cte.alias.name);
            // Only a recursive query can name itself; in any other the name means what it means outside.
            let mut within = Names::default();
            cte.query.visit(&mut within)?;
            if !with.recursive && within.named.iter().any(|path| *path == [name.clone()]) {
                self.meant.insert(name.clone());
            }
            self.own.insert(name);
        }
        ControlFlow::Continue(())
    }
}

fn merge_actions(merge: &sqlparser::ast::Merge) -> impl Iterator<Item = &'static str> {
    use sqlparser::ast::MergeAction;
    merge.clauses.iter().filter_map(|clause| match clause.action {
        MergeAction::Insert(_) => Some("INSERT"),
        MergeAction::Update { .. } => Some("UPDATE"),
        MergeAction::Delete { .. } => Some("DELETE"),
        #[allow(unreachable_patterns, reason = "further dialects have further actions")]
        _ => None,
    })
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
        assert_eq!(
            told("select * from sales.orders o join Customers c on o.c = c.id"),
            ["SELECT customers", "SELECT sales.orders"]
        );
        assert_eq!(told("insert into a select * from b returning id"), ["INSERT a", "SELECT b"]);
        assert_eq!(told("update a set x = $1 from b where a.id = b.id"), ["SELECT b", "UPDATE a"]);
        assert_eq!(told("delete from only_a using b where true"), ["DELETE only_a", "SELECT b"]);
        assert_eq!(told("truncate a, s.b"), ["TRUNCATE a", "TRUNCATE s.b"]);
        assert_eq!(told("copy s.a (x) to stdout"), ["SELECT s.a"]);
        assert_eq!(told("copy a from stdin"), ["INSERT a"]);
        assert_eq!(
            told("select (select max(x) from b) from \"A b\" where exists (select from c)"),
            ["SELECT A b", "SELECT b", "SELECT c"]
        );
        assert_eq!(told("insert into a select * from a"), ["INSERT a", "SELECT a"]);
        let merge = "merge into a using b on a.x = b.x when matched then update set y = 1 when not matched then insert (x) values (1)";
        assert_eq!(told(merge), ["INSERT a", "SELECT b", "UPDATE a"]);
    }

    #[test]
    fn names_of_own_queries_are_no_relations() {
        assert_eq!(told("with t as (select * from a) select * from t"), ["SELECT a"]);
        assert_eq!(told("with recursive t as (select 1 union select * from t) select * from t"), [""; 0]);
        assert_eq!(told("with t as (select * from t) select * from t"), ["SELECT t"]);
        assert_eq!(
            told("with gone as (delete from a returning *) insert into b select * from gone"),
            ["DELETE a", "INSERT b"]
        );
    }

    #[test]
    fn what_uses_no_rows_names_nothing_and_what_is_not_understood_is_unclear() {
        for text in ["set x = 1", "begin", "create table t (id int)", "select 1", "explain select * from a"] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
        for text in ["select * from (a", "<insufficient privilege>", "select * from a where \u{0}"] {
            assert_eq!(uses(text, "postgresql"), Err(Unclear::Text), "{text}");
        }
        assert_eq!(uses("select 1", "cobol"), Err(Unclear::Dialect));
    }
}
