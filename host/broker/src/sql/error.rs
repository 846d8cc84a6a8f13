//! What errors of the server and of the connection mean.

use raito_core::fault::{Fault, FaultKind};
use raito_core::text;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, Row};

use crate::tls;

/// A fault for an error while connecting to or speaking with a database.
pub(super) fn fault(what: &str, error: &Error) -> Fault {
    if let Some(reason) = tls::explain(error) {
        return Fault::new(FaultKind::InvalidSetting, format!("{what}: {reason}"));
    }
    if let Some(server) = error.as_db_error() {
        let code = server.code();
        let said = text::excerpt(server.message(), 300);
        return Fault::new(kind(code), format!("{what}: the server says: {said} ({})", text::excerpt(code.code(), 16)));
    }
    let mut last = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    if last.contains("does not support TLS") || last.contains("server does not support") {
        return Fault::new(
            FaultKind::InvalidSetting,
            format!("{what}: the server does not speak TLS, and the grant asks for it"),
        );
    }
    if error.is_closed()
        || matches!(error.to_string().as_str(), text if text.contains("communicating") || text.contains("connecting"))
    {
        return Fault::new(
            FaultKind::Unavailable,
            format!("{what}: the connection broke: {}", text::excerpt(&last, 200)),
        );
    }
    let kind = if last.contains("password") { FaultKind::Unauthorized } else { FaultKind::Internal };
    Fault::new(kind, format!("{what}: {}", text::excerpt(&last, 200)))
}

/// A flag in a row that answers a question of the host. A server may answer anything.
pub(super) fn flag(row: &Row, index: usize, what: &str) -> Result<bool, Fault> {
    row.try_get(index).map_err(|error| fault(what, &error))
}

/// The class of an error code (PostgreSQL manual, appendix A).
fn kind(code: &SqlState) -> FaultKind {
    match code.code() {
        "28000" | "28P01" | "42501" => FaultKind::Unauthorized,
        "3D000" => FaultKind::InvalidSetting,
        "25006" | "25P02" | "25001" => FaultKind::Denied,
        "40001" | "40P01" | "42710" | "42704" | "42P06" | "42P07" | "23505" | "2BP01" | "55006" => FaultKind::Conflict,
        code => match code.get(..2) {
            Some("08" | "53" | "57") => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        },
    }
}
