//! JSON bodies: a tree with placeholders as leaves, so that a value can only ever be a value.

use serde_json::Value as Json;

use super::arguments::{Arguments, EncodeError, Problem, plain_text, wrong_case};
use super::placeholder::{Placeholder, PlaceholderType, Position};
use super::template::{Mark, Piece, TemplateError, mark};
use crate::call::{Argument, Value};
use crate::limits;
use crate::text::excerpt;

/// A JSON document with placeholders.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonTemplate(Node);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Fixed(Json),
    Placeholder(Placeholder),
    Text(Vec<Piece>),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl JsonTemplate {
    /// Parses the template of a body.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_within(text, Within::Body)
    }

    fn parse_within(text: &str, within: Within) -> Result<Self, TemplateError> {
        let (json, placeholders) = with_stand_ins(text, within)?;
        let json: Json = serde_json::from_str(&json)
            .map_err(|error| TemplateError::new(format!("the body is not JSON with placeholders: {error}")))?;
        Ok(Self(node(json, &placeholders)?))
    }

    /// Parses the template of an item, in which only placeholders that are made from text may stand.
    pub(super) fn parse_item(text: &str) -> Result<Self, TemplateError> {
        let template = Self::parse_within(text, Within::Item)?;
        for placeholder in template.placeholders() {
            if matches!(placeholder.kind, PlaceholderType::Items(_) | PlaceholderType::Json) {
                return Err(TemplateError::new(format!(
                    "{{{}:{}}} cannot stand inside items(…)",
                    placeholder.name, placeholder.kind
                )));
            }
        }
        Ok(template)
    }

    /// All placeholders, outermost first; those inside of `items(…)` belong to the items.
    pub(crate) fn placeholders(&self) -> Vec<&Placeholder> {
        let mut found = Vec::new();
        collect(&self.0, &mut found);
        found
    }

    /// Whether any value is free JSON.
    pub(super) fn is_free(&self) -> bool {
        self.placeholders().iter().any(|placeholder| placeholder.kind == PlaceholderType::Json)
    }

    /// The document with values put in.
    pub(super) fn render(&self, arguments: &Arguments<'_>) -> Result<Json, EncodeError> {
        Ok(render(&self.0, arguments)?.unwrap_or(Json::Null))
    }
}

/// What a template is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    /// The body of a request.
    Body,
    /// An item of a list in one.
    Item,
}

/// The marks around the number of a placeholder in a string, once JSON was read. Nothing but an
/// escape makes these characters there: the text itself has none. An escape of the first one is
/// written with both marks and no number between them.
const BEGIN: char = '\u{1}';
const END: char = '\u{2}';
/// How JSON writes the first one.
const BEGIN_ESCAPED: &str = "\\u0001";
/// How JSON writes the second one.
const END_ESCAPED: &str = "\\u0002";

/// Replaces each placeholder by a stand-in that JSON can hold: a string of its own, or a piece of the string around it.
fn with_stand_ins(text: &str, within: Within) -> Result<(String, Vec<Placeholder>), TemplateError> {
    if text.contains([BEGIN, END]) {
        return Err(TemplateError::new("the body has control characters"));
    }
    let mut json = String::with_capacity(text.len());
    let mut placeholders = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        match mark(text, at)? {
            Mark::Placeholder(inner, end) => {
                check_nesting(inner, within)?;
                let placeholder = Placeholder::parse(inner)?;
                let quote = if in_string { "" } else { "\"" };
                json.push_str(&format!("{quote}{BEGIN_ESCAPED}{}{END_ESCAPED}{quote}", placeholders.len()));
                if !in_string {
                    placeholder.check_position(Position::Json)?;
                }
                placeholders.push(placeholder);
                at = end;
                escaped = false;
                continue;
            }
            Mark::Brace => {
                json.push('{');
                at += 2;
                continue;
            }
            Mark::Other => {}
        }
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string && text[at..].starts_with(BEGIN_ESCAPED) => {
                json.push_str(BEGIN_ESCAPED);
                json.push_str(END_ESCAPED);
                at += BEGIN_ESCAPED.len();
                continue;
            }
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        json.push(character);
        at += character.len_utf8();
    }
    Ok((json, placeholders))
}

/// Refuses a list in an item before its template is read: each level would take a part of the
/// stack.
fn check_nesting(placeholder: &str, within: Within) -> Result<(), TemplateError> {
    match placeholder.split_once(':') {
        Some((name, kind)) if within == Within::Item && kind.starts_with("items(") => {
            Err(TemplateError::new(format!("{{{}:items(…)}} cannot stand inside items(…)", excerpt(name, 64))))
        }
        _ => Ok(()),
    }
}

fn node(json: Json, placeholders: &[Placeholder]) -> Result<Node, TemplateError> {
    Ok(match json {
        Json::String(text) if text.contains(BEGIN) => text_node(&text, placeholders)?,
        Json::Array(items) => {
            let nodes = items.into_iter().map(|item| node(item, placeholders)).collect::<Result<Vec<_>, _>>()?;
            Node::Array(nodes)
        }
        Json::Object(members) => {
            let mut nodes = Vec::with_capacity(members.len());
            for (key, value) in members {
                let key = match split(&key, placeholders)?.as_slice() {
                    [] => String::new(),
                    [Piece::Literal(key)] => key.clone(),
                    _ => return Err(TemplateError::new("a placeholder cannot stand in the name of a JSON member")),
                };
                nodes.push((key, node(value, placeholders)?));
            }
            Node::Object(nodes)
        }
        fixed => Node::Fixed(fixed),
    })
}

