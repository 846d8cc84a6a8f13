//! Text from outside: bounded when it is taken in, escaped when it is shown.
//!
//! A type of this module is made once, at the border, and cannot be wrong afterwards. `as_str` gives the text as it is,
//! for data; `Display` gives it escaped, for people: a name with a newline or a terminal sequence stays one harmless word
//! in every message, log line and table.

use std::borrow::Cow;
use std::fmt;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits;

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The text has no bytes where some are needed.
    #[error("it is empty")]
    Empty,
    /// The text has more bytes than its type allows.
    #[error("it has {bytes} bytes, and at most {max} are allowed")]
    TooLong {
        /// How many it has.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// The text has a NUL character, which no target stores.
    #[error("it has a NUL character")]
    Nul,
    /// The text does not have the form of its type.
    #[error("it is not {expected}")]
    Form {
        /// What it should be.
        expected: &'static str,
    },
}

/// Gives `text` as people may see it: a character that cannot be seen, or that changes how other
/// text is seen, is written as `\u{…}`.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe_to_show) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            other if is_unsafe_to_show(other) => shown.extend(other.escape_unicode()),
            other => shown.push(other),
        }
    }
    Cow::Owned(shown)
}

/// Gives at most `max` characters of `text`, escaped, with an ellipsis where something is left out.
pub fn excerpt(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => escape(text).into_owned(),
        Some((end, _)) => format!("{}…", escape(&text[..end])),
    }
}

/// Characters that are letters, symbols or marks to Unicode and look like nothing: BRAILLE PATTERN
/// BLANK, OBJECT REPLACEMENT CHARACTER, KHITAN SMALL SCRIPT FILLER, EGYPTIAN HIEROGLYPH FULL BLANK
/// and HALF BLANK, MUSICAL SYMBOL NULL NOTEHEAD.
const BLANK: [char; 6] = ['\u{2800}', '\u{fffc}', '\u{16fe4}', '\u{13441}', '\u{13442}', '\u{1d159}'];

/// Says whether somebody who reads a text may not see that a character is there, or may see other
/// characters because of it, elsewhere or not at all. These are controls, formats and separators
/// other than the space (general categories Cc, Cf, Zl, Zp, Zs), what Unicode says may be ignored
/// (Default_Ignorable_Code_Point: fillers, variation selectors, tags), what nobody has defined (Cn,
/// Co), and letters that are blank (Unicode TR 36, section 3, and TR 39, section 3.1).
fn is_unsafe_to_show(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let hidden = matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
    );
    hidden || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character) || BLANK.contains(&character)
}

/// Checks the bounds that every text has.
fn check(text: &str, min: usize, max: usize) -> Result<(), TextError> {
    if text.len() < min {
        return Err(TextError::Empty);
    }
    if text.len() > max {
        return Err(TextError::TooLong { bytes: text.len(), max });
    }
    if text.as_bytes().contains(&0) {
        return Err(TextError::Nul);
    }
    Ok(())
}

/// Defines a text type with its bounds and, where it has one, its form.
macro_rules! text_type {
    ($(#[doc = $doc:literal])* $name:ident, $min:expr, $max:expr) => {
        text_type!($(#[doc = $doc])* $name, $min, $max, |_| true, "");
    };
    ($(#[doc = $doc:literal])* $name:ident, $min:expr, $max:expr, $form:expr, $expected:expr) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes the text if it keeps to the bounds of this type.
            ///
            /// # Errors
            /// `TextError` says which bound it breaks.
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, TextError> {
                let text = text.into();
                check(&text, $min, $max)?;
                let form: fn(&str) -> bool = $form;
                if !form(&text) {
                    return Err(TextError::Form { expected: $expected });
                }
                Ok(Self(text))
            }

            /// The text as it is: for data, never for people.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text as it is, without a copy.
            pub fn into_string(self) -> String {
                self.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&escape(&self.0))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = TextError;
            fn try_from(text: String) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = TextError;
            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!($($doc),*).trim(),
                    "minLength": $min,
                    "maxLength": $max,
                })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = Box::<str>::deserialize(input)?;
                Self::new(text).map_err(|error| de::Error::custom(format!("not a {}: {error}", stringify!($name))))
            }
        }
    };
}

