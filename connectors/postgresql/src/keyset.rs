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
    /// The page that was asked for, and what came of it.
    page: Option<Result<Rows, Fault>>,
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

    /// Asks for the next page where none is being read, so that the server is at it while the caller is at something else. What
    /// comes of it is told with the next row.
    pub(crate) fn ask(&mut self) {
        if self.page.is_none() && !self.ended {
            self.keys = 0;
            self.page = Some(self.call().query());
        }
    }

    /// Whether all rows were given.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next row; none at the end.
    pub(crate) fn next_row(&mut self) -> Result<Option<SqlRow>, Fault> {
        while !self.ended {
            if let Some(row) = self.next_of_page()? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// The next row of a page; none at its end. A page that has fewer keys than it may have is the last one.
    pub(crate) fn next_of_page(&mut self) -> Result<Option<SqlRow>, Fault> {
        self.ask();
        let row = match self.page.as_mut() {
            Some(Ok(page)) => page.next_row(),
            Some(Err(fault)) => Err(fault.clone()),
            None => return Ok(None),
        };
        let Ok(Some(row)) = row else {
            self.page = None;
            self.ended = row.is_ok() && self.keys < self.scope.limit;
            return row;
        };
        let mut is_new = self.keys == 0;
        for (at, key) in self.after.iter_mut().enumerate() {
            let value = row.integer(at).unwrap_or(*key);
            is_new |= std::mem::replace(key, value) != value;
        }
        self.keys += i64::from(is_new);
        Ok(Some(row))
    }
}
