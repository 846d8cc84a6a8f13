//! How much an upload may remove: thresholds of each source, and numbers beyond them that somebody
//! else confirms.
//!
//! The one who uploads may be wrong about what is gone, or lie. So the thresholds are the cloud's,
//! and a number beyond them comes from another token than the one that uploads. The host's own
//! token is that of whoever owns the cloud, who says so with the upload.

use raito_core::exchange::{UploadId, UploadRules};
use raito_core::limits;
use raito_core::threshold::{OverThreshold, Removal, Thresholds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::ingest::IngestError;
use super::tokens::Caller;
use super::{Store, StoreError, integer, number};

/// A number that somebody asks to confirm.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ConfirmationRequest {
    /// The number of records that one upload may remove: exactly this many.
    pub(crate) records: u64,
    /// Why that is right, for whoever asks later.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// A confirmed number.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Confirmation {
    pub(crate) id: String,
    /// How many records one upload of the source may remove.
    pub(crate) records: u64,
    pub(crate) reason: Option<String>,
    /// The name of the token that confirmed it.
    pub(crate) made_by: String,
    pub(crate) made_ms: u64,
    /// Until when it can be used.
    pub(crate) ends_ms: u64,
    /// The run that used it; none before.
    pub(crate) run: Option<String>,
    /// The step that used it.
    pub(crate) step: Option<String>,
}

type Row = (String, i64, Option<String>, String, i64, i64, Option<String>, Option<String>);

fn confirmation((id, records, reason, made_by, made, ends, run, step): Row) -> Confirmation {
    let (records, made_ms, ends_ms) = (number(records), number(made), number(ends));
    Confirmation { id, records, reason, made_by, made_ms, ends_ms, run, step }
}

/// The thresholds of a source, and the id of the token that set them.
async fn stored(
    connection: &mut SqliteConnection,
    source: i64,
) -> Result<Option<(Thresholds, Option<String>)>, sqlx::Error> {
    let sql = "select remove_percent, remove_count, token from removal_thresholds where source = ?1";
    let row: Option<(i64, i64, Option<String>)> = sqlx::query_as(sql).bind(source).fetch_optional(connection).await?;
    Ok(row.map(|(percent, count, token)| {
        let (remove_percent, remove_count) = (u8::try_from(percent).unwrap_or(0), number(count));
        (Thresholds { remove_percent, remove_count }, token)
    }))
}

/// The stricter of two in each part.
fn stricter(one: Thresholds, other: Thresholds) -> Thresholds {
    Thresholds {
        remove_percent: one.remove_percent.min(other.remove_percent),
        remove_count: one.remove_count.min(other.remove_count),
    }
}

impl Store {
    /// When removing stops for a source.
    pub(crate) async fn thresholds(&self, source: i64) -> Result<Thresholds, StoreError> {
        Ok(stored(&mut *self.pool.acquire().await?, source).await?.map(|(stored, _)| stored).unwrap_or_default())
    }

    /// Sets when removing stops for a source.
    pub(crate) async fn set_thresholds(
        &self,
        source: i64,
        thresholds: Thresholds,
        caller: &Caller,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        sqlx::query(
            "insert into removal_thresholds values (?1, ?2, ?3, ?4, ?5, ?6) on conflict (source) do update set \
             remove_percent = ?2, remove_count = ?3, set_by = ?4, set_ms = ?5, token = ?6",
        )
        .bind(source)
        .bind(i64::from(thresholds.remove_percent))
        .bind(integer(thresholds.remove_count))
        .bind(caller.name())
        .bind(integer(now_ms))
        .bind(caller.id())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps a confirmed number for the next upload of a source that would remove exactly so many.
    pub(crate) async fn confirm_removals(
        &self,
        source: i64,
        asked: ConfirmationRequest,
        caller: &Caller,
        now_ms: u64,
    ) -> Result<Confirmation, StoreError> {
        let lifetime = u64::try_from(limits::CLOUD_CONFIRMATION.as_millis()).unwrap_or(u64::MAX);
        let made = Confirmation {
            id: uuid::Uuid::now_v7().to_string(),
            records: asked.records,
            reason: asked.reason,
            made_by: caller.name().to_owned(),
            made_ms: now_ms,
            ends_ms: now_ms.saturating_add(lifetime),
            run: None,
            step: None,
        };
        let _turn = self.turn().await;
        sqlx::query("insert into removal_confirmations values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, null, null)")
            .bind(&made.id)
            .bind(source)
            .bind(integer(made.records))
            .bind(caller.id())
            .bind(&made.made_by)
            .bind(&made.reason)
            .bind(integer(made.made_ms))
            .bind(integer(made.ends_ms))
            .execute(&self.pool)
            .await?;
        Ok(made)
    }

    /// The confirmed numbers of a source, the newest first, as many as a page has.
    pub(crate) async fn confirmations(&self, source: i64) -> Result<Vec<Confirmation>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "select id, records, reason, made_by, made_ms, ends_ms, run, step from removal_confirmations \
             where source = ?1 order by made_ms desc, id desc limit ?2",
        )
        .bind(source)
        .bind(i64::from(limits::CLOUD_PAGE))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(confirmation).collect())
    }
}

/// An upload that would remove something.
pub(super) struct Removing<'u> {
    pub(super) source: i64,
    pub(super) upload: &'u UploadId,
    /// The caller that uploads.
    pub(super) caller: &'u Caller,
    /// The rules of that caller. They can only be stricter than those of the cloud, unless the
    /// caller owns the cloud.
    pub(super) rules: &'u UploadRules,
    /// The time of the clock.
    pub(super) now: i64,
}

impl Removing<'_> {
    /// Says whether all of this may go, and uses up the confirmation that says so.
    ///
    /// # Errors
    /// `OverThreshold` where a person has to say so.
    pub(super) async fn check(
        &self,
        connection: &mut SqliteConnection,
        removals: &[Removal],
    ) -> Result<(), IngestError> {
        let stored = stored(&mut *connection, self.source).await?;
        match self.caller {
            // An embedded cloud has its thresholds from the configuration beside it, and those that
            // were set here as well.
            Caller::Host => {
                if let Some((stored, _)) = stored {
                    stored.check(removals, self.rules.allow_removals)?;
                }
            }
            Caller::Token { id, .. } => {
                let usual = Thresholds::default();
                let thresholds = stored.map_or(usual, |(stored, by)| match by {
                    // Whoever uploads does not say by themselves how much that may remove.
                    Some(by) if by == *id => stricter(stored, usual),
                    _ => stored,
                });
                if let Err(over) = thresholds.check(removals, None)
                    && !self.use_confirmation(connection, over.total, id).await?
                {
                    return Err(OverThreshold { by_cloud: true, ..over }.into());
                }
            }
        }
        Ok(self.rules.thresholds.check(removals, self.rules.allow_removals)?)
    }

    /// Uses the oldest confirmation of this number that another token made.
    async fn use_confirmation(
        &self,
        connection: &mut SqliteConnection,
        total: u64,
        uploader: &str,
    ) -> Result<bool, sqlx::Error> {
        let used = sqlx::query(
            "update removal_confirmations set run = ?4, step = ?5 where id = (select id from removal_confirmations \
             where source = ?1 and records = ?2 and token is not ?3 and run is null and ends_ms > ?6 \
             order by made_ms, id limit 1)",
        )
        .bind(self.source)
        .bind(integer(total))
        .bind(uploader)
        .bind(self.upload.run.as_str())
        .bind(self.upload.step.name())
        .bind(self.now)
        .execute(connection)
        .await?;
        Ok(used.rows_affected() > 0)
    }
}
