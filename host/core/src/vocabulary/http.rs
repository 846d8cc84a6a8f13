//! HTTP routes: a method, a path, a query, header fields and a body, each a template.

use std::collections::BTreeMap;
use std::fmt;

use super::arguments::{Arguments, EncodeError, Problem, plain_text};
use super::field;
use super::json::JsonTemplate;
use super::placeholder::{Placeholder, PlaceholderType, Position, Quoting};
use super::template::{Piece, TemplateError, check_origins, check_placeholders, pieces};
use super::{Does, Mode, Red};
use crate::call::Argument;
use crate::limits;
use crate::text::{Ident, Kind};

/// The methods that a route may have. CONNECT, TRACE and methods of one's own are not among them: the first two reach
/// past the request or reflect credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    const ALL: [Self; 6] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether the method is defined not to change anything (RFC 9110, section 9.2.1).
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Where a captured value stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Capture {
    /// A JSON pointer (RFC 6901) into the body.
    Body(String),
    /// A header field.
    Header(String),
}

/// A route of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Whether it changes the target.
    pub mode: Mode,
    /// What a write route does.
    pub does: Option<Does>,
    /// The kinds of objects that a write route is about; empty for any.
    pub on: Vec<Kind>,
    /// The method.
    pub method: Method,
    /// What is captured from the answer.
    pub returns: BTreeMap<Ident, Capture>,
    /// The request line as the manifest writes it, for people.
    pub shown: String,
    segments: Vec<Vec<Piece>>,
    query: Vec<(String, Vec<Piece>)>,
    headers: Vec<(String, Vec<Piece>)>,
    body: Option<JsonTemplate>,
}

/// The texts of a route, as the manifest has them.
pub(crate) struct RouteText<'m> {
    pub(crate) mode: Mode,
    pub(crate) does: Option<Does>,
    pub(crate) on: &'m [Kind],
    pub(crate) request: &'m str,
    pub(crate) headers: &'m BTreeMap<String, String>,
    pub(crate) body: Option<&'m str>,
    pub(crate) returns: &'m BTreeMap<Ident, String>,
}

/// A request that is ready but for the origin and the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Path and query, as they stand in the request line.
    pub target: String,
    /// Header fields that the manifest declares.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

impl Route {
    /// Parses a route.
    pub(crate) fn parse(text: &RouteText<'_>) -> Result<Self, TemplateError> {
        let (method, target) = text
            .request
            .split_once(' ')
            .ok_or_else(|| TemplateError::new("write the request as METHOD /path?query"))?;
        let method = Method::ALL.into_iter().find(|known| known.as_str() == method).ok_or_else(|| {
            TemplateError::new(format!(
                "unknown method {}: write GET, HEAD, POST, PUT, PATCH or DELETE",
                crate::text::excerpt(method, 20)
            ))
        })?;
        let (path, query) = split_query(target);
        let route = Self {
            mode: text.mode,
            does: text.does,
            on: text.on.to_vec(),
            method,
            returns: parse_returns(text.returns)?,
            shown: text.request.to_owned(),
            segments: parse_path(path)?,
            query: query.map_or_else(|| Ok(Vec::new()), parse_query)?,
            headers: text.headers.iter().map(|(name, value)| parse_header(name, value)).collect::<Result<_, _>>()?,
            body: text.body.map(JsonTemplate::parse).transpose()?,
        };
        if route.body.is_some() && method.is_safe() {
            return Err(TemplateError::new(format!("a {method} request has no body")));
        }
        check_placeholders(route.placeholders())?;
        if text.mode == Mode::Write {
            check_origins(route.placeholders().into_iter())?;
        }
        Ok(route)
    }

    /// All placeholders.
    pub fn placeholders(&self) -> Vec<&Placeholder> {
        let parts = self.segments.iter().chain(self.query.iter().map(|(_, value)| value));
        let parts = parts.chain(self.headers.iter().map(|(_, value)| value));
        let mut found: Vec<_> = parts
            .flatten()
            .filter_map(|piece| match piece {
                Piece::Placeholder(placeholder) => Some(placeholder),
                Piece::Literal(_) => None,
            })
            .collect();
        found.extend(self.body.iter().flat_map(JsonTemplate::placeholders));
        found
    }

