//! The text of a statement, which may wait for the schemas of extensions.

use std::fmt;

use super::identifier::{Identifier, quoted};

/// A statement as it is sent, but for the schemas of extensions, which are known once a server is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlText(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Sql(String),
    /// The schema that this extension is in.
    Extension(Identifier),
}

impl SqlText {
    /// A text that waits for nothing.
    pub fn fixed(sql: impl Into<String>) -> Self {
        Self(vec![Piece::Sql(sql.into())])
    }

    pub(super) fn push(&mut self, sql: &str) {
        match self.0.last_mut() {
            Some(Piece::Sql(last)) => last.push_str(sql),
            _ => self.0.push(Piece::Sql(sql.to_owned())),
        }
    }

    pub(super) fn push_extension(&mut self, extension: &Identifier) {
        self.0.push(Piece::Extension(extension.clone()));
    }

    /// The text with the schemas that `schema_of` gives for extensions.
    ///
    /// # Errors
    /// The name of the first extension for which it gives none.
    pub fn resolve<'s>(&self, mut schema_of: impl FnMut(&str) -> Option<&'s str>) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Sql(sql) => text.push_str(sql),
                Piece::Extension(extension) => {
                    let schema = schema_of(extension.as_str()).ok_or_else(|| extension.as_str().to_owned())?;
                    text.push_str(&quoted(schema));
                }
            }
        }
        Ok(text)
    }

    /// How many bytes it has, with the names of extensions for their schemas.
    pub fn size(&self) -> usize {
        let length = |piece: &Piece| match piece {
            Piece::Sql(sql) => sql.len(),
            Piece::Extension(extension) => extension.as_str().len(),
        };
        self.0.iter().map(length).sum()
    }
}

/// For people: with the names of extensions where their schemas will be.
impl fmt::Display for SqlText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Sql(sql) => out.write_str(sql),
            Piece::Extension(extension) => write!(out, "{extension}"),
        })
    }
}
