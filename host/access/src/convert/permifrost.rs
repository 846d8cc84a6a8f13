//! Permifrost's specification file (README of gitlab.com/gitlab-data/permifrost, section "spec_file"): roles with `member_of`,
//! `warehouses` and `privileges` that are `read` or `write` on databases, schemas and tables, where `*` means all and later
//! ones, and users with the roles that they are members of.

use std::collections::BTreeMap;

use marked_yaml::Node;
use raito_config::Mistake;
use raito_config::reader::{Reader, node_place, parse};
use raito_core::text::{Kind, Name, PathPart, PermissionName, TargetName, escape};

use super::Left;
use crate::document::{
    Asked, Document, Entry, Extent, Global, Mode, ObjectName, Objects, Scope, Selector, Spot, What, Who, WhoName,
};

/// Reads such a file.
pub(super) fn read(text: &str, target: &TargetName) -> Result<(Document, Left), Vec<Mistake>> {
    let node = parse(text).map_err(|mistake| vec![mistake])?;
    let nothing = |_: &str| None;
    let mut reading = Reading { reader: Reader::new(&nothing), target, entries: BTreeMap::new(), left: Vec::new() };
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
    let repository = Some(("permifrost".to_owned(), None));
    Ok((Document { repository, scopes, entries: entries.into_values().collect(), ..Document::default() }, left))
}

struct Reading<'v> {
    reader: Reader<'v>,
    target: &'v TargetName,
    entries: BTreeMap<Name, Entry>,
    left: Left,
}

fn spot(node: &Node) -> Spot {
    Spot { file: 0, place: node_place(node) }
}

