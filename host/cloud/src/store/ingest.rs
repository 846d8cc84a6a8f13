//! Taking in an upload: lines are staged as they come, and everything changes in one transaction at the end.

use std::collections::HashSet;

use raito_core::digest::{Hasher, Key};
use raito_core::exchange::{OtherInstance, UploadId, UploadRules};
use raito_core::limits;
use raito_core::record::{AccessControl, Coverage, Description, Gap, Member, ObjectRef, Standing, Statement, What};
use raito_core::step::Step;
use raito_core::threshold::OverThreshold;
use raito_core::upload::{End, Line, Receipt};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, SqliteConnection};
use tokio::sync::OwnedMutexGuard;

use super::commit::{Commit, after_last};
use super::kinds::{self, Kind};
use super::named;
use super::rows::{self, Row, Value};
use super::tokens::Caller;
use super::{Store, StoreError, integer};

/// Why an upload is not taken in. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IngestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line is not one of an upload of this step.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The upload does not end with its last line, or that does not fit.
    #[error("the upload is not complete: {0}")]
    Incomplete(String),
    /// It would remove too much.
    #[error(transparent)]
    OverThreshold(#[from] OverThreshold),
    /// It is of another instance of the target.
    #[error(transparent)]
    OtherInstance(#[from] OtherInstance),
}

impl From<sqlx::Error> for IngestError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why nothing is taken in for a run.
pub(super) const ENDED: &str = "the run has ended, or a newer one of this source has begun";

/// Rows that are staged at once: few statements, and each far below SQLite's bound of 32,766 values.
const BATCH: usize = 500;
/// References that are remembered as written, before the memory is begun anew.
const REFS_REMEMBERED: usize = 200_000;

/// Rows of one kind that wait to be staged.
struct Buffer {
    kind: &'static Kind,
    rows: Vec<Row>,
    /// About how many bytes these have.
    bytes: usize,
    full: String,
}

/// Memory of the connection of an upload, in KiB: of what is staged, which is sorted in it, and of
/// the store, of which it reads nothing before its end.
const CACHES: [&str; 2] = ["pragma temp.cache_size = -12000", "pragma main.cache_size = -4000"];

/// The same for the one upload that is being taken in.
const CACHE_OF_COMMIT: &str = "pragma main.cache_size = -16000";

/// An upload in progress.
pub(crate) struct Ingest {
    connection: SqliteConnection,
    store: Store,
    source: i64,
    source_name: String,
    upload: UploadId,
    rules: UploadRules,
    caller: Caller,
    buffers: Vec<Buffer>,
    refs: Vec<Row>,
    /// About how many bytes these have.
    ref_bytes: usize,
    refs_written: HashSet<Key>,
    statements: Vec<Row>,
    /// About how many bytes these have.
    statement_bytes: usize,
    accesses: Vec<Row>,
    names: Vec<Row>,
    description: Option<Box<Description>>,
    coverage: Option<Coverage>,
    gaps: Vec<Gap>,
    gap_bytes: usize,
    end: Option<End>,
    lines: u64,
    hasher: Hasher,
}

impl Store {
    /// Begins an upload of a run that is open.
    pub(crate) async fn begin_upload(
        &self,
        upload: UploadId,
        rules: UploadRules,
        caller: Caller,
    ) -> Result<Ingest, StoreError> {
        let open: Option<(i64, String, Option<i64>)> = sqlx::query_as(
            "select s.id, s.name, r.ended_ms from runs r join sources s on s.id = r.source where r.id = ?1",
        )
        .bind(upload.run.as_str())
        .fetch_optional(&self.pool)
        .await?;
        let (source, source_name) = match open {
            None => return Err(StoreError::NotFound("run")),
            Some((_, _, Some(_))) => return Err(StoreError::Conflict(ENDED.into())),
            Some((source, name, None)) => (source, name),
        };
        self.check_room(0)?;
        let mut connection = self.connection().await?;
        for pragma in CACHES {
            sqlx::query(pragma).execute(&mut connection).await?;
        }
        let mut buffers = Vec::new();
        for kind in Kind::of(upload.step) {
            run(&mut connection, kind.stage()).await?;
            buffers.push(Buffer { kind, rows: Vec::with_capacity(BATCH), bytes: 0, full: kind.insert(BATCH) });
        }
        for statement in STAGE {
            sqlx::query(statement).execute(&mut connection).await?;
        }
        Ok(Ingest {
            connection,
            store: self.clone(),
            source,
            source_name,
            upload,
            rules,
            caller,
            buffers,
            refs: Vec::new(),
            ref_bytes: 0,
            refs_written: HashSet::new(),
            statements: Vec::new(),
            statement_bytes: 0,
            accesses: Vec::new(),
            names: Vec::new(),
            description: None,
            coverage: None,
            gaps: Vec::new(),
            gap_bytes: 0,
            end: None,
            lines: 0,
            hasher: Hasher::default(),
        })
    }
}

/// What makes the tables of what is no record of a kind. They have no keys: a key is a digest, so that each row would go anywhere
/// in a tree that is far longer than the cache. What is taken in is sorted once.
const STAGE: [&str; 4] = [
    "create temporary table staged_refs (object_key, kind, path, signature)",
    "create temporary table staged_statements (key, external_id, user_id, role_id, statement, started_ms, ended_ms, success, \
     calls, precise, bytes, rows, unclear)",
    "create temporary table staged_accesses (statement_key, object_key, action)",
    named::STAGE,
];
async fn run(connection: &mut SqliteConnection, sql: String) -> Result<u64, sqlx::Error> {
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(connection).await?.rows_affected())
}

