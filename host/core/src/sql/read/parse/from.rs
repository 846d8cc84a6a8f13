//! `FROM`: relations, functions, queries, and how they are joined.

use super::Parser;
use crate::sql::identifier::Identifier;
use crate::sql::position::SqlError;
use crate::sql::read::tree::{Arguments, Factor, Join, JoinKind, Joined, Source};

impl Parser<'_> {
    /// A `FROM` item with its joins.
    pub(super) fn joined(&mut self) -> Result<Joined, SqlError> {
        let first = self.factor()?;
        let mut joins = Vec::new();
        while let Some(kind) = self.join_kind()? {
            self.link()?;
            let factor = self.factor()?;
            let on = if kind == JoinKind::Cross {
                None
            } else if self.cursor.takes_word("on") {
                Some(self.value()?)
            } else {
                return Err(self.cursor.expected("`ON`: USING and NATURAL are not accepted, since they merge columns"));
            };
            joins.push(Join { kind, factor, on });
        }
        Ok(Joined { first, joins })
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>, SqlError> {
        if self.cursor.is_word("natural") {
            return Err(self.cursor.error(self.cursor.at(), "NATURAL is not accepted: write ON with alias.column"));
        }
        let outer = [("left", JoinKind::Left), ("right", JoinKind::Right), ("full", JoinKind::Full)];
        if let Some((_, kind)) = outer.into_iter().find(|(word, _)| self.cursor.takes_word(word)) {
            self.cursor.takes_word("outer");
            self.cursor.word("join")?;
            return Ok(Some(kind));
        }
        if self.cursor.takes_word("cross") {
            self.cursor.word("join")?;
            return Ok(Some(JoinKind::Cross));
        }
        if self.cursor.takes_word("inner") {
            self.cursor.word("join")?;
            return Ok(Some(JoinKind::Inner));
        }
        Ok(self.cursor.takes_word("join").then_some(JoinKind::Inner))
    }

    fn factor(&mut self) -> Result<Factor, SqlError> {
        let lateral = self.cursor.takes_word("lateral");
        if self.cursor.takes_mark("(") {
            let query = Box::new(self.query()?);
            self.cursor.mark(")")?;
            let alias = self.alias()?.ok_or_else(|| self.cursor.expected("a name for the query, as in (…) q"))?;
            if self.cursor.is_mark("(") {
                return Err(self
                    .cursor
                    .error(self.cursor.at(), "columns of a query are named with AS in its select list"));
            }
            return Ok(Factor { source: Source::Query { query, lateral }, alias, columns: Vec::new() });
        }
        if self.cursor.is_word("only") {
            return Err(self.cursor.error(self.cursor.at(), "ONLY is not accepted"));
        }
        let at = self.cursor.at();
        let (place, name) = self.function_name()?;
        if self.cursor.takes_mark("(") {
            return self.function(place, name, at);
        }
        if lateral {
            return Err(self.cursor.error(at, "LATERAL stands before a query or a function"));
        }
        self.relation(place, name, at)
    }

    fn function(&mut self, place: Option<Identifier>, name: Identifier, at: usize) -> Result<Factor, SqlError> {
        let call = self.call_of(place, name, at)?;
        let is_plain = matches!(call.arguments, Arguments::List { distinct: false, .. });
        if !is_plain || !call.order.is_empty() || call.filter.is_some() {
            return Err(self.cursor.error(at, "a function in FROM has arguments alone"));
        }
        let ordinality = self.cursor.takes_words(&["with", "ordinality"]);
        let alias =
            self.alias()?.ok_or_else(|| self.cursor.expected("a name for the function's rows, as in f(…) r"))?;
        let mut columns = Vec::new();
        if self.cursor.takes_mark("(") {
            columns = self.list(|parser| parser.cursor.identifier("the name of a column"))?;
            self.cursor.mark(")")?;
        }
        Ok(Factor { source: Source::Function { call, ordinality }, alias, columns })
    }

    fn relation(&mut self, schema: Option<Identifier>, name: Identifier, at: usize) -> Result<Factor, SqlError> {
        let alias = self.alias()?.unwrap_or_else(|| name.clone());
        if self.cursor.is_mark("(") {
            return Err(self.cursor.error(self.cursor.at(), "columns of a relation keep their names"));
        }
        if self.cursor.is_word("tablesample") {
            return Err(self.cursor.error(self.cursor.at(), "TABLESAMPLE is not accepted"));
        }
        self.places.push((schema.as_ref().map_or_else(|| name.to_string(), |schema| format!("{schema}.{name}")), at));
        // A name without a schema is one of WITH or of the catalogue; `resolve` tells which.
        let source = match schema {
            Some(schema) => Source::Relation(schema, name),
            None => Source::Common(name),
        };
        Ok(Factor { source, alias, columns: Vec::new() })
    }

    fn alias(&mut self) -> Result<Option<Identifier>, SqlError> {
        let is_said = self.cursor.takes_word("as");
        if !is_said && self.cursor.peek_identifier().is_none() {
            return Ok(None);
        }
        let at = self.cursor.at();
        let alias = self.cursor.identifier("an alias")?;
        self.places.push((alias.to_string(), at));
        Ok(Some(alias))
    }
}
