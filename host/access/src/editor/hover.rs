//! What is shown of a word: what a key is for, and what the last read of the target says of a name.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use raito_config::keys::{Key, Shape};
use raito_core::expansion::{Answer, AnswerFilter, How, PrincipalId, PrincipalKind, Rows, Snapshot};
use raito_core::limits;
use raito_core::record::AccessControl;

use super::read::LastRead;
use super::site::{Part, Site};
use super::tree::Tree;
use super::{Known, Page};
use crate::document::ObjectName;
use crate::report::code;

/// What is shown of what stands at a byte of a file, as Markdown, with the bytes that it is about.
pub fn hover(page: &Page, offset: usize, known: &Known<'_>) -> Option<(String, Range<usize>)> {
    let tree = Tree::read(&page.text);
    let site = Site::at(&tree, offset)?;
    let shown = match site.part {
        Part::Key(keys) => key_text(keys.iter().find(|key| key.name == site.word.text)?),
        Part::Name(key) => key_text(key),
        Part::Value(key) => value(&site, key, known).unwrap_or_else(|| key_text(key)),
    };
    Some((shown, site.word.span.clone()))
}

/// What a key is for, and what its value may be.
fn key_text(key: &Key) -> String {
    let mut text = format!("**{}**: {}", key.name, key.help);
    if key.required {
        text.push_str("\n\nIt must be there.");
    }
    let words = match key.shape {
        Shape::Word(words) | Shape::Words(words) => words.iter().map(|word| code(word)).collect(),
        Shape::Map(keys) | Shape::Maps(keys) | Shape::TextOr(keys) => keys.iter().map(|key| code(key.name)).collect(),
        _ => Vec::new(),
    };
    if !words.is_empty() {
        let _ = write!(text, "\n\n{}", words.join(", "));
    }
    text
}

/// What the last read says of a value; none where there is no read, or nothing to say.
fn value(site: &Site<'_>, key: &Key, known: &Known<'_>) -> Option<String> {
    let read = known.last_read(site.target())?;
    let name = site.word.text.as_str();
    let text = match key.name {
        "name" if site.key(1) == Some("grants") => control(name, &read)?,
        "control" | "controls" | "creators" => control(name, &read)?,
        "user" => user(name, &read)?,
        "object" | "under" => object(name, &read)?,
        "permission" | "permissions" => permission(site, name, &read)?,
        _ => return None,
    };
    Some(format!("{text}\n\nAs of the last read, {}", crate::time::shown(read.time_ms())))
}