    /// The names of the header fields that it declares, in lower case.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(|(name, _)| name.as_str())
    }

    /// Why the route needs a grant of its own.
    pub fn red(&self) -> Vec<Red> {
        let mut red = Vec::new();
        if self.mode == Mode::Read && !self.method.is_safe() {
            red.push(Red::ReadMethod(self.method));
        }
        if self.body.as_ref().is_some_and(JsonTemplate::is_free) {
            red.push(Red::Raw);
        }
        red
    }

    /// Builds the request with these values.
    ///
    /// # Errors
    /// `EncodeError` names the argument that cannot stand in its place.
    pub fn build(&self, arguments: &[Argument]) -> Result<HttpRequest, EncodeError> {
        let placeholders = self.placeholders();
        let known = |name: &str| placeholders.iter().any(|placeholder| placeholder.name == name);
        let arguments = Arguments::new(arguments, known)?;
        let mut target = String::new();
        let mut segments = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            let encoded = path_segment(segment, &arguments)?;
            target.push('/');
            target.push_str(&encoded);
            segments.push(encoded);
        }
        let mut separator = '?';
        for (key, value) in &self.query {
            if let Some(value) = query_value(value, &arguments)? {
                target.push(separator);
                target.push_str(key);
                target.push('=');
                target.push_str(&value);
                separator = '&';
            }
        }
        check_target(&target, &segments)?;
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            if let Some(value) = header_value(value, &arguments)? {
                headers.push((name.clone(), value));
            }
        }
        let body = self.body.as_ref().map(|template| template.render(&arguments)).transpose()?;
        let body = body.map(|json| serde_json::to_vec(&json).expect("a JSON value can be written"));
        Ok(HttpRequest { method: self.method, target, headers, body })
    }
}

/// Splits at the `?` that begins the query: the first one outside of a placeholder. A placeholder's parentheses may hold
/// one, but a path has no such placeholder.
fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

fn parse_path(path: &str) -> Result<Vec<Vec<Piece>>, TemplateError> {
    let path = path.strip_prefix('/').ok_or_else(|| TemplateError::new("the path begins with /"))?;
    path.split('/').enumerate().map(|(index, segment)| parse_segment(segment, index == 0 && path.is_empty())).collect()
}

fn parse_segment(segment: &str, may_be_empty: bool) -> Result<Vec<Piece>, TemplateError> {
    let pieces = pieces(segment)?;
    if pieces.is_empty() && !may_be_empty {
        return Err(TemplateError::new("the path has an empty segment"));
    }
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) => check_path_literal(literal)?,
            Piece::Placeholder(placeholder) => {
                placeholder.check_position(if pieces.len() == 1 { Position::Whole } else { Position::Part })?;
            }
        }
    }
    if matches!(segment, "." | "..") {
        return Err(TemplateError::new("the path has a segment . or .."));
    }
    Ok(pieces)
}

fn check_path_literal(literal: &str) -> Result<(), TemplateError> {
    let is_path_byte = |byte: u8| is_unreserved(byte) || b"!$&'()*+,;=:@".contains(&byte);
    match literal.bytes().find(|byte| !is_path_byte(*byte)) {
        None => Ok(()),
        Some(byte) => Err(TemplateError::new(format!(
            "the path has the character {}: write letters, digits and -._~!$&'()*+,;=:@",
            crate::text::excerpt(&char::from(byte).to_string(), 8)
        ))),
    }
}

fn parse_query(query: &str) -> Result<Vec<(String, Vec<Piece>)>, TemplateError> {
    query.split('&').map(parse_parameter).collect()
}

fn parse_parameter(parameter: &str) -> Result<(String, Vec<Piece>), TemplateError> {
    let (key, value) =
        parameter.split_once('=').ok_or_else(|| TemplateError::new("a query parameter is written key=value"))?;
    if key.is_empty() || !key.bytes().all(|byte| is_unreserved(byte) || b"$[]:".contains(&byte)) {
        return Err(TemplateError::new(format!(
            "the query parameter {} has a name other than letters, digits and -._~$[]:",
            crate::text::excerpt(key, 40)
        )));
    }
    field::check_parameter(key)?;
    let pieces = pieces(value)?;
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) if literal.chars().all(|c| matches!(c, ' '..='~') && c != '#') => {}
            Piece::Literal(_) => {
                return Err(TemplateError::new("a query value has a character that is no printable ASCII"));
            }
            Piece::Placeholder(placeholder) => {
                placeholder.check_position(Position::Query { whole: pieces.len() == 1 })?
            }
        }
    }
    Ok((key.to_owned(), pieces))
}

fn parse_header(name: &str, value: &str) -> Result<(String, Vec<Piece>), TemplateError> {
    let lower = name.to_ascii_lowercase();
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_token {
        return Err(TemplateError::new(format!("{} is no header name", crate::text::excerpt(name, 40))));
    }
    field::check_name(&lower)?;
    let pieces = pieces(value)?;
    field::check_value(&lower, value, pieces.iter().any(|piece| matches!(piece, Piece::Placeholder(_))))?;
    for piece in &pieces {
        match piece {
            Piece::Literal(literal) if is_header_text(literal) => {}
            Piece::Literal(_) => return Err(TemplateError::new(format!("the value of {lower} is no printable ASCII"))),
            Piece::Placeholder(placeholder) => {
                placeholder.check_position(if pieces.len() == 1 { Position::Whole } else { Position::Part })?;
            }
        }
    }
    Ok((lower, pieces))
}

