//! Reading: each statement alone, by the extended protocol, in one REPEATABLE READ READ ONLY transaction for each database
//! and step, so that all pages of a step see one state of the database.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::sql::read::Uses;
use raito_core::vocabulary::{SqlRequest, Statement};
use tokio::task::JoinHandle;
use tokio_postgres::{Row, RowStream};

use super::cell::{Cell, check_columns};
use super::error::flag;
use super::proof::Proof;
use super::settings::{self, Missing, Purpose};
use super::{Connected, SqlSlot, typed_parameters};
use crate::budget::SlotBudget;
use crate::told::CallError;

/// A database that a step reads.
pub(crate) struct ReadSession {
    connected: Connected,
    proof: Proof,
    missing: Missing,
    /// Whether a result is being read: the protocol gives one after the other.
    busy: AtomicBool,
    /// Whether the transaction is over, by an error or an abandoned result.
    over: AtomicBool,
}

/// What a read transaction must look like after each statement: still the one that cannot write, with
/// nothing written, where names and literals mean what they did.
///
/// Where it is over, names mean what a database's owner wants: each has its schema here.
const STILL_READING: &str = "\
    select pg_catalog.current_setting('transaction_isolation') operator(pg_catalog.=) 'repeatable read' \
    and pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'on' \
    and pg_catalog.current_setting('search_path') operator(pg_catalog.=) 'pg_catalog, pg_temp' \
    and pg_catalog.current_setting('standard_conforming_strings') operator(pg_catalog.=) 'on' \
    and pg_catalog.current_setting('row_security') operator(pg_catalog.=) 'off' \
    and pg_catalog.pg_current_xact_id_if_assigned() is null";

impl ReadSession {
    /// Connects, begins the transaction, and proves what statements rest on: settings, the powers of the
    /// login, and what the names in all statements of the slot mean there.
    pub(crate) async fn begin(slot: &SqlSlot, database: &str) -> Result<Self, CallError> {
        let connected = slot.connect_read(database).await?;
        let what = slot.place(database);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let missing = settings::begin(&connected, begin, Purpose::Read, &what).await?;
        let (powers, proof) =
            tokio::join!(slot.check_powers(&connected, &slot.grant.read), Proof::of(&connected, &slot.uses, &what));
        powers?;
        Ok(Self { proof: proof?, missing, connected, busy: AtomicBool::new(false), over: AtomicBool::new(false) })
    }

    /// What the session lacks of what a run would like to have, one sentence each.
    pub(crate) fn lacks(&self, slot: &SqlSlot) -> Vec<String> {
        let user = &slot.grant.read.user;
        let mut lacks: Vec<String> = self.missing.bounds.iter().map(|bound| settings::remedy(bound, user)).collect();
        if self.missing.guard && slot.uses.foreign_relations().next().is_some() {
            lacks.push(
                "the server has no restrict_nonsystem_relation_kind, so nothing but its catalogue is read: update it to a \
                 release of August 2024 or later"
                    .to_owned(),
            );
        }
        for extension in slot.uses.extensions() {
            if self.proof.schema_of(extension).is_none() {
                lacks.push(format!(
                    "the extension {extension} is not in this database, or its functions are not its own: statements that \
                     use it are refused"
                ));
            }
        }
        lacks
    }

    /// The address that it is connected to.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.connected.address
    }

    /// Whether the host logged in for it, and has not read with the same connection before.
    pub(crate) fn is_new_login(&self) -> bool {
        !self.connected.has_rested
    }

    /// Ends it. Its connection is kept for the next step, unless the transaction was left by an error or rows were abandoned.
    pub(crate) async fn end(self, slot: &SqlSlot, database: String) {
        if self.is_usable() && !self.busy.load(Ordering::Acquire) {
            slot.rest(database, self.connected).await;
        }
    }

    /// Whether another statement can be run in it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.over.load(Ordering::Acquire) && !self.connected.client.is_closed()
    }

    /// Runs a statement and opens its rows.
    pub(crate) fn query(
        self: &Arc<Self>,
        entry: &str,
        statement: &Statement,
        request: SqlRequest,
    ) -> Result<OpenRows, CallError> {
        let Some(read) = statement.read() else {
            return Err(Fault::denied("it is no read statement").into());
        };
        let text = self.text(&read.uses, &request).map_err(Fault::denied)?;
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Fault::denied(
                "the rows of another statement at this place are still being read: read them to their end first",
            )
            .into());
        }
        self.connected.begin();
        self.connected.expect_rows();
        // The server begins now, and what it says to that is told with the first rows: meanwhile the guest goes on. The
        // statement has no name, so that none is left at a server that a pooler gives to somebody else next.
        let session = Arc::clone(self);
        let asked = async move {
            let parameters = typed_parameters(&request);
            session.connected.client.query_typed_raw(&text, parameters).await
        };
        Ok(OpenRows {
            session: Arc::clone(self),
            stream: Some(Stream::Asked(tokio::spawn(asked))),
            columns: read.column_names(),
            entry: entry.to_owned(),
            bytes: 0,
        })
    }

    /// The text of a statement at this database.
    fn text(&self, uses: &Uses, request: &SqlRequest) -> Result<String, String> {
        if let Some(reason) = self.proof.refuses(uses, !self.missing.guard) {
            return Err(reason);
        }
        request.text.resolve(|extension| self.proof.schema_of(extension)).map_err(|extension| {
            format!(
                "the extension {extension} is not in this database, or its functions are not its own: CREATE EXTENSION \
                 {extension} there, or grant the database that has it"
            )
        })
    }

    /// Checks that the statement left the transaction as it was.
    async fn check(&self, entry: &str) -> Result<(), CallError> {
        self.connected.begin();
        let answer = self.connected.client.query_typed_one(STILL_READING, &[]).await;
        let row = answer.map_err(|error| self.connected.failed(entry, &error))?;
        if flag(self.connected.watch(), &row, 0, entry)? {
            self.busy.store(false, Ordering::Release);
            return Ok(());
        }
        self.over.store(true, Ordering::Release);
        Err(Fault::denied(format!("{entry} ended the read transaction or made it one that can write")).into())
    }
}

