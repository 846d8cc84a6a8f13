//! A file as a tree, also while somebody is in the middle of writing it. Whatever the text is, there is a tree of it: what is not
//! finished is as much of a mapping, a list or a word as it is so far.
//!
//! It knows the YAML that access code is written in, and decides nothing: mistakes are told by the strict reader.

use std::ops::Range;

use raito_core::limits;

/// A word in the text: a key, or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where it stands, in bytes, with its quotes.
    pub(crate) span: Range<usize>,
    /// What it says, without quotes.
    pub(crate) text: String,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The key.
    pub(crate) key: Word,
    /// Its value.
    pub(crate) value: Tree,
}

/// What stands at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    /// Keys and values.
    Map(Vec<Pair>),
    /// A list.
    List(Vec<Tree>),
    /// A word.
    Word(Word),
    /// Nothing yet.
    Nothing,
}

impl Tree {
    /// Reads a text.
    pub(crate) fn read(text: &str) -> Self {
        let mut parser = Parser { text, at: 0, line: 0, depth: 0 };
        let mut tree = parser.block(0);
        // What does not fit, such as a line that is indented less than the first one, is read as if it began the file.
        while parser.next().is_some() {
            let before = parser.at;
            match (&mut tree, parser.block(0)) {
                (Self::Map(pairs), Self::Map(more)) => pairs.extend(more),
                (Self::Map(_), _) => {}
                (tree, more) => *tree = more,
            }
            if parser.at == before {
                parser.skip_line();
            }
        }
        tree
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|pair| pair.key.text == key).map(|pair| &pair.value)
    }

    /// The word that stands here.
    pub(crate) fn word(&self) -> Option<&Word> {
        match self {
            Self::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The items of a list; none where there is no list.
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// Where the line begins.
    line: usize,
    depth: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn first(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// How far this is from the beginning of the line, in bytes.
    fn column(&self) -> usize {
        self.at - self.line
    }

    /// Where this is, to come back to.
    fn mark(&self) -> (usize, usize) {
        (self.at, self.line)
    }

    fn back_to(&mut self, mark: (usize, usize)) {
        (self.at, self.line) = mark;
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn skip_line(&mut self) {
        let rest = self.rest();
        self.at += rest.find(['\n', '\r']).map_or(rest.len(), |end| end + 1);
        self.line = self.at;
    }

    /// Goes over blanks, comments and empty lines to what comes next, and gives its column. Comments begin behind a blank.
    fn next(&mut self) -> Option<usize> {
        loop {
            self.skip_blanks();
            let is_marker = |rest: &str| rest.starts_with("---") || rest.starts_with("...");
            match self.first()? {
                '\n' | '\r' | '#' => self.skip_line(),
                '-' | '.' if self.column() == 0 && is_marker(self.rest()) => self.skip_line(),
                '\u{feff}' if self.at == 0 => self.at += '\u{feff}'.len_utf8(),
                _ => return Some(self.column()),
            }
        }
    }

    /// Whether the line goes on behind blanks with something that is no comment.
    fn goes_on(&mut self) -> bool {
        self.skip_blanks();
        !matches!(self.first(), None | Some('\n' | '\r' | '#'))
    }

    fn is_item(&self) -> bool {
        let mut characters = self.rest().chars();
        characters.next() == Some('-') && matches!(characters.next(), None | Some(' ' | '\t' | '\n' | '\r'))
    }

    /// What comes next, where it is indented at least so far.
    fn block(&mut self, indent: usize) -> Tree {
        let Some(column) = self.next().filter(|column| *column >= indent) else { return Tree::Nothing };
        if self.depth > limits::EDITOR_DEPTH {
            self.skip_line();
            return Tree::Nothing;
        }
        self.depth += 1;
        let tree = if self.is_item() {
            self.list(column)
        } else if self.key_length().is_some() || self.begins_map(column) {
            self.map(column)
        } else {
            self.value(column.saturating_sub(1))
        };
        self.depth -= 1;
        tree
    }

    /// Whether a bare word stands here and keys below it in the same column: a key that is being written.
    fn begins_map(&mut self, column: usize) -> bool {
        if self.first().is_some_and(|first| "{[\"'|>".contains(first)) {
            return false;
        }
        let here = self.mark();
        self.skip_line();
        let below = self.next() == Some(column) && self.key_length().is_some();
        self.back_to(here);
        below
    }

    fn list(&mut self, column: usize) -> Tree {
        let mut items = Vec::new();
        while self.next() == Some(column) && self.is_item() {
            self.at += 1;
            let item = if self.goes_on() {
                let inner = self.column();
                self.block(inner)
            } else {
                self.block(column + 1)
            };
            items.push(item);
        }
        Tree::List(items)
    }

    fn map(&mut self, column: usize) -> Tree {
        let mut pairs = Vec::new();
        while let Some(here) = self.next() {
            if here < column || (here == column && self.is_item()) {
                break;
            }
            match self.key_length() {
                Some(length) if here == column => {
                    let key = self.take_key(length);
                    self.at += 1;
                    pairs.push(Pair { key, value: self.value_of(column) });
                }
                // What stands deeper than it may belongs to nothing.
                _ if here > column => self.skip_line(),
                _ => pairs.push(Pair { key: self.plain(false), value: Tree::Nothing }),
            }
        }
        Tree::Map(pairs)
    }

    /// The value behind a key of a mapping in this column.
    fn value_of(&mut self, column: usize) -> Tree {
        if self.goes_on() {
            return self.value(column);
        }
        match self.next() {
            Some(below) if below > column => self.block(below),
            Some(below) if below == column && self.is_item() => self.list(column),
            _ => Tree::Nothing,
        }
    }

    /// A value that is written within a line. `column` is that of what it belongs to: lines that are indented deeper may go on
    /// with it.
    fn value(&mut self, column: usize) -> Tree {
        match self.first() {
            Some('{' | '[') => self.flow(column),
            Some('|' | '>') => self.literal(column),
            Some('"' | '\'') => Tree::Word(self.quoted()),
            _ => {
                let word = self.plain(false);
                self.continued(column, word)
            }
        }
    }

    /// A word that goes on in lines which are neither keys nor items.
    fn continued(&mut self, column: usize, mut word: Word) -> Tree {
        loop {
            let here = self.mark();
            if self.next().is_none_or(|below| below <= column) || self.is_item() || self.key_length().is_some() {
                self.back_to(here);
                return Tree::Word(word);
            }
            let more = self.plain(false);
            word.text = format!("{} {}", word.text, more.text);
            word.span.end = more.span.end;
        }
    }

    /// A text of several lines behind `|` or `>`.
    fn literal(&mut self, column: usize) -> Tree {
        let start = self.at;
        self.skip_line();
        let mut end = self.mark();
        loop {
            self.skip_blanks();
            let is_empty = matches!(self.first(), Some('\n' | '\r'));
            if !is_empty && (self.first().is_none() || self.column() <= column) {
                self.back_to(end);
                break;
            }
            self.skip_line();
            if !is_empty {
                end = self.mark();
            }
        }
        Tree::Word(Word { span: start..self.at, text: self.text[start..self.at].to_owned() })
    }

    /// How long the key is that stands here, with its quotes, where a colon is behind it.
    fn key_length(&self) -> Option<usize> {
        let rest = self.rest();
        let line = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
        let is_colon =
            |at: usize| line[at..].starts_with(':') && matches!(line[at + 1..].chars().next(), None | Some(' ' | '\t'));
        if let Some(quote) = line.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            let end = quoted_length(line, quote)?;
            return is_colon(end).then_some(end);
        }
        if line.starts_with(['{', '[', '|', '>', '#']) {
            return None;
        }
        let ends = line.match_indices(':').map(|(at, _)| at).find(|at| is_colon(*at))?;
        (!line[..ends].contains(" #")).then_some(ends)
    }

    fn take_key(&mut self, length: usize) -> Word {
        let start = self.at;
        let written = self.text[start..start + length].trim_end();
        self.at += length;
        match written.chars().next() {
            Some(quote @ ('"' | '\'')) => Word { span: start..start + length, text: unquoted(written, quote) },
            _ => Word { span: start..start + written.len(), text: written.to_owned() },
        }
    }

    /// A word without quotes, to the end of its line or to a comment, and within brackets to what ends it there.
    fn plain(&mut self, in_brackets: bool) -> Word {
        let start = self.at;
        let rest = self.rest();
        let mut characters = rest.char_indices().peekable();
        let mut length = rest.len();
        while let Some((at, character)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            let ends = match character {
                '\n' | '\r' => true,
                ' ' | '\t' => next == Some('#'),
                ',' | '{' | '}' | '[' | ']' => in_brackets,
                ':' => in_brackets && next.is_none_or(|next| " \t\r\n,{}[]".contains(next)),
                _ => false,
            };
            if ends {
                length = at;
                break;
            }
        }
        let written = rest[..length].trim_end();
        let word = Word { span: start..start + written.len(), text: written.to_owned() };
        self.at += length;
        word
    }

    /// A word in quotes. One that is not closed ends with its line.
    fn quoted(&mut self) -> Word {
        let start = self.at;
        let rest = self.rest();
        let quote = rest.chars().next().unwrap_or('"');
        let line = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let length = quoted_length(&rest[..line], quote).unwrap_or(rest[..line].trim_end().len());
        self.at += length;
        Word { span: start..start + length, text: unquoted(&self.text[start..start + length], quote) }
    }

    /// A mapping or a list in brackets. One that is not closed ends where a line is not indented deeper than what it belongs to.
    fn flow(&mut self, column: usize) -> Tree {
        let is_map = self.first() == Some('{');
        self.at += 1;
        self.depth += 1;
        let (mut pairs, mut items) = (Vec::new(), Vec::new());
        while let Some(first) = self.flow_next(column) {
            match first {
                '}' | ']' => {
                    self.at += 1;
                    break;
                }
                ',' | ':' => self.at += 1,
                _ if self.depth > limits::EDITOR_DEPTH => self.at += first.len_utf8(),
                _ if is_map => pairs.push(self.flow_pair(column)),
                _ => items.push(self.flow_value(column)),
            }
        }
        self.depth -= 1;
        if is_map { Tree::Map(pairs) } else { Tree::List(items) }
    }

    /// What comes next within brackets; none where they end without being closed.
    fn flow_next(&mut self, column: usize) -> Option<char> {
        let here = self.mark();
        let found = self.next();
        let crossed = self.line != here.1;
        let closes = matches!(self.first(), Some('}' | ']'));
        if found.is_none() || (crossed && !closes && found.is_some_and(|below| below <= column)) {
            self.back_to(here);
            return None;
        }
        self.first()
    }

    fn flow_pair(&mut self, column: usize) -> Pair {
        let key = self.flow_word();
        let has_value = self.flow_next(column) == Some(':');
        if !has_value {
            return Pair { key, value: Tree::Nothing };
        }
        self.at += 1;
        let value = match self.flow_next(column) {
            None | Some(',' | '}' | ']') => Tree::Nothing,
            Some(_) => self.flow_value(column),
        };
        Pair { key, value }
    }

    fn flow_value(&mut self, column: usize) -> Tree {
        match self.first() {
            Some('{' | '[') => self.flow(column),
            _ => Tree::Word(self.flow_word()),
        }
    }

    fn flow_word(&mut self) -> Word {
        match self.first() {
            Some('"' | '\'') => self.quoted(),
            Some(other) => {
                let word = self.plain(true);
                if word.span.is_empty() {
                    self.at += other.len_utf8();
                }
                word
            }
            None => Word { span: self.at..self.at, text: String::new() },
        }
    }
}

/// How long a word in quotes is, with both of them; none where it is not closed.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if quote == '"' && character == '\\' {
            characters.next();
        } else if character == quote {
            if quote == '\'' && characters.next_if(|(_, next)| *next == '\'').is_some() {
                continue;
            }
            return Some(at + 1);
        }
    }
    None
}

