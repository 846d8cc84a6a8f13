//! Step 5: the usage log.

use std::cell::RefCell;

use raito_sdk::data_usage::{Access, Coverage, GuestReader, Page, Statement};
use raito_sdk::{Context, Fault};
use serde::Deserialize;

use crate::description::about;
use crate::lists::List;
use crate::objects::object_ref;

#[derive(Deserialize)]
struct StatementIn {
    id: String,
    person: String,
    role: Option<String>,
    text: String,
    started_ms: u64,
    ended_ms: u64,
    ok: bool,
    objects: Vec<Use>,
    rows: u64,
}

#[derive(Deserialize)]
struct Use {
    path: Vec<String>,
    action: String,
}

/// Reads the log from a time on.
pub struct UsageReader {
    list: RefCell<List>,
    coverage: Option<Coverage>,
}

impl UsageReader {
    /// Opens the log.
    ///
    /// # Errors
    /// The fault of the first call.
    pub fn new(context: &Context, since_ms: Option<u64>) -> Result<Self, Fault> {
        let about = about()?;
        let coverage = match (about.usage_from_ms, about.usage_to_ms) {
            (Some(from_ms), Some(to_ms)) => {
                Some(Coverage { from_ms: from_ms.max(since_ms.unwrap_or(0)).min(to_ms), to_ms })
            }
            _ => None,
        };
        Ok(Self { list: RefCell::new(List::new("usage", context).since(since_ms)), coverage })
    }
}

impl GuestReader for UsageReader {
    fn coverage(&self) -> Option<Coverage> {
        self.coverage
    }

    fn next(&self) -> Result<Option<Page>, Fault> {
        let Some(listed) = self.list.borrow_mut().next::<StatementIn>()? else { return Ok(None) };
        let statements = listed.items.into_iter().map(statement).collect();
        Ok(Some(Page { statements, gaps: listed.gap.into_iter().collect(), resume: None }))
    }
}

fn statement(given: StatementIn) -> Statement {
    let access = |used: Use| Access { object: object_ref("table", &used.path), action: used.action };
    Statement {
        external_id: given.id,
        user: Some(given.person),
        role: given.role,
        text: Some(given.text),
        within: None,
        started_ms: Some(given.started_ms),
        ended_ms: Some(given.ended_ms),
        success: Some(given.ok),
        calls: 1,
        precise: true,
        accessed: given.objects.into_iter().map(access).collect(),
        bytes: None,
        rows: Some(given.rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_is_one_precise_statement() {
        let json = r#"{"id":"q1","person":"p1","role":null,"text":"select 1","started_ms":5,"ended_ms":6,"ok":true,
                       "objects":[{"path":["sales","orders"],"action":"select"}],"rows":3}"#;
        let statement = statement(serde_json::from_str(json).expect("a line"));
        assert_eq!((statement.calls, statement.precise, statement.role), (1, true, None));
        assert_eq!(statement.accessed[0].object.path, ["sales", "orders"]);
    }
}
