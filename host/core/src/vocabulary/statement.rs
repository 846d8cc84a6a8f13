//! SQL statements of a manifest: reads that passed the gate, and writes of listed forms.

mod shape;
mod value;
mod write;

pub use value::BindValue;

use super::arguments::{Arguments, EncodeError, Problem};
use super::placeholder::{Origin, Placeholder, PlaceholderType};
use super::template::{TemplateError, check_origins, check_placeholders};
use super::{Does, Mode, Red};
use crate::call::Argument;
use crate::sql::read::{Declared, ReadStatement, Uses, relation_name};
use crate::sql::{Bind, BindType, SqlText};
use crate::text::{ExternalId, Kind};
use shape::Slot;
use value::{bind_value, sql_of};
use write::{What, WritePiece, parse_write};

/// A statement that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRequest {
    /// The text, with `$1`, `$2` … for the parameters.
    pub text: SqlText,
    /// The parameters, each with the type in which it travels.
    pub parameters: Vec<(BindType, BindValue)>,
    /// The role to run it in; none for that of the login.
    pub as_role: Option<String>,
}

/// A statement of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Whether it changes the target.
    pub mode: Mode,
    /// What a write statement does.
    pub does: Option<Does>,
    /// Whether it runs in the role that granted what it takes, where the host knows it and it is not the host's own.
    pub as_grantor: bool,
    /// The kinds of objects that a write statement is about; empty for any.
    pub on: Vec<Kind>,
    /// The special member that a write statement names in its own words, such as everybody.
    pub member: Option<ExternalId>,
    /// The statement as it is sent, with placeholders for values, for people.
    pub shown: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq)]
enum Form {
    Read { statement: Box<ReadStatement>, sensitive: Vec<Red> },
    Write(Vec<WritePiece>),
}

/// The texts of a statement, as the manifest has them.
pub(crate) struct StatementText<'m> {
    pub(crate) mode: Mode,
    pub(crate) does: Option<Does>,
    pub(crate) as_grantor: bool,
    pub(crate) on: &'m [Kind],
    pub(crate) member: Option<&'m ExternalId>,
    pub(crate) text: &'m str,
    pub(crate) declared: Declared,
}

impl Statement {
    /// Parses a statement.
    pub(crate) fn parse(text: &StatementText<'_>) -> Result<Self, TemplateError> {
        let wrong = |error: crate::sql::SqlError| TemplateError::new(error.to_string());
        let (form, shown) = match text.mode {
            Mode::Read => {
                let statement = ReadStatement::parse(text.text, &text.declared).map_err(wrong)?;
                let shown = statement.shown.clone();
                let sensitive = sensitive(&statement.uses, &text.declared);
                (Form::Read { statement: Box::new(statement), sensitive }, shown)
            }
            Mode::Write => {
                let pieces = parse_write(text.text).map_err(wrong)?;
                let shown = joined(&pieces, |placeholder, _| Ok::<_, TemplateError>(Some(placeholder.to_string())))?;
                (Form::Write(pieces), shown)
            }
        };
        let statement = Self {
            mode: text.mode,
            does: text.does,
            as_grantor: text.as_grantor,
            on: text.on.to_vec(),
            member: text.member.cloned(),
            shown,
            form,
        };
        check_placeholders(statement.placeholders())?;
        check_origins(statement.placeholders().into_iter())?;
        Ok(statement)
    }

    /// All placeholders: those of a write statement.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        let Form::Write(pieces) = &self.form else { return Vec::new() };
        let mut all = Vec::new();
        for piece in pieces {
            if let What::Value(placeholder, _) = &piece.what {
                all.push(placeholder);
            }
        }
        all
    }

    /// All bind parameters, in the order of their numbers: those of a read statement.
    pub fn binds(&self) -> &[Bind] {
        match &self.form {
            Form::Read { statement, .. } => &statement.binds,
            Form::Write(_) => &[],
        }
    }

    /// The tree of a read statement.
    pub fn read(&self) -> Option<&ReadStatement> {
        match &self.form {
            Form::Read { statement, .. } => Some(statement),
            Form::Write(_) => None,
        }
    }

    /// Why the statement needs a grant of its own.
    pub fn red(&self) -> Vec<Red> {
        match &self.form {
            Form::Read { sensitive, .. } => sensitive.clone(),
            Form::Write(_) => Vec::new(),
        }
    }

    /// Builds the statement with these values.
    ///
    /// # Errors
    /// `EncodeError` names the argument that cannot stand in its place.
    pub fn build(&self, arguments: &[Argument]) -> Result<SqlRequest, EncodeError> {
        let placeholders = self.placeholders();
        let known = |name: &str| {
            placeholders.iter().any(|placeholder| placeholder.name == name)
                || self.binds().iter().any(|bind| bind.name == name)
        };
        let arguments = Arguments::new(arguments, known)?;
        let parameter = |bind: &Bind| Ok((bind.kind, bind_value(bind, arguments.get(&bind.name))?));
        let parameters = self.binds().iter().map(parameter).collect::<Result<_, EncodeError>>()?;
        let text = match &self.form {
            Form::Read { statement, .. } => statement.text.clone(),
            Form::Write(pieces) => {
                SqlText::fixed(joined(pieces, |placeholder, slot| match arguments.get(&placeholder.name) {
                    Some(value) => sql_of(slot, placeholder, value).map(Some),
                    None if may_be_absent(placeholder) => Ok(None),
                    None => Err(EncodeError::new(&placeholder.name, Problem::Missing)),
                })?)
            }
        };
        Ok(SqlRequest { text, parameters, as_role: None })
    }
}

/// The text of a write statement, with what `value_of` gives for its placeholders.
fn joined<E>(
    pieces: &[WritePiece],
    mut value_of: impl FnMut(&Placeholder, Slot) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let mut text = String::new();
    for piece in pieces {
        let part = match &piece.what {
            What::Fixed(part) => Some(part.clone()),
            What::Value(placeholder, slot) => value_of(placeholder, *slot)?,
        };
        if let Some(part) = part {
            if !piece.glued && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&part);
        }
    }
    Ok(text)
}

/// Whether a placeholder stands for words that are left out where a flag is not set. Words for both are never left out.
fn may_be_absent(placeholder: &Placeholder) -> bool {
    let is_flag = placeholder.origin.is_some_and(Origin::is_flag);
    is_flag && matches!(&placeholder.kind, PlaceholderType::Keywords(words) if words.len() == 1)
}

/// What a target has to grant by name.
fn sensitive(uses: &Uses, declared: &Declared) -> Vec<Red> {
    let calls = declared.calls.iter().cloned().map(Red::Call);
    let relations = uses.unlisted_relations().map(|(relation, columns)| {
        Red::Relation(relation_name(relation), columns.iter().map(|&column| column.to_owned()).collect())
    });
    calls.chain(relations).collect()
}
