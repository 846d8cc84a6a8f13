//! Statements whose text names what they used: which objects the names mean, among those that the source has now.
//!
//! A name means the object whose path ends with it, below where the statement was run, of a kind that knows what was done. Where
//! several are possible, the shortest path counts, and where that leaves more than one, nobody can tell: the statement is marked.
//! A name that no object has is none that anybody can ask about, such as a temporary table.

use raito_core::digest::Key;
use raito_core::record::{Description, Named, ObjectRef};
use serde_json::json;
use sqlx::SqliteConnection;

use super::StoreError;
use super::rows::Row;

pub(super) const STAGE: &str = "create temporary table staged_names (statement_key, under, tail, name, action)";
/// Columns of the staged table.
pub(super) const COLUMNS: usize = 5;

/// A name to stage. Paths are kept as JSON, so `under` is how a path begins and `tail` how it ends.
pub(super) fn staged(statement: Key, within: Option<&ObjectRef>, named: &Named) -> Option<Row> {
    let name = named.parts.last()?.as_str().to_owned();
    let inner = |json: String| json.trim_start_matches('[').trim_end_matches(']').to_owned();
    let under = match within {
        Some(within) => format!("[{},", inner(json!(within.path).to_string())),
        None => "[".to_owned(),
    };
    let tail = format!("{}]", inner(json!(named.parts).to_string()));
    Some(vec![statement.into(), under.into(), tail.into(), name.into(), named.action.as_str().to_owned().into()])
}

const RESOLVE: &str = "\
insert into temp.found_names select under, tail, action, min(object_key), count(*) from (
  select n.under, n.tail, n.action, o.object_key, json_array_length(o.path) as depth,
         min(json_array_length(o.path)) over (partition by n.under, n.tail, n.action) as least
  from objects o cross join temp.distinct_names n on n.name = o.name
  where o.source = ?1 and o.until_ms is null and substr(o.path, 1, length(n.under)) = n.under
    and (substr(o.path, -length(n.tail) - 1) = ',' || n.tail or o.path = '[' || n.tail)
    and (o.kind, n.action) in (select value ->> 0, value ->> 1 from json_each(?2)))
where depth = least group by under, tail, action";

const STEPS: [&str; 4] = [
    "drop table if exists temp.distinct_names",
    "drop table if exists temp.found_names",
    "create temporary table distinct_names as select distinct name, under, tail, action from temp.staged_names",
    "create temporary table found_names (under, tail, action, object_key, count, primary key (under, tail, action)) without rowid",
];

const FOUND: &str =
    "from temp.staged_names n join temp.found_names f on f.under = n.under and f.tail = n.tail and f.action = n.action";

/// Adds what the names of staged statements mean to what they used, and marks those that nobody can tell.
pub(super) async fn resolve(
    connection: &mut SqliteConnection,
    source: i64,
    description: Option<&Description>,
) -> Result<(), StoreError> {
    let staged: i64 = sqlx::query_scalar("select count(*) from temp.staged_names").fetch_one(&mut *connection).await?;
    let Some(description) = description.filter(|_| staged > 0) else { return Ok(()) };
    for step in STEPS {
        sqlx::query(step).execute(&mut *connection).await?;
    }
    sqlx::query("create index temp.distinct_by_name on distinct_names (name)").execute(&mut *connection).await?;
    let known = description.kinds.iter().flat_map(|kind| {
        kind.permissions.iter().map(|permission| json!([kind.name.as_str(), permission.name.as_str()]))
    });
    let known = serde_json::Value::Array(known.collect()).to_string();
    sqlx::query(RESOLVE).bind(source).bind(known).execute(&mut *connection).await?;
    let with_source = [
        "insert or ignore into object_refs select o.source, o.object_key, o.kind, o.path, o.signature from objects o \
         where o.source = ?1 and o.until_ms is null and o.object_key in (select object_key from temp.found_names where count = 1)"
            .to_owned(),
        format!(
            "insert or ignore into accesses select ?1, n.statement_key, f.object_key, n.action {FOUND} where f.count = 1 \
             order by n.statement_key"
        ),
        format!(
            "update statements set unclear = 1 where source = ?1 and key in (select n.statement_key {FOUND} where f.count > 1)"
        ),
    ];
    for sql in with_source {
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(source).execute(&mut *connection).await?;
    }
    Ok(())
}
