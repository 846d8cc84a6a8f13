//! How much of the log's files was read, as the next run needs it: small, however many files there are.

use raito_sdk::{Fault, state};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a file's beginning that it is known by, as the statement that lists the files has them.
pub(super) const HEAD: i64 = 512;
/// Bytes that the remembered files may take together, a bit less than a value of the state may have. One takes about 150.
const FILES_BYTES: usize = 900_000;
/// The key of what is remembered.
const STATE: &str = "log";

/// What the last completed run left.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// The cluster.
    pub(super) server: String,
    /// Until when the log was read.
    pub(super) to_ms: u64,
    /// The files that were there, the newest last.
    files: Vec<Read>,
    /// Files that were changed last at this time or before are no longer remembered one by one: they were read to their end.
    older_ms: u64,
}

/// How much of a file was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) name: String,
    pub(super) head: Head,
    /// Where the next run goes on.
    pub(super) offset: i64,
    /// When it was changed last, in milliseconds since 1970.
    #[serde(skip)]
    pub(super) changed_ms: u64,
}

/// The beginning of a file as it was: a file that is known by less than a whole head is known by that when it has grown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    bytes: usize,
    digest: String,
}

impl Head {
    /// Of the first bytes of a file, of which `HEAD` are looked at.
    pub(super) fn of(beginning: &[u8]) -> Self {
        let known = &beginning[..beginning.len().min(usize::try_from(HEAD).unwrap_or_default())];
        // Half of the digest: files of one folder are told apart by much less.
        let digest = Sha256::digest(known).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: known.len(), digest }
    }

    /// Whether a file that begins like this is the one that had this head.
    pub(super) fn begins(&self, beginning: &[u8]) -> bool {
        beginning.get(..self.bytes).is_some_and(|known| Self::of(known) == *self)
    }
}

impl Memory {
    /// What the last completed run left of this cluster; nothing where the cloud knows nothing of this target.
    pub(super) fn load(server: &str, since_ms: Option<u64>) -> Self {
        let stored = if since_ms.is_some() { state::get(STATE) } else { None };
        let memory: Option<Self> = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        memory.filter(|memory| memory.server == server).unwrap_or_default()
    }

    /// What a run begins with that knows what the one before left.
    pub(super) fn after(before: &Self, server: String, to_ms: u64) -> Self {
        Self { server, to_ms, files: Vec::new(), older_ms: before.older_ms }
    }

    /// The file by which a run knows that it goes on where this one ended: the newest that was not empty.
    pub(super) fn last(&self) -> Option<&Read> {
        self.files.iter().rfind(|read| read.head.bytes > 0)
    }

    fn known(&self, name: &str) -> Option<&Read> {
        self.files.iter().find(|known| known.name == name)
    }

    /// A file that was read to its end, and that nobody has written to since, as it was then: whoever puts another one in its place
    /// writes it later.
    pub(super) fn unchanged(&self, name: &str, size: i64, changed_ms: u64) -> Option<Read> {
        let known = self.known(name).filter(|known| known.offset == size && changed_ms <= self.to_ms)?;
        Some(Read { changed_ms, ..known.clone() })
    }

    /// Whether a file was read to its end so long ago that it is no longer remembered by its name.
    pub(super) fn is_forgotten(&self, name: &str, changed_ms: u64) -> bool {
        changed_ms <= self.older_ms && self.known(name).is_none()
    }

    /// Where a file goes on that begins like this: its beginning where it is another one.
    pub(super) fn offset(&self, name: &str, size: i64, beginning: &[u8]) -> i64 {
        let is_it = |known: &&Read| size >= known.offset && known.head.begins(beginning);
        self.known(name).filter(is_it).map_or(0, |known| known.offset)
    }

    /// Remembers a file. The newest comes last.
    pub(super) fn keep(&mut self, read: Read) {
        self.files.push(read);
    }

    /// Leaves it for the next run.
    ///
    /// # Errors
    /// The host's fault, where it does not take it.
    pub(super) fn store(&mut self) -> Result<(), Fault> {
        state::set(STATE, &self.pack())
    }

