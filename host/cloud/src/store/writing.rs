//! Taking turns to write: SQLite has one writer, and who waits for it would hold a connection of
//! the pool that somebody else could read with.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use sqlx::{Sqlite, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::{Store, StoreError};

/// A transaction that writes, and the turn to do so.
pub(super) struct Writing {
    transaction: Transaction<'static, Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

impl Store {
    /// Waits for the turn to write. It ends when what is given is dropped.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin(&self) -> Result<Writing, StoreError> {
        let turn = self.turn().await;
        let transaction = self.pool.begin_with("begin immediate").await?;
        Ok(Writing { transaction, _turn: turn })
    }
}

impl Writing {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.transaction.commit().await?)
    }
}

impl Deref for Writing {
    type Target = Transaction<'static, Sqlite>;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl DerefMut for Writing {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}
