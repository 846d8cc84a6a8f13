//! Placeholders: what stands in a template for a value, of which type, and where that type may stand.

use std::fmt;

use super::template::TemplateError;
use crate::text::excerpt;

/// How a string is quoted in a filter language that stands inside a query parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoting {
    /// RFC 7644, section 3.4.2.2: a JSON string.
    Scim,
    /// OData 4.01, section 5.1.1.6.1: single quotes, doubled inside.
    Odata,
    /// Okta's filter language, which quotes as SCIM does.
    Okta,
}

/// Where a value comes from in a write entry: which part of the change in hand it must equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The access control that is changed, as it is called now; where it is created, as it will be.
    Control,
    /// The name that it gets.
    Name,
    /// A member of the change.
    Member,
    /// An object of the change.
    Object,
    /// A permission of the change.
    Permission,
    /// The description of the change.
    Description,
    /// The rule of a mask or a filter; in SQL, the host puts it in.
    Policy,
    /// The rule that written rows must match; in SQL, the host puts it in.
    Check,
    /// The command that a filter applies to; `ALL` for all.
    Command,
    /// Whether a filter is `RESTRICTIVE` or `PERMISSIVE`.
    Restrictive,
    /// The argument types of a routine; in SQL, the host puts them in.
    Signature,
    /// Who granted what the change takes.
    Grantor,
    /// Who must create the objects that a standing grant is about.
    Creator,
    /// The kind of those objects.
    Kind,
    /// Whether it may be passed on.
    MayPassOn,
    /// Whether a member has the permissions without doing anything.
    Inherits,
    /// Whether a member can switch to the access control.
    Assumable,
    /// The version of the list that is replaced.
    Version,
}

impl Origin {
    const ALL: [(&'static str, Self); 18] = [
        ("control", Self::Control),
        ("name", Self::Name),
        ("member", Self::Member),
        ("object", Self::Object),
        ("permission", Self::Permission),
        ("description", Self::Description),
        ("policy", Self::Policy),
        ("check", Self::Check),
        ("command", Self::Command),
        ("restrictive", Self::Restrictive),
        ("signature", Self::Signature),
        ("grantor", Self::Grantor),
        ("creator", Self::Creator),
        ("kind", Self::Kind),
        ("may-pass-on", Self::MayPassOn),
        ("inherits", Self::Inherits),
        ("assumable", Self::Assumable),
        ("version", Self::Version),
    ];

    /// Whether the host puts the value into SQL itself: it is SQL, so no connector may give it.
    pub fn is_spliced(self) -> bool {
        matches!(self, Self::Policy | Self::Check | Self::Signature)
    }

    /// Whether it is a flag, whose words are left out where it is not set.
    pub fn is_flag(self) -> bool {
        matches!(self, Self::MayPassOn | Self::Inherits | Self::Assumable)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, origin)| *origin)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, origin)| origin == self).map_or("", |(name, _)| name);
        write!(out, "@{word}")
    }
}

/// What a placeholder takes.
#[derive(Debug, Clone, PartialEq)]
pub enum PlaceholderType {
    /// Any text, where it is a whole value.
    Text,
    /// `[A-Za-z0-9._-]{1,128}`, which needs no quoting anywhere.
    Id,
    /// A time of RFC 3339.
    Time,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A string that is quoted for a filter language.
    Quoted(Quoting),
    /// An SQL identifier or a path of them.
    Name,
    /// Several, joined with commas.
    Names,
    /// Words out of this list.
    Keywords(Vec<String>),
    /// An SQL string literal.
    Literal,
    /// Repetitions of a JSON template.
    Items(Box<super::json::JsonTemplate>),
    /// A distinguished name of LDAP.
    Dn,
    /// Free JSON.
    Json,
}

impl fmt::Display for PlaceholderType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => out.write_str("text"),
            Self::Id => out.write_str("id"),
            Self::Time => out.write_str("time"),
            Self::Integer => out.write_str("integer"),
            Self::Boolean => out.write_str("boolean"),
            Self::Quoted(Quoting::Scim) => out.write_str("quoted(scim)"),
            Self::Quoted(Quoting::Odata) => out.write_str("quoted(odata)"),
            Self::Quoted(Quoting::Okta) => out.write_str("quoted(okta)"),
            Self::Name => out.write_str("name"),
            Self::Names => out.write_str("names"),
            Self::Keywords(words) => write!(out, "keywords({})", words.join(",")),
            Self::Literal => out.write_str("literal"),
            Self::Items(_) => out.write_str("items(…)"),
            Self::Dn => out.write_str("dn"),
            Self::Json => out.write_str("json"),
        }
    }
}

/// Where in a request a placeholder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// It is a whole path segment, query value, header value, JSON string or LDAP value.
    Whole,
    /// It is a part of one.
    Part,
    /// It is a whole query value, or a part of a filter expression that is one.
    Query {
        /// Whether it is the whole value.
        whole: bool,
    },
    /// It is a whole JSON value.
    Json,
    /// It stands in SQL, outside of literals and comments.
    Sql,
    /// It is the base of an LDAP search.
    LdapBase,
    /// It is a whole value in an LDAP filter.
    LdapValue,
}

impl Position {
    fn words(self) -> &'static str {
        match self {
            Self::Whole | Self::Query { whole: true } => "as a whole value",
            Self::Part | Self::Query { whole: false } => "inside a larger value",
            Self::Json => "as a JSON value",
            Self::Sql => "in SQL",
            Self::LdapBase => "as the base of a search",
            Self::LdapValue => "as a value of a filter",
        }
    }
}

