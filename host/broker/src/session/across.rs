//! Secrets that come in pieces: what a slot answers is searched as one text too, over the borders
//! of its answers.
//!
//! Pieces are found where they follow each other in the order in which a guest gets them: in the
//! answers of a slot or of one of its entries, in a header field, in a column, or at one place of
//! small JSON answers. Pieces in another order, with other text between them, or of several runs
//! are not.

use std::collections::HashMap;
use std::sync::Arc;

use raito_core::leak::{Leak, Net, Strand};
use raito_core::limits;
use raito_core::manifest::SlotName;
use serde_json::Value;

/// A part of an answer in which a value stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Spot {
    /// Anywhere in the answers of the slot.
    Slot,
    /// Anywhere in the answers of the entry.
    Entry,
    /// In this header field.
    Header(String),
    /// At this place of a JSON answer, whose lists count as one.
    Field(String),
    /// In this column of the rows, from 0.
    Column(usize),
    /// In the names of the columns.
    Names,
}

/// A spot of the answers to an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    slot: SlotName,
    /// Empty where it is about the whole slot.
    entry: String,
    spot: Spot,
}

/// The values that came at each place of a target's answers, as far back as a secret may begin.
#[derive(Default)]
pub(crate) struct Strands {
    known: HashMap<Place, Strand>,
    /// One place for all those beyond the bound.
    rest: Option<Strand>,
}

impl Strands {
    fn at(&mut self, net: &Arc<Net>, place: Place) -> &mut Strand {
        if self.known.len() >= limits::LEAK_STRANDS && !self.known.contains_key(&place) {
            return self.rest.get_or_insert_with(|| Strand::new(net));
        }
        self.known.entry(place).or_insert_with(|| Strand::new(net))
    }
}

/// The entry that something came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) slot: SlotName,
    pub(super) entry: String,
}

/// The search of one answer.
pub(super) struct Search<'s> {
    pub(super) strands: &'s mut Strands,
    pub(super) net: &'s Arc<Net>,
    pub(super) from: &'s Source,
}

impl Search<'_> {
    fn strand(&mut self, spot: Spot) -> &mut Strand {
        let entry = if spot == Spot::Slot { "" } else { self.from.entry.as_str() };
        self.strands.at(self.net, Place { slot: self.from.slot.clone(), entry: entry.to_owned(), spot })
    }

    fn value(&mut self, spot: Spot, value: &[u8]) -> Option<Leak> {
        let net = self.net;
        self.strand(spot).next(net, value)
    }

    /// Bytes that a guest gets next of the slot and of the entry.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<Leak> {
        let net = self.net;
        let of_slot = self.strand(Spot::Slot).ends(net, bytes);
        of_slot.or_else(|| self.strand(Spot::Entry).ends(net, bytes))
    }

    /// The header fields of an answer, and its body where that is given with them.
    pub(super) fn reply(&mut self, headers: &[(String, String)], body: &[u8]) -> Option<Leak> {
        let mut headers = headers.iter();
        let in_head = headers.find_map(|(name, value)| self.value(Spot::Header(name.clone()), value.as_bytes()));
        in_head.or_else(|| self.bytes(body)).or_else(|| self.fields(body))
    }

    /// Each value of a JSON answer at its place; anything else has none.
    pub(super) fn fields(&mut self, body: &[u8]) -> Option<Leak> {
        if body.len() > limits::LEAK_FIELDS_BYTES {
            return None;
        }
        let value: Value = serde_json::from_slice(body).ok()?;
        self.field(&value, &mut String::new())
    }

    fn field(&mut self, value: &Value, path: &mut String) -> Option<Leak> {
        match value {
            Value::Null | Value::Bool(_) => None,
            Value::Number(number) => self.value(Spot::Field(path.clone()), number.to_string().as_bytes()),
            Value::String(text) => self.value(Spot::Field(path.clone()), text.as_bytes()),
            Value::Array(items) => items.iter().find_map(|item| self.field(item, path)),
            Value::Object(members) => members.iter().find_map(|(name, value)| {
                let length = path.len();
                path.push('/');
                path.push_str(name);
                let found = self.field(value, path);
                path.truncate(length);
                found
            }),
        }
    }

    /// The cells of a page, each with those above it, and the first and the last ones as what the
    /// slot answers.
    pub(super) fn rows(&mut self, rows: &[Vec<Option<String>>]) -> Option<Leak> {
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let in_columns = (0..width).find_map(|column| {
            let net = self.net;
            let strand = self.strand(Spot::Column(column));
            let mut cells = rows.iter().filter_map(|row| row.get(column)?.as_deref());
            cells.find_map(|cell| strand.next(net, cell.as_bytes()))
        });
        in_columns.or_else(|| self.bytes(&ends(rows, self.net.holdback)))
    }

    /// The names of columns.
    pub(super) fn names(&mut self, names: &[String]) -> Option<Leak> {
        names.iter().find_map(|name| self.value(Spot::Names, name.as_bytes()))
    }
}

/// The cells of a page as one text, of which only the ends are there where it is long.
fn ends(rows: &[Vec<Option<String>>], most: usize) -> Vec<u8> {
    let cells = || rows.iter().flatten().flatten().map(String::as_bytes);
    let total: usize = cells().map(<[u8]>::len).sum();
    if total <= 3 * most {
        return cells().flatten().copied().collect();
    }
    let mut text = Vec::with_capacity(3 * most);
    text.extend(cells().flatten().take(most));
    // So long that what stands at the beginning and at the end does not pass for one text.
    text.resize(2 * most, 0);
    let last: Vec<u8> = cells().rev().flat_map(|cell| cell.iter().rev()).take(most).copied().collect();
    text.extend(last.iter().rev());
    text
}
