//! What may come next where somebody writes.

use std::ops::Range;

use raito_config::keys::{Key, Shape};
use raito_core::limits;
use raito_core::record::{ControlKind, DataObject, Identity, ObjectKind};
use raito_core::text::Kind;

use super::read::LastRead;
use super::site::{Part, Site, with_cursor};
use super::tree::Tree;
use super::{Known, Page};
use crate::document::{Global, ObjectName};
use crate::write::{quoted, scalar};

/// What a proposal is, for its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProposalKind {
    /// A key.
    Key,
    /// One of few words.
    Word,
    /// A user, a group, or a rule for members.
    Person,
    /// An access control.
    Control,
    /// An object.
    Object,
    /// A kind of something.
    Kind,
    /// A permission.
    Permission,
    /// A target.
    Target,
}

/// Something that may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is.
    pub kind: ProposalKind,
    /// How it is shown.
    pub label: String,
    /// What is shown beside it.
    pub detail: String,
    /// What is written.
    pub text: String,
    /// What it is compared with when more is typed.
    pub compared: String,
}

/// All that may come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proposals {
    /// What is replaced, in bytes.
    pub replaced: Range<usize>,
    /// The proposals, the likeliest first.
    pub list: Vec<Proposal>,
    /// Whether more typing brings others.
    pub cut: bool,
}

/// What may come at a byte of a file.
pub fn complete(page: &Page, offset: usize, known: &Known<'_>) -> Proposals {
    let text = with_cursor(&page.text, offset);
    let tree = Tree::read(&text);
    let Some(site) = Site::of_cursor(&tree) else { return Proposals::default() };
    let typed = site.typed();
    let replaced = site.replaced();
    if page.text.get(replaced.clone()).is_none_or(|word| word.contains(['\n', '\r'])) {
        // What is replaced stands in one line (Language Server Protocol 3.17, "Completion Request").
        return Proposals::default();
    }
    // A quote that somebody opened stays what the word begins with.
    let opened = page.text.get(replaced.clone()).and_then(|word| word.chars().next());
    let opened = opened.filter(|first| matches!(first, '"' | '\''));
    let mut gathering = Gathering { typed: typed.to_lowercase(), opened, first: Vec::new(), rest: Vec::new() };
    match site.part {
        Part::Key(keys) => {
            let has_colon =
                page.text.get(replaced.end..).is_some_and(|rest| rest.trim_start_matches(' ').starts_with(':'));
            gathering.keys(&site, keys, has_colon);
        }
        Part::Name(_) => gathering.tag_keys(&site, known),
        Part::Value(key) => gathering.values(&site, key, known),
    }
    gathering.finish(replaced)
}

/// Proposals that fit what was typed: those that begin so, and those that only have it somewhere.
struct Gathering {
    typed: String,
    opened: Option<char>,
    first: Vec<Proposal>,
    rest: Vec<Proposal>,
}

impl Gathering {
    fn finish(self, replaced: Range<usize>) -> Proposals {
        let mut list = self.first;
        list.extend(self.rest);
        let cut = list.len() > limits::EDITOR_PROPOSALS;
        list.truncate(limits::EDITOR_PROPOSALS);
        Proposals { replaced, list, cut }
    }

    /// A value: its name, written so that YAML takes it for a text.
    fn value(&mut self, kind: ProposalKind, name: &str, detail: impl Into<String>) {
        self.called(kind, name, name, detail);
    }

    /// A value that people begin to write in another way than it is written in the end.
    fn called(&mut self, kind: ProposalKind, name: &str, called: &str, detail: impl Into<String>) {
        let text = if self.opened.is_some() { quoted(name) } else { scalar(name) };
        let compared = match self.opened {
            Some(quote) => format!("{quote}{called}"),
            None => called.to_owned(),
        };
        self.take(Proposal { kind, label: name.to_owned(), detail: detail.into(), text, compared }, called);
    }

    fn take(&mut self, proposal: Proposal, name: &str) {
        let name = name.to_lowercase();
        // One more than are shown tells that there are more.
        let list = match name.find(&self.typed) {
            Some(0) => &mut self.first,
            Some(_) => &mut self.rest,
            None => return,
        };
        if list.len() <= limits::EDITOR_PROPOSALS && !list.iter().any(|known| known.label == proposal.label) {
            list.push(proposal);
        }
    }

