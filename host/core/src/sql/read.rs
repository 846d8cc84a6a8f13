//! Read statements: the gate that every one of them passes.
//!
//! A READ ONLY transaction is not enough: COPY … TO PROGRAM, SET TRANSACTION READ WRITE, COMMIT and
//! functions such as `dblink_exec` and `lo_create` all get through it. A filter over somebody else's
//! parser is not enough either: where two lexers read the same bytes differently, the filter judges one
//! statement and the server runs another. So a manifest writes reads in a small language of its own
//! (`token`, `parse`), whose names are all known (`resolve`), and the server is sent what is rendered
//! from the tree (`render`), never the author's text.

mod parse;
mod render;
mod resolve;
pub mod tree;
mod uses;

use std::collections::BTreeSet;

pub use resolve::Declared;
pub use uses::{Relation, Uses, relation_name};

use super::Bind;
use super::position::{Position, SqlError};
use super::postgresql::columns_of;
use super::text::SqlText;
use tree::Query;

/// A read statement that passed the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadStatement {
    /// Its tree, with all names resolved.
    pub query: Query,
    /// What is sent, with `$1`, `$2` … for bind parameters.
    pub text: SqlText,
    /// The same for people, with the names of bind parameters.
    pub shown: String,
    /// Its bind parameters, in the order of their numbers.
    pub binds: Vec<Bind>,
    /// Every name that the server looks up.
    pub uses: Uses,
}

impl ReadStatement {
    /// Parses a statement, resolves its names, and renders what is sent. `declared` is what its manifest
    /// names beyond the lists of the host.
    ///
    /// # Errors
    /// `SqlError` with the position of the first thing that the language does not have.
    pub fn parse(text: &str, declared: &Declared) -> Result<Self, SqlError> {
        let parsed = parse::parse(text)?;
        let mut query = parsed.query;
        let uses = resolve::resolve(&mut query, declared).map_err(|wrong| {
            let short = wrong.name.strip_prefix("pg_catalog.").unwrap_or(&wrong.name);
            let place = parsed.places.iter().find(|(name, _)| *name == wrong.name || name == short);
            let at = Position::of(text, place.map_or(0, |(_, at)| *at));
            SqlError { at, message: wrong.reason }
        })?;
        check_types(&query, &uses).map_err(|message| SqlError { at: Position::of(text, 0), message })?;
        let text = render::render(&query);
        let shown = render::render_with_names(&query, &parsed.binds);
        Ok(Self { query, text, shown, binds: parsed.binds, uses })
    }
}

impl ReadStatement {
    /// The names of its columns: those that the statement gives, and `column1`, `column2` … for the others.
    pub fn column_names(&self) -> Vec<String> {
        let name = |(index, item): (usize, &tree::Item)| match &item.name {
            Some(name) => name.as_str().to_owned(),
            None => format!("column{}", index + 1),
        };
        parse::outputs(&self.query.body).iter().enumerate().map(name).collect()
    }
}

/// Refuses an output of a type that only the server knows, where a relation of users could have one: what
/// it is would have to be asked, again and again where it stands for another.
fn check_types(query: &Query, uses: &Uses) -> Result<(), String> {
    if uses.foreign_relations().next().is_none() {
        return Ok(());
    }
    let is_known = |item: &tree::Item| {
        matches!(
            item.value,
            tree::Expr::Cast(..) | tree::Expr::Boolean(_) | tree::Expr::Integer(_) | tree::Expr::Text(_)
        )
    };
    match parse::outputs(&query.body).iter().position(|item| !is_known(item)) {
        None => Ok(()),
        Some(index) => Err(format!(
            "output {} is not cast: where a relation of users is read, each output is cast, as in o.id::text",
            index + 1
        )),
    }
}

impl Uses {
    /// Relations that are no part of the catalogue, whose owners' code can run where they are read.
    pub fn foreign_relations(&self) -> impl Iterator<Item = (&Relation, &BTreeSet<super::identifier::Identifier>)> {
        self.relations.iter().filter(|((schema, _), _)| schema.as_str() != "pg_catalog")
    }

    /// The extensions whose functions are called.
    pub fn extensions(&self) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        for function in &self.functions {
            all.extend(match &function.place {
                Some(tree::Place::Extension(extension)) => Some(extension.as_str()),
                Some(tree::Place::Schema(_)) | None => None,
            });
        }
        all
    }

    /// Relations with columns that are on no list of the host.
    pub fn unlisted_relations(&self) -> impl Iterator<Item = (&Relation, Vec<&str>)> {
        self.relations.iter().filter_map(|(relation, columns)| {
            let listed = if relation.0.as_str() == "pg_catalog" { columns_of(relation.1.as_str()) } else { None };
            let unlisted = |column: &&str| !listed.is_some_and(|listed| listed.contains(column));
            let columns: Vec<&str> = columns.iter().map(|column| column.as_str()).filter(unlisted).collect();
            (listed.is_none() || !columns.is_empty()).then_some((relation, columns))
        })
    }
}
