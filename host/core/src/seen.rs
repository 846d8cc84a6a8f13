//! What was seen before: a set of ids that takes the same few bytes for each, however long the ids are.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

/// Ids of one read, by kind. It keeps 64 bits of a keyed hash (SipHash-1-3) of each; the keys are drawn for each set, so
/// nobody outside can choose two ids that look the same. By chance any two of n do with a probability of n²/2⁶⁵: 3 in 10⁸
/// for a million. Such a read would fail, and the next one, with other keys, would not.
#[derive(Debug, Default)]
pub struct Seen {
    keys: RandomState,
    hashes: HashSet<u64, BuildHasherDefault<Itself>>,
}

impl Seen {
    /// Adds an id. False where it was there.
    pub fn insert(&mut self, kind: &str, id: &str) -> bool {
        self.hashes.insert(self.keys.hash_one((kind, id)))
    }

    /// Whether the id was added.
    pub fn contains(&self, kind: &str, id: &str) -> bool {
        self.hashes.contains(&self.keys.hash_one((kind, id)))
    }
}

/// The hash of a hash, which is itself.
#[derive(Debug, Default, Clone, Copy)]
struct Itself(u64);

impl Hasher for Itself {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_for_each_kind() {
        let mut seen = Seen::default();
        assert!(seen.insert("user", "a"));
        assert!(!seen.insert("user", "a"));
        assert!(seen.insert("group", "a"));
        assert!(seen.contains("group", "a") && !seen.contains("group", "b"));
    }

    #[test]
    fn kind_and_id_do_not_run_into_each_other() {
        let mut seen = Seen::default();
        assert!(seen.insert("ab", "c"));
        assert!(seen.insert("a", "bc"));
    }
}
