//! Reading YAML node by node, collecting mistakes instead of stopping at the first.

use std::str::FromStr;

use marked_yaml::types::{MarkedMappingNode, MarkedScalarNode};
use marked_yaml::{LoadError, LoaderOptions, Marker, Node, Span, parse_yaml_with_options};
use raito_core::limits;
use raito_core::suggest::closest;
use raito_core::text::escape;

use crate::hide::quotable;
use crate::keys::Key;
use crate::mistake::{Mistake, Place};

/// Looks up an environment variable.
pub type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// A file that is being read.
pub struct Reader<'v> {
    /// What was wrong so far, in the order in which it was found.
    pub mistakes: Vec<Mistake>,
    variables: Variables<'v>,
}

/// The values of a mapping.
pub struct Fields<'n> {
    node: &'n MarkedMappingNode,
}

impl<'n> Fields<'n> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key)
    }

    /// All keys with their values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&'n MarkedScalarNode, &'n Node)> {
        self.node.iter()
    }

    /// Where the mapping begins.
    pub fn place(&self) -> Place {
        place(self.node.span(), 1)
    }
}

/// Parses a file into its outermost mapping.
///
/// # Errors
/// The first place where the text is longer than [`limits::CONFIG_BYTES`], nested too deep, no YAML, or YAML that is not used here.
pub fn parse(text: &str) -> Result<Node, Mistake> {
    fits(text)?;
    let options = LoaderOptions::default().error_on_duplicate_keys(true).prevent_coercion(true);
    parse_yaml_with_options(0, text, options).map_err(|error| load_mistake(&error))
}

/// Whether a text may be parsed: it is not too long, its lines are what everybody takes for lines, so that what is said of them is
/// found, and nothing in it is nested so deep that a parser which calls itself would run out of stack. Every list and mapping outside
/// of brackets begins in another column than what it stands in, or is the list of a key in the same one; within brackets the parser
/// has a bound of its own.
///
/// # Errors
/// The place where it is too long or too deep, or where a line ends for YAML alone.
pub fn fits(text: &str) -> Result<(), Mistake> {
    if text.len() > limits::CONFIG_BYTES {
        let message = format!("the file has {} bytes, and at most {} are read", text.len(), limits::CONFIG_BYTES);
        return Err(Mistake { place: Place { line: 1, column: 1, length: 1 }, message, help: None });
    }
    let wrong = |before: usize, column: usize, message: &str, help: &str| {
        let place = Place { line: before + 1, column, length: 1 };
        Err(Mistake { place, message: message.to_owned(), help: Some(help.to_owned()) })
    };
    for (before, line) in text.lines().enumerate() {
        if let Some(at) = line.find('\r') {
            let message = "a carriage return without a line feed ends a line for some programs, and for others not";
            return wrong(before, line[..at].chars().count() + 1, message, "save the file with line feeds");
        }
        if line.len() - line.trim_start_matches([' ', '\t', '-', '?', ':']).len() > limits::YAML_COLUMNS {
            let message = format!("nothing begins behind column {}", limits::YAML_COLUMNS);
            return wrong(before, 1, &message, "nest less, or indent by two blanks");
        }
    }
    Ok(())
}

fn at(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.column(), length: 1 }
}

fn load_mistake(error: &LoadError) -> Mistake {
    let mistake = |marker: &Marker, message: &str, help: Option<&str>| Mistake {
        place: at(marker),
        message: message.to_owned(),
        help: help.map(str::to_owned),
    };
    match error {
        LoadError::TopLevelMustBeMapping(marker) | LoadError::TopLevelMustBeSequence(marker) => {
            mistake(marker, "the file does not hold keys and values", Some("begin it with a key and a colon"))
        }
        LoadError::UnexpectedAnchor(marker) => {
            mistake(marker, "anchors are not used here", Some("write the value out"))
        }
        LoadError::UnexpectedTag(marker) => {
            mistake(marker, "tags are not used here", Some("remove what begins with !"))
        }
        LoadError::MappingKeyMustBeScalar(marker) => mistake(marker, "a key is a word", None),
        LoadError::DuplicateKey(keys) => {
            let place = scalar_place(&keys.key);
            let first = keys.prev_key.span().start().map_or(0, Marker::line);
            let message = format!("the key {} stands here a second time", quoted(keys.key.as_str()));
            Mistake { place, message, help: Some(format!("the first one is in line {first}")) }
        }
        LoadError::ScanError(marker, _) => {
            let text = error.to_string();
            let reason = text.split_once(": ").map_or(text.as_str(), |(_, reason)| reason);
            mistake(marker, &format!("this is not YAML: {}", escape(reason)), None)
        }
    }
}