/// What a word in quotes says. Escapes other than of quotes and backslashes stay as they are: names are compared, not shown.
fn unquoted(written: &str, quote: char) -> String {
    let inner = written.strip_prefix(quote).unwrap_or(written);
    let inner =
        if quoted_length(written, quote).is_some() { inner.strip_suffix(quote).unwrap_or(inner) } else { inner };
    if quote == '\'' { inner.replace("''", "'") } else { inner.replace("\\\"", "\"").replace("\\\\", "\\") }
}

#[cfg(test)]
mod tests {
    use marked_yaml::Node;
    use proptest::prelude::*;

    use super::*;
    use crate::write::{quoted, scalar};

    /// A value that a file may hold.
    #[derive(Debug, Clone)]
    enum Value {
        Word(String),
        List(Vec<Value>),
        Map(Vec<(String, Value)>),
    }

    /// Values, each with whether it is written in brackets and whether its words are in quotes.
    fn values() -> impl Strategy<Value = Value> {
        let words = [
            "R_A",
            "table shop.sales.ördërs",
            "a: b",
            "it's",
            "\"x\"",
            "# no",
            "a #b",
            "",
            "{",
            "[1, 2]",
            "- a",
            "😀",
            "x:y",
        ];
        let word = || prop::sample::select(words.to_vec()).prop_map(str::to_owned);
        word().prop_map(Value::Word).prop_recursive(5, 40, 4, move |inner| {
            let key = prop::sample::select(vec!["name", "who", "what", "a b", "é", "q: k"]).prop_map(str::to_owned);
            let pairs = prop::collection::btree_map(key, inner.clone(), 1..4);
            prop_oneof![
                prop::collection::vec(inner, 1..4).prop_map(Value::List),
                pairs.prop_map(|pairs| Value::Map(pairs.into_iter().collect())),
            ]
        })
    }

