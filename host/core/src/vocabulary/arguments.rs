//! The arguments of a call, matched with the placeholders of an entry.

use crate::call::{Argument, Value};
use crate::text;

use super::placeholder::{Placeholder, PlaceholderType};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The entry has no placeholder of this name.
    #[error("the entry has no placeholder of this name")]
    Unknown,
    /// There are two arguments of one name.
    #[error("it is given twice")]
    Twice,
    /// The placeholder needs a value and there is none.
    #[error("it needs a value")]
    Missing,
    /// The value's case is not one that the type takes.
    #[error("a {given} value is given where the manifest declares {wanted}")]
    Case {
        /// The value's case.
        given: &'static str,
        /// The placeholder's type.
        wanted: String,
    },
    /// The value cannot stand in this place.
    #[error("{0}")]
    Value(String),
}

/// Why a call could not be turned into a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument {}: {problem}", text::excerpt(.argument, 64))]
pub struct EncodeError {
    /// The argument's name.
    pub argument: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl EncodeError {
    pub(super) fn new(argument: &str, problem: Problem) -> Self {
        Self { argument: argument.to_owned(), problem }
    }

    pub(super) fn value(argument: &str, reason: impl Into<String>) -> Self {
        Self::new(argument, Problem::Value(reason.into()))
    }
}

/// The arguments of a call, each known to be one that the entry takes.
pub(super) struct Arguments<'c>(Vec<&'c Argument>);

impl<'c> Arguments<'c> {
    /// Refuses arguments that the entry does not take or that are given twice.
    pub(super) fn new<'n>(
        arguments: &'c [Argument],
        mut known: impl FnMut(&str) -> bool + 'n,
    ) -> Result<Self, EncodeError> {
        for (index, argument) in arguments.iter().enumerate() {
            if !known(&argument.name) {
                return Err(EncodeError::new(&argument.name, Problem::Unknown));
            }
            if arguments[..index].iter().any(|other| other.name == argument.name) {
                return Err(EncodeError::new(&argument.name, Problem::Twice));
            }
        }
        Ok(Self(arguments.iter().collect()))
    }

    /// The value of an argument; none where it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'c Value> {
        let argument = self.0.iter().find(|argument| argument.name == name)?;
        (argument.value != Value::Null).then_some(&argument.value)
    }

    /// Whether the argument is given, also as null.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument.name == name)
    }
}

/// The text of a value for a placeholder whose type is a kind of text: not yet encoded, but of the type's form.
pub(super) fn plain_text(placeholder: &Placeholder, value: &Value) -> Result<String, EncodeError> {
    let name = &placeholder.name;
    let wrong = |reason: &str| Err(EncodeError::value(name, reason));
    match (&placeholder.kind, value) {
        (PlaceholderType::Text | PlaceholderType::Quoted(_) | PlaceholderType::Dn, Value::Text(text)) => {
            Ok(text.clone())
        }
        (PlaceholderType::Id, Value::Text(text)) => {
            if is_id(text) {
                Ok(text.clone())
            } else {
                wrong("an id has 1 to 128 letters, digits, dots, dashes and underscores, and is not . or ..")
            }
        }
        (PlaceholderType::Time, Value::Text(text)) => {
            if is_time(text) {
                Ok(text.clone())
            } else {
                wrong("a time is written as in 2026-01-31T08:00:00Z (RFC 3339)")
            }
        }
        (PlaceholderType::Integer, Value::Integer(number)) => Ok(number.to_string()),
        (PlaceholderType::Boolean, Value::Boolean(flag)) => Ok(flag.to_string()),
        (PlaceholderType::Keywords(words), Value::Keywords(given)) => match given.as_slice() {
            [word] if words.contains(word) => Ok(word.clone()),
            [_] => Err(not_a_keyword(name, words)),
            _ => wrong("exactly one word can stand here"),
        },
        (_, Value::Captured(_)) => wrong("a captured value is put in by the host before the request is built"),
        (kind, other) => Err(wrong_case(name, kind, other)),
    }
}

pub(super) fn not_a_keyword(name: &str, words: &[String]) -> EncodeError {
    EncodeError::value(name, format!("the manifest allows only {}", words.join(", ")))
}

pub(super) fn wrong_case(name: &str, kind: &PlaceholderType, value: &Value) -> EncodeError {
    EncodeError::new(name, Problem::Case { given: value.case(), wanted: kind.to_string() })
}

/// Says whether a text needs no quoting anywhere.
pub(super) fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && text != "."
        && text != ".."
}

/// Says whether a text is a `date-time` of RFC 3339, section 5.6, in its form and ranges.
pub(super) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| -> Option<u32> { text.get(range)?.parse().ok() };
    let all_digits =
        |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|part| part.iter().all(u8::is_ascii_digit));
    if bytes.len() < 20 || !text.is_ascii() {
        return false;
    }
    let fixed = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if fixed.iter().any(|(at, byte)| bytes[*at] != *byte) {
        return false;
    }
    let numbers = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19];
    if !numbers.iter().all(|range| all_digits(range.clone())) {
        return false;
    }
    let within = |range, low, high| digits(range).is_some_and(|number| (low..=high).contains(&number));
    if !(within(5..7, 1, 12)
        && within(8..10, 1, 31)
        && within(11..13, 0, 23)
        && within(14..16, 0, 59)
        && within(17..19, 0, 60))
    {
        return false;
    }
    let mut zone = &text[19..];
    if let Some(fraction) = zone.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=9).contains(&length) {
            return false;
        }
        zone = &fraction[length..];
    }
    match zone.as_bytes() {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit())
                && (h1 - b'0') * 10 + (h2 - b'0') < 24
                && (m1 - b'0') * 10 + (m2 - b'0') < 60
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_rfc_3339() {
        // Examples of RFC 3339, section 5.8.
        for right in ["1985-04-12T23:20:50.52Z", "1996-12-19T16:39:57-08:00", "1990-12-31T23:59:60Z"] {
            assert!(is_time(right), "{right}");
        }
        for wrong in [
            "1985-04-12 23:20:50Z",
            "1985-13-12T23:20:50Z",
            "1985-04-12T23:20:50",
            "1985-04-12T23:20:50.Z",
            "1985-04-12T23:20:50+24:00",
            "1985-04-12T24:20:50Z",
            "+985-04-12T23:20:50Z",
            "",
            "1985-04-12T23:20:50Zx",
        ] {
            assert!(!is_time(wrong), "{wrong}");
        }
    }

    #[test]
    fn ids_need_no_quoting_anywhere() {
        assert!(is_id("00u1.a-B_c"));
        for wrong in ["", ".", "..", "a/b", "a b", "a%2e", "ä", &"x".repeat(129)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
