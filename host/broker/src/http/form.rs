//! The form of an answer: whole, and in characters in which secrets can be recognised.
//!
//! A request never asks for anything else (`vocabulary/field.rs`), so an answer that is a part of
//! one, a difference to an earlier one, or in an encoding that is not based on ASCII comes from a
//! target that does as it likes. Nothing of it is given on.

use raito_core::text::excerpt;
use reqwest::header::{CONTENT_TYPE, HeaderMap};

/// Statuses of answers that are not the whole (RFC 9110, sections 15.3.7 and 15.5.17; RFC 3229,
/// section 10.4.1).
const PARTIAL: [u16; 3] = [206, 226, 416];

/// Header fields that such answers have, whatever their status says (RFC 9110, section 14.4; RFC
/// 3229, section 10).
const OF_PARTS: [&str; 3] = ["content-range", "im", "delta-base"];

/// Beginnings of the names of encodings in which ASCII characters are the bytes that they are in
/// ASCII (IANA, Character Sets). UTF-16, UTF-32, UTF-7, EBCDIC and those that shift between sets
/// are not among them.
const LIKE_ASCII: [&str; 12] = [
    "utf-8",
    "utf8",
    "us-ascii",
    "ascii",
    "iso-8859-",
    "iso8859-",
    "latin1",
    "windows-125",
    "cp125",
    "koi8-",
    "gb18030",
    "euc-",
];

/// Why an answer is not given on; none where it is.
pub(super) fn refusal(status: u16, headers: &HeaderMap) -> Option<String> {
    if PARTIAL.contains(&status) {
        return Some(format!("answers with a part of a resource (status {status}), and nobody asked for one"));
    }
    if let Some(field) = OF_PARTS.into_iter().find(|name| headers.contains_key(*name)) {
        return Some(format!("answers with a part of a resource (field {field}), and nobody asked for one"));
    }
    headers.get_all(CONTENT_TYPE).into_iter().find_map(|value| {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        if text.trim_start().starts_with("multipart/byteranges") {
            return Some("answers with multipart/byteranges, and nobody asked for parts".to_owned());
        }
        let unreadable = charsets(&text).find(|name| !LIKE_ASCII.iter().any(|known| name.starts_with(known)))?;
        Some(format!("answers in the encoding {}, in which no secret would be recognised", excerpt(unreadable, 40)))
    })
}

/// The encodings that a media type names, as RFC 9110, section 8.3.2 writes them. More than one is
/// a contradiction, and each counts.
fn charsets(media_type: &str) -> impl Iterator<Item = &str> {
    let parameters = media_type.split(';').skip(1);
    parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim() == "charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}
