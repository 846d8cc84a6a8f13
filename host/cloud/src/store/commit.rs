//! Committing an upload: what is staged is compared with what is there, and taken in, in one transaction.

use raito_core::exchange::{OtherInstance, UploadId, UploadRules};
use raito_core::record::{Coverage, Description, Gap};
use raito_core::threshold::Removal;
use raito_core::upload::Receipt;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::ingest::{ENDED, IngestError};
use super::kinds::Kind;
use super::removals::Removing;
use super::tokens::Caller;
use super::{StoreError, integer, number, rows, taken};

/// A time that is later than every upload of the source: two uploads in one millisecond must not begin the same rows.
pub(super) async fn after_last(connection: &mut SqliteConnection, source: i64, now: i64) -> Result<i64, sqlx::Error> {
    let last: Option<i64> =
        sqlx::query_scalar("select max(u.at_ms) from uploads u join runs r on r.id = u.run where r.source = ?1")
            .bind(source)
            .fetch_one(connection)
            .await?;
    Ok(last.map_or(now, |last| now.max(last + 1)))
}

/// The transaction in which an upload is taken in.
pub(super) struct Commit<'u> {
    pub(super) source: i64,
    pub(super) upload: &'u UploadId,
    /// The caller that uploads.
    pub(super) caller: &'u Caller,
    /// A time that is later than every upload before.
    pub(super) now: i64,
    /// The time of the clock.
    pub(super) clock: i64,
    pub(super) gaps: &'u [Gap],
    pub(super) complete: bool,
}

/// What taking in would do with one kind of record.
#[derive(Default)]
struct Counts {
    staged: u64,
    known: u64,
    unchanged: u64,
    before: u64,
    gone: u64,
    in_gap: u64,
}

