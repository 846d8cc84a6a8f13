//! The gate that every read statement passes: it is one query, and everything that it could run or read is known.
//!
//! A READ ONLY transaction is not enough: COPY … TO PROGRAM, SET TRANSACTION READ WRITE, COMMIT and functions such as
//! `dblink_exec`, `pg_reload_conf` and `lo_create` all get through it (tried on PostgreSQL 15 and 18). So the host parses
//! the statement, refuses whatever is no plain query, and collects the functions and the relations that it names. What
//! the parser does not understand is refused. The session's `search_path` is `pg_catalog` alone, so that a name without a
//! schema, an operator, or a function that is called by writing `row.function`, can mean nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::functions::HOST_FUNCTIONS;

/// Why a statement is no read statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadGateError {
    /// The parser does not understand it.
    #[error("it is not understood, so it cannot be known to only read: {0}")]
    Syntax(String),
    /// It is not exactly one statement.
    #[error("it is {0} statements, and a read statement is one")]
    Count(usize),
    /// It is something else than SELECT, VALUES or SHOW.
    #[error("{0} is no read: write one SELECT, VALUES or SHOW")]
    NotARead(String),
}

/// Schemas whose relations describe the database and hold no rows of its users.
const CATALOGUES: [&str; 2] = ["pg_catalog", "information_schema"];

/// Relations of the catalogue that hold secrets, texts of other people's statements, or samples of their rows: they are
/// named like any relation of a user.
const TELLING: [&str; 17] = [
    "pg_authid",
    "pg_cursors",
    "pg_file_settings",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_largeobject",
    "pg_prepared_statements",
    "pg_shadow",
    "pg_stat_activity",
    "pg_statistic",
    "pg_statistic_ext_data",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_subscription",
    "pg_user_mapping",
    "pg_user_mappings",
];

/// What a read statement uses beyond the host's lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// Functions, in lower case, with their schema where they have one.
    pub calls: BTreeSet<String>,
    /// Relations outside the catalogues, with their schema; `*` stands for any.
    pub relations: BTreeSet<String>,
}

/// One function or relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Use<'r> {
    /// A function.
    Call(&'r str),
    /// A relation.
    Relation(&'r str),
}

impl fmt::Display for Use<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(name) => write!(out, "the function {}", crate::text::escape(name)),
            Self::Relation("*") => out.write_str("a relation chosen at run time"),
            Self::Relation(name) => write!(out, "the relation {}", crate::text::escape(name)),
        }
    }
}

impl Use<'_> {
    /// What the manifest has to say for it.
    pub(super) fn how_to_name(&self) -> String {
        match self {
            Self::Call(name) => format!("write calls = [\"{}\"]", crate::text::escape(name)),
            Self::Relation(name) => format!("write relations = [\"{}\"]", crate::text::escape(name)),
        }
    }
}

impl Reads {
    /// What a manifest declares.
    pub(super) fn new(calls: &[String], relations: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { calls: lower(calls), relations: relations.iter().cloned().collect() }
    }

    /// The first use that `declared` does not cover.
    pub(super) fn first_beyond<'r>(&'r self, declared: &Self) -> Option<Use<'r>> {
        let call = self.calls.iter().find(|call| !declared.calls.contains(*call));
        if let Some(call) = call {
            return Some(Use::Call(call));
        }
        let any = declared.relations.contains("*");
        let relation = self.relations.iter().find(|relation| !any && !declared.relations.contains(*relation));
        relation.map(|relation| Use::Relation(relation))
    }

    /// Turns relations of this schema, which stand for ones that a call chooses, into `*`.
    pub(super) fn name_chosen_relations(&mut self, schema: &str) {
        let prefix = format!("{schema}.");
        let before = self.relations.len();
        self.relations.retain(|relation| !relation.starts_with(&prefix));
        if self.relations.len() < before {
            self.relations.insert("*".into());
        }
    }
}

/// Says whether a function is on the host's list.
pub fn is_host_function(name: &str) -> bool {
    HOST_FUNCTIONS.binary_search(&name).is_ok()
}

