//! Values as they stand in SQL: names, keywords and literals in the text, and parameters beside it.

use super::arguments::{EncodeError, Problem, not_a_keyword, wrong_case};
use super::placeholder::{Origin, Placeholder, PlaceholderType};
use super::sql::{Bind, BindType, BindValue, is_spliced, unclosed};
use super::sql_lexer::code_of;
use crate::call::Value;
use crate::limits;

/// The longest identifier of PostgreSQL, in bytes (NAMEDATALEN - 1; PostgreSQL manual, section 4.1.1).
const IDENTIFIER_BYTES: usize = 63;

/// Refuses SQL that would not stay within the parentheses around it.
pub(super) fn enclosed<'t>(name: &str, text: &'t str) -> Result<&'t str, EncodeError> {
    let wrong = |reason: &str| EncodeError::value(name, reason.to_owned());
    let code = code_of(text).map_err(|unclosed| wrong(&self::unclosed(unclosed).to_string()))?;
    let mut depth = 0_i32;
    for byte in code.bytes() {
        depth += i32::from(byte == b'(') - i32::from(byte == b')');
        if depth < 0 || byte == b';' {
            return Err(wrong("it does not stay within its parentheses"));
        }
    }
    if depth != 0 || text.contains("--") || text.contains("/*") {
        return Err(wrong("a parenthesis or a comment is open"));
    }
    Ok(text)
}

/// The text of a value in a statement, quoted.
pub(super) fn sql_text(placeholder: &Placeholder, value: &Value) -> Result<String, EncodeError> {
    let name = &placeholder.name;
    match (&placeholder.kind, value) {
        (PlaceholderType::Name, Value::Name(path)) => qualified(placeholder, path),
        (PlaceholderType::Names, Value::Names(paths)) => {
            if paths.is_empty() || paths.len() > limits::ARGUMENT_ITEMS {
                return Err(EncodeError::value(name, format!("1 to {} names are needed", limits::ARGUMENT_ITEMS)));
            }
            let quoted = paths.iter().map(|path| qualified(placeholder, path)).collect::<Result<Vec<_>, _>>()?;
            Ok(quoted.join(", "))
        }
        (PlaceholderType::Keywords(words), Value::Keywords(given)) => {
            if given.is_empty() || given.len() > words.len() {
                return Err(EncodeError::value(name, "it needs words, each once"));
            }
            if given.iter().any(|word| !words.contains(word)) {
                return Err(not_a_keyword(name, words));
            }
            Ok(given.join(", "))
        }
        // In parentheses, since a minus behind another one would begin a comment.
        (PlaceholderType::Integer, Value::Integer(number)) if *number < 0 => Ok(format!("({number})")),
        (PlaceholderType::Integer, Value::Integer(number)) => Ok(number.to_string()),
        (PlaceholderType::Literal | PlaceholderType::Text, Value::Text(text)) => literal(name, text),
        (PlaceholderType::Raw, Value::Free(text)) => Ok(text.clone()),
        (_, Value::Free(text)) if is_spliced(placeholder) => enclosed(name, text).map(str::to_owned),
        _ if is_spliced(placeholder) => Err(EncodeError::value(name, "the host puts it in")),
        (_, Value::Captured(_)) => {
            Err(EncodeError::value(name, "a captured value is put in by the host before the statement is built"))
        }
        (kind, other) => Err(wrong_case(name, kind, other)),
    }
}

/// A name or a path, each part in double quotes.
fn qualified(placeholder: &Placeholder, path: &[String]) -> Result<String, EncodeError> {
    let name = &placeholder.name;
    if !(1..=4).contains(&path.len()) {
        return Err(EncodeError::value(name, "a name has 1 to 4 parts"));
    }
    let names_a_role = matches!(
        placeholder.origin,
        Some(Origin::Control | Origin::Name | Origin::Member | Origin::Grantor | Origin::Creator)
    );
    let quoted = path.iter().map(|part| {
        if part.is_empty() || part.len() > IDENTIFIER_BYTES || part.contains('\0') {
            return Err(EncodeError::value(
                name,
                format!(
                    "a part of a name has 1 to {IDENTIFIER_BYTES} bytes and no NUL: {} has {}",
                    crate::text::excerpt(part, 40),
                    part.len()
                ),
            ));
        }
        if names_a_role && matches!(part.as_str(), "public" | "none") {
            return Err(EncodeError::value(
                name,
                format!("{part} is no role: even in quotes the server reads it as the keyword"),
            ));
        }
        Ok(format!("\"{}\"", part.replace('"', "\"\"")))
    });
    Ok(quoted.collect::<Result<Vec<_>, _>>()?.join("."))
}

/// A string literal: with doubled quotes, and in the form `E'…'` where a backslash would be read in two ways.
fn literal(name: &str, text: &str) -> Result<String, EncodeError> {
    if text.contains('\0') {
        return Err(EncodeError::value(name, "a text cannot hold NUL"));
    }
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return Ok(format!(" E'{}'", quoted.replace('\\', "\\\\")));
    }
    Ok(format!("'{quoted}'"))
}

pub(super) fn bind_value(bind: &Bind, value: Option<&Value>) -> Result<BindValue, EncodeError> {
    let has_nul = |text: &str| text.contains('\0');
    let nul = || EncodeError::value(&bind.name, "a text cannot hold NUL");
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
