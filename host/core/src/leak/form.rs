//! The forms in which a secret is looked for.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::limits;

/// How a secret was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// In base64 (RFC 4648, sections 4 and 5).
    Base64,
    /// In hexadecimal.
    Hex,
    /// Percent-encoded (RFC 3986, section 2.1), with `+` for a space as forms have it, or one of the above so.
    Percent,
    /// With escapes of JSON (RFC 8259, section 7), or one of the above so.
    Json,
    /// With references to characters as HTML and XML have them, or one of the above so.
    Markup,
    /// Nobody knows: the search could not be made ready, so everything counts as a find.
    Unsearched,
}

impl fmt::Display for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Plain => "as it is",
            Self::Base64 => "in base64",
            Self::Hex => "in hexadecimal",
            Self::Percent => "percent-encoded",
            Self::Json => "escaped as JSON",
            Self::Markup => "escaped as HTML",
            Self::Unsearched => "for all that is known: the search for secrets could not be made ready",
        })
    }
}

/// Bytes that tell that a secret is there.
pub(super) struct Pattern {
    /// The secret's number.
    pub(super) secret: usize,
    pub(super) form: Form,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// A whole value that is this secret, where it is too short to be looked for inside of others.
    pub(super) whole: Option<Zeroizing<Vec<u8>>>,
    /// Whether the secret has several lines, of which the pattern knows one.
    pub(super) of_several_lines: bool,
}

/// The longest value that a short secret can be as a whole: in hexadecimal, with some space around it.
pub(super) const WHOLE_BYTES_MAX: usize = 4 * limits::SHORT_SECRET_BYTES;

/// Adds what a secret is recognised by.
pub(super) fn patterns(secret: usize, text: &str, patterns: &mut Vec<Pattern>) {
    let text = text.trim();
    let several = text.contains('\n');
    let pattern = |form, bytes: &[u8], whole: Option<&[u8]>| Pattern {
        secret,
        form,
        bytes: Zeroizing::new(bytes.to_vec()),
        whole: whole.map(|value| Zeroizing::new(value.to_vec())),
        of_several_lines: several,
    };
    if text.len() < limits::SHORT_SECRET_BYTES {
        for (form, value) in short_forms(text.as_bytes()) {
            for (before, after) in [("\"", "\""), ("'", "'"), (">", "<")] {
                let enclosed = Zeroizing::new([before, value.as_str(), after].concat());
                patterns.push(pattern(form, enclosed.as_bytes(), Some(value.as_bytes())));
            }
        }
        return;
    }
    let telling = telling(text);
    if telling.contains(' ') {
        // In forms (URL standard, application/x-www-form-urlencoded) a space has a sign of its own; the rest is percent-encoded.
        let spaced = Zeroizing::new(telling.replace(' ', "+"));
        patterns.push(pattern(Form::Percent, spaced.as_bytes(), None));
    }
    let telling = telling.as_bytes();
    patterns.push(pattern(Form::Plain, telling, None));
    for upper in [false, true] {
        patterns.push(pattern(Form::Hex, hex(telling, upper).as_bytes(), None));
    }
    for url in [false, true] {
        for before in 0..3 {
            patterns.push(pattern(Form::Base64, within_base64(telling, before, url).as_bytes(), None));
        }
    }
}

/// The part of a secret that tells it from others: all of a short one; of a longer one the end, which in a token is the
/// signature; of a key in PEM form a line out of its middle, because the first ones are the same in all keys.
fn telling(text: &str) -> &str {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.len() >= limits::SHORT_SECRET_BYTES && !line.starts_with("-----"))
        .collect();
    let line = lines.get(lines.len() / 2).copied().unwrap_or(text);
    let mut from = line.len().saturating_sub(limits::LEAK_PATTERN_BYTES);
    while !line.is_char_boundary(from) {
        from += 1;
    }
    &line[from..]
}

/// The forms of a short secret as a whole value.
fn short_forms(secret: &[u8]) -> Vec<(Form, Zeroizing<String>)> {
    let plain = Zeroizing::new(String::from_utf8_lossy(secret).into_owned());
    let mut forms = vec![(Form::Plain, plain)];
    for upper in [false, true] {
        forms.push((Form::Hex, hex(secret, upper)));
    }
    for url in [false, true] {
        let encoded = base64(secret, url);
        let padding = "=".repeat((4 - encoded.len() % 4) % 4);
        let padded = Zeroizing::new([encoded.as_str(), &padding].concat());
        forms.extend([(Form::Base64, encoded), (Form::Base64, padded)]);
    }
    forms
}

/// What of a text's base64 does not depend on what stands around it, where `before` (0 to 2) bytes of its first group of
/// three belong to something else. Each character holds six bits.
fn within_base64(text: &[u8], before: usize, url: bool) -> Zeroizing<String> {
    let bytes = Zeroizing::new([&[0; 2][..before], text].concat());
    let encoded = base64(&bytes, url);
    let first = (before * 8).div_ceil(6);
    let end = bytes.len() * 8 / 6;
    Zeroizing::new(encoded[first..end].to_owned())
}

/// Base64 without padding.
pub(super) fn base64(bytes: &[u8], url: bool) -> Zeroizing<String> {
    Zeroizing::new(if url { URL_SAFE_NO_PAD.encode(bytes) } else { STANDARD_NO_PAD.encode(bytes) })
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8], upper: bool) -> Zeroizing<String> {
    let digits: &[u8; 16] = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    let digit = |nibble: u8| char::from(digits[usize::from(nibble & 15)]);
    // At its full length from the beginning: memory that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * bytes.len()));
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    text
}
