//! Everything that a read statement can make the server look up.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{BaseType, Function};
use crate::sql::identifier::Identifier;

/// A relation, by schema and name.
pub type Relation = (Identifier, Identifier);

/// The names in a statement that the server resolves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    /// Functions, without `COALESCE` and the other forms of the grammar.
    pub functions: BTreeSet<Function>,
    /// Operators of `pg_catalog`, those that `LIKE`, `IN` and their like stand for among them.
    pub operators: BTreeSet<&'static str>,
    /// Types of `pg_catalog`.
    pub types: BTreeSet<BaseType>,
    /// Relations, with the columns that are named.
    pub relations: BTreeMap<Relation, BTreeSet<Identifier>>,
}

impl Uses {
    /// Adds everything that `other` uses.
    pub fn merge(&mut self, other: &Self) {
        self.functions.extend(other.functions.iter().cloned());
        self.operators.extend(other.operators.iter().copied());
        self.types.extend(other.types.iter().copied());
        for (relation, columns) in &other.relations {
            self.relations.entry(relation.clone()).or_default().extend(columns.iter().cloned());
        }
    }
}

/// A relation as a manifest and a grant write it, such as `sales.orders`.
pub fn relation_name((schema, name): &Relation) -> String {
    format!("{schema}.{name}")
}
