//! Internal access controls: those that the cloud is master of.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::decide::DriftItem;
use raito_core::exchange::{Desired, DesiredState, Feedback};
use raito_core::limits;
use raito_core::marker::{Master, NotAMaster};
use raito_core::record::AccessControl;
use raito_core::text::{ExternalId, Name};
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{Cursor, Page, Store, StoreError, integer, number};

/// An internal access control.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "InternalAccessControl")]
pub(crate) struct InternalControl {
    pub(crate) id: String,
    pub(crate) external_id: Option<String>,
    /// The name under which a run was about to create it.
    pub(crate) creating: Option<String>,
    pub(crate) control: AccessControl,
    pub(crate) delete_wanted: bool,
    pub(crate) version: u64,
    pub(crate) changed_ms: u64,
    pub(crate) status: String,
    pub(crate) feedback: Option<Feedback>,
    /// What somebody changed at the target by hand, as the last run found it.
    pub(crate) drift: Vec<DriftItem>,
    /// Whether it is to be external again.
    pub(crate) hand_back: bool,
}

/// One thing that was changed by hand.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Drift")]
pub(crate) struct DriftRow {
    /// The internal access control.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// What was done.
    #[serde(flatten)]
    pub(crate) item: DriftItem,
}

/// What to change of one.
#[derive(Debug, Clone)]
pub(crate) enum ControlChange {
    /// What it is to be.
    Record(Box<AccessControl>),
    /// That it is to go.
    Delete,
    /// That it is to be external again, as it is.
    HandBack,
}

type Row =
    (String, Option<String>, Option<String>, String, bool, i64, i64, String, Option<String>, Option<String>, bool);

const SELECT: &str = "select id, external_id, creating, record, delete_wanted, version, changed_ms, status, feedback, drift, \
                      hand_back from internal_controls";

fn internal(row: Row) -> Result<InternalControl, StoreError> {
    let (id, external_id, creating, record, delete_wanted, version, changed, status, feedback, drift, hand_back) = row;
    Ok(InternalControl {
        id,
        external_id,
        creating,
        control: serde_json::from_str(&record)?,
        delete_wanted,
        version: number(version),
        changed_ms: number(changed),
        status,
        feedback: feedback.map(|text| serde_json::from_str(&text)).transpose()?,
        drift: drift.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default(),
        hand_back,
    })
}

