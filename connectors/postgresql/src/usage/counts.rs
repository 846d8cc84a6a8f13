//! The server's counters (`pg_stat_statements`): what was counted since the last completed run.
//!
//! A counter says how often a statement ran, and neither when nor for whom, but as which role. What it covers ends where the
//! counters were set back, and where the server dropped some for want of place. Where not all statements are counted, nothing
//! is covered: what was used is told all the same, and nothing may be called unused.

use raito_sdk::data_usage::{Coverage, Page, Statement};
use raito_sdk::{Call, Context, Fault, Gap, Settings, SqlRow};

use super::people::People;
use super::snapshot::{COUNTERS as MOST, Key, Snapshot};
use super::{COUNTERS, gap};
use crate::names::{object_ref, role_id};

/// Counters that are asked for at once.
const LIMIT: i64 = 1_000;

/// The counters.
pub(crate) struct Counts {
    at: Option<String>,
    people: People,
    before: Snapshot,
    now: Snapshot,
    after: Option<Key>,
    hidden: u64,
    beyond: u64,
    /// Statements whose text was too long to be told whole.
    cut: u64,
    /// When the server read its settings last.
    settings_ms: u64,
    coverage: Option<Coverage>,
    gaps: Vec<Gap>,
    ended: bool,
}

/// What the server says of its counters.
struct About {
    server: String,
    at_ms: u64,
    reset_ms: u64,
    dropped: i64,
    track: String,
    track_utility: String,
    settings_ms: u64,
}

fn call(statement: &str, at: Option<&String>) -> Call {
    let call = Call::new(COUNTERS, statement);
    match at {
        Some(at) => call.at(at),
        None => call,
    }
}

fn about(at: Option<&String>) -> Result<About, Fault> {
    let mut row = call("counters", at).query_one()?;
    let number = |row: &SqlRow, at| row.integer(at).and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
    Ok(About {
        server: row.text(0),
        at_ms: number(&row, 1),
        reset_ms: number(&row, 2),
        dropped: row.integer(3).unwrap_or_default(),
        track: row.text(4),
        track_utility: row.text(5),
        settings_ms: number(&row, 6),
    })
}

/// What is not counted although it uses rows, each with the setting that would have it counted.
fn uncounted(about: &About) -> Vec<String> {
    let mut all = Vec::new();
    if about.track != "all" {
        all.push(
            "usage: pg_stat_statements.track is top, so what functions run is not counted: set it to all".to_owned(),
        );
    }
    if about.track_utility != "on" {
        let what = "pg_stat_statements.track_utility is off, so COPY and CREATE TABLE AS are not counted";
        all.push(format!("usage: {what}: set it to on"));
    }
    all
}

/// Roles and databases for which less is counted.
fn exceptions(at: Option<&String>) -> Result<Vec<String>, Fault> {
    let mut rows = call("counter-exceptions", at).query()?;
    let mut all = Vec::new();
    while let Some(mut row) = rows.next_row()? {
        all.push(exception(&row.text(0), &row.text(1), &row.text(2)));
    }
    Ok(all)
}

fn exception(role: &str, database: &str, settings: &str) -> String {
    let whose = match (role, database) {
        ("", database) => format!("in database {database:?}"),
        (role, "") => format!("for role {role:?}"),
        (role, database) => format!("for role {role:?} in database {database:?}"),
    };
    format!("usage: not all is counted {whose}: {settings}")
}

impl Counts {
    /// Opens the counters, or says why they tell nothing.
    pub(crate) fn open(context: &Context, since_ms: Option<u64>) -> Result<Result<Self, String>, Fault> {
        let at = Settings::new(context).place(COUNTERS).and_then(|place| place.at.first().cloned());
        let about = about(at.as_ref())?;
        if about.track != "top" && about.track != "all" {
            return Ok(Err(format!("usage: pg_stat_statements.track is {:?}, so nothing is counted", about.track)));
        }
        let mut missing = uncounted(&about);
        let before = if since_ms.is_some() { Snapshot::load(&about.server) } else { Snapshot::default() };
        missing.extend(exceptions(at.as_ref())?);
        let now = Snapshot {
            server: about.server,
            at_ms: about.at_ms,
            reset_ms: about.reset_ms,
            dropped: about.dropped,
            whole: missing.is_empty(),
            ..Snapshot::default()
        };
        let people = People::read(context)?;
        Ok(Ok(Self {
            at,
            people,
            before,
            now,
            after: None,
            hidden: 0,
            beyond: 0,
            cut: 0,
            settings_ms: about.settings_ms,
            coverage: None,
            gaps: missing.into_iter().map(gap).collect(),
            ended: false,
        }))
    }

    /// What the counters cover; known when all are read.
    pub(crate) fn coverage(&self) -> Option<Coverage> {
        self.coverage
    }