impl Reading<'_> {
    fn leave(&mut self, node: &Node, what: impl Into<String>) {
        self.left.push((spot(node), what.into()));
    }

    fn file(&mut self, node: &Node) {
        let Some(fields) = self.reader.names(node, "a mapping with roles and users") else { return };
        for (key, value) in fields.iter() {
            match key.as_str() {
                "roles" | "users" => {
                    for (name, node, about) in self.named(value) {
                        if key.as_str() == "roles" { self.role(&name, node, about) } else { self.user(&name, about) }
                    }
                }
                // What there is, the target itself tells.
                "version" | "databases" | "warehouses" | "require-owner" => {}
                other => self.leave(value, format!("{} is not about who may do what", escape(other))),
            }
        }
    }

    /// The items of a list of which each is one name with what is said about it.
    fn named<'n>(&mut self, node: &'n Node) -> Vec<(Name, &'n Node, &'n Node)> {
        let mut all = Vec::new();
        for item in self.reader.list(node) {
            let Some(fields) = self.reader.names(item, "a name, with what is said about it") else { continue };
            for (key, value) in fields.iter() {
                let name = Node::from(key.clone());
                if let Some(name) = self.reader.parse_text(&name, key.as_str()) {
                    all.push((name, item, value));
                }
            }
        }
        all
    }

    fn entry(&mut self, name: &Name, at: Spot) -> &mut Entry {
        let target = self.target.clone();
        self.entries.entry(name.clone()).or_insert_with(|| super::bare_entry(target, name, at))
    }

    fn role(&mut self, name: &Name, node: &Node, about: &Node) {
        self.entry(name, spot(node));
        let Some(fields) = self.reader.names(about, "what is said about the role") else { return };
        for (key, value) in fields.iter() {
            match key.as_str() {
                "member_of" => self.member_of(WhoName::Control(name.clone()), value),
                "warehouses" => {
                    for item in self.reader.list(value) {
                        let Some(path) = self.path(item) else { continue };
                        let kind = Kind::new("warehouse").ok();
                        let usage = PermissionName::new("USAGE").map(Asked::Native);
                        let object = ObjectName { kind, path, signature: None };
                        self.give(name, item, Objects::One(object), usage.into_iter().collect());
                    }
                }
                "privileges" => self.privileges(name, value),
                other => self.leave(value, format!("{name}: {} has no place in access code", escape(other))),
            }
        }
    }

    fn user(&mut self, name: &Name, about: &Node) {
        let Some(fields) = self.reader.names(about, "what is said about the user") else { return };
        for (key, value) in fields.iter() {
            match key.as_str() {
                "member_of" => self.member_of(WhoName::User(name.clone()), value),
                "can_login" => {}
                other => self.leave(value, format!("{name}: {} has no place in access code", escape(other))),
            }
        }
    }

    /// Makes somebody a member of each role of a list.
    fn member_of(&mut self, who: WhoName, node: &Node) {
        if node.as_sequence().is_none() {
            return self.leave(node, format!("{who}: roles that are included by pattern; name them one by one"));
        }
        for item in self.reader.list(node) {
            let Some(role) = self.reader.parsed::<Name>(item) else { continue };
            if role.as_str().contains('*') {
                self.leave(item, format!("{who}: member of {role}; name the roles one by one"));
                continue;
            }
            let at = spot(item);
            let member = Who {
                spot: at,
                name: who.clone(),
                expires_ms: None,
                reason: None,
                inherits: None,
                assumable: None,
                may_pass_on: false,
            };
            self.entry(&role, at).who.push(member);
        }
    }

    fn privileges(&mut self, name: &Name, node: &Node) {
        let Some(kinds) = self.reader.names(node, "databases, schemas, tables") else { return };
        for (kind, levels) in kinds.iter() {
            let Some(levels) = self.reader.names(levels, "read and write") else { continue };
            for (level, objects) in levels.iter() {
                let asked = match level.as_str() {
                    "read" => vec![Asked::Global(Global::Read)],
                    // What may be written may be read as well.
                    "write" => vec![Asked::Global(Global::Read), Asked::Global(Global::Write)],
                    other => {
                        self.leave(objects, format!("{name}: {} is neither read nor write", escape(other)));
                        continue;
                    }
                };
                for item in self.reader.list(objects) {
                    match self.objects(kind.as_str(), item) {
                        Some(objects) => self.give(name, item, objects, asked.clone()),
                        None => self.leave(item, format!("{name}: {} of {}", level.as_str(), escape(kind.as_str()))),
                    }
                }
            }
        }
    }

    fn give(&mut self, name: &Name, node: &Node, objects: Objects, asked: Vec<Asked>) {
        let at = spot(node);
        let permissions = asked.into_iter().map(|asked| (asked, at)).collect();
        self.entry(name, at).what.push(What { spot: at, objects, permissions, may_pass_on: false });
    }

    fn path(&mut self, node: &Node) -> Option<Vec<PathPart>> {
        let text = self.reader.text(node)?;
        text.split('.').map(|part| PathPart::new(part).ok()).collect()
    }

    /// What a name such as `db`, `db.schema`, `db.*` or `db.schema.*` means.
    fn objects(&mut self, kind: &str, node: &Node) -> Option<Objects> {
        let path = self.path(node)?;
        let (one, depth) = match kind {
            "databases" => ("database", 1),
            "schemas" => ("schema", 2),
            "tables" => ("table", 3),
            _ => return None,
        };
        if path.len() != depth {
            return None;
        }
        let plain = path.iter().take_while(|part| !part.as_str().contains('*')).count();
        let (above, rest) = path.split_at(plain);
        let object = |path: &[PathPart], kind| ObjectName { kind, path: path.to_vec(), signature: None };
        let kind = Kind::new(one).ok()?;
        let Some((last, between)) = rest.split_last() else {
            // A name among tables may be a view's as well.
            let kind = (one != "table").then_some(kind);
            return Some(Objects::One(object(&path, kind)));
        };
        // Only the last part can be a pattern of names; parts before it are all or nothing.
        if above.is_empty() || between.iter().any(|part| part.as_str() != "*") {
            return None;
        }
        let all = last.as_str() == "*";
        let names = if all { Vec::new() } else { vec![last.as_str().parse().ok()?] };
        let under = Some(object(above, None));
        Some(Objects::Select(Selector { kind, under, names, tags: Vec::new(), future: all, creators: Vec::new() }))
    }
}
