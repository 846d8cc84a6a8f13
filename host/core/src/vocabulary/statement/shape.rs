//! The statements that a write operation may be, as patterns.
//!
//! A pattern is written as the statement is sent. `<…>` is a slot for a value, `[…]` may be left out,
//! and what stands without a blank before it is written without one.

use std::sync::LazyLock;

/// Every statement that changes PostgreSQL for a connector (manual, part VI). None has CASCADE, so that
/// nothing goes that no change names.
const PATTERNS: &[&str] = &[
    "CREATE ROLE <role> NOLOGIN",
    "ALTER ROLE <role> RENAME TO <role>",
    "DROP ROLE <role>",
    "COMMENT ON ROLE <role> IS <literal>",
    "GRANT <role> TO <role> [WITH ADMIN <flag>, INHERIT <flag>, SET <flag>] [GRANTED BY <role>]",
    "GRANT <role> TO <role> [<admin-option>] [GRANTED BY <role>]",
    "REVOKE [ADMIN OPTION FOR] <role> FROM <role> [GRANTED BY <role>]",
    "GRANT <table-privileges> ON TABLE <object> TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <table-privileges> ON TABLE <object> FROM <grantee> [GRANTED BY <role>]",
    "GRANT <column-privileges> (<names>) ON TABLE <object> TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <column-privileges> (<names>) ON TABLE <object> FROM <grantee> [GRANTED BY <role>]",
    "GRANT <sequence-privileges> ON SEQUENCE <object> TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <sequence-privileges> ON SEQUENCE <object> FROM <grantee> [GRANTED BY <role>]",
    "GRANT <schema-privileges> ON SCHEMA <object> TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <schema-privileges> ON SCHEMA <object> FROM <grantee> [GRANTED BY <role>]",
    "GRANT <database-privileges> ON DATABASE <object> TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <database-privileges> ON DATABASE <object> FROM <grantee> [GRANTED BY <role>]",
    "GRANT <execute> ON <routine> <object>(<signature>) TO <grantee> [<grant-option>] [GRANTED BY <role>]",
    "REVOKE [GRANT OPTION FOR] <execute> ON <routine> <object>(<signature>) FROM <grantee> [GRANTED BY <role>]",
    "ALTER DEFAULT PRIVILEGES FOR ROLE <role> [IN SCHEMA <object>] GRANT <default-privileges> ON <objects> TO <grantee> [<grant-option>]",
    "ALTER DEFAULT PRIVILEGES FOR ROLE <role> [IN SCHEMA <object>] REVOKE [GRANT OPTION FOR] <default-privileges> ON <objects> FROM <grantee>",
    "CREATE POLICY <name> ON <object> AS <restriction> FOR <command> TO <grantees> [USING (<predicate>)] [WITH CHECK (<predicate>)]",
    "ALTER POLICY <name> ON <object> TO <grantees> [USING (<predicate>)] [WITH CHECK (<predicate>)]",
    "ALTER POLICY <name> ON <object> RENAME TO <name>",
    "COMMENT ON POLICY <name> ON <object> IS <literal>",
    "DROP POLICY <name> ON <object>",
];

