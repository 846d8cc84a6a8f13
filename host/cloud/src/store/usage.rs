//! What is known of use: who did what when, and for which time the targets' logs tell it whole.

use std::collections::BTreeMap;

use raito_core::record::ObjectRef;
use raito_core::text::ExternalId;
use sqlx::AssertSqlSafe;

use super::{Cursor, Page, Store, StoreError, number};
use crate::api::usage::{Interval, LastUse, UsageCoverage, UsageRow};

/// What uses are asked about.
#[derive(Debug, Clone, Default)]
pub(crate) struct UsageFilter {
    pub(crate) user: Option<ExternalId>,
    pub(crate) object: Option<ObjectRef>,
}

/// The object and what was done, by which a last use is found: as `object_key` and the action in lower case.
type Done = (Vec<u8>, String);

/// What one user, or what is done with one object, was last.
pub(crate) type LastUses = BTreeMap<(String, Done), LastUse>;

/// Where a page of uses begins: behind the one with this last use, user, role, kind, path, signature and action.
type UsagePlace = (i64, [String; 6]);

/// What stands behind the last use in the order of uses.
const PLACE: &str =
    "coalesce(u.user_id, ''), coalesce(u.role_id, ''), r.kind, r.path, coalesce(r.signature, ''), u.action";

const USES: &str = "from accesses a join statements s on s.source = a.source and s.key = a.statement_key \
                    where a.source = ?1 and (?2 is null or s.user_id = ?2) and (?3 is null or a.object_key = ?3)";

impl Store {
    /// Who did what, by person, role, object and action, the last first.
    pub(crate) async fn usage(
        &self,
        source: i64,
        filter: &UsageFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<UsageRow>, StoreError> {
        let after: Option<UsagePlace> = after.map(Cursor::parts).transpose()?;
        type Row = (Option<String>, Option<String>, String, String, Option<String>, String, i64, i64, i64, bool);
        let sql = format!(
            "select u.user_id, u.role_id, r.kind, r.path, r.signature, u.action, u.first, u.last, u.calls, u.precise from (\
               select s.user_id, s.role_id, a.object_key, a.action, min(s.started_ms) as first, \
               max(coalesce(s.ended_ms, s.started_ms)) as last, sum(s.calls) as calls, min(s.precise) as precise {USES} \
               group by s.user_id, s.role_id, a.object_key, a.action) u \
             join object_refs r on r.source = ?1 and r.object_key = u.object_key \
             where ?4 is null or u.last < ?4 or (u.last = ?4 and ({PLACE}) > (?5, ?6, ?7, ?8, ?9, ?10)) \
             order by u.last desc, {PLACE} limit ?11"
        );
        let (user, object) = bound(filter);
        let query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql)).bind(source).bind(user).bind(object);
        let query = match after {
            Some((last, [user, role, kind, path, signature, action])) => {
                query.bind(Some(last)).bind(user).bind(role).bind(kind).bind(path).bind(signature).bind(action)
            }
            None => (0..6).fold(query.bind(None::<i64>), |query, _| query.bind(String::new())),
        };
        let rows = query.bind(i64::from(limit) + 1).fetch(&self.pool);
        let cursor = |(user, role, kind, path, signature, action, _, last, ..): &Row| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let place: UsagePlace =
                (*last, [text(user), text(role), kind.clone(), path.clone(), text(signature), action.clone()]);
            Cursor::of(&place)
        };
        let row = |(user, role, kind, path, signature, action, first, last, calls, precise): Row| {
            let object = serde_json::json!({ "kind": kind, "path": serde_json::from_str::<serde_json::Value>(&path)?, "signature": signature });
            Ok::<_, StoreError>(UsageRow {
                user,
                role,
                object: serde_json::from_value(object)?,
                action,
                first_ms: number(first),
                last_ms: number(last),
                calls: number(calls),
                precise,
            })
        };
        let item = |read: Row| {
            let cursor = cursor(&read);
            Ok((row(read)?, cursor))
        };
        Page::read(rows, limit, item).await
    }

    /// The last use of each object by each user, by what was done.
    /// A use that the target dates in the future counts as one of now.
    pub(crate) async fn last_uses(
        &self,
        source: i64,
        filter: &UsageFilter,
        now_ms: u64,
    ) -> Result<LastUses, StoreError> {
        let sql = format!(
            "select s.user_id, a.object_key, lower(a.action), max(coalesce(s.ended_ms, s.started_ms)), min(s.precise), sum(s.calls) \
             {USES} and s.user_id is not null group by s.user_id, a.object_key, lower(a.action)"
        );
        type Row = (String, Vec<u8>, String, Option<i64>, bool, i64);
        let query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
        let (user, object) = bound(filter);
        let rows = query.bind(source).bind(user).bind(object).fetch_all(&self.pool).await?;
        let last = |(user, object, action, ms, precise, calls): Row| {
            let at_ms = number(ms.unwrap_or_default());
            let last = LastUse { at_ms: at_ms.min(now_ms), precise: precise && at_ms <= now_ms, calls: number(calls) };
            ((user, (object, action)), last)
        };
        Ok(rows.into_iter().map(last).collect())
    }

    /// For which time the uses of a source are told whole, and what is unclear in it.
    pub(crate) async fn usage_coverage(&self, source: i64) -> Result<UsageCoverage, StoreError> {
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("select from_ms, to_ms from coverages where source = ?1 order by from_ms, to_ms")
                .bind(source)
                .fetch_all(&self.pool)
                .await?;
        let counts: (i64, i64) = sqlx::query_as(
            "select coalesce(sum(unclear), 0), coalesce(sum(user_id is null), 0) from statements where source = ?1",
        )
        .bind(source)
        .fetch_one(&self.pool)
        .await?;
        let intervals = rows.into_iter().map(|(from, to)| Interval { from_ms: number(from), to_ms: number(to) });
        Ok(UsageCoverage {
            covered: united(intervals),
            unclear: number(counts.0),
            without_person: number(counts.1),
            gaps: self.gaps(source, i64::MAX, "g.step = 'data-usage'").await?,
        })
    }
}

fn bound(filter: &UsageFilter) -> (Option<String>, Option<Vec<u8>>) {
    let user = filter.user.as_ref().map(|user| user.as_str().to_owned());
    (user, filter.object.as_ref().map(|object| object.key().0.to_vec()))
}

/// Intervals that touch or overlap, as one. They come by their beginning.
fn united(intervals: impl Iterator<Item = Interval>) -> Vec<Interval> {
    let mut all: Vec<Interval> = Vec::new();
    for next in intervals {
        match all.last_mut() {
            Some(last) if next.from_ms <= last.to_ms => last.to_ms = last.to_ms.max(next.to_ms),
            _ => all.push(next),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_touches_is_one_and_a_hole_stays() {
        let interval = |(from_ms, to_ms): (u64, u64)| Interval { from_ms, to_ms };
        let told = united([(1, 5), (2, 3), (5, 9), (11, 12)].map(interval).into_iter());
        assert_eq!(told, [(1, 9), (11, 12)].map(interval));
    }
}
