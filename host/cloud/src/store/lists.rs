//! Lists: pages of what is current, in the order of names, with a cursor that says where the next page begins.

use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{Stream, TryStreamExt as _};
use raito_core::digest::Key;
use raito_core::limits;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use sqlx::AssertSqlSafe;

use super::rows::key_of;
use super::{Store, StoreError, number};

/// Where a page begins: behind the row with this name and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    name: String,
    key: Vec<u8>,
}

impl Cursor {
    /// Reads a cursor that a caller gives back.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let at = bytes.len().checked_sub(16)?;
        Some(Self { name: String::from_utf8(bytes[..at].to_vec()).ok()?, key: bytes[at..].to_vec() })
    }

    /// One that says all in a text, where no key belongs to it.
    pub(super) fn of(parts: &impl Serialize) -> Self {
        let name = serde_json::to_string(parts).expect("texts and numbers are JSON");
        Self { name, key: vec![0; 16] }
    }

    /// What it says.
    ///
    /// # Errors
    /// `StoreError::Cursor` where it is one of another list.
    pub(super) fn parts<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        serde_json::from_str(&self.name).map_err(|_| StoreError::Cursor)
    }

    /// The cursor as callers see it.
    pub(crate) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode([self.name.as_bytes(), &self.key].concat())
    }
}

/// What a list is narrowed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Names that begin with this.
    pub(crate) prefix: Option<String>,
    /// Objects directly below the object with this external id; access controls, users … of this kind.
    pub(crate) under: Option<String>,
    /// Of this kind.
    pub(crate) kind: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<Cursor>,
}

impl<T: Serialize> Page<T> {
    /// The first `limit` rows, of which one more was asked for, and where the next page begins. A page ends
    /// earlier where its items have many bytes: rows behind that are not fetched.
    pub(super) async fn read<R>(
        rows: impl Stream<Item = Result<R, sqlx::Error>>,
        limit: u32,
        mut item: impl FnMut(R) -> Result<(T, Cursor), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut rows = pin!(rows);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page = Self { items: Vec::new(), next: None };
        let (mut bytes, mut last) = (0, None);
        while let Some(row) = rows.try_next().await? {
            if page.items.len() >= limit || bytes >= limits::CLOUD_PAGE_BYTES {
                page.next = last;
                break;
            }
            let (item, cursor) = item(row)?;
            bytes += weight(&item)?;
            page.items.push(item);
            last = Some(cursor);
        }
        Ok(page)
    }
}

/// How many bytes an item has as JSON.
pub(super) fn weight(item: &impl Serialize) -> Result<usize, StoreError> {
    struct Counter(usize);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, item)?;
    Ok(counter.0)
}

/// A user, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedUser")]
pub(crate) struct UserRow {
    pub(crate) external_id: String,
    pub(crate) user_name: String,
    pub(crate) display_name: String,
    pub(crate) email: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) machine: Option<bool>,
    pub(crate) tags: Json,
    pub(crate) since_ms: u64,
}

/// A group, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedGroup")]
pub(crate) struct GroupRow {
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) incomplete: bool,
    pub(crate) since_ms: u64,
}

/// An object, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedObject")]
pub(crate) struct ObjectRow {
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) path: Json,
    pub(crate) signature: Option<String>,
    pub(crate) description: String,
    pub(crate) parent_external_id: Option<String>,
    pub(crate) data_type: Option<String>,
    pub(crate) since_ms: u64,
}

/// An access control, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedAccessControl")]
pub(crate) struct ControlRow {
    pub(crate) external_id: String,
    pub(crate) name: String,
    pub(crate) actual_name: String,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) action: String,
    pub(crate) internalizable: bool,
    pub(crate) incomplete: bool,
    pub(crate) managed: bool,
    pub(crate) members: u64,
    pub(crate) facts: u64,
    pub(crate) since_ms: u64,
}

