//! Distinguished names of LDAP (RFC 4514): read into their parts, so that "stands below" is a comparison of parts.

use std::fmt;

/// One attribute and value of a relative distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    attribute: String,
    /// The value's octets; lower case where they are ASCII, since directories compare names that way.
    folded: Vec<u8>,
}

/// A distinguished name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistinguishedName {
    text: String,
    /// From the entry up to the root, each sorted.
    parts: Vec<Vec<Pair>>,
}

/// A text that is no distinguished name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no distinguished name: {0}")]
pub struct DnError(&'static str);

impl DistinguishedName {
    /// Reads a name in the string form of RFC 4514. The empty name is the root.
    ///
    /// # Errors
    /// `DnError` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        if text.contains('\0') {
            return Err(DnError("it has a NUL character"));
        }
        let mut parts = Vec::new();
        if !text.is_empty() {
            let mut rest = text;
            loop {
                let (part, behind) = relative_name(rest)?;
                parts.push(part);
                match behind {
                    Some(behind) => rest = behind,
                    None => break,
                }
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether the name is `suffix` or stands below it.
    pub fn is_below(&self, suffix: &Self) -> bool {
        self.parts.ends_with(&suffix.parts)
    }

    /// The name as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for DistinguishedName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&crate::text::escape(&self.text))
    }
}

/// Reads one relative name and gives what stands behind its comma.
fn relative_name(text: &str) -> Result<(Vec<Pair>, Option<&str>), DnError> {
    let mut pairs = Vec::new();
    let mut rest = text;
    loop {
        let (attribute, behind) = rest.split_once('=').ok_or(DnError("a part has no ="))?;
        let attribute = attribute.trim_start_matches(' ').to_ascii_lowercase();
        let is_attribute = attribute.starts_with(|first: char| first.is_ascii_alphanumeric())
            && attribute.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
        if !is_attribute {
            return Err(DnError("a part does not begin with an attribute's name"));
        }
        let (octets, length) = value(behind)?;
        pairs.push(Pair { attribute, folded: octets.to_ascii_lowercase() });
        match behind[length..].chars().next() {
            None => {
                pairs.sort();
                return Ok((pairs, None));
            }
            Some('+') => rest = &behind[length + 1..],
            Some(_) => {
                pairs.sort();
                return Ok((pairs, Some(&behind[length + 1..])));
            }
        }
    }
}

/// Reads a value up to an unescaped `,` or `+`: its octets, and how many bytes it takes.
fn value(text: &str) -> Result<(Vec<u8>, usize), DnError> {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'#') {
        return Err(DnError("a value in hexadecimal form is not taken"));
    }
    let mut octets = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b',' | b'+' => break,
            b'"' | b';' | b'<' | b'>' => return Err(DnError("a value has a character that must be escaped")),
            b'\\' => {
                let (octet, length) = escaped(&bytes[at + 1..])?;
                octets.push(octet);
                at += 1 + length;
            }
            byte => {
                octets.push(byte);
                at += 1;
            }
        }
    }
    if octets.is_empty() {
        return Err(DnError("a value is empty"));
    }
    Ok((octets, at))
}

fn escaped(bytes: &[u8]) -> Result<(u8, usize), DnError> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match bytes {
        [special, ..] if b" \"#+,;<=>\\".contains(special) => Ok((*special, 1)),
        [high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, 2)),
            _ => Err(DnError("an escape is neither a special character nor two hexadecimal digits")),
        },
        _ => Err(DnError("an escape is not complete")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dn(text: &str) -> DistinguishedName {
        DistinguishedName::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn names_of_the_standard_are_read() {
        // RFC 4514, section 4.
        for text in [
            "UID=jsmith,DC=example,DC=net",
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
            "CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net",
            "CN=Before\\0dAfter,DC=example,DC=net",
            "CN=Lu\\C4\\8Di\\C4\\87",
            "",
        ] {
            dn(text);
        }
        for text in ["x", "=x", "cn=", "cn=a,", "cn=a\\", "cn=a\\zz", "cn=\"a\"", "cn=a;dc=b", "cn=#0402", "cn=a\0"] {
            assert!(DistinguishedName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn below_is_a_matter_of_parts() {
        let suffix = dn("ou=People,dc=example");
        assert!(dn("uid=a,OU=people,DC=Example").is_below(&suffix));
        assert!(dn("ou=people, dc=example").is_below(&suffix));
        assert!(dn("uid=a,ou=people,dc=example").is_below(&dn("")));
        assert!(!dn("uid=a\\,ou=people,dc=example").is_below(&suffix));
        assert!(!dn("uid=xou=people,dc=example").is_below(&suffix));
        assert!(!dn("dc=example").is_below(&suffix));
        assert!(dn("cn=a+sn=b,dc=x").is_below(&dn("SN=b+CN=a,dc=x")));
    }
}
