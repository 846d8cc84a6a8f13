//! Name resolution: every relation, column, function, operator and type of a read statement is known,
//! or the statement is refused.
//!
//! PostgreSQL reads `alias.name` as a column where there is one, and otherwise as a call of a function
//! `name` with the whole row (manual, section 8.16.5). So each column is looked up here: among the
//! listed columns of a relation, the columns of a function, or the outputs of a query. An alias means
//! one thing in the whole statement, so there is no scope in which the server could find another.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::outputs;
use super::tree::{
    Arguments, BaseType, Body, Call, Expr, Factor, Function, Joined, Key, Many, Operation, Place, Query, Select, Source,
};
use super::uses::{Relation, Uses, relation_name};
use crate::limits;
use crate::sql::identifier::Identifier;
use crate::sql::postgresql::{columns_of, extension_columns, is_scalar_function, is_setting, row_columns};

/// What a manifest declares for a statement beyond the lists of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// Functions, such as `pg_ls_logdir` or `sales.total`.
    pub calls: BTreeSet<String>,
    /// Relations, such as `sales.orders`, with the columns that are read.
    pub relations: BTreeMap<String, BTreeSet<String>>,
}

/// A name that is refused, as the statement writes it, and why.
pub(super) struct Unresolved {
    pub(super) name: String,
    pub(super) reason: String,
}

/// Resolves all names of a query, and completes it: relations get their schema, functions of `FROM` the
/// names of their columns.
pub(super) fn resolve(query: &mut Query, declared: &Declared) -> Result<Uses, Unresolved> {
    let mut resolver = Resolver {
        declared,
        used: Declared::default(),
        uses: Uses::default(),
        aliases: BTreeSet::new(),
        commons: Vec::new(),
        scopes: Vec::new(),
        weight: 0,
    };
    resolver.query(query)?;
    resolver.check_declared()?;
    Ok(resolver.uses)
}

/// What can be referred to under an alias.
#[derive(Clone)]
enum Columns {
    /// A relation, whose columns are on a list or declared.
    Relation(Relation),
    /// These.
    Named(Outputs),
}

/// Columns by name, each with the weight of its expression.
type Outputs = Vec<(Identifier, u64)>;

struct Resolver<'d> {
    declared: &'d Declared,
    /// What of it the statement uses.
    used: Declared,
    uses: Uses,
    aliases: BTreeSet<Identifier>,
    /// Queries of `WITH` that are visible, with their outputs.
    commons: Vec<(Identifier, Outputs)>,
    /// The aliases of each query that is open, the innermost last.
    scopes: Vec<Vec<(Identifier, Columns)>>,
    /// How many parts the statement has, once each column of a query is its expression: the server's planner
    /// puts that in its place, as often as it is named.
    weight: u64,
}

type Resolved = Result<(), Unresolved>;

fn unresolved(name: impl ToString, reason: impl Into<String>) -> Unresolved {
    Unresolved { name: name.to_string(), reason: reason.into() }
}

