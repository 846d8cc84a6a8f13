//! LDAP searches: a base, a filter (RFC 4515) and attributes, with placeholders for whole values only.

use super::arguments::{Arguments, EncodeError, Problem, plain_text, wrong_case};
use super::dn::DistinguishedName;
use super::placeholder::{Placeholder, PlaceholderType, Position};
use super::template::{Mark, Piece, TemplateError, check_placeholders, mark, pieces};
use crate::call::{Argument, Value};

/// How far below the base a search goes (RFC 4511, section 4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base itself.
    Base,
    /// The entries directly below.
    One,
    /// The base and everything below.
    Subtree,
}

/// A filter. Values are octets, so nothing in them can be read as a part of the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of these.
    And(Vec<Filter>),
    /// Any of these.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// The attribute is there.
    Present(String),
    /// The attribute compares with the value; the operator is one of `=`, `>=`, `<=`, `~=`, or a matching rule.
    Compare(String, String, Vec<u8>),
    /// The attribute has these pieces in order, with anything between them.
    Substring(String, Vec<Vec<u8>>),
}

/// A search that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapRequest {
    /// Where the search begins.
    pub base: DistinguishedName,
    /// How far it goes.
    pub scope: Scope,
    /// What is searched, in the string form of RFC 4515.
    pub filter: String,
    /// The attributes to give.
    pub attributes: Vec<String>,
}

/// A search of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The filter as the manifest writes it, for people.
    pub shown: String,
    base: Base,
    scope: Scope,
    filter: Node,
    attributes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Base {
    Fixed(DistinguishedName),
    Chosen(Placeholder),
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Present(String),
    Compare(String, String, Assertion),
    Substring(String, Vec<Vec<u8>>),
}

#[derive(Debug, Clone, PartialEq)]
enum Assertion {
    Fixed(Vec<u8>),
    Chosen(Placeholder),
}

/// The texts of a search, as the manifest has them.
pub(crate) struct SearchText<'m> {
    pub(crate) base: &'m str,
    pub(crate) scope: Scope,
    pub(crate) filter: &'m str,
    pub(crate) attributes: &'m [String],
}

/// Levels of a filter.
const FILTER_DEPTH: usize = 16;

impl Search {
    /// Parses a search.
    pub(crate) fn parse(text: &SearchText<'_>) -> Result<Self, TemplateError> {
        let base = match pieces(text.base)?.as_slice() {
            [Piece::Placeholder(placeholder)] => {
                placeholder.check_position(Position::LdapBase)?;
                Base::Chosen(placeholder.clone())
            }
            [] => Base::Fixed(parse_dn("")?),
            [Piece::Literal(literal)] => Base::Fixed(parse_dn(literal)?),
            _ => return Err(TemplateError::new("the base is one distinguished name, or one {base:dn}")),
        };
        let (filter, rest) = parse_filter(text.filter, 0)?;
        if !rest.is_empty() {
            return Err(TemplateError::new("the filter goes on behind its last parenthesis"));
        }
        if text.attributes.is_empty() || !text.attributes.iter().all(|name| is_attribute(name)) {
            return Err(TemplateError::new("attributes is a list of attribute names, without * and options"));
        }
        let search = Self {
            shown: text.filter.to_owned(),
            base,
            scope: text.scope,
            filter,
            attributes: text.attributes.to_vec(),
        };
        check_placeholders(search.placeholders())?;
        Ok(search)
    }

    /// All placeholders.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        let mut found = Vec::new();
        if let Base::Chosen(placeholder) = &self.base {
            found.push(placeholder);
        }
        collect(&self.filter, &mut found);
        found
    }

    /// Builds the search with these values.
    ///
    /// # Errors
    /// `EncodeError` names the argument that cannot stand in its place.
    pub fn build(&self, arguments: &[Argument]) -> Result<LdapRequest, EncodeError> {
        let placeholders = self.placeholders();
        let arguments =
            Arguments::new(arguments, |name| placeholders.iter().any(|placeholder| placeholder.name == name))?;
        let base = match &self.base {
            Base::Fixed(base) => base.clone(),
            Base::Chosen(placeholder) => chosen_dn(placeholder, &arguments)?,
        };
        let mut filter = String::new();
        write(&fill(&self.filter, &arguments)?, &mut filter);
        Ok(LdapRequest { base, scope: self.scope, filter, attributes: self.attributes.clone() })
    }
}