    fn keys(&mut self, site: &Site<'_>, keys: &'static [Key], has_colon: bool) {
        // A word that begins an item of a list stands in no mapping yet.
        let around = site.maps.last().filter(|map| map.iter().any(|pair| pair.key == *site.word));
        let is_there = |key: &&Key| {
            around.is_some_and(|map| map.iter().any(|pair| pair.key.text == key.name && pair.key != *site.word))
        };
        for key in keys.iter().filter(|key| !is_there(key)) {
            let proposal = Proposal {
                kind: ProposalKind::Key,
                label: key.name.to_owned(),
                detail: key.help.to_owned(),
                text: if has_colon { key.name.to_owned() } else { format!("{}: ", key.name) },
                compared: key.name.to_owned(),
            };
            self.take(proposal, key.name);
        }
    }

    fn values(&mut self, site: &Site<'_>, key: &'static Key, known: &Known<'_>) {
        match key.shape {
            Shape::Word(words) => return words.iter().for_each(|word| self.word(word)),
            Shape::Boolean => return ["true", "false"].iter().for_each(|word| self.word(word)),
            Shape::Integer(low, high) if low == high => return self.word(&low.to_string()),
            Shape::TextMap => return self.tag_values(site, known),
            _ => {}
        }
        let read = known.last_read(site.target());
        let read = read.as_deref();
        match key.name {
            "on" => self.targets(known),
            "control" | "controls" | "creators" => self.controls(site, known, read),
            "about" => {
                self.controls(site, known, None);
                read.into_iter().for_each(|read| self.users(read));
            }
            "permissions" | "permission" => {
                read.into_iter().for_each(|read| self.permissions(site, read));
                self.globals();
            }
            name => {
                let Some(read) = read else { return };
                match name {
                    "user" => self.users(read),
                    "group" => self.groups(read),
                    "special" => self.specials(read),
                    "object" | "under" => self.objects(site, name, read),
                    "kind" => self.kinds(site, read),
                    "type" => self.masks(read),
                    _ => {}
                }
            }
        }
    }

    fn word(&mut self, word: &str) {
        let proposal = Proposal {
            kind: ProposalKind::Word,
            label: word.to_owned(),
            detail: String::new(),
            text: word.to_owned(),
            compared: word.to_owned(),
        };
        self.take(proposal, word);
    }

    fn targets(&mut self, known: &Known<'_>) {
        let of_files = known.pages.iter().flat_map(|page| &page.entries).filter_map(|entry| entry.target.as_deref());
        for name in known.targets.iter().map(String::as_str).chain(of_files) {
            self.value(ProposalKind::Target, name, "");
        }
    }

    fn controls(&mut self, site: &Site<'_>, known: &Known<'_>, read: Option<&LastRead>) {
        for (_, entry) in known.entries(site.target()) {
            if !entry.name.is_empty() {
                self.value(ProposalKind::Control, &entry.name, "in the files");
            }
        }
        for control in read.into_iter().flat_map(LastRead::controls) {
            self.value(ProposalKind::Control, control.actual_name.as_str(), control.kind.as_str());
        }
    }

    fn users(&mut self, read: &LastRead) {
        for user in &read.catalogue().users {
            let address = user.email.as_ref().map_or("", |email| email.as_str());
            let shown = [user.display_name.as_str(), address].into_iter().filter(|part| !part.is_empty());
            let detail = shown.collect::<Vec<_>>().join(", ");
            self.value(ProposalKind::Person, user.user_name.as_str(), detail);
            if !address.is_empty() && !self.typed.is_empty() {
                self.value(ProposalKind::Person, address, user.user_name.as_str());
            }
        }
    }

    fn groups(&mut self, read: &LastRead) {
        for group in &read.catalogue().groups {
            self.value(ProposalKind::Person, group.name.as_str(), group.description.as_str());
        }
    }

    fn specials(&mut self, read: &LastRead) {
        for special in &read.catalogue().description.specials {
            self.value(ProposalKind::Person, special.name.as_str(), special.covers.as_str());
        }
    }

    fn masks(&mut self, read: &LastRead) {
        for mask in &read.catalogue().description.masks {
            self.value(ProposalKind::Kind, mask.name.as_str(), mask.label.as_str());
        }
    }

