//! The manifest (`connector.toml`): what a connector asks for, whole, before anything of it runs.
//!
//! It travels inside the component as the custom section `raito:manifest`, so the component's digest and signature cover
//! it. Reading it is the border between text that a stranger wrote and a vocabulary that cannot be wrong: all mistakes of
//! a file are collected, each with its line.

mod raw;
mod setting;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::limits;
use crate::text::{ConnectorName, Ident, Name};
use crate::vocabulary::{Mode, Red, Route, Search, Statement};
use crate::yaml::scalar;

pub use setting::{Setting, SettingError, SettingType, SettingValue};

/// The custom section that carries the manifest.
pub const SECTION: &str = "raito:manifest";

/// What kind of thing a slot reaches; each is an interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// HTTP requests.
    Http,
    /// SQL statements.
    Sql,
    /// LDAP searches.
    Ldap,
}

impl Capability {
    /// All capabilities.
    pub const ALL: [Self; 3] = [Self::Http, Self::Sql, Self::Ldap];

    /// The word in the contract, the manifest and the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sql => "sql",
            Self::Ldap => "ldap",
        }
    }
}

/// A slot's full name, such as `sql.main`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName {
    /// What it reaches.
    pub capability: Capability,
    /// Its name among slots of that kind.
    pub name: Ident,
}

impl SlotName {
    /// Reads a full name.
    pub fn parse(text: &str) -> Option<Self> {
        let (word, name) = text.split_once('.')?;
        let capability = Capability::ALL.into_iter().find(|capability| capability.word() == word)?;
        Some(Self { capability, name: Ident::new(name).ok()? })
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.capability.word(), self.name)
    }
}

/// How a secret is put into a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretScheme {
    /// In a header field: its name, and the value with `{secret}` in it.
    Header {
        /// The header field's name.
        name: String,
        /// What stands before the secret.
        before: String,
        /// What stands behind it.
        after: String,
    },
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617); the secret is `user:password`.
    Basic,
    /// A bearer token that the host fetches with the credentials of a client (RFC 6749, section 4.4).
    ClientCredentials,
    /// A bearer token that the host fetches with a statement that it signs (RFC 7523).
    JwtBearer,
    /// A statement that the host signs, sent as the bearer token itself.
    JwtKeyPair,
    /// A signature over the whole request, as AWS reads it.
    Sigv4,
}

impl SecretScheme {
    /// The words of the schemes that have nothing to say but their word.
    const PLAIN: [(&'static str, Self); 6] = [
        ("bearer", Self::Bearer),
        ("basic", Self::Basic),
        ("oauth2-client-credentials", Self::ClientCredentials),
        ("jwt-bearer", Self::JwtBearer),
        ("jwt-key-pair", Self::JwtKeyPair),
        ("sigv4", Self::Sigv4),
    ];

    /// The word in the manifest, and the key in a grant where the scheme has one there.
    pub fn word(&self) -> &'static str {
        Self::PLAIN.iter().find(|(_, scheme)| scheme == self).map_or("header", |(word, _)| word)
    }

    /// The header fields that it sets.
    pub fn fields(&self) -> Vec<&str> {
        match self {
            Self::Header { name, .. } => vec![name],
            Self::Sigv4 => vec!["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"],
            Self::JwtKeyPair => vec!["authorization", "x-snowflake-authorization-token-type"],
            Self::Bearer | Self::Basic | Self::ClientCredentials | Self::JwtBearer => vec!["authorization"],
        }
    }
}

/// A secret that a slot asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSlot {
    /// How it is put in.
    pub scheme: SecretScheme,
    /// Whether the slot works without it.
    pub optional: bool,
    /// What it is, for people.
    pub help: String,
}

/// The driver of an SQL slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlKind {
    /// PostgreSQL 15 and later.
    Postgresql,
}

impl SqlKind {
    /// The word in the manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
        }
    }
}

/// What a slot reaches.
#[derive(Debug, Clone, PartialEq)]
pub enum SlotKind {
    /// An HTTP origin, with routes and secrets.
    Http {
        /// The routes.
        routes: BTreeMap<Ident, Route>,
        /// The secrets.
        secrets: BTreeMap<Ident, SecretSlot>,
    },
    /// Databases of one server, with statements.
    Sql {
        /// The driver.
        kind: SqlKind,
        /// The statements.
        statements: BTreeMap<Ident, Statement>,
    },
    /// A directory, with searches.
    Ldap {
        /// The searches.
        searches: BTreeMap<Ident, Search>,
    },
}