fn parse_returns(returns: &BTreeMap<Ident, String>) -> Result<BTreeMap<Ident, Capture>, TemplateError> {
    if returns.len() > limits::ENTRY_CAPTURES {
        return Err(TemplateError::new(format!("more than {} values are captured", limits::ENTRY_CAPTURES)));
    }
    let parse = |(name, place): (&Ident, &String)| {
        let capture = match place.strip_prefix("header:") {
            Some(header) => Capture::Header(header.to_ascii_lowercase()),
            None if place.starts_with('/') => Capture::Body(place.clone()),
            None => {
                return Err(TemplateError::new(format!(
                    "returns.{name}: write a JSON pointer such as /id, or header:etag"
                )));
            }
        };
        Ok((name.clone(), capture))
    };
    returns.iter().map(parse).collect()
}

/// A path segment with values, percent-encoded.
fn path_segment(pieces: &[Piece], arguments: &Arguments<'_>) -> Result<String, EncodeError> {
    let mut encoded = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => encoded.push_str(literal),
            Piece::Placeholder(placeholder) => {
                let name = &placeholder.name;
                let value = arguments.get(name).ok_or_else(|| EncodeError::new(name, Problem::Missing))?;
                let text = plain_text(placeholder, value)?;
                if matches!(text.as_str(), "" | "." | "..")
                    || text.contains(['/', '\\'])
                    || text.chars().any(char::is_control)
                {
                    return Err(EncodeError::value(
                        name,
                        "a path segment cannot be empty, . or .., and has no slash, backslash or control character",
                    ));
                }
                percent_encode(&text, &mut encoded);
            }
        }
    }
    Ok(encoded)
}

/// A query value with values, percent-encoded; none where its only placeholder is absent.
fn query_value(pieces: &[Piece], arguments: &Arguments<'_>) -> Result<Option<String>, EncodeError> {
    let mut encoded = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => literal.bytes().for_each(|byte| query_literal_byte(byte, &mut encoded)),
            Piece::Placeholder(placeholder) => match arguments.get(&placeholder.name) {
                Some(value) => {
                    percent_encode(&filter_text(placeholder, plain_text(placeholder, value)?)?, &mut encoded)
                }
                None if pieces.len() == 1 => return Ok(None),
                None => return Err(EncodeError::new(&placeholder.name, Problem::Missing)),
            },
        }
    }
    Ok(Some(encoded))
}

/// The text, quoted where the placeholder says so.
fn filter_text(placeholder: &Placeholder, text: String) -> Result<String, EncodeError> {
    match &placeholder.kind {
        PlaceholderType::Quoted(Quoting::Odata) => Ok(format!("'{}'", text.replace('\'', "''"))),
        PlaceholderType::Quoted(Quoting::Scim | Quoting::Okta) => {
            Ok(serde_json::to_string(&text).expect("a string can be written as JSON"))
        }
        _ => Ok(text),
    }
}

fn header_value(pieces: &[Piece], arguments: &Arguments<'_>) -> Result<Option<String>, EncodeError> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Placeholder(placeholder) => {
                let name = &placeholder.name;
                let Some(value) = arguments.get(name) else {
                    if pieces.len() == 1 {
                        return Ok(None);
                    }
                    return Err(EncodeError::new(name, Problem::Missing));
                };
                let value = plain_text(placeholder, value)?;
                if !is_header_text(&value) {
                    return Err(EncodeError::value(
                        name,
                        "a header value has printable ASCII only, and no blank at either end",
                    ));
                }
                text.push_str(&value);
            }
        }
    }
    Ok(Some(text))
}

fn is_header_text(text: &str) -> bool {
    text.chars().all(|character| matches!(character, ' '..='~')) && text.trim() == text
}

/// Compares the path, as the URL standard understands it, with the segments that were put together: what a parser would
/// normalise away is refused instead of sent.
fn check_target(target: &str, segments: &[String]) -> Result<(), EncodeError> {
    let refused = |reason: String| EncodeError::value("the request", reason);
    if target.len() > limits::HTTP_URL_BYTES {
        return Err(refused(format!("its URL is longer than {} bytes", limits::HTTP_URL_BYTES)));
    }
    let url = url::Url::parse(&format!("http://origin.invalid{target}")).map_err(|error| refused(error.to_string()))?;
    let parsed: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let (_, query) = split_query(target);
    if parsed != segments || url.query() != query || url.fragment().is_some() {
        return Err(refused("its path would be read differently by another parser".into()));
    }
    Ok(())
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Writes a text with everything but unreserved characters (RFC 3986, section 2.3) percent-encoded.
fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if is_unreserved(byte) {
            out.push(char::from(byte));
        } else {
            push_percent(byte, out);
        }
    }
}

/// Writes a byte of a literal query value: what RFC 3986, section 3.4 allows stands as it is, except the separators.
fn query_literal_byte(byte: u8, out: &mut String) {
    if is_unreserved(byte) || b"!$()*,;:@/?".contains(&byte) {
        out.push(char::from(byte));
    } else {
        push_percent(byte, out);
    }
}

fn push_percent(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}
