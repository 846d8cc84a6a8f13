//! Places in a text as editors count them: lines and, within a line, bytes (UTF-8) or units of UTF-16
//! (Language Server Protocol 3.17, "Position").

use std::ops::Range;

use raito_config::Place;

/// What an editor counts within a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Bytes.
    Utf8,
    /// Units of UTF-16, of which characters beyond U+FFFF have two.
    Utf16,
}

impl Units {
    fn of(self, character: char) -> usize {
        match self {
            Self::Utf8 => character.len_utf8(),
            Self::Utf16 => character.len_utf16(),
        }
    }
}

/// A place as an editor says it: both counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// Units before it in the line.
    pub unit: u32,
}

/// Where the lines of a text begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Finds the lines of a text. A line ends with `\n`, `\r\n` or `\r`.
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = |at: &usize| match bytes[*at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let behind = (0..bytes.len()).filter(ends).map(|at| at + 1);
        Self { starts: std::iter::once(0).chain(behind).collect() }
    }

    /// A line with where it begins, without what ends it; none behind the last one.
    fn line<'t>(&self, text: &'t str, number: usize) -> Option<(usize, &'t str)> {
        let start = *self.starts.get(number)?;
        let end = self.starts.get(number + 1).copied().unwrap_or(text.len());
        Some((start, text.get(start..end)?.trim_end_matches(['\n', '\r'])))
    }

    /// Where a byte stands. One within a character is taken for the first of it, and one behind the text for its end.
    pub fn position(&self, text: &str, offset: usize, units: Units) -> Position {
        let offset = text.floor_char_boundary(offset);
        let line = self.starts.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.starts[line];
        let before: usize = text[start..offset].chars().map(|character| units.of(character)).sum();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Position { line: number(line), unit: number(before) }
    }

    /// The byte at a place. One behind its line is the line's end, one within a character the first of it, and a line behind the
    /// last one the end of the text.
    pub fn offset(&self, text: &str, position: Position, units: Units) -> usize {
        let Some((start, line)) = self.line(text, position.line as usize) else { return text.len() };
        let mut left = position.unit as usize;
        for (at, character) in line.char_indices() {
            let length = units.of(character);
            if left < length {
                return start + at;
            }
            left -= length;
        }
        start + line.len()
    }

    /// The bytes of a place in a file, as mistakes have it: lines and characters, both counted from 1.
    pub fn bytes(&self, text: &str, place: Place) -> Range<usize> {
        let Some((start, line)) = self.line(text, place.line.saturating_sub(1)) else { return text.len()..text.len() };
        let behind = |text: &str, count: usize| text.chars().take(count).map(char::len_utf8).sum::<usize>();
        let skipped = behind(line, place.column.saturating_sub(1));
        let meant = behind(&line[skipped..], place.length);
        start + skipped..start + skipped + meant
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What people write: ASCII, umlauts, CJK, characters beyond U+FFFF, combining ones, and every way to end a line.
    fn texts() -> impl Strategy<Value = String> {
        let part =
            prop::sample::select(vec!["a", "ö", "漢", "😀", "e\u{301}", " ", "\n", "\r\n", "\r", "\u{2028}", "👩‍🚀"]);
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    #[test]
    fn units_are_those_that_were_agreed_on() {
        let text = "ö: 😀x\r\n漢";
        let lines = Lines::of(text);
        let x = text.find('x').expect("there is one");
        assert_eq!(lines.position(text, x, Units::Utf16), Position { line: 0, unit: 5 });
        assert_eq!(lines.position(text, x, Units::Utf8), Position { line: 0, unit: 8 });
        assert_eq!(lines.position(text, text.len(), Units::Utf16), Position { line: 1, unit: 1 });
        // Within a surrogate pair, behind the line, behind the text.
        assert_eq!(lines.offset(text, Position { line: 0, unit: 4 }, Units::Utf16), text.find('😀').expect("one"));
        assert_eq!(lines.offset(text, Position { line: 0, unit: 99 }, Units::Utf16), x + 1);
        assert_eq!(lines.offset(text, Position { line: 9, unit: 0 }, Units::Utf16), text.len());
        assert_eq!(lines.bytes(text, Place { line: 1, column: 4, length: 2 }), 4..9);
        assert_eq!(lines.bytes(text, Place { line: 7, column: 1, length: 1 }), text.len()..text.len());
    }

    proptest! {
        #[test]
        fn a_place_leads_back_to_its_byte(text in texts()) {
            let lines = Lines::of(&text);
            for units in [Units::Utf8, Units::Utf16] {
                for (offset, character) in text.char_indices() {
                    let position = lines.position(&text, offset, units);
                    if character != '\n' && character != '\r' {
                        prop_assert_eq!(lines.offset(&text, position, units), offset);
                    }
                }
                let end = lines.position(&text, text.len(), units);
                prop_assert_eq!(lines.offset(&text, end, units), text.len());
            }
        }

        #[test]
        fn any_place_is_on_a_character(text in texts(), line in 0_u32..20, unit in 0_u32..40) {
            let lines = Lines::of(&text);
            for units in [Units::Utf8, Units::Utf16] {
                let offset = lines.offset(&text, Position { line, unit }, units);
                prop_assert!(text.is_char_boundary(offset));
            }
            let place = Place { line: line as usize, column: unit as usize, length: unit as usize };
            let bytes = lines.bytes(&text, place);
            prop_assert!(text.get(bytes).is_some());
        }
    }
}
