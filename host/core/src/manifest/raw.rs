//! The TOML form of a manifest, and its reading into types.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use super::setting::has_bad_item;
use super::{
    Capability, Manifest, ManifestError, SecretScheme, SecretSlot, Setting, SettingType, SettingValue, Slot, SlotKind,
    SlotName, SqlKind,
};
use crate::limits;
use crate::sql::read::Declared;
use crate::text::{ConnectorName, ExternalId, Ident, Kind, Name};
use crate::vocabulary::raw::{RouteText, SearchText, StatementText};
use crate::vocabulary::{
    Does, Mode, Origin, Placeholder, PlaceholderType, Route, Scope, Search, Statement, may_carry_secret,
};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawManifest {
    name: Spanned<String>,
    version: Spanned<String>,
    summary: Spanned<String>,
    #[serde(default)]
    settings: BTreeMap<Spanned<String>, RawSetting>,
    #[serde(default)]
    http: BTreeMap<Spanned<String>, RawHttp>,
    #[serde(default)]
    sql: BTreeMap<Spanned<String>, RawSql>,
    #[serde(default)]
    ldap: BTreeMap<Spanned<String>, RawLdap>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSetting {
    r#type: SettingType,
    default: Option<toml::Value>,
    #[serde(default)]
    required: bool,
    help: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawHttp {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    help: String,
    #[serde(default)]
    secrets: BTreeMap<Spanned<String>, RawSecret>,
    #[serde(default)]
    routes: BTreeMap<Spanned<String>, RawRoute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSecret {
    scheme: Spanned<String>,
    header: Option<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    help: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawRoute {
    mode: Mode,
    does: Option<Does>,
    #[serde(default)]
    on: Vec<Kind>,
    request: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    #[serde(default)]
    returns: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSql {
    kind: Spanned<String>,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    help: String,
    #[serde(default)]
    statements: BTreeMap<Spanned<String>, RawStatement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawStatement {
    mode: Mode,
    does: Option<Does>,
    #[serde(default)]
    on: Vec<Kind>,
    member: Option<ExternalId>,
    #[serde(default)]
    as_grantor: bool,
    text: String,
    #[serde(default)]
    calls: BTreeSet<String>,
    #[serde(default)]
    relations: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawLdap {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    help: String,
    #[serde(default)]
    searches: BTreeMap<Spanned<String>, RawSearch>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct RawSearch {
    base: String,
    scope: RawScope,
    filter: String,
    attributes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawScope {
    Base,
    One,
    Subtree,
}

/// Reads the text, and collects every mistake that does not keep the rest from being read.
pub(super) fn parse(text: &str) -> Result<Manifest, Vec<ManifestError>> {
    let lines = text.match_indices('\n').map(|(at, _)| at).collect();
    let mut reader = Reader { lines, errors: Vec::new(), entries: 0 };
    let raw: RawManifest = match toml::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            reader.wrong(at, "", error.message().to_owned());
            return Err(reader.errors);
        }
    };
    let manifest = reader.manifest(raw);
    reader.errors.sort();
    match manifest {
        Some(manifest) if reader.errors.is_empty() => Ok(manifest),
        _ => Err(reader.errors),
    }
}

struct Reader {
    /// Where lines end: a manifest may have a mistake on each.
    lines: Vec<usize>,
    errors: Vec<ManifestError>,
    entries: usize,
}

impl Reader {
    fn wrong(&mut self, at: usize, place: impl Into<String>, message: impl Into<String>) {
        let line = self.lines.partition_point(|end| *end < at) + 1;
        self.errors.push(ManifestError { line, place: place.into(), message: message.into() });
    }

    fn ident(&mut self, key: &Spanned<String>, place: &str) -> Option<Ident> {
        match Ident::new(key.get_ref().as_str()) {
            Ok(ident) => Some(ident),
            Err(error) => {
                let shown = crate::text::excerpt(key.get_ref(), 40);
                self.wrong(key.span().start, place, format!("{shown} cannot be a name: {error}"));
                None
            }
        }
    }

    fn manifest(&mut self, raw: RawManifest) -> Option<Manifest> {
        let name = ConnectorName::new(raw.name.get_ref().as_str());
        let name = name.map_err(|error| self.wrong(raw.name.span().start, "name", error.to_string())).ok();
        if !is_semver(raw.version.get_ref()) {
            self.wrong(raw.version.span().start, "version", "write a version such as 1.2.3 (semver.org)");
        }
        let summary = Name::new(raw.summary.get_ref().as_str());
        let summary = summary.map_err(|error| self.wrong(raw.summary.span().start, "summary", error.to_string())).ok();
        let settings = self.settings(raw.settings);
        let mut slots = BTreeMap::new();
        for (key, slot) in raw.http {
            self.slot(&mut slots, Capability::Http, &key, |reader, place| reader.http(slot, place));
        }
        for (key, slot) in raw.sql {
            self.slot(&mut slots, Capability::Sql, &key, |reader, place| reader.sql(slot, place));
        }
        for (key, slot) in raw.ldap {
            self.slot(&mut slots, Capability::Ldap, &key, |reader, place| reader.ldap(slot, place));
        }
        if slots.len() > limits::MANIFEST_SLOTS || self.entries > limits::MANIFEST_ENTRIES {
            let message = format!(
                "at most {} slots and {} entries are allowed",
                limits::MANIFEST_SLOTS,
                limits::MANIFEST_ENTRIES
            );
            self.wrong(0, "", message);
        }
        Some(Manifest { name: name?, version: raw.version.into_inner(), summary: summary?, settings, slots })
    }

    fn settings(&mut self, raw: BTreeMap<Spanned<String>, RawSetting>) -> BTreeMap<Ident, Setting> {
        let mut settings = BTreeMap::new();
        for (key, setting) in raw {
            let place = format!("settings.{}", crate::text::excerpt(key.get_ref(), 64));
            let at = key.span().start;
            let Some(name) = self.ident(&key, &place) else { continue };
            let default = match setting.default.map(|value| setting_value(setting.r#type, value)).transpose() {
                Ok(default) => default,
                Err(message) => {
                    self.wrong(at, &place, message);
                    None
                }
            };
            if setting.required && default.is_some() {
                self.wrong(at, &place, "a required setting has no default");
            }
            settings.insert(
                name,
                Setting { kind: setting.r#type, default, required: setting.required, help: setting.help },
            );
        }
        if settings.len() > limits::MANIFEST_SETTINGS {
            self.wrong(0, "settings", format!("at most {} settings are allowed", limits::MANIFEST_SETTINGS));
        }
        settings
    }

    fn slot(
        &mut self,
        slots: &mut BTreeMap<SlotName, Slot>,
        capability: Capability,
        key: &Spanned<String>,
        read: impl FnOnce(&mut Self, &str) -> Option<Slot>,
    ) {
        let place = format!("{}.{}", capability.word(), crate::text::excerpt(key.get_ref(), 64));
        let before = self.errors.len();
        if let (Some(name), Some(slot)) = (self.ident(key, &place), read(self, &place)) {
            if slot.entries().is_empty() && self.errors.len() == before {
                self.wrong(key.span().start, &place, "the slot has no entries: a slot is there for what it can ask");
            }
            slots.insert(SlotName { capability, name }, slot);
        }
    }

    fn http(&mut self, raw: RawHttp, place: &str) -> Option<Slot> {
        let mut secrets = BTreeMap::new();
        for (key, secret) in raw.secrets {
            let place = format!("{place}.secrets.{}", crate::text::excerpt(key.get_ref(), 64));
            let at = secret.scheme.span().start;
            let Some(name) = self.ident(&key, &place) else { continue };
            if RESERVED_GRANT_KEYS.contains(&name.as_str()) {
                self.wrong(at, &place, format!("{name} is a key of every grant: give the secret another name"));
            }
            match secret_scheme(&secret) {
                Ok(scheme) => {
                    secrets.insert(name, SecretSlot { scheme, optional: secret.optional, help: secret.help });
                }
                Err(message) => self.wrong(at, &place, message),
            }
        }
        let taken: BTreeSet<String> =
            secrets.values().flat_map(|slot| slot.scheme.fields()).map(str::to_owned).collect();
        if taken.len() != secrets.values().map(|slot| slot.scheme.fields().len()).sum::<usize>() {
            self.wrong(0, place, "two secrets are put into the same header");
        }
        let routes = self.entries(raw.routes, &format!("{place}.routes"), |route| {
            check_does(route.mode, route.does)?;
            let mut returns = BTreeMap::new();
            for (name, pointer) in route.returns {
                let name = Ident::new(name).map_err(|error| format!("returns: {error}"))?;
                returns.insert(name, pointer);
            }
            let text = RouteText {
                mode: route.mode,
                does: route.does,
                on: &route.on,
                request: &route.request,
                headers: &route.headers,
                body: route.body.as_deref(),
                returns: &returns,
            };
            let route = Route::parse(&text).map_err(|error| error.to_string())?;
            if let Some(field) = route.header_names().find(|name| taken.contains(*name)) {
                return Err(format!("the header {field} carries a secret of this slot, which the host puts in"));
            }
            check_needs(route.does, &route.placeholders()).map(|()| route)
        });
        Some(Slot { kind: SlotKind::Http { routes, secrets }, optional: raw.optional, help: raw.help })
    }

    fn sql(&mut self, raw: RawSql, place: &str) -> Option<Slot> {
        let kind = match raw.kind.get_ref().as_str() {
            "postgresql" => SqlKind::Postgresql,
            other => {
                let message = format!("unknown kind {}: write \"postgresql\"", crate::text::excerpt(other, 40));
                self.wrong(raw.kind.span().start, place, message);
                return None;
            }
        };
        let statements = self.entries(raw.statements, &format!("{place}.statements"), |statement| {
            check_does(statement.mode, statement.does)?;
            if statement.mode == Mode::Read && statement.as_grantor {
                return Err("as-grantor belongs to write statements".into());
            }
            if statement.mode == Mode::Read && statement.member.is_some() {
                return Err("member belongs to write statements".into());
            }
            if statement.mode == Mode::Write && !(statement.calls.is_empty() && statement.relations.is_empty()) {
                return Err("calls and relations belong to read statements".into());
            }
            let text = StatementText {
                mode: statement.mode,
                does: statement.does,
                on: &statement.on,
                member: statement.member.as_ref(),
                as_grantor: statement.as_grantor,
                text: &statement.text,
                declared: Declared { calls: statement.calls, relations: statement.relations },
            };
            let statement = Statement::parse(&text).map_err(|error| error.to_string())?;
            check_needs(statement.does, &statement.placeholders()).map(|()| statement)
        });
        Some(Slot { kind: SlotKind::Sql { kind, statements }, optional: raw.optional, help: raw.help })
    }

    fn ldap(&mut self, raw: RawLdap, place: &str) -> Option<Slot> {
        let searches = self.entries(raw.searches, &format!("{place}.searches"), |search| {
            let scope = match search.scope {
                RawScope::Base => Scope::Base,
                RawScope::One => Scope::One,
                RawScope::Subtree => Scope::Subtree,
            };
            let text = SearchText { base: &search.base, scope, filter: &search.filter, attributes: &search.attributes };
            Search::parse(&text).map_err(|error| error.to_string())
        });
        Some(Slot { kind: SlotKind::Ldap { searches }, optional: raw.optional, help: raw.help })
    }

    fn entries<Raw, Entry>(
        &mut self,
        raw: BTreeMap<Spanned<String>, Raw>,
        place: &str,
        mut read: impl FnMut(Raw) -> Result<Entry, String>,
    ) -> BTreeMap<Ident, Entry> {
        let mut entries = BTreeMap::new();
        for (key, value) in raw {
            self.entries += 1;
            let place = format!("{place}.{}", crate::text::excerpt(key.get_ref(), 64));
            let Some(name) = self.ident(&key, &place) else { continue };
            match read(value) {
                Ok(entry) => {
                    entries.insert(name, entry);
                }
                Err(message) => self.wrong(key.span().start, &place, message),
            }
        }
        entries
    }
}

/// Keys that a grant of an HTTP slot has for itself.
const RESERVED_GRANT_KEYS: [&str; 12] = [
    "origin",
    "addresses",
    "plain-http",
    "write",
    "raw",
    "methods",
    "rate",
    "timeout",
    "ca",
    "client-certificate",
    "proxy",
    "secrets",
];

fn check_does(mode: Mode, does: Option<Does>) -> Result<(), String> {
    match (mode, does) {
        (Mode::Read, None) | (Mode::Write, Some(_)) => Ok(()),
        (Mode::Read, Some(_)) => Err("a read entry does nothing: remove does".into()),
        (Mode::Write, None) => Err("a write entry says what it does, such as does = \"grant\"".into()),
    }
}

/// Refuses a write entry that says less of the change than the host has to compare.
fn check_needs(does: Option<Does>, placeholders: &[&Placeholder]) -> Result<(), String> {
    fn origins(all: &[&Placeholder], found: &mut Vec<Origin>) {
        for placeholder in all {
            found.extend(placeholder.origin);
            if let PlaceholderType::Items(template) = &placeholder.kind {
                origins(&template.placeholders(), found);
            }
        }
    }
    let mut found = Vec::new();
    origins(placeholders, &mut found);
    for alternatives in does.map_or(&[][..], Does::needs) {
        if !alternatives.iter().any(|origin| found.contains(origin)) {
            let words: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
            return Err(format!("it needs a placeholder with {}, so that the host can compare it", words.join(" or ")));
        }
    }
    Ok(())
}

fn secret_scheme(raw: &RawSecret) -> Result<SecretScheme, String> {
    let word = raw.scheme.get_ref().as_str();
    if word != "header" {
        let known = SecretScheme::PLAIN.iter().find(|(known, _)| *known == word).map(|(_, scheme)| scheme.clone());
        return match (known, &raw.header) {
            (Some(scheme), None) => Ok(scheme),
            (Some(_), Some(_)) => Err("header belongs to the scheme header".to_owned()),
            (None, _) => {
                let words: Vec<&str> = SecretScheme::PLAIN.iter().map(|(word, _)| *word).collect();
                let shown = crate::text::excerpt(word, 40);
                Err(format!("unknown scheme {shown}: write header, {}", words.join(", ")))
            }
        };
    }
    let how = || "write header = \"Name: {secret}\"".to_owned();
    let (name, value) = raw.header.as_deref().and_then(|header| header.split_once(':')).ok_or_else(how)?;
    let (before, after) = value.trim().split_once("{secret}").ok_or_else(how)?;
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !is_token || !plain(before) || !plain(after) {
        return Err(how());
    }
    let name = name.to_ascii_lowercase();
    if !may_carry_secret(&name) {
        return Err(format!("the header {name} steers the connection and carries no secret"));
    }
    Ok(SecretScheme::Header { name, before: before.to_owned(), after: after.to_owned() })
}

fn setting_value(kind: SettingType, value: toml::Value) -> Result<SettingValue, String> {
    let wrong = || format!("the default is not {kind}");
    match (kind, value) {
        (SettingType::Text, toml::Value::String(text)) => Ok(SettingValue::Text(text)),
        (SettingType::Integer, toml::Value::Integer(number)) => Ok(SettingValue::Integer(number)),
        (SettingType::Boolean, toml::Value::Boolean(flag)) => Ok(SettingValue::Boolean(flag)),
        (SettingType::List, toml::Value::Array(items)) => {
            let text = |item: toml::Value| item.as_str().map(str::to_owned).ok_or_else(wrong);
            let list = SettingValue::List(items.into_iter().map(text).collect::<Result<_, _>>()?);
            if has_bad_item(&list) { Err("the default has an item with a line break".to_owned()) } else { Ok(list) }
        }
        _ => Err(wrong()),
    }
}

/// Says whether a text is a version as semver.org describes it: three numbers, and words behind `-` or `+`.
fn is_semver(text: &str) -> bool {
    text.len() <= limits::VERSION_BYTES && semver::Version::parse(text).is_ok()
}