    /// The next page.
    pub(crate) fn next(&mut self) -> Result<Option<Page>, Fault> {
        while !self.ended {
            let mut told = Vec::new();
            let mut rows = self.rows().query()?;
            let mut any = false;
            while let Some(row) = rows.next_row()? {
                any = true;
                told.extend(self.take(row));
            }
            if !any {
                self.finish()?;
            }
            if !told.is_empty() || !self.gaps.is_empty() {
                return Ok(Some(Page { statements: told, gaps: std::mem::take(&mut self.gaps), resume: None }));
            }
        }
        Ok(None)
    }

    /// The call for the counters behind the last one. Without one it begins before any that there can be.
    fn rows(&self) -> Call {
        let after = self.after.unwrap_or(Key { role: 0, database: 0, statement: i64::MIN, top: false });
        call("counted", self.at.as_ref())
            .integer("after_role", i64::from(after.role))
            .integer("after_database", i64::from(after.database))
            .integer("after_statement", after.statement)
            .boolean("after_top", after.top)
            .integer("limit", LIMIT)
    }

    /// What a counter has counted since the last run.
    fn take(&mut self, mut row: SqlRow) -> Option<Statement> {
        let oid = |row: &SqlRow, at| row.integer(at).and_then(|oid| u32::try_from(oid).ok()).unwrap_or_default();
        let key = Key {
            role: oid(&row, 0),
            database: oid(&row, 1),
            statement: row.integer(2).unwrap_or_default(),
            top: row.boolean(3),
        };
        self.after = Some(key);
        let (database, text, is_cut) = (row.text(4), row.text(5), row.boolean(7));
        let calls = row.integer(6).and_then(|calls| u64::try_from(calls).ok()).unwrap_or_default();
        if key.statement == 0 {
            // The server hides text and number of what others ran from who may not see it.
            self.hidden += calls;
            return None;
        }
        if self.now.calls.len() >= MOST {
            self.beyond += 1;
            return None;
        }
        self.now.calls.insert(key, calls);
        let new = self.new_calls(key, calls);
        self.cut += u64::from(is_cut && new > 0);
        (new > 0).then(|| self.statement(key, &database, text, new))
    }

    /// Calls since the last run. A counter that has less than it had was set back, and counts from nothing.
    fn new_calls(&self, key: Key, calls: u64) -> u64 {
        let before = if self.before.reset_ms == self.now.reset_ms { self.before.calls.get(&key) } else { None };
        before.map_or(calls, |before| calls.checked_sub(*before).unwrap_or(calls))
    }

    fn statement(&self, key: Key, database: &str, text: String, calls: u64) -> Statement {
        let Key { role, database: oid, statement, top } = key;
        let since = self.since_ms();
        let nested = if top { "" } else { "/nested" };
        Statement {
            external_id: format!("{since}/{oid}/{role}/{statement}{nested}"),
            user: if top { self.people.certain(i64::from(role)) } else { None },
            role: Some(role_id(i64::from(role))),
            text: Some(text),
            within: Some(object_ref("database", &[database])),
            started_ms: Some(since),
            ended_ms: Some(self.now.at_ms),
            success: None,
            calls,
            precise: false,
            accessed: vec![],
            bytes: None,
            rows: None,
        }
    }

    /// Since when what is told now was counted.
    fn since_ms(&self) -> u64 {
        if self.before.reset_ms == self.now.reset_ms { self.before.at_ms } else { self.now.reset_ms }
    }

    /// Since when all was counted. A run that knows that it was so when the last one ended goes on from there; else the settings
    /// can have been others until the server read them.
    fn covered_from_ms(&self, known: bool) -> u64 {
        let since_ms = self.since_ms();
        if known && self.before.whole { since_ms } else { since_ms.max(self.settings_ms) }
    }

