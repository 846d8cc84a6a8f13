//! The store: the only module with a database in it, and all SQL stands below it.
//!
//! SQLite in write-ahead mode: one writer at a time, readers beside it. An upload is staged in
//! temporary tables of a connection that is its own and not of the pool, outside of any
//! transaction, and taken in at the end in one. So a slow upload holds nothing that others need,
//! and one that breaks off leaves nothing.

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
mod writing;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use raito_core::limits;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqlSafeStr as _, SqliteConnection};
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
    /// The caller may do nothing any more.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The disk has no room for what is about to be written.
    #[error("{0}")]
    NoRoom(String),
}

impl StoreError {
    /// Whether the disk does not take what is to be written: it is full, or fails
    /// (sqlite.org/rescode.html, `SQLITE_FULL` and `SQLITE_IOERR` with its extended codes).
    pub fn is_of_the_disk(&self) -> bool {
        const FULL: u32 = 13;
        const IO: u32 = 10;
        let error = match self {
            Self::Database(error) | Self::Migration(sqlx::migrate::MigrateError::Execute(error)) => error,
            Self::NoRoom(_) => return true,
            _ => return false,
        };
        match error {
            sqlx::Error::Io(error) => {
                use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
                matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
            }
            sqlx::Error::Database(error) => {
                let code = error.code().and_then(|code| code.parse::<u32>().ok());
                code.is_some_and(|code| matches!(code & 0xff, FULL | IO))
            }
            _ => false,
        }
    }
}

/// The store.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    /// How a connection is made that is not of the pool.
    options: SqliteConnectOptions,
    /// Where the store and its temporary files are.
    folder: PathBuf,
    snapshots: Arc<snapshots::Snapshots>,
    /// The turn to write: who waits for it holds no connection.
    turn: Arc<Mutex<()>>,
}

impl Store {
    /// Opens the store in a file, and makes it, readable by its owner only, where there is none.
    ///
    /// # Errors
    /// `StoreError` where it cannot be opened or brought up to date.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        // A pipe in its place is an error instead of a wait for who reads it.
        let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let made = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(nonblock).open(file);
        made.map_err(sqlx::Error::Io)?;
        for ending in ["-journal", "-wal", "-shm"] {
            let mut beside = file.as_os_str().to_owned();
            beside.push(ending);
            if std::fs::metadata(&beside).is_ok_and(|about| !about.is_file()) {
                let message = format!("{} is no file", Path::new(&beside).display());
                return Err(sqlx::Error::Io(std::io::Error::other(message)).into());
            }
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(60))
            .pragma("temp_store", "file")
            .pragma("temp.cache_size", "-16000")
            .pragma("cache_size", "-16000");
        keep_temporary_files_in(&folder, &options).await?;
        let pool = SqlitePoolOptions::new().max_connections(limits::CLOUD_CONNECTIONS_OF_STORE).before_acquire(
            |connection, _| {
                // SQLite ends a transaction by itself where the disk is full, and the driver then takes the
                // connection for one that is still in it.
                let is_free = !sqlx::Connection::is_in_transaction(connection);
                Box::pin(std::future::ready(Ok(is_free)))
            },
        );
        let pool = pool.connect_with(options.clone()).await?;
        migrator().run(&pool).await?;
        Ok(Self { pool, options, folder, snapshots: Arc::default(), turn: Arc::default() })
    }

    /// A connection that is not of the pool, for who holds one for longer than a question takes.
    async fn connection(&self) -> Result<SqliteConnection, StoreError> {
        Ok(self.options.connect().await?)
    }

    /// Refuses to go on where the disk would have less than its reserve once `more` bytes are
    /// written.
    ///
    /// # Errors
    /// `StoreError::NoRoom`.
    pub(crate) fn check_room(&self, more: u64) -> Result<(), StoreError> {
        // Where the system does not say how much is free, writing says so.
        let Ok(disk) = rustix::fs::statvfs(&self.folder) else { return Ok(()) };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let reserve = (bytes(disk.f_blocks) / 20).min(limits::CLOUD_DISK_RESERVE);
        let free = bytes(disk.f_bavail);
        if free < more.saturating_add(reserve) {
            let (free, reserve) = (free >> 20, reserve >> 20);
            return Err(StoreError::NoRoom(format!(
                "the disk of the cloud has {free} MiB left, of which {reserve} are kept free"
            )));
        }
        Ok(())
    }

    /// Writes everything back into the one file and closes it.
    pub async fn close(&self) {
        // Where this cannot be done now, SQLite does it when the file is opened again.
        let _ = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.pool).await;
        self.pool.close().await;
    }
}

/// Has SQLite keep temporary files, which staged uploads are in, beside the store: other places for
/// them may be in memory, or readable by others. They have no names once they are open.
async fn keep_temporary_files_in(folder: &Path, options: &SqliteConnectOptions) -> Result<(), StoreError> {
    let Some(folder) = folder.to_str() else { return Ok(()) };
    let sql = format!("pragma temp_store_directory = '{}'", folder.replace('\'', "''"));
    let mut connection = options.connect().await?;
    sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(sqlx::Connection::close(connection).await?)
}

/// The schema, version by version.
fn migrator() -> Migrator {
    let versions = [
        (1, "everything", include_str!("store/0001.sql")),
        (2, "applied states", include_str!("store/0002.sql")),
        (3, "removals", include_str!("store/0003.sql")),
        (4, "clocks", include_str!("store/0004.sql")),
        (5, "who set thresholds", include_str!("store/0005.sql")),
    ];
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, AssertSqlSafe(sql).into_sql_str(), false)
    };
    Migrator::with_migrations(versions.map(migration).into())
}

/// An error of a statement, where what it adds may be there already.
fn taken(error: sqlx::Error, reason: &str) -> StoreError {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreError::Conflict(reason.to_owned()),
        error => error.into(),
    }
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
