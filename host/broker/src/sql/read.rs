//! Reading: each statement alone, by the extended protocol, in one REPEATABLE READ READ ONLY transaction for each database
//! and step, so that all pages of a step see one state of the database.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::vocabulary::SqlRequest;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Row, RowStream, Statement};

use super::cell::{Cell, check_columns};
use super::error::flag;
use super::{Connected, SqlSlot, parameter_types, parameters};
use crate::budget::SlotBudget;
use crate::told::CallError;

/// A database that a step reads.
pub(crate) struct ReadSession {
    connected: Connected,
    prepared: Mutex<Prepared<Statement>>,
    /// Whether a result is being read: the protocol gives one after the other.
    busy: AtomicBool,
    /// Whether the transaction is over, by an error or an abandoned result.
    over: AtomicBool,
}

/// Statements that the server has prepared, by their text. A connector with a placeholder that is part of the text can make
/// up as many as it likes, and each takes memory here and at the server. Where there are too many, any of them is given up, which
/// the server is told.
#[derive(Debug)]
struct Prepared<S>(HashMap<String, S>);

impl<S> Default for Prepared<S> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<S: Clone> Prepared<S> {
    fn get(&self, text: &str) -> Option<S> {
        self.0.get(text).cloned()
    }

    fn keep(&mut self, text: String, statement: S) {
        if self.0.len() >= limits::SQL_PREPARED
            && let Some(any) = self.0.keys().next().cloned()
        {
            self.0.remove(&any);
        }
        self.0.insert(text, statement);
    }
}

/// What a read transaction must look like after each statement: still the one that cannot write, and nothing written.
const STILL_READING: &str = "select current_setting('transaction_isolation') = 'repeatable read' \
                             and current_setting('transaction_read_only') = 'on' \
                             and pg_current_xact_id_if_assigned() is null";

impl ReadSession {
    /// Connects and begins the transaction.
    pub(crate) async fn begin(slot: &SqlSlot, database: &str) -> Result<Self, CallError> {
        let connected = slot.connect_read(database).await?;
        connected
            .client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await
            .map_err(|error| connected.failed("BEGIN", &error))?;
        Ok(Self { connected, prepared: Mutex::default(), busy: AtomicBool::new(false), over: AtomicBool::new(false) })
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
    pub(crate) async fn query(self: &Arc<Self>, entry: &str, request: &SqlRequest) -> Result<OpenRows, CallError> {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Fault::denied(
                "the rows of another statement at this place are still being read: read them to their end first",
            )
            .into());
        }
        match self.start(entry, request).await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                self.over.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    async fn start(self: &Arc<Self>, entry: &str, request: &SqlRequest) -> Result<OpenRows, CallError> {
        let client = &self.connected.client;
        let fault = |error| self.connected.failed(entry, &error);
        self.connected.begin();
        let statement = {
            let mut prepared = self.prepared.lock().await;
            match prepared.get(&request.text) {
                Some(statement) => statement,
                None => {
                    let types = parameter_types(request);
                    let statement = client.prepare_typed(&request.text, &types).await.map_err(fault)?;
                    prepared.keep(request.text.clone(), statement.clone());
                    statement
                }
            }
        };
        let columns = check_columns(statement.columns(), self.connected.watch())?;
        self.connected.expect_rows();
        // The server begins now, and what it says to that is told with the first rows: meanwhile the guest goes on.
        let (session, values) = (Arc::clone(self), parameters(request));
        let asked = async move { session.connected.client.query_raw(&statement, values).await };
        Ok(OpenRows {
            session: Arc::clone(self),
            stream: Some(Stream::Asked(tokio::spawn(asked))),
            columns,
            entry: entry.to_owned(),
            bytes: 0,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_are_made_up_without_end_are_given_up() {
        let (mut prepared, one) = (Prepared::default(), std::sync::Arc::new(()));
        for number in 0..10 * limits::SQL_PREPARED {
            prepared.keep(format!("select {number}"), std::sync::Arc::clone(&one));
            assert!(prepared.get(&format!("select {number}")).is_some(), "the one that was asked for last");
            assert!(std::sync::Arc::strong_count(&one) <= limits::SQL_PREPARED + 1);
        }
    }
}