impl Resolver<'_> {
    /// Counts parts of expressions.
    fn weigh(&mut self, parts: u64) -> Resolved {
        self.weight = self.weight.saturating_add(parts);
        if self.weight > limits::SQL_WEIGHT {
            let reason = "columns that stand for expressions are named too often: with these in their places, the statement \
                          would be too large";
            return Err(unresolved("select", reason));
        }
        Ok(())
    }

    /// Resolves a query, and gives the weights of its outputs.
    fn query(&mut self, query: &mut Query) -> Result<Vec<u64>, Unresolved> {
        let visible = self.commons.len();
        for (name, common) in &mut query.with {
            if columns_of(name.as_str()).is_some() || !self.aliases.insert(name.clone()) {
                return Err(unresolved(&*name, "a query of WITH has a name that nothing else has"));
            }
            let weights = self.query(common)?;
            self.commons.push((name.clone(), named_outputs(common, &weights)));
        }
        let scope = self.scopes.len();
        let weights = self.body(&mut query.body)?;
        // What is sorted by sees the relations of a plain SELECT.
        for order in &mut query.order {
            self.key(&mut order.key)?;
        }
        self.scopes.truncate(scope);
        for value in [&mut query.limit, &mut query.offset].into_iter().flatten() {
            self.value(value)?;
        }
        self.commons.truncate(visible);
        Ok(weights)
    }

    /// Resolves a body, and gives the weights of its outputs. A plain `SELECT` leaves its scope open for the sort keys of its
    /// query.
    fn body(&mut self, body: &mut Body) -> Result<Vec<u64>, Unresolved> {
        match body {
            Body::Select(select) => self.select(select),
            Body::Query(query) => self.query(query),
            Body::Set { left, right, .. } => {
                let mut weights = Vec::new();
                for side in [left, right] {
                    let scope = self.scopes.len();
                    let of_side = self.body(side)?;
                    self.scopes.truncate(scope);
                    weights.resize(of_side.len().max(weights.len()), 0_u64);
                    weights.iter_mut().zip(of_side).for_each(|(sum, weight)| *sum = sum.saturating_add(weight));
                }
                Ok(weights)
            }
        }
    }

    fn select(&mut self, select: &mut Select) -> Result<Vec<u64>, Unresolved> {
        if select.items.len() > limits::SQL_OUTPUTS {
            return Err(unresolved("select", format!("a query gives at most {} columns", limits::SQL_OUTPUTS)));
        }
        self.scopes.push(Vec::new());
        for joined in &mut select.from {
            self.joined(joined)?;
        }
        let mut weights = Vec::with_capacity(select.items.len());
        for item in &mut select.items {
            let before = self.weight;
            self.value(&mut item.value)?;
            weights.push(self.weight - before);
        }
        for value in [&mut select.filter, &mut select.having].into_iter().flatten() {
            self.value(value)?;
        }
        select.group.iter_mut().try_for_each(|key| self.key(key))?;
        Ok(weights)
    }

    fn joined(&mut self, joined: &mut Joined) -> Resolved {
        self.factor(&mut joined.first)?;
        for join in &mut joined.joins {
            self.factor(&mut join.factor)?;
            if let Some(on) = &mut join.on {
                self.value(on)?;
            }
        }
        Ok(())
    }

    fn factor(&mut self, factor: &mut Factor) -> Resolved {
        if !self.aliases.insert(factor.alias.clone()) {
            return Err(unresolved(&factor.alias, "each alias is used once in a statement: give it another name"));
        }
        let columns = match &mut factor.source {
            Source::Relation(schema, name) => self.relation((schema.clone(), name.clone()))?,
            Source::Common(name) => match self.commons.iter().find(|(known, _)| known == name) {
                Some((_, outputs)) => Columns::Named(outputs.clone()),
                None => {
                    let relation = (Identifier::new("pg_catalog"), name.clone());
                    factor.source = Source::Relation(relation.0.clone(), relation.1.clone());
                    self.relation(relation)?
                }
            },
            Source::Function { call, ordinality } => {
                let known = self.row_function(call, factor.columns.is_empty())?;
                let is_extension = matches!(call.function.place, Some(Place::Extension(_)));
                let wrong = |reason| unresolved(&call.function, reason);
                if is_extension {
                    Columns::Named(plain(of_extension(known, factor.columns.len(), *ordinality).map_err(wrong)?))
                } else {
                    let named = std::mem::take(&mut factor.columns);
                    factor.columns = complete(known, *ordinality, named).map_err(wrong)?;
                    Columns::Named(plain(factor.columns.clone()))
                }
            }
            Source::Query { query, lateral } => {
                let hidden = if *lateral { None } else { self.scopes.pop() };
                let weights = self.query(query)?;
                self.scopes.extend(hidden);
                Columns::Named(named_outputs(query, &weights))
            }
        };
        if let Some(scope) = self.scopes.last_mut() {
            scope.push((factor.alias.clone(), columns));
        }
        Ok(())
    }

    fn relation(&mut self, relation: Relation) -> Result<Columns, Unresolved> {
        let name = relation_name(&relation);
        let is_listed = relation.0.as_str() == "pg_catalog" && columns_of(relation.1.as_str()).is_some();
        if !is_listed && !self.declared.relations.contains_key(&name) {
            return Err(unresolved(
                &name,
                format!(
                    "{name} is not on the host's list of relations: write relations = {{ \"{name}\" = [\"…\"] }} with the \
                     columns that are read; the target then grants it by name"
                ),
            ));
        }
        self.uses.relations.entry(relation.clone()).or_default();
        Ok(Columns::Relation(relation))
    }

    /// Resolves the call of a function in `FROM`; its columns where they are on a list.
    fn row_function(
        &mut self,
        call: &mut Call,
        is_unnamed: bool,
    ) -> Result<Option<&'static [&'static str]>, Unresolved> {
        self.arguments(call)?;
        let function = call.function.clone();
        let listed = match &function.place {
            None => row_columns(function.name.as_str()),
            Some(Place::Extension(extension)) => extension_columns(extension.as_str(), function.name.as_str()),
            Some(Place::Schema(_)) => None,
        };
        if listed.is_none() || function.place.is_some() {
            self.declared_function(&function)?;
        }
        if listed.is_none() && is_unnamed {
            return Err(unresolved(&function, "name the columns that are read, as in f(…) r (name, size)"));
        }
        self.uses.functions.insert(function);
        Ok(listed)
    }

    /// Takes a function that the manifest declares.
    fn declared_function(&mut self, function: &Function) -> Resolved {
        let name = function.to_string();
        if !self.declared.calls.contains(&name) {
            return Err(unresolved(
                &name,
                format!(
                    "{name} is not on the host's list of functions: write calls = [\"{name}\"]; the target then grants it \
                     by name"
                ),
            ));
        }
        self.used.calls.insert(name);
        Ok(())
    }

    fn key(&mut self, key: &mut Key) -> Resolved {
        match key {
            Key::Output(_) => Ok(()),
            Key::Value(value) => self.value(value),
        }
    }

    fn arguments(&mut self, call: &mut Call) -> Resolved {
        if let Arguments::List { values, .. } = &mut call.arguments {
            values.iter_mut().try_for_each(|value| self.value(value))?;
        }
        call.order.iter_mut().try_for_each(|order| self.key(&mut order.key))?;
        call.filter.as_mut().map_or(Ok(()), |filter| self.value(filter))
    }

    fn call(&mut self, call: &mut Call) -> Resolved {
        self.arguments(call)?;
        let function = call.function.clone();
        let name = function.name.as_str();
        if function.place.is_none() {
            if row_columns(name).is_some() {
                return Err(unresolved(&function, "it gives rows, so it stands in FROM"));
            }
            if name == "current_setting" {
                check_setting(call)?;
            }
        }
        if function.place.is_some() || !is_scalar_function(name) {
            self.declared_function(&function)?;
        }
        let is_form = matches!(name, "coalesce" | "greatest" | "least" | "nullif") && function.place.is_none();
        if is_form {
            self.uses.operators.extend(["=", "<"]);
        } else {
            self.uses.functions.insert(function);
        }
        Ok(())
    }

    fn column(&mut self, alias: &Identifier, column: &Identifier) -> Resolved {
        let shown = format!("{alias}.{column}");
        let found = self.scopes.iter().rev().flatten().find(|(known, _)| known == alias).map(|(_, columns)| columns);
        match found {
            None => Err(unresolved(shown, format!("nothing here is called {alias}"))),
            Some(Columns::Named(names)) => match names.iter().find(|(name, _)| name == column) {
                Some((_, weight)) => self.weigh(*weight),
                None => {
                    let all: Vec<&str> = names.iter().take(50).map(|(name, _)| name.as_str()).collect();
                    let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
                    Err(unresolved(shown, format!("{alias} has no column {column}: it has {all}")))
                }
            },
            Some(Columns::Relation(relation)) => {
                let relation = relation.clone();
                self.column_of(shown, relation, column)
            }
        }
    }

    fn column_of(&mut self, shown: String, relation: Relation, column: &Identifier) -> Resolved {
        let name = relation_name(&relation);
        let listed = if relation.0.as_str() == "pg_catalog" { columns_of(relation.1.as_str()) } else { None };
        if !listed.is_some_and(|columns| columns.contains(&column.as_str())) {
            if !self.declared.relations.get(&name).is_some_and(|columns| columns.contains(column.as_str())) {
                return Err(unresolved(
                    shown,
                    format!(
                        "{column} is not on the host's list of columns of {name}: write relations = {{ \"{name}\" = \
                         [\"{column}\"] }}; the target then grants it by name"
                    ),
                ));
            }
            self.used.relations.entry(name).or_default().insert(column.as_str().to_owned());
        }
        self.uses.relations.entry(relation).or_default().insert(column.clone());
        Ok(())
    }

    fn value(&mut self, value: &mut Expr) -> Resolved {
        self.weigh(1)?;
        match value {
            Expr::Null
            | Expr::Boolean(_)
            | Expr::Integer(_)
            | Expr::Decimal(_)
            | Expr::Text(_)
            | Expr::Bind(_)
            | Expr::Session(_) => Ok(()),
            Expr::Column(alias, column) => self.column(alias, column),
            Expr::Call(call) => self.call(call),
            Expr::Extract(_, value) => {
                self.uses.functions.insert(Function { place: None, name: Identifier::new("extract") });
                self.value(value)
            }
            Expr::Cast(value, kind) => {
                self.uses.types.insert(kind.base);
                self.value(value)
            }
            Expr::Row(values) | Expr::Array(values) => self.values(values),
            Expr::Exists(query) | Expr::Scalar(query) | Expr::ArrayQuery(query) => self.query(query).map(|_| ()),
            Expr::Case { operand, whens, otherwise } => {
                if operand.is_some() {
                    self.uses.operators.insert("=");
                }
                for (when, then) in whens {
                    self.value(when)?;
                    self.value(then)?;
                }
                [operand, otherwise].into_iter().flatten().try_for_each(|value| self.value(value))
            }
            Expr::Element(array, at) => {
                self.value(array)?;
                self.value(at)
            }
            Expr::Slice(array, from, to) => {
                self.value(array)?;
                [from, to].into_iter().flatten().try_for_each(|value| self.value(value))
            }
            Expr::Operation(operation) => self.operation(operation),
        }
    }

    fn values(&mut self, values: &mut [Expr]) -> Resolved {
        values.iter_mut().try_for_each(|value| self.value(value))
    }

    fn operation(&mut self, operation: &mut Operation) -> Resolved {
        self.uses.operators.extend(operators(operation));
        match operation {
            Operation::Minus(value) | Operation::Not(value) | Operation::Is { value, .. } => self.value(value),
            Operation::And(values) | Operation::Or(values) => self.values(values),
            Operation::Binary(_, left, right)
            | Operation::Distinct { left, right, .. }
            | Operation::Like { value: left, pattern: right, .. } => {
                self.value(left)?;
                self.value(right)
            }
            Operation::Quantified { left, right, .. } => {
                self.value(left)?;
                match right {
                    Many::Array(array) => self.value(array),
                    Many::Query(query) => self.query(query).map(|_| ()),
                }
            }
            Operation::Between { value, low, high, .. } => {
                self.value(value)?;
                self.value(low)?;
                self.value(high)
            }
            Operation::In { value, list, .. } => {
                self.value(value)?;
                self.values(list)
            }
            Operation::InQuery { value, query, .. } => {
                self.value(value)?;
                self.query(query).map(|_| ())
            }
        }
    }

    /// Refuses a declaration that the statement does not need, so that a grant is never wider than its use.
    fn check_declared(&self) -> Resolved {
        if let Some(call) = self.declared.calls.difference(&self.used.calls).next() {
            return Err(unresolved(call, format!("calls names {call}, which the statement does not need")));
        }
        for (relation, columns) in &self.declared.relations {
            let used = self.used.relations.get(relation);
            let unused = columns.iter().find(|column| !used.is_some_and(|used| used.contains(*column)));
            if let Some(column) = unused {
                let reason = format!("relations names {column} of {relation}, which the statement does not need");
                return Err(unresolved(relation, reason));
            }
            if used.is_none() && !self.is_read(relation) {
                return Err(unresolved(relation, format!("relations names {relation}, which is not read")));
            }
        }
        Ok(())
    }

    fn is_read(&self, name: &str) -> bool {
        self.uses.relations.keys().any(|relation| relation_name(relation) == name)
    }
}

