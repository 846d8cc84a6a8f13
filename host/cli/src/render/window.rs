//! The part of a file that is shown around a mistake: few lines, and of each as much as people read.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use raito_config::Place;
use raito_core::text::escape;

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
        let mut window = Self { name: name.to_owned(), text: String::new(), first, label: (0, 0), place };
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        for (at, whole) in lines.enumerate().skip(first).take(2 * AROUND + 1) {
            let is_meant = at + 1 == line;
            let skipped = if is_meant { cut } else { 0 };
            let shown = whole.trim_end_matches('\r').chars().skip(skipped).take(COLUMNS);
            if is_meant {
                window.push_meant(shown, place.column.saturating_sub(1 + cut), place.length);
            } else {
                shown.for_each(|character| window.push(character));
            }
            window.text.push('\n');
        }
        if window.first + 1 > line || window.text.is_empty() {
            window.text.push('\n');
        }
        window
    }

    /// Writes a character as people may see it.
    fn push(&mut self, character: char) {
        self.text.push_str(&escape(character.encode_utf8(&mut [0; 4])));
    }

    /// Writes the line of the place, which begins behind so many characters.
    fn push_meant(&mut self, shown: impl Iterator<Item = char>, begin: usize, length: usize) {
        let start = self.text.len();
        let (mut from, mut to) = (None, None);
        for (column, character) in shown.enumerate() {
            from = from.or((column == begin).then_some(self.text.len()));
            to = to.or((column == begin + length).then_some(self.text.len()));
            self.push(character);
        }
        let from = from.unwrap_or(self.text.len());
        self.label = (from, to.unwrap_or(self.text.len()) - from);
        self.place.column = self.text[start..from].chars().count() + 1;
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
    fn nothing_of_a_file_steers_the_terminal() {
        let (text, meant) = shown("a: \u{1b}[31m\u{202e}\u{3164}b: c\n", 1, 4, 6);
        assert_eq!(text, "a: \\u{1b}[31m\\u{202e}\\u{3164}b: c\n");
        assert_eq!(meant, "\\u{1b}[31m\\u{202e}");
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
