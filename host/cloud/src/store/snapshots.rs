//! Snapshots for effective access: everything of a source at one time, put together once and kept until the source changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt as _;
use raito_core::expansion::{Builder, Snapshot};
use raito_core::record::{
    AccessControl, Action, DataObject, Description, Group, Member, MemberKind, Membership, ObjectRef, PermissionUse,
    Standing, User,
};
use raito_core::text::{ExternalId, PermissionName, PolicyText};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Store, StoreError, integer};
use crate::api::effective::{Coverage, ReadItem};

/// Snapshots of now that are kept, and those of other times.
const KEPT: [usize; 2] = [3, 2];

/// What a snapshot is of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Of {
    source: i64,
    /// The newest upload that is in it.
    upload_ms: i64,
    as_of: Option<u64>,
}

/// Snapshots that are kept. Those of now and those of other times are loaded one at a time each, so that
/// who asks about the past keeps nobody waiting who asks about now.
#[derive(Default)]
pub(super) struct Snapshots {
    kept: Mutex<Vec<(Of, Arc<Snapshot>)>>,
    loading: [tokio::sync::Mutex<()>; 2],
}

impl Snapshots {
    fn kept(&self) -> MutexGuard<'_, Vec<(Of, Arc<Snapshot>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, of: Of) -> Option<Arc<Snapshot>> {
        self.kept().iter().find(|(known, _)| *known == of).map(|(_, snapshot)| Arc::clone(snapshot))
    }

    fn keep(&self, of: Of, snapshot: Arc<Snapshot>) {
        let mut kept = self.kept();
        kept.retain(|(known, _)| known.source != of.source || known.upload_ms == of.upload_ms);
        kept.push((of, snapshot));
        let is_past = of.as_of.is_some();
        let alike = kept.iter().filter(|(known, _)| known.as_of.is_some() == is_past).count();
        let oldest = kept.iter().position(|(known, _)| known.as_of.is_some() == is_past);
        if let Some(oldest) = oldest.filter(|_| alike > KEPT[usize::from(is_past)]) {
            kept.remove(oldest);
        }
    }
}

/// The condition that rows of a time have. Parameters: source and time.
const AT: &str = "source = ?1 and since_ms <= ?2 and (until_ms is null or until_ms > ?2)";

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, StoreError> {
    Ok(serde_json::from_value(value)?)
}

fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    Ok(serde_json::from_str(text)?)
}

/// A text that the store took in as one of its kind.
fn text<T: TryFrom<String>>(text: String) -> Result<T, StoreError> {
    T::try_from(text).map_err(|_| StoreError::Conflict("the store holds a text that is none of its kind".into()))
}

fn optional<T: TryFrom<String>>(value: Option<String>) -> Result<Option<T>, StoreError> {
    value.map(text).transpose()
}

impl Store {
    /// The snapshot of a source, now or as of a time in milliseconds since 1970.
    pub(crate) async fn snapshot(
        &self,
        source: i64,
        as_of: Option<u64>,
        now_ms: u64,
    ) -> Result<Arc<Snapshot>, StoreError> {
        let newest: Option<i64> =
            sqlx::query_scalar("select max(u.at_ms) from uploads u join runs r on r.id = u.run where r.source = ?1")
                .bind(source)
                .fetch_one(&self.pool)
                .await?;
        let of = Of { source, upload_ms: newest.unwrap_or(0), as_of };
        if let Some(known) = self.snapshots.find(of) {
            return Ok(known);
        }
        let _loading = self.snapshots.loading[usize::from(as_of.is_some())].lock().await;
        // Somebody else may have loaded it meanwhile.
        if let Some(known) = self.snapshots.find(of) {
            return Ok(known);
        }
        let snapshot = Arc::new(self.load_snapshot(source, as_of.map_or(i64::MAX, integer), now_ms).await?);
        self.snapshots.keep(of, Arc::clone(&snapshot));
        Ok(snapshot)
    }

