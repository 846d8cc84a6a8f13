//! SQL statements: code with placeholders, and named bind parameters.
//!
//! `$after::bigint` is a bind parameter: the value travels apart from the text. `{t:name}` and its like are written into the
//! text, quoted by the host, for the places where SQL takes no parameter (names, and everything in GRANT).

use std::fmt;

use super::arguments::{Arguments, EncodeError, Problem};
use super::placeholder::{Origin, Placeholder, PlaceholderType, Position};
use super::read_gate::{ReadGateError, Reads, gate_read};
use super::sql_lexer::{Stretch, Unclosed, code_of, is_name_byte, opaque};
use super::sql_value::{bind_value, sql_text};
use super::template::{Mark, TemplateError, check_origins, check_placeholders, mark};
use super::{Does, Mode, Red};
use crate::call::{Argument, Value};
use crate::limits;
use crate::text::{ExternalId, Kind};

/// The type in which a bind parameter travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindType {
    /// `text`
    Text,
    /// `bigint`
    Bigint,
    /// `boolean`
    Boolean,
    /// `text[]`
    TextArray,
}

impl BindType {
    const ALL: [(&'static str, Self); 4] =
        [("text[]", Self::TextArray), ("text", Self::Text), ("bigint", Self::Bigint), ("boolean", Self::Boolean)];
}

impl fmt::Display for BindType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, kind)| kind == self).map_or("", |(word, _)| word);
        out.write_str(word)
    }
}

/// A bind parameter of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The name that a call's argument carries.
    pub name: String,
    /// The type in which it travels.
    pub kind: BindType,
}

/// A value for a bind parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindValue {
    /// NULL of any type.
    Null,
    /// A text.
    Text(String),
    /// A number.
    Bigint(i64),
    /// A flag.
    Boolean(bool),
    /// Several texts.
    TextArray(Vec<String>),
}

/// A statement that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRequest {
    /// The text, with `$1`, `$2` … for the parameters.
    pub text: String,
    /// The parameters, each with the type in which it travels.
    pub parameters: Vec<(BindType, BindValue)>,
    /// The role to run it in; none for that of the login.
    pub as_role: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum SqlPiece {
    Text(String),
    Placeholder(Placeholder),
    Bind(usize),
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
    /// The text as the manifest writes it, for people.
    pub shown: String,
    /// What a read statement calls and reads beyond the host's lists.
    pub reads: Reads,
    pieces: Vec<SqlPiece>,
    binds: Vec<Bind>,
}

/// The texts of a statement, as the manifest has them.
pub(crate) struct StatementText<'m> {
    pub(crate) mode: Mode,
    pub(crate) does: Option<Does>,
    pub(crate) as_grantor: bool,
    pub(crate) on: &'m [Kind],
    pub(crate) member: Option<&'m ExternalId>,
    pub(crate) text: &'m str,
    pub(crate) calls: &'m [String],
    pub(crate) relations: &'m [String],
}

/// The words with which a write statement may begin. Transactions, settings and everything that runs other code are not
/// among them: the host opens and ends transactions.
const WRITE_WORDS: [&str; 10] =
    ["GRANT", "REVOKE", "CREATE", "ALTER", "DROP", "COMMENT", "REASSIGN", "INSERT", "UPDATE", "DELETE"];

impl Statement {
    /// Parses a statement, and checks a read statement with stand-ins for its values.
    pub(crate) fn parse(text: &StatementText<'_>) -> Result<Self, TemplateError> {
        let (pieces, binds) = split(text.text)?;
        let mut statement = Self {
            mode: text.mode,
            does: text.does,
            as_grantor: text.as_grantor,
            on: text.on.to_vec(),
            member: text.member.cloned(),
            shown: text.text.trim().to_owned(),
            reads: Reads::default(),
            pieces,
            binds,
        };
        check_placeholders(statement.placeholders())?;
        statement.check_names()?;
        match text.mode {
            Mode::Read => statement.check_read(text)?,
            Mode::Write => statement.check_write()?,
        }
        Ok(statement)
    }

