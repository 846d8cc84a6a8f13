//! Days and times in files.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

/// When something ends, in milliseconds since 1970: a day counts to its end in UTC, a time is itself (RFC 3339).
pub(crate) fn end(text: &str) -> Option<u64> {
    let at = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => {
            let day: Date = (text.len() == 10).then(|| text.parse().ok())??;
            day.checked_add(1.day()).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
    };
    u64::try_from(at.as_millisecond()).ok()
}

/// The day of a time in UTC, so many days later, as files write it.
pub(crate) fn day(ms: u64, days_later: u16) -> Option<String> {
    let time = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(time.to_zoned(TimeZone::UTC).date().checked_add(i64::from(days_later).days()).ok()?.to_string())
}

/// When something ends, as files write it: the last day where it counts to the end of one, otherwise the time. What `end`
/// makes of it is the same end.
pub fn last(end_ms: u64) -> String {
    let at = i64::try_from(end_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let midnight = at.map(|at| at.to_zoned(TimeZone::UTC)).filter(|at| at.time() == Time::midnight());
    let day = midnight.and_then(|at| at.date().checked_sub(1.day()).ok()).map(|day| day.to_string());
    day.filter(|day| end(day) == Some(end_ms)).unwrap_or_else(|| shown(end_ms))
}

/// A time, for people.
pub fn shown(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "never".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_to_its_end_and_a_time_is_itself() {
        assert_eq!(end("1970-01-01"), Some(86_400_000));
        assert_eq!(end("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(end("1970-01-01T01:00:01+01:00"), Some(1_000));
        for wrong in ["", "tomorrow", "2026-13-01", "2026-1-1", "1969-01-01", "12"] {
            assert_eq!(end(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_end_is_written_as_files_have_it() {
        for text in ["2026-12-31", "1970-01-01", "2026-12-31T12:00:00Z", "1970-01-01T00:00:00.001Z"] {
            assert_eq!(last(end(text).expect("an end")), text);
        }
        assert_eq!(last(u64::MAX), "never");
    }

    #[test]
    fn days_are_counted_in_utc() {
        assert_eq!(day(0, 0).as_deref(), Some("1970-01-01"));
        assert_eq!(day(86_399_999, 30).as_deref(), Some("1970-01-31"));
        assert_eq!(day(u64::MAX, 1), None);
    }
}
