//! Values as SQL has them: names, words and literals within a statement, and parameters beside it.

use super::shape::Slot;
use crate::call::Value;
use crate::limits;
use crate::sql::identifier::{IDENTIFIER_BYTES, quoted};
use crate::sql::{ArgumentTypes, Bind, BindType, check_predicate};
use crate::text::excerpt;
use crate::vocabulary::arguments::{EncodeError, Problem, not_a_keyword, wrong_case};
use crate::vocabulary::placeholder::{Placeholder, PlaceholderType};

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

/// The SQL of a value in a slot.
///
/// # Errors
/// `EncodeError` where the value cannot stand there.
pub(super) fn sql_of(slot: Slot, placeholder: &Placeholder, value: &Value) -> Result<String, EncodeError> {
    let name = &placeholder.name;
    match (slot, value) {
        (Slot::Role | Slot::Grantee, Value::Name(path)) => role(name, path),
        (Slot::Grantees, Value::Names(paths)) => each(name, paths, role),
        (Slot::Name, Value::Name(path)) => one_part(name, path),
        (Slot::Names, Value::Names(paths)) => each(name, paths, one_part),
        (Slot::Object, Value::Name(path)) => object(name, path),
        (Slot::Literal, Value::Text(text)) => literal(name, text),
        (Slot::Signature, Value::Free(text)) => {
            ArgumentTypes::parse(text).map(|types| types.to_string()).map_err(|error| wrong(name, error.to_string()))
        }
        (Slot::Predicate, Value::Free(text)) => {
            check_predicate(text).map(|()| text.clone()).map_err(|error| wrong(name, error.to_string()))
        }
        (Slot::Signature | Slot::Predicate, _) => Err(wrong(name, "the host puts it in")),
        (Slot::Words(_), Value::Keywords(given)) => words(placeholder, given, given.len()),
        (Slot::Word(_) | Slot::Option(_), Value::Keywords(given)) => words(placeholder, given, 1),
        (_, Value::Captured(_)) => {
            Err(wrong(name, "a captured value is put in by the host before the statement is built"))
        }
        (_, other) => Err(wrong_case(name, &placeholder.kind, other)),
    }
}

fn wrong(name: &str, reason: impl Into<String>) -> EncodeError {
    EncodeError::value(name, reason)
}

fn each(
    name: &str,
    paths: &[Vec<String>],
    encode: fn(&str, &[String]) -> Result<String, EncodeError>,
) -> Result<String, EncodeError> {
    if paths.is_empty() || paths.len() > limits::ARGUMENT_ITEMS {
        return Err(wrong(name, format!("1 to {} names are needed", limits::ARGUMENT_ITEMS)));
    }
    let all = paths.iter().map(|path| encode(name, path)).collect::<Result<Vec<_>, _>>()?;
    Ok(all.join(", "))
}

fn part(name: &str, part: &str) -> Result<String, EncodeError> {
    if part.is_empty() || part.len() > IDENTIFIER_BYTES || part.contains('\0') {
        let shown = excerpt(part, 40);
        let reason =
            format!("a part of a name has 1 to {IDENTIFIER_BYTES} bytes and no NUL: {shown} has {} bytes", part.len());
        return Err(wrong(name, reason));
    }
    Ok(quoted(part))
}

fn one_part(name: &str, path: &[String]) -> Result<String, EncodeError> {
    match path {
        [only] => part(name, only),
        _ => Err(wrong(name, format!("a name without a schema is needed, and this one has {} parts", path.len()))),
    }
}

/// The name of a role. `public` and `none` are keywords there even in quotes (src/backend/parser/gram.y,
/// RoleSpec).
fn role(name: &str, path: &[String]) -> Result<String, EncodeError> {
    match path {
        [only] if matches!(only.as_str(), "public" | "none") => {
            Err(wrong(name, format!("{only} is no role: even in quotes the server reads it as the keyword")))
        }
        path => one_part(name, path),
    }
}

fn object(name: &str, path: &[String]) -> Result<String, EncodeError> {
    if !(1..=3).contains(&path.len()) {
        return Err(wrong(name, "a name has 1 to 3 parts"));
    }
    let parts = path.iter().map(|one| part(name, one)).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.join("."))
}

/// A string literal: with doubled quotes, and in the form `E'…'` where a backslash could be read in two
/// ways.
fn literal(name: &str, text: &str) -> Result<String, EncodeError> {
    if text.contains('\0') {
        return Err(wrong(name, "a text cannot hold NUL"));
    }
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        return Ok(format!("E'{}'", doubled.replace('\\', "\\\\")));
    }
    Ok(format!("'{doubled}'"))
}

fn words(placeholder: &Placeholder, given: &[String], most: usize) -> Result<String, EncodeError> {
    let PlaceholderType::Keywords(known) = &placeholder.kind else {
        return Err(wrong(&placeholder.name, "it takes no words"));
    };
    if given.is_empty() || given.len() > most || given.len() > known.len() {
        return Err(wrong(&placeholder.name, "it needs words, each once"));
    }
    if given.iter().any(|word| !known.contains(word)) {
        return Err(not_a_keyword(&placeholder.name, known));
    }
    Ok(given.join(", "))
}

/// The value of a bind parameter; NULL where there is none.
pub(super) fn bind_value(bind: &Bind, value: Option<&Value>) -> Result<BindValue, EncodeError> {
    let has_nul = |text: &str| text.contains('\0');
    let nul = || wrong(&bind.name, "a text cannot hold NUL");
    match (bind.kind, value) {
        (_, None) => Ok(BindValue::Null),
        (BindType::Text, Some(Value::Text(text))) if has_nul(text) => Err(nul()),
        (BindType::TextArray, Some(Value::Texts(texts))) if texts.iter().any(|text| has_nul(text)) => Err(nul()),
        (BindType::Text, Some(Value::Text(text))) => Ok(BindValue::Text(text.clone())),
        (BindType::Bigint, Some(Value::Integer(number))) => Ok(BindValue::Bigint(*number)),
        (BindType::Boolean, Some(Value::Boolean(flag))) => Ok(BindValue::Boolean(*flag)),
        (BindType::TextArray, Some(Value::Texts(texts))) => Ok(BindValue::TextArray(texts.clone())),
        (kind, Some(other)) => Err(EncodeError::new(
            &bind.name,
            Problem::Case { given: other.case(), wanted: format!("${}::{kind}", bind.name) },
        )),
    }
}