impl Commit<'_> {
    /// Looks once more at what was so when the upload began: an upload takes hours where its sender wants
    /// that, and nothing may come of it once its run has ended or its token is gone.
    pub(super) async fn still_may(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let ended: Option<Option<i64>> = sqlx::query_scalar("select ended_ms from runs where id = ?1")
            .bind(self.upload.run.as_str())
            .fetch_optional(&mut *connection)
            .await?;
        if ended.flatten().is_some() {
            return Err(StoreError::Conflict(ENDED.into()));
        }
        let Some(id) = self.caller.id() else { return Ok(()) };
        let token: Option<Option<i64>> = sqlx::query_scalar("select expires_ms from tokens where id = ?1")
            .bind(id)
            .fetch_optional(&mut *connection)
            .await?;
        match token {
            Some(end) if end.is_none_or(|end| end > self.clock) => Ok(()),
            Some(_) => Err(StoreError::Unauthorized("the token has expired while the upload was under way")),
            None => Err(StoreError::Unauthorized("the token was taken away while the upload was under way")),
        }
    }

    /// Keeps the description, unless it is of another instance.
    pub(super) async fn describe(
        &self,
        connection: &mut SqliteConnection,
        name: &str,
        description: &Description,
    ) -> Result<(), IngestError> {
        let known: Option<String> = sqlx::query_scalar("select instance_id from sources where id = ?1")
            .bind(self.source)
            .fetch_one(&mut *connection)
            .await?;
        let given = description.instance_id.as_str();
        if let Some(known) = known.filter(|known| known != given) {
            return Err(OtherInstance { source_name: name.to_owned(), known, given: given.to_owned() }.into());
        }
        let json = serde_json::to_string(description).map_err(StoreError::Content)?;
        sqlx::query("update sources set instance_id = ?2, description = ?3 where id = ?1")
            .bind(self.source)
            .bind(given)
            .bind(json)
            .execute(connection)
            .await?;
        Ok(())
    }

    /// Whether nothing may be removed at all.
    fn removes_nothing(&self) -> bool {
        !self.complete || self.gaps.iter().any(|gap| gap.scope.is_none())
    }

    /// Compares what is staged with what is there, and takes it in.
    pub(super) async fn records(
        &self,
        connection: &mut SqliteConnection,
        rules: &UploadRules,
        receipt: &mut Receipt,
    ) -> Result<(), IngestError> {
        sqlx::query(
            "insert or ignore into object_refs (source, object_key, kind, path, signature) \
             select ?1, object_key, kind, path, signature from temp.staged_refs order by object_key",
        )
        .bind(self.source)
        .execute(&mut *connection)
        .await?;
        self.find_gaps(connection).await?;
        let mut all = Vec::new();
        for kind in Kind::of(self.upload.step) {
            all.push((kind, self.count(connection, kind).await?));
        }
        if !self.removes_nothing() {
            let removal = |(kind, counts): &(&'static Kind, Counts)| Removal {
                what: kind.table.to_owned(),
                removed: counts.gone - counts.in_gap,
                before: counts.before,
            };
            let removals: Vec<Removal> = all.iter().map(removal).collect();
            let (source, upload, caller, now) = (self.source, self.upload, self.caller, self.clock);
            Removing { source, upload, caller, rules, now }.check(&mut *connection, &removals).await?;
        }
        for (kind, counts) in &all {
            let removed = if self.removes_nothing() { 0 } else { counts.gone - counts.in_gap };
            if counts.known > counts.unchanged {
                self.apply(connection, kind.end_changed()).await?;
            }
            if removed > 0 {
                self.apply(connection, kind.end_gone()).await?;
            }
            if counts.staged > counts.unchanged {
                self.apply(connection, kind.take_in(counts.before == 0)).await?;
            }
            receipt.accepted += counts.staged;
            receipt.added += counts.staged - counts.known;
            receipt.updated += counts.known - counts.unchanged;
            receipt.unchanged += counts.unchanged;
            receipt.removed += removed;
            receipt.kept += counts.gone - removed;
        }
        Ok(())
    }

    async fn apply(&self, connection: &mut SqliteConnection, sql: String) -> Result<(), sqlx::Error> {
        sqlx::query(AssertSqlSafe(sql)).bind(self.source).bind(self.now).execute(connection).await?;
        Ok(())
    }

    async fn count(&self, connection: &mut SqliteConnection, kind: &Kind) -> Result<Counts, sqlx::Error> {
        let staged: i64 = sqlx::query_scalar(AssertSqlSafe(kind.count_staged())).fetch_one(&mut *connection).await?;
        let before: i64 = sqlx::query_scalar(AssertSqlSafe(kind.count_current()))
            .bind(self.source)
            .fetch_one(&mut *connection)
            .await?;
        let mut counts = Counts { staged: number(staged), before: number(before), ..Counts::default() };
        if before > 0 {
            let (known, unchanged): (i64, i64) =
                sqlx::query_as(AssertSqlSafe(kind.count_known())).bind(self.source).fetch_one(&mut *connection).await?;
            let (gone, in_gap): (i64, i64) =
                sqlx::query_as(AssertSqlSafe(kind.count_gone())).bind(self.source).fetch_one(connection).await?;
            counts = Counts {
                known: number(known),
                unchanged: number(unchanged),
                gone: number(gone),
                in_gap: number(in_gap),
                ..counts
            };
        }
        Ok(counts)
    }

    /// Writes down what lies in a gap: the external ids, and all objects at and below them.
    async fn find_gaps(&self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        for statement in [
            "create temporary table if not exists gap_scopes (external_id text primary key, key blob) without rowid",
            "create temporary table if not exists gap_objects (key blob primary key, object_key blob) without rowid",
            "create temporary table if not exists gap_controls (key blob primary key) without rowid",
            "delete from temp.gap_scopes",
            "delete from temp.gap_objects",
            "delete from temp.gap_controls",
        ] {
            sqlx::query(statement).execute(&mut *connection).await?;
        }
        for scope in self.gaps.iter().filter_map(|gap| gap.scope.as_ref()) {
            sqlx::query("insert or ignore into temp.gap_scopes values (?1, ?2)")
                .bind(scope.as_str())
                .bind(rows::id_key(scope).0.to_vec())
                .execute(&mut *connection)
                .await?;
        }
        sqlx::query(
            "with recursive below (key) as (
                 select key from temp.gap_scopes
                 union
                 select o.key from objects o join below b on o.parent_key = b.key where o.source = ?1 and o.until_ms is null
             )
             insert or ignore into temp.gap_objects
             select o.key, o.object_key from objects o join below b on o.key = b.key where o.source = ?1 and o.until_ms is null",
        )
        .bind(self.source)
        .execute(&mut *connection)
        .await?;
        // A control that is about an object in a gap, such as its row filter, is read together with the object.
        sqlx::query(
            "insert or ignore into temp.gap_controls
             select key from temp.gap_scopes
             union
             select control_key from facts where source = ?1 and until_ms is null
             and object_key in (select object_key from temp.gap_objects)",
        )
        .bind(self.source)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Adds statements that are not known yet, each once.
    pub(super) async fn usage(
        &self,
        connection: &mut SqliteConnection,
        coverage: Option<Coverage>,
        receipt: &mut Receipt,
    ) -> Result<(), IngestError> {
        let staged: i64 =
            sqlx::query_scalar("select count(*) from temp.staged_statements").fetch_one(&mut *connection).await?;
        let added = sqlx::query(
            "insert into statements (source, key, external_id, user_id, role_id, statement, started_ms, ended_ms, success, calls, \
             precise, bytes, rows, unclear) select ?1, key, external_id, user_id, role_id, statement, started_ms, ended_ms, success, calls, \
             precise, bytes, rows, unclear from temp.staged_statements where true order by key \
             on conflict (source, key) do nothing",
        )
        .bind(self.source)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        sqlx::query(
            "insert or ignore into accesses select ?1, statement_key, object_key, action from temp.staged_accesses \
             order by statement_key",
        )
        .bind(self.source)
        .execute(&mut *connection)
        .await?;
        let description = self.description(&mut *connection).await?;
        super::named::resolve(&mut *connection, self.source, description.as_ref()).await?;
        // A log does not tell of times that are still to come.
        if let Some(coverage) = coverage {
            sqlx::query("insert into coverages values (?1, ?2, ?3, ?4)")
                .bind(self.source)
                .bind(self.upload.run.as_str())
                .bind(integer(coverage.from_ms).min(self.clock))
                .bind(integer(coverage.to_ms).min(self.clock))
                .execute(connection)
                .await?;
        }
        receipt.accepted += number(staged);
        receipt.added += added;
        receipt.unchanged += number(staged).saturating_sub(added);
        Ok(())
    }

    /// The source's description, where it has described itself.
    async fn description(&self, connection: &mut SqliteConnection) -> Result<Option<Description>, IngestError> {
        let text: Option<String> = sqlx::query_scalar("select description from sources where id = ?1")
            .bind(self.source)
            .fetch_one(connection)
            .await?;
        Ok(text.map(|text| serde_json::from_str(&text).map_err(StoreError::Content)).transpose()?)
    }

    /// Writes down that this upload was taken in; a second one of the same step is refused by its key.
    pub(super) async fn remember(
        &self,
        connection: &mut SqliteConnection,
        receipt: &Receipt,
    ) -> Result<(), IngestError> {
        let (run, step) = (self.upload.run.as_str(), self.upload.step.name());
        let receipt = serde_json::to_string(receipt).map_err(StoreError::Content)?;
        sqlx::query("insert into uploads values (?1, ?2, ?3, ?4, ?5, ?6)")
            .bind(run)
            .bind(step)
            .bind(self.now)
            .bind(self.complete && self.gaps.is_empty())
            .bind(receipt)
            .bind(self.clock)
            .execute(&mut *connection)
            .await
            .map_err(|error| taken(error, "this step of the run was uploaded already"))?;
        for gap in self.gaps {
            sqlx::query("insert into gaps values (?1, ?2, ?3, ?4)")
                .bind(run)
                .bind(step)
                .bind(gap.scope.as_ref().map(|scope| scope.as_str()))
                .bind(gap.reason.as_str())
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}