fn place(span: &Span, length: usize) -> Place {
    let mut place = span.start().map_or(Place { line: 1, column: 1, length: 1 }, at);
    place.length = length.max(1);
    place
}

fn scalar_place(scalar: &MarkedScalarNode) -> Place {
    place(scalar.span(), scalar.as_str().lines().next().unwrap_or_default().chars().count())
}

/// Where a node stands.
pub fn node_place(node: &Node) -> Place {
    match node {
        Node::Scalar(scalar) => scalar_place(scalar),
        other => place(other.span(), 1),
    }
}

/// A text of a file as a message may repeat it: escaped, and without what may be secret in it.
pub fn quoted(text: &str) -> String {
    escape(&quotable(text)).into_owned()
}

/// What a node is, for people.
fn what(node: &Node) -> &'static str {
    match node {
        Node::Scalar(scalar) if scalar.as_str().is_empty() => "nothing",
        Node::Scalar(_) => "one value",
        Node::Mapping(_) => "keys and values",
        Node::Sequence(_) => "a list",
    }
}

impl<'v> Reader<'v> {
    /// Begins to read a file; `variables` gives environment variables for `{{NAME}}`.
    pub fn new(variables: Variables<'v>) -> Self {
        Self { mistakes: Vec::new(), variables }
    }

    /// Notes a mistake.
    pub fn wrong(&mut self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.mistakes.push(Mistake { place, message: message.into(), help });
    }

    fn expected(&mut self, node: &Node, wanted: &str) {
        self.expected_or(node, wanted, None);
    }

    fn expected_or(&mut self, node: &Node, wanted: &str, help: Option<&str>) {
        let message = format!("{wanted} is expected here, and there is {}", what(node));
        self.wrong(node_place(node), message, help.map(str::to_owned));
    }

    /// A mapping with these keys; unknown and missing ones are mistakes.
    pub fn map<'n>(&mut self, node: &'n Node, keys: &'static [Key]) -> Option<Fields<'n>> {
        self.open_map(node, keys, |_| false)
    }

