//! Signatures: the argument types of a routine, parsed into types and written by the host.
//!
//! A connector reports a signature as text, and that text decides which of several routines of one name
//! a GRANT is about. So it is never copied into a statement: it is read as a list of types (manual,
//! chapter 8 and section 38.2), each of which is written anew, with every name in quotes.

use std::fmt;

use super::identifier::{IDENTIFIER_BYTES, quoted};
use super::scan::{Kind, Lexeme, scan};
use crate::limits;

/// Why a text is no list of types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signature is a list of argument types, such as integer, text[]: {0}")]
pub struct SignatureError(String);

/// The argument types of a routine, in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArgumentTypes(Vec<ArgumentType>);

/// One argument type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ArgumentType {
    name: TypeName,
    is_array: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum TypeName {
    /// A type that SQL itself names with keywords.
    Keywords(&'static str),
    /// Any other, with its schema where it has one.
    Named(Option<String>, String),
}

/// Types that SQL names with keywords: the spellings that are keywords and nothing else, with the one
/// that is written (manual, table 8.1).
const KEYWORDS: [(&str, &str); 19] = [
    ("bigint", "bigint"),
    ("bit varying", "bit varying"),
    ("boolean", "boolean"),
    ("char", "character"),
    ("char varying", "character varying"),
    ("character", "character"),
    ("character varying", "character varying"),
    ("dec", "numeric"),
    ("decimal", "numeric"),
    ("double precision", "double precision"),
    ("float", "double precision"),
    ("int", "integer"),
    ("integer", "integer"),
    ("real", "real"),
    ("smallint", "smallint"),
    ("time with time zone", "time with time zone"),
    ("time without time zone", "time without time zone"),
    ("timestamp with time zone", "timestamp with time zone"),
    ("timestamp without time zone", "timestamp without time zone"),
];

/// The same types by their names in `pg_type`, which may be quoted or stand behind `pg_catalog`.
const CATALOGUE: [(&str, &str); 17] = [
    ("bit", "bit"),
    ("bool", "boolean"),
    ("bpchar", "character"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("interval", "interval"),
    ("numeric", "numeric"),
    ("time", "time without time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timestamptz", "timestamp with time zone"),
    ("timetz", "time with time zone"),
    ("varbit", "bit varying"),
    ("varchar", "character varying"),
    ("xml", "xml"),
];

impl ArgumentTypes {
    /// Reads a signature; an empty one is that of a routine without arguments.
    ///
    /// # Errors
    /// `SignatureError` where it is anything else than types with commas between them.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let lexemes = scan(text).map_err(|error| SignatureError(error.to_string()))?;
        if lexemes.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let is_comma = |lexeme: &Lexeme| lexeme.kind == Kind::Mark && lexeme.of(text) == ",";
        let types: Vec<ArgumentType> =
            lexemes.split(is_comma).map(|part| ArgumentType::parse(text, part)).collect::<Result<_, _>>()?;
        if types.len() > limits::ROUTINE_ARGUMENTS {
            return Err(SignatureError(format!("it has {} types", types.len())));
        }
        Ok(Self(types))
    }
}

impl ArgumentType {
    fn parse(text: &str, mut lexemes: &[Lexeme]) -> Result<Self, SignatureError> {
        let shown = || match (lexemes.first(), lexemes.last()) {
            (Some(first), Some(last)) => crate::text::excerpt(&text[first.start..last.end], 80),
            _ => "nothing between two commas".to_owned(),
        };
        let wrong = SignatureError(format!("{} is no type", shown()));
        let is_mark = |lexeme: &Lexeme, mark: &str| lexeme.kind == Kind::Mark && lexeme.of(text) == mark;
        let mut is_array = false;
        while let [rest @ .., open, close] = lexemes
            && is_mark(open, "[")
            && is_mark(close, "]")
        {
            // The server knows arrays of any dimension as one type.
            is_array = true;
            lexemes = rest;
        }
        let name = match lexemes {
            [name] => {
                let part = part(text, name).ok_or_else(|| wrong.clone())?;
                let keywords = if part.is_quoted { None } else { find(&KEYWORDS, &part.name) };
                keywords.unwrap_or_else(|| TypeName::named(None, part.name))
            }
            [schema, dot, name] if is_mark(dot, ".") => {
                let schema = part(text, schema).ok_or_else(|| wrong.clone())?;
                TypeName::named(Some(schema.name), part(text, name).ok_or_else(|| wrong.clone())?.name)
            }
            words if words.iter().all(|word| word.kind == Kind::Word) && words.len() > 1 => {
                let words: Vec<String> = words.iter().map(|word| word.of(text).to_ascii_lowercase()).collect();
                find(&KEYWORDS, &words.join(" ")).ok_or_else(|| wrong.clone())?
            }
            _ => return Err(wrong),
        };
        Ok(Self { name, is_array })
    }
}

/// A part of a name.
struct Part {
    name: String,
    is_quoted: bool,
}

fn part(text: &str, lexeme: &Lexeme) -> Option<Part> {
    let shown = lexeme.of(text);
    let (name, is_quoted) = match lexeme.kind {
        // The server folds letters of ASCII alone where its encoding has several bytes for a character.
        Kind::Word => (shown.to_ascii_lowercase(), false),
        Kind::QuotedName if shown.starts_with('"') => (shown[1..shown.len() - 1].replace("\"\"", "\""), true),
        _ => return None,
    };
    (name.len() <= IDENTIFIER_BYTES && !name.contains('\0')).then_some(Part { name, is_quoted })
}

impl TypeName {
    fn named(schema: Option<String>, name: String) -> Self {
        let schema = schema.filter(|schema| schema != "pg_catalog");
        match &schema {
            None => find(&CATALOGUE, &name).unwrap_or(Self::Named(None, name)),
            Some(_) => Self::Named(schema, name),
        }
    }
}

fn find(table: &[(&str, &'static str)], spelling: &str) -> Option<TypeName> {
    table.iter().find(|(known, _)| *known == spelling).map(|(_, written)| TypeName::Keywords(written))
}

/// As SQL: what stands between the parentheses behind the name of a routine.
impl fmt::Display for ArgumentTypes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str(", ")?;
            }
            match &one.name {
                TypeName::Keywords(words) => out.write_str(words)?,
                TypeName::Named(None, name) => out.write_str(&quoted(name))?,
                TypeName::Named(Some(schema), name) => write!(out, "{}.{}", quoted(schema), quoted(name))?,
            }
            if one.is_array {
                out.write_str("[]")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        ArgumentTypes::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn types_are_written_anew_whatever_their_spelling() {
        assert_eq!(written(""), "");
        assert_eq!(written("int, pg_catalog.int4,INTEGER , \"int4\""), "integer, integer, integer, integer");
        assert_eq!(written("text[], sales.\"My Type\"[][]"), "\"text\"[], \"sales\".\"My Type\"[]");
        assert_eq!(
            written("timestamp with time zone, timestamptz"),
            "timestamp with time zone, timestamp with time zone"
        );
        assert_eq!(written("\"char\", char, pg_catalog.\"char\""), "\"char\", character, \"char\"");
        assert_eq!(written("\"a\"\".b\""), "\"a\"\".b\"");
    }

    #[test]
    fn whatever_is_no_list_of_types_is_refused() {
        for text in [
            "a$$b$ integer), pg_catalog.pg_read_file(x$b$ text",
            "integer) to public --",
            "integer,",
            ",",
            "a integer",
            "OUT x integer",
            "integer = 1",
            "'integer'",
            "numeric(1,2)",
            "a.b.c",
            "\"\"",
            "integer -- x",
            "U&\"x\"",
            "integer;",
            "[]",
            "\"unclosed",
        ] {
            assert!(ArgumentTypes::parse(text).is_err(), "{text}");
        }
        assert!(ArgumentTypes::parse(&vec!["integer"; 101].join(",")).is_err());
        assert!(ArgumentTypes::parse(&format!("\"{}\"", "x".repeat(64))).is_err());
    }
}
