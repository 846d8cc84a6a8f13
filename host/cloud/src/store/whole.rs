//! One access control of a source, whole: as the last read told it.

use raito_core::record::{AccessControl, ObjectRef};
use serde_json::{Value, json};

use super::{Store, StoreError};

/// Kind, path and signature of an object.
type Object = (String, String, Option<String>);

fn reference((kind, path, signature): Object) -> Result<ObjectRef, StoreError> {
    let path: Value = serde_json::from_str(&path)?;
    Ok(serde_json::from_value(json!({ "kind": kind, "path": path, "signature": signature }))?)
}

impl Store {
    /// The access control with this external id.
    pub(crate) async fn external_control(&self, source: i64, id: &str) -> Result<AccessControl, StoreError> {
        let row: Option<(Vec<u8>, String)> = sqlx::query_as(
            "select key, json_object('external-id', external_id, 'name', name, 'actual-name', actual_name, 'kind', kind, \
             'description', description, 'action', action, 'version', version, 'policy', json(policy), 'locks', json(locks), \
             'internalizable', json(iif(internalizable, 'true', 'false')), 'incomplete', json(iif(incomplete, 'true', 'false')), \
             'tags', json(tags)) from access_controls where source = ?1 and external_id = ?2 and until_ms is null",
        )
        .bind(source)
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let (key, record) = row.ok_or(StoreError::NotFound("access control"))?;
        let mut record: Value = serde_json::from_str(&record)?;
        record["who"] = self.members_of(source, &key).await?;
        record["what"] = self.facts_of(source, &key).await?;
        record["standing"] = self.standings_of(source, &key).await?;
        Ok(serde_json::from_value(record)?)
    }

    async fn members_of(&self, source: i64, key: &[u8]) -> Result<Value, StoreError> {
        type Row = (String, String, bool, bool, bool, Option<String>, Option<i64>);
        let rows: Vec<Row> = sqlx::query_as(
            "select member_kind, member_id, inherits, assumable, may_pass_on, granted_by, expires_ms from members \
             where source = ?1 and control_key = ?2 and until_ms is null order by member_kind, member_id, granted_by",
        )
        .bind(source)
        .bind(key)
        .fetch_all(&self.pool)
        .await?;
        let member = |(kind, id, inherits, assumable, may_pass_on, granted_by, expires): Row| {
            json!({ "kind": kind, "id": id, "inherits": inherits, "assumable": assumable, "may-pass-on": may_pass_on,
                    "granted-by": granted_by, "expires-ms": expires })
        };
        Ok(rows.into_iter().map(member).collect())
    }

    async fn facts_of(&self, source: i64, key: &[u8]) -> Result<Value, StoreError> {
        type Row = (String, String, Option<String>, String, bool, Option<String>, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "select r.kind, r.path, r.signature, f.permission, f.may_pass_on, f.granted_by, f.condition from facts f \
             join object_refs r on r.source = f.source and r.object_key = f.object_key \
             where f.source = ?1 and f.control_key = ?2 and f.until_ms is null order by r.path, f.condition, f.permission",
        )
        .bind(source)
        .bind(key)
        .fetch_all(&self.pool)
        .await?;
        let fact = |(kind, path, signature, permission, may_pass_on, granted_by, condition): Row| {
            let used = json!({ "name": permission, "may-pass-on": may_pass_on, "granted-by": granted_by });
            let object = reference((kind, path, signature))?;
            Ok(json!({ "object": object, "permissions": [used], "condition": condition }))
        };
        rows.into_iter().map(fact).collect()
    }

    async fn standings_of(&self, source: i64, key: &[u8]) -> Result<Value, StoreError> {
        type Row = (String, String, Option<String>, String, Option<String>, String, bool, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(
            "select r.kind, r.path, r.signature, f.kind, f.creator, f.permission, f.may_pass_on, f.granted_by from standings f \
             join object_refs r on r.source = f.source and r.object_key = f.object_key \
             where f.source = ?1 and f.control_key = ?2 and f.until_ms is null order by r.path, f.kind, f.creator, f.permission",
        )
        .bind(source)
        .bind(key)
        .fetch_all(&self.pool)
        .await?;
        let standing = |(of, path, signature, kind, creator, permission, may_pass_on, granted_by): Row| {
            let used = json!({ "name": permission, "may-pass-on": may_pass_on, "granted-by": granted_by });
            let under = reference((of, path, signature))?;
            Ok(json!({ "under": under, "kind": kind, "creator": creator, "permissions": [used] }))
        };
        rows.into_iter().map(standing).collect()
    }
}
