//! Settings of a transaction: pinned by the host when it begins, and read back.
//!
//! A role, a database or a pooler can set anything for a session, and what a statement means depends on
//! some of it: how literals are read, where names are looked up, whether policies run. Behind a pooler
//! such as PgBouncer, options of the start are dropped, and the next transaction may be another
//! server's. So each transaction sets what it needs for itself alone (`set_config(…, true)`), reads it
//! back, and goes on only where it holds.

use raito_core::fault::Fault;
use raito_core::leak::Watch;
use raito_core::limits;
use tokio_postgres::SimpleQueryMessage;

use super::Connected;
use crate::told::{CallError, excerpt};

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reading.
    Read,
    /// Writing; how long a statement waits for a lock, in milliseconds.
    Write,
}

/// A setting, its value in the form in which the server shows it, and what becomes of a server that does
/// not keep it.
struct Pin {
    name: &'static str,
    value: String,
    need: Need,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it nothing is sent.
    Must,
    /// Where the server knows it, nothing is sent without it.
    Known,
    /// Without it only the catalogue is read.
    Guard,
    /// Without it a bound is missing.
    Bound,
}

/// Settings that a transaction asked for and did not get, although it can do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Bounds that the login or the server's version does not have.
    pub(crate) bounds: Vec<&'static str>,
    /// Whether views and foreign tables of users could be read.
    pub(crate) guard: bool,
}

/// The setting that keeps views and foreign tables of users from being read (PostgreSQL 17, and 16.4, 15.8
/// of the older ones; release notes, CVE-2024-7348).
const GUARD: &str = "restrict_nonsystem_relation_kind";

fn pins(purpose: Purpose) -> Vec<Pin> {
    let pin = |need, name, value: &str| Pin { name, value: value.to_owned(), need };
    let must = |name, value: &str| pin(Need::Must, name, value);
    let seconds = |duration: std::time::Duration| format!("{}s", duration.as_secs());
    let mut pins = vec![
        // A name without a schema means one thing.
        must("search_path", "pg_catalog, pg_temp"),
        // A literal is read in one way.
        must("standard_conforming_strings", "on"),
        must("backslash_quote", "safe_encoding"),
        must("client_encoding", "UTF8"),
        must("transform_null_equals", "off"),
        must("quote_all_identifiers", "off"),
        // Values are written in one way.
        must("DateStyle", "ISO, MDY"),
        must("IntervalStyle", "postgres"),
        must("TimeZone", "UTC"),
        must("bytea_output", "hex"),
        must("extra_float_digits", "1"),
        pin(Need::Bound, "client_connection_check_interval", &seconds(limits::SQL_CLIENT_CHECK)),
        // Compiling a statement takes longer than any of the catalogue runs.
        pin(Need::Bound, "jit", "off"),
    ];
    let timeouts = [
        ("statement_timeout", limits::SQL_STATEMENT),
        ("lock_timeout", limits::SQL_LOCK),
        ("idle_in_transaction_session_timeout", limits::SQL_IDLE),
    ];
    pins.extend(timeouts.into_iter().map(|(name, time)| must(name, &shown(time))));
    pins.extend([
        // Statements act as the login, and not as a role that a setting switches to.
        must("role", "none"),
        // What the server only warns of has failed, and is told in no other way.
        must("client_min_messages", "notice"),
        must("array_nulls", "on"),
        must("timezone_abbreviations", "Default"),
        // What a plan or a sort takes is bounded.
        must("geqo", "on"),
        must("geqo_threshold", "12"),
        must("from_collapse_limit", "8"),
        must("join_collapse_limit", "8"),
        must("work_mem", "64MB"),
        must("hash_mem_multiplier", "2"),
    ]);
    if purpose == Purpose::Write {
        // Whoever makes a role is not made a member of it (PostgreSQL 16).
        pins.push(pin(Need::Known, "createrole_self_grant", ""));
    }
    if purpose == Purpose::Read {
        pins.extend([
            must("default_transaction_read_only", "on"),
            // A table whose rows a policy filters is an error, and no policy runs.
            must("row_security", "off"),
            pin(Need::Guard, GUARD, "view, foreign-table"),
            pin(Need::Bound, "temp_file_limit", limits::SQL_TEMPORARY),
        ]);
    }
    pins
}

/// What is without a bound where a setting could not be set, and how to have it.
pub(super) fn remedy(setting: &str, user: &str) -> String {
    match setting {
        "temp_file_limit" => format!(
            "temporary files of a statement have no bound: as a superuser, GRANT SET ON PARAMETER temp_file_limit TO \
             \"{}\"",
            raito_core::text::escape(user)
        ),
        "client_connection_check_interval" => {
            "a statement goes on at the server after raito was killed, up to its timeout: the server does not check for \
             its client on this system"
                .to_owned()
        }
        other => format!("{other} could not be set"),
    }
}