/// What a server answers to a statement.
enum Stream {
    /// It was sent.
    Asked(JoinHandle<Result<RowStream, tokio_postgres::Error>>),
    /// Its rows come.
    Rows(Pin<Box<RowStream>>),
}

impl Stream {
    /// The next row; none at the end.
    async fn next(&mut self) -> Option<Result<Row, Unanswered>> {
        if let Self::Asked(asked) = self {
            match asked.await {
                Ok(Ok(rows)) => *self = Self::Rows(Box::pin(rows)),
                Ok(Err(error)) => return Some(Err(Unanswered::Error(error))),
                Err(error) => return Some(Err(Unanswered::Ended(error.to_string()))),
            }
        }
        match self {
            Self::Rows(rows) => rows.next().await.map(|row| row.map_err(Unanswered::Error)),
            Self::Asked(_) => None,
        }
    }
}

/// Why there is no row.
enum Unanswered {
    /// The server or the connection says so.
    Error(tokio_postgres::Error),
    /// The task that asked ended.
    Ended(String),
}

/// The rows of a statement, not read to their end.
pub(crate) struct OpenRows {
    session: Arc<ReadSession>,
    stream: Option<Stream>,
    pub(crate) columns: Vec<String>,
    entry: String,
    pub(crate) bytes: u64,
}

/// Rows as text cells.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

impl OpenRows {
    /// Whether there is nothing more to be read.
    pub(crate) fn is_read(&self) -> bool {
        self.stream.is_none()
    }

    /// The next rows; none at the end.
    pub(crate) async fn next(&mut self, budget: &SlotBudget) -> Result<Option<Rows>, CallError> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let mut rows = Vec::new();
        let mut size = 0;
        while rows.len() < limits::SQL_ROWS && size < limits::SQL_ROWS_BYTES {
            let row = match stream.next().await {
                Some(Ok(row)) => row,
                Some(Err(error)) => return Err(self.failed(error)),
                None => {
                    self.stream = None;
                    self.session.check(&self.entry).await?;
                    break;
                }
            };
            if rows.is_empty() && self.bytes == 0 {
                check_columns(row.columns(), self.session.connected.watch())?;
            }
            let cells = cells(&row, &self.entry)?;
            // A cell takes memory also where it is empty.
            size += cells.iter().flatten().map(String::len).sum::<usize>() + size_of_val(cells.as_slice());
            rows.push(cells);
        }
        self.bytes += size as u64;
        budget.download(size as u64)?;
        Ok(if rows.is_empty() { None } else { Some(rows) })
    }

    /// Ends the rows with what went wrong.
    fn failed(&mut self, error: Unanswered) -> CallError {
        self.stream = None;
        self.session.over.store(true, Ordering::Release);
        match error {
            Unanswered::Error(error) => self.session.connected.failed(&self.entry, &error),
            Unanswered::Ended(reason) => Fault::new(FaultKind::Internal, format!("{}: {reason}", self.entry)).into(),
        }
    }
}

impl Drop for OpenRows {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            if let Stream::Asked(asked) = stream {
                asked.abort();
            }
            // What was not read would stand before the answer to the next statement.
            self.session.over.store(true, Ordering::Release);
        }
    }
}

fn cells(row: &Row, entry: &str) -> Result<Vec<Option<String>>, Fault> {
    let cell = |index| match row.try_get::<_, Option<Cell>>(index) {
        Ok(cell) => Ok(cell.map(|cell| cell.0)),
        Err(error) => {
            let reason = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Err(Fault::new(FaultKind::Internal, format!("{entry}: column {}: {reason}", index + 1)))
        }
    };
    (0..row.len()).map(cell).collect()
}
