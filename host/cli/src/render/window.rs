//! The part of a file that is shown around a mistake: few lines, and of each as much as people read.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use raito_config::Place;

/// Lines before and behind the one that is meant.
const AROUND: usize = 1;
/// Characters of each line.
const COLUMNS: usize = 160;
/// Characters before the place, where its line is longer.
const BEFORE: usize = 60;

/// A part of a file, which knows where it stands.
#[derive(Debug)]
pub(super) struct Window {
    name: String,
    text: String,
    /// Lines of the file before it.
    first: usize,
    /// Where the place is in it, and how long, in bytes.
    pub(super) label: (usize, usize),
    /// The place, as it is called in it.
    pub(super) place: Place,
}

impl Window {
    /// What stands around a place of a text.
    pub(super) fn new(name: &str, text: &str, place: Place) -> Self {
        let line = place.line.max(1);
        let first = line.saturating_sub(1 + AROUND);
        let cut = if place.column > COLUMNS - BEFORE { place.column - BEFORE } else { 0 };
        let mut window = Self {
            name: name.to_owned(),
            text: String::new(),
            first,
            label: (0, 0),
            place: Place { column: place.column - cut, ..place },
        };
        for (at, whole) in
            text.strip_suffix('\n').unwrap_or(text).split('\n').enumerate().skip(first).take(2 * AROUND + 1)
        {
            let is_meant = at + 1 == line;
            let skipped = if is_meant { cut } else { 0 };
            // A carriage return alone ends a line for some who print it.
            let shown = whole.trim_end_matches('\r').chars().skip(skipped).take(COLUMNS);
            let shown: String = shown.map(|character| if character == '\r' { ' ' } else { character }).collect();
            if is_meant {
                let bytes = |characters: usize, from: usize| -> usize {
                    shown[from..].chars().take(characters).map(char::len_utf8).sum()
                };
                let begin = bytes(window.place.column.saturating_sub(1), 0);
                window.label = (window.text.len() + begin, bytes(place.length, begin));
            }
            window.text.push_str(&shown);
            window.text.push('\n');
        }
        if window.first + 1 > line || window.text.is_empty() {
            window.text.push('\n');
        }
        window
    }
}

impl SourceCode for Window {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.read_span(span, before, after)?;
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            inner.data(),
            *inner.span(),
            inner.line() + self.first,
            inner.column(),
            inner.line_count(),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: usize, column: usize, length: usize) -> (String, String) {
        let window = Window::new("f", text, Place { line, column, length });
        let (begin, bytes) = window.label;
        (window.text.clone(), window.text[begin..begin + bytes].to_owned())
    }

    #[test]
    fn a_long_line_is_cut_around_its_place_and_a_short_one_is_shown_whole() {
        let text = format!("a\nb: {}x: 1\nc\nd\n", "ü".repeat(70_000));
        let (cut, meant) = shown(&text, 2, 70_004, 1);
        assert_eq!(meant, "x");
        assert!(cut.lines().count() == 3 && cut.lines().all(|line| line.chars().count() <= COLUMNS), "{cut}");
        assert_eq!(shown("a: 1\nbc: 2\nd: 3\n", 2, 1, 2), ("a: 1\nbc: 2\nd: 3\n".into(), "bc".into()));
    }

    #[test]
    fn places_at_the_edges_are_places() {
        for (text, line, column, length) in
            [("", 1, 1, 1), ("a", 9, 9, 9), ("a\n", 2, 1, 1), ("a\rb\rc", 1, 3, 1), ("\n\n", 3, 5, 2), ("ä", 1, 2, 1)]
        {
            let (_, meant) = shown(text, line, column, length);
            assert!(meant.chars().count() <= length, "{text:?}: {meant:?}");
        }
    }
}