/// What a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The name of a role.
    Role,
    /// The name of a role, or `PUBLIC`.
    Grantee,
    /// Names of roles, or `PUBLIC`.
    Grantees,
    /// A name without a schema.
    Name,
    /// Several, such as columns.
    Names,
    /// A name, which may have a schema.
    Object,
    /// A string.
    Literal,
    /// The argument types of a routine.
    Signature,
    /// The rule of a policy.
    Predicate,
    /// One or more of these words.
    Words(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// These words, or nothing.
    Option(&'static str),
}

const SLOTS: &[(&str, Slot)] = &[
    ("role", Slot::Role),
    ("grantee", Slot::Grantee),
    ("grantees", Slot::Grantees),
    ("name", Slot::Name),
    ("names", Slot::Names),
    ("object", Slot::Object),
    ("literal", Slot::Literal),
    ("signature", Slot::Signature),
    ("predicate", Slot::Predicate),
    ("flag", Slot::Word(&["TRUE", "FALSE"])),
    ("routine", Slot::Word(&["FUNCTION", "PROCEDURE", "ROUTINE"])),
    ("restriction", Slot::Word(&["PERMISSIVE", "RESTRICTIVE"])),
    ("command", Slot::Word(&["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"])),
    ("objects", Slot::Word(&["TABLES", "SEQUENCES", "FUNCTIONS", "ROUTINES", "SCHEMAS"])),
    ("grant-option", Slot::Option("WITH GRANT OPTION")),
    ("admin-option", Slot::Option("WITH ADMIN OPTION")),
    (
        "table-privileges",
        Slot::Words(&["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"]),
    ),
    // A list of columns belongs to the privilege before it alone: those before that are on the whole table (manual, GRANT).
    ("column-privileges", Slot::Word(&["SELECT", "INSERT", "UPDATE", "REFERENCES"])),
    ("sequence-privileges", Slot::Words(&["USAGE", "SELECT", "UPDATE"])),
    ("schema-privileges", Slot::Words(&["USAGE", "CREATE"])),
    ("database-privileges", Slot::Words(&["CREATE", "CONNECT", "TEMPORARY"])),
    ("execute", Slot::Words(&["EXECUTE"])),
    (
        "default-privileges",
        Slot::Words(&[
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "TRUNCATE",
            "REFERENCES",
            "TRIGGER",
            "MAINTAIN",
            "USAGE",
            "CREATE",
            "EXECUTE",
        ]),
    ),
];

/// A part of a pattern, and whether it is written without a blank before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) glued: bool,
    pub(super) part: Part,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A keyword.
    Word(&'static str),
    /// A comma or a parenthesis.
    Mark(&'static str),
    /// A value.
    Slot(Slot),
    /// What may be left out.
    Optional(Vec<Element>),
}

/// All patterns, taken apart.
pub(super) static SHAPES: LazyLock<Vec<Vec<Element>>> =
    LazyLock::new(|| PATTERNS.iter().map(|pattern| elements(pattern, &mut 0, true)).collect());

/// The elements of a pattern from byte `at` on, up to its end or the bracket that closes it. `is_glued` says
/// whether the first of them is written without a blank before it.
fn elements(pattern: &'static str, at: &mut usize, is_glued: bool) -> Vec<Element> {
    let mut all = Vec::new();
    loop {
        let rest = &pattern[*at..];
        let trimmed = rest.trim_start();
        let glued = if all.is_empty() { is_glued } else { trimmed.len() == rest.len() };
        *at += rest.len() - trimmed.len();
        let Some(first) = trimmed.chars().next() else { return all };
        let part = match first {
            ']' => {
                *at += 1;
                return all;
            }
            '[' => {
                *at += 1;
                Part::Optional(elements(pattern, at, glued))
            }
            '(' | ')' | ',' => {
                *at += 1;
                Part::Mark(&trimmed[..1])
            }
            '<' => {
                let name = trimmed[1..].split('>').next().unwrap_or_default();
                *at += name.len() + 2;
                let known = SLOTS.iter().find(|(known, _)| *known == name);
                Part::Slot(known.map_or_else(|| unreachable!("a pattern has <{name}>"), |(_, slot)| *slot))
            }
            _ => {
                let length = trimmed.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(trimmed.len());
                *at += length;
                Part::Word(&trimmed[..length])
            }
        };
        all.push(Element { glued, part });
    }
}

/// The patterns that begin with a word, for people.
pub(super) fn patterns_with(word: &str) -> Vec<&'static str> {
    PATTERNS.iter().copied().filter(|pattern| pattern.split_whitespace().next() == Some(word)).collect()
}

/// The words with which a statement may begin.
pub(super) fn first_words() -> Vec<&'static str> {
    let mut words: Vec<&str> = PATTERNS.iter().filter_map(|pattern| pattern.split_whitespace().next()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_read_to_its_end() {
        for (pattern, shape) in PATTERNS.iter().zip(SHAPES.iter()) {
            let words = shape.iter().filter(|element| matches!(element.part, Part::Word(_))).count();
            assert!(words >= 2, "{pattern}");
            assert!(!pattern.contains("CASCADE"));
        }
    }
}