/// Names in one line, the first of them by name and the rest by number.
fn listed(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    let shown = names.iter().take(limits::EDITOR_SHOWN).map(|name| code(name)).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(limits::EDITOR_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Who has an access control, and what it gives.
fn control(name: &str, read: &LastRead) -> Option<String> {
    let called: Vec<&AccessControl> = read.controls().filter(|control| control.actual_name.as_str() == name).collect();
    let &[control] = called.as_slice() else {
        let said = if called.is_empty() { "it is not at the target" } else { "the target has several" };
        return Some(format!("**{}**: {said}", code(name)));
    };
    let snapshot = read.effective()?;
    let id = snapshot.find_control(&control.external_id)?;
    let mut text = format!("**{} {}**", control.kind, code(name));
    if read.catalogue().users.len() <= limits::EDITOR_USERS {
        let users = snapshot.users_of(&control.external_id);
        let count = users.len();
        let names = users.into_iter().map(|user| snapshot.principal(user).name.to_string());
        let _ = match count {
            0 => write!(text, "\n\nNobody has it."),
            _ => write!(text, "\n\nHeld by {count}: {}", listed(names)),
        };
    }
    text.push_str(&given(snapshot, id));
    Some(text)
}

/// What somebody holds, object by object.
fn given(snapshot: &Snapshot, holder: PrincipalId) -> String {
    let Some(first) = snapshot.object_at(0) else { return "\n\nIt gives nothing.".to_owned() };
    // Each object has a handful of permissions; one object more than are shown tells that there are more.
    let most = (limits::EDITOR_SHOWN + 1) * 16;
    let answers = snapshot.of_user(holder, &AnswerFilter::default(), first, most);
    let mut objects: Vec<(String, Vec<String>)> = Vec::new();
    for answer in answers.iter().filter(|answer| answer.how != How::Obtainable) {
        let object = snapshot.object(answer.object).to_string();
        let permission = permission_text(snapshot, answer);
        match objects.last_mut().filter(|(last, _)| *last == object) {
            Some((_, permissions)) => permissions.push(permission),
            None => objects.push((object, vec![permission])),
        }
    }
    if objects.is_empty() {
        return "\n\nIt gives nothing.".to_owned();
    }
    let mut text = "\n".to_owned();
    for (object, permissions) in objects.iter().take(limits::EDITOR_SHOWN) {
        let _ = write!(text, "\n- {}: {}", code(object), permissions.join(", "));
    }
    if objects.len() > limits::EDITOR_SHOWN || answers.len() >= most {
        text.push_str("\n- and more");
    }
    text
}

/// A permission as it is held, with what keeps it from being a plain yes.
fn permission_text(snapshot: &Snapshot, answer: &Answer) -> String {
    let but: Vec<&str> = [
        (answer.how == How::Assumable, "after switching"),
        (!answer.usable, "cannot be used"),
        (answer.conditional, "under a condition"),
        (matches!(answer.rows, Rows::Filtered(_)), "some rows"),
        (answer.rows == Rows::Nothing, "no rows"),
        (!answer.masked.is_empty(), "masked"),
    ]
    .into_iter()
    .filter_map(|(holds, word)| holds.then_some(word))
    .collect();
    let name = code(snapshot.permission_name(answer.permission).as_str());
    if but.is_empty() { name } else { format!("{name} ({})", but.join(", ")) }
}

/// What a user holds.
fn user(called: &str, read: &LastRead) -> Option<String> {
    let user = read.user(called)?;
    let snapshot = read.effective()?;
    let id = snapshot.find_user(&user.external_id)?;
    let name = user.display_name.as_str();
    let mut text = format!("**user {}**", code(user.user_name.as_str()));
    if !name.is_empty() && name != user.user_name.as_str() {
        let _ = write!(text, " {}", code(name));
    }
    if !user.enabled {
        text.push_str(", who cannot log in");
    }
    text.push_str(&given(snapshot, id));
    Some(text)
}

/// Who can do what with an object.
fn object(called: &str, read: &LastRead) -> Option<String> {
    let object = read.object(&ObjectName::parse(called)?)?;
    let snapshot = read.effective()?;
    let id = snapshot.find_object(&object.object)?;
    let mut text = format!("**{}**", code(&object.object.to_string()));
    if !object.description.as_str().is_empty() {
        let _ = write!(text, " {}", code(object.description.as_str()));
    }
    if !object.tags.is_empty() {
        let tags = object.tags.iter().map(|tag| format!("{}: {}", tag.key, tag.value));
        let _ = write!(text, "\n\nTags: {}", listed(tags));
    }
    let mut holders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for answer in snapshot.who(id, &AnswerFilter::default()) {
        let principal = snapshot.principal(answer.user);
        if answer.how != How::Obtainable && principal.kind == PrincipalKind::User {
            holders.entry(permission_text(snapshot, &answer)).or_default().push(principal.name.to_string());
        }
    }
    if holders.is_empty() {
        text.push_str("\n\nNobody holds anything on it.");
    }
    for (at, (permission, users)) in holders.into_iter().enumerate().take(limits::EDITOR_SHOWN) {
        let _ = write!(text, "{}- {permission}: {}", if at == 0 { "\n\n" } else { "\n" }, listed(users));
    }
    Some(text)
}

/// What a permission is for, on the kinds of objects that have it.
fn permission(site: &Site<'_>, name: &str, read: &LastRead) -> Option<String> {
    let kind = super::complete::kind_here(site, read);
    let kinds = read.catalogue().description.kinds.iter().filter(|one| kind.is_none_or(|kind| kind.name == one.name));
    let mut text = String::new();
    for (kind, permission) in
        kinds.filter_map(|kind| Some((kind, permission_of(kind, name)?))).take(limits::EDITOR_SHOWN)
    {
        let _ = write!(text, "\n- {}", code(kind.name.as_str()));
        if !permission.description.as_str().is_empty() {
            let _ = write!(text, ": {}", code(permission.description.as_str()));
        }
        if !permission.needs.is_empty() {
            let any = |needs: &Vec<raito_core::record::KindPermission>| {
                needs
                    .iter()
                    .map(|need| format!("{} on the {}", code(need.permission.as_str()), code(need.kind.as_str())))
                    .collect::<Vec<_>>()
                    .join(" or ")
            };
            let needs: Vec<String> = permission.needs.iter().map(any).collect();
            let _ = write!(text, "; it needs {}", needs.join(" and "));
        }
    }
    (!text.is_empty()).then(|| format!("**{}**\n{text}", code(name)))
}

fn permission_of<'k>(
    kind: &'k raito_core::record::ObjectKind,
    name: &str,
) -> Option<&'k raito_core::record::Permission> {
    kind.permissions.iter().find(|permission| permission.name.as_str() == name)
}
