//! A list that is read in pages by key: each page begins behind the last key of the page before, so that the answer is
//! bounded, an insert or a delete between two pages moves nothing, and a break costs one page.

use raito_sdk::types::Value;
use raito_sdk::{Call, Fault, Rows, SqlRow};

use crate::cluster::Scope;

/// The slot of the cluster.
pub(crate) const MAIN: &str = "sql.main";

/// A statement of the manifest that gives a page of a list.
#[derive(Clone, Copy)]
pub(crate) struct Listing {
    /// The statement.
    pub(crate) statement: &'static str,
    /// The parameters that take the last key; the first columns of each row, in this order.
    pub(crate) keys: &'static [&'static str],
    /// Whether it leaves out schemas.
    pub(crate) excludes: bool,
}

impl Listing {
    /// A list of the cluster whose key is one oid.
    pub(crate) const fn of_cluster(statement: &'static str) -> Self {
        Self { statement, keys: &["after"], excludes: false }
    }

    /// A list of a database whose key is one oid.
    pub(crate) const fn of_database(statement: &'static str) -> Self {
        Self { statement, keys: &["after"], excludes: true }
    }
}

/// A list that is being read.
pub(crate) struct Keyset {
    listing: Listing,
    at: Option<String>,
    scope: Scope,
    after: Vec<i64>,
    page: Option<Rows>,
    /// Keys that the page has given.
    keys: i64,
    ended: bool,
}

impl Keyset {
    /// Begins a list at one of the granted databases.
    pub(crate) fn new(listing: Listing, at: Option<String>, scope: &Scope) -> Self {
        Self {
            listing,
            at,
            scope: scope.clone(),
            after: vec![0; listing.keys.len()],
            page: None,
            keys: 0,
            ended: false,
        }
    }

    fn call(&self) -> Call {
        let mut call = Call::new(MAIN, self.listing.statement).integer("limit", self.scope.limit);
        for (name, value) in self.listing.keys.iter().zip(&self.after) {
            call = call.integer(name, *value);
        }
        if self.listing.excludes {
            call = call.value("exclude", Value::Texts(self.scope.excluded.clone()));
        }
        match &self.at {
            Some(at) => call.at(at),
            None => call,
        }
    }

    /// The next row; none at the end, which is where a page has fewer keys than it may have.
    pub(crate) fn next_row(&mut self) -> Result<Option<SqlRow>, Fault> {
        while !self.ended {
            let page = match &mut self.page {
                Some(page) => page,
                None => {
                    self.keys = 0;
                    let page = self.call().query()?;
                    self.page.insert(page)
                }
            };
            if let Some(row) = page.next_row()? {
                let mut is_new = self.keys == 0;
                for (at, key) in self.after.iter_mut().enumerate() {
                    let value = row.integer(at).unwrap_or(*key);
                    is_new |= std::mem::replace(key, value) != value;
                }
                self.keys += i64::from(is_new);
                return Ok(Some(row));
            }
            self.ended = self.keys < self.scope.limit;
            self.page = None;
        }
        Ok(None)
    }
}