    async fn load_snapshot(&self, source: i64, at: i64, now_ms: u64) -> Result<Snapshot, StoreError> {
        let description: Option<String> = sqlx::query_scalar("select description from sources where id = ?1")
            .bind(source)
            .fetch_one(&self.pool)
            .await?;
        let description = description.ok_or_else(|| StoreError::Conflict("the source was never read whole".into()))?;
        let description: Description = from_text(&description)?;
        let mut builder = Builder::new(&description, if at == i64::MAX { now_ms } else { super::number(at) });
        let refs = self.object_refs(source).await?;
        self.load_identities(&mut builder, source, at).await?;
        self.load_objects(&mut builder, source, at).await?;
        let controls = self.load_controls(&mut builder, source, at).await?;
        self.load_members(&mut builder, &controls, source, at).await?;
        self.load_facts(&mut builder, &controls, &refs, source, at).await?;
        self.load_standings(&mut builder, &controls, &refs, source, at).await?;
        Ok(builder.finish())
    }

    async fn object_refs(&self, source: i64) -> Result<HashMap<Vec<u8>, ObjectRef>, StoreError> {
        let sql = "select object_key, kind, path, signature from object_refs where source = ?1";
        let mut rows =
            sqlx::query_as::<_, (Vec<u8>, String, String, Option<String>)>(sql).bind(source).fetch(&self.pool);
        let mut refs = HashMap::new();
        while let Some((key, kind, path, signature)) = rows.try_next().await? {
            refs.insert(key, ObjectRef { kind: text(kind)?, path: from_text(&path)?, signature: optional(signature)? });
        }
        Ok(refs)
    }

    async fn load_identities(&self, builder: &mut Builder, source: i64, at: i64) -> Result<(), StoreError> {
        let sql = format!("select external_id, user_name, display_name, enabled from users where {AT}");
        let mut users = sqlx::query_as::<_, (String, String, String, bool)>(sqlx::AssertSqlSafe(sql))
            .bind(source)
            .bind(at)
            .fetch(&self.pool);
        while let Some((external_id, user_name, display_name, enabled)) = users.try_next().await? {
            builder.user(&User {
                external_id: text(external_id)?,
                user_name: text(user_name)?,
                display_name: text(display_name)?,
                email: None,
                enabled,
                machine: None,
                tags: vec![],
            });
        }
        let sql = format!("select external_id, name, incomplete from groups where {AT}");
        let mut groups = sqlx::query_as::<_, (String, String, bool)>(sqlx::AssertSqlSafe(sql))
            .bind(source)
            .bind(at)
            .fetch(&self.pool);
        while let Some((external_id, name, incomplete)) = groups.try_next().await? {
            let group = json!({ "external-id": external_id, "name": name, "display-name": name, "description": "", "incomplete": incomplete });
            builder.group(&parse::<Group>(group)?);
        }
        let sql = format!("select group_id, {MEMBER} from memberships where {AT}");
        let mut rows =
            sqlx::query_as::<_, (String, String, String, bool, bool, bool, Option<i64>)>(sqlx::AssertSqlSafe(sql))
                .bind(source)
                .bind(at)
                .fetch(&self.pool);
        while let Some((group, kind, id, inherits, assumable, may_pass_on, expires)) = rows.try_next().await? {
            let member = member(&kind, id, (inherits, assumable, may_pass_on), expires)?;
            builder.membership(&Membership { group_external_id: text(group)?, member });
        }
        Ok(())
    }