    /// A mapping with these keys and others for which `other` says so.
    pub fn open_map<'n>(
        &mut self,
        node: &'n Node,
        keys: &'static [Key],
        other: impl Fn(&str) -> bool,
    ) -> Option<Fields<'n>> {
        let Some(mapping) = node.as_mapping() else {
            let names: Vec<_> = keys.iter().map(|key| key.name).collect();
            self.expected(node, &format!("a mapping with {}", names.join(", ")));
            return None;
        };
        for (key, _) in mapping.iter() {
            let name = key.as_str();
            if keys.iter().any(|known| known.name == name) || other(name) {
                continue;
            }
            let help = match closest(name, keys.iter().map(|known| known.name)) {
                Some(close) => format!("did you mean {close}?"),
                None => format!("write one of {}", keys.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")),
            };
            self.wrong(scalar_place(key), format!("unknown key {}", quoted(name)), Some(help));
        }
        for key in keys.iter().filter(|key| key.required && mapping.get(key.name).is_none()) {
            self.wrong(
                place(mapping.span(), 1),
                format!("the key {} is missing", key.name),
                Some(format!("{}: {}", key.name, key.help)),
            );
        }
        Some(Fields { node: mapping })
    }

    /// A mapping whose keys are names that somebody else chose.
    pub fn names<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<Fields<'n>> {
        match node.as_mapping() {
            Some(mapping) => Some(Fields { node: mapping }),
            None => {
                self.expected(node, wanted);
                None
            }
        }
    }

    /// A text.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        match node.as_scalar() {
            Some(scalar) if !scalar.as_str().is_empty() => Some(scalar.as_str().to_owned()),
            _ => {
                self.expected(node, "a text");
                None
            }
        }
    }

    /// A text in which `{{NAME}}` stands for an environment variable.
    pub fn text_with_variables(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        let mut filled = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else { break };
            let name = name.trim();
            match (self.variables)(name) {
                Some(value) => {
                    filled.push_str(before);
                    filled.push_str(&value);
                }
                None => {
                    let message = format!("the environment variable {} is not set", quoted(name));
                    let help = format!("set it, or write the value instead of {{{{{}}}}}", quoted(name));
                    self.wrong(node_place(node), message, Some(help));
                    return None;
                }
            }
            rest = behind;
        }
        filled.push_str(rest);
        Some(filled)
    }

    /// A text of a type.
    pub fn parsed<T: FromStr>(&mut self, node: &Node) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(node)?;
        self.parse_text(node, &text)
    }

    /// A text that was taken from a node, as a type.
    pub fn parse_text<T: FromStr>(&mut self, node: &Node, text: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(node_place(node), format!("{}: {error}", quoted(text)), None);
                None
            }
        }
    }

    /// A flag.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        let flag = node.as_scalar().and_then(MarkedScalarNode::as_bool);
        if flag.is_none() {
            self.expected(node, "true or false");
        }
        flag
    }

    /// A number in a range.
    pub fn integer(&mut self, node: &Node, low: i64, high: i64) -> Option<i64> {
        let number = node
            .as_scalar()
            .filter(|scalar| scalar.may_coerce())
            .and_then(|scalar| scalar.as_str().parse::<i64>().ok());
        match number {
            Some(number) if (low..=high).contains(&number) => Some(number),
            Some(_) if low == high => {
                self.wrong(node_place(node), format!("{low} is expected here"), None);
                None
            }
            Some(_) => {
                self.wrong(node_place(node), format!("a number from {low} to {high} is expected here"), None);
                None
            }
            None => {
                self.expected(node, "a whole number");
                None
            }
        }
    }

    /// One of these words, by its place among them.
    pub fn word(&mut self, node: &Node, words: &'static [&'static str]) -> Option<usize> {
        let text = self.text(node)?;
        let found = words.iter().position(|word| *word == text);
        if found.is_none() {
            let help = match closest(&text, words.iter().copied()) {
                Some(close) => format!("did you mean {close}?"),
                None => format!("write one of {}", words.join(", ")),
            };
            self.wrong(node_place(node), format!("{} is not known here", quoted(&text)), Some(help));
        }
        found
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        match node.as_sequence() {
            Some(list) => list,
            None => {
                let is_empty = matches!(node, Node::Scalar(scalar) if scalar.as_str().is_empty());
                let help = is_empty.then_some("write [] for an empty one, or leave the key out");
                self.expected_or(node, "a list", help);
                &[]
            }
        }
    }

    /// A list of values of a type.
    pub fn all_parsed<T: FromStr, C: FromIterator<T>>(&mut self, node: &Node) -> C
    where
        T::Err: std::fmt::Display,
    {
        let items: Vec<T> = self.list(node).iter().filter_map(|item| self.parsed(item)).collect();
        items.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_everybody_takes_it_to_end() {
        assert!(parse("a: 1\r\nb: 2\r\n").is_ok());
        for (text, line, column) in [("a: 1\rb: 2\n", 1, 5), ("a: 1\nb: 2\r", 2, 5), ("ä: 1\n\r\r\nb: 2\n", 2, 1)] {
            let place = parse(text).expect_err(text).place;
            assert_eq!((place.line, place.column), (line, column), "{text:?}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_is_a_mistake_and_not_the_end() {
        let lists = |count: usize| format!("a:\n{}x\n", "- ".repeat(count));
        assert!(parse(&lists(limits::YAML_COLUMNS / 2)).is_ok());
        for text in [lists(100_000), "? ".repeat(100_000)] {
            let mistake = parse(&text).expect_err("it is too deep");
            assert!(mistake.message.contains(&format!("column {}", limits::YAML_COLUMNS)), "{mistake}");
        }
        // A line that only YAML would end is none to nest in.
        let hidden = parse(&format!("a:\r{}x\n", "- ".repeat(100_000))).expect_err("it is too deep");
        assert!(hidden.message.contains("carriage return"), "{hidden}");
        let mappings: String = (0..1_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert_eq!(parse(&mappings).expect_err("it is too deep").place.line, limits::YAML_COLUMNS + 2);
        let brackets = format!("a: {}", "[".repeat(100_000));
        assert!(parse(&brackets).expect_err("it is too deep").message.contains("not YAML"));
    }
}
