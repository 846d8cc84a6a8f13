//! The store: the only module with a database in it, and all SQL stands below it.
//!
//! SQLite in write-ahead mode: one writer at a time, readers beside it. Uploads are staged in temporary tables of their own
//! connection, outside of any transaction, and taken in at the end in one; so a long upload blocks nobody, and one that
//! breaks off leaves nothing.

mod applied;
mod commit;
mod controls;
mod export;
mod ingest;
mod kinds;
mod lists;
mod named;
mod people;
mod removals;
mod rows;
mod runs;
mod snapshots;
mod tokens;
mod usage;
mod whole;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use raito_core::limits;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use tokio::sync::Mutex;

pub(crate) use applied::{AppliedOf, AppliedRow};
pub(crate) use controls::{ControlChange, DriftRow, InternalControl};
pub(crate) use ingest::{Ingest, IngestError};
pub(crate) use lists::{ControlRow, Cursor, FactsOf, Filter, GroupRow, ObjectRow, Page, StatementRow, UserRow};
pub(crate) use removals::{Confirmation, ConfirmationRequest};
pub(crate) use runs::{RunRow, SourceRow};
pub(crate) use tokens::{Caller, Token};
pub(crate) use usage::UsageFilter;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database says no.
    #[error("the store failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the store cannot be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What is stored cannot be read back.
    #[error("the store holds something that cannot be read: {0}")]
    Content(#[from] serde_json::Error),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A page is to begin where no page of this list ends.
    #[error("cursor: it is none that was given for this list")]
    Cursor,
    /// As much is kept as may be.
    #[error("{0}")]
    Full(String),
    /// It is not in the state that the request expects.
    #[error("{0}")]
    Conflict(String),
}

/// The store.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    snapshots: Arc<Mutex<Vec<snapshots::Kept>>>,
}

/// Connections: each upload holds one, of as many targets at the same time as a run may have, and others read beside them.
const CONNECTIONS: u32 = limits::PARALLEL_TARGETS as u32 + 16;

impl Store {
    /// Opens the store in a file, and makes it, readable by its owner only, where there is none.
    ///
    /// # Errors
    /// `StoreError` where it cannot be opened or brought up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(file).map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(60))
            .pragma("temp_store", "file")
            .pragma("temp.cache_size", "-16000")
            .pragma("cache_size", "-16000");
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        migrator().run(&pool).await?;
        Ok(Self { pool, snapshots: Arc::default() })
    }

    /// Writes everything back into the one file and closes it.
    pub async fn close(&self) {
        // Where this cannot be done now, SQLite does it when the file is opened again.
        let _ = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.pool).await;
        self.pool.close().await;
    }
}

/// The schema, version by version.
fn migrator() -> Migrator {
    let versions = [
        (1, "everything", include_str!("store/0001.sql")),
        (2, "applied states", include_str!("store/0002.sql")),
        (3, "removals", include_str!("store/0003.sql")),
        (4, "clocks", include_str!("store/0004.sql")),
    ];
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    };
    Migrator::with_migrations(versions.map(migration).into())
}

/// A number as SQLite keeps it. Times and counts stay far below the bound; what does not is as far away as can be.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that SQLite kept.
fn number(integer: i64) -> u64 {
    u64::try_from(integer).unwrap_or(0)
}

/// The name of an enum's case as JSON has it.
fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}