    /// Objects that can stand here, by their path, and with their kind where it takes that to tell them or somebody began so.
    fn objects(&mut self, site: &Site<'_>, key: &str, read: &LastRead) {
        let description = &read.catalogue().description;
        let list = site.path.first().copied().unwrap_or_default();
        let fits = |object: &DataObject| {
            let Some(kind) = description.object_kind(&object.object.kind) else { return false };
            match (key, list) {
                ("under", _) => !kind.children.is_empty(),
                (_, "masks") => description.masks.iter().any(|mask| takes(&mask.applies_to, kind)),
                (_, "filters") => takes(&description.filters_apply_to, kind),
                _ => !kind.permissions.is_empty(),
            }
        };
        let with_kind = self.typed.contains(' ');
        for object in read.catalogue().objects.iter().filter(|object| fits(object)) {
            let mut name = ObjectName::from(&object.object);
            if !with_kind && read.is_told_by_path(object) {
                (name.kind, name.signature) = (None, None);
            }
            // Without the quotes that parts with dots and blanks stand in.
            let parts: Vec<&str> = name.path.iter().map(|part| part.as_str()).collect();
            let kind = name.kind.as_ref().map_or_else(String::new, |kind| format!("{kind} "));
            let called = format!("{}{}", if with_kind { &kind } else { "" }, parts.join("."));
            self.called(ProposalKind::Object, &name.to_string(), &called, object.object.kind.as_str());
        }
    }

    /// Kinds of objects below `select`, `future` and `object`, of access controls elsewhere.
    fn kinds(&mut self, site: &Site<'_>, read: &LastRead) {
        let description = &read.catalogue().description;
        if matches!(site.key(1), Some("select" | "future" | "object" | "under")) {
            for kind in &description.kinds {
                self.value(ProposalKind::Kind, kind.name.as_str(), kind.label.as_str());
            }
            return;
        }
        let is_rule = |kind: &ControlKind| kind.identity != Identity::Named;
        let rules = matches!(site.path.first(), Some(&"masks" | &"filters"));
        for kind in description.controls.iter().filter(|kind| kind.can_create && (!rules || is_rule(kind))) {
            self.value(ProposalKind::Kind, kind.name.as_str(), kind.label.as_str());
        }
    }

    fn globals(&mut self) {
        for (global, detail) in [
            (Global::Read, "all that count as reading, with what they need"),
            (Global::Write, "all that count as writing, with what they need"),
            (Global::Admin, "all that count as administering, with what they need"),
        ] {
            self.value(ProposalKind::Permission, global.word(), detail);
        }
    }

    /// Permissions of the kind of object that the same item is about; of all kinds where that cannot be told.
    fn permissions(&mut self, site: &Site<'_>, read: &LastRead) {
        let kind = kind_here(site, read);
        for kind in
            read.catalogue().description.kinds.iter().filter(|one| kind.is_none_or(|kind| kind.name == one.name))
        {
            for permission in kind.permissions.iter().filter(|permission| permission.can_be_granted) {
                let detail = match permission.description.as_str() {
                    "" => kind.name.as_str(),
                    description => description,
                };
                self.value(ProposalKind::Permission, permission.name.as_str(), detail);
            }
        }
    }

    fn tag_keys(&mut self, site: &Site<'_>, known: &Known<'_>) {
        let Some(read) = known.last_read(site.target()) else { return };
        for tag in read.catalogue().objects.iter().flat_map(|object| &object.tags) {
            let name = tag.key.as_str();
            let label = scalar(name);
            let proposal = Proposal {
                kind: ProposalKind::Key,
                text: format!("{label}: "),
                compared: label.clone(),
                label,
                detail: String::new(),
            };
            self.take(proposal, name);
        }
    }

    fn tag_values(&mut self, site: &Site<'_>, known: &Known<'_>) {
        let (Some(read), Some(key)) = (known.last_read(site.target()), site.key(0)) else { return };
        let tags = read.catalogue().objects.iter().flat_map(|object| &object.tags);
        for tag in tags.filter(|tag| tag.key.as_str() == key) {
            self.value(ProposalKind::Word, tag.value.as_str(), "");
        }
    }
}

/// Whether a list of kinds has this one.
fn takes(kinds: &[Kind], kind: &ObjectKind) -> bool {
    kinds.contains(&kind.name)
}

/// The kind of object that the item around is about.
pub(super) fn kind_here<'r>(site: &Site<'_>, read: &'r LastRead) -> Option<&'r ObjectKind> {
    let by_name = |word: &str| read.catalogue().description.kinds.iter().find(|kind| kind.name.as_str() == word);
    let selected = ["select", "future"].iter().find_map(|key| site.beside(0, key)?.get("kind")?.word());
    if let Some(word) = selected {
        return by_name(&word.text);
    }
    match site.beside(0, "object")? {
        Tree::Word(word) => read.kind_of(&ObjectName::parse(&word.text)?),
        map => by_name(&map.get("kind")?.word()?.text),
    }
}
