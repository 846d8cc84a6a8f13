//! The values of a call that name people, and the same call without them: for a record that others
//! may read.

use std::collections::BTreeSet;

use super::placeholder::{Origin, Placeholder, PlaceholderType};
use crate::call::{Argument, Value};

/// Whether a value of this origin names somebody: who gets something, who gave it, or who makes
/// what it is about.
fn names_somebody(origin: Option<Origin>) -> bool {
    matches!(origin, Some(Origin::Member | Origin::Grantor | Origin::Creator))
}

/// The arguments with pseudonyms for members, grantors and creators. They can stand where the names
/// stood, so the request is built of them as of the names.
pub fn without_people(
    arguments: &[Argument],
    placeholders: &[&Placeholder],
    pseudonym: &dyn Fn(&str) -> String,
) -> Vec<Argument> {
    let argument = |argument: &Argument| {
        let Some(placeholder) = placeholders.iter().find(|known| known.name == argument.name) else {
            return argument.clone();
        };
        let value = match &placeholder.kind {
            PlaceholderType::Items(template) => {
                let inner = template.placeholders();
                let named = inner.iter().filter(|known| names_somebody(known.origin)).map(|known| known.name.as_str());
                within_items(&argument.value, &named.collect(), pseudonym)
            }
            _ if names_somebody(placeholder.origin) => replaced(&argument.value, pseudonym),
            _ => argument.value.clone(),
        };
        Argument { name: argument.name.clone(), value }
    };
    arguments.iter().map(argument).collect()
}

fn replaced(value: &Value, pseudonym: &dyn Fn(&str) -> String) -> Value {
    let all = |texts: &[String]| texts.iter().map(|text| pseudonym(text)).collect();
    match value {
        Value::Text(text) => Value::Text(pseudonym(text)),
        Value::Texts(texts) => Value::Texts(all(texts)),
        Value::Name(parts) => Value::Name(all(parts)),
        Value::Names(names) => Value::Names(names.iter().map(|parts| all(parts)).collect()),
        Value::Free(text) => Value::Free(serde_json::Value::String(pseudonym(text)).to_string()),
        Value::Null
        | Value::Integer(_)
        | Value::Boolean(_)
        | Value::Keywords(_)
        | Value::Items(_)
        | Value::Captured(_) => value.clone(),
    }
}

fn within_items(value: &Value, named: &BTreeSet<&str>, pseudonym: &dyn Fn(&str) -> String) -> Value {
    let Value::Items(items) = value else { return value.clone() };
    let pair = |(name, text): &(String, String)| {
        (name.clone(), if named.contains(name.as_str()) { pseudonym(text) } else { text.clone() })
    };
    Value::Items(items.iter().map(|item| item.iter().map(pair).collect()).collect())
}
