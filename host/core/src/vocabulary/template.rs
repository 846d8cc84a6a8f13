//! Finding placeholders in text.
//!
//! `{name:` begins a placeholder and nothing else does, so JSON's and SQL's own braces need no escape; `{{` is one literal
//! brace, for the rare text that would look like a placeholder. The closing brace is the one that matches, where braces
//! and parentheses inside (those of `items(…)`) are counted and JSON strings are passed over.

use super::placeholder::{NAME_BYTES, Placeholder, PlaceholderType, is_name_byte, is_placeholder_name};
use crate::limits;

/// Why a template is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

impl TemplateError {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text that stands for itself.
    Literal(String),
    /// A placeholder.
    Placeholder(Placeholder),
}

/// What begins at a byte of a template.
pub(super) enum Mark<'t> {
    /// A placeholder: what stands between its braces, and where it ends.
    Placeholder(&'t str, usize),
    /// An escaped brace.
    Brace,
    /// Text.
    Other,
}

/// Says what begins at byte `at` of `text`.
pub(super) fn mark(text: &str, at: usize) -> Result<Mark<'_>, TemplateError> {
    let rest = &text[at..];
    if rest.starts_with("{{") {
        return Ok(Mark::Brace);
    }
    let Some(inner) = rest.strip_prefix('{') else { return Ok(Mark::Other) };
    // Looking for the colon anywhere would pass over the rest of the text again for each brace in
    // it.
    let behind = inner.bytes().take(NAME_BYTES + 1).position(|byte| !is_name_byte(byte));
    let Some(name) = behind.filter(|behind| inner[*behind..].starts_with(':')).map(|behind| &inner[..behind]) else {
        return Ok(Mark::Other);
    };
    if !is_placeholder_name(name) {
        return Ok(Mark::Other);
    }
    let length = matching_brace(inner).ok_or_else(|| {
        TemplateError::new(format!("the placeholder {{{} is not closed", crate::text::excerpt(name, 40)))
    })?;
    Ok(Mark::Placeholder(&inner[..length], at + 1 + length + 1))
}

/// Where the brace that closes a placeholder stands, counted from after the opening one.
fn matching_brace(inner: &str) -> Option<usize> {
    let mut depth = 0_u32;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Splits a text into literals and placeholders.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut at = 0;
    while at < text.len() {
        match mark(text, at)? {
            Mark::Placeholder(inner, end) => {
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Placeholder(Placeholder::parse(inner)?));
                at = end;
            }
            Mark::Brace => {
                literal.push('{');
                at += 2;
            }
            Mark::Other => {
                let Some(character) = text[at..].chars().next() else { break };
                literal.push(character);
                at += character.len_utf8();
            }
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// Refuses an entry with too many placeholders, or with two of one name that are not the same.
pub(super) fn check_placeholders<'p>(all: impl IntoIterator<Item = &'p Placeholder>) -> Result<(), TemplateError> {
    let mut seen: Vec<&Placeholder> = Vec::new();
    for placeholder in all {
        match seen.iter().find(|other| other.name == placeholder.name) {
            Some(other) if *other != placeholder => {
                return Err(TemplateError::new(format!(
                    "{{{}:…}} stands here twice with different types or origins: give them different names",
                    placeholder.name
                )));
            }
            Some(_) => {}
            None if seen.len() == limits::ENTRY_PLACEHOLDERS => {
                return Err(TemplateError::new(format!("more than {} placeholders", limits::ENTRY_PLACEHOLDERS)));
            }
            None => seen.push(placeholder),
        }
    }
    Ok(())
}

/// Refuses a placeholder of a write entry that no part of a change says: a connector could put anything there. Free text is
/// left to the grant that it needs.
pub(super) fn check_origins<'p>(mut all: impl Iterator<Item = &'p Placeholder>) -> Result<(), TemplateError> {
    all.try_for_each(|placeholder| match &placeholder.kind {
        PlaceholderType::Items(template) => check_origins(template.placeholders().into_iter()),
        PlaceholderType::Json => Ok(()),
        _ if placeholder.origin.is_some() => Ok(()),
        _ => Err(TemplateError::new(format!(
            "{{{}:…}} stands in a write entry: say which part of the change it is, such as @control, @member, @object or \
             @permission",
            placeholder.name
        ))),
    })
}
