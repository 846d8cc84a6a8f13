//! Pages of lists: what callers ask for, and what they get.

use axum::Json;
use raito_core::limits;
use serde::Deserialize;

use super::answer::Refusal;
use crate::api::Listed;
use crate::store::{Cursor, Page};

/// Parameters of every list, as they are described.
pub(super) const CURSOR: (&str, &str) = ("cursor", "where the page begins");
pub(super) const LIMIT: (&str, &str) = ("limit", "how many, at most 1,000");

/// A page of a list, or why not.
pub(super) type Answer<T> = Result<Json<Listed<T>>, Refusal>;

/// The query of a list that is narrowed to nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    cursor: Option<String>,
    limit: Option<u32>,
}

impl Paging {
    pub(super) fn limit(&self) -> u32 {
        page_limit(self.limit)
    }

    pub(super) fn cursor(&self) -> Result<Option<Cursor>, Refusal> {
        cursor(self.cursor.as_deref())
    }
}

/// How many items a page has that is asked for like that.
pub(super) fn page_limit(asked: Option<u32>) -> u32 {
    asked.unwrap_or(limits::CLOUD_PAGE_DEFAULT).clamp(1, limits::CLOUD_PAGE)
}

/// Where a page begins that is asked for like that.
pub(super) fn cursor(asked: Option<&str>) -> Result<Option<Cursor>, Refusal> {
    let parse = |text| Cursor::parse(text).ok_or_else(|| Refusal::bad_request("cursor: it is none that was given"));
    asked.map(parse).transpose()
}

/// A page as callers get it.
pub(super) fn listed<T>(page: Page<T>) -> Json<Listed<T>> {
    Json(Listed { items: page.items, next_cursor: page.next.map(|cursor| cursor.text()) })
}
