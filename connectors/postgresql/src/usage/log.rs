//! The server's log, where pgaudit writes each relation that a statement uses.
//!
//! Files are read from where the last completed run ended, in parts, and only up to the time at which this run began. What a
//! run has read before is read again only where its end is not certain, and known by its id; a file that nobody has written to since
//! is not looked into.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raito_sdk::data_usage::{Access, Coverage, Page, Statement};
use raito_sdk::{Call, Context, Fault, Gap, Settings, SqlRow};

use super::audit::{Used, audited, is_whole};
use super::entries::{Cutter, Entry, Format, Zones, entry};
use super::memory::{HEAD, Head, Memory, Read};
use super::people::People;
use super::{LOG, gap};
use crate::cluster::Scope;
use crate::names::object_ref;

/// Bytes of a file that are asked for at once: in base64 with its line ends less than a cell may have.
const PART: i64 = 720_000;
/// The longest record that is understood, in bytes. A longer one is left out.
const RECORD: usize = 4 * 1024 * 1024;
/// How long a line may take from its time into the file, in milliseconds: younger ones are left to the next run.
const SETTLING: u64 = 2_000;
/// Statements that wait for their further lines.
const OPEN: usize = 1_024;
/// Bytes of a text that are reported; a longer one is cut.
const TEXT: usize = 60_000;

struct File {
    name: String,
    format: Format,
    size: i64,
    changed_ms: u64,
    /// Its first bytes, where somebody wrote to it since the last run.
    beginning: Option<Vec<u8>>,
}

/// A file that is being read.
struct Current {
    read: Read,
    format: Format,
    size: i64,
    /// Where the next part begins.
    next: i64,
    cutter: Cutter,
    /// Where the next record begins.
    record: i64,
    /// Where the first record stands that is left to the next run.
    left: Option<i64>,
}

/// The log.
pub(crate) struct Log {
    at: Option<String>,
    scope: Scope,
    people: People,
    zones: Zones,
    files: VecDeque<File>,
    current: Option<Current>,
    before: Memory,
    memory: Memory,
    /// From when on the log is whole; none before anything was read.
    from_ms: Option<u64>,
    /// Whether the log can be whole at all.
    whole: bool,
    to_ms: u64,
    open: BTreeMap<String, (String, Statement)>,
    /// Texts that were cut.
    cut: u64,
    gaps: Vec<Gap>,
    ended: bool,
}

fn call(statement: &str, at: Option<&String>) -> Call {
    let call = Call::new(LOG, statement);
    match at {
        Some(at) => call.at(at),
        None => call,
    }
}

fn milliseconds(row: &SqlRow, column: usize) -> u64 {
    row.integer(column).and_then(|number| u64::try_from(number).ok()).unwrap_or_default()
}

impl Log {
    /// Opens the log, or says why it tells nothing.
    pub(crate) fn open(context: &Context, since_ms: Option<u64>) -> Result<Result<Self, String>, Fault> {
        let at = Settings::new(context).place(LOG).and_then(|place| place.at.first().cloned());
        let mut row = call("log-settings", at.as_ref()).query_one()?;
        let (collector, destinations, audited) = (row.text(0), row.text(1), row.text(2));
        let (server, started_ms, now_ms, zone) =
            (row.text(3), milliseconds(&row, 4), milliseconds(&row, 5), row.text(6));
        let relations = row.text(7);
        if collector != "on" {
            return Ok(Err("usage: the server does not collect its log: set logging_collector to on".into()));
        }
        let Some(format) = ["jsonlog", "csvlog"].into_iter().find(|format| destinations.contains(format)) else {
            return Ok(Err("usage: the server's log is for people only: add jsonlog to log_destination".into()));
        };
        if audited.is_empty() {
            return Ok(Err(
                "usage: pgaudit is not loaded: add it to shared_preload_libraries, and set pgaudit.log".into()
            ));
        }
        let format = if format == "jsonlog" { Format::Json } else { Format::Csv };
        let mut gaps = Vec::new();
        if !is_whole(&audited) {
            gaps.push(gap(format!("usage: pgaudit.log is {audited}, so not all reading and writing is logged")));
        }
        if relations != "on" {
            let what = "so the log does not say what statements use";
            gaps.push(gap(format!("usage: pgaudit.log_relation is off, {what}: set it to on")));
        }
        let mut exceptions = call("log-exceptions", at.as_ref()).query()?;
        while let Some(mut row) = exceptions.next_row()? {
            let (role, database) = (row.text(0), row.text(1));
            gaps.push(gap(format!("usage: what is logged differs for role {role:?} in database {database:?}")));
        }
        let before = Memory::load(&server, since_ms);
        let files = files(at.as_ref(), format, before.to_ms)?;
        let to_ms = now_ms.saturating_sub(SETTLING);
        let memory = Memory::after(&before, server, to_ms);
        let mut log = Self {
            scope: Scope::new(context),
            people: People::read(context)?,
            zones: zones(at.as_ref(), &zone)?,
            whole: gaps.is_empty(),
            at,
            files,
            current: None,
            from_ms: None,
            before,
            memory,
            to_ms,
            open: BTreeMap::new(),
            cut: 0,
            gaps,
            ended: false,
        };
        log.join(started_ms)?;
        Ok(Ok(log))
    }

