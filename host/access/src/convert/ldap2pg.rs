//! ldap2pg's configuration (ldap2pg.readthedocs.io, "Configuration" and "Builtins Privileges", versions 5 and 6): `privileges` with
//! profiles, and `rules` with static `roles` and `grant`. What a rule takes from a directory is only known when it is searched, so
//! such a rule is told and left out.

mod profile;

use std::collections::{BTreeMap, BTreeSet};

use marked_yaml::Node;
use raito_config::Mistake;
use raito_config::reader::{Fields, Reader, node_place, parse};
use raito_core::text::{Kind, Name, PathPart, Remark, TargetName, escape};

use self::profile::{Profiles, Reach};
use super::Left;
use crate::document::{
    Asked, Document, Entry, Extent, Future, Mode, ObjectName, Objects, Scope, Selector, Spot, What, Who, WhoName,
};

/// Reads such a file.
pub(super) fn read(text: &str, target: &TargetName) -> Result<(Document, Left), Vec<Mistake>> {
    let node = parse(text).map_err(|mistake| vec![mistake])?;
    let nothing = |_: &str| None;
    let mut reading = Reading {
        reader: Reader::new(&nothing),
        target,
        profiles: Profiles::default(),
        entries: BTreeMap::new(),
        logins: BTreeSet::new(),
        left: Vec::new(),
    };
    reading.file(&node);
    let Reading { reader, entries, left, .. } = reading;
    let mut mistakes = reader.mistakes;
    mistakes.sort();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let names = entries.keys().filter_map(|name| name.as_str().parse().ok()).collect();
    let spot = Spot { file: 0, place: node_place(&node) };
    let scope = Scope {
        spot,
        target: target.clone(),
        kind: None,
        extent: Extent::Names(names),
        mode: Mode::Enforced,
        retire_days: None,
    };
    let scopes = if entries.is_empty() { Vec::new() } else { vec![scope] };
    let repository = Some(("ldap2pg".to_owned(), None));
    Ok((Document { repository, scopes, entries: entries.into_values().collect(), ..Document::default() }, left))
}

struct Reading<'v> {
    reader: Reader<'v>,
    target: &'v TargetName,
    profiles: Profiles,
    entries: BTreeMap<Name, Entry>,
    /// Roles that log in: the target tells them as users.
    logins: BTreeSet<Name>,
    left: Left,
}

fn spot(node: &Node) -> Spot {
    Spot { file: 0, place: node_place(node) }
}

/// The key that is there, of several that mean the same.
fn first<'n>(fields: &Fields<'n>, keys: &[&str]) -> Option<&'n Node> {
    keys.iter().find_map(|key| fields.get(key))
}

