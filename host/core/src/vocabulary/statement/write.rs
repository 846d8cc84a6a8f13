//! Write statements: each is one of the listed statements, with values in their places.
//!
//! A template of a manifest, such as `GRANT {r:name@control} TO {m:name@member}`, is matched with the
//! patterns of `shape`. What is kept of it is the pattern with a placeholder or a fixed value for each
//! slot; the statement that is sent is written from these, each value in the form of its slot. So no
//! value can add a word to a statement, whatever it is.

use super::shape::{Element, Part, SHAPES, Slot, first_words, patterns_with};
use crate::sql::identifier::{Identifier, quoted};
use crate::sql::keyword::is_keyword;
use crate::sql::token::{Spanned, Token, tokens};
use crate::sql::{Position, SqlError};
use crate::vocabulary::placeholder::{Origin, Placeholder, PlaceholderType};

/// A piece of a write statement, and whether it is written without a blank before it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WritePiece {
    pub(super) glued: bool,
    pub(super) what: What,
}

/// What a piece is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// What every call has.
    Fixed(String),
    /// A value.
    Value(Placeholder, Slot),
}

/// Parses a template.
///
/// # Errors
/// `SqlError` where it is none of the listed statements.
pub(super) fn parse_write(text: &str) -> Result<Vec<WritePiece>, SqlError> {
    let tokens = tokens(text)?;
    let mut matcher = Matcher { tokens: &tokens, failed_at: 0, expected: Vec::new() };
    for shape in SHAPES.iter() {
        let mut pieces = Vec::new();
        if let Some(end) = matcher.all(shape, 0, &mut pieces) {
            if tokens[end].token == Token::End {
                return Ok(pieces);
            }
            matcher.expects::<()>(end, "the end of the statement");
        }
    }
    Err(matcher.error(text))
}

/// Matches tokens with patterns, and remembers how far any pattern came.
struct Matcher<'t> {
    tokens: &'t [Spanned],
    failed_at: usize,
    expected: Vec<String>,
}

