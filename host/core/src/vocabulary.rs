//! The vocabulary: everything that a connector can ever ask, declared in its manifest.
//!
//! An entry (a route, a statement, a search) is parsed once, when the manifest is read, into a tree in which every
//! placeholder has a type and a position that allows it. At run time a call names an entry and gives values; the values
//! are encoded for their positions, so that no value can change the structure of the request. There is no other way from
//! a guest to the network.

mod arguments;
mod dn;
mod field;
mod http;
mod json;
mod ldap;
mod people;
mod placeholder;
mod statement;
mod template;

/// The texts of entries, as a manifest has them.
pub(crate) mod raw {
    pub(crate) use super::http::RouteText;
    pub(crate) use super::ldap::SearchText;
    pub(crate) use super::statement::StatementText;
}

pub use crate::sql::{Bind, BindType};
pub use arguments::{EncodeError, Problem};
pub use dn::{DistinguishedName, DnError};
pub(crate) use field::may_carry_secret;
pub use http::{Capture, HttpRequest, Method, Route};
pub use ldap::{Filter, LdapRequest, Scope, Search};
pub use people::without_people;
pub use placeholder::{Origin, Placeholder, PlaceholderType, Position, Quoting};
pub use statement::{BindValue, SqlRequest, Statement};
pub use template::TemplateError;

use serde::{Deserialize, Serialize};

use crate::text::Ident;

/// Whether an entry changes the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It reads, and the host checks that it cannot do anything else.
    Read,
    /// It changes the target, and works only in step 4 and only where the target grants it.
    Write,
}

/// What a write entry does; the host lets it be used only for such a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// Creates an access control.
    Create,
    /// Renames one.
    Rename,
    /// Describes one.
    Describe,
    /// Admits members.
    AddMember,
    /// Removes members.
    RemoveMember,
    /// Changes the options of members.
    SetMemberOptions,
    /// Grants permissions.
    Grant,
    /// Revokes permissions.
    Revoke,
    /// Takes the right to grant on.
    RevokePassOn,
    /// Puts a line on an object's list.
    AddEntry,
    /// Takes a line off an object's list.
    RemoveEntry,
    /// Replaces an object's list as a whole.
    ReplaceEntries,
    /// Grants permissions on objects that come later.
    GrantStanding,
    /// Revokes those.
    RevokeStanding,
    /// Puts a mask or a filter in place.
    SetPolicy,
    /// Takes one away.
    ClearPolicy,
    /// Deletes an access control.
    Delete,
}

impl Does {
    /// What a write entry must be told of the change, each by one placeholder of this origin or one of its alternatives:
    /// without it, the host could not say that the call is the change.
    pub fn needs(self) -> &'static [&'static [Origin]] {
        use Origin::{Control, Member, Name, Object, Permission};
        match self {
            Self::Create => &[&[Name, Control]],
            Self::Rename => &[&[Control], &[Name]],
            Self::Describe | Self::Delete => &[&[Control]],
            Self::AddMember | Self::RemoveMember | Self::SetMemberOptions => &[&[Control], &[Member]],
            Self::Grant | Self::Revoke | Self::RevokePassOn => &[&[Control], &[Object], &[Permission]],
            // Where the objects are to be may be said by the place that the call is sent to.
            Self::GrantStanding | Self::RevokeStanding => &[&[Control], &[Origin::Kind], &[Permission]],
            Self::AddEntry | Self::RemoveEntry | Self::ReplaceEntries => &[&[Object], &[Member], &[Permission]],
            Self::SetPolicy | Self::ClearPolicy => &[&[Control, Object]],
        }
    }
}

/// Why an entry needs a grant of its own: the reader of a configuration should look twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Red {
    /// A placeholder takes free JSON.
    Raw,
    /// A read route whose method can change the target.
    ReadMethod(Method),
    /// A read statement calls a function that is not on the host's list.
    Call(String),
    /// A read statement reads a relation, or columns of one, that are not on the host's list.
    Relation(String, Vec<String>),
}

impl Red {
    /// What a target grants where it allows this of an entry: the key below the slot, and the word that stands there.
    pub fn granted_by(&self, entry: &Ident) -> (&'static str, String) {
        match self {
            Self::Raw => ("raw", entry.to_string()),
            Self::ReadMethod(_) => ("methods", entry.to_string()),
            Self::Call(function) => ("calls", function.clone()),
            Self::Relation(name, _) => ("relations", name.clone()),
        }
    }
}

impl std::fmt::Display for Red {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw => out.write_str("takes free text that the host cannot check"),
            Self::ReadMethod(method) => write!(out, "reads with {method}, which can change the target"),
            Self::Call(function) => write!(out, "calls {function}, which is not on the host's list"),
            Self::Relation(relation, columns) if relation.starts_with("pg_catalog.") => {
                write!(out, "reads {} of {relation}, which can hold secrets or texts of others", columns.join(", "))
            }
            Self::Relation(relation, columns) => {
                write!(out, "reads {} of {relation}, which runs code of its owner", columns.join(", "))
            }
        }
    }
}