/// A statement, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedStatement")]
pub(crate) struct StatementRow {
    pub(crate) external_id: String,
    pub(crate) user: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) calls: u64,
    pub(crate) objects: Json,
}

/// The condition that every list of current rows has. Parameters: source, name and key of the cursor, prefix, its end.
fn behind(name: &str) -> String {
    format!(
        "source = ?1 and until_ms is null and (?2 is null or ({name}, key) > (?2, ?3)) and (?4 is null or ({name} >= ?4 and {name} < ?5))"
    )
}

/// The first text that does not begin with a prefix and stands behind all that do.
fn end_of(prefix: &str) -> String {
    format!("{prefix}\u{10ffff}")
}

impl Store {
    /// Runs the statement of a list and cuts it into a page: it asks for one row more than the page has.
    async fn page<Row, T>(
        &self,
        sql: String,
        source: i64,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: u32,
        item: impl Fn(Row) -> Result<(T, String, Vec<u8>), StoreError>,
    ) -> Result<Page<T>, StoreError>
    where
        Row: for<'r> sqlx::FromRow<'r, sqlx::sqlite::SqliteRow> + Send + Unpin,
        T: Serialize,
    {
        let rows = sqlx::query_as::<_, Row>(AssertSqlSafe(sql))
            .bind(source)
            .bind(cursor.map(|cursor| cursor.name.clone()))
            .bind(cursor.map(|cursor| cursor.key.clone()))
            .bind(filter.prefix.clone())
            .bind(filter.prefix.as_deref().map(end_of))
            .bind(filter.kind.clone())
            .bind(filter.under.as_deref().map(|id| key_of(id).0.to_vec()))
            .bind(i64::from(limit) + 1)
            .fetch(&self.pool);
        let item = |row| item(row).map(|(row, name, key)| (row, Cursor { name, key }));
        Page::read(rows, limit, item).await
    }

