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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_the_disk_ended_keeps_nobody_from_the_next_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("cloud.db")).await.expect("opens");
        for _ in 0..5 {
            let mut writing = store.begin().await.expect("begins");
            let pages: i64 = sqlx::query_scalar("pragma page_count").fetch_one(&mut **writing).await.expect("told");
            let bound = sqlx::AssertSqlSafe(format!("pragma max_page_count = {pages}"));
            sqlx::query(bound).execute(&mut **writing).await.expect("bounded");
            let full = sqlx::query("insert into links values ('a', 'b', hex(zeroblob(4000000)))")
                .execute(&mut **writing)
                .await
                .expect_err("there is no room");
            assert!(StoreError::from(full).is_of_the_disk());
        }
        let mut writing = store.begin().await.expect("begins");
        sqlx::query("insert into links values ('a', 'b', 'c')").execute(&mut **writing).await.expect("there is room");
        writing.commit().await.expect("commits");
    }
}
