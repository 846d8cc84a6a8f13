//! The warehouse's lists: page after page, and a word when a list is shorter than it says.

use raito_sdk::{Call, Context, Fault, FaultKind, Gap, Settings, fault, next_cursor};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The slot of the warehouse's API.
pub(crate) const API: &str = "http.api";

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

/// A list that is read page by page.
pub(crate) struct List {
    entry: &'static str,
    limit: i64,
    since: Option<i64>,
    after: Option<String>,
    total: Option<u64>,
    read: u64,
    ended: bool,
}

/// One page of a list.
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// What is missing, known at the end of the list.
    pub(crate) gap: Option<Gap>,
}

impl List {
    pub(crate) fn new(entry: &'static str, context: &Context) -> Self {
        let limit = Settings::new(context).integer("page-size").unwrap_or(200).clamp(1, 500);
        Self { entry, limit, since: None, after: None, total: None, read: 0, ended: false }
    }

    /// Only what began at this time or later.
    pub(crate) fn since(mut self, since_ms: Option<u64>) -> Self {
        self.since = since_ms.and_then(|since| i64::try_from(since).ok());
        self
    }

    /// Nothing more of it.
    pub(crate) fn ended(mut self) -> Self {
        self.ended = true;
        self
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Where another reader of the same run goes on: how many came, how many were announced, and the cursor.
    pub(crate) fn place(&self) -> String {
        let total = self.total.map(|total| total.to_string()).unwrap_or_default();
        format!("{} {total} {}", self.read, self.after.as_deref().unwrap_or_default())
    }

    /// The list from such a place on.
    pub(crate) fn from(mut self, place: &str) -> Result<Self, Fault> {
        let wrong = || fault(FaultKind::Internal, format!("{place:?} is no place of a list"));
        let mut parts = place.splitn(3, ' ');
        let mut part = || parts.next().ok_or_else(wrong);
        let (read, total, after) = (part()?, part()?, part()?);
        self.read = read.parse().map_err(|_| wrong())?;
        self.total = if total.is_empty() { None } else { Some(total.parse().map_err(|_| wrong())?) };
        self.after = (!after.is_empty()).then(|| after.to_owned());
        Ok(self)
    }

    /// The next page; none at the end.
    pub(crate) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Listed<T>>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let mut call = Call::new(API, self.entry).integer("limit", self.limit).optional("after", self.after.take());
        if let Some(since) = self.since {
            call = call.integer("since", since);
        }
        let page = call.get()?;
        let Items { items } = parse(self.entry, &page.body)?;
        self.read += items.len() as u64;
        self.total = self.total.or_else(|| page.header("x-total-count")?.parse().ok());
        self.after = page.header("link").and_then(|link| next_cursor(link, "after"));
        self.ended = self.after.is_none();
        let gap = if self.ended { missing(self.entry, self.total, self.read) } else { None };
        Ok(Some(Listed { items, gap }))
    }
}

/// What a list that was read to its end lacks.
fn missing(entry: &str, total: Option<u64>, read: u64) -> Option<Gap> {
    let total = total?;
    (read < total).then(|| Gap { scope: None, reason: format!("{entry}: {total} were announced and {read} came") })
}

/// Reads JSON, or says which answer was none.
pub(crate) fn parse<T: DeserializeOwned>(entry: &str, body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body)
        .map_err(|error| fault(FaultKind::Internal, format!("the answer to {entry} is not understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_too_short_is_a_gap() {
        assert!(missing("tables", Some(10), 10).is_none());
        assert!(missing("tables", None, 3).is_none());
        let gap = missing("tables", Some(10), 9).expect("one is missing");
        assert_eq!((gap.scope, gap.reason.as_str()), (None, "tables: 10 were announced and 9 came"));
    }

    #[test]
    fn a_list_goes_on_at_its_place() {
        let list = List {
            entry: "people",
            limit: 2,
            since: None,
            after: Some("a b".into()),
            total: Some(7),
            read: 4,
            ended: false,
        };
        let begun = || List { after: None, total: None, read: 0, ..list };
        let again = begun().from(&list.place()).expect("a place");
        assert_eq!((again.after.as_deref(), again.total, again.read), (Some("a b"), Some(7), 4));
        let start = begun().from(&begun().place()).expect("a place");
        assert_eq!((start.after, start.total, start.read), (None, None, 0));
        assert!(begun().from("4 7").is_err() && begun().from("x  ").is_err());
    }

    #[test]
    fn an_answer_that_is_no_json_is_named() {
        let error = parse::<Items<String>>("people", b"<html>").err().expect("no JSON");
        assert!(error.message.contains("people"), "{}", error.message);
    }
}
