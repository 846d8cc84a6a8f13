//! A document as text, as `fmt` would write it.

use raito_core::text::TargetName;

use crate::document::{
    Document, Entry, Extent, Future, Mode, ObjectName, Objects, Purpose, Scope, Selector, What, Who, WhoName,
};
use crate::pattern::Pattern;
use crate::write::{Writer, list, scalar};

/// The text of a document about one target. Tests and guardrails are not written: no other tool has them.
pub fn document_text(document: &Document, target: &TargetName) -> String {
    let mut out = Writer::default();
    out.line(0, "version: 1");
    if let Some((repository, _)) = &document.repository {
        out.key(0, "repository", repository);
    }
    out.key(0, "on", target.as_str());
    if let Some(mode) = document.entries.first().map(|entry| entry.mode).filter(|mode| *mode != Mode::Enforced) {
        out.key(0, "mode", if mode == Mode::Additive { "additive" } else { "observe" });
    }
    if !document.scopes.is_empty() {
        out.line(0, "manages:");
        document.scopes.iter().for_each(|scope| out.item(1, &scope_pairs(scope)));
    }
    type IsHere = fn(&Entry) -> bool;
    let lists: [(&str, IsHere); 3] = [
        ("grants", |entry| entry.purpose == Purpose::Grant),
        ("masks", |entry| matches!(entry.purpose, Purpose::Mask(_))),
        ("filters", |entry| matches!(entry.purpose, Purpose::Filter(..))),
    ];
    for (key, is_here) in lists {
        let mut entries = document.entries.iter().filter(|entry| is_here(entry)).peekable();
        if entries.peek().is_some() {
            out.line(0, &format!("{key}:"));
            entries.for_each(|entry| write_entry(&mut out, entry));
        }
    }
    out.finish()
}

/// The text of one entry: the same for whatever says the same, wherever it stands.
pub(crate) fn entry_text(entry: &Entry) -> String {
    let mut out = Writer::default();
    write_entry(&mut out, entry);
    out.finish()
}

fn patterns(names: &[Pattern]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [one] => scalar(one),
        several => list(several.iter().map(String::as_str)),
    }
}

fn scope_pairs(scope: &Scope) -> Vec<(&'static str, String)> {
    let kind = scope.kind.as_ref().map(|kind| ("kind", scalar(kind.as_str())));
    let extent = match &scope.extent {
        Extent::Names(names) => ("names", patterns(names)),
        Extent::Under(objects) => {
            let objects: Vec<String> = objects.iter().map(ToString::to_string).collect();
            ("under", list(objects.iter().map(String::as_str)))
        }
    };
    kind.into_iter().chain([extent]).collect()
}

fn write_entry(out: &mut Writer, entry: &Entry) {
    out.line(1, &format!("- name: {}", scalar(entry.name.as_str())));
    if entry.id != crate::read::usual_id(&entry.name) {
        out.key(2, "id", entry.id.as_str());
    }
    if let Some(kind) = &entry.kind {
        out.key(2, "kind", kind.as_str());
    }
    if !entry.description.as_str().is_empty() {
        out.key(2, "description", entry.description.as_str());
    }
    if let Some(owner) = &entry.owner {
        out.key(2, "owner", owner.as_str());
    }
    let members = match &entry.purpose {
        Purpose::Grant => "who",
        Purpose::Mask(kind) => {
            out.key(2, "type", kind.as_str());
            "except"
        }
        Purpose::Filter(rule, check) => {
            out.key(2, "rule", rule.as_str());
            if let Some(check) = check {
                out.key(2, "check", check.as_str());
            }
            "who"
        }
    };
    if !entry.who.is_empty() {
        out.line(2, &format!("{members}:"));
        entry.who.iter().for_each(|who| out.item(3, &who_pairs(who)));
    }
    if !entry.what.is_empty() {
        out.line(2, "what:");
        entry.what.iter().for_each(|what| out.item(3, &what_pairs(what)));
    }
}

fn who_pairs(who: &Who) -> Vec<(&'static str, String)> {
    let (key, name) = match &who.name {
        WhoName::User(name) => ("user", name.as_str()),
        WhoName::Group(name) => ("group", name.as_str()),
        WhoName::Control(name) => ("control", name.as_str()),
        WhoName::Special(name) => ("special", name.as_str()),
    };
    let mut pairs = vec![(key, scalar(name))];
    pairs.extend(who.expires_ms.map(|end| ("expires", scalar(&crate::time::last(end)))));
    pairs.extend(who.reason.as_ref().map(|reason| ("reason", scalar(reason.as_str()))));
    pairs.extend(who.inherits.map(|flag| ("inherits", flag.to_string())));
    pairs.extend(who.assumable.map(|flag| ("assumable", flag.to_string())));
    pairs.extend(who.may_pass_on.then(|| ("may-pass-on", "true".to_owned())));
    pairs
}

fn what_pairs(what: &What) -> Vec<(&'static str, String)> {
    let mut pairs = vec![match &what.objects {
        Objects::One(object) => ("object", object_text(object)),
        Objects::Select(selector) => ("select", selector_text(selector)),
        Objects::Future(future) => ("future", future_text(future)),
    }];
    if !what.permissions.is_empty() {
        let names: Vec<String> = what.permissions.iter().map(|(asked, _)| asked.to_string()).collect();
        pairs.push(("permissions", list(names.iter().map(String::as_str))));
    }
    pairs.extend(what.may_pass_on.then(|| ("may-pass-on", "true".to_owned())));
    pairs
}

fn object_text(object: &ObjectName) -> String {
    scalar(&object.to_string())
}

fn joined(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn selector_text(selector: &Selector) -> String {
    let mut pairs = vec![("kind", scalar(selector.kind.as_str()))];
    pairs.extend(selector.under.as_ref().map(|under| ("under", object_text(under))));
    let names: Vec<String> = selector.names.iter().map(ToString::to_string).collect();
    pairs.extend((!names.is_empty()).then(|| ("names", list(names.iter().map(String::as_str)))));
    let tags: Vec<(&str, String)> =
        selector.tags.iter().map(|(key, value)| (key.as_str(), scalar(value.as_str()))).collect();
    pairs.extend((!tags.is_empty()).then(|| ("tags", joined(&tags))));
    pairs.extend(selector.future.then(|| ("future", "true".to_owned())));
    pairs.extend(creators(&selector.creators));
    joined(&pairs)
}

fn future_text(future: &Future) -> String {
    let mut pairs = vec![("kind", scalar(future.kind.as_str())), ("under", object_text(&future.under))];
    pairs.extend(creators(&future.creators));
    joined(&pairs)
}

fn creators(names: &[raito_core::text::Name]) -> Option<(&'static str, String)> {
    (!names.is_empty()).then(|| ("creators", list(names.iter().map(|name| name.as_str()))))
}
