//! Pages of step 5.

use raito_core::fault::BadRecord;
use raito_core::limits;
use raito_core::record::{Access, Coverage, Page, Statement, UsagePage};

use super::{Lifted, check_size, list, object_ref, optional, page, text};
use crate::bindings::exports::raito::connector::data_usage as wit;

pub(crate) fn usage_page(given: wit::Page) -> Lifted<Page<UsagePage>> {
    check_size(given.statements.len())?;
    let records = UsagePage { statements: list("statements", limits::PAGE_RECORDS, given.statements, statement)? };
    page(records, given.gaps, given.resume)
}

pub(crate) fn coverage(given: wit::Coverage) -> Lifted<Coverage> {
    if given.from_ms > given.to_ms {
        return Err(BadRecord::new("coverage", "it ends before it begins"));
    }
    Ok(Coverage { from_ms: given.from_ms, to_ms: given.to_ms })
}

fn statement(statement: wit::Statement) -> Lifted<Statement> {
    if statement.calls == 0 {
        return Err(BadRecord::new("calls", "a statement that ran no time is none"));
    }
    Ok(Statement {
        external_id: text("external-id", statement.external_id)?,
        user: optional("user", statement.user)?,
        role: optional("role", statement.role)?,
        text: optional("text", statement.text)?,
        within: statement.within.map(object_ref).transpose().map_err(|bad| bad.within("within"))?,
        named: Vec::new(),
        unclear: false,
        started_ms: statement.started_ms,
        ended_ms: statement.ended_ms,
        success: statement.success,
        calls: statement.calls,
        precise: statement.precise,
        accessed: list("accessed", limits::FACT_PERMISSIONS, statement.accessed, |access| {
            Ok(Access {
                object: object_ref(access.object).map_err(|bad| bad.within("object"))?,
                action: text("action", access.action)?,
            })
        })?,
        bytes: statement.bytes,
        rows: statement.rows,
    })
}
