//! Settings: what a target may set, of which type, and what holds where it does not.

use std::collections::BTreeMap;
use std::fmt;

use crate::text::{self, Ident};
use crate::yaml;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingType {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// Texts.
    List,
}

impl fmt::Display for SettingType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "true or false",
            Self::List => "a list of texts",
        })
    }
}

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingValue {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// Texts.
    List(Vec<String>),
}

impl SettingValue {
    /// The type of the value.
    pub fn kind(&self) -> SettingType {
        match self {
            Self::Text(_) => SettingType::Text,
            Self::Integer(_) => SettingType::Integer,
            Self::Boolean(_) => SettingType::Boolean,
            Self::List(_) => SettingType::List,
        }
    }

    /// The value as a configuration sets it.
    pub fn as_yaml(&self) -> String {
        match self {
            Self::Text(text) => yaml::quoted(text),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| yaml::scalar(item)).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The value as the contract carries it.
    fn as_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(flag) => flag.to_string(),
            Self::List(items) => items.join("\n"),
        }
    }
}

/// A setting that a manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its type.
    pub kind: SettingType,
    /// What holds where the target sets nothing.
    pub default: Option<SettingValue>,
    /// Whether the target must set it.
    pub required: bool,
    /// What it is, for people.
    pub help: String,
}

/// One wrong setting of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SettingError {
    /// The setting's key.
    pub key: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

pub(super) fn resolve(
    declared: &BTreeMap<Ident, Setting>,
    given: &BTreeMap<String, SettingValue>,
) -> Result<BTreeMap<Ident, String>, Vec<SettingError>> {
    let mut wrong = Vec::new();
    for (key, value) in given {
        let message = match declared.get(key.as_str()) {
            None => unknown(key, declared),
            Some(setting) if setting.kind != value.kind() => {
                format!("{} is {}, not {}", text::escape(key), setting.kind, value.kind())
            }
            Some(_) if has_bad_item(value) => format!("{} has an item with a line break", text::escape(key)),
            Some(_) => continue,
        };
        wrong.push(SettingError { key: key.clone(), message });
    }
    for (key, setting) in declared {
        if setting.required && !given.contains_key(key.as_str()) {
            let help =
                if setting.help.is_empty() { String::new() } else { format!(": {}", text::escape(&setting.help)) };
            wrong.push(SettingError { key: key.to_string(), message: format!("{key} must be set{help}") });
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let value = |key: &Ident, setting: &Setting| {
        given.get(key.as_str()).or(setting.default.as_ref()).map(SettingValue::as_text)
    };
    Ok(declared.iter().map(|(key, setting)| (key.clone(), value(key, setting).unwrap_or_default())).collect())
}

/// An item with a line break would be read as two.
/// Whether a list has an item that the contract would carry as two.
pub(super) fn has_bad_item(value: &SettingValue) -> bool {
    matches!(value, SettingValue::List(items) if items.iter().any(|item| item.contains('\n')))
}

fn unknown(key: &str, declared: &BTreeMap<Ident, Setting>) -> String {
    let known = declared.keys().map(Ident::as_str);
    match crate::suggest::closest(key, known.clone()) {
        Some(close) => format!("unknown setting {}: did you mean {close}?", text::escape(key)),
        None => {
            let known: Vec<_> = known.collect();
            let known = if known.is_empty() {
                "this connector has none".to_owned()
            } else {
                format!("it has {}", known.join(", "))
            };
            format!("unknown setting {}: {known}", text::escape(key))
        }
    }
}
