//! The chain, walked again where a log is opened: lines that were changed, swapped or taken out
//! since they were written are found before a run adds to them and signs the whole.
//!
//! All of a log of ordinary size is walked, and of a longer one its last part and another one at a
//! random place. So what was changed in a long log is found by one of the next runs, and by `raito
//! audit verify` at once.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};

use raito_core::checkpoint::Root;
use raito_core::digest::Digest;
use raito_core::limits;

use crate::head::Head;
use crate::log::GENESIS;
use crate::tree::{Tree, leaf};

/// Why a walk ended before its end.
pub(crate) enum Broken {
    /// The file cannot be read.
    Io(io::Error),
    /// The lines are not those that were written.
    Another(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Walks along the lines up to the head. They must follow each other and end with the line that the
/// head has; where all of them are walked, they must be those of the head's tree, and of the newest
/// checkpoint.
pub(crate) fn walk(file: &File, head: &Head, tree: &Tree, newest: Option<Root>) -> Result<(), Broken> {
    let end = head.bytes();
    if end <= limits::AUDIT_WALKED_BYTES {
        return whole(file, head, tree, newest);
    }
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let last = end - limits::AUDIT_WALKED_BYTES;
    let probe = u64::from_le_bytes(random) % last;
    parts(file, head, last, (probe, (probe + limits::AUDIT_PROBED_BYTES).min(end)))
}

/// Walks along the lines from a place on to the head's, and along those of another stretch.
fn parts(file: &File, head: &Head, last: u64, (from, to): (u64, u64)) -> Result<(), Broken> {
    if stretch(file, last, head.bytes(), |_, _| Ok(()))? != Some(head.sha256) {
        return Err(Broken::Another(format!("its line {} is not the one that was synced", head.seq)));
    }
    stretch(file, from, to, |_, _| Ok(())).map(|_| ())
}

/// Walks along all lines.
fn whole(file: &File, head: &Head, tree: &Tree, newest: Option<Root>) -> Result<(), Broken> {
    let mut walked = Tree::default();
    let last = stretch(file, 0, head.bytes(), |line, prev| {
        if walked.size() == 0 && prev != GENESIS {
            return Err(Broken::Another("its line 1 follows a line that is not there".into()));
        }
        walked.push(leaf(line));
        match newest {
            Some(newest) if newest.size == walked.size() && newest != walked.root() => {
                Err(Broken::Another(format!("its first {} lines are not those that were signed", newest.size)))
            }
            _ => Ok(()),
        }
    })?;
    if last != Some(head.sha256) || walked != *tree {
        return Err(Broken::Another(format!("its {} lines are not those that were synced", head.seq)));
    }
    Ok(())
}

/// Walks along the lines that begin in a stretch of the file, and gives the digest of the last one;
/// none where there is none.
fn stretch(
    file: &File,
    from: u64,
    to: u64,
    mut each: impl FnMut(&[u8], Digest) -> Result<(), Broken>,
) -> Result<Option<Digest>, Broken> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(from.saturating_sub(1)))?;
    let mut lines = BufReader::with_capacity(1 << 18, file.take(to - from.saturating_sub(1)));
    let mut line = Vec::new();
    if from > 0 {
        // To the end of the line that the stretch begins in, where it does not begin with one.
        lines.read_until(b'\n', &mut line)?;
    }
    let mut last: Option<Digest> = None;
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 || !line.ends_with(b"\n") {
            return Ok(last);
        }
        let text = &line[..line.len() - 1];
        let prev = prev(text).ok_or_else(|| Broken::Another(format!("line {} is no line of it", number(text))))?;
        if last.is_some_and(|last| last != prev) {
            return Err(Broken::Another(format!("line {} does not follow the line before", number(text))));
        }
        each(text, prev)?;
        last = Some(Digest::of(text));
    }
}

/// The text behind a key, in the beginning of a line, where this program writes it. A line with the
/// key elsewhere is another line, and its digest shows that.
fn behind<'l>(line: &'l [u8], key: &str) -> Option<&'l [u8]> {
    let beginning = &line[..line.len().min(512)];
    let at = beginning.windows(key.len()).position(|part| part == key.as_bytes())?;
    line.get(at + key.len()..)
}

/// The digest of the line before, as a line says.
fn prev(line: &[u8]) -> Option<Digest> {
    std::str::from_utf8(behind(line, "\"prev\":\"")?.get(..64)?).ok()?.parse().ok()
}

/// The number that a line says it has, for people.
fn number(line: &[u8]) -> String {
    let digits = behind(line, "\"seq\":").unwrap_or_default().iter().take(20).take_while(|byte| byte.is_ascii_digit());
    let number: String = digits.map(|byte| char::from(*byte)).collect();
    if number.is_empty() { "without a number".to_owned() } else { number }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use raito_core::event::Event;
    use raito_core::ports::{Clock, Ledger as _};
    use raito_core::text::RunId;

    use super::*;
    use crate::{LOG_FILE, Log};

    struct Noon;

    impl Clock for Noon {
        fn now_ms(&self) -> u64 {
            1_767_268_800_000
        }
    }

    fn written(folder: &Path) -> Vec<String> {
        let run = RunId::new("018f4d2a-0000-7000-8000-000000000000").expect("a UUID");
        let log = Log::open(folder, run, Arc::new(Noon)).expect("opens");
        for number in 0..20 {
            let event = Event::TargetEnd { target: format!("t{}", "x".repeat(number)), outcome: "completed".into() };
            log.append(&event).expect("written");
        }
        log.sync().expect("on the disk");
        let text = fs::read_to_string(folder.join(LOG_FILE)).expect("a log");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn of_a_long_log_the_last_part_is_walked_and_another_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let lines = written(folder.path());
        let head = Head::read(folder.path()).expect("readable").expect("a head");
        let path = folder.path().join(LOG_FILE);
        let begins: Vec<u64> =
            (0..lines.len()).map(|at| lines[..at].iter().map(|line| line.len() as u64 + 1).sum()).collect();
        let walked = |last: u64, from: u64, to: u64| parts(&File::open(&path).expect("there"), &head, last, (from, to));
        for from in 0..=begins[19] {
            assert!(walked(from, head.bytes() - from, head.bytes()).is_ok(), "as it was written, from {from}");
        }
        for swapped in 0..lines.len() - 2 {
            let mut other = lines.clone();
            other.swap(swapped, swapped + 1);
            fs::write(&path, other.join("\n") + "\n").expect("writable");
            let sizes: Vec<u64> = other.iter().map(|line| line.len() as u64 + 1).collect();
            let at: u64 = sizes[..swapped].iter().sum();
            // Both of the lines and the one behind them, or the one before.
            let behind = at + sizes[swapped..swapped + 3].iter().sum::<u64>();
            assert!(walked(begins[19], at, behind).is_err(), "the stretch has them: {swapped}");
            assert!(walked(at, 0, 1).is_err(), "the last part has them: {swapped}");
            assert!(walked(begins[19], behind, head.bytes()).is_ok(), "neither has them: {swapped}");
        }
    }
}
