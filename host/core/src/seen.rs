//! What was seen before: a set of ids that takes the same few bytes for each, however long the ids are.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};

/// Ids of one read, by kind. It keeps 64 bits of a keyed hash (SipHash-1-3) of each; the keys are drawn for each set, so
/// nobody outside can choose two ids that look the same. By chance any two of n do with a probability of n²/2⁶⁵: 3 in 10⁸
/// for a million. Such a read would fail, and the next one, with other keys, would not.
///
/// The hashes stand in many tables, by some of their bits. A table that grows is in memory twice, and half of it again: with one
/// for all, ten million ids would take 226 MB for a moment instead of 151.
#[derive(Debug)]
pub struct Seen {
    keys: RandomState,
    tables: [Hashes; TABLES],
}

type Hashes = HashSet<u64, BuildHasherDefault<Itself>>;

/// How many tables there are.
const TABLES: usize = 64;

impl Default for Seen {
    fn default() -> Self {
        Self { keys: RandomState::new(), tables: std::array::from_fn(|_| Hashes::default()) }
    }
}

impl Seen {
    /// Adds an id. False where it was there.
    pub fn insert(&mut self, kind: &str, id: &(impl Hash + ?Sized)) -> bool {
        let hash = self.keys.hash_one((kind, id));
        self.tables[table(hash)].insert(hash)
    }

    /// Whether the id was added.
    pub fn contains(&self, kind: &str, id: &(impl Hash + ?Sized)) -> bool {
        let hash = self.keys.hash_one((kind, id));
        self.tables[table(hash)].contains(&hash)
    }
}

/// The table of a hash. Its bits are from the middle, since a table goes by the lowest and the highest.
fn table(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() % TABLES
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
    fn no_table_has_much_more_than_its_share() {
        let mut seen = Seen::default();
        let count = 1 << 16;
        assert!((0..count).all(|id: usize| seen.insert("user", &id.to_string())));
        let share = count / TABLES;
        // By chance, with 64 tables, not once in 10⁹ times.
        let longest = seen.tables.iter().map(HashSet::len).max().expect("there are some");
        assert!(longest < share * 5 / 4, "{longest} of {count} ids in one table");
    }

    #[test]
    fn kind_and_id_do_not_run_into_each_other() {
        let mut seen = Seen::default();
        assert!(seen.insert("ab", "c"));
        assert!(seen.insert("a", "bc"));
    }
}