/// Checks that a text is one read statement, and says what it uses beyond the host's lists.
///
/// # Errors
/// `ReadGateError` where it is anything else, or is not understood.
pub fn gate_read(text: &str) -> Result<Reads, ReadGateError> {
    let statements =
        Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(|error| ReadGateError::Syntax(error.to_string()))?;
    let [statement] = statements.as_slice() else { return Err(ReadGateError::Count(statements.len())) };
    match statement {
        Statement::Query(_) => {}
        Statement::ShowVariable { .. } => return Ok(Reads::default()),
        other => return Err(ReadGateError::NotARead(first_word(&other.to_string()))),
    }
    let mut gate = Gate::default();
    if let ControlFlow::Break(refusal) = statement.visit(&mut gate) {
        return Err(ReadGateError::NotARead(*refusal));
    }
    Ok(gate.reads)
}

fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("nothing").to_owned()
}

#[derive(Default)]
struct Gate {
    reads: Reads,
}

type Verdict = ControlFlow<Box<String>>;

fn refuse(what: &str) -> Verdict {
    ControlFlow::Break(Box::new(what.to_owned()))
}

impl Gate {
    fn call(&mut self, name: &ObjectName) -> Verdict {
        let Some(parts) = plain_parts(name) else { return refuse("a function whose name is no name") };
        let name = match parts.as_slice() {
            [name] => name.clone(),
            [schema, name] if schema == "pg_catalog" => name.clone(),
            _ => parts.join("."),
        };
        if !is_host_function(&name) {
            self.reads.calls.insert(name);
        }
        ControlFlow::Continue(())
    }

    fn relation(&mut self, schema: Option<&str>, name: &str) {
        // Without a schema it is one of the catalogue, or a name that the statement itself gives.
        let catalogue = schema.is_none_or(|schema| CATALOGUES.contains(&schema));
        if !catalogue || TELLING.contains(&name) {
            self.reads.relations.insert(format!("{}.{name}", schema.unwrap_or("pg_catalog")));
        }
    }

