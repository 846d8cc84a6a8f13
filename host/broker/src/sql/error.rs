//! What errors of the server and of the connection mean.

use raito_core::fault::{Fault, FaultKind};
use raito_core::leak::{Leak, Watch};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row};

use crate::tls;
use crate::told::{CallError, excerpt};

/// What an error means, while connecting to or speaking with a database.
pub(super) fn call_error(watch: &Watch, what: &str, error: &Error) -> CallError {
    meaning(watch, what, error).map_or_else(CallError::Leak, CallError::Fault)
}

fn meaning(watch: &Watch, what: &str, error: &Error) -> Result<Fault, Leak> {
    if let Some(reason) = tls::explain(error) {
        return Ok(Fault::new(FaultKind::InvalidSetting, format!("{what}: {reason}")));
    }
    if let Some(server) = error.as_db_error() {
        let said = excerpt(watch, server.message(), 300)?;
        let code = excerpt(watch, server.code().code(), 16)?;
        return Ok(Fault::new(kind(server.code()), format!("{what}: the server says: {said} ({code})")));
    }
    let mut last = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    if last.contains("does not support TLS") || last.contains("server does not support") {
        return Ok(Fault::new(
            FaultKind::InvalidSetting,
            format!("{what}: the server does not speak TLS, and the grant asks for it"),
        ));
    }
    let shown = excerpt(watch, &last, 200)?;
    if error.is_closed()
        || matches!(error.to_string().as_str(), text if text.contains("communicating") || text.contains("connecting"))
    {
        return Ok(Fault::new(FaultKind::Unavailable, format!("{what}: the connection broke: {shown}")));
    }
    let kind = if last.contains("password") { FaultKind::Unauthorized } else { FaultKind::Internal };
    Ok(Fault::new(kind, format!("{what}: {shown}")))
}

/// A flag in a row that answers a question of the host. A server may answer anything.
pub(super) fn flag(watch: &Watch, row: &Row, index: usize, what: &str) -> Result<bool, CallError> {
    row.try_get(index).map_err(|error| call_error(watch, what, &error))
}

/// The class of an error code (PostgreSQL manual, appendix A).
fn kind(code: &SqlState) -> FaultKind {
    match code.code() {
        "28000" | "28P01" | "42501" => FaultKind::Unauthorized,
        "3D000" => FaultKind::InvalidSetting,
        // Somebody held a lock for longer than a statement waits.
        "55P03" => FaultKind::Unavailable,
        "25006" | "25P02" | "25001" => FaultKind::Denied,
        "40001" | "40P01" | "42710" | "42704" | "42P06" | "42P07" | "23505" | "2BP01" | "55006" => FaultKind::Conflict,
        code => match code.get(..2) {
            Some("08" | "53" | "57") => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        },
    }
}