impl Filter {
    /// Reads a filter without placeholders.
    ///
    /// # Errors
    /// `TemplateError` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let (node, rest) = parse_filter(text, 0)?;
        let none = Arguments::new(&[], |_| false).map_err(|error| TemplateError::new(error.to_string()))?;
        if !rest.is_empty() {
            return Err(TemplateError::new("the filter goes on behind its last parenthesis"));
        }
        fill(&node, &none).map_err(|error| TemplateError::new(error.to_string()))
    }
}

fn parse_dn(text: &str) -> Result<DistinguishedName, TemplateError> {
    DistinguishedName::parse(text).map_err(|error| TemplateError::new(format!("base: {error}")))
}

fn chosen_dn(placeholder: &Placeholder, arguments: &Arguments<'_>) -> Result<DistinguishedName, EncodeError> {
    let name = &placeholder.name;
    match arguments.get(name) {
        None => Err(EncodeError::new(name, Problem::Missing)),
        Some(Value::Text(text)) => {
            DistinguishedName::parse(text).map_err(|error| EncodeError::value(name, error.to_string()))
        }
        Some(other) => Err(wrong_case(name, &placeholder.kind, other)),
    }
}

fn is_attribute(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

/// Reads one filter in parentheses, and gives what stands behind it.
fn parse_filter(text: &str, depth: usize) -> Result<(Node, &str), TemplateError> {
    if depth > FILTER_DEPTH {
        return Err(TemplateError::new(format!("the filter has more than {FILTER_DEPTH} levels")));
    }
    let inner = text.strip_prefix('(').ok_or_else(|| TemplateError::new("a filter begins with ("))?;
    let (node, rest) = match inner.chars().next() {
        Some('&') => parse_list(&inner[1..], depth).map(|(nodes, rest)| (Node::And(nodes), rest))?,
        Some('|') => parse_list(&inner[1..], depth).map(|(nodes, rest)| (Node::Or(nodes), rest))?,
        Some('!') => parse_filter(&inner[1..], depth + 1).map(|(node, rest)| (Node::Not(Box::new(node)), rest))?,
        _ => parse_item(inner)?,
    };
    let rest = rest.strip_prefix(')').ok_or_else(|| TemplateError::new("a filter ends with )"))?;
    Ok((node, rest))
}

fn parse_list(text: &str, depth: usize) -> Result<(Vec<Node>, &str), TemplateError> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while rest.starts_with('(') {
        let (node, behind) = parse_filter(rest, depth + 1)?;
        nodes.push(node);
        rest = behind;
    }
    if nodes.is_empty() {
        return Err(TemplateError::new("& and | need filters behind them"));
    }
    Ok((nodes, rest))
}

/// Reads `attribute=value` up to its closing parenthesis.
fn parse_item(text: &str) -> Result<(Node, &str), TemplateError> {
    let at = text.find('=').ok_or_else(|| TemplateError::new("a filter item has no ="))?;
    let (left, value) = (&text[..at], &text[at + 1..]);
    let (attribute, operator) = match left.char_indices().next_back() {
        Some((end, sign @ ('>' | '<' | '~'))) => (&left[..end], format!("{sign}=")),
        Some((end, ':')) => {
            let (attribute, rule) = left[..end]
                .split_once(':')
                .ok_or_else(|| TemplateError::new("a matching rule is written attribute:rule:=value"))?;
            if !rule.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':')) {
                return Err(TemplateError::new("a matching rule is an object identifier"));
            }
            (attribute, format!(":{rule}:="))
        }
        _ => (left, "=".to_owned()),
    };
    if !is_attribute(attribute) {
        return Err(TemplateError::new(format!("{} is no attribute name", crate::text::excerpt(attribute, 40))));
    }
    // Only the value itself: reading on to the end of the filter would do so for each item in it.
    if let Mark::Placeholder(inner, end) = mark(value, 0)? {
        let placeholder = Placeholder::parse(inner)?;
        placeholder.check_position(Position::LdapValue)?;
        let node = Node::Compare(attribute.to_owned(), operator, Assertion::Chosen(placeholder));
        return Ok((node, &value[end..]));
    }
    let end = value.find(')').ok_or_else(|| TemplateError::new("a filter ends with )"))?;
    let (value, rest) = (&value[..end], &value[end..]);
    if value.contains('{') {
        return Err(TemplateError::new("a placeholder stands alone for a whole value of a filter"));
    }
    let node = match (operator.as_str(), value) {
        ("=", "*") => Node::Present(attribute.to_owned()),
        ("=", value) if value.contains('*') => {
            let pieces = value.split('*').map(octets).collect::<Result<_, _>>()?;
            Node::Substring(attribute.to_owned(), pieces)
        }
        (_, value) => Node::Compare(attribute.to_owned(), operator, Assertion::Fixed(octets(value)?)),
    };
    Ok((node, rest))
}

