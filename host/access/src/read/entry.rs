//! Entries: grants, masks and filters.

use marked_yaml::Node;
use raito_config::keys::Key;
use raito_config::reader::{Fields, node_place};
use raito_core::marker::{Marker, marker};
use raito_core::text::{Kind, Name, PolicyText, Remark};

use super::Reading;
use super::items::{objects, what, who};
use crate::document::{Entry, Purpose};
use crate::keys::{FILTER, GRANT, MASK};

/// The lists of a file in which entries stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purposes {
    Grants,
    Masks,
    Filters,
}

impl Purposes {
    pub(super) const ALL: [Self; 3] = [Self::Grants, Self::Masks, Self::Filters];

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Masks => "masks",
            Self::Filters => "filters",
        }
    }

    fn keys(self) -> &'static [Key] {
        match self {
            Self::Grants => GRANT,
            Self::Masks => MASK,
            Self::Filters => FILTER,
        }
    }
}

/// All entries of a list.
pub(super) fn entries(reading: &mut Reading<'_>, node: &Node, purpose: Purposes) -> Vec<Entry> {
    reading.each(node, |reading, node| entry(reading, node, purpose))
}

fn entry(reading: &mut Reading<'_>, node: &Node, list: Purposes) -> Option<Entry> {
    let fields = reading.reader.map(node, list.keys())?;
    let target = reading.target(&fields);
    let name: Option<Name> = fields.get("name").and_then(|node| reading.reader.parsed(node));
    let id = match fields.get("id") {
        Some(node) => id(reading, node),
        None => name.as_ref().map(usual_id),
    };
    let kind: Option<Kind> = fields.get("kind").and_then(|node| reading.reader.parsed(node));
    let description = fields.get("description").and_then(|node| described(reading, node));
    let owner = fields.get("owner").and_then(|node| reading.reader.parsed(node)).or_else(|| reading.owner.clone());
    let purpose = purpose(reading, &fields, list);
    let members = if list == Purposes::Masks { "except" } else { "who" };
    let who = fields.get(members).map(|node| reading.each(node, who)).unwrap_or_default();
    let what = match (fields.get("what"), list) {
        (Some(node), Purposes::Grants) => reading.each(node, what),
        (Some(node), _) => reading.each(node, objects),
        (None, _) => Vec::new(),
    };
    let spot = reading.spot(fields.get("name")?);
    Some(Entry {
        spot,
        target: target?,
        id: id?,
        name: name?,
        kind,
        description: description.unwrap_or_else(|| Remark::new("").expect("may be empty")),
        owner,
        purpose: purpose?,
        who,
        what,
        mode: reading.mode,
    })
}

fn purpose(reading: &mut Reading<'_>, fields: &Fields<'_>, list: Purposes) -> Option<Purpose> {
    match list {
        Purposes::Grants => Some(Purpose::Grant),
        Purposes::Masks => fields.get("type").and_then(|node| reading.reader.parsed(node)).map(Purpose::Mask),
        Purposes::Filters => {
            let rule: Option<PolicyText> = fields.get("rule").and_then(|node| reading.reader.parsed(node));
            let check = fields.get("check").and_then(|node| reading.reader.parsed(node));
            rule.map(|rule| Purpose::Filter(rule, check))
        }
    }
}

/// A description. Its end says nothing about how long the entry is kept: it is there.
fn described(reading: &mut Reading<'_>, node: &Node) -> Option<Remark> {
    let description: Remark = reading.reader.parsed(node)?;
    if crate::retire::plain(&description) != description {
        let message = "a description that ends so is written by raito, at what no entry names any more";
        reading.reader.wrong(node_place(node), message, Some("leave this end out".to_owned()));
        return None;
    }
    if marker(&description).is_some() {
        let message = "a description that ends so is written by raito, to know its own";
        reading.reader.wrong(node_place(node), message, Some("leave the marker out".to_owned()));
        return None;
    }
    Some(description)
}

/// An id that stands in markers.
fn id(reading: &mut Reading<'_>, node: &Node) -> Option<Name> {
    let id: Name = reading.reader.parsed(node)?;
    if !Marker::takes(id.as_str()) {
        let help = Some("write it with letters, digits, dots, dashes, underscores and slashes".to_owned());
        reading.reader.wrong(node_place(node), format!("{id} cannot stand in a marker"), help);
        return None;
    }
    Some(id)
}

/// What an entry without an id is called in markers: its name, or where that cannot stand there, its digest.
pub(crate) fn usual_id(name: &Name) -> Name {
    if Marker::takes(name.as_str()) {
        return name.clone();
    }
    let digest = raito_core::digest::Digest::of(name.as_str().as_bytes()).to_string();
    let short: String = digest.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    Name::new(format!("named/{short}")).expect("short")
}