    /// A type outside the catalogue brings functions of its own, which read and write its values.
    fn data_type(&mut self, kind: &DataType) {
        match kind {
            DataType::Custom(name, _) => {
                if let Some(parts) = plain_parts(name)
                    && let [schema, name] = parts.as_slice()
                    && !CATALOGUES.contains(&schema.as_str())
                {
                    self.reads.calls.insert(format!("{schema}.{name}"));
                }
            }
            DataType::Array(inner) => {
                use sqlparser::ast::ArrayElemTypeDef::{AngleBracket, None, Parenthesis, Qualified, SquareBracket};
                match inner {
                    None => {}
                    AngleBracket(inner) | SquareBracket(inner, _) | Parenthesis(inner) | Qualified(inner, _) => {
                        self.data_type(inner);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The parts of a name, as the server would read them: lower case unless quoted.
fn plain_parts(name: &ObjectName) -> Option<Vec<String>> {
    let part = |part: &sqlparser::ast::ObjectNamePart| {
        let ident = part.as_ident()?;
        Some(if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_ascii_lowercase() })
    };
    name.0.iter().map(part).collect()
}

impl Visitor for Gate {
    type Break = Box<String>;

    fn pre_visit_statement(&mut self, statement: &Statement) -> Verdict {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            other => refuse(&first_word(&other.to_string())),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> Verdict {
        if !query.locks.is_empty() {
            return refuse("FOR UPDATE");
        }
        if query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty()
        {
            return refuse("a clause of another dialect");
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) => refuse("INSERT"),
            SetExpr::Update(_) => refuse("UPDATE"),
            SetExpr::Delete(_) => refuse("DELETE"),
            SetExpr::Merge(_) => refuse("MERGE"),
            SetExpr::Table(table) => {
                if let Some(name) = &table.table_name {
                    self.relation(table.schema_name.as_deref(), name);
                }
                ControlFlow::Continue(())
            }
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } | SetExpr::Values(_) => {
                ControlFlow::Continue(())
            }
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> Verdict {
        if select.into.is_some() {
            return refuse("SELECT INTO");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Verdict {
        let Some(parts) = plain_parts(relation) else { return refuse("a relation whose name is no name") };
        match parts.as_slice() {
            [name] => self.relation(None, name),
            [schema, name] => self.relation(Some(schema), name),
            _ => {
                self.reads.relations.insert(parts.join("."));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Verdict {
        match factor {
            TableFactor::Table { name, args: Some(_), sample: None, .. } | TableFactor::Function { name, .. } => {
                self.call(name)
            }
            TableFactor::Table { sample: None, .. }
            | TableFactor::Derived { sample: None, .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            _ => refuse("this kind of FROM item"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Verdict {
        match expr {
            Expr::Function(function) => self.call(&function.name),
            Expr::Cast { data_type, .. } => {
                self.data_type(data_type);
                ControlFlow::Continue(())
            }
            Expr::TypedString(typed) => {
                self.data_type(&typed.data_type);
                ControlFlow::Continue(())
            }
            Expr::BinaryOp { op: BinaryOperator::PGCustomBinaryOperator(path), .. } => {
                if path.len() > 1 && path.first().map(String::as_str) != Some("pg_catalog") {
                    return refuse("an operator of another schema");
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, calls: &[&str], relations: &[&str]) {
        let reads = gate_read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reads.calls.iter().map(String::as_str).collect::<Vec<_>>(), calls, "{text}");
        assert_eq!(reads.relations.iter().map(String::as_str).collect::<Vec<_>>(), relations, "{text}");
    }

    #[test]
    fn catalogue_queries_pass() {
        check("select oid::text, rolname from pg_roles where oid > $1::bigint::oid order by oid limit 5000", &[], &[]);
        check(
            "select a.grantee::bigint from pg_catalog.pg_class c, lateral aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a",
            &[],
            &[],
        );
        check("with r as (select 1 as x) select * from r union all values (2)", &[], &[]);
        check("select * from (table pg_catalog.pg_roles) r", &[], &[]);
        check("show server_version_num", &[], &[]);
        check("with t as (select 1) select * from t", &[], &[]);
    }

    #[test]
    fn what_is_not_on_the_lists_is_named() {
        check("select pg_reload_conf()", &["pg_reload_conf"], &[]);
        check("select * from dblink_exec('x', 'y')", &["dblink_exec"], &[]);
        check("select lo_create(0)", &["lo_create"], &[]);
        check("select \"LOWER\"('x')", &["LOWER"], &[]);
        check("select public.lower('x')", &["public.lower"], &[]);
        check("select (select x.f() from sales.orders) ", &["x.f"], &["sales.orders"]);
        check("select 'a'::public.evil", &["public.evil"], &[]);
        check("select array['a']::public.evil[]", &["public.evil"], &[]);
        check("select 1 order by pg_sleep(1)", &["pg_sleep"], &[]);
        check("select count(*) filter (where pg_sleep(1) is null) from pg_roles", &["pg_sleep"], &[]);
        check("select 1 from pg_roles group by pg_sleep(1) having pg_sleep(2) is null", &["pg_sleep"], &[]);
        check("select sum(1) over (partition by pg_sleep(1)) from pg_roles", &["pg_sleep"], &[]);
        check("select * from pg_roles limit (select f())", &["f"], &[]);
        check("values (pg_sleep(1))", &["pg_sleep"], &[]);
        check("select * from a.b join c.d on true", &[], &["a.b", "c.d"]);
        check("select * from (table sales.orders) o", &[], &["sales.orders"]);
        check("select case when pg_sleep(1) is null then 1 end", &["pg_sleep"], &[]);
        check("select array(select pg_sleep(1))", &["pg_sleep"], &[]);
        check("select rolpassword from pg_authid", &[], &["pg_catalog.pg_authid"]);
        check("with pg_authid as (select 1) select * from pg_catalog.pg_shadow", &[], &["pg_catalog.pg_shadow"]);
        check("select interval '1 day' * pg_sleep(1)", &["pg_sleep"], &[]);
        check("select substring(f() from 1 for 2), extract(epoch from g()), trim(h())", &["f", "g", "h"], &[]);
    }

    #[test]
    fn what_could_write_is_refused() {
        for text in [
            "update pg_class set relname = 'x'",
            "with x as (delete from t returning *) select * from x",
            "with x as (insert into t values (1) returning *) select * from x",
            "commit",
            "set transaction read write",
            "copy (select 1) to program 'sh'",
            "select 1; select 2",
            "select 1 into t",
            "select * from t for update",
            "explain analyze select 1",
            "do $$ begin end $$",
            "call p()",
            "select 1 operator(public.+) 2",
            "select * from t tablesample evil(1)",
            "",
            "select from where from",
            "prepare x as select 1",
            "execute x",
            "begin",
            "reset all",
            "lock table t",
            "listen x",
            "vacuum",
            "create table t as select 1",
            "truncate t",
            "merge into t using s on true when matched then delete",
            "grant select on t to public",
        ] {
            assert!(gate_read(text).is_err(), "{text}");
        }
    }
}
