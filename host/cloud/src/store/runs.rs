//! Sources and their runs.

use raito_core::exchange::{Outcome, RunClosed, RunClosing, RunOpened, RunOpening, StepReport};
use raito_core::limits;
use raito_core::step::Step;
use raito_core::text::{ExternalId, RunId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use sqlx::SqliteConnection;

use super::lists::weight;
use super::{Cursor, Page, Store, StoreError, integer, number, taken};

/// What is known of a source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Source")]
pub(crate) struct SourceRow {
    pub(crate) name: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) description: Option<Json>,
    pub(crate) connector: String,
    pub(crate) connector_version: String,
    pub(crate) connector_sha256: String,
    pub(crate) created_ms: u64,
}

/// What is known of a run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Run")]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) source: String,
    pub(crate) connector: String,
    pub(crate) connector_version: String,
    pub(crate) connector_sha256: String,
    pub(crate) began_ms: u64,
    pub(crate) ended_ms: Option<u64>,
    pub(crate) outcome: Option<String>,
    pub(crate) steps: Vec<Json>,
    /// The host's audit log when the run ended, signed by the host.
    pub(crate) checkpoint: Option<String>,
}

type SourceTuple = (String, Option<String>, Option<String>, String, String, String, i64);
type RunTuple = (String, String, String, String, String, i64, Option<i64>, Option<String>, Option<String>);

const SELECT_RUNS: &str = "select r.id, s.name, r.connector, r.connector_version, r.connector_sha256, r.began_ms, r.ended_ms, \
                           r.outcome, r.checkpoint from runs r join sources s on s.id = r.source";

