//! Mistakes, and where they stand.

use std::fmt;

/// A place in a file: a line and a column, both from 1, and how many characters are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The length, in characters.
    pub length: usize,
}

/// Something that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.place.line, self.place.column, self.message)?;
        match &self.help {
            Some(help) => write!(out, " ({help})"),
            None => Ok(()),
        }
    }
}

impl Place {
    /// Where the place begins in the text of its file, and how long it is, both in bytes.
    pub fn bytes(&self, text: &str) -> (usize, usize) {
        let before: usize = text.split_inclusive('\n').take(self.line.saturating_sub(1)).map(str::len).sum();
        let line = text.get(before..).unwrap_or_default().lines().next().unwrap_or_default();
        let skipped: usize = line.chars().take(self.column.saturating_sub(1)).map(char::len_utf8).sum();
        let meant: usize = line[skipped..].chars().take(self.length).map(char::len_utf8).sum();
        (before + skipped, meant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_its_text() {
        let text = "a: 1\nübung: ä€x\n";
        let place = Place { line: 2, column: 8, length: 2 };
        let (begin, length) = place.bytes(text);
        assert_eq!(&text[begin..begin + length], "ä€");
        assert_eq!(Place { line: 9, column: 1, length: 1 }.bytes(text), (text.len(), 0));
    }
}
