//! What files of access code say, as values that cannot be wrong in form. Whether the target has what they name, only a read
//! of the target can tell.

use raito_config::Place;
use raito_core::expansion::How;
use raito_core::record::ObjectRef;
use raito_core::text::{
    ExternalId, Kind, Name, PathPart, PermissionName, PolicyText, Remark, Signature, TagValue, TargetName,
};

use crate::pattern::Pattern;

/// Where something stands: the file by its position among those that were read, and the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file.
    pub file: usize,
    /// The place.
    pub place: Place,
}

/// What is done about differences, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// They are reported, and nothing is changed.
    Observe,
    /// What is missing is given, and nothing is taken.
    Additive,
    /// What is missing is given, and what nobody wants is taken.
    Enforced,
}

/// What a scope is told by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// Names at the target.
    Names(Vec<Pattern>),
    /// Objects whose lists are meant, with all that stands below them.
    Under(Vec<ObjectName>),
}

/// What this repository is the only source of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Where it is said.
    pub spot: Spot,
    /// The target.
    pub target: TargetName,
    /// The kind of access control; the target's first one that can be created where there is none.
    pub kind: Option<Kind>,
    /// Which of them.
    pub extent: Extent,
    /// What is done about differences.
    pub mode: Mode,
    /// How many days what no entry names any more stays without members before it goes.
    pub retire_days: Option<u16>,
}

/// Who is meant, as people call him.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhoName {
    /// A user, by account name or address.
    User(Name),
    /// A group.
    Group(Name),
    /// An access control, by its name at the target.
    Control(Name),
    /// A rule of the target.
    Special(ExternalId),
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// Where it is said.
    pub spot: Spot,
    /// Who.
    pub name: WhoName,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// Why.
    pub reason: Option<Remark>,
    /// Whether the member has the permissions without doing anything.
    pub inherits: Option<bool>,
    /// Whether the member can switch to the access control.
    pub assumable: Option<bool>,
    /// Whether the member may admit others.
    pub may_pass_on: bool,
}

/// An object, as people call it: its path, and its kind and signature where they are said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The kind.
    pub kind: Option<Kind>,
    /// The path.
    pub path: Vec<PathPart>,
    /// The signature.
    pub signature: Option<Signature>,
}

/// Objects that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Their kind.
    pub kind: Kind,
    /// The object that they stand below.
    pub under: Option<ObjectName>,
    /// Their own names.
    pub names: Vec<Pattern>,
    /// Tags that all of them carry.
    pub tags: Vec<(Name, TagValue)>,
    /// Whether later ones are covered as well.
    pub future: bool,
    /// Who creates those.
    pub creators: Vec<Name>,
}

/// Objects that are created later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Future {
    /// Their kind.
    pub kind: Kind,
    /// The object below which they are created.
    pub under: ObjectName,
    /// Who creates them; anybody where there is none.
    pub creators: Vec<Name>,
}

/// Which objects are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Objects {
    /// One.
    One(ObjectName),
    /// All that are alike.
    Select(Selector),
    /// Later ones.
    Future(Future),
}

/// A permission as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Global {
    /// All that count as reading.
    Read,
    /// All that count as writing.
    Write,
    /// All that count as administering.
    Admin,
}

impl Global {
    /// The word in files, and in descriptions of targets.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// A permission as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// Whatever counts as this, with what it needs on the objects above.
    Global(Global),
    /// Just this one.
    Native(PermissionName),
}

/// What members get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// Where it is said.
    pub spot: Spot,
    /// On which objects.
    pub objects: Objects,
    /// Which permissions, each with where it is said. None for masks and filters.
    pub permissions: Vec<(Asked, Spot)>,
    /// Whether they may be granted on.
    pub may_pass_on: bool,
}

/// What an access control does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// It gives permissions.
    Grant,
    /// It hides values, in this way.
    Mask(Kind),
    /// It shows only these rows, and lets only those be written.
    Filter(PolicyText, Option<PolicyText>),
}

/// An access control as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where its name is said.
    pub spot: Spot,
    /// The target.
    pub target: TargetName,
    /// What the marker calls it.
    pub id: Name,
    /// Its name at the target.
    pub name: Name,
    /// Its kind; a usual one where there is none.
    pub kind: Option<Kind>,
    /// What it is for.
    pub description: Remark,
    /// Who answers for it.
    pub owner: Option<Name>,
    /// What it does.
    pub purpose: Purpose,
    /// Its members. Of a mask: who sees the values all the same.
    pub who: Vec<Who>,
    /// What they get.
    pub what: Vec<What>,
    /// What is done about differences.
    pub mode: Mode,
}

/// What a test says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Where it is said.
    pub spot: Spot,
    /// The target.
    pub target: TargetName,
    /// Whether it must be so, or must not.
    pub allowed: bool,
    /// Who.
    pub user: Name,
    /// On what.
    pub object: ObjectName,
    /// Which permission.
    pub permission: Asked,
    /// How near it must be, or how far it must not even be.
    pub how: How,
}

/// How much a guardrail matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is said.
    Warning,
    /// Nothing is applied.
    Error,
}

/// A rule that all files keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Nothing is given to everybody.
    NoEveryone,
    /// Permissions are given to access controls and groups, not to users one by one.
    NoDirectUsers,
    /// Every access control has an owner.
    OwnerRequired,
    /// No user is a member for longer than so many days from today.
    MaxExpiry(u32),
    /// Nobody has two of these access controls.
    Separation(Vec<Name>),
    /// Everything with this tag is masked; no value means any.
    TaggedNeedsMask(Name, Option<TagValue>),
}