/// A slot that a target has to bind.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// What it reaches.
    pub kind: SlotKind,
    /// Whether the connector works without it.
    pub optional: bool,
    /// What it is, for people.
    pub help: String,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The connector's name.
    pub name: ConnectorName,
    /// Its version, as semver.org describes it.
    pub version: String,
    /// What it does, in one sentence.
    pub summary: Name,
    /// The settings that a target can have.
    pub settings: BTreeMap<Ident, Setting>,
    /// The slots that a target has to bind.
    pub slots: BTreeMap<SlotName, Slot>,
}

/// One mistake of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("line {line}: {}{message}", if .place.is_empty() { String::new() } else { format!("{place}: ") })]
pub struct ManifestError {
    /// The line, counted from 1.
    pub line: usize,
    /// The key, such as `sql.main.statements.roles`; empty where the text is no TOML.
    pub place: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// An entry of a slot, seen without regard to what it reaches.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryView<'m> {
    /// The entry's name.
    pub name: &'m Ident,
    /// Whether it changes the target.
    pub mode: Mode,
    /// The request as the manifest writes it.
    pub shown: &'m str,
    /// Why it needs a grant of its own.
    pub red: Vec<Red>,
}

impl Slot {
    /// All entries, by name.
    pub fn entries(&self) -> Vec<EntryView<'_>> {
        match &self.kind {
            SlotKind::Http { routes, .. } => {
                let view = |(name, route): (_, &'_ Route)| (name, route.mode, route.red());
                let views = routes.iter().map(|entry| (view(entry), entry.1.shown.as_str()));
                views.map(|((name, mode, red), shown)| EntryView { name, mode, shown, red }).collect()
            }
            SlotKind::Sql { statements, .. } => statements
                .iter()
                .map(|(name, statement)| EntryView {
                    name,
                    mode: statement.mode,
                    shown: &statement.shown,
                    red: statement.red(),
                })
                .collect(),
            SlotKind::Ldap { searches } => searches
                .iter()
                .map(|(name, search)| EntryView { name, mode: Mode::Read, shown: &search.shown, red: Vec::new() })
                .collect(),
        }
    }

    /// What a target has to grant by name for the red entries, as YAML: keys below the slot, each with its words.
    pub fn red_lines(&self) -> Vec<String> {
        let mut words: BTreeMap<&'static str, BTreeSet<String>> = BTreeMap::new();
        for entry in self.entries() {
            for (key, word) in entry.red.iter().map(|red| red.granted_by(entry.name)) {
                words.entry(key).or_default().insert(scalar(&word));
            }
        }
        let listed = |words: BTreeSet<String>| words.into_iter().collect::<Vec<_>>().join(", ");
        words.into_iter().map(|(key, words)| format!("{key}: [{}]", listed(words))).collect()
    }

    /// Whether any entry changes the target.
    pub fn writes(&self) -> bool {
        self.entries().iter().any(|entry| entry.mode == Mode::Write)
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// All mistakes of the text, in the order of their lines.
    pub fn parse(text: &str) -> Result<Self, Vec<ManifestError>> {
        if text.len() > limits::MANIFEST_BYTES {
            let message =
                format!("the manifest has {} bytes, and at most {} are allowed", text.len(), limits::MANIFEST_BYTES);
            return Err(vec![ManifestError { line: 1, place: String::new(), message }]);
        }
        raw::parse(text)
    }

    /// The settings of a target, each declared one once, with defaults where the target has none. Lists have one item a
    /// line, as the contract says.
    ///
    /// # Errors
    /// All settings that are unknown, missing or of another type.
    pub fn resolve_settings(
        &self,
        given: &BTreeMap<String, SettingValue>,
    ) -> Result<BTreeMap<Ident, String>, Vec<SettingError>> {
        setting::resolve(&self.settings, given)
    }

    /// The capabilities that the manifest asks for.
    pub fn capabilities(&self) -> BTreeSet<Capability> {
        self.slots.keys().map(|slot| slot.capability).collect()
    }
}