    /// Writes values, in brackets or over lines as a number's bits say.
    struct Written {
        bits: u64,
        text: String,
    }

    impl Written {
        fn bit(&mut self) -> bool {
            self.bits = self.bits.rotate_right(1).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            self.bits >> 63 == 1
        }

        fn word(&mut self, word: &str) {
            let text = match self.bit() {
                true => scalar(word),
                false if word.contains('\'') => quoted(word),
                false => format!("'{word}'"),
            };
            self.text.push_str(&text);
        }

        fn flow(&mut self, value: &Value) {
            match value {
                Value::Word(word) => self.word(word),
                Value::List(items) => {
                    self.text.push('[');
                    for item in items {
                        self.flow(item);
                        self.text.push_str(", ");
                    }
                    self.text.push(']');
                }
                Value::Map(pairs) => {
                    self.text.push_str("{ ");
                    for (key, value) in pairs {
                        self.word(key);
                        self.text.push_str(": ");
                        self.flow(value);
                        self.text.push(',');
                    }
                    self.text.push('}');
                }
            }
        }

        /// What stands behind a key or a dash that is indented so far.
        fn behind(&mut self, value: &Value, indent: usize) {
            if matches!(value, Value::Word(_)) || self.bit() {
                self.text.push(' ');
                self.flow(value);
                let end = if self.bit() { " # why\n" } else { "\n\n" };
                self.text.push_str(end);
            } else {
                let end = if self.bit() { "\n" } else { "  # below\n" };
                self.text.push_str(end);
                self.block(value, indent);
            }
        }

