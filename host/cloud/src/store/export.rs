//! The whole current state, line by line in a fixed order and without times and ids of runs: two stores that hold the same
//! export the same bytes.

use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::kinds::{KINDS, Kind};
use super::{Store, StoreError};

/// Columns that are keys, which JSON holds in hexadecimal.
const KEYS: [&str; 4] = ["key", "control_key", "object_key", "parent_key"];

impl Kind {
    /// The current rows of a source as JSON arrays.
    fn export(&self) -> String {
        let column =
            |column: &&str| if KEYS.contains(column) { format!("hex({column})") } else { (*column).to_owned() };
        let columns = [self.key, self.columns].concat().iter().map(column).collect::<Vec<_>>().join(", ");
        format!(
            "select json_array('{}', {columns}) from {} where source = ?1 and until_ms is null order by {}",
            self.table,
            self.table,
            self.key.join(", ")
        )
    }
}

/// What else there is besides the kinds with a past.
const OTHERS: [&str; 3] = [
    "select json_array('internal-control', external_id, json_remove(record, '$.external-id'), delete_wanted, status) \
     from internal_controls where source = ?1 order by external_id, record",
    "select json_array('statement', external_id, user_id, role_id, statement, started_ms, ended_ms, success, calls, precise, bytes, rows) \
     from statements where source = ?1 order by key",
    "select json_array('access', hex(statement_key), hex(object_key), action) from accesses where source = ?1 \
     order by statement_key, object_key, action",
];

impl Store {
    /// Gives each line of the export, with its line break, to `take`, until that says that nobody
    /// wants more. It takes as long as whoever reads it, so its connection is not of the pool.
    pub(crate) async fn export<F>(&self, mut take: F) -> Result<(), StoreError>
    where
        F: AsyncFnMut(Vec<u8>) -> bool,
    {
        let mut connection = self.connection().await?;
        let sources: Vec<(i64, String)> = sqlx::query_as(
            "select id, json_array('source', name, instance_id, json(description)) from sources order by name",
        )
        .fetch_all(&mut connection)
        .await?;
        for (source, line) in sources {
            if !take(format!("{line}\n").into_bytes()).await {
                return Ok(());
            }
            let statements = KINDS.iter().map(|kind| kind.export()).chain(OTHERS.map(str::to_owned));
            for sql in statements {
                let mut rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).bind(source).fetch(&mut connection);
                while let Some(row) = rows.try_next().await? {
                    if !take(format!("{row}\n").into_bytes()).await {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }
}
