//! Thresholds: how much may disappear in one go before a person has to say that it should.
//!
//! A wrong filter, a revoked right or an empty answer all look like "everything is gone". So whatever would remove more
//! than a share and a count stops, says the exact number, and goes on only when somebody types that number.

use serde::{Deserialize, Serialize};

/// When removing stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Thresholds {
    /// Percent of what was there before.
    pub remove_percent: u8,
    /// How many may always go, whatever share they are.
    pub remove_count: u64,
}

impl Default for Thresholds {
    /// A fifth, and at least fifty: what removal a target of ordinary size sees from one day to the next.
    fn default() -> Self {
        Self { remove_percent: 20, remove_count: 50 }
    }
}

/// A removal that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[error(
    "{removed} of {before} {what} would be removed, which is over the threshold of {remove_percent} % (and {remove_count})"
)]
pub struct OverThreshold {
    /// What would be removed, such as `users`.
    pub what: String,
    /// How many.
    pub removed: u64,
    /// How many there were.
    pub before: u64,
    /// The threshold's share.
    pub remove_percent: u8,
    /// The threshold's count.
    pub remove_count: u64,
}

impl Thresholds {
    /// Says whether this many of this many may go. `allowed` is the number that a person typed: it must be the exact one.
    ///
    /// # Errors
    /// `OverThreshold` where a person has to say so.
    pub fn check(&self, what: &str, removed: u64, before: u64, allowed: Option<u64>) -> Result<(), OverThreshold> {
        let share = u128::from(removed) * 100 > u128::from(before) * u128::from(self.remove_percent);
        if !share || removed <= self.remove_count || allowed == Some(removed) {
            return Ok(());
        }
        Err(OverThreshold {
            what: what.to_owned(),
            removed,
            before,
            remove_percent: self.remove_percent,
            remove_count: self.remove_count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_share_and_the_count_must_be_exceeded() {
        let check = |removed, before, allowed| Thresholds::default().check("users", removed, before, allowed).is_ok();
        assert!(check(0, 0, None));
        assert!(check(50, 60, None), "few");
        assert!(check(200, 1_000, None), "a small share");
        assert!(!check(201, 1_000, None));
        assert!(!check(988, 1_100, None));
        assert!(check(988, 1_100, Some(988)));
        assert!(!check(988, 1_100, Some(1_000)), "another number is no consent to this one");
    }
}