impl Matcher<'_> {
    /// Matches elements from token `at` on, and says where they end.
    fn all(&mut self, elements: &[Element], mut at: usize, pieces: &mut Vec<WritePiece>) -> Option<usize> {
        for element in elements {
            at = self.one(element, at, pieces)?;
        }
        Some(at)
    }

    fn one(&mut self, element: &Element, at: usize, pieces: &mut Vec<WritePiece>) -> Option<usize> {
        let fixed = |text: &str| WritePiece { glued: element.glued, what: What::Fixed(text.to_owned()) };
        match &element.part {
            Part::Word(word) => {
                let is_it = matches!(self.token(at), Token::Word(other) if other.eq_ignore_ascii_case(word));
                if !is_it {
                    return self.expects(at, &format!("`{word}`"));
                }
                pieces.push(fixed(word));
                Some(at + 1)
            }
            Part::Mark(mark) => {
                if !matches!(self.token(at), Token::Mark(other) if other == mark) {
                    return self.expects(at, &format!("`{mark}`"));
                }
                pieces.push(fixed(mark));
                Some(at + 1)
            }
            Part::Optional(inner) => {
                let before = pieces.len();
                Some(self.all(inner, at, pieces).unwrap_or_else(|| {
                    pieces.truncate(before);
                    at
                }))
            }
            Part::Slot(slot) => {
                if let Token::Placeholder(inner) = self.token(at) {
                    let placeholder = match Placeholder::parse(inner) {
                        Ok(placeholder) if slot.takes(&placeholder) => placeholder,
                        Ok(_) => return self.expects(at, &slot.shown()),
                        Err(error) => return self.expects(at, &format!("{} ({error})", slot.shown())),
                    };
                    pieces.push(WritePiece { glued: element.glued, what: What::Value(placeholder, *slot) });
                    return Some(at + 1);
                }
                let (text, end) = self.fixed_value(*slot, at)?;
                pieces.push(fixed(&text));
                Some(end)
            }
        }
    }

    fn token(&self, at: usize) -> &Token {
        &self.tokens[at.min(self.tokens.len() - 1)].token
    }

    /// A value that a template writes out itself.
    fn fixed_value(&mut self, slot: Slot, at: usize) -> Option<(String, usize)> {
        match slot {
            Slot::Grantee | Slot::Grantees if matches!(self.token(at), Token::Word(word) if word == "public") => {
                Some(("PUBLIC".to_owned(), at + 1))
            }
            Slot::Literal => match self.token(at) {
                Token::Text(text) => Some((format!("'{}'", text.replace('\'', "''")), at + 1)),
                _ => self.expects(at, &slot.shown()),
            },
            Slot::Role | Slot::Name => match self.identifier(at) {
                Some(name) => Some((quoted(name.as_str()), at + 1)),
                None => self.expects(at, &slot.shown()),
            },
            Slot::Object => {
                let mut path = vec![self.identifier(at)];
                let mut end = at + 1;
                while matches!(self.token(end), Token::Mark(".")) && path.len() < 3 {
                    path.push(self.identifier(end + 1));
                    end += 2;
                }
                let path: Option<Vec<String>> =
                    path.into_iter().map(|name| name.map(|name| quoted(name.as_str()))).collect();
                match path {
                    Some(path) => Some((path.join("."), end)),
                    None => self.expects(at, &slot.shown()),
                }
            }
            Slot::Words(words) => self.words(slot, words, at),
            Slot::Word(words) => match self.word(words, at) {
                Some(word) => Some((word.to_owned(), at + 1)),
                None => self.expects(at, &slot.shown()),
            },
            Slot::Option(words) => {
                let count = words.split(' ').count();
                let is_word = |(index, word): (usize, &str)| matches!(self.token(at + index), Token::Word(other) if other.eq_ignore_ascii_case(word));
                if words.split(' ').enumerate().all(is_word) {
                    return Some((words.to_owned(), at + count));
                }
                self.expects(at, &slot.shown())
            }
            Slot::Grantee | Slot::Grantees | Slot::Names | Slot::Signature | Slot::Predicate => {
                self.expects(at, &slot.shown())
            }
        }
    }

    fn words(&mut self, slot: Slot, known: &[&'static str], at: usize) -> Option<(String, usize)> {
        let mut found: Vec<&str> = Vec::new();
        let mut end = at;
        loop {
            let Some(word) = self.word(known, end) else { return self.expects(end, &slot.shown()) };
            found.push(word);
            end += 1;
            if !matches!(self.token(end), Token::Mark(",")) {
                return Some((found.join(", "), end));
            }
            end += 1;
        }
    }

    fn word(&self, known: &[&'static str], at: usize) -> Option<&'static str> {
        let Token::Word(word) = self.token(at) else { return None };
        known.iter().copied().find(|known| known.eq_ignore_ascii_case(word))
    }

    fn identifier(&self, at: usize) -> Option<Identifier> {
        match self.token(at) {
            Token::Word(word) if !is_keyword(word) && word != "public" => Some(Identifier::new(word)),
            Token::Quoted(name) if !matches!(name.as_str(), "public" | "none") => Some(Identifier::new(name)),
            _ => None,
        }
    }

    /// Notes what a pattern expected at a token; none, so that a match can end with it.
    fn expects<T>(&mut self, at: usize, what: &str) -> Option<T> {
        if at > self.failed_at {
            self.failed_at = at;
            self.expected.clear();
        }
        if at == self.failed_at && !self.expected.iter().any(|known| known == what) {
            self.expected.push(what.to_owned());
        }
        None
    }

    fn error(&self, text: &str) -> SqlError {
        let failed = &self.tokens[self.failed_at.min(self.tokens.len() - 1)];
        let at = Position::of(text, failed.at);
        let first = match &self.tokens[0].token {
            Token::Word(word) => word.to_ascii_uppercase(),
            _ => String::new(),
        };
        let known = patterns_with(&first);
        let message = if known.is_empty() {
            format!("a write statement begins with {}", first_words().join(", "))
        } else {
            format!(
                "expected {} instead of {}; statements that begin with {first} are: {}",
                self.expected.join(" or "),
                failed.token.shown(),
                known.join("; ")
            )
        };
        SqlError { at, message }
    }
}

impl Slot {
    /// Whether values of a placeholder may stand in this slot.
    fn takes(self, placeholder: &Placeholder) -> bool {
        let origin = placeholder.origin;
        match (self, &placeholder.kind) {
            (Self::Role | Self::Grantee | Self::Name | Self::Object, PlaceholderType::Name)
            | (Self::Grantees | Self::Names, PlaceholderType::Names)
            | (Self::Literal, PlaceholderType::Literal) => true,
            (Self::Signature, PlaceholderType::Text) => origin == Some(Origin::Signature),
            (Self::Predicate, PlaceholderType::Text) => matches!(origin, Some(Origin::Policy | Origin::Check)),
            (Self::Words(known) | Self::Word(known), PlaceholderType::Keywords(words)) => {
                words.iter().all(|word| known.contains(&word.as_str()))
            }
            (Self::Option(option), PlaceholderType::Keywords(words)) => {
                words.len() == 1 && words[0] == option && origin.is_some_and(Origin::is_flag)
            }
            _ => false,
        }
    }

    /// What may stand in it, for people.
    fn shown(self) -> String {
        match self {
            Self::Role => "a role, as in {r:name@control}".into(),
            Self::Grantee => "a role, as in {r:name@control}, or PUBLIC".into(),
            Self::Grantees => "roles, as in {m:names@member}, or PUBLIC".into(),
            Self::Name => "a name, as in {n:name@name}".into(),
            Self::Names => "names, as in {c:names@object}".into(),
            Self::Object => "an object, as in {o:name@object}".into(),
            Self::Literal => "a literal, as in {d:literal@description}".into(),
            Self::Signature => "{s:text@signature}".into(),
            Self::Predicate => "{t:text@policy} or {t:text@check}".into(),
            Self::Words(words) => format!("one or more of {}, or {{p:keywords(…)}} of them", words.join(", ")),
            Self::Word(words) => format!("one of {}, or {{w:keywords(…)}} of them", words.join(", ")),
            Self::Option(words) => format!("{words}, or {{f:keywords({words})@may-pass-on}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse_write(text).expect_err(text).to_string()
    }

    #[test]
    fn the_listed_statements_are_taken() {
        for text in [
            "CREATE ROLE {r:name@name} NOLOGIN",
            "grant {p:keywords(SELECT)@permission} on table {o:name@object} to {r:name@control}",
            "GRANT SELECT, INSERT ON TABLE sales.orders TO PUBLIC WITH GRANT OPTION",
            "GRANT EXECUTE ON FUNCTION {o:name@object} ( {s:text@signature} ) TO {r:name@control}",
            "CREATE POLICY {n:name@control} ON {o:name@object} AS {v:keywords(PERMISSIVE)@restrictive} FOR ALL TO PUBLIC \
             USING ({t:text@policy})",
        ] {
            assert!(parse_write(text).is_ok(), "{text}: {}", refused(text));
        }
    }

    #[test]
    fn everything_else_is_refused_where_it_begins_to_differ() {
        for (text, at) in [
            ("CREATE ROLE {r:name@name} SUPERUSER", "line 1, column 27"),
            ("CREATE ROLE {r:name@name} NOLOGIN SUPERUSER", "line 1, column 35"),
            ("CREATE ROLE {r:literal@name} NOLOGIN", "line 1, column 13"),
            ("ALTER SYSTEM SET x = 1", "line 1, column 7"),
            ("DROP ROLE {r:name@control} CASCADE", "line 1, column 28"),
            ("GRANT {p:keywords(SELECT)@permission} ON {o:name@object} TO {r:name@control}", "line 1, column 42"),
            ("GRANT {p:keywords(ALL)@permission} ON TABLE {o:name@object} TO {r:name@control}", "line 1, column 7"),
            ("COMMENT ON TABLE t IS 'x'", "line 1, column 12"),
            ("CREATE FUNCTION f() RETURNS int", "line 1, column 8"),
            ("COPY t TO PROGRAM 'x'", "line 1, column 1"),
            ("UPDATE t SET x = 1", "line 1, column 1"),
            ("", "line 1, column 1"),
        ] {
            assert!(refused(text).starts_with(at), "{text}: {}", refused(text));
        }
    }
}