impl Reading<'_> {
    fn leave(&mut self, node: &Node, what: impl Into<String>) {
        self.left.push((spot(node), what.into()));
    }

    fn file(&mut self, node: &Node) {
        let Some(fields) = self.reader.names(node, "a mapping with rules") else { return };
        if let Some(node) = fields.get("privileges") {
            self.profiles(node);
        }
        for (key, value) in fields.iter() {
            match key.as_str() {
                // How it is run, and where its directory and its server are.
                "version" | "privileges" | "ldap" | "verbosity" | "verbose" | "color" | "dry" => {}
                "rules" | "sync_map" => {
                    let rules: Vec<&Node> = self.reader.list(value).iter().collect();
                    // Who logs in decides how he is named as a member, wherever that is said.
                    for pass in [Pass::Roles, Pass::Grants] {
                        rules.iter().for_each(|rule| self.rule(rule, pass));
                    }
                }
                "postgres" => {
                    self.leave(value, "postgres: what is managed stands in manages:, the server in raito.yml")
                }
                other => self.leave(value, format!("{} has no place in access code", escape(other))),
            }
        }
    }

    fn profiles(&mut self, node: &Node) {
        let Some(fields) = self.reader.names(node, "profiles of privileges, by name") else { return };
        for (key, value) in fields.iter() {
            let left = self.profiles.read(&mut self.reader, key.as_str(), value);
            self.left.extend(left.into_iter().map(|(place, what)| (Spot { file: 0, place }, what)));
        }
    }

    fn rule(&mut self, node: &Node, pass: Pass) {
        let Some(fields) = self.reader.names(node, "a rule with roles and grants") else { return };
        if let Some(search) = first(&fields, &["ldapsearch", "ldap"]) {
            if pass == Pass::Roles {
                self.search(search);
            }
            return;
        }
        for (key, value) in fields.iter() {
            match (key.as_str(), pass) {
                ("role" | "roles", Pass::Roles) => self.each(value, Self::role),
                ("grant" | "grants", Pass::Grants) => self.each(value, Self::grant),
                ("description" | "role" | "roles" | "grant" | "grants", _) => {}
                (other, Pass::Roles) => self.leave(value, format!("{} of a rule", escape(other))),
                (_, Pass::Grants) => {}
            }
        }
    }

    /// A rule whose roles come out of a directory.
    fn search(&mut self, node: &Node) {
        let base = self.reader.names(node, "an LDAP search").and_then(|fields| self.reader.text(fields.get("base")?));
        let base = base.map(|base| format!(" below {}", escape(&base))).unwrap_or_default();
        self.leave(
            node,
            format!(
                "a rule whose roles and members are found by an LDAP search{base}: synchronise the directory as an identity store and name \
                 its groups in who:, or write the members down"
            ),
        );
    }

    /// One item, or each of a list.
    fn each(&mut self, node: &Node, read: fn(&mut Self, &Node)) {
        match node.as_sequence() {
            Some(list) => list.iter().for_each(|item| read(self, item)),
            None => read(self, node),
        }
    }

    /// One name, or several. Those with an attribute of a search in them are told.
    fn names(&mut self, node: Option<&Node>) -> Vec<Name> {
        let Some(node) = node else { return Vec::new() };
        let nodes: Vec<&Node> = node.as_sequence().map_or_else(|| vec![node], |list| list.iter().collect());
        let mut names = Vec::new();
        for node in nodes {
            let Some(name) = self.reader.parsed::<Name>(node) else { continue };
            if name.as_str().contains(['{', '}']) {
                self.leave(node, format!("{name} is made of an attribute of an LDAP search, and there is none here"));
            } else {
                names.push(name);
            }
        }
        names
    }

    fn role(&mut self, node: &Node) {
        if node.as_scalar().is_some() {
            for name in self.names(Some(node)) {
                self.entry(&name, spot(node));
            }
            return;
        }
        let Some(fields) = self.reader.names(node, "a role") else { return };
        let names = self.names(first(&fields, &["name", "names"]));
        let logs_in = fields.get("options").is_some_and(|options| self.options(options, &names));
        let parents = self.names(first(&fields, &["parent", "parents"]));
        let members = self.names(first(&fields, &["member", "members"]));
        let comment = fields.get("comment").and_then(|node| self.reader.text(node));
        for (key, value) in fields.iter() {
            let known = ["name", "names", "options", "parent", "parents", "member", "members", "comment"];
            if !known.contains(&key.as_str()) {
                self.leave(value, format!("{} of a role has no place in access code", escape(key.as_str())));
            }
        }
        for name in &names {
            if logs_in {
                self.logins.insert(name.clone());
            } else {
                let entry = self.entry(name, spot(node));
                if let Some(comment) = comment.as_ref().and_then(|comment| Remark::new(comment.as_str()).ok()) {
                    entry.description = comment;
                }
            }
            parents.iter().for_each(|parent| self.admit(parent, name, node));
            members.iter().for_each(|member| self.admit(name, member, node));
        }
        if logs_in {
            let names: Vec<&str> = names.iter().map(Name::as_str).collect();
            self.leave(node, format!("{}: who logs in is a user, and users are made elsewhere", names.join(", ")));
        }
    }

    /// Whether a role logs in. Other options are told.
    fn options(&mut self, node: &Node, names: &[Name]) -> bool {
        let mut words: Vec<String> = Vec::new();
        if node.as_mapping().is_some() {
            let fields = self.reader.names(node, "options");
            for (key, value) in fields.iter().flat_map(Fields::iter) {
                let off = value.as_scalar().is_some_and(|value| {
                    ["no", "false", "off"].contains(&value.as_str().to_ascii_lowercase().as_str())
                });
                words.push(if off { format!("NO{}", key.as_str()) } else { key.as_str().to_owned() });
            }
        } else if let Some(list) = node.as_sequence() {
            words.extend(list.iter().filter_map(|item| item.as_scalar()).map(|item| item.as_str().to_owned()));
        } else if let Some(text) = self.reader.text(node) {
            words.extend(text.split_whitespace().map(str::to_owned));
        }
        words.iter_mut().for_each(|word| word.make_ascii_uppercase());
        for word in words.iter().filter(|word| !["LOGIN", "NOLOGIN", "INHERIT"].contains(&word.as_str())) {
            let names: Vec<&str> = names.iter().map(Name::as_str).collect();
            if !word.starts_with("NO") || word == "NOINHERIT" {
                self.leave(
                    node,
                    format!("{}: the option {} has no place in access code", names.join(", "), escape(word)),
                );
            }
        }
        words.iter().any(|word| word == "LOGIN")
    }

    fn entry(&mut self, name: &Name, at: Spot) -> &mut Entry {
        let target = self.target.clone();
        self.entries.entry(name.clone()).or_insert_with(|| super::bare_entry(target, name, at))
    }

    fn admit(&mut self, role: &Name, member: &Name, node: &Node) {
        let name = match self.logins.contains(member) {
            true => WhoName::User(member.clone()),
            false => WhoName::Control(member.clone()),
        };
        let at = spot(node);
        let entry = self.entry(role, at);
        if !entry.who.iter().any(|who| who.name == name) {
            entry.who.push(Who {
                spot: at,
                name,
                expires_ms: None,
                reason: None,
                inherits: None,
                assumable: None,
                may_pass_on: false,
            });
        }
    }

    fn grant(&mut self, node: &Node) {
        let Some(fields) = self.reader.names(node, "a grant") else { return };
        let profiles = self.names(first(&fields, &["privilege", "privileges"]));
        let roles = self.names(first(&fields, &["role", "roles", "to"]));
        let databases = self.all_or(first(&fields, &["database", "databases"]));
        let schemas = self.all_or(first(&fields, &["schema", "schemas"]));
        let owners = self.names(first(&fields, &["owner", "owners"]));
        for (key, value) in fields.iter() {
            let known = [
                "privilege",
                "privileges",
                "role",
                "roles",
                "to",
                "database",
                "databases",
                "schema",
                "schemas",
                "owner",
                "owners",
            ];
            if !known.contains(&key.as_str()) {
                self.leave(value, format!("{} of a grant has no place in access code", escape(key.as_str())));
            }
        }
        for profile in &profiles {
            let Some(reaches) = self.profiles.resolve(profile.as_str()) else {
                self.leave(node, format!("the privilege {profile} is neither in privileges: nor one of ldap2pg's own"));
                continue;
            };
            for (reach, permissions) in reaches {
                let objects = match objects(reach, &databases, &schemas, &owners) {
                    Ok(objects) => objects,
                    Err(why) => {
                        self.leave(node, format!("{profile}: {why}"));
                        continue;
                    }
                };
                for objects in objects {
                    let at = spot(node);
                    let permissions: Vec<(Asked, Spot)> =
                        permissions.iter().map(|name| (Asked::Native(name.clone()), at)).collect();
                    let what = What { spot: at, objects, permissions, may_pass_on: false };
                    for role in &roles {
                        let entry = self.entry(role, at);
                        if !entry
                            .what
                            .iter()
                            .any(|held| held.objects == what.objects && held.permissions == what.permissions)
                        {
                            entry.what.push(what.clone());
                        }
                    }
                }
            }
        }
    }

    /// The names that are given; none where all are meant.
    fn all_or(&mut self, node: Option<&Node>) -> Option<Vec<PathPart>> {
        let names = self.names(node);
        let all = names.is_empty() || names.iter().any(|name| ["__all__", "__any__"].contains(&name.as_str()));
        (!all).then(|| names.iter().filter_map(|name| PathPart::new(name.as_str()).ok()).collect())
    }
}