/// A time as the server shows it: in the largest unit that divides it.
fn shown(time: std::time::Duration) -> String {
    match time.as_secs() {
        seconds if seconds.is_multiple_of(60) => format!("{}min", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Looks names up among the server's own from the next statement on. A database's owner decides what a
/// name means before it: an operator, a function or a type of theirs may come first. So this one names
/// nothing but a function, with its schema, and has no operator, cast or column.
const OWN_NAMES: &str = "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// `BEGIN`, the settings, and the question what they are now, as one message. The server reads each
/// statement of it when the one before has been carried out.
///
/// A setting that the server's version does not have, or that the login may not set, is not set: an
/// error would end the transaction.
fn opening(begin: &str, pins: &[Pin]) -> String {
    let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let values: Vec<String> =
        pins.iter().map(|pin| format!("({}, {})", literal(pin.name), literal(&pin.value))).collect();
    let values = values.join(", ");
    format!(
        "{begin}; {OWN_NAMES}; \
         select case when pg_catalog.current_setting(p.name, true) is null then null \
                     when p.name = 'temp_file_limit' and not pg_catalog.has_parameter_privilege(p.name, 'SET') then null \
                     else pg_catalog.set_config(p.name, p.value, true) end \
         from (values {values}) p (name, value); \
         select p.name, pg_catalog.current_setting(p.name, true) from (values {values}) p (name, value)"
    )
}

/// Begins a transaction with `begin`, sets what it needs, and proves that it holds.
///
/// # Errors
/// A fault where a setting that statements depend on does not hold.
pub(super) async fn begin(
    connected: &Connected,
    begin: &str,
    purpose: Purpose,
    what: &str,
) -> Result<Missing, CallError> {
    let pins = pins(purpose);
    connected.begin();
    let answer = connected.client.simple_query(&opening(begin, &pins)).await;
    let messages = answer.map_err(|error| connected.failed(&format!("{what}: BEGIN"), &error))?;
    let mut held = Vec::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message
            && row.len() == 2
        {
            held.push((row.try_get(0).ok().flatten(), row.try_get(1).ok().flatten()));
        }
    }
    check(&pins, &held, connected.watch(), what)
}

/// What does not hold of the settings that were asked for.
fn check(pins: &[Pin], held: &[(Option<&str>, Option<&str>)], watch: &Watch, what: &str) -> Result<Missing, CallError> {
    let mut missing = Missing::default();
    for pin in pins {
        let value = held.iter().find(|(name, _)| *name == Some(pin.name)).and_then(|(_, value)| *value);
        if value == Some(pin.value.as_str()) {
            continue;
        }
        match pin.need {
            Need::Known if value.is_none() => {}
            Need::Guard => missing.guard = true,
            Need::Bound => missing.bounds.push(pin.name),
            Need::Must | Need::Known => {
                let is = match value {
                    Some(value) => format!("is {}", excerpt(watch, value, 80)?),
                    None => "is unknown".to_owned(),
                };
                return Err(Fault::denied(format!(
                    "{what}: {} {is} within the transaction, and it must be {}. A pooler that changes statements, or that \
                     gives each statement another server, cannot be used: connect to the server itself, or set \
                     pool_mode to transaction or session",
                    pin.name, pin.value
                ))
                .into());
            }
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_hold_is_told_by_its_need() {
        let pins = pins(Purpose::Read);
        let all: Vec<(Option<&str>, Option<&str>)> =
            pins.iter().map(|pin| (Some(pin.name), Some(pin.value.as_str()))).collect();
        let watch = Watch::default();
        let checked = |held: &[(Option<&str>, Option<&str>)]| {
            check(&pins, held, &watch, "db").map_err(|error| match error {
                CallError::Fault(fault) => fault.message.to_string(),
                CallError::Leak(_) => "leak".to_owned(),
            })
        };
        assert_eq!(checked(&all), Ok(Missing::default()));
        let without = |name: &str| -> Vec<(Option<&str>, Option<&str>)> {
            all.iter().copied().filter(|(known, _)| *known != Some(name)).collect()
        };
        assert_eq!(checked(&without(GUARD)), Ok(Missing { guard: true, ..Missing::default() }));
        assert_eq!(checked(&without("temp_file_limit")).map(|missing| missing.bounds), Ok(vec!["temp_file_limit"]));
        for name in ["search_path", "standard_conforming_strings", "row_security", "statement_timeout"] {
            let refused = checked(&without(name)).expect_err(name);
            assert!(refused.contains(name) && refused.contains("pool_mode"), "{refused}");
        }
    }
}