text_type! {
    /// What identifies something of a target for good.
    ExternalId, 1, limits::EXTERNAL_ID_BYTES
}
text_type! {
    /// A name that people or a target gave. May be empty where the target has none.
    Name, 0, limits::NAME_BYTES
}
text_type! {
    /// What something is for, or why something is so.
    Remark, 0, limits::DESCRIPTION_BYTES
}
text_type! {
    /// One part of an object's path.
    PathPart, 1, limits::NAME_BYTES
}
text_type! {
    /// The name of a permission or of an action, as the target writes it.
    PermissionName, 1, 256
}
text_type! {
    /// A rule in the target's words: the text of a row filter, of a mask or of a condition.
    PolicyText, 0, limits::POLICY_BYTES
}
text_type! {
    /// The text of a statement of step 5.
    StatementText, 0, limits::STATEMENT_BYTES
}
text_type! {
    /// What tells a routine from others of its name: the types of its arguments.
    Signature, 0, limits::SIGNATURE_BYTES
}
text_type! {
    /// A tag's value.
    TagValue, 0, limits::TAG_VALUE_BYTES
}
text_type! {
    /// Where a reader can go on within the same run.
    Resume, 0, limits::RESUME_BYTES
}
text_type! {
    /// An e-mail address, in the loose sense of having an `@` between two other things and no space.
    Email, 3, 320, is_email, "an e-mail address"
}
text_type! {
    /// The kind of an object, of an access control or of a mask, as the description names it.
    Kind, 1, 64, is_word, "a word of lower-case letters, digits and dashes that begins with a letter"
}
text_type! {
    /// The name of a setting, of a slot, of an entry or of a placeholder.
    Ident, 1, 64, is_word, "a word of lower-case letters, digits and dashes that begins with a letter"
}
text_type! {
    /// The name of a connector.
    ConnectorName, 1, 64, is_word, "a word of lower-case letters, digits and dashes that begins with a letter"
}
text_type! {
    /// The name of a target in the configuration.
    TargetName, 1, 64, is_target_name, "letters, digits, dots, dashes and underscores, beginning with a letter or a digit"
}

text_type! {
    /// The id of a run: a UUID in its usual form.
    RunId, 36, 36, is_uuid, "a UUID"
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    })
}

fn is_word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_target_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn is_email(text: &str) -> bool {
    match text.rsplit_once('@') {
        Some((local, domain)) => {
            !local.is_empty() && !domain.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_escaped_and_what_data_holds_is_not() {
        let name = Name::new("a\u{1b}[31m\n\u{202e}b").expect("within its bounds");
        assert_eq!(name.to_string(), "a\\u{1b}[31m\\n\\u{202e}b");
        assert_eq!(name.as_str(), "a\u{1b}[31m\n\u{202e}b");
        assert_eq!(escape("Ünïcode, plain: ✓"), "Ünïcode, plain: ✓");
    }

    #[test]
    fn nothing_that_cannot_be_seen_is_shown_as_it_is() {
        // Of each kind some, and the first and the last of each range.
        for character in [
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{1680}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{180f}',
            '\u{2000}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{202f}',
            '\u{205f}',
            '\u{2060}',
            '\u{2064}',
            '\u{2065}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{378}',
            '\u{e000}',
            '\u{f8ff}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff0}',
            '\u{fffb}',
            '\u{fffc}',
            '\u{ffff}',
            '\u{110bd}',
            '\u{13430}',
            '\u{13441}',
            '\u{16fe4}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{1fffe}',
            '\u{e0001}',
            '\u{e0020}',
            '\u{e007f}',
            '\u{e0100}',
            '\u{e01ef}',
            '\u{e0fff}',
            '\u{f0000}',
            '\u{10ffff}',
        ] {
            let shown = escape(&character.to_string()).into_owned();
            assert_eq!(shown, format!("\\u{{{:x}}}", u32::from(character)));
            assert_eq!(escape(&format!("a{character}b")), format!("a{shown}b"));
        }
        for text in
            ["Müller", "Владимир", "山田 太郎", "नमस्ते", "שלום", "ดีใจ", "e\u{301}", "😀 ✓ — „a“ «b» ½ №", "한국어", "ﷺ"]
        {
            assert_eq!(escape(text), text);
        }
    }

    #[test]
    fn an_excerpt_is_cut_at_a_character() {
        assert_eq!(excerpt("äöü", 2), "äö…");
        assert_eq!(excerpt("äöü", 3), "äöü");
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(ExternalId::new(""), Err(TextError::Empty));
        assert_eq!(Name::new("a\0"), Err(TextError::Nul));
        assert_eq!(Name::new("x".repeat(1_025)), Err(TextError::TooLong { bytes: 1_025, max: 1_024 }));
        assert!(Ident::new("list-users2").is_ok());
        for wrong in ["List", "2x", "a_b", "a b", "-a", "ä"] {
            assert!(Ident::new(wrong).is_err(), "{wrong}");
        }
        assert!(Email::new("ann@example.test").is_ok());
        for wrong in ["ann", "@x", "ann@", "a b@c"] {
            assert!(Email::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reading_json_checks_the_bounds() {
        assert!(serde_json::from_str::<ExternalId>("\"\"").is_err());
        assert_eq!(serde_json::from_str::<Kind>("\"table\"").expect("a kind").as_str(), "table");
    }
}