    /// As bytes, with as many of the newest files as fit.
    fn pack(&mut self) -> Vec<u8> {
        let mut bytes = 0;
        let fits = |read: &&Read| {
            bytes += serde_json::to_string(read).map_or(FILES_BYTES, |text| text.len() + 1);
            bytes <= FILES_BYTES
        };
        let kept = self.files.iter().rev().take_while(fits).count();
        let forgotten = self.files.drain(..self.files.len() - kept).map(|read| read.changed_ms).max();
        self.older_ms = self.older_ms.max(forgotten.unwrap_or_default());
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: u64, head: &[u8]) -> Read {
        let name = format!("postgresql-2026-11-22_{number:06}.json");
        Read { name, head: Head::of(head), offset: 1_000_000, changed_ms: number }
    }

    #[test]
    fn a_file_that_has_grown_is_known_by_what_it_had() {
        let short = Head::of(b"one line");
        assert!(short.begins(b"one line, and another") && short.begins(b"one line"));
        assert!(!short.begins(b"one") && !short.begins(b"One line"));
        let long = Head::of(&[b'x'; 600]);
        assert!(long.begins(&[b'x'; 512]) && !long.begins(&[b'x'; 511]));
    }

    #[test]
    fn a_file_goes_on_where_it_was_left_and_another_one_of_its_name_from_its_beginning() {
        let mut memory = Memory::default();
        memory.keep(read(1, b"old"));
        memory.keep(read(2, b""));
        let name = read(1, b"").name;
        assert_eq!(memory.offset(&name, 2_000_000, b"old, and more"), 1_000_000);
        assert_eq!(memory.offset(&name, 2_000_000, b"new"), 0, "another file");
        assert_eq!(memory.offset(&name, 10, b"old"), 0, "it was cut");
        assert_eq!(memory.offset("other.json", 10, b"old"), 0);
        assert_eq!(memory.last().map(|last| last.name.as_str()), Some(name.as_str()), "an empty file says nothing");
    }

    #[test]
    fn a_file_that_nobody_has_written_to_since_is_not_looked_into() {
        let mut memory = Memory { to_ms: 7, ..Memory::default() };
        memory.keep(read(1, b"line"));
        let name = read(1, b"").name;
        let known =
            |size, changed_ms| memory.unchanged(&name, size, changed_ms).map(|read| (read.offset, read.changed_ms));
        assert_eq!(known(1_000_000, 7), Some((1_000_000, 7)));
        assert_eq!(known(1_000_000, 8), None, "since the log was read, or just then");
        assert_eq!((known(1_000_001, 7), known(999_999, 7)), (None, None), "it has more, or less");
        assert_eq!(memory.unchanged("other.json", 1_000_000, 7).map(|read| read.offset), None);
    }

    #[test]
    fn ten_thousand_files_fit_and_the_oldest_of_them_are_known_by_their_time() {
        let mut memory = Memory { server: "7".into(), to_ms: 9, ..Memory::default() };
        (1..=10_000).for_each(|number| memory.keep(read(number, b"line")));
        let bytes = memory.pack();
        assert!(bytes.len() < 1024 * 1024, "{}", bytes.len());
        let stored: Memory = serde_json::from_slice(&bytes).expect("JSON");
        assert!(stored.files.len() > 5_000, "{}", stored.files.len());
        let first = stored.files[0].changed_ms.max(10_001 - stored.files.len() as u64);
        assert_eq!(stored.older_ms, first - 1);
        let of = |number: u64| read(number, b"").name;
        assert_eq!(stored.offset(&of(10_000), 1_000_000, b"line"), 1_000_000);
        assert!(!stored.is_forgotten(&of(10_000), 10_000));
        assert!(stored.is_forgotten(&of(1), 1), "it was read to its end");
        assert!(!stored.is_forgotten(&of(1), 20_000), "and has changed since");

        // What is forgotten stays so, in a run that forgets nothing more.
        let mut next = Memory::after(&stored, "7".into(), 10);
        next.keep(read(10_000, b"line"));
        next.pack();
        assert_eq!(next.older_ms, stored.older_ms);
    }
}