    /// Users, by account name.
    pub(crate) async fn users(
        &self,
        source: i64,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<UserRow>, StoreError> {
        type Row = (String, String, String, Option<String>, bool, Option<bool>, String, i64, Vec<u8>);
        let sql = format!(
            "select external_id, user_name, display_name, email, enabled, machine, tags, since_ms, key from users where {} \
             and (?6 is null) and (?7 is null) order by user_name, key limit ?8",
            behind("user_name")
        );
        self.page(sql, source, filter, cursor, limit, |row: Row| {
            let (external_id, user_name, display_name, email, enabled, machine, tags, since, key) = row;
            let (name, tags, since_ms) = (user_name.clone(), serde_json::from_str(&tags)?, number(since));
            Ok((UserRow { external_id, user_name, display_name, email, enabled, machine, tags, since_ms }, name, key))
        })
        .await
    }

    /// Groups, by name.
    pub(crate) async fn groups(
        &self,
        source: i64,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<GroupRow>, StoreError> {
        type Row = (String, String, String, String, bool, i64, Vec<u8>);
        let sql = format!(
            "select external_id, name, display_name, description, incomplete, since_ms, key from groups where {} \
             and (?6 is null) and (?7 is null) order by name, key limit ?8",
            behind("name")
        );
        self.page(sql, source, filter, cursor, limit, |row: Row| {
            let (external_id, name, display_name, description, incomplete, since, key) = row;
            let (at, since_ms) = (name.clone(), number(since));
            Ok((GroupRow { external_id, name, display_name, description, incomplete, since_ms }, at, key))
        })
        .await
    }

    /// Objects, by path.
    pub(crate) async fn objects(
        &self,
        source: i64,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ObjectRow>, StoreError> {
        type Row =
            (String, String, String, String, Option<String>, String, Option<String>, Option<String>, i64, Vec<u8>);
        let sql = format!(
            "select external_id, name, kind, path, signature, description, parent_external_id, data_type, since_ms, key from objects \
             where {} and (?6 is null or kind = ?6) and (?7 is null or parent_key = ?7) order by path, key limit ?8",
            behind("path")
        );
        self.page(sql, source, filter, cursor, limit, |row: Row| {
            let (external_id, name, kind, path, signature, description, parent_external_id, data_type, since, key) =
                row;
            let (at, since_ms) = (path.clone(), number(since));
            let path = serde_json::from_str(&path)?;
            let row = ObjectRow {
                external_id,
                name,
                kind,
                path,
                signature,
                description,
                parent_external_id,
                data_type,
                since_ms,
            };
            Ok((row, at, key))
        })
        .await
    }

    /// Access controls, by name, with how many members and facts they have.
    pub(crate) async fn access_controls(
        &self,
        source: i64,
        filter: &Filter,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<ControlRow>, StoreError> {
        type Row = (String, String, String, String, String, String, bool, bool, bool, i64, i64, i64, Vec<u8>);
        let sql = format!(
            "select c.external_id, c.name, c.actual_name, c.kind, c.description, c.action, c.internalizable, c.incomplete, \
             exists (select 1 from internal_controls i where i.source = c.source and i.external_id = c.external_id), \
             (select count(*) from members m where m.source = c.source and m.control_key = c.key and m.until_ms is null), \
             (select count(*) from facts f where f.source = c.source and f.control_key = c.key and f.until_ms is null), \
             c.since_ms, c.key from access_controls c where {} and (?6 is null or kind = ?6) and (?7 is null) order by name, key limit ?8",
            behind("name")
        );
        self.page(sql, source, filter, cursor, limit, |row: Row| {
            let (
                external_id,
                name,
                actual_name,
                kind,
                description,
                action,
                internalizable,
                incomplete,
                managed,
                members,
                facts,
                since,
                key,
            ) = row;
            let at = name.clone();
            let row = ControlRow {
                external_id,
                name,
                actual_name,
                kind,
                description,
                action,
                internalizable,
                incomplete,
                managed,
                members: number(members),
                facts: number(facts),
                since_ms: number(since),
            };
            Ok((row, at, key))
        })
        .await
    }

    /// The members of an access control, as records.
    pub(crate) async fn members(
        &self,
        source: i64,
        control: &str,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Json>, StoreError> {
        let (kind, id): (Option<String>, Option<String>) =
            match after.map(Cursor::parts::<(String, String)>).transpose()? {
                Some((kind, id)) => (Some(kind), Some(id)),
                None => (None, None),
            };
        type Row = (String, String, String, Vec<u8>);
        let rows = sqlx::query_as::<_, Row>(
            "select json_object('kind', member_kind, 'id', member_id, 'inherits', iif(inherits, json('true'), json('false')), \
             'assumable', iif(assumable, json('true'), json('false')), 'may-pass-on', iif(may_pass_on, json('true'), json('false')), \
             'granted-by', granted_by, 'expires-ms', expires_ms), member_kind, member_id, key from members \
             where source = ?1 and control_key = ?2 and until_ms is null \
             and (?3 is null or (member_kind, member_id, key) > (?3, ?4, ?5)) order by member_kind, member_id, key limit ?6",
        )
        .bind(source)
        .bind(key_of(control).0.to_vec())
        .bind(kind)
        .bind(id)
        .bind(after.map(|cursor| cursor.key.clone()))
        .bind(i64::from(limit) + 1)
        .fetch(&self.pool);
        let item =
            |(row, kind, id, key): Row| Ok((serde_json::from_str(&row)?, Cursor { key, ..Cursor::of(&(kind, id)) }));
        Page::read(rows, limit, item).await
    }

    /// The facts of an access control, or those about an object, a page at a time in the order of their keys.
    pub(crate) async fn facts(
        &self,
        source: i64,
        of: &FactsOf,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<Json>, StoreError> {
        let (column, value) = match of {
            FactsOf::Control(id) => ("control_key", key_of(id).0.to_vec()),
            FactsOf::Object(key) => ("object_key", key.0.to_vec()),
        };
        let sql = format!(
            "select json_object('control', c.external_id, 'kind', r.kind, 'path', json(r.path), 'signature', r.signature, \
             'permission', f.permission, 'may-pass-on', iif(f.may_pass_on, json('true'), json('false')), 'granted-by', f.granted_by, \
             'condition', f.condition, 'since-ms', f.since_ms), f.key \
             from facts f join object_refs r on r.source = f.source and r.object_key = f.object_key \
             join access_controls c on c.source = f.source and c.key = f.control_key and c.until_ms is null \
             where f.source = ?1 and f.{column} = ?2 and f.until_ms is null and (?3 is null or f.key > ?3) order by f.key limit ?4"
        );
        let rows = sqlx::query_as::<_, (String, Vec<u8>)>(AssertSqlSafe(sql))
            .bind(source)
            .bind(value)
            .bind(after.map(|cursor| cursor.key.clone()))
            .bind(i64::from(limit) + 1)
            .fetch(&self.pool);
        let item =
            |(row, key): (String, Vec<u8>)| Ok((serde_json::from_str(&row)?, Cursor { name: String::new(), key }));
        Page::read(rows, limit, item).await
    }

    /// The statements, the newest first, and behind them those of which nobody knows when they were.
    pub(crate) async fn statements(
        &self,
        source: i64,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<StatementRow>, StoreError> {
        let started: Option<i64> = after.map(Cursor::parts::<Option<i64>>).transpose()?.flatten();
        type Row = (String, Option<String>, Option<String>, Option<String>, Option<i64>, i64, String, Vec<u8>);
        let rows = sqlx::query_as::<_, Row>(
            "select external_id, user_id, role_id, statement, started_ms, calls, \
             (select json_group_array(json_object('kind', r.kind, 'path', json(r.path), 'action', a.action)) from accesses a \
              join object_refs r on r.source = a.source and r.object_key = a.object_key \
              where a.source = s.source and a.statement_key = s.key), key \
             from statements s where source = ?1 and (?3 is null or (?2 is null and started_ms is null and key > ?3) \
             or (?2 is not null and (started_ms < ?2 or started_ms is null or (started_ms = ?2 and key > ?3)))) \
             order by started_ms desc, key limit ?4",
        )
        .bind(source)
        .bind(started)
        .bind(after.map(|cursor| cursor.key.clone()))
        .bind(i64::from(limit) + 1)
        .fetch(&self.pool);
        let item = |(external_id, user, role, text, started, calls, objects, key): Row| {
            let cursor = Cursor { key, ..Cursor::of(&started) };
            let (started_ms, calls) = (started.map(number), number(calls));
            let objects = serde_json::from_str(&objects)?;
            Ok((StatementRow { external_id, user, role, text, started_ms, calls, objects }, cursor))
        };
        Page::read(rows, limit, item).await
    }

    /// How many current records of each kind a source has.
    pub(crate) async fn counts(&self, source: i64) -> Result<Vec<(&'static str, u64)>, StoreError> {
        let mut counts = Vec::new();
        for kind in super::kinds::KINDS {
            let count: i64 =
                sqlx::query_scalar(AssertSqlSafe(kind.count_current())).bind(source).fetch_one(&self.pool).await?;
            counts.push((kind.table, number(count)));
        }
        let statements: i64 = sqlx::query_scalar("select count(*) from statements where source = ?1")
            .bind(source)
            .fetch_one(&self.pool)
            .await?;
        counts.push(("statements", number(statements)));
        Ok(counts)
    }
}

/// Whose facts.
#[derive(Debug, Clone)]
pub(crate) enum FactsOf {
    /// Of the access control with this external id.
    Control(String),
    /// About the object with this key.
    Object(Key),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_given() {
        let cursor = Cursor { name: "Zoë, \"the\" one".into(), key: vec![7; 16] };
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        assert_eq!(Cursor::parse("short"), None);
        assert_eq!(Cursor::parse("not base64!"), None);
    }
}
