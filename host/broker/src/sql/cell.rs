//! Cells: values of the server as text, for the few types that have one obvious text.

use std::error::Error;

use raito_core::fault::Fault;
use raito_core::leak::Watch;
use raito_core::limits;
use tokio_postgres::types::{FromSql, Type};

use crate::told::{CallError, excerpt};

/// A cell as text.
pub(super) struct Cell(pub(super) String);

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const EPOCH_2000_US: i64 = 946_684_800_000_000;

impl<'r> FromSql<'r> for Cell {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        if raw.len() > limits::SQL_CELL_BYTES {
            return Err(
                format!("a cell has {} bytes, and at most {} are allowed", raw.len(), limits::SQL_CELL_BYTES).into()
            );
        }
        let text = match *kind {
            Type::BOOL => bool::from_sql(kind, raw)?.to_string(),
            Type::INT2 => i16::from_sql(kind, raw)?.to_string(),
            Type::INT4 => i32::from_sql(kind, raw)?.to_string(),
            Type::INT8 => i64::from_sql(kind, raw)?.to_string(),
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON => {
                std::str::from_utf8(raw)?.to_owned()
            }
            // The binary form of jsonb is a version, 1, and the text.
            Type::JSONB => match raw {
                [1, text @ ..] => std::str::from_utf8(text)?.to_owned(),
                _ => return Err("a jsonb value of another version".into()),
            },
            Type::UUID => uuid(raw)?,
            Type::TIMESTAMPTZ => timestamp(i64::from_sql(&Type::INT8, raw)?)?,
            _ => return Err("a type that is not rendered".into()),
        };
        Ok(Self(text))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::BOOL
                | Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::UNKNOWN
                | Type::JSON
                | Type::JSONB
                | Type::UUID
                | Type::TIMESTAMPTZ
        )
    }
}

fn uuid(raw: &[u8]) -> Result<String, Box<dyn Error + Sync + Send>> {
    if raw.len() != 16 {
        return Err("a uuid of another length".into());
    }
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// A time in RFC 3339 and UTC; the two infinities by their names.
fn timestamp(us: i64) -> Result<String, Box<dyn Error + Sync + Send>> {
    match us {
        i64::MAX => Ok("infinity".to_owned()),
        i64::MIN => Ok("-infinity".to_owned()),
        us => {
            let us = us.checked_add(EPOCH_2000_US).ok_or("a time out of range")?;
            Ok(jiff::Timestamp::from_microsecond(us)?.to_string())
        }
    }
}

/// Refuses columns that have no obvious text.
pub(super) fn check_columns(columns: &[tokio_postgres::Column], watch: &Watch) -> Result<Vec<String>, CallError> {
    match columns.iter().find(|column| !<Cell as FromSql>::accepts(column.type_())) {
        None => Ok(columns.iter().map(|column| column.name().to_owned()).collect()),
        Some(column) => {
            let name = excerpt(watch, column.name(), 64)?;
            let kind = excerpt(watch, &column.type_().to_string(), 128)?;
            Err(Fault::denied(format!("column {name} has the type {kind}: cast it to text")).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_text() {
        let text =
            |kind: &Type, raw: &[u8]| Cell::from_sql(kind, raw).map(|cell| cell.0).map_err(|error| error.to_string());
        assert_eq!(text(&Type::BOOL, &[1]).as_deref(), Ok("true"));
        assert_eq!(text(&Type::INT8, &(-7_i64).to_be_bytes()).as_deref(), Ok("-7"));
        assert_eq!(text(&Type::TIMESTAMPTZ, &0_i64.to_be_bytes()).as_deref(), Ok("2000-01-01T00:00:00Z"));
        assert_eq!(text(&Type::TIMESTAMPTZ, &i64::MAX.to_be_bytes()).as_deref(), Ok("infinity"));
        assert_eq!(text(&Type::JSONB, b"\x01{\"a\": 1}").as_deref(), Ok("{\"a\": 1}"));
        assert_eq!(text(&Type::UUID, &[0xab; 16]).as_deref(), Ok("abababab-abab-abab-abab-abababababab"));
        assert!(text(&Type::TEXT, &[0xff]).is_err());
        assert!(text(&Type::TEXT, &vec![b'x'; limits::SQL_CELL_BYTES + 1]).is_err());
    }
}
