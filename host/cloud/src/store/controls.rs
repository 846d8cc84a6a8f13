//! Internal access controls: those that the cloud is master of.

use raito_core::exchange::{Desired, Feedback};
use raito_core::record::AccessControl;
use raito_core::text::{ExternalId, Name};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Store, StoreError, integer, number};

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
}

/// What to change of one.
#[derive(Debug, Clone)]
pub(crate) enum ControlChange {
    /// What it is to be.
    Record(Box<AccessControl>),
    /// That it is to go.
    Delete,
}

type Row = (String, Option<String>, Option<String>, String, bool, i64, i64, String, Option<String>);

const SELECT: &str = "select id, external_id, creating, record, delete_wanted, version, changed_ms, status, feedback from internal_controls";

fn internal(row: Row) -> Result<InternalControl, StoreError> {
    let (id, external_id, creating, record, delete_wanted, version, changed, status, feedback) = row;
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

    /// Changes one, if it still has this version.
    pub(crate) async fn change_internal_control(
        &self,
        source: i64,
        id: &str,
        version: u64,
        change: &ControlChange,
        now_ms: u64,
    ) -> Result<InternalControl, StoreError> {
        let (record, delete) = match change {
            ControlChange::Record(control) => (Some(serde_json::to_string(control)?), false),
            ControlChange::Delete => (None, true),
        };
        let changed = sqlx::query(
            "update internal_controls set record = coalesce(?4, record), delete_wanted = ?5, version = version + 1, changed_ms = ?6, \
             status = 'out-of-date' where source = ?1 and id = ?2 and version = ?3",
        )
        .bind(source)
        .bind(id)
        .bind(integer(version))
        .bind(record)
        .bind(delete)
        .bind(integer(now_ms))
        .execute(&self.pool)
        .await?
        .rows_affected();
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
    pub(crate) async fn desired(&self, source: i64) -> Result<Vec<Desired>, StoreError> {
        let unreadable = |_| StoreError::Conflict("an internal access control has an id that is none".into());
        let desired = |internal: InternalControl| {
            Ok(Desired {
                id: Name::new(internal.id).map_err(unreadable)?,
                external_id: internal.external_id.map(ExternalId::new).transpose().map_err(unreadable)?,
                control: internal.control,
                creating: internal.creating.map(Name::new).transpose().map_err(unreadable)?,
                delete: internal.delete_wanted,
            })
        };
        self.internal_controls(source).await?.into_iter().map(desired).collect()
    }

    /// Writes down what became of them. One that was deleted at the target is gone.
    pub(crate) async fn take_feedback(&self, source: i64, all: &[Feedback]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        for feedback in all {
            let query = if feedback.deleted {
                sqlx::query("delete from internal_controls where source = ?1 and id = ?2 and delete_wanted")
                    .bind(source)
                    .bind(feedback.id.as_str())
            } else {
                let status = match (&feedback.creating, feedback.synced) {
                    (Some(_), _) => "in-progress",
                    (None, true) => "synced",
                    (None, false) => "failed",
                };
                sqlx::query(
                    "update internal_controls set external_id = coalesce(?3, external_id), status = ?4, feedback = ?5, \
                     creating = ?6 where source = ?1 and id = ?2",
                )
                .bind(source)
                .bind(feedback.id.as_str())
                .bind(feedback.external_id.as_ref().map(|id| id.as_str().to_owned()))
                .bind(status)
                .bind(serde_json::to_string(feedback)?)
                .bind(feedback.creating.as_ref().map(|name| name.as_str().to_owned()))
            };
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}