fn named_outputs(query: &Query, weights: &[u64]) -> Outputs {
    let named = outputs(&query.body).iter().zip(weights);
    named.filter_map(|(item, weight)| Some((item.name.clone()?, *weight))).collect()
}

/// Columns that are no expressions.
fn plain(names: Vec<Identifier>) -> Outputs {
    names.into_iter().map(|name| (name, 1)).collect()
}

/// The names that the columns of a function get: all that can be referred to.
fn complete(known: Option<&[&str]>, ordinality: bool, named: Vec<Identifier>) -> Result<Vec<Identifier>, String> {
    let Some(known) = known else { return Ok(named) };
    let gives_single_values = known.is_empty();
    let count = if gives_single_values { 1 } else { known.len() } + usize::from(ordinality);
    if named.len() == count {
        return Ok(named);
    }
    if !named.is_empty() || gives_single_values {
        return Err(format!("it has {count} columns to name, as in f(…) r (name), and {} are named", named.len()));
    }
    let mut all: Vec<Identifier> = known.iter().map(|name| Identifier::new(name)).collect();
    all.extend(ordinality.then(|| Identifier::new("ordinality")));
    Ok(all)
}

/// The columns of an extension's function. They keep their names, since another version of the
/// extension has them in another order.
fn of_extension(known: Option<&[&str]>, named: usize, ordinality: bool) -> Result<Vec<Identifier>, String> {
    match known {
        Some(known) if named == 0 && !ordinality => Ok(known.iter().map(|name| Identifier::new(name)).collect()),
        _ => Err("the columns of an extension's function keep their names".to_owned()),
    }
}

