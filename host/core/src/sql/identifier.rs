//! SQL identifiers: names of aliases, columns and relations, and how they are quoted.

use std::fmt;

use super::keyword::is_keyword;

/// The longest identifier of PostgreSQL in bytes. The server cuts a longer one, so that two names
/// could become one (NAMEDATALEN - 1; manual, section 4.1.1).
pub const IDENTIFIER_BYTES: usize = 63;

/// An identifier of a manifest's statement: 1 to 63 bytes of printable ASCII, folded to lower case
/// unless its author quoted it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(String);

impl Identifier {
    /// An identifier of the tokens of a statement, whose length the lexer has checked.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As SQL: bare where that means the same, and quoted elsewhere.
impl fmt::Display for Identifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = self.0.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
            && self.0.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !is_keyword(&self.0);
        if is_bare { out.write_str(&self.0) } else { out.write_str(&quoted(&self.0)) }
    }
}

/// Any name as a quoted SQL identifier (manual, section 4.1.1): in double quotes, with each double
/// quote inside doubled.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bare_where_that_means_the_same() {
        for (name, sql) in
            [("oid", "oid"), ("_x1", "_x1"), ("Oid", "\"Oid\""), ("1x", "\"1x\""), ("select", "\"select\"")]
        {
            assert_eq!(Identifier::new(name).to_string(), sql);
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
