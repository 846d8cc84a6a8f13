//! What the counters were at the end of the last completed run, packed so that many fit into what a connector may remember.

use std::collections::BTreeMap;

use raito_sdk::{Fault, state};

/// What a counter counts: the role, the database, the statement, and whether it was sent as it is or run by another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) role: u32,
    pub(crate) database: u32,
    pub(crate) statement: i64,
    pub(crate) top: bool,
}

/// All counters at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The cluster.
    pub(crate) server: String,
    /// When they were read, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// When they began to count.
    pub(crate) reset_ms: u64,
    /// How many times counters were dropped for want of place.
    pub(crate) dropped: i64,
    /// Whether all that uses rows was to be counted.
    pub(crate) whole: bool,
    pub(crate) calls: BTreeMap<Key, u64>,
}

/// Bytes of one counter.
const ROW: usize = 25;
/// Bytes of one value, a bit less than a value may have.
const VALUE: usize = 40_000 * ROW;
/// Counters that are remembered. The server has 5,000 unless pg_stat_statements.max says more.
pub(crate) const COUNTERS: usize = 6 * 40_000;

impl Snapshot {
    /// What was left under the keys of this connector; nothing where there is none, or of another cluster.
    pub(crate) fn load(server: &str) -> Self {
        let known =
            state::get("counters").and_then(|head| Self::read_head(&head)).filter(|known| known.server == server);
        let Some(mut known) = known else { return Self::default() };
        for number in 0..COUNTERS * ROW / VALUE {
            let Some(bytes) = state::get(&format!("counters.{number}")) else { break };
            known.unpack(&bytes);
            if bytes.len() < VALUE {
                break;
            }
        }
        known
    }

    /// Leaves it for the next run.
    pub(crate) fn store(&self) -> Result<(), Fault> {
        let bytes = self.pack();
        let mut parts: Vec<&[u8]> = bytes.chunks(VALUE).collect();
        if parts.last().is_none_or(|last| last.len() == VALUE) {
            parts.push(&[]);
        }
        for (number, part) in parts.iter().enumerate().take(COUNTERS * ROW / VALUE) {
            state::set(&format!("counters.{number}"), part)?;
        }
        state::set("counters", &self.head())
    }

    fn head(&self) -> Vec<u8> {
        format!("{} {} {} {} {}", self.server, self.at_ms, self.reset_ms, self.dropped, self.whole).into_bytes()
    }

    fn read_head(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut words = text.split(' ');
        Some(Self {
            server: words.next()?.to_owned(),
            at_ms: words.next()?.parse().ok()?,
            reset_ms: words.next()?.parse().ok()?,
            dropped: words.next()?.parse().ok()?,
            whole: words.next()?.parse().ok()?,
            calls: BTreeMap::new(),
        })
    }

    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.calls.len() * ROW);
        for (key, calls) in self.calls.iter().take(COUNTERS) {
            bytes.extend(key.role.to_le_bytes());
            bytes.extend(key.database.to_le_bytes());
            bytes.extend(key.statement.to_le_bytes());
            bytes.push(u8::from(key.top));
            bytes.extend(calls.to_le_bytes());
        }
        bytes
    }

    fn unpack(&mut self, bytes: &[u8]) {
        for row in bytes.chunks_exact(ROW) {
            let number = |from: usize| row[from..from + 4].try_into().map_or(0, u32::from_le_bytes);
            let long = |from: usize| row[from..from + 8].try_into().map_or(0, u64::from_le_bytes);
            let key = Key { role: number(0), database: number(4), statement: long(8).cast_signed(), top: row[16] == 1 };
            self.calls.insert(key, long(17));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        let key = |number: u32| Key {
            role: number,
            database: 5,
            statement: -i64::from(number),
            top: number.is_multiple_of(2),
        };
        let calls = (0..100).map(|number| (key(number), u64::from(number) << 40)).collect();
        let snapshot = Snapshot { server: "7".into(), at_ms: 1, reset_ms: 2, dropped: 3, whole: true, calls };
        let mut read = Snapshot::read_head(&snapshot.head()).expect("a head");
        read.unpack(&snapshot.pack());
        assert_eq!(read, snapshot);
        assert_eq!(Snapshot::read_head(b"x y"), None);
    }
}
