//! Items of entries: who, and what.

use marked_yaml::Node;
use raito_config::reader::node_place;
use raito_core::text::escape;

use super::Reading;
use crate::document::{Asked, Future, ObjectName, Objects, Selector, Spot, What, Who, WhoName};
use crate::keys::{FUTURE, OBJECT, OBJECTS, SELECT, WHAT, WHO};

/// A member.
pub(super) fn who(reading: &mut Reading<'_>, node: &Node) -> Option<Who> {
    let fields = reading.reader.map(node, WHO)?;
    let mut names = Vec::new();
    if let Some(node) = fields.get("user") {
        names.extend(reading.reader.parsed(node).map(WhoName::User));
    }
    if let Some(node) = fields.get("group") {
        names.extend(reading.reader.parsed(node).map(WhoName::Group));
    }
    if let Some(node) = fields.get("control") {
        names.extend(reading.reader.parsed(node).map(WhoName::Control));
    }
    if let Some(node) = fields.get("special") {
        names.extend(reading.reader.parsed(node).map(WhoName::Special));
    }
    let expires_ms = fields.get("expires").and_then(|node| reading.end(node));
    let reason = fields.get("reason").and_then(|node| reading.reader.parsed(node));
    let inherits = fields.get("inherits").and_then(|node| reading.reader.boolean(node));
    let assumable = fields.get("assumable").and_then(|node| reading.reader.boolean(node));
    let may_pass_on = fields.get("may-pass-on").and_then(|node| reading.reader.boolean(node)).unwrap_or(false);
    match <[WhoName; 1]>::try_from(names) {
        Ok([name]) => {
            Some(Who { spot: reading.spot(node), name, expires_ms, reason, inherits, assumable, may_pass_on })
        }
        Err(_) => {
            let help = Some("write one of user, group, control, special".to_owned());
            reading.reader.wrong(fields.place(), "one member is expected here", help);
            None
        }
    }
}

/// What members get.
pub(super) fn what(reading: &mut Reading<'_>, node: &Node) -> Option<What> {
    let fields = reading.reader.map(node, WHAT)?;
    let objects = [fields.get("object"), fields.get("select"), fields.get("future")];
    let objects = one_of(reading, fields.place(), objects);
    let permissions = fields.get("permissions").map(|node| reading.each(node, asked)).unwrap_or_default();
    let may_pass_on = fields.get("may-pass-on").and_then(|node| reading.reader.boolean(node)).unwrap_or(false);
    Some(What { spot: reading.spot(node), objects: objects?, permissions, may_pass_on })
}

/// What a mask or a filter is about.
pub(super) fn objects(reading: &mut Reading<'_>, node: &Node) -> Option<What> {
    let fields = reading.reader.map(node, OBJECTS)?;
    let objects = one_of(reading, fields.place(), [fields.get("object"), fields.get("select"), None])?;
    Some(What { spot: reading.spot(node), objects, permissions: Vec::new(), may_pass_on: false })
}

fn one_of(
    reading: &mut Reading<'_>,
    place: raito_config::Place,
    [one, select, future]: [Option<&Node>; 3],
) -> Option<Objects> {
    match (one, select, future) {
        (Some(node), None, None) => object(reading, node).map(Objects::One),
        (None, Some(node), None) => self::select(reading, node).map(Objects::Select),
        (None, None, Some(node)) => self::future(reading, node).map(Objects::Future),
        _ => {
            let help = Some("write one of object, select, future".to_owned());
            reading.reader.wrong(place, "what is meant is said once", help);
            None
        }
    }
}

/// A permission, with where it is said.
pub(super) fn asked(reading: &mut Reading<'_>, node: &Node) -> Option<(Asked, Spot)> {
    let text = reading.reader.text(node)?;
    match Asked::parse(&text) {
        Ok(asked) => Some((asked, reading.spot(node))),
        Err(error) => {
            reading.reader.wrong(node_place(node), format!("{}: {error}", escape(&text)), None);
            None
        }
    }
}

/// An object, as a text or with its kind and path apart.
pub(super) fn object(reading: &mut Reading<'_>, node: &Node) -> Option<ObjectName> {
    if node.as_mapping().is_some() {
        let fields = reading.reader.map(node, OBJECT)?;
        let kind = fields.get("kind").and_then(|node| reading.reader.parsed(node));
        let path = fields.get("path").map(|node| reading.reader.all_parsed(node)).unwrap_or_default();
        let signature = fields.get("signature").and_then(|node| reading.reader.parsed(node));
        return Some(ObjectName { kind: Some(kind?), path, signature });
    }
    let text = reading.reader.text(node)?;
    let name = ObjectName::parse(&text);
    if name.is_none() {
        let help =
            Some("write its path with dots, such as table shop.sales.orders; parts with dots or blanks in quotes");
        reading.reader.wrong(node_place(node), format!("{} is no object", escape(&text)), help.map(str::to_owned));
    }
    name
}

fn select(reading: &mut Reading<'_>, node: &Node) -> Option<Selector> {
    let fields = reading.reader.map(node, SELECT)?;
    let kind = fields.get("kind").and_then(|node| reading.reader.parsed(node));
    let under = fields.get("under").and_then(|node| object(reading, node));
    let names = fields.get("names").map(|node| reading.texts(node)).unwrap_or_default();
    let tags = fields.get("tags").map(|node| reading.tags(node)).unwrap_or_default();
    let future = fields.get("future").and_then(|node| reading.reader.boolean(node)).unwrap_or(false);
    let creators = fields.get("creators").map(|node| reading.reader.all_parsed(node)).unwrap_or_default();
    let selector = Selector { kind: kind?, under, names, tags, future, creators };
    if let Some(reason) = unforeseen(&selector) {
        let help = Some("plan again when there are new ones, or select by kind and place alone".to_owned());
        reading.reader.wrong(fields.place(), reason, help);
    }
    if !selector.future && !selector.creators.is_empty() {
        let help = Some("write future: true".to_owned());
        reading.reader.wrong(fields.place(), "creators are of objects that are created later", help);
    }
    Some(selector)
}

/// Why a target could not know which later objects are meant.
fn unforeseen(selector: &Selector) -> Option<&'static str> {
    if !selector.future {
        None
    } else if !selector.tags.is_empty() {
        Some("later objects cannot be told by tags")
    } else if !selector.names.is_empty() {
        Some("later objects cannot be told by names")
    } else if selector.under.is_none() {
        Some("later objects are told by what they stand below")
    } else {
        None
    }
}

fn future(reading: &mut Reading<'_>, node: &Node) -> Option<Future> {
    let fields = reading.reader.map(node, FUTURE)?;
    let kind = fields.get("kind").and_then(|node| reading.reader.parsed(node));
    let under = fields.get("under").and_then(|node| object(reading, node));
    let creators = fields.get("creators").map(|node| reading.reader.all_parsed(node)).unwrap_or_default();
    Some(Future { kind: kind?, under: under?, creators })
}
