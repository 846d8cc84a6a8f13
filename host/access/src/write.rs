//! Writing access code as text, as `fmt` would write it: the same values always give the same bytes.

use std::fmt::Write as _;

pub use raito_core::yaml::{quoted, scalar};

/// Lines of a block, with what stands before them.
#[derive(Debug, Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// A line that is indented so many steps.
    pub fn line(&mut self, depth: usize, text: &str) {
        let _ = writeln!(self.text, "{:width$}{text}", "", width = depth * 2);
    }

    /// A key with a text.
    pub fn key(&mut self, depth: usize, key: &str, value: &str) {
        self.line(depth, &format!("{key}: {}", scalar(value)));
    }

    /// An item of a list as one line of keys with values that are written already; where that is too long, one a line.
    pub fn item(&mut self, depth: usize, pairs: &[(&str, String)]) {
        let joined: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let flow = format!("- {{ {} }}", joined.join(", "));
        if depth * 2 + flow.chars().count() <= 120 {
            return self.line(depth, &flow);
        }
        for (at, pair) in joined.iter().enumerate() {
            self.line(depth, &format!("{} {pair}", if at == 0 { "-" } else { " " }));
        }
    }

    /// The whole text.
    pub fn finish(self) -> String {
        self.text
    }
}

/// A list of texts in one line.
pub fn list<'t>(items: impl Iterator<Item = &'t str>) -> String {
    let items: Vec<String> = items.map(scalar).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in [
            "plain",
            "two words",
            "R_A",
            "a@b.org",
            "true",
            "No",
            "12",
            "1.5",
            "-",
            "- a",
            "a: b",
            "a #b",
            "",
            " a",
            "a ",
            "ä",
            "\"",
            "\\",
            "a\nb",
            "tab\t",
            "\u{202e}",
            "😀",
            "{a}",
            "[a]",
            "a, b",
            "*a",
            "&a",
            "!a",
            "%a",
            "'a'",
            "null",
            "~",
            "2026-01-01",
            "f(integer, text)",
            "\u{7f}\u{85}",
            "R_*",
            "on",
        ] {
            let yaml = format!("version: 1\nowner: {}\nx: [{}]\n", scalar(text), scalar(text));
            let node = raito_config::reader::parse(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
            let map = node.as_mapping().expect("a mapping");
            assert_eq!(map.get_scalar("owner").map(|node| node.as_str()), Some(text), "{yaml}");
            let items = map.get_sequence("x").expect("a list");
            assert_eq!(items.first().and_then(|node| node.as_scalar()).map(|node| node.as_str()), Some(text), "{yaml}");
        }
    }
}
