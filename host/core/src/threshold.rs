//! Thresholds: how much may disappear in one go before a person has to say that it should.
//!
//! A wrong filter, a revoked right or an empty answer all look like "everything is gone". So whatever would remove more
//! than a share and a count stops, says the exact number, and goes on only when somebody types that number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When removing stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Thresholds {
    /// Percent of what was there before.
    pub remove_percent: u8,
    /// How many may always go, whatever share they are.
    pub remove_count: u64,
}

impl Default for Thresholds {
    /// A fifth and fifty, both of which have to be exceeded: more than a target of ordinary size sees from one day to the next.
    fn default() -> Self {
        Self { remove_percent: 20, remove_count: 50 }
    }
}

/// How many access controls access code may delete at once, unless the configuration says otherwise: what a team takes away in
/// one change, and far below what a wrong filter does.
pub const DROP_COUNT: u64 = 5;

/// What one read would remove of one kind of record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The kind, such as `users`.
    pub what: String,
    /// How many would be removed.
    pub removed: u64,
    /// How many there are.
    pub before: u64,
}

/// A removal that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[error(
    "{removed} of {before} {what} would be removed, which is more than {remove_percent} % and more than {remove_count}; \
     {total} records would be removed in all"
)]
pub struct OverThreshold {
    /// The first kind of record that is over the threshold.
    pub what: String,
    /// How many of it would be removed.
    pub removed: u64,
    /// How many there are.
    pub before: u64,
    /// The threshold's share.
    pub remove_percent: u8,
    /// The threshold's count.
    pub remove_count: u64,
    /// How many records of all kinds would be removed: the number to type.
    pub total: u64,
    /// Whether the threshold is one of a cloud, which takes the number from whoever may confirm it,
    /// and not with the upload.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_cloud: bool,
}

impl Thresholds {
    /// Says whether all of this may go. `allowed` is the number that a person typed: it must be exactly the total.
    ///
    /// # Errors
    /// `OverThreshold` where a person has to say so.
    pub fn check(&self, removals: &[Removal], allowed: Option<u64>) -> Result<(), OverThreshold> {
        let total = removals.iter().map(|removal| removal.removed).sum();
        let over = |removal: &&Removal| {
            let share =
                u128::from(removal.removed) * 100 > u128::from(removal.before) * u128::from(self.remove_percent);
            share && removal.removed > self.remove_count
        };
        match removals.iter().find(over) {
            Some(removal) if allowed != Some(total) => Err(OverThreshold {
                what: removal.what.clone(),
                removed: removal.removed,
                before: removal.before,
                remove_percent: self.remove_percent,
                remove_count: self.remove_count,
                total,
                by_cloud: false,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_the_share_and_the_count_must_be_exceeded() {
        let check = |removed, before, allowed| {
            let removals = [
                Removal { what: "groups".into(), removed: 7, before: 100 },
                Removal { what: "users".into(), removed, before },
            ];
            Thresholds::default().check(&removals, allowed).map_err(|over| over.total)
        };
        assert_eq!(check(0, 0, None), Ok(()));
        assert_eq!(check(50, 60, None), Ok(()), "few");
        assert_eq!(check(200, 1_000, None), Ok(()), "a small share");
        assert_eq!(check(201, 1_000, None), Err(208));
        assert_eq!(check(988, 1_100, None), Err(995));
        assert_eq!(check(988, 1_100, Some(995)), Ok(()));
        assert_eq!(check(988, 1_100, Some(988)), Err(995), "another number is no consent to this one");
    }
}
