//! The lexer for SQL in manifests.
//!
//! It accepts a strict subset of PostgreSQL's lexical structure (manual, section 4.1), chosen so that the server cannot
//! read the same bytes in another way: printable ASCII, blanks, tabs and line feeds; no comments; no dollar quotes; no
//! `E''`, `U&''`, `B''` or `X''`; no backslash in a literal; no operator outside a list; no `$` in an identifier.
//! Everything else is an error at its position. The text of the author is never sent: the statement that goes out is
//! rendered from the tree that is parsed from these tokens.

use super::identifier::IDENTIFIER_BYTES;
use super::position::{Position, SqlError};
use crate::text::excerpt;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// An unquoted word, in lower case: a keyword or an identifier.
    Word(String),
    /// An identifier in double quotes, without them.
    Quoted(String),
    /// A string literal, without its quotes.
    Text(String),
    /// Digits.
    Integer(String),
    /// Digits, a dot and digits.
    Decimal(String),
    /// The name of a bind parameter, without its `$`.
    Bind(String),
    /// The text between the braces of a placeholder.
    Placeholder(String),
    /// An operator of `OPERATORS`.
    Operator(&'static str),
    /// A bracket, a comma, a dot, a colon or `::`.
    Mark(&'static str),
    /// The end of the text.
    End,
}

/// A token and the byte at which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) at: usize,
}

/// The operators that a statement may use. Each is one of `pg_catalog` for every type that a listed column has.
const OPERATORS: [&str; 21] = [
    "+", "-", "*", "/", "%", "||", "=", "<>", "!=", "<", ">", "<=", ">=", "~", "~*", "!~", "!~*", "->", "->>", "@>",
    "&&",
];

const MARKS: [&str; 9] = ["(", ")", "[", "]", ",", ".", "::", ":", ";"];

/// Bytes of which PostgreSQL makes operators (manual, section 4.1.3).
const OPERATOR_BYTES: &[u8] = b"+-*/<>=~!@#%^&|`?";

impl Token {
    /// The token as an error message shows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Word(word) => format!("`{}`", excerpt(word, 40)),
            Self::Quoted(name) => format!("`\"{}\"`", excerpt(name, 40)),
            Self::Text(text) => format!("`'{}'`", excerpt(text, 40)),
            Self::Integer(digits) | Self::Decimal(digits) => format!("`{}`", excerpt(digits, 40)),
            Self::Bind(name) => format!("`${}`", excerpt(name, 40)),
            Self::Placeholder(inner) => format!("`{{{}}}`", excerpt(inner, 40)),
            Self::Operator(mark) | Self::Mark(mark) => format!("`{mark}`"),
            Self::End => "the end of the statement".to_owned(),
        }
    }
}

