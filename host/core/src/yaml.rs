//! Texts as YAML holds them: whatever a text is made of, it is read back as that one text.

use std::fmt::Write as _;

use crate::text::escape;

/// A text as a YAML scalar: as it is where nothing of it can mean anything else, in double quotes
/// otherwise.
pub fn scalar(text: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_./@ -".contains(character);
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '/');
    // What YAML 1.1 or 1.2 takes for a flag, for nothing or for a number is no text there.
    let is_word =
        !["true", "false", "yes", "no", "on", "off", "null", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    let plain = begins && is_word && !text.ends_with(' ') && !text.contains(" -") && text.chars().all(is_plain);
    if plain && text.len() <= 100 { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes. Everything that is not printable is written as an escape (YAML 1.2,
/// section 5.7).
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other if escape(other.encode_utf8(&mut [0; 4])).starts_with("\\u") => {
                let code = other as u32;
                let _ = if code <= 0xffff { write!(out, "\\u{code:04x}") } else { write!(out, "\\U{code:08x}") };
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