/// The operators of `pg_catalog` that an operation is, or stands for.
fn operators(operation: &Operation) -> Vec<&'static str> {
    match operation {
        Operation::Not(_) | Operation::And(_) | Operation::Or(_) | Operation::Is { .. } => vec![],
        Operation::Minus(_) => vec!["-"],
        Operation::Binary(operator, ..) | Operation::Quantified { operator, .. } => vec![operator.sql()],
        Operation::Distinct { .. } => vec!["="],
        Operation::Like { any_case: false, negated: false, .. } => vec!["~~"],
        Operation::Like { any_case: false, negated: true, .. } => vec!["!~~"],
        Operation::Like { any_case: true, negated: false, .. } => vec!["~~*"],
        Operation::Like { any_case: true, negated: true, .. } => vec!["!~~*"],
        Operation::Between { .. } => vec!["<", "<=", ">", ">="],
        Operation::In { .. } | Operation::InQuery { .. } => vec!["=", "<>"],
    }
}

/// Refuses `current_setting` of anything else than a literal that is on the list.
fn check_setting(call: &Call) -> Resolved {
    let Arguments::List { values, .. } = &call.arguments else { return Ok(()) };
    let refused = |reason: &str| Err(unresolved(&call.function, reason));
    match values.as_slice() {
        [Expr::Text(name)] | [Expr::Text(name), Expr::Boolean(_)] if is_setting(name) => Ok(()),
        [Expr::Text(_)] | [Expr::Text(_), _] => refused("the setting is not on the host's list"),
        _ => refused("it takes the name of a setting as a literal"),
    }
}

impl BaseType {
    /// The name in `pg_type`.
    pub fn catalogue_name(self) -> &'static str {
        match self {
            Self::Bigint => "int8",
            Self::Boolean => "bool",
            Self::Char => "char",
            Self::Double => "float8",
            Self::Integer => "int4",
            Self::Smallint => "int2",
            other => other.sql(),
        }
    }
}