    async fn load_objects(&self, builder: &mut Builder, source: i64, at: i64) -> Result<(), StoreError> {
        type Row = (String, String, String, String, Option<String>, Option<String>, String, String);
        let sql = format!(
            "select external_id, name, kind, path, signature, parent_external_id, reads, rights from objects where {AT}"
        );
        let mut rows = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql)).bind(source).bind(at).fetch(&self.pool);
        while let Some((external_id, name, kind, path, signature, parent, reads, rights)) = rows.try_next().await? {
            let object = DataObject {
                external_id: text(external_id)?,
                name: text(name)?,
                object: ObjectRef { kind: text(kind)?, path: from_text(&path)?, signature: optional(signature)? },
                description: text(String::new())?,
                parent_external_id: optional(parent)?,
                data_type: None,
                reads: from_text(&reads)?,
                rights: parse(Value::String(rights))?,
                tags: vec![],
            };
            builder.object(&object).map_err(built)?;
        }
        Ok(())
    }

    /// Access controls without members and facts; gives the external id and the action of each by its key.
    async fn load_controls(
        &self,
        builder: &mut Builder,
        source: i64,
        at: i64,
    ) -> Result<HashMap<Vec<u8>, (ExternalId, Action)>, StoreError> {
        type Row = (Vec<u8>, String, String, String, String, Option<String>, bool);
        let sql =
            format!("select key, external_id, name, kind, action, policy, incomplete from access_controls where {AT}");
        let mut rows = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql)).bind(source).bind(at).fetch(&self.pool);
        let mut controls = HashMap::new();
        while let Some((key, external_id, name, kind, action, policy, incomplete)) = rows.try_next().await? {
            let policy: Value = policy.map(|text| from_text(&text)).transpose()?.unwrap_or(Value::Null);
            let control: AccessControl = parse(json!({
                "external-id": external_id, "name": name, "actual-name": name, "kind": kind, "description": "",
                "action": action, "policy": policy, "internalizable": false, "incomplete": incomplete,
            }))?;
            builder.control(&control).map_err(built)?;
            controls.insert(key, (control.external_id, control.action));
        }
        Ok(controls)
    }

    async fn load_members(
        &self,
        builder: &mut Builder,
        controls: &HashMap<Vec<u8>, (ExternalId, Action)>,
        source: i64,
        at: i64,
    ) -> Result<(), StoreError> {
        let sql = format!("select control_key, {MEMBER} from members where {AT}");
        let mut rows =
            sqlx::query_as::<_, (Vec<u8>, String, String, bool, bool, bool, Option<i64>)>(sqlx::AssertSqlSafe(sql))
                .bind(source)
                .bind(at)
                .fetch(&self.pool);
        while let Some((control, kind, id, inherits, assumable, may_pass_on, expires)) = rows.try_next().await? {
            let Some((control, action)) = controls.get(&control) else { continue };
            let member = member(&kind, id, (inherits, assumable, may_pass_on), expires)?;
            builder.held(control, *action, &[member], &[], &[]).map_err(built)?;
        }
        Ok(())
    }

    async fn load_facts(
        &self,
        builder: &mut Builder,
        controls: &HashMap<Vec<u8>, (ExternalId, Action)>,
        refs: &HashMap<Vec<u8>, ObjectRef>,
        source: i64,
        at: i64,
    ) -> Result<(), StoreError> {
        let sql = format!("select control_key, object_key, permission, may_pass_on, condition from facts where {AT}");
        let mut rows = sqlx::query_as::<_, (Vec<u8>, Vec<u8>, String, bool, Option<String>)>(sqlx::AssertSqlSafe(sql))
            .bind(source)
            .bind(at)
            .fetch(&self.pool);
        while let Some((control, object, permission, may_pass_on, condition)) = rows.try_next().await? {
            let (Some((control, action)), Some(object)) = (controls.get(&control), refs.get(&object)) else { continue };
            let permission: PermissionName = text(permission)?;
            let condition: Option<PolicyText> = optional(condition)?;
            let id = builder.control_id(control);
            builder.fact(id, *action, object, &permission, condition.as_ref(), may_pass_on).map_err(built)?;
        }
        Ok(())
    }

    async fn load_standings(
        &self,
        builder: &mut Builder,
        controls: &HashMap<Vec<u8>, (ExternalId, Action)>,
        refs: &HashMap<Vec<u8>, ObjectRef>,
        source: i64,
        at: i64,
    ) -> Result<(), StoreError> {
        let sql =
            format!("select control_key, object_key, kind, creator, permission, may_pass_on from standings where {AT}");
        type Row = (Vec<u8>, Vec<u8>, String, Option<String>, String, bool);
        let mut rows = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(sql)).bind(source).bind(at).fetch(&self.pool);
        while let Some((control, under, kind, creator, permission, may_pass_on)) = rows.try_next().await? {
            let (Some((control, action)), Some(under)) = (controls.get(&control), refs.get(&under)) else { continue };
            let standing = Standing {
                under: under.clone(),
                kind: text(kind)?,
                creator: optional(creator)?,
                permissions: vec![PermissionUse { name: text(permission)?, may_pass_on, granted_by: None }],
            };
            builder.held(control, *action, &[], &[], &[standing]).map_err(built)?;
        }
        Ok(())
    }
}