impl Store {
    /// Begins a run. Runs of the same source that never ended are ended: their host is gone, or this one is newer.
    pub(crate) async fn open_run(&self, opening: &RunOpening, now_ms: u64) -> Result<RunOpened, StoreError> {
        self.check_room(0)?;
        let mut transaction = self.begin().await?;
        let (connector, version, digest) =
            (opening.connector.as_str(), opening.version.as_str(), opening.sha256.to_string());
        let source: i64 = sqlx::query_scalar(
            "insert into sources (name, connector, connector_version, connector_sha256, created_ms) values (?1, ?2, ?3, ?4, ?5) \
             on conflict (name) do update set connector = ?2, connector_version = ?3, connector_sha256 = ?4 returning id",
        )
        .bind(opening.source.as_str())
        .bind(connector)
        .bind(version)
        .bind(&digest)
        .bind(integer(now_ms))
        .fetch_one(&mut **transaction)
        .await?;
        sqlx::query("update runs set ended_ms = ?2, outcome = ?3 where source = ?1 and ended_ms is null")
            .bind(source)
            .bind(integer(now_ms))
            .bind(Outcome::Interrupted.word())
            .execute(&mut **transaction)
            .await?;
        sqlx::query(
            "insert into runs (id, source, connector, connector_version, connector_sha256, began_ms) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .bind(opening.run.as_str())
        .bind(source)
        .bind(connector)
        .bind(version)
        .bind(&digest)
        .bind(integer(now_ms))
        .execute(&mut **transaction)
        .await
        .map_err(|error| taken(error, "there is a run with this id already: begin one with an id of its own"))?;
        // One that began in the future, by another clock or by no clock, would keep all others from
        // being read.
        let newest = "select max(started_ms) from statements where source = ?1 and started_ms <= ?2";
        let newest: Option<i64> =
            sqlx::query_scalar(newest).bind(source).bind(integer(now_ms)).fetch_one(&mut **transaction).await?;
        let instance_id: Option<String> = sqlx::query_scalar("select instance_id from sources where id = ?1")
            .bind(source)
            .fetch_one(&mut **transaction)
            .await?;
        let instance_id = instance_id.and_then(|id| ExternalId::new(id).ok());
        let mut accepted = false;
        if let Some(upload) = &opening.unanswered {
            let found: Option<i64> = sqlx::query_scalar("select 1 from uploads where run = ?1 and step = ?2")
                .bind(upload.run.as_str())
                .bind(upload.step.name())
                .fetch_optional(&mut **transaction)
                .await?;
            accepted = found.is_some();
        }
        transaction.commit().await?;
        Ok(RunOpened { usage_since_ms: newest.map(number), instance_id, unanswered_was_accepted: accepted })
    }

    /// Ends a run, and gives what is kept of the host's record.
    pub(crate) async fn close_run(
        &self,
        run: &RunId,
        closing: &RunClosing,
        now_ms: u64,
    ) -> Result<RunClosed, StoreError> {
        let mut transaction = self.begin().await?;
        let sql = "update runs set ended_ms = ?2, outcome = ?3, checkpoint = ?4 where id = ?1 and ended_ms is null";
        let ended = sqlx::query(sql)
            .bind(run.as_str())
            .bind(integer(now_ms))
            .bind(closing.outcome.word())
            .bind(closing.checkpoint.as_ref().map(|checkpoint| checkpoint.note()))
            .execute(&mut **transaction)
            .await?
            .rows_affected();
        if ended == 0 {
            return Err(StoreError::Conflict("there is no such run, or it has ended".into()));
        }
        for report in &closing.steps {
            sqlx::query("insert into steps values (?1, ?2, ?3)")
                .bind(run.as_str())
                .bind(report.step.name())
                .bind(serde_json::to_string(report)?)
                .execute(&mut **transaction)
                .await
                .map_err(|error| taken(error, "a step is reported twice"))?;
            // Left out, unless an earlier step kept it from running.
            let skipped = report.outcome == Outcome::Skipped;
            if report.step == Step::AccessToTarget && (!skipped || closing.outcome == Outcome::Completed) {
                connect(&mut transaction, run, !skipped).await?;
            }
        }
        transaction.commit().await?;
        Ok(RunClosed { checkpoint: closing.checkpoint.clone() })
    }

    /// The source of a run.
    pub(crate) async fn source_of_run(&self, run: &RunId) -> Result<i64, StoreError> {
        let source = sqlx::query_scalar("select source from runs where id = ?1")
            .bind(run.as_str())
            .fetch_optional(&self.pool)
            .await?;
        source.ok_or(StoreError::NotFound("run"))
    }

    /// The number of a source.
    pub(crate) async fn source_id(&self, name: &str) -> Result<i64, StoreError> {
        let source =
            sqlx::query_scalar("select id from sources where name = ?1").bind(name).fetch_optional(&self.pool).await?;
        source.ok_or(StoreError::NotFound("source"))
    }

    /// Name and id of every source that was ever read.
    pub(crate) async fn described_sources(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "select name, id from sources where description is not null order by name";
        Ok(sqlx::query_as(sql).fetch_all(&self.pool).await?)
    }

    /// All sources.
    pub(crate) async fn sources(&self) -> Result<Vec<SourceRow>, StoreError> {
        let rows: Vec<SourceTuple> = sqlx::query_as(
            "select name, instance_id, description, connector, connector_version, connector_sha256, created_ms from sources order by name",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|(name, instance_id, description, connector, connector_version, connector_sha256, created)| {
                let description = description.map(|text| serde_json::from_str(&text)).transpose()?;
                let created_ms = number(created);
                Ok(SourceRow {
                    name,
                    instance_id,
                    description,
                    connector,
                    connector_version,
                    connector_sha256,
                    created_ms,
                })
            })
            .collect()
    }

    /// The newest runs, of one source or of all.
    pub(crate) async fn runs(
        &self,
        source: Option<&str>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<RunRow>, StoreError> {
        let (began, id): (Option<i64>, Option<String>) = match after.map(Cursor::parts::<(i64, String)>).transpose()? {
            Some((began, id)) => (Some(began), Some(id)),
            None => (None, None),
        };
        let sql = format!(
            "{SELECT_RUNS} where (?1 is null or s.name = ?1) and (?2 is null or (r.began_ms, r.id) < (?2, ?3)) \
             order by r.began_ms desc, r.id desc limit ?4"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(source).bind(began).bind(id);
        let rows: Vec<RunTuple> = query.bind(i64::from(limit) + 1).fetch_all(&self.pool).await?;
        let mut page = Page { items: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, None);
        for row in rows {
            if page.items.len() >= limit as usize || bytes >= limits::CLOUD_PAGE_BYTES {
                page.next = last;
                break;
            }
            let cursor = Cursor::of(&(row.5, &row.0));
            let run = self.with_steps(row).await?;
            bytes += weight(&run)?;
            page.items.push(run);
            last = Some(cursor);
        }
        Ok(page)
    }

    /// One run.
    pub(crate) async fn run(&self, id: &str) -> Result<RunRow, StoreError> {
        let sql = format!("{SELECT_RUNS} where r.id = ?1");
        let row: Option<RunTuple> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(&self.pool).await?;
        self.with_steps(row.ok_or(StoreError::NotFound("run"))?).await
    }

    async fn with_steps(&self, row: RunTuple) -> Result<RunRow, StoreError> {
        let (id, source, connector, connector_version, connector_sha256, began, ended, outcome, checkpoint) = row;
        let reports: Vec<String> =
            sqlx::query_scalar("select report from steps where run = ?1").bind(&id).fetch_all(&self.pool).await?;
        let mut reports: Vec<StepReport> =
            reports.iter().map(|report| serde_json::from_str(report)).collect::<Result<_, _>>()?;
        reports.sort_by_key(|report| report.step);
        let steps = reports.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
        let (began_ms, ended_ms) = (number(began), ended.map(number));
        Ok(RunRow {
            id,
            source,
            connector,
            connector_version,
            connector_sha256,
            began_ms,
            ended_ms,
            outcome,
            steps,
            checkpoint,
        })
    }
}

/// Says of access controls that wait for a change whether anything carries changes out at their source.
async fn connect(connection: &mut SqliteConnection, run: &RunId, connected: bool) -> Result<(), StoreError> {
    let (from, to) = if connected { ("not-connected", "out-of-date") } else { ("out-of-date", "not-connected") };
    sqlx::query("update internal_controls set status = ?3 where status = ?2 and source = (select source from runs where id = ?1)")
        .bind(run.as_str())
        .bind(from)
        .bind(to)
        .execute(connection)
        .await?;
    Ok(())
}
