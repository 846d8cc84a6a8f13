//! Applied states: what access code of a repository applied to a target last. The cloud keeps them and does not look into them.

use raito_core::limits;
use raito_core::marker::Master;
use raito_core::text::TargetName;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Cursor, Page, Store, StoreError, integer, number};

/// Whose state it is, and of which target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppliedOf<'a> {
    pub(crate) repository: &'a Master,
    pub(crate) target: &'a TargetName,
}

/// A state, with the version to be named by whoever writes the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppliedState {
    /// 0 where nothing was written yet.
    pub(crate) version: u64,
    /// None where nothing can be told: before the first apply, while one is on its way, after one that broke off.
    pub(crate) text: Option<String>,
}

/// An applied state, as listed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ListedAppliedState")]
pub(crate) struct AppliedRow {
    pub(crate) repository: String,
    pub(crate) target: String,
    pub(crate) version: u64,
    pub(crate) changed_ms: u64,
    /// Its length; none while an apply is on its way, and after one that did not reach its end.
    pub(crate) bytes: Option<u64>,
}

type Row = (String, String, i64, i64, Option<i64>);

fn listed((repository, target, version, changed, bytes): Row) -> Result<AppliedRow, StoreError> {
    let (version, changed_ms) = (number(version), number(changed));
    Ok(AppliedRow { repository, target, version, changed_ms, bytes: bytes.map(number) })
}

impl Store {
    /// What was applied last.
    pub(crate) async fn applied_state(&self, of: AppliedOf<'_>) -> Result<AppliedState, StoreError> {
        let row: Option<(i64, Option<String>)> =
            sqlx::query_as("select version, state from applied_states where repository = ?1 and target = ?2")
                .bind(of.repository.to_string())
                .bind(of.target.as_str())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map_or(AppliedState { version: 0, text: None }, |(version, text)| AppliedState {
            version: number(version),
            text,
        }))
    }

    /// Puts a state, or that nothing can be told, in place of the one with this version, and gives the new version.
    pub(crate) async fn keep_applied_state(
        &self,
        of: AppliedOf<'_>,
        version: u64,
        text: Option<&str>,
        now_ms: u64,
    ) -> Result<u64, StoreError> {
        self.check_room(text.map_or(0, |text| text.len() as u64))?;
        let _turn = self.turn().await;
        let sql = match version {
            0 => {
                "insert into applied_states select ?1, ?2, 1, ?4, ?5 \
                 where ?3 = 0 and (select count(*) from applied_states) < ?6 on conflict do nothing"
            }
            _ => {
                "update applied_states set version = version + 1, changed_ms = ?4, state = ?5 \
                 where repository = ?1 and target = ?2 and version = ?3 and ?6 > 0"
            }
        };
        let written = sqlx::query(sql)
            .bind(of.repository.to_string())
            .bind(of.target.as_str())
            .bind(integer(version))
            .bind(integer(now_ms))
            .bind(text)
            .bind(i64::from(limits::APPLIED_STATES))
            .execute(&self.pool)
            .await?
            .rows_affected();
        if written > 0 {
            return Ok(version + 1);
        }
        let now = self.applied_state(of).await?.version;
        Err(match now == version {
            true => StoreError::Full(format!("{} applied states are kept already", limits::APPLIED_STATES)),
            false => StoreError::Conflict(format!("it has version {now} by now: another apply has written it")),
        })
    }

    /// All of them, without what they hold.
    pub(crate) async fn applied_states(
        &self,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<AppliedRow>, StoreError> {
        let after: Option<(String, String)> = after.map(Cursor::parts).transpose()?;
        let (repository, target) = after.unwrap_or_default();
        let rows = sqlx::query_as::<_, Row>(
            "select repository, target, version, changed_ms, octet_length(state) from applied_states \
             where (repository, target) > (?1, ?2) order by repository, target limit ?3",
        )
        .bind(repository)
        .bind(target)
        .bind(i64::from(limit) + 1)
        .fetch(&self.pool);
        let item = |row: Row| {
            let cursor = Cursor::of(&(&row.0, &row.1));
            Ok((listed(row)?, cursor))
        };
        Page::read(rows, limit, item).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("cloud.db")).await.expect("a store")
    }

    #[tokio::test]
    async fn of_two_who_read_the_same_version_one_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder).await;
        let (repository, target) = ("git:corp/access".parse().expect("a master"), "shop".parse().expect("a name"));
        let of = AppliedOf { repository: &repository, target: &target };
        let read = store.applied_state(of).await.expect("an answer");
        assert_eq!(read, AppliedState { version: 0, text: None });
        assert_eq!(store.keep_applied_state(of, 0, Some("{}"), 1).await.expect("the first"), 1);
        let late = store.keep_applied_state(of, 0, Some("{\"late\":1}"), 2).await.expect_err("written by then");
        assert_eq!(late.to_string(), "it has version 1 by now: another apply has written it");
        assert_eq!(store.keep_applied_state(of, 1, None, 3).await.expect("the next"), 2);
        assert!(store.keep_applied_state(of, 1, Some("{}"), 4).await.is_err());
        let other = "crm".parse().expect("a name");
        let of_other = AppliedOf { target: &other, ..of };
        assert_eq!(store.keep_applied_state(of_other, 0, Some("{}"), 5).await.expect("another target"), 1);
        assert_eq!(store.applied_state(of).await.expect("an answer"), AppliedState { version: 2, text: None });
        let first = store.applied_states(None, 1).await.expect("a page");
        let second = store.applied_states(first.next.as_ref(), 1).await.expect("a page");
        let shown =
            |page: &Page<AppliedRow>| (page.items[0].target.clone(), page.items[0].version, page.items[0].bytes);
        assert_eq!((shown(&first), shown(&second)), (("crm".into(), 1, Some(2)), ("shop".into(), 2, None)));
        assert!(second.next.is_none());
    }
}