    /// Says what is covered, and remembers the counters.
    fn finish(&mut self) -> Result<(), Fault> {
        self.ended = true;
        let after = about(self.at.as_ref())?;
        if self.hidden > 0 {
            let reason = format!("usage: the texts of {} statements are hidden: grant pg_read_all_stats", self.hidden);
            self.gaps.push(gap(reason));
        }
        if self.beyond > 0 {
            self.gaps.push(gap(format!("usage: {} counters beyond {MOST} were not read", self.beyond)));
        }
        if self.cut > 0 {
            let whole = "so what they use is not told whole";
            self.gaps
                .push(gap(format!("usage: the texts of {} statements are too long and were cut, {whole}", self.cut)));
        }
        let same = after.reset_ms == self.now.reset_ms;
        let known = self.before.at_ms > 0 && self.before.reset_ms == self.now.reset_ms;
        let dropped = if known { self.before.dropped } else { 0 };
        if same && after.dropped > dropped {
            let number = after.dropped - dropped;
            let for_want = format!("usage: statements were no longer counted for want of place ({number} times)");
            self.gaps.push(gap(format!("{for_want}: raise pg_stat_statements.max")));
        }
        let went_back = known && self.before.calls.iter().any(|(key, calls)| self.now.calls.get(key) < Some(calls));
        let told = self.now.whole && self.hidden == 0 && self.beyond == 0 && self.cut == 0;
        if same && after.dropped == dropped && !went_back && told {
            let from_ms = self.covered_from_ms(known).min(self.now.at_ms);
            self.coverage = Some(Coverage { from_ms, to_ms: self.now.at_ms });
        }
        self.now.dropped = after.dropped;
        self.now.store()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(before: Snapshot, reset_ms: u64) -> Counts {
        let now = Snapshot { server: "7".into(), at_ms: 900, reset_ms, ..Snapshot::default() };
        Counts {
            at: None,
            people: People::of(&[(10, "ann", true, false), (11, "shared", true, true)]),
            before,
            now,
            after: None,
            hidden: 0,
            beyond: 0,
            cut: 0,
            settings_ms: 700,
            coverage: None,
            gaps: vec![],
            ended: false,
        }
    }

    fn key(statement: i64) -> Key {
        Key { role: 10, database: 5, statement, top: true }
    }

    fn before() -> Snapshot {
        let calls = [(key(1), 7), (key(2), 3)].into();
        Snapshot { server: "7".into(), at_ms: 500, reset_ms: 100, dropped: 0, whole: true, calls }
    }

    fn row(statement: &str, calls: &str) -> SqlRow {
        let cells = ["10", "5", statement, "true", "shop", "select 1", calls, "false"];
        SqlRow::new(cells.map(|cell| Some(cell.to_owned())).into())
    }

    #[test]
    fn only_what_is_new_is_told() {
        let mut counts = counts(before(), 100);
        assert!(counts.take(row("1", "7")).is_none(), "nothing new");
        let told = counts.take(row("2", "5")).expect("two more");
        assert_eq!((told.calls, told.precise, told.started_ms, told.ended_ms), (2, false, Some(500), Some(900)));
        assert_eq!((told.user.as_deref(), told.role.as_deref()), (Some("10"), Some("10")));
        assert_eq!(counts.take(row("3", "4")).map(|told| told.calls), Some(4));
    }

    #[test]
    fn what_was_set_back_counts_from_nothing() {
        let mut all = counts(before(), 600);
        let told = all.take(row("1", "7")).expect("counted since");
        assert_eq!((told.calls, told.started_ms), (7, Some(600)));
        let mut one = counts(before(), 100);
        assert_eq!(one.take(row("1", "2")).map(|told| told.calls), Some(2));
    }

    #[test]
    fn what_is_covered_begins_where_all_was_counted() {
        assert_eq!(counts(before(), 100).covered_from_ms(true), 500);
        let partly = Snapshot { whole: false, ..before() };
        assert_eq!(counts(partly, 100).covered_from_ms(true), 700, "when the server read its settings");
        assert_eq!(counts(Snapshot::default(), 100).covered_from_ms(false), 700);
        assert_eq!(counts(Snapshot::default(), 800).covered_from_ms(false), 800);
    }

    #[test]
    fn what_the_server_hides_is_counted_and_not_told() {
        let mut counts = counts(before(), 100);
        assert!(counts.take(row("", "9")).is_none());
        assert_eq!(counts.hidden, 9);
    }
    #[test]
    fn what_is_not_counted_is_told_with_the_setting_that_counts_it() {
        let of = |track: &str, track_utility: &str| {
            uncounted(&About {
                server: String::new(),
                at_ms: 0,
                reset_ms: 0,
                dropped: 0,
                track: track.into(),
                track_utility: track_utility.into(),
                settings_ms: 0,
            })
        };
        assert!(of("all", "on").is_empty());
        assert!(of("top", "on")[0].ends_with("what functions run is not counted: set it to all"));
        assert!(of("all", "off")[0].contains("COPY and CREATE TABLE AS are not counted"));
        assert_eq!(of("top", "off").len(), 2);
        assert_eq!(exception("ann", "", "x=1"), "usage: not all is counted for role \"ann\": x=1");
        assert_eq!(exception("", "shop", "x=1"), "usage: not all is counted in database \"shop\": x=1");
    }

    #[test]
    fn a_text_that_was_cut_counts_only_where_it_is_told() {
        let mut counts = counts(before(), 100);
        let cells =
            |calls: &str| ["10", "5", "1", "true", "shop", "select 1", calls, "true"].map(|cell| Some(cell.to_owned()));
        assert!(counts.take(SqlRow::new(cells("7").into())).is_none() && counts.cut == 0, "nothing new");
        assert!(counts.take(SqlRow::new(cells("8").into())).is_some() && counts.cut == 1);
    }
}
