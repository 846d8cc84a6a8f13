//! Step 5: who used what, run by run from the audit log where the target grants that, else as the server counts.

mod audit;
mod counts;
mod entries;
mod log;
mod memory;
mod people;
mod snapshot;

use std::cell::RefCell;

use raito_sdk::data_usage::{Coverage, GuestReader, Page};
use raito_sdk::{Context, Fault, Gap, Settings};

use counts::Counts;
use log::Log;

/// The slot of the server's log.
pub(crate) const LOG: &str = "sql.log";
/// The slot of the server's counters.
pub(crate) const COUNTERS: &str = "sql.counters";

enum Source {
    Log(Box<Log>),
    Counts(Box<Counts>),
    Nothing,
}

struct Inner {
    source: Source,
    /// What was found on opening that could not be read.
    gaps: Vec<Gap>,
}

/// Reads usage.
pub struct UsageReader(RefCell<Inner>);

impl UsageReader {
    /// Opens the source that says most. `since_ms` is none where the cloud knows nothing yet: then everything is told again.
    ///
    /// # Errors
    /// The fault of the first call.
    pub fn open(context: &Context, since_ms: Option<u64>) -> Result<Self, Fault> {
        let settings = Settings::new(context);
        let (log, counters) = (settings.place(LOG).is_some(), settings.place(COUNTERS).is_some());
        let mut gaps = Vec::new();
        let mut source = Source::Nothing;
        if log {
            match Log::open(context, since_ms)? {
                Ok(log) => source = Source::Log(Box::new(log)),
                Err(reason) => gaps.push(gap(reason)),
            }
        }
        if counters && matches!(source, Source::Nothing) {
            match Counts::open(context, since_ms)? {
                Ok(counts) => source = Source::Counts(Box::new(counts)),
                Err(reason) => gaps.push(gap(reason)),
            }
        }
        if !log && !counters {
            gaps.push(gap(format!("usage: neither {LOG} nor {COUNTERS} is granted")));
        }
        Ok(Self(RefCell::new(Inner { source, gaps })))
    }
}

/// Something that could not be read of the usage of the whole server.
fn gap(reason: impl Into<String>) -> Gap {
    Gap { scope: None, reason: reason.into() }
}

impl GuestReader for UsageReader {
    fn coverage(&self) -> Option<Coverage> {
        match &self.0.borrow().source {
            Source::Log(log) => log.coverage(),
            Source::Counts(counts) => counts.coverage(),
            Source::Nothing => None,
        }
    }

    fn next(&self) -> Result<Option<Page>, Fault> {
        let Inner { source, gaps } = &mut *self.0.borrow_mut();
        let page = match source {
            Source::Log(log) => log.next()?,
            Source::Counts(counts) => counts.next()?,
            Source::Nothing => None,
        };
        let empty = || Page { statements: vec![], gaps: vec![], resume: None };
        let gaps = std::mem::take(gaps);
        let page = if gaps.is_empty() { page } else { Some(page.unwrap_or_else(empty)) };
        Ok(page.map(|mut page| {
            page.gaps.extend(gaps);
            page
        }))
    }
}