    /// All placeholders.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        let mut all = Vec::new();
        for piece in &self.pieces {
            if let SqlPiece::Placeholder(placeholder) = piece {
                all.push(placeholder);
            }
        }
        all
    }

    /// All bind parameters, in the order of their numbers.
    pub fn binds(&self) -> &[Bind] {
        &self.binds
    }

    /// Why the statement needs a grant of its own.
    pub fn red(&self) -> Vec<Red> {
        let mut red: Vec<Red> = self.reads.calls.iter().cloned().map(Red::Call).collect();
        red.extend(self.reads.relations.iter().cloned().map(Red::Relation));
        if self.placeholders().iter().any(|placeholder| placeholder.kind == PlaceholderType::Raw) {
            red.push(Red::Raw);
        }
        red
    }

    /// Builds the statement with these values. A read statement is checked again as it will be sent.
    ///
    /// # Errors
    /// `EncodeError` names the argument that cannot stand in its place.
    pub fn build(&self, arguments: &[Argument]) -> Result<SqlRequest, EncodeError> {
        let request = self.fill(arguments)?;
        if self.mode == Mode::Read && !self.placeholders().is_empty() {
            let reads =
                gate_read(&request.text).map_err(|error| EncodeError::value("the statement", error.to_string()))?;
            if let Some(more) = reads.first_beyond(&self.reads) {
                return Err(EncodeError::value(
                    "the statement",
                    format!("it would use {more}, which its entry does not name"),
                ));
            }
        }
        Ok(request)
    }

    fn fill(&self, arguments: &[Argument]) -> Result<SqlRequest, EncodeError> {
        let placeholders = self.placeholders();
        let known = |name: &str| {
            placeholders.iter().any(|placeholder| placeholder.name == name)
                || self.binds.iter().any(|bind| bind.name == name)
        };
        let arguments = Arguments::new(arguments, known)?;
        let mut text = String::with_capacity(self.shown.len() + 64);
        for piece in &self.pieces {
            match piece {
                SqlPiece::Text(code) => text.push_str(code),
                SqlPiece::Bind(index) => text.push_str(&format!("${}", index + 1)),
                SqlPiece::Placeholder(placeholder) => {
                    let name = &placeholder.name;
                    match arguments.get(name) {
                        Some(value) => text.push_str(&sql_text(placeholder, value)?),
                        None if may_be_absent(placeholder) => {}
                        None => return Err(EncodeError::new(name, Problem::Missing)),
                    }
                }
            }
        }
        // What stands before an absent argument ends in a blank; at the end of a statement that says nothing.
        text.truncate(text.trim_end().len());
        let parameter = |bind: &Bind| Ok((bind.kind, bind_value(bind, arguments.get(&bind.name))?));
        let parameters = self.binds.iter().map(parameter).collect::<Result<_, EncodeError>>()?;
        Ok(SqlRequest { text, parameters, as_role: None })
    }

    /// Refuses a name that is used for a placeholder and for a bind parameter.
    fn check_names(&self) -> Result<(), TemplateError> {
        match self.placeholders().iter().find(|placeholder| self.binds.iter().any(|bind| bind.name == placeholder.name))
        {
            None => Ok(()),
            Some(both) => {
                Err(TemplateError::new(format!("{0} is both {{{0}:…}} and ${0}: give them different names", both.name)))
            }
        }
    }

    fn check_read(&mut self, text: &StatementText<'_>) -> Result<(), TemplateError> {
        let gate = |error: ReadGateError| TemplateError::new(error.to_string());
        let sample = self.fill(&self.stand_ins()).map_err(|error| TemplateError::new(error.to_string()))?;
        let mut found = gate_read(&sample.text).map_err(gate)?;
        found.name_chosen_relations(STAND_IN_SCHEMA);
        let declared = Reads::new(text.calls, text.relations);
        if let Some(more) = found.first_beyond(&declared) {
            return Err(TemplateError::new(format!(
                "it uses {more}, which is not on the host's list: {}",
                more.how_to_name()
            )));
        }
        self.reads = declared;
        Ok(())
    }

    fn check_write(&self) -> Result<(), TemplateError> {
        if let Some(bind) = self.binds.first() {
            let reason = format!("${}: a write statement takes no parameters, which could say anything", bind.name);
            return Err(TemplateError::new(reason));
        }
        check_origins(self.placeholders().into_iter())?;
        let sample = self.fill(&self.stand_ins()).map_err(|error| TemplateError::new(error.to_string()))?.text;
        let code = code_of(&sample).map_err(unclosed)?;
        if code.contains(';') {
            return Err(TemplateError::new("a statement is one statement, without a semicolon"));
        }
        let first = code.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if !WRITE_WORDS.contains(&first.as_str()) {
            return Err(TemplateError::new(format!("a write statement begins with {}", WRITE_WORDS.join(", "))));
        }
        Ok(())
    }

    /// A value for every placeholder and parameter that stands for any other.
    fn stand_ins(&self) -> Vec<Argument> {
        let mut arguments: Vec<Argument> = Vec::new();
        for placeholder in self.placeholders() {
            let value = match &placeholder.kind {
                PlaceholderType::Name => Value::Name(vec![STAND_IN_SCHEMA.into(), "name".into()]),
                PlaceholderType::Names => Value::Names(vec![vec!["one".into()], vec!["two".into()]]),
                PlaceholderType::Keywords(words) => Value::Keywords(words.first().cloned().into_iter().collect()),
                PlaceholderType::Integer => Value::Integer(1),
                PlaceholderType::Raw => Value::Free("true".into()),
                PlaceholderType::Text if is_spliced(placeholder) => Value::Free("true".into()),
                _ => Value::Text("text".into()),
            };
            if !arguments.iter().any(|argument| argument.name == placeholder.name) {
                arguments.push(Argument { name: placeholder.name.clone(), value });
            }
        }
        arguments
    }
}