fn bind<'q>(mut query: Query<'q, Sqlite, SqliteArguments>, row: Row) -> Query<'q, Sqlite, SqliteArguments> {
    for value in row {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Integer(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
            Value::Key(key) => query.bind(key.0.to_vec()),
        };
    }
    query
}

/// About how many bytes a row has.
fn bytes(row: &Row) -> usize {
    let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
    row.iter().map(text).sum::<usize>() + size_of_val(row.as_slice())
}

/// Inserts rows with one statement.
async fn insert(connection: &mut SqliteConnection, sql: String, rows: &mut Vec<Row>) -> Result<u64, sqlx::Error> {
    let query = rows.drain(..).fold(sqlx::query(AssertSqlSafe(sql)), bind);
    Ok(query.execute(connection).await?.rows_affected())
}

fn values(width: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; width].join(","));
    vec![row; rows].join(",")
}

impl Ingest {
    /// Takes one line, with its line break.
    pub(crate) async fn line(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.lines += 1;
        let wrong = |line, reason: String| IngestError::Line { line, reason };
        if self.end.is_some() {
            return Err(wrong(self.lines, "it stands behind the end".into()));
        }
        self.hasher.update(bytes);
        let line: Line = serde_json::from_slice(bytes).map_err(|error| wrong(self.lines, error.to_string()))?;
        if !line.belongs_to(self.upload.step) {
            return Err(wrong(self.lines, format!("it does not belong to step {}", self.upload.step)));
        }
        match line {
            Line::User(user) => self.stage(&kinds::USERS, rows::user(user)).await,
            Line::Group(group) => self.stage(&kinds::GROUPS, rows::group(group)).await,
            Line::Membership(membership) => self.stage(&kinds::MEMBERSHIPS, rows::membership(membership)).await,
            Line::Object(object) => {
                self.refer(&object.object).await?;
                self.stage(&kinds::OBJECTS, rows::object(object)).await
            }
            Line::AccessControl(control) => self.control(*control).await,
            Line::Part(part) => self.held(rows::id_key(&part.control), part.who, part.what, part.standing).await,
            Line::Statement(statement) => self.statement(statement).await,
            Line::Description(description) => {
                self.description = Some(description);
                Ok(())
            }
            Line::Coverage(coverage) => {
                self.coverage = Some(coverage);
                Ok(())
            }
            Line::Gap(_) if self.gaps.len() >= limits::GAPS => {
                Err(wrong(self.lines, format!("there are more than {} gaps", limits::GAPS)))
            }
            Line::Gap(gap) => {
                self.gap_bytes += bytes.len();
                if self.gap_bytes > limits::GAPS_BYTES {
                    let most = limits::GAPS_BYTES >> 20;
                    return Err(wrong(self.lines, format!("the gaps have more than {most} MiB together")));
                }
                self.gaps.push(gap);
                Ok(())
            }
            Line::End(end) => {
                self.end = Some(end);
                Ok(())
            }
        }
    }