impl Store {
    /// Keeps a new one. It is out of date until a run has carried it out.
    pub(crate) async fn add_internal_control(
        &self,
        source: i64,
        control: &AccessControl,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        self.check_room(0)?;
        let _turn = self.turn().await;
        sqlx::query(
            "insert into internal_controls (id, source, record, created_ms, changed_ms, status) values (?1, ?2, ?3, ?4, ?4, 'out-of-date')",
        )
        .bind(control.external_id.as_str())
        .bind(source)
        .bind(serde_json::to_string(control)?)
        .bind(integer(now_ms))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps one that was external until now, as it is. What it was then is the state that drift is measured by.
    pub(crate) async fn take_over(
        &self,
        source: i64,
        id: &str,
        control: &AccessControl,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        let record = AccessControl {
            external_id: ExternalId::new(id).map_err(|error| StoreError::Conflict(error.to_string()))?,
            ..control.clone()
        };
        let _turn = self.turn().await;
        let inserted = sqlx::query(
            "insert into internal_controls (id, source, external_id, record, applied, created_ms, changed_ms, status) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6, 'out-of-date') on conflict do nothing",
        )
        .bind(id)
        .bind(source)
        .bind(control.external_id.as_str())
        .bind(serde_json::to_string(&record)?)
        .bind(serde_json::to_string(control)?)
        .bind(integer(now_ms))
        .execute(&self.pool)
        .await?
        .rows_affected();
        if inserted == 0 { Err(StoreError::Conflict("it is managed here already".into())) } else { Ok(()) }
    }

    /// The technical names at a source that begin so: those that the target has, and those that are to be, but for one.
    pub(crate) async fn names_like(
        &self,
        source: i64,
        beginning: &str,
        but: &ExternalId,
    ) -> Result<BTreeSet<String>, StoreError> {
        let names: Vec<(String,)> = sqlx::query_as(
            "select actual_name from access_controls \
             where source = ?1 and until_ms is null and substr(actual_name, 1, length(?2)) = ?2 \
             union select record ->> 'actual-name' from internal_controls \
             where source = ?1 and id <> ?3 and substr(record ->> 'actual-name', 1, length(?2)) = ?2",
        )
        .bind(source)
        .bind(beginning)
        .bind(but.as_str())
        .fetch_all(&self.pool)
        .await?;
        Ok(names.into_iter().map(|(name,)| name).collect())
    }

    /// What was changed by hand at a source, as its last run found it. A page has all of each access control that is on it.
    pub(crate) async fn drift(
        &self,
        source: i64,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<DriftRow>, StoreError> {
        let sql =
            format!("{SELECT} where source = ?1 and drift <> '[]' and (?2 is null or id > ?2) order by id limit ?3");
        let page = self.internal_page(sql, source, after, limit).await?;
        let items = page.items.into_iter().flat_map(|internal| {
            let (id, name) = (internal.id, internal.control.name.to_string());
            internal.drift.into_iter().map(move |item| DriftRow { id: id.clone(), name: name.clone(), item })
        });
        Ok(Page { items: items.collect(), next: page.next })
    }

    /// A page of the internal access controls of a source, in the order in which they were made.
    pub(crate) async fn internal_controls_page(
        &self,
        source: i64,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<InternalControl>, StoreError> {
        // Ids of version 7 grow with the time (RFC 9562, section 5.7).
        let sql = format!("{SELECT} where source = ?1 and (?2 is null or id > ?2) order by id limit ?3");
        self.internal_page(sql, source, after, limit).await
    }

    async fn internal_page(
        &self,
        sql: String,
        source: i64,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<InternalControl>, StoreError> {
        let after: Option<String> = after.map(Cursor::parts).transpose()?;
        let query = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql)).bind(source).bind(after);
        let rows = query.bind(i64::from(limit) + 1).fetch(&self.pool);
        let item = |row: Row| {
            let cursor = Cursor::of(&row.0);
            Ok((internal(row)?, cursor))
        };
        Page::read(rows, limit, item).await
    }

    /// Changes one, if it still has this version.
    pub(crate) async fn change_internal_control(
        &self,
        source: i64,
        id: &str,
        version: u64,
        change: &ControlChange,
        now_ms: u64,
    ) -> Result<InternalControl, StoreError> {
        if matches!(change, ControlChange::Record(_)) {
            self.check_room(0)?;
        }
        let (record, delete, hand_back) = match change {
            ControlChange::Record(control) => (Some(serde_json::to_string(control)?), false, false),
            ControlChange::Delete => (None, true, false),
            ControlChange::HandBack => (None, false, true),
        };
        let turn = self.turn().await;
        let changed = sqlx::query(
            "update internal_controls set record = coalesce(?4, record), delete_wanted = ?5, version = version + 1, changed_ms = ?6, hand_back = ?7, \
             status = 'out-of-date' where source = ?1 and id = ?2 and version = ?3",
        )
        .bind(source)
        .bind(id)
        .bind(integer(version))
        .bind(record)
        .bind(delete)
        .bind(integer(now_ms))
        .bind(hand_back)
        .execute(&self.pool)
        .await?
        .rows_affected();
        drop(turn);
        let current = self.internal_control(source, id).await?;
        if changed == 0 {
            return Err(StoreError::Conflict(format!(
                "it has version {}, not {version}: read it again",
                current.version
            )));
        }
        Ok(current)
    }

    /// One of them.
    pub(crate) async fn internal_control(&self, source: i64, id: &str) -> Result<InternalControl, StoreError> {
        let sql = format!("{SELECT} where source = ?1 and id = ?2");
        let row: Option<Row> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(source).bind(id).fetch_optional(&self.pool).await?;
        internal(row.ok_or(StoreError::NotFound("internal access control"))?)
    }

    /// All of a source.
    pub(crate) async fn internal_controls(&self, source: i64) -> Result<Vec<InternalControl>, StoreError> {
        let sql = format!("{SELECT} where source = ?1 order by created_ms, id");
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(source).fetch_all(&self.pool).await?;
        rows.into_iter().map(internal).collect()
    }

    /// What the source of a run is to have.
    pub(crate) async fn desired(&self, source: i64) -> Result<DesiredState, StoreError> {
        let (was_applied, instance_id): (bool, Option<String>) =
            sqlx::query_as("select was_applied, instance_id from sources where id = ?1")
                .bind(source)
                .fetch_one(&self.pool)
                .await?;
        let sql = "select id, applied, begun from internal_controls where source = ?1";
        let rows: Vec<(String, Option<String>, Option<String>)> =
            sqlx::query_as(sql).bind(source).fetch_all(&self.pool).await?;
        let mut left: BTreeMap<_, _> = rows.into_iter().map(|(id, applied, begun)| (id, (applied, begun))).collect();
        let unreadable = |_| StoreError::Conflict("an internal access control has an id that is none".into());
        let mut controls = Vec::new();
        for internal in self.internal_controls(source).await? {
            let (applied, begun) = left.remove(&internal.id).unwrap_or_default();
            controls.push(Desired {
                id: Name::new(internal.id).map_err(unreadable)?,
                version: internal.version,
                external_id: internal.external_id.map(ExternalId::new).transpose().map_err(unreadable)?,
                control: internal.control,
                creating: internal.creating.map(Name::new).transpose().map_err(unreadable)?,
                delete: internal.delete_wanted,
                hand_back: internal.hand_back,
                applied: applied.map(|text| serde_json::from_str(&text)).transpose()?,
                begun: begun.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default(),
            });
        }
        let instance_id = instance_id.map(ExternalId::new).transpose().map_err(unreadable)?;
        Ok(DesiredState { master: self.master().await?, was_applied, instance_id, controls })
    }

    /// Who this cloud is: a name that it gives itself once.
    pub(crate) async fn master(&self) -> Result<Master, StoreError> {
        let known: Option<String> = sqlx::query_scalar("select id from cloud").fetch_optional(&self.pool).await?;
        let id = match known {
            Some(id) => id,
            None => self.name_itself().await?,
        };
        format!("cloud:{id}").parse().map_err(|error: NotAMaster| StoreError::Conflict(error.to_string()))
    }

    /// Keeps a name for this cloud, unless somebody else was quicker.
    async fn name_itself(&self) -> Result<String, StoreError> {
        let _turn = self.turn().await;
        sqlx::query("insert into cloud select ?1 where not exists (select 1 from cloud)")
            .bind(uuid::Uuid::now_v7().to_string())
            .execute(&self.pool)
            .await?;
        Ok(sqlx::query_scalar("select id from cloud").fetch_one(&self.pool).await?)
    }

    /// Writes down what became of them. One that was deleted at the target, or handed back, is gone.
    pub(crate) async fn take_feedback(&self, source: i64, all: &[Feedback]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for feedback in all {
            if let Some(begins) = &feedback.begins {
                begin(&mut transaction, source, feedback, begins).await?;
                continue;
            }
            let query = if feedback.deleted {
                sqlx::query(
                    "delete from internal_controls where source = ?1 and id = ?2 and (delete_wanted or hand_back)",
                )
                .bind(source)
                .bind(feedback.id.as_str())
            } else {
                let summary = Feedback { applied: None, drift: Vec::new(), ..feedback.clone() };
                sqlx::query(
                    "update internal_controls set external_id = coalesce(?3, external_id), \
                     status = iif(version = ?9, ?4, 'out-of-date'), feedback = ?5, creating = ?6, applied = coalesce(?7, applied), \
                     begun = iif(?7 is null, begun, null), drift = ?8 where source = ?1 and id = ?2",
                )
                .bind(source)
                .bind(feedback.id.as_str())
                .bind(feedback.external_id.as_ref().map(|id| id.as_str().to_owned()))
                .bind(status(feedback))
                .bind(serde_json::to_string(&summary)?)
                .bind(feedback.creating.as_ref().map(|name| name.as_str().to_owned()))
                .bind(feedback.applied.as_ref().map(serde_json::to_string).transpose()?)
                .bind(serde_json::to_string(&feedback.drift)?)
                .bind(integer(feedback.version))
            };
            query.execute(&mut **transaction).await?;
        }
        if all.iter().any(|feedback| feedback.begins.is_some() || feedback.applied.is_some()) {
            sqlx::query("update sources set was_applied = 1 where id = ?1")
                .bind(source)
                .execute(&mut **transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Writes down what a run is about to make of an access control, beside what others were about to.
async fn begin(
    connection: &mut SqliteConnection,
    source: i64,
    feedback: &Feedback,
    begins: &AccessControl,
) -> Result<(), StoreError> {
    let known: Option<Option<String>> =
        sqlx::query_scalar("select begun from internal_controls where source = ?1 and id = ?2")
            .bind(source)
            .bind(feedback.id.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let mut begun: Vec<AccessControl> =
        known.flatten().map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default();
    begun.retain(|state| state != begins);
    begun.push(begins.clone());
    if begun.len() > limits::BEGUN_STATES {
        let oldest = begun.remove(0);
        begun[0] = oldest.with(&begun[0]);
    }
    sqlx::query("update internal_controls set status = 'in-progress', creating = coalesce(?3, creating), begun = ?4 where source = ?1 and id = ?2")
        .bind(source)
        .bind(feedback.id.as_str())
        .bind(feedback.creating.as_ref().map(|name| name.as_str().to_owned()))
        .bind(serde_json::to_string(&begun)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// How an access control stands, in a word.
fn status(feedback: &Feedback) -> &'static str {
    let drifted = feedback.drift.iter().any(|item| !item.reverted);
    match feedback.errors.is_empty() {
        false => "failed",
        true if drifted => "out-of-sync",
        // What could be done was done, and something that it depends on was not read.
        true if !feedback.synced => "out-of-date",
        true => "synced",
    }
}