/// Whether the host puts in a placeholder's value, which is SQL.
pub(super) fn is_spliced(placeholder: &Placeholder) -> bool {
    placeholder.kind == PlaceholderType::Text && placeholder.origin.is_some_and(Origin::is_spliced)
}

/// Whether a placeholder stands for words that are left out where a flag is not set. Words for both are never left out.
fn may_be_absent(placeholder: &Placeholder) -> bool {
    let is_flag = placeholder.origin.is_some_and(Origin::is_flag);
    is_flag && matches!(&placeholder.kind, PlaceholderType::Keywords(words) if words.len() == 1)
}

/// The schema of a name that a call will choose.
const STAND_IN_SCHEMA: &str = "{chosen}";

pub(super) fn unclosed(unclosed: Unclosed) -> TemplateError {
    TemplateError::new(match unclosed.0 {
        Stretch::Comment => "a comment is not closed",
        Stretch::QuotedName => "a quoted name is not closed",
        Stretch::Literal => "a literal is not closed",
    })
}

/// Splits a statement into code, placeholders and bind parameters.
fn split(text: &str) -> Result<(Vec<SqlPiece>, Vec<Bind>), TemplateError> {
    let mut splitter = Splitter { pieces: Vec::new(), binds: Vec::new(), code: String::new() };
    let mut at = 0;
    while at < text.len() {
        if let Some(end) = splitter.special(text, at)? {
            at = end;
            continue;
        }
        if let Some((_, end)) = opaque(text, at).map_err(unclosed)? {
            refuse_placeholder_in(&text[at..end])?;
            splitter.code.push_str(&text[at..end]);
            at = end;
        } else {
            let character = text[at..].chars().next().expect("`at` is inside the text, at a character");
            splitter.code.push(character);
            at += character.len_utf8();
        }
    }
    splitter.flush();
    Ok((splitter.pieces, splitter.binds))
}

/// Refuses what looks like a placeholder where none is recognised: its author expects something that does not happen.
fn refuse_placeholder_in(opaque: &str) -> Result<(), TemplateError> {
    for (at, _) in opaque.match_indices('{') {
        if let Ok(Mark::Placeholder(inner, _)) = mark(opaque, at)
            && Placeholder::parse(inner).is_ok()
        {
            return Err(TemplateError::new(format!(
                "{{{inner}}} stands in a comment, a literal or a quoted name, where nothing is put in"
            )));
        }
    }
    Ok(())
}