const MEMBER: &str = "member_kind, member_id, inherits, assumable, may_pass_on, expires_ms";

fn member(
    kind: &str,
    id: String,
    (inherits, assumable, may_pass_on): (bool, bool, bool),
    expires: Option<i64>,
) -> Result<Member, StoreError> {
    let kind: MemberKind = parse(Value::String(kind.to_owned()))?;
    let expires_ms = expires.map(super::number);
    Ok(Member { kind, id: text(id)?, inherits, assumable, may_pass_on, granted_by: None, expires_ms })
}

fn built(error: raito_core::expansion::BuildError) -> StoreError {
    StoreError::Conflict(error.to_string())
}

impl Store {
    /// What answers about a source rest on: the reads of each step up to a time, and what the newest of them left open.
    pub(crate) async fn coverage(&self, source: i64, as_of: Option<u64>, now_ms: u64) -> Result<Coverage, StoreError> {
        let at = as_of.map_or(i64::MAX, integer);
        // Of each step the newest; of its row the time that the clock said (SQLite, "Bare columns
        // in an aggregate query").
        const NEWEST: &str = "select u.step, max(u.at_ms), coalesce(u.clock_ms, u.at_ms) from uploads u join runs r on r.id = u.run \
                              where r.source = ?1 and u.at_ms <= ?2";
        let newest = async |more: &str| -> Result<Vec<(String, i64, i64)>, StoreError> {
            let sql = format!("{NEWEST} {more} group by u.step order by u.step");
            Ok(sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(source).bind(at).fetch_all(&self.pool).await?)
        };
        let complete: HashMap<String, i64> =
            newest("and u.complete").await?.into_iter().map(|(step, _, clock)| (step, clock)).collect();
        let gaps = self.gaps(source, at, "g.step <> 'data-usage'").await?;
        let read = |(step, _, newest): (String, i64, i64)| {
            let (newest, complete) = (super::number(newest), complete.get(&step).copied().map(super::number));
            ReadItem {
                step,
                newest_ms: newest.min(now_ms),
                complete_ms: complete.map(|complete| complete.min(now_ms)),
                clock_was_ahead: newest.max(complete.unwrap_or(0)) > now_ms,
            }
        };
        Ok(Coverage { reads: newest("").await?.into_iter().map(read).collect(), gaps, ..Coverage::default() })
    }

    /// What the newest uploads up to a time left open, of the steps that a condition names.
    pub(crate) async fn gaps(&self, source: i64, at: i64, steps: &'static str) -> Result<Vec<String>, StoreError> {
        let sql = format!(
            "select distinct g.reason from gaps g join uploads u on u.run = g.run and u.step = g.step join runs r on r.id = u.run \
             where r.source = ?1 and {steps} and u.at_ms = (select max(v.at_ms) from uploads v join runs w on w.id = v.run \
             where w.source = ?1 and v.step = u.step and v.at_ms <= ?2) order by g.reason limit 100"
        );
        Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(source).bind(at).fetch_all(&self.pool).await?)
    }
}

#[cfg(test)]
mod tests {
    use raito_core::exchange::{RunOpening, UploadId, UploadRules};
    use raito_core::step::Step;
    use raito_core::text::RunId;
    use raito_core::threshold::Thresholds;

    use super::*;
    use crate::store::Caller;

    const NOON: u64 = 1_767_268_800_000;
    const YEARS_LATER: u64 = NOON + 4 * 365 * 86_400_000;

    /// Uploads a read of a step with these lines at a time.
    async fn upload(store: &Store, number: u32, step: Step, now_ms: u64, lines: &[Value]) -> Option<u64> {
        let run = RunId::new(format!("00000000-0000-4000-8000-{number:012}")).expect("a UUID");
        let opening: RunOpening = serde_json::from_value(json!({
            "run": run, "source": "shop", "connector": "demo", "version": "1", "sha256": "0".repeat(64),
        }))
        .expect("an opening");
        let opened = store.open_run(&opening, now_ms).await.expect("opens");
        let rules = UploadRules { thresholds: Thresholds::default(), allow_removals: None };
        let upload = UploadId { run, step };
        let mut ingest = store.begin_upload(upload, rules, Caller::Host).await.expect("begins");
        let end = json!({ "end": { "lines": lines.len(), "complete": true } });
        for line in lines.iter().chain([&end]) {
            ingest.line(format!("{line}\n").as_bytes()).await.expect("a line");
        }
        ingest.commit(now_ms).await.expect("taken in");
        opened.usage_since_ms
    }