    /// What the log covers.
    pub(crate) fn coverage(&self) -> Option<Coverage> {
        covered(self.from_ms.filter(|_| self.whole)?, self.to_ms)
    }

    /// Sets from when on the log is whole: from where the last run ended, if the file is there that it read last. A server that
    /// was started since may have had other settings in between.
    fn join(&mut self, started_ms: u64) -> Result<(), Fault> {
        let Some(last) = self.before.last().cloned() else { return Ok(()) };
        let is_it = |file: &&File| file.name == last.name && file.size >= last.offset;
        let Some(beginning) = self.files.iter().find(is_it).map(|file| file.beginning.clone()) else { return Ok(()) };
        if last.head.begins(&beginning.map_or_else(|| self.part(&last.name, 0, HEAD), Ok)?) {
            let before_ms = self.before.to_ms;
            self.from_ms = Some(if started_ms > before_ms { started_ms } else { before_ms });
        }
        Ok(())
    }

    /// Some bytes of a file.
    fn part(&self, name: &str, offset: i64, length: i64) -> Result<Vec<u8>, Fault> {
        let part = call("log-part", self.at.as_ref()).text("name", name).integer("offset", offset);
        let mut row = part.integer("length", length).query_one()?;
        bytes(name, &row.text(0))
    }

    /// Begins the next file that has something new.
    fn begin(&mut self) -> Result<bool, Fault> {
        while let Some(file) = self.files.pop_front() {
            let File { name, size, changed_ms, beginning, format } = file;
            if let Some(read) = self.before.unchanged(&name, size, changed_ms) {
                self.memory.keep(read);
                continue;
            }
            if self.before.is_forgotten(&name, changed_ms) {
                continue;
            }
            let beginning = beginning.map_or_else(|| self.part(&name, 0, HEAD), Ok)?;
            let offset = self.before.offset(&name, size, &beginning);
            let read = Read { name, head: Head::of(&beginning), offset, changed_ms };
            if offset >= size {
                self.memory.keep(read);
                continue;
            }
            let cutter = Cutter::default();
            self.current = Some(Current { read, format, size, next: offset, cutter, record: offset, left: None });
            return Ok(true);
        }
        Ok(false)
    }

    /// The next page: the statements that a part of a file completes.
    pub(crate) fn next(&mut self) -> Result<Option<Page>, Fault> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let mut told = Vec::new();
            if self.current.is_some() || self.begin()? {
                self.read_part(&mut told)?;
            } else {
                self.ended = true;
                told.extend(std::mem::take(&mut self.open).into_values().map(|(_, statement)| statement));
                self.remember()?;
            }
            if !told.is_empty() || !self.gaps.is_empty() {
                return Ok(Some(Page { statements: told, gaps: std::mem::take(&mut self.gaps), resume: None }));
            }
        }
    }

    fn read_part(&mut self, told: &mut Vec<Statement>) -> Result<(), Fault> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        let length = PART.min(current.size - current.next);
        let bytes = self.part(&current.read.name, current.next, length)?;
        let whole = i64::try_from(bytes.len()).unwrap_or(i64::MAX) == length;
        current.next += length;
        current.cutter.push(&bytes);
        for record in current.cutter.records(current.format) {
            let at = current.record;
            current.record += i64::try_from(record.len()).unwrap_or_default() + 1;
            match entry(current.format, &record, &self.zones) {
                Some(entry) if entry.time_ms > self.to_ms => {
                    current.left.get_or_insert(at);
                }
                Some(entry) => self.take(entry, told),
                None => {
                    self.whole = false;
                    self.gaps
                        .push(gap(format!("usage: {} at byte {at}: the entry is not understood", current.read.name)));
                }
            }
        }
        if current.cutter.pending() > RECORD {
            current.cutter.forget();
            self.whole = false;
            self.gaps.push(gap(format!("usage: {}: an entry is longer than {RECORD} bytes", current.read.name)));
        }
        if current.next < current.size && whole {
            self.current = Some(current);
        } else {
            let offset = current.left.unwrap_or(current.record);
            self.memory.keep(Read { offset, ..current.read });
        }
        Ok(())
    }

    /// Takes an entry: a line of pgaudit is part of a statement, and one about a changed setting ends what is covered.
    fn take(&mut self, entry: Entry, told: &mut Vec<Statement>) {
        let is_setting = ["\"pgaudit.", "\"log_destination\"", "\"log_min_messages\"", "\"logging_collector\""];
        if self.from_ms.is_none()
            || (entry.user.is_empty() && is_setting.iter().any(|name| entry.message.contains(name)))
        {
            self.from_ms = Some(entry.time_ms);
        }
        let excluded = &self.scope.excluded;
        let Some(line) = audited(&entry.message, &entry.database, |schema| excluded.iter().any(|name| name == schema))
        else {
            return;
        };
        let id = format!("{}/{}", entry.session, line.statement);
        let is_more = self.open.get(&entry.session).is_some_and(|(open, _)| *open == id);
        if !is_more {
            if self.open.len() >= OPEN {
                told.extend(std::mem::take(&mut self.open).into_values().map(|(_, statement)| statement));
            }
            if matches!(line.used, Used::System) {
                return;
            }
            let statement = self.statement(&entry, id.clone());
            let before = self.open.insert(entry.session.clone(), (id, statement));
            told.extend(before.map(|(_, statement)| statement));
        }
        let Some((_, statement)) = self.open.get_mut(&entry.session) else { return };
        if let Used::Object(access) = line.used
            && !statement.accessed.iter().any(|known| is_same(known, &access))
        {
            statement.accessed.push(access);
            statement.precise = true;
        }
        if let (None, Some(text)) = (&statement.text, line.text) {
            self.cut += u64::from(text.len() > TEXT);
            statement.text = Some(cut(text));
        }
    }

    fn statement(&self, entry: &Entry, external_id: String) -> Statement {
        Statement {
            external_id,
            user: self.people.login(&entry.user),
            role: None,
            text: None,
            within: Some(object_ref("database", &[&entry.database])),
            started_ms: Some(entry.time_ms),
            ended_ms: None,
            success: None,
            calls: 1,
            // Until a line names what it uses: where none does, the host tells that from the text.
            precise: false,
            accessed: vec![],
            bytes: None,
            rows: None,
        }
    }

    fn remember(&mut self) -> Result<(), Fault> {
        if self.from_ms.is_none() {
            self.from_ms = Some(self.to_ms);
        }
        if self.cut > 0 {
            self.gaps.push(gap(format!("usage: the texts of {} statements are too long and were cut", self.cut)));
        }
        self.memory.store()
    }
}