/// Roles come before grants, wherever they stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Roles,
    Grants,
}

fn object(kind: &str, path: &[&PathPart]) -> ObjectName {
    ObjectName { kind: Kind::new(kind).ok(), path: path.iter().map(|part| (*part).clone()).collect(), signature: None }
}

/// What a privilege is about: in these databases and schemas, all where there are none.
fn objects(
    reach: Reach,
    databases: &Option<Vec<PathPart>>,
    schemas: &Option<Vec<PathPart>>,
    owners: &[Name],
) -> Result<Vec<Objects>, String> {
    let select = |kind: &str, under: Option<ObjectName>| {
        let kind = Kind::new(kind).map_err(|error| error.to_string())?;
        let none = || (Vec::new(), Vec::new());
        let (names, tags) = none();
        Ok(Objects::Select(Selector { kind, under, names, tags, future: false, creators: Vec::new() }))
    };
    // The places below which something is meant; none for the whole target.
    let places: Vec<Option<ObjectName>> = match (databases, schemas) {
        (None, None) => vec![None],
        (Some(databases), None) => databases.iter().map(|database| Some(object("database", &[database]))).collect(),
        (Some(databases), Some(schemas)) => {
            let of = |database| schemas.iter().map(move |schema| Some(object("schema", &[database, schema])));
            databases.iter().flat_map(of).collect()
        }
        (None, Some(_)) if reach == Reach::Database => vec![None],
        (None, Some(_)) => return Err("a schema of every database: name the databases".to_owned()),
    };
    match reach {
        Reach::Database => match databases {
            Some(databases) => Ok(databases.iter().map(|name| Objects::One(object("database", &[name]))).collect()),
            None => Ok(vec![select("database", None)?]),
        },
        Reach::Schema if schemas.is_some() => Ok(places.into_iter().flatten().map(Objects::One).collect()),
        Reach::Schema => places.into_iter().map(|under| select("schema", under)).collect(),
        Reach::All(kinds) => {
            let of = |under: Option<ObjectName>| kinds.iter().map(move |kind| select(kind, under.clone()));
            places.into_iter().flat_map(of).collect()
        }
        Reach::Later(kind) => {
            if owners.is_empty() || owners.iter().any(|owner| owner.as_str().starts_with("__")) {
                return Err(
                    "default privileges of owners that are only found at the server: name them with owner:".to_owned()
                );
            }
            let Some(places) = places.into_iter().collect::<Option<Vec<ObjectName>>>() else {
                return Err("default privileges in every database: name the databases".to_owned());
            };
            let kind = Kind::new(kind).map_err(|error| error.to_string())?;
            let future = |under| Objects::Future(Future { kind: kind.clone(), under, creators: owners.to_vec() });
            Ok(places.into_iter().map(future).collect())
        }
    }
}
