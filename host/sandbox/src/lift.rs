//! From a guest's page to records: the one conversion, which is the check.
//!
//! Each value is taken apart, bounded and rebuilt as a type that cannot be wrong. The first that does not fit ends the
//! step, and the error says on which record and in which field.

mod access;
mod change;
mod description;
mod identity;
mod object;
mod usage;

pub(crate) use access::access_page;
pub(crate) use change::applied;
pub(crate) use description::description;
pub(crate) use identity::identity_page;
pub(crate) use object::object_page;
pub(crate) use usage::{coverage, usage_page};

use raito_core::fault::BadRecord;
use raito_core::limits;
use raito_core::record::{Gap, ObjectRef, Page, Tag};
use raito_core::text::TextError;

use crate::bindings::raito::connector::types;

type Lifted<T> = Result<T, BadRecord>;

/// A text of a type.
fn text<T: TryFrom<String, Error = TextError>>(field: &'static str, value: String) -> Lifted<T> {
    T::try_from(value).map_err(|error| BadRecord::new(field, error))
}

/// A text of a type, where there is one.
fn optional<T: TryFrom<String, Error = TextError>>(field: &'static str, value: Option<String>) -> Lifted<Option<T>> {
    value.map(|value| text(field, value)).transpose()
}

/// A list of at most `max` items.
fn list<A, B>(field: &'static str, max: usize, items: Vec<A>, lift: impl Fn(A) -> Lifted<B>) -> Lifted<Vec<B>> {
    if items.len() > max {
        return Err(BadRecord::new(field, format!("it has {} items, and at most {max} are allowed", items.len())));
    }
    let mut lifted = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        lifted.push(lift(item).map_err(|bad| bad.within(format!("{field}[{index}]")))?);
    }
    Ok(lifted)
}

/// A list of texts of a type.
fn texts<T: TryFrom<String, Error = TextError>>(field: &'static str, max: usize, items: Vec<String>) -> Lifted<Vec<T>> {
    list(field, max, items, |item| text("", item))
}

fn tags(items: Vec<types::Tag>) -> Lifted<Vec<Tag>> {
    list("tags", limits::TAGS, items, |tag| {
        Ok(Tag { key: text("key", tag.key)?, value: text("value", tag.value)?, source: text("source", tag.source)? })
    })
}

fn object_ref(object: types::ObjectRef) -> Lifted<ObjectRef> {
    if object.path.is_empty() {
        return Err(BadRecord::new("path", "it has no parts"));
    }
    Ok(ObjectRef {
        kind: text("kind", object.kind)?,
        path: texts("path", limits::PATH_PARTS, object.path)?,
        signature: optional("signature", object.signature)?,
    })
}

fn gaps(field: &'static str, items: Vec<types::Gap>) -> Lifted<Vec<Gap>> {
    list(field, limits::GAPS, items, |gap| {
        Ok(Gap { scope: optional("scope", gap.scope)?, reason: text("reason", gap.reason)? })
    })
}

/// A page around its records.
fn page<Records>(records: Records, gap: Vec<types::Gap>, resume: Option<String>) -> Lifted<Page<Records>> {
    Ok(Page { records, gaps: gaps("gaps", gap)?, resume: optional("resume", resume)? })
}

/// Refuses a page with more records than a page may have.
fn check_size(records: usize) -> Lifted<()> {
    if records > limits::PAGE_RECORDS {
        let reason = format!("it has {records} records, and at most {} are allowed", limits::PAGE_RECORDS);
        return Err(BadRecord::new("page", reason));
    }
    Ok(())
}