/// A string that holds marks: one placeholder, or text with placeholders inside.
fn text_node(text: &str, placeholders: &[Placeholder]) -> Result<Node, TemplateError> {
    let pieces = split(text, placeholders)?;
    match pieces.as_slice() {
        [Piece::Literal(literal)] => return Ok(Node::Fixed(Json::String(literal.clone()))),
        [Piece::Placeholder(placeholder)] => {
            placeholder.check_position(Position::Json)?;
            return Ok(Node::Placeholder(placeholder.clone()));
        }
        _ => {}
    }
    for piece in &pieces {
        if let Piece::Placeholder(placeholder) = piece {
            placeholder.check_position(Position::Part)?;
        }
    }
    Ok(Node::Text(pieces))
}

/// A string as literals and placeholders, no two literals next to each other.
fn split(text: &str, placeholders: &[Placeholder]) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        literal.push_str(before);
        let Some((number, behind)) = behind.split_once(END) else {
            return Err(TemplateError::new("the body has control characters"));
        };
        rest = behind;
        if number.is_empty() {
            literal.push(BEGIN);
            continue;
        }
        let placeholder = number.parse::<usize>().ok().and_then(|number| placeholders.get(number));
        let placeholder = placeholder.ok_or_else(|| TemplateError::new("the body has control characters"))?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Placeholder(placeholder.clone()));
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn collect<'t>(node: &'t Node, found: &mut Vec<&'t Placeholder>) {
    match node {
        Node::Fixed(_) => {}
        Node::Placeholder(placeholder) => found.push(placeholder),
        Node::Text(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(placeholder) => Some(placeholder),
            Piece::Literal(_) => None,
        })),
        Node::Array(nodes) => nodes.iter().for_each(|node| collect(node, found)),
        Node::Object(members) => members.iter().for_each(|(_, node)| collect(node, found)),
    }
}

/// The node with values; none where the value is absent, so that a member can be left out.
fn render(node: &Node, arguments: &Arguments<'_>) -> Result<Option<Json>, EncodeError> {
    Ok(Some(match node {
        Node::Fixed(json) => json.clone(),
        Node::Placeholder(placeholder) => match arguments.get(&placeholder.name) {
            None if arguments.is_given(&placeholder.name) => Json::Null,
            None => return Ok(None),
            Some(value) => json_value(placeholder, value)?,
        },
        Node::Text(pieces) => Json::String(joined(pieces, arguments)?),
        Node::Array(nodes) => {
            let items = nodes.iter().map(|node| render(node, arguments));
            Json::Array(items.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        }
        Node::Object(members) => {
            let mut object = serde_json::Map::new();
            for (key, node) in members {
                if let Some(value) = render(node, arguments)? {
                    object.insert(key.clone(), value);
                }
            }
            Json::Object(object)
        }
    }))
}

/// Literals and parts put together; a part needs a value.
fn joined(pieces: &[Piece], arguments: &Arguments<'_>) -> Result<String, EncodeError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Placeholder(placeholder) => {
                let value = arguments
                    .get(&placeholder.name)
                    .ok_or_else(|| EncodeError::new(&placeholder.name, Problem::Missing))?;
                text.push_str(&plain_text(placeholder, value)?);
            }
        }
    }
    Ok(text)
}

fn json_value(placeholder: &Placeholder, value: &Value) -> Result<Json, EncodeError> {
    let name = &placeholder.name;
    match (&placeholder.kind, value) {
        (PlaceholderType::Integer, Value::Integer(number)) => Ok(Json::from(*number)),
        (PlaceholderType::Boolean, Value::Boolean(flag)) => Ok(Json::from(*flag)),
        (PlaceholderType::Json, Value::Free(text)) => {
            serde_json::from_str(text).map_err(|error| EncodeError::value(name, format!("it is not JSON: {error}")))
        }
        (PlaceholderType::Items(template), Value::Items(items)) => {
            if items.len() > limits::ARGUMENT_ITEMS {
                return Err(EncodeError::value(name, format!("more than {} items", limits::ARGUMENT_ITEMS)));
            }
            let rendered = items.iter().map(|item| render_item(name, template, item)).collect::<Result<Vec<_>, _>>()?;
            Ok(Json::Array(rendered))
        }
        (PlaceholderType::Items(_) | PlaceholderType::Json, other) => Err(wrong_case(name, &placeholder.kind, other)),
        (_, other) => plain_text(placeholder, other).map(Json::String),
    }
}

fn render_item(name: &str, template: &JsonTemplate, item: &[(String, String)]) -> Result<Json, EncodeError> {
    let placeholders = template.placeholders();
    let arguments = item
        .iter()
        .map(|(key, text)| {
            let kind = placeholders.iter().find(|placeholder| placeholder.name == *key).map(|found| &found.kind);
            Ok(Argument { name: key.clone(), value: item_value(name, kind, text)? })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let arguments = Arguments::new(&arguments, |key| placeholders.iter().any(|placeholder| placeholder.name == key))
        .map_err(|error| EncodeError::value(name, error.to_string()))?;
    template.render(&arguments).map_err(|error| EncodeError::value(name, error.to_string()))
}

/// The value that an item's text stands for.
fn item_value(name: &str, kind: Option<&PlaceholderType>, text: &str) -> Result<Value, EncodeError> {
    let wrong = |wanted: &str| EncodeError::value(name, format!("an item has a text that is not {wanted}"));
    Ok(match kind {
        Some(PlaceholderType::Integer) => Value::Integer(text.parse().map_err(|_| wrong("an integer"))?),
        Some(PlaceholderType::Boolean) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        Some(PlaceholderType::Keywords(_)) => Value::Keywords(vec![text.to_owned()]),
        _ => Value::Text(text.to_owned()),
    })
}