impl Rule {
    /// Its word in files.
    pub fn word(&self) -> &'static str {
        let at = match self {
            Self::NoEveryone => 0,
            Self::NoDirectUsers => 1,
            Self::OwnerRequired => 2,
            Self::MaxExpiry(_) => 3,
            Self::Separation(_) => 4,
            Self::TaggedNeedsMask(..) => 5,
        };
        crate::keys::RULES[at]
    }
}

/// What is let through for a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// The entry, the user or the object.
    pub about: String,
    /// When it ends, in milliseconds since 1970.
    pub until_ms: u64,
    /// Why.
    pub reason: Remark,
}

/// A guardrail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    /// Where it is said.
    pub spot: Spot,
    /// The rule.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// What is let through.
    pub waivers: Vec<Waiver>,
}

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// What the marker calls this repository.
    pub repository: Option<(String, Option<Spot>)>,
    /// What it is the only source of.
    pub scopes: Vec<Scope>,
    /// The access controls.
    pub entries: Vec<Entry>,
    /// The tests.
    pub tests: Vec<Test>,
    /// The guardrails.
    pub policy: Vec<Guardrail>,
}

impl ObjectName {
    /// Reads an object as it is shown: a kind where it is said, the path with dots, a signature in parentheses. Parts with dots,
    /// blanks or parentheses stand in double quotes, where two of them mean one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (kind, rest) = match text.split_once(' ') {
            Some((word, rest)) if !word.contains(['.', '"', '(']) => (Some(Kind::new(word).ok()?), rest.trim_start()),
            _ => (None, text),
        };
        let mut path = Vec::new();
        let mut part = String::new();
        let (mut quoted, mut was_quoted) = (false, false);
        let mut characters = rest.char_indices().peekable();
        let mut signature = None;
        while let Some((at, character)) = characters.next() {
            match character {
                '"' if quoted && characters.next_if(|(_, next)| *next == '"').is_some() => part.push('"'),
                '"' if quoted => quoted = false,
                '"' if part.is_empty() && !was_quoted => (quoted, was_quoted) = (true, true),
                _ if quoted => part.push(character),
                '.' => {
                    path.push(PathPart::new(std::mem::take(&mut part)).ok()?);
                    was_quoted = false;
                }
                '(' => {
                    signature = Some(Signature::new(rest[at + 1..].strip_suffix(')')?).ok()?);
                    break;
                }
                '"' | ' ' | ')' => return None,
                _ if was_quoted => return None,
                _ => part.push(character),
            }
        }
        path.push(PathPart::new(part).ok()?);
        (!quoted && path.len() <= raito_core::limits::PATH_PARTS).then_some(Self { kind, path, signature })
    }

    /// Whether this object can be meant.
    pub fn means(&self, object: &ObjectRef) -> bool {
        self.path == object.path
            && self.kind.as_ref().is_none_or(|kind| *kind == object.kind)
            && self.signature.as_ref().is_none_or(|signature| Some(signature) == object.signature.as_ref())
    }

    /// Whether an object stands below this one, or is it.
    pub fn covers(&self, object: &ObjectRef) -> bool {
        if object.path.len() == self.path.len() { self.means(object) } else { object.path.starts_with(&self.path) }
    }
}

impl From<&ObjectRef> for ObjectName {
    fn from(object: &ObjectRef) -> Self {
        Self { kind: Some(object.kind.clone()), path: object.path.clone(), signature: object.signature.clone() }
    }
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // An object shows itself with its kind in front; one without a kind is shown without it.
        let kind = self.kind.clone().unwrap_or_else(|| Kind::new("any").expect("a word"));
        let shown = ObjectRef { kind, path: self.path.clone(), signature: self.signature.clone() }.to_string();
        out.write_str(if self.kind.is_some() { &shown } else { shown.strip_prefix("any ").unwrap_or(&shown) })
    }
}

impl std::fmt::Display for WhoName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => write!(out, "user {name}"),
            Self::Group(name) => write!(out, "group {name}"),
            Self::Control(name) => write!(out, "control {name}"),
            Self::Special(name) => write!(out, "special {name}"),
        }
    }
}

impl Asked {
    /// Reads a permission: `read`, `write` and `admin` are what a target's own permissions count as.
    ///
    /// # Errors
    /// As for the name of a permission.
    pub fn parse(text: &str) -> Result<Self, raito_core::text::TextError> {
        Ok(match text {
            "read" => Self::Global(Global::Read),
            "write" => Self::Global(Global::Write),
            "admin" => Self::Global(Global::Admin),
            native => Self::Native(PermissionName::new(native)?),
        })
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Global(global) => out.write_str(global.word()),
            Self::Native(name) => write!(out, "{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_back_as_it_is_shown() {
        for text in [
            "orders",
            "shop.sales.orders",
            "table shop.sales.orders",
            "table shop.\"a.b\".\"c \"\"d\"\"\"",
            "function shop.sales.total(integer, text)",
            "function shop.sales.none()",
        ] {
            let name = ObjectName::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(name.to_string(), text);
        }
        for wrong in ["", ".", "a..b", "a.", "a b c", "\"a", "a\"b", "\"a\"b", "a(b", "a)", "Table x.y"] {
            assert_eq!(ObjectName::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_object_covers_itself_and_what_stands_below() {
        let object = |text: &str| {
            let name = ObjectName::parse(text).expect("an object");
            ObjectRef { kind: name.kind.expect("a kind"), path: name.path, signature: name.signature }
        };
        let sales = ObjectName::parse("shop.sales").expect("an object");
        assert!(sales.covers(&object("schema shop.sales")) && sales.covers(&object("table shop.sales.orders")));
        assert!(!sales.covers(&object("table shop.sales2.orders")) && !sales.covers(&object("database shop")));
        let total = ObjectName::parse("shop.total").expect("an object");
        assert!(total.means(&object("function shop.total(integer)")), "whatever its signature");
    }
}
