//! The ways in which the warehouse misbehaves, as real services do.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::seed::Seed;

/// One way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Some requests are answered with 429 and `Retry-After`.
    TooManyRequests,
    /// One page breaks off in its middle; asked for again, it is whole.
    TruncatedPage,
    /// A page of people repeats an id of the page before, with another name.
    DuplicateId,
    /// A page of tables has fewer items than it had when the total was counted.
    ShrinkingPage,
}

impl Fault {
    /// All faults with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("too-many-requests", Self::TooManyRequests),
        ("truncated-page", Self::TruncatedPage),
        ("duplicate-id", Self::DuplicateId),
        ("shrinking-page", Self::ShrinkingPage),
    ];
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, fault)| *fault).ok_or_else(|| format!("unknown fault {text}: write one of {}", known()))
    }
}

/// Which request misbehaves how.
pub(crate) struct Faults {
    on: BTreeSet<Fault>,
    requests: AtomicU64,
    /// The numbers of the requests that are answered with 429.
    refused: BTreeSet<u64>,
    /// The number of the list request that breaks off.
    truncated: u64,
    lists: AtomicU64,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault], seed: u64) -> Self {
        let mut seed = Seed::new(seed ^ 0xfa17);
        Self {
            on: faults.iter().copied().collect(),
            requests: AtomicU64::new(0),
            refused: (0..3).map(|_| 1 + seed.below(20)).collect(),
            truncated: 1 + seed.below(5),
            lists: AtomicU64::new(0),
        }
    }

    /// Whether this request is one too many.
    pub(crate) fn refuses(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.on.contains(&Fault::TooManyRequests) && self.refused.contains(&number)
    }

    /// Whether this page breaks off.
    pub(crate) fn truncates(&self) -> bool {
        let number = self.lists.fetch_add(1, Ordering::Relaxed) + 1;
        self.on.contains(&Fault::TruncatedPage) && number == self.truncated
    }

    /// Whether pages of people repeat an id.
    pub(crate) fn duplicates(&self) -> bool {
        self.on.contains(&Fault::DuplicateId)
    }

    /// Whether pages of tables shrink.
    pub(crate) fn shrinks(&self) -> bool {
        self.on.contains(&Fault::ShrinkingPage)
    }
}