        fn block(&mut self, value: &Value, indent: usize) {
            match value {
                Value::Word(_) => {}
                Value::List(items) => {
                    for item in items {
                        self.text.push_str(&format!("{:indent$}-", ""));
                        self.behind(item, indent + 2);
                    }
                }
                Value::Map(pairs) => {
                    for (key, value) in pairs {
                        self.text.push_str(&" ".repeat(indent));
                        self.word(key);
                        self.text.push(':');
                        let same = matches!(value, Value::List(_)) && self.bit();
                        self.behind(value, indent + if same { 0 } else { 2 });
                    }
                }
            }
        }
    }

    fn same(tree: &Tree, node: &Node, text: &str) -> Result<(), TestCaseError> {
        match (tree, node) {
            (Tree::Word(word), Node::Scalar(scalar)) => {
                prop_assert_eq!(&word.text, scalar.as_str(), "{}", text);
                let start = scalar.span().start().expect("it stands somewhere");
                let lines = super::super::Lines::of(text);
                let place = raito_config::Place { line: start.line(), column: start.column(), length: 0 };
                prop_assert_eq!(word.span.start, lines.bytes(text, place).start, "{}", text);
            }
            (Tree::List(items), Node::Sequence(nodes)) => {
                prop_assert_eq!(items.len(), nodes.len(), "{}", text);
                items.iter().zip(nodes.iter()).try_for_each(|(tree, node)| same(tree, node, text))?;
            }
            (Tree::Map(pairs), Node::Mapping(map)) => {
                prop_assert_eq!(pairs.len(), map.len(), "{}", text);
                for (pair, (key, value)) in pairs.iter().zip(map.iter()) {
                    prop_assert_eq!(&pair.key.text, key.as_str(), "{}", text);
                    same(&pair.value, value, text)?;
                }
            }
            other => return Err(TestCaseError::fail(format!("{other:?} in\n{text}"))),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_finished_is_what_the_strict_reader_reads(value in values(), bits: u64) {
            let mut written = Written { bits, text: String::new() };
            written.block(&Value::Map(vec![("all".into(), value)]), 0);
            let node = raito_config::reader::parse(&written.text).map_err(|error| {
                TestCaseError::fail(format!("{error}\n{}", written.text))
            })?;
            same(&Tree::read(&written.text), &node, &written.text)?;
        }

        #[test]
        fn any_text_has_a_tree(text in "[-{}\\[\\],:#|>'\" \n\r\ta😀.]{0,80}") {
            let _ = Tree::read(&text);
        }
    }

    #[test]
    fn what_is_nested_without_end_ends() {
        for part in ["[", "{a: ", "- ", "a:\n ", "{", "'", "? "] {
            let _ = Tree::read(&part.repeat(50_000));
        }
        let steps: String = (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        let _ = Tree::read(&steps);
    }

    #[test]
    fn what_is_not_closed_ends_with_what_it_stands_in() {
        let tree = Tree::read("grants:\n  - { name: R_A, who: [{ user: an\n  - name: R_B\n");
        let names: Vec<_> = tree.get("grants").expect("a list").items().iter().map(|item| item.get("name")).collect();
        let word = |tree: Option<&Tree>| tree.and_then(Tree::word).map(|word| word.text.clone());
        assert_eq!(names.into_iter().map(word).collect::<Vec<_>>(), [Some("R_A".to_owned()), Some("R_B".to_owned())]);
        let tree = Tree::read("a: \"open\nb: |\n  text: x\n  more\nc: two\n  lines\n");
        assert_eq!(tree.get("a").and_then(Tree::word).map(|word| word.text.as_str()), Some("open"));
        assert_eq!(tree.get("c").and_then(Tree::word).map(|word| word.text.as_str()), Some("two lines"));
        assert!(tree.get("text").is_none());
    }
}