/// Splits a statement into tokens; the last one is `End`.
///
/// # Errors
/// `SqlError` at the first byte that the subset does not have.
pub(crate) fn tokens(text: &str) -> Result<Vec<Spanned>, SqlError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let spanned = lexer.next()?;
        let is_end = spanned.token == Token::End;
        tokens.push(spanned);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Spanned, SqlError> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\n')) {
            self.at += 1;
        }
        let at = self.at;
        let Some(first) = bytes.get(at).copied() else { return Ok(Spanned { token: Token::End, at }) };
        let token = match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word()?,
            b'0'..=b'9' => self.number()?,
            b'"' => Token::Quoted(self.quoted(b'"')?),
            b'\'' => Token::Text(self.quoted(b'\'')?),
            b'$' => self.bind()?,
            b'{' => self.placeholder()?,
            byte if OPERATOR_BYTES.contains(&byte) => self.operator()?,
            _ => self.mark()?,
        };
        Ok(Spanned { token, at })
    }

    fn error(&self, at: usize, message: impl Into<String>) -> SqlError {
        SqlError { at: Position::of(self.text, at), message: message.into() }
    }

    /// The bytes from here on that `is_part` takes.
    fn run(&mut self, is_part: impl Fn(u8) -> bool) -> &str {
        let start = self.at;
        let length = self.text.as_bytes()[start..].iter().take_while(|byte| is_part(**byte)).count();
        self.at += length;
        &self.text[start..start + length]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn word(&mut self) -> Result<Token, SqlError> {
        let start = self.at;
        let word = self.run(is_word_byte).to_ascii_lowercase();
        self.bounded(start, &word)?;
        match self.peek() {
            Some(b'\'' | b'"') => {
                Err(self.error(self.at, "a quote follows a word directly: E'', U&'', B'' and X'' are not accepted"))
            }
            Some(b'$') => Err(self.error(self.at, "an identifier with `$` is not accepted")),
            _ => Ok(Token::Word(word)),
        }
    }

    fn number(&mut self) -> Result<Token, SqlError> {
        let start = self.at;
        self.run(|byte| byte.is_ascii_digit());
        let is_decimal =
            self.peek() == Some(b'.') && self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii_digit);
        if is_decimal {
            self.at += 1;
            self.run(|byte| byte.is_ascii_digit());
        }
        if self.peek().is_some_and(|byte| is_word_byte(byte) || matches!(byte, b'.' | b'$')) {
            return Err(self.error(self.at, "a number is written with digits, such as 12 or 0.5"));
        }
        let digits = self.text[start..self.at].to_owned();
        if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
            return Err(self.error(start, "a number is written without zeros before it"));
        }
        Ok(if is_decimal { Token::Decimal(digits) } else { Token::Integer(digits) })
    }

    /// A literal or a quoted identifier; a doubled quote stands for one, in a literal alone.
    fn quoted(&mut self, quote: u8) -> Result<String, SqlError> {
        let start = self.at;
        self.at += 1;
        let mut inside = String::new();
        loop {
            let Some(byte) = self.peek() else {
                let what = if quote == b'"' { "a quoted identifier" } else { "a literal" };
                return Err(self.error(start, format!("{what} is not closed")));
            };
            let next = self.text.as_bytes().get(self.at + 1).copied();
            match byte {
                _ if byte == quote && quote == b'\'' && next == Some(quote) => {
                    inside.push('\'');
                    self.at += 2;
                }
                _ if byte == quote => {
                    self.at += 1;
                    break;
                }
                b'\\' => return Err(self.error(self.at, "a backslash in quotes is not accepted")),
                b'$' if quote == b'"' => return Err(self.error(self.at, "an identifier with `$` is not accepted")),
                b' '..=b'~' => {
                    inside.push(char::from(byte));
                    self.at += 1;
                }
                _ => return Err(self.foreign()),
            }
        }
        if self.peek().is_some_and(|byte| is_word_byte(byte) || matches!(byte, b'\'' | b'"' | b'$' | b'{')) {
            return Err(self.error(self.at, "a word or a quote follows a closing quote directly"));
        }
        if quote == b'"' {
            self.bounded(start, &inside)?;
        }
        Ok(inside)
    }

    /// Refuses an identifier that the server would cut.
    fn bounded(&self, start: usize, name: &str) -> Result<(), SqlError> {
        if (1..=IDENTIFIER_BYTES).contains(&name.len()) {
            return Ok(());
        }
        Err(self
            .error(start, format!("an identifier has 1 to {IDENTIFIER_BYTES} bytes, and this one has {}", name.len())))
    }

    fn bind(&mut self) -> Result<Token, SqlError> {
        let start = self.at;
        self.at += 1;
        let name = self.run(is_word_byte).to_owned();
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| !byte.is_ascii_uppercase())
            && name.len() <= IDENTIFIER_BYTES;
        if !is_name || self.peek() == Some(b'$') {
            return Err(self.error(
                start,
                "write a bind parameter as $name::type, such as $after::bigint; `$1` and dollar quotes are not accepted",
            ));
        }
        Ok(Token::Bind(name))
    }

    fn placeholder(&mut self) -> Result<Token, SqlError> {
        let start = self.at;
        let length = self.text[start..].find('}').ok_or_else(|| self.error(start, "a brace is not closed"))?;
        let inner = self.text[start + 1..start + length].to_owned();
        self.at += length + 1;
        if let Some(foreign) = inner.find(|character: char| !matches!(character, ' '..='~')) {
            self.at = start + 1 + foreign;
            return Err(self.foreign());
        }
        if self.peek().is_some_and(|byte| is_word_byte(byte) || matches!(byte, b'\'' | b'"' | b'$' | b'{')) {
            return Err(self.error(self.at, "a placeholder touches what follows: put a blank between them"));
        }
        Ok(Token::Placeholder(inner))
    }

    fn operator(&mut self) -> Result<Token, SqlError> {
        let start = self.at;
        let run = self.run(|byte| OPERATOR_BYTES.contains(&byte)).to_owned();
        if run.contains("--") || run.contains("/*") || run.contains("*/") {
            return Err(self.error(start, "a comment is not accepted: write it in the manifest, above the key"));
        }
        let known = OPERATORS.iter().find(|operator| **operator == run);
        known
            .map(|operator| Token::Operator(operator))
            .ok_or_else(|| self.error(start, format!("the operator `{run}` is not one of {}", OPERATORS.join(" "))))
    }

    fn mark(&mut self) -> Result<Token, SqlError> {
        let rest = &self.text[self.at..];
        let found = MARKS.iter().find(|mark| rest.starts_with(**mark));
        match found {
            Some(&";") => Err(self.error(self.at, "a statement is one statement, without a semicolon")),
            Some(mark) => {
                self.at += mark.len();
                Ok(Token::Mark(mark))
            }
            None => Err(self.foreign()),
        }
    }

    /// The error for a character that the subset does not have.
    fn foreign(&self) -> SqlError {
        let character = self.text[self.at..].chars().next().unwrap_or('\u{fffd}');
        let what = match character {
            '\r' => "a carriage return is not accepted: end lines with a line feed alone".to_owned(),
            other if other.is_control() => format!("the control character U+{:04X} is not accepted", u32::from(other)),
            other if !other.is_ascii() => {
                format!("U+{:04X} is not accepted: SQL in manifests is ASCII", u32::from(other))
            }
            other => format!("`{other}` is not accepted here"),
        };
        self.error(self.at, what)
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexed(text: &str) -> Vec<Token> {
        let all = tokens(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        all.into_iter().map(|spanned| spanned.token).collect()
    }

    #[test]
    fn the_subset_is_split_as_the_server_splits_it() {
        use Token::{Bind, Decimal, End, Integer, Mark, Operator, Quoted, Text, Word};
        let word = |text: &str| Word(text.to_owned());
        assert_eq!(
            lexed("SELECT c.oid::bigint, 'it''s' || \"A b\" >= 1.5 - 2"),
            [
                word("select"),
                word("c"),
                Mark("."),
                word("oid"),
                Mark("::"),
                word("bigint"),
                Mark(","),
                Text("it's".into()),
                Operator("||"),
                Quoted("A b".into()),
                Operator(">="),
                Decimal("1.5".into()),
                Operator("-"),
                Integer("2".into()),
                End,
            ]
        );
        assert_eq!(
            lexed("$after::text[]"),
            [Bind("after".into()), Mark("::"), word("text"), Mark("["), Mark("]"), End]
        );
        assert_eq!(lexed("\n\t "), [End]);
    }

    #[test]
    fn whatever_two_lexers_could_read_in_two_ways_is_refused_at_its_place() {
        for (text, at) in [
            ("select $€$ x $€$", (1, 8)),
            ("select $$x$$", (1, 8)),
            ("select $a$x$a$", (1, 8)),
            ("select a$b", (1, 9)),
            ("select 1 -- x", (1, 10)),
            ("select 1 /* x */", (1, 10)),
            ("select 'a' ||-- x\n 'b'", (1, 12)),
            ("select 1\r\nfrom x", (1, 9)),
            ("select 1\u{0c}", (1, 9)),
            ("select\u{a0}1", (1, 7)),
            ("select E'a\\'b'", (1, 9)),
            ("select U&'\\0041'", (1, 9)),
            ("select b'1'", (1, 9)),
            ("select 'a\\'", (1, 10)),
            ("select 'a\nb'", (1, 10)),
            ("select 'ä'", (1, 9)),
            ("select \"a\"\"b\"", (1, 11)),
            ("select \"a$b\"", (1, 10)),
            ("select \"\"", (1, 8)),
            ("select 'a''", (1, 8)),
            ("select 1a", (1, 9)),
            ("select 0x10", (1, 9)),
            ("select 1_000", (1, 9)),
            ("select 1e5", (1, 9)),
            ("select 00", (1, 8)),
            ("select 1.", (1, 9)),
            ("select 1..2", (1, 9)),
            ("select $1", (1, 8)),
            ("select 1;", (1, 9)),
            ("select 1\nfrom x ^ y", (2, 8)),
            ("select a =- b", (1, 10)),
            ("select a @@ b", (1, 10)),
            ("select `a`", (1, 8)),
            ("select {a", (1, 8)),
            ("select {a:ö}", (1, 11)),
            ("select {a:b}c", (1, 13)),
            ("select \\", (1, 8)),
            ("select \u{0}", (1, 8)),
        ] {
            let error = tokens(text).expect_err(text);
            assert_eq!((error.at.line, error.at.column), at, "{text}: {error}");
        }
    }
}