struct Splitter {
    pieces: Vec<SqlPiece>,
    binds: Vec<Bind>,
    code: String,
}

impl Splitter {
    fn flush(&mut self) {
        if !self.code.is_empty() {
            self.pieces.push(SqlPiece::Text(std::mem::take(&mut self.code)));
        }
    }

    /// Takes a placeholder, an escaped brace or a bind parameter that begins here, and says where it ends.
    fn special(&mut self, text: &str, at: usize) -> Result<Option<usize>, TemplateError> {
        if text[at..].starts_with('{') {
            return match mark(text, at)? {
                Mark::Placeholder(inner, end) => self.placeholder(inner, text, end).map(Some),
                Mark::Brace => {
                    self.code.push('{');
                    Ok(Some(at + 2))
                }
                Mark::Other => Ok(None),
            };
        }
        if text[at..].starts_with('$') && !self.code.bytes().next_back().is_some_and(is_name_byte) {
            return self.bind(text, at);
        }
        Ok(None)
    }

    fn placeholder(&mut self, inner: &str, text: &str, end: usize) -> Result<usize, TemplateError> {
        let placeholder = Placeholder::parse(inner)?;
        if !is_spliced(&placeholder) {
            placeholder.check_position(Position::Sql)?;
        }
        let touches = |byte: u8| is_name_byte(byte) || matches!(byte, b'\'' | b'"' | b'$' | b'&' | b'{');
        let before = self.code.bytes().next_back();
        let follows_placeholder =
            self.code.is_empty() && matches!(self.pieces.last(), Some(SqlPiece::Placeholder(_) | SqlPiece::Bind(_)));
        if before.is_some_and(touches) || follows_placeholder || text[end..].bytes().next().is_some_and(touches) {
            return Err(TemplateError::new(format!(
                "{{{inner}}} touches a word or a quote: put a blank or an operator between them"
            )));
        }
        self.flush();
        self.pieces.push(SqlPiece::Placeholder(placeholder));
        Ok(end)
    }

    /// `$name::type`: a named bind parameter. A dollar quote is left to the lexer; `$1` is refused.
    fn bind(&mut self, text: &str, at: usize) -> Result<Option<usize>, TemplateError> {
        let rest = &text[at + 1..];
        let length = rest.bytes().take_while(|byte| is_name_byte(*byte)).count();
        let name = &rest[..length];
        if rest[length..].starts_with('$') {
            return Ok(None);
        }
        if !super::placeholder::is_placeholder_name(name) {
            return Err(TemplateError::new("write bind parameters as $name::type, such as $after::bigint"));
        }
        let cast = rest[length..].strip_prefix("::");
        let kind = cast.and_then(|cast| BindType::ALL.iter().find(|(word, _)| begins_with_word(cast, word)));
        let Some((_, kind)) = kind else {
            return Err(TemplateError::new(format!(
                "${name} needs the type in which it travels: write ${name}::text, ::bigint, ::boolean or ::text[], and \
                 another cast behind it where SQL needs one"
            )));
        };
        let index = match self.binds.iter().position(|bind| bind.name == name) {
            Some(index) if self.binds[index].kind == *kind => index,
            Some(_) => return Err(TemplateError::new(format!("${name} stands here twice with different types"))),
            None => {
                self.binds.push(Bind { name: name.to_owned(), kind: *kind });
                self.binds.len() - 1
            }
        };
        if self.binds.len() > limits::ENTRY_PLACEHOLDERS {
            return Err(TemplateError::new(format!("more than {} bind parameters", limits::ENTRY_PLACEHOLDERS)));
        }
        self.flush();
        self.pieces.push(SqlPiece::Bind(index));
        Ok(Some(at + 1 + length))
    }
}

fn begins_with_word(text: &str, word: &str) -> bool {
    let behind = text.strip_prefix(word).map(|rest| rest.bytes().next());
    behind.is_some_and(|next| !next.is_some_and(|byte| is_name_byte(byte) || byte == b'[') || word.ends_with(']'))
}
