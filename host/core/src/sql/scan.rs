//! A lexer for all of PostgreSQL's lexical structure, for texts that manifests do not write: policies,
//! and statements that somebody else ran.
//!
//! It follows PostgreSQL's scanner (src/backend/parser/scan.l; manual, section 4.1) in where each lexeme
//! begins and ends, and the fuzz target `scan` holds it against that scanner. It needs no stack: however
//! deep a text nests, a lexeme is a range.

use super::escape;

/// What a lexeme is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unquoted identifier or a keyword.
    Word,
    /// `"…"` or `U&"…"`.
    QuotedName,
    /// `'…'` with any prefix, `$tag$…$tag$`, and what continues it on another line.
    Literal,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// One or more of the bytes of which PostgreSQL makes operators.
    Operator,
    /// A bracket, a comma, a dot, a colon, a semicolon, `::`, `..`, `:=`.
    Mark,
    /// `-- …` or `/* … */`.
    Comment,
    /// Any other character, which no statement can have.
    Other,
}

/// A range of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lexeme {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte behind it.
    pub end: usize,
}

impl Lexeme {
    /// Its text.
    pub fn of<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start..self.end]
    }
}

/// Why a text has no lexemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A literal, a quoted name or a comment has no end.
    #[error("{0} is not closed")]
    Unclosed(&'static str),
    /// A number or a parameter runs into a word, or a quoted name is empty.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Splits a text into lexemes; blanks are left out.
///
/// # Errors
/// `ScanError` where PostgreSQL's scanner fails.
pub fn scan(text: &str) -> Result<Vec<Lexeme>, ScanError> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0 };
    let mut lexemes = Vec::new();
    loop {
        scanner.skip(is_space);
        let start = scanner.at;
        if start == scanner.bytes.len() {
            return Ok(lexemes);
        }
        let kind = scanner.lexeme()?;
        lexemes.push(Lexeme { kind, start, end: scanner.at });
    }
}

/// Bytes of operators in a row.
const LONGEST_RUN: usize = 512;

/// Bytes of the longest name (`NAMEDATALEN - 1`).
const LONGEST_NAME: usize = 63;