    #[tokio::test]
    async fn no_answer_is_from_the_future() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("cloud.db")).await.expect("opens");
        let statement = |id: &str, at: u64| json!({ "statement": { "external-id": id, "started-ms": at, "success": true, "calls": 1, "precise": true } });
        // The clock is ahead, as is what the target says of statements.
        upload(&store, 1, Step::IdentityStore, YEARS_LATER, &[]).await;
        let coverage = json!({ "coverage": { "from-ms": NOON, "to-ms": YEARS_LATER * 2 } });
        let lines = [statement("s1", NOON - 5_000), statement("s2", YEARS_LATER + 1), coverage];
        upload(&store, 2, Step::DataUsage, YEARS_LATER, &lines).await;
        let source = store.source_id("shop").await.expect("a source");
        let told = async |now: u64| store.coverage(source, None, now).await.expect("told").reads;
        let then: Vec<(u64, Option<u64>, bool)> = told(YEARS_LATER)
            .await
            .into_iter()
            .map(|read| (read.newest_ms, read.complete_ms, read.clock_was_ahead))
            .collect();
        assert_eq!(then, [(YEARS_LATER, Some(YEARS_LATER), false); 2], "nobody knew");
        let usage = store.usage_coverage(source).await.expect("told").covered;
        assert_eq!(usage.iter().map(|one| one.to_ms).max(), Some(YEARS_LATER), "no log tells of what is to come");
        // It was set right: what was read then is from before, and what is read now has its time.
        let read = told(NOON).await;
        assert!(
            read.iter().all(|read| read.clock_was_ahead && read.newest_ms <= NOON && read.complete_ms <= Some(NOON))
        );
        let since = upload(&store, 3, Step::IdentityStore, NOON, &[]).await;
        assert_eq!(since, Some(NOON - 5_000), "a statement of the future keeps no other from being read");
        let read = told(NOON).await;
        let of = |step: &str| read.iter().find(|read| read.step == step).expect("a read");
        assert_eq!((of("identity-store").newest_ms, of("identity-store").clock_was_ahead), (NOON, false));
        assert!(of("data-usage").clock_was_ahead);
    }

    #[tokio::test]
    async fn questions_about_the_past_keep_nobody_waiting_and_push_out_no_snapshot_of_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("cloud.db")).await.expect("opens");
        upload(&store, 1, Step::IdentityStore, NOON, &[]).await;
        let source = store.source_id("shop").await.expect("a source");
        let description = json!({
            "name": "t", "instance-id": "i", "kinds": [], "controls": [], "specials": [], "inheritance": true, "masks": [],
            "filters-apply-to": [], "mask-overrides": [], "filter-overrides": [], "name-pattern": ".*", "name-bytes-max": 63,
            "reserved-prefixes": [], "sql-dialect": null,
        });
        sqlx::query("update sources set description = ?1")
            .bind(description.to_string())
            .execute(&store.pool)
            .await
            .expect("described");
        let ask = async |as_of| store.snapshot(source, as_of, NOON).await.expect("a snapshot");
        let now = ask(None).await;
        for ms in 0..5 {
            ask(Some(NOON - ms)).await;
        }
        assert!(Arc::ptr_eq(&now, &ask(None).await), "it was pushed out");
        assert_eq!(store.snapshots.kept().len(), 1 + KEPT[1]);
        // Somebody loads one of the past, and somebody else asks about now after a change.
        let loading = store.snapshots.loading[1].lock().await;
        upload(&store, 2, Step::IdentityStore, NOON + 1, &[]).await;
        assert!(!Arc::ptr_eq(&now, &ask(None).await));
        drop(loading);
    }
}