    async fn stage(&mut self, kind: &'static Kind, row: Row) -> Result<(), IngestError> {
        let Some(at) = self.buffers.iter().position(|buffer| buffer.kind == kind) else { return Ok(()) };
        let buffer = &mut self.buffers[at];
        buffer.bytes += bytes(&row);
        buffer.rows.push(row);
        if buffer.rows.len() >= BATCH {
            return self.flush(at).await;
        }
        // Rows of ordinary length never come to this.
        if self.buffers.iter().map(|buffer| buffer.bytes).sum::<usize>() >= limits::UPLOAD_ROWS_BYTES {
            for at in 0..self.buffers.len() {
                self.flush(at).await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self, at: usize) -> Result<(), IngestError> {
        let buffer = &mut self.buffers[at];
        let rows = buffer.rows.len();
        if rows == 0 {
            return Ok(());
        }
        let sql = if rows == BATCH { buffer.full.clone() } else { buffer.kind.insert(rows) };
        debug_assert!(buffer.rows.iter().all(|row| row.len() == buffer.kind.width()));
        buffer.bytes = 0;
        insert(&mut self.connection, sql, &mut buffer.rows).await?;
        Ok(())
    }

    /// Makes the indexes of the staging tables, once everything is in them.
    async fn index(&mut self) -> Result<(), IngestError> {
        for kind in self.buffers.iter().map(|buffer| buffer.kind) {
            match run(&mut self.connection, kind.index_staged()).await {
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    let reason = format!("one of its records of {} comes twice", kind.table.replace('_', " "));
                    return Err(IngestError::Line { line: self.lines, reason });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Keeps the reference of an object, so that facts can name it by its key.
    async fn refer(&mut self, object: &ObjectRef) -> Result<Key, IngestError> {
        let key = object.key();
        if self.refs_written.len() >= REFS_REMEMBERED {
            self.refs_written.clear();
        }
        if self.refs_written.insert(key) {
            let row = rows::object_ref(key, object);
            self.ref_bytes += bytes(&row);
            self.refs.push(row);
            if self.refs.len() >= BATCH || self.ref_bytes >= limits::UPLOAD_ROWS_BYTES {
                self.flush_refs().await?;
            }
        }
        Ok(key)
    }

    async fn flush_refs(&mut self) -> Result<(), IngestError> {
        self.ref_bytes = 0;
        if self.refs.is_empty() {
            return Ok(());
        }
        let sql = format!("insert into temp.staged_refs values {}", values(4, self.refs.len()));
        insert(&mut self.connection, sql, &mut self.refs).await?;
        Ok(())
    }

    async fn control(&mut self, mut control: AccessControl) -> Result<(), IngestError> {
        let key = rows::id_key(&control.external_id);
        let (who, what) = (std::mem::take(&mut control.who), std::mem::take(&mut control.what));
        let standing = std::mem::take(&mut control.standing);
        self.stage(&kinds::ACCESS_CONTROLS, rows::access_control(control)).await?;
        self.held(key, who, what, standing).await
    }

    async fn held(
        &mut self,
        control: Key,
        who: Vec<Member>,
        what: Vec<What>,
        standing: Vec<Standing>,
    ) -> Result<(), IngestError> {
        for member in who {
            self.stage(&kinds::MEMBERS, rows::member(control, member)).await?;
        }
        for what in what {
            let object = self.refer(&what.object).await?;
            for row in rows::facts(control, object, what) {
                self.stage(&kinds::FACTS, row).await?;
            }
        }
        for standing in standing {
            let under = self.refer(&standing.under).await?;
            for row in rows::standings(control, under, standing) {
                self.stage(&kinds::STANDINGS, row).await?;
            }
        }
        Ok(())
    }

    async fn statement(&mut self, statement: Statement) -> Result<(), IngestError> {
        let key = rows::id_key(&statement.external_id);
        let row = rows::statement(&statement);
        self.statement_bytes += bytes(&row);
        self.statements.push(row);
        for access in &statement.accessed {
            let object = self.refer(&access.object).await?;
            self.accesses.push(vec![key.into(), object.into(), access.action.as_str().to_owned().into()]);
        }
        let within = statement.within.as_ref();
        let names = statement.named.iter().filter_map(|name| named::staged(key, within, name));
        let before = self.names.len();
        self.names.extend(names);
        self.statement_bytes += self.names[before..].iter().map(bytes).sum::<usize>();
        let is_full = self.statements.len() >= BATCH || self.statement_bytes >= limits::UPLOAD_ROWS_BYTES;
        if is_full || self.names.len() >= BATCH * 4 || self.accesses.len() >= BATCH * 4 {
            self.flush_statements().await?;
        }
        Ok(())
    }

    async fn flush_statements(&mut self) -> Result<(), IngestError> {
        self.statement_bytes = 0;
        if !self.statements.is_empty() {
            let sql = format!("insert into temp.staged_statements values {}", values(13, self.statements.len()));
            insert(&mut self.connection, sql, &mut self.statements).await?;
        }
        while !self.accesses.is_empty() {
            let mut some: Vec<Row> = self.accesses.drain(..self.accesses.len().min(BATCH * 4)).collect();
            let sql = format!("insert into temp.staged_accesses values {}", values(3, some.len()));
            insert(&mut self.connection, sql, &mut some).await?;
        }
        while !self.names.is_empty() {
            let mut some: Vec<Row> = self.names.drain(..self.names.len().min(BATCH * 4)).collect();
            let columns = values(named::COLUMNS, some.len());
            let sql = format!("insert into temp.staged_names values {columns}");
            insert(&mut self.connection, sql, &mut some).await?;
        }
        Ok(())
    }

    /// Takes everything in, and says what that changed.
    pub(crate) async fn commit(mut self, now_ms: u64) -> Result<Receipt, IngestError> {
        let end = self.end.ok_or_else(|| IngestError::Incomplete("its last line is missing".into()))?;
        if end.lines != self.lines - 1 {
            return Err(IngestError::Incomplete(format!("it says {} lines, and {} came", end.lines, self.lines - 1)));
        }
        for at in 0..self.buffers.len() {
            self.flush(at).await?;
        }
        self.flush_refs().await?;
        self.flush_statements().await?;
        self.index().await?;
        let digest = std::mem::take(&mut self.hasher).finish();
        let _turn: OwnedMutexGuard<()> = self.store.turn().await;
        let mut connection = self.connection;
        sqlx::query(CACHE_OF_COMMIT).execute(&mut connection).await?;
        let mut transaction = connection.begin_with("begin immediate").await?;
        let commit = Commit {
            source: self.source,
            upload: &self.upload,
            caller: &self.caller,
            clock: integer(now_ms),
            now: after_last(&mut transaction, self.source, integer(now_ms)).await?,
            gaps: &self.gaps,
            complete: end.complete,
        };
        commit.still_may(&mut transaction).await?;
        if let Some(description) = &self.description {
            commit.describe(&mut transaction, &self.source_name, description).await?;
        }
        let mut receipt = Receipt { accepted: 0, added: 0, updated: 0, unchanged: 0, removed: 0, kept: 0, digest };
        commit.records(&mut transaction, &self.rules, &mut receipt).await?;
        if self.upload.step == Step::DataUsage {
            commit.usage(&mut transaction, self.coverage, &mut receipt).await?;
        }
        commit.remember(&mut transaction, &receipt).await?;
        transaction.commit().await?;
        // What was staged goes with its connection. That it cannot be closed changes nothing any
        // more.
        let _ = connection.close().await;
        Ok(receipt)
    }
}
