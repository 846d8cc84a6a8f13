//! What a call says: its arguments, taken apart by the origins of their placeholders.

use super::WriteEntry;
use crate::call::{Argument, Value};
use crate::text::ExternalId;
use crate::vocabulary::{Origin, Placeholder, PlaceholderType};

/// What an argument says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Text(String),
    Path(Vec<String>),
    Token(String),
    /// A special member, which the text of the entry names.
    Special(ExternalId),
}

/// One line of a call: what it says of one member, object and permission.
pub(super) type SaidLine = Vec<(Origin, Said)>;

/// A call, taken apart.
pub(super) struct ReadCall {
    pub(super) lines: Vec<SaidLine>,
    /// Whether it gives a list as a whole.
    pub(super) is_list: bool,
}

/// Takes a call apart: several permissions, objects or items are a line each.
pub(super) fn read(entry: &WriteEntry<'_>, arguments: &[Argument]) -> Result<ReadCall, String> {
    let special = entry.member.map(|id| (Origin::Member, Said::Special(id.clone())));
    let mut call = ReadCall { lines: vec![special.into_iter().collect()], is_list: false };
    let mut seen: Vec<&str> = Vec::new();
    // Parts of an object, such as columns, stand behind the object, wherever the statement names them.
    let is_part = |placeholder: &&&Placeholder| placeholder.kind == PlaceholderType::Names;
    let first = entry.placeholders.iter().filter(|placeholder| !is_part(placeholder));
    for placeholder in first.chain(entry.placeholders.iter().filter(is_part)) {
        if seen.contains(&placeholder.name.as_str()) {
            continue;
        }
        seen.push(&placeholder.name);
        let argument = arguments.iter().find(|argument| argument.name == placeholder.name);
        let argument = argument.filter(|argument| argument.value != Value::Null);
        let Some(argument) = argument else {
            if may_be_absent(entry, placeholder) {
                continue;
            }
            // A target may take what is absent for everything.
            return Err(format!("{}: it is left out", placeholder.name));
        };
        if entry.splices(placeholder) {
            return Err(format!("{}: the host puts it in", placeholder.name));
        }
        let each = said(placeholder, &argument.value)?;
        call.is_list |= matches!(placeholder.kind, PlaceholderType::Items(_));
        if each.is_empty() {
            // An empty list says that there is nobody.
            continue;
        }
        if call.lines.len().saturating_mul(each.len()) > crate::limits::ARGUMENT_ITEMS {
            return Err("it says too much at once".into());
        }
        let joined = call.lines.iter().flat_map(|line| each.iter().map(|more| [line.as_slice(), more].concat()));
        call.lines = joined.collect();
    }
    Ok(call)
}

/// Whether a call may leave out the value of a placeholder: what the host puts in, a flag that is not set, and the version of a
/// list that has none.
fn may_be_absent(entry: &WriteEntry<'_>, placeholder: &Placeholder) -> bool {
    entry.splices(placeholder)
        || placeholder.origin.is_none_or(|origin| origin.is_flag() || origin == Origin::Version)
            && !matches!(placeholder.kind, PlaceholderType::Items(_))
}

/// What the value of a placeholder says: one piece for each of several.
fn said(placeholder: &Placeholder, value: &Value) -> Result<Vec<SaidLine>, String> {
    if let (PlaceholderType::Items(template), Value::Items(items)) = (&placeholder.kind, value) {
        let inner = template.placeholders();
        let line = |item: &Vec<(String, String)>| -> Result<SaidLine, String> {
            item.iter()
                .map(|(name, text)| {
                    let known = inner.iter().find(|placeholder| placeholder.name == *name);
                    let origin = known.and_then(|placeholder| placeholder.origin);
                    origin.map(|origin| (origin, Said::Text(text.clone()))).ok_or_else(|| format!("{name}: unknown"))
                })
                .collect()
        };
        return items.iter().map(line).collect();
    }
    let Some(origin) = placeholder.origin else { return Ok(vec![Vec::new()]) };
    let one = |said: Said| vec![(origin, said)];
    Ok(match value {
        Value::Text(text) => vec![one(Said::Text(text.clone()))],
        Value::Integer(number) => vec![one(Said::Text(number.to_string()))],
        Value::Boolean(flag) => vec![one(Said::Text(flag.to_string()))],
        Value::Name(path) => vec![one(Said::Path(path.clone()))],
        Value::Names(paths) => paths.iter().map(|path| one(Said::Path(path.clone()))).collect(),
        Value::Keywords(words) => words.iter().map(|word| one(Said::Text(word.clone()))).collect(),
        Value::Captured(token) => vec![one(Said::Token(token.clone()))],
        Value::Null | Value::Texts(_) | Value::Items(_) | Value::Free(_) => {
            return Err(format!("{}: it cannot be compared with a change", placeholder.name));
        }
    })
}

impl Said {
    /// The one text of it.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Path(path) => match path.as_slice() {
                [one] => Some(one),
                _ => None,
            },
            Self::Token(_) | Self::Special(_) => None,
        }
    }

    pub(super) fn is_one_of(&self, names: &[String]) -> bool {
        self.text().is_some_and(|text| names.iter().any(|name| name == text))
    }

    pub(super) fn parts(&self) -> Option<Vec<&str>> {
        match self {
            Self::Text(text) => Some(vec![text]),
            Self::Path(path) => Some(path.iter().map(String::as_str).collect()),
            Self::Token(_) | Self::Special(_) => None,
        }
    }
}