/// What a log covers that is whole from one time on and read up to another. Where nothing is old enough to be read, that is
/// nothing, and no moment either: it could lie before the server began.
fn covered(from_ms: u64, to_ms: u64) -> Option<Coverage> {
    (from_ms < to_ms).then_some(Coverage { from_ms, to_ms })
}

fn is_same(one: &Access, other: &Access) -> bool {
    one.action == other.action && one.object.kind == other.object.kind && one.object.path == other.object.path
}

fn cut(mut text: String) -> String {
    text.truncate((0..=text.len().min(TEXT)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default());
    text
}

/// What the server writes as base64, in lines.
fn bytes(name: &str, text: &str) -> Result<Vec<u8>, Fault> {
    let text: String = text.split_ascii_whitespace().collect();
    let wrong = |error| raito_sdk::fault(raito_sdk::FaultKind::Internal, format!("{name}: {error}"));
    STANDARD.decode(text).map_err(wrong)
}

/// The files of a format, the oldest first, with the beginnings of those that were changed since.
fn files(at: Option<&String>, format: Format, since_ms: u64) -> Result<VecDeque<File>, Fault> {
    let mut files = Vec::new();
    let since = i64::try_from(since_ms).unwrap_or(i64::MAX);
    let mut rows = call("log-files", at).integer("since", since).query()?;
    while let Some(mut row) = rows.next_row()? {
        let name = row.text(0);
        if Format::of(&name) == Some(format) {
            let (size, changed_ms) = (row.integer(1).unwrap_or_default(), milliseconds(&row, 2));
            let beginning = row.optional(3).map(|text| bytes(&name, &text)).transpose()?;
            files.push(File { name, format, size, changed_ms, beginning });
        }
    }
    files.sort_by(|a, b| (a.changed_ms, &a.name).cmp(&(b.changed_ms, &b.name)));
    Ok(files.into())
}

/// The abbreviations of time zones, with the one that the log has now.
fn zones(at: Option<&String>, zone: &str) -> Result<Zones, Fault> {
    let mut zones = BTreeMap::from([("UTC".to_owned(), 0), ("GMT".to_owned(), 0)]);
    let mut rows = call("log-zones", at).text("zone", zone).query()?;
    while let Some(mut row) = rows.next_row()? {
        zones.insert(row.text(0), row.integer(1).unwrap_or_default() * 1_000);
    }
    Ok(Zones(zones))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_younger_than_what_is_read_of_it_covers_nothing() {
        let span = |from_ms, to_ms| covered(from_ms, to_ms).map(|covered| (covered.from_ms, covered.to_ms));
        assert_eq!((span(5, 7), span(7, 7), span(9, 7)), (Some((5, 7)), None, None));
    }
}