const OPERATOR_BYTES: &[u8] = b"~!@#^&|`?+-*/%<>=";

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_byte(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

/// What stands for other bytes inside of quotes.
#[derive(Debug, Clone, Copy)]
struct Inside {
    /// Two quotes stand for one.
    doubles: bool,
    /// A backslash escapes the next byte.
    escapes: bool,
}

struct Scanner<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl Scanner<'_> {
    fn byte(&self, ahead: usize) -> Option<u8> {
        self.bytes.get(self.at + ahead).copied()
    }

    fn begins_with(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    fn skip(&mut self, is_part: impl Fn(u8) -> bool) {
        self.at += self.bytes[self.at..].iter().take_while(|byte| is_part(**byte)).count();
    }

    fn lexeme(&mut self) -> Result<Kind, ScanError> {
        let first = self.bytes[self.at];
        if self.begins_with("--") {
            self.skip(|byte| !is_newline(byte));
            return Ok(Kind::Comment);
        }
        if self.begins_with("/*") {
            return self.comment();
        }
        if let Some((prefix, quote)) = self.quote() {
            let inside = match first {
                b'e' | b'E' => Inside { doubles: true, escapes: true },
                b'b' | b'B' | b'x' | b'X' => Inside { doubles: false, escapes: false },
                _ => Inside { doubles: true, escapes: false },
            };
            self.at += prefix;
            return if quote == b'"' { self.quoted_name() } else { self.literal(inside) };
        }
        match first {
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(),
            byte if begins_word(byte) => {
                self.skip(is_word_byte);
                Ok(Kind::Word)
            }
            byte if OPERATOR_BYTES.contains(&byte) => self.operator(),
            b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':' => {
                let pairs = ["::", "..", ":="];
                self.at += if pairs.iter().any(|pair| self.begins_with(pair)) { 2 } else { 1 };
                Ok(Kind::Mark)
            }
            _ => {
                self.at += 1;
                Ok(Kind::Other)
            }
        }
    }

    /// How many bytes stand before the quote that begins here, and which quote it is.
    fn quote(&self) -> Option<(usize, u8)> {
        match (self.byte(0)?, self.byte(1), self.byte(2)) {
            (quote @ (b'\'' | b'"'), ..) => Some((0, quote)),
            // The scanner takes `n` before a quote for a keyword of its own.
            (b'e' | b'E' | b'b' | b'B' | b'x' | b'X', Some(b'\''), _) => Some((1, b'\'')),
            (b'u' | b'U', Some(b'&'), Some(quote @ (b'\'' | b'"'))) => Some((2, quote)),
            _ => None,
        }
    }

    /// `/* … */`, which nests.
    fn comment(&mut self) -> Result<Kind, ScanError> {
        let mut depth = 0_usize;
        while self.at + 1 < self.bytes.len() {
            match &self.bytes[self.at..self.at + 2] {
                b"/*" => {
                    depth += 1;
                    self.at += 2;
                }
                b"*/" => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(Kind::Comment);
                    }
                }
                _ => self.at += 1,
            }
        }
        Err(ScanError::Unclosed("a comment"))
    }

    /// The inside of quotes and the closing one.
    fn until_quote(&mut self, quote: u8, inside: Inside, what: &'static str) -> Result<(), ScanError> {
        while let Some(byte) = self.byte(0) {
            let is_doubled = inside.doubles && self.byte(1) == Some(quote);
            if byte == quote && !is_doubled {
                self.at += 1;
                return Ok(());
            }
            self.at += if byte == quote || (inside.escapes && byte == b'\\') { 2 } else { 1 };
        }
        Err(ScanError::Unclosed(what))
    }

    fn quoted_name(&mut self) -> Result<Kind, ScanError> {
        let start = self.at;
        self.at += 1;
        self.until_quote(b'"', Inside { doubles: true, escapes: false }, "a quoted name")?;
        if self.at == start + 2 {
            return Err(ScanError::Malformed("a quoted name is empty"));
        }
        Ok(Kind::QuotedName)
    }

    fn literal(&mut self, inside: Inside) -> Result<Kind, ScanError> {
        let mut parts: Vec<u8> = Vec::new();
        loop {
            self.at += 1;
            let start = self.at;
            self.until_quote(b'\'', inside, "a literal")?;
            if inside.escapes {
                parts.extend_from_slice(&self.bytes[start..self.at - 1]);
            }
            match self.continuation() {
                Some(quote) => self.at = quote,
                None if escape::is_valid(&parts) => return Ok(Kind::Literal),
                None => return Err(ScanError::Malformed("an escape of a literal stands for no text")),
            }
        }
    }

    /// Where the quote stands that goes on with a literal: behind blanks and comments with a line feed among them.
    fn continuation(&self) -> Option<usize> {
        let mut at = self.at;
        let mut has_newline = false;
        loop {
            let rest = &self.bytes[at..];
            match rest.first()? {
                b'\'' if has_newline => return Some(at),
                byte if is_space(*byte) => {
                    has_newline |= is_newline(*byte);
                    at += 1;
                }
                b'-' if rest.starts_with(b"--") => {
                    at += rest.iter().take_while(|byte| !is_newline(**byte)).count();
                }
                _ => return None,
            }
        }
    }

    /// `$1`, `$tag$…$tag$`, or a dollar alone.
    fn dollar(&mut self) -> Result<Kind, ScanError> {
        let start = self.at;
        if self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
            self.skip(|byte| byte.is_ascii_digit());
            if self.text[start + 1..self.at].parse::<i32>().is_err() {
                return Err(ScanError::Malformed("the number of a parameter is too large"));
            }
            return if self.byte(0).is_some_and(begins_word) {
                Err(ScanError::Malformed("a parameter runs into a word"))
            } else {
                Ok(Kind::Parameter)
            };
        }
        self.at += 1;
        if self.byte(0).is_some_and(begins_word) {
            self.skip(|byte| is_word_byte(byte) && byte != b'$');
        }
        if self.byte(0) != Some(b'$') {
            self.at = start + 1;
            return Ok(Kind::Other);
        }
        self.at += 1;
        let tag = &self.text[start..self.at];
        let length = self.text[self.at..].find(tag).ok_or(ScanError::Unclosed("a dollar quote"))?;
        self.at += length + tag.len();
        Ok(Kind::Literal)
    }

    fn number(&mut self) -> Result<Kind, ScanError> {
        let radix: fn(u8) -> bool = match (self.byte(0), self.byte(1)) {
            (Some(b'0'), Some(b'x' | b'X')) => |byte| byte.is_ascii_hexdigit(),
            (Some(b'0'), Some(b'o' | b'O')) => |byte| (b'0'..=b'7').contains(&byte),
            (Some(b'0'), Some(b'b' | b'B')) => |byte| matches!(byte, b'0' | b'1'),
            _ => return self.decimal(),
        };
        self.at += 2;
        let start = self.at;
        self.digits(radix);
        if self.at == start {
            return Err(ScanError::Malformed("a number has no digits"));
        }
        self.end_of_number()
    }

    /// Digits, with single underscores between them.
    fn digits(&mut self, is_digit: fn(u8) -> bool) {
        loop {
            self.skip(is_digit);
            let goes_on = self.byte(0) == Some(b'_') && self.byte(1).is_some_and(is_digit);
            if !goes_on {
                return;
            }
            self.at += 1;
        }
    }

    fn decimal(&mut self) -> Result<Kind, ScanError> {
        let is_digit: fn(u8) -> bool = |byte| byte.is_ascii_digit();
        self.digits(is_digit);
        // Two dots are a mark of their own, as in `1..2`.
        if self.byte(0) == Some(b'.') && self.byte(1) != Some(b'.') {
            self.at += 1;
            if self.byte(0).is_some_and(is_digit) {
                self.digits(is_digit);
            }
        }
        if matches!(self.byte(0), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.byte(1), Some(b'+' | b'-')));
            if self.byte(1 + sign).is_some_and(is_digit) {
                self.at += 1 + sign;
                self.digits(is_digit);
            }
        }
        self.end_of_number()
    }

    /// Whether a number that runs into a dollar is one depends on its form, so it is refused.
    fn end_of_number(&self) -> Result<Kind, ScanError> {
        if self.byte(0).is_some_and(is_word_byte) {
            return Err(ScanError::Malformed("a number runs into a word"));
        }
        Ok(Kind::Number)
    }

    /// An operator ends where a comment begins, and does not end in a plus or minus unless it has a byte that no operator
    /// of SQL itself has.
    fn operator(&mut self) -> Result<Kind, ScanError> {
        let rest = &self.bytes[self.at..];
        let mut length = rest.iter().take_while(|byte| OPERATOR_BYTES.contains(byte)).count();
        // Signs at its end are cut off one by one, and looked at again each time.
        if length > LONGEST_RUN {
            return Err(ScanError::Malformed("an operator is too long"));
        }
        let comment = (0..length).find(|at| rest[*at..].starts_with(b"--") || rest[*at..].starts_with(b"/*"));
        length = comment.unwrap_or(length);
        let is_free = rest[..length].iter().any(|byte| b"~!@#^&|`?%".contains(byte));
        while length > 1 && !is_free && matches!(rest[length - 1], b'+' | b'-') {
            length -= 1;
        }
        self.at += length;
        if length > LONGEST_NAME { Err(ScanError::Malformed("an operator is too long")) } else { Ok(Kind::Operator) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lexed(text: &str) -> Vec<&str> {
        let all = scan(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        all.iter().map(|lexeme| lexeme.of(text)).collect()
    }

    #[test]
    fn lexemes_end_where_the_servers_do() {
        assert_eq!(lexed("a||--x\r b"), ["a", "||", "--x", "b"]);
        assert_eq!(lexed("a=-1 @-1"), ["a", "=", "-", "1", "@-", "1"]);
        assert_eq!(lexed("a+/*x/**/y*/b"), ["a", "+", "/*x/**/y*/", "b"]);
        assert_eq!(lexed(r"E'a\'b' 'a\' U&'x' n'y' b'1'"), [r"E'a\'b'", r"'a\'", "U&'x'", "n", "'y'", "b'1'"]);
        assert_eq!(lexed("'a' -- x\n 'b' 'c'"), ["'a' -- x\n 'b'", "'c'"]);
        assert_eq!(lexed("$€$ /* $€$ x$a$b $a $ y$"), ["$€$ /* $€$", "x$a$b", "$", "a", "$", "y$"]);
        assert_eq!(lexed("$1 1_000 0x1F 1.5e-3 1..2 .5"), ["$1", "1_000", "0x1F", "1.5e-3", "1", "..", "2", ".5"]);
        assert_eq!(lexed("\"a\"\"b\".\"c\"::x:=y"), ["\"a\"\"b\"", ".", "\"c\"", "::", "x", ":=", "y"]);
    }

    #[test]
    fn texts_without_an_end_are_errors() {
        for text in
            ["'a", "E'a\\'", "\"a", "/* /* */", "$a$ $b$", "$1a", "1a", "\"\"", "0x", "1_", "1._0", "$2147483648"]
        {
            assert!(scan(text).is_err(), "{text}");
        }
    }
}