impl PlaceholderType {
    /// Says whether a value of this type, encoded for this position, can never change what stands around it. This is the
    /// one table of the rule; everything else asks it.
    pub fn may_stand(&self, position: Position) -> bool {
        use Position::{Json, LdapBase, LdapValue, Query, Sql, Whole};
        match self {
            Self::Id | Self::Time | Self::Boolean => position != Sql && position != LdapBase,
            Self::Integer => position != LdapBase,
            Self::Text => matches!(position, Whole | Json | LdapValue | Query { whole: true }),
            Self::Keywords(_) => matches!(position, Whole | Json | Sql | Query { whole: true }),
            Self::Quoted(_) => matches!(position, Query { .. }),
            Self::Name | Self::Names | Self::Literal => position == Sql,
            Self::Items(_) | Self::Json => position == Json,
            Self::Dn => matches!(position, LdapBase | LdapValue),
        }
    }
}

/// A placeholder of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Placeholder {
    /// The name that a call's argument carries.
    pub name: String,
    /// What it takes.
    pub kind: PlaceholderType,
    /// Which part of a change it must equal.
    pub origin: Option<Origin>,
}

/// As a manifest writes it.
impl fmt::Display for Placeholder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{{{}:{}", self.name, self.kind)?;
        if let Some(origin) = self.origin {
            write!(out, "{origin}")?;
        }
        out.write_str("}")
    }
}

impl Placeholder {
    /// Parses what stands between the braces, such as `p:keywords(SELECT,INSERT)@permission`.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let wrong = |reason: String| TemplateError::new(format!("{{{}}}: {reason}", excerpt(text, 200)));
        let (name, rest) = text.split_once(':').ok_or_else(|| wrong("write {name:type}".into()))?;
        let (kind, origin) = split_origin(rest);
        let origin = origin
            .map(|word| {
                Origin::parse(word).ok_or_else(|| {
                    let known: Vec<_> = Origin::ALL.iter().map(|(name, _)| format!("@{name}")).collect();
                    wrong(format!("unknown origin @{word}: write one of {}", known.join(" ")))
                })
            })
            .transpose()?;
        let kind = parse_type(kind).map_err(wrong)?;
        Ok(Self { name: name.to_owned(), kind, origin })
    }

    /// Refuses a placeholder whose type may not stand here.
    pub(super) fn check_position(&self, position: Position) -> Result<(), TemplateError> {
        if self.kind.may_stand(position) {
            return Ok(());
        }
        Err(TemplateError::new(format!(
            "{{{}:{}}} cannot stand {}: the host could not keep its value apart from what stands around it",
            self.name,
            self.kind,
            position.words()
        )))
    }
}

/// Bytes of a placeholder's name.
pub(super) const NAME_BYTES: usize = 64;

/// Says whether `name` can be the name of a placeholder: lower-case letters, digits and
/// underscores, a letter first.
pub(super) fn is_placeholder_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= NAME_BYTES
        && name.bytes().all(is_name_byte)
}

/// Says whether a byte can stand in the name of a placeholder.
pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Splits `text@control` at an `@` that stands outside of parentheses.
fn split_origin(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((kind, origin)) if !origin.contains(')') => (kind, Some(origin)),
        _ => (text, None),
    }
}

fn parse_type(text: &str) -> Result<PlaceholderType, String> {
    let (word, inner) = match text.split_once('(') {
        Some((word, rest)) => (word, Some(rest.strip_suffix(')').ok_or("a parenthesis is not closed")?)),
        None => (text, None),
    };
    let plain = |kind| if inner.is_none() { Ok(kind) } else { Err(format!("{word} takes nothing in parentheses")) };
    match word {
        "text" => plain(PlaceholderType::Text),
        "id" => plain(PlaceholderType::Id),
        "time" => plain(PlaceholderType::Time),
        "integer" => plain(PlaceholderType::Integer),
        "boolean" => plain(PlaceholderType::Boolean),
        "name" => plain(PlaceholderType::Name),
        "names" => plain(PlaceholderType::Names),
        "literal" => plain(PlaceholderType::Literal),
        "dn" => plain(PlaceholderType::Dn),
        "json" => plain(PlaceholderType::Json),
        "quoted" => match inner {
            Some("scim") => Ok(PlaceholderType::Quoted(Quoting::Scim)),
            Some("odata") => Ok(PlaceholderType::Quoted(Quoting::Odata)),
            Some("okta") => Ok(PlaceholderType::Quoted(Quoting::Okta)),
            _ => Err("write quoted(scim), quoted(odata) or quoted(okta)".into()),
        },
        "keywords" => parse_keywords(inner.unwrap_or_default()),
        "items" => {
            let inner = inner.ok_or("write items(…) with a JSON template in the parentheses")?;
            let template = super::json::JsonTemplate::parse_item(inner).map_err(|error| error.to_string())?;
            Ok(PlaceholderType::Items(Box::new(template)))
        }
        other => Err(format!(
            "unknown type {}: write text, id, time, integer, boolean, quoted(…), name, names, keywords(…), literal, \
             items(…), dn or json",
            excerpt(other, 40)
        )),
    }
}

fn parse_keywords(inner: &str) -> Result<PlaceholderType, String> {
    let words: Vec<String> = inner.split(',').map(|word| word.trim().to_owned()).collect();
    let is_keyword = |word: &String| {
        word.starts_with(|first: char| first.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b' ' | b'-'))
    };
    if !words.iter().all(is_keyword) {
        return Err(
            "write keywords(…) with words of letters, digits, underscores and dashes, and commas between them".into()
        );
    }
    Ok(PlaceholderType::Keywords(words))
}