/// The octets of a value in the string form: `\2a` and its like stand for one octet.
fn octets(text: &str) -> Result<Vec<u8>, TemplateError> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'\\' => {
                let pair = behind.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                let octet = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                octets.push(octet.ok_or_else(|| TemplateError::new("a \\ is followed by two hexadecimal digits"))?);
                rest = &behind[2..];
            }
            b'(' | 0 => return Err(TemplateError::new("a value has a character that must be escaped")),
            byte => octets.push(*byte),
        }
    }
    Ok(octets)
}

fn collect<'t>(node: &'t Node, found: &mut Vec<&'t Placeholder>) {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| collect(node, found)),
        Node::Not(node) => collect(node, found),
        Node::Compare(_, _, Assertion::Chosen(placeholder)) => found.push(placeholder),
        Node::Compare(..) | Node::Present(_) | Node::Substring(..) => {}
    }
}

fn fill(node: &Node, arguments: &Arguments<'_>) -> Result<Filter, EncodeError> {
    let all = |nodes: &[Node]| nodes.iter().map(|node| fill(node, arguments)).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::And(nodes) => Filter::And(all(nodes)?),
        Node::Or(nodes) => Filter::Or(all(nodes)?),
        Node::Not(node) => Filter::Not(Box::new(fill(node, arguments)?)),
        Node::Present(attribute) => Filter::Present(attribute.clone()),
        Node::Substring(attribute, pieces) => Filter::Substring(attribute.clone(), pieces.clone()),
        Node::Compare(attribute, operator, value) => {
            let value = match value {
                Assertion::Fixed(octets) => octets.clone(),
                Assertion::Chosen(placeholder) => chosen_value(placeholder, arguments)?,
            };
            Filter::Compare(attribute.clone(), operator.clone(), value)
        }
    })
}

fn chosen_value(placeholder: &Placeholder, arguments: &Arguments<'_>) -> Result<Vec<u8>, EncodeError> {
    let name = &placeholder.name;
    let value = arguments.get(name).ok_or_else(|| EncodeError::new(name, Problem::Missing))?;
    if placeholder.kind == PlaceholderType::Dn {
        return chosen_dn(placeholder, arguments).map(|dn| dn.as_str().as_bytes().to_vec());
    }
    plain_text(placeholder, value).map(String::into_bytes)
}

/// Writes a filter in the string form, with everything but plain characters of a value escaped.
fn write(filter: &Filter, out: &mut String) {
    let list = |sign: char, filters: &[Filter], out: &mut String| {
        out.push(sign);
        filters.iter().for_each(|filter| write(filter, out));
    };
    out.push('(');
    match filter {
        Filter::And(filters) => list('&', filters, out),
        Filter::Or(filters) => list('|', filters, out),
        Filter::Not(inner) => list('!', std::slice::from_ref(inner.as_ref()), out),
        Filter::Present(attribute) => {
            out.push_str(attribute);
            out.push_str("=*");
        }
        Filter::Compare(attribute, operator, value) => {
            out.push_str(attribute);
            out.push_str(operator);
            write_value(value, out);
        }
        Filter::Substring(attribute, pieces) => {
            out.push_str(attribute);
            out.push('=');
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    out.push('*');
                }
                write_value(piece, out);
            }
        }
    }
    out.push(')');
}

fn write_value(value: &[u8], out: &mut String) {
    for byte in value {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'-' | b'.' | b'_' | b'@' | b'=' | b',' | b':' | b'/' | b'+')
        {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("\\{byte:02x}"));
        }
    }
}
