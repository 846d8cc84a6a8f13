//! Entries of the server's log, of both formats that machines read (manual, "Error Reporting and Logging": csvlog, jsonlog).

use std::collections::BTreeMap;

use serde::Deserialize;

/// The format of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Json,
}

impl Format {
    /// The format that a file's name says.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "csv" => Some(Self::Csv),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it was written, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// The name that was logged in with.
    pub(crate) user: String,
    /// The database.
    pub(crate) database: String,
    /// What identifies the session: the time at which it began and its process.
    pub(crate) session: String,
    /// What it says.
    pub(crate) message: String,
}

/// Offsets of time zones from UTC in milliseconds, by their abbreviations.
#[derive(Debug, Default)]
pub(crate) struct Zones(pub(crate) BTreeMap<String, i64>);

#[derive(Deserialize)]
struct JsonEntry {
    timestamp: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    dbname: String,
    #[serde(default)]
    session_id: String,
    #[serde(default)]
    message: String,
}

/// Reads one record of a file, without the line end behind it.
pub(crate) fn entry(format: Format, record: &[u8], zones: &Zones) -> Option<Entry> {
    match format {
        Format::Json => {
            let entry: JsonEntry = serde_json::from_slice(record)
                .or_else(|_| serde_json::from_str(&String::from_utf8_lossy(record)))
                .ok()?;
            Some(Entry {
                time_ms: zones.time(&entry.timestamp)?,
                user: entry.user,
                database: entry.dbname,
                session: entry.session_id,
                message: entry.message,
            })
        }
        Format::Csv => {
            let mut fields = fields(&String::from_utf8_lossy(record));
            if fields.len() < 14 {
                return None;
            }
            let mut field = |at: usize| std::mem::take(&mut fields[at]);
            Some(Entry {
                time_ms: zones.time(&field(0))?,
                user: field(1),
                database: field(2),
                session: field(5),
                message: field(13),
            })
        }
    }
}

/// The fields of a line of comma-separated values (RFC 4180).
pub(crate) fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut characters) = (false, line.chars().peekable());
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => fields[last].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

impl Zones {
    /// The time that a log writes as `2026-11-22 01:50:30.155 UTC`, in milliseconds since 1970. None where the zone is not known.
    pub(crate) fn time(&self, text: &str) -> Option<u64> {
        let mut words = text.split(' ');
        let (date, clock, zone) = (words.next()?, words.next()?, words.next()?);
        let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
            let all: Result<Vec<i64>, _> = text.split(by).map(str::parse).collect();
            all.ok()?.try_into().ok()
        };
        let [year, month, day] = numbers(date, '-')?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [hour, minute, second] = numbers(clock, ':')?;
        let milliseconds: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
        let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
        u64::try_from(seconds * 1_000 + milliseconds - self.offset(zone)?).ok()
    }

    fn offset(&self, zone: &str) -> Option<i64> {
        if let Some(offset) = self.0.get(zone) {
            return Some(*offset);
        }
        // Zones without an abbreviation are written as hours and minutes, such as +03 or -0330.
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let digits = zone.strip_prefix(['+', '-'])?;
        let (hours, minutes) = digits.split_at_checked(2)?;
        let minutes: i64 = if minutes.is_empty() { 0 } else { minutes.trim_start_matches(':').parse().ok()? };
        Some(sign * (hours.parse::<i64>().ok()? * 60 + minutes) * 60_000)
    }
}

/// Days since 1970 of a date of the Gregorian calendar. (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.)
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Cuts records off the beginning of what was read of a file: at each line end that stands outside of quotes.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// Bytes of `rest` that were looked at.
    looked: usize,
    quoted: bool,
    rest: Vec<u8>,
}

impl Cutter {
    /// Takes more bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// Bytes that belong to a record whose end was not read yet.
    pub(crate) fn pending(&self) -> usize {
        self.rest.len()
    }

    /// All records that are there whole, without their line ends.
    pub(crate) fn records(&mut self, format: Format) -> Vec<Vec<u8>> {
        let (mut records, mut begin) = (Vec::new(), 0);
        for at in self.looked..self.rest.len() {
            match self.rest[at] {
                b'"' if format == Format::Csv => self.quoted = !self.quoted,
                b'\n' if !self.quoted => {
                    records.push(self.rest[begin..at].to_vec());
                    begin = at + 1;
                }
                _ => {}
            }
        }
        self.rest.drain(..begin);
        self.looked = self.rest.len();
        records
    }

    /// Forgets the record that has not ended, but not whether it stands in quotes.
    pub(crate) fn forget(&mut self) {
        self.rest.clear();
        self.looked = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> Zones {
        Zones(BTreeMap::from([("UTC".to_owned(), 0), ("CEST".to_owned(), 7_200_000)]))
    }

    #[test]
    fn times_of_all_zones_are_the_same_moment() {
        let moment = zones().time("2026-11-22 01:50:30.155 UTC");
        assert_eq!(moment, Some(1_795_312_230_155));
        assert_eq!(zones().time("2026-11-22 03:50:30.155 CEST"), moment);
        assert_eq!(zones().time("2026-11-21 22:20:30.155 -0330"), moment);
        assert_eq!(zones().time("2026-11-22 04:50:30.155 +03"), moment);
        assert_eq!(zones().time("2024-02-29 00:00:00 UTC"), Some(1_709_164_800_000));
        for wrong in ["2026-11-22 01:50:30.155 XYZ", "yesterday", "", "2026-11 01:50 UTC", "2026-11-22 01:50:30.155 +"]
        {
            assert_eq!(zones().time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn both_formats_say_the_same() {
        let csv = b"2026-11-22 01:50:30.155 UTC,\"ann\",\"shop\",7,\"127.0.0.1:1\",6740a1b2.7,4,\"SELECT\",2026-11-22 01:50:00 UTC,3/1,0,LOG,00000,\"AUDIT: a,\"\"b\"\"\nc\",,,,,,,,,\"psql\",\"client backend\",,0";
        let json = br#"{"timestamp":"2026-11-22 01:50:30.155 UTC","user":"ann","dbname":"shop","pid":7,"session_id":"6740a1b2.7","message":"AUDIT: a,\"b\"\nc","backend_type":"client backend"}"#;
        let told = entry(Format::Csv, csv, &zones()).expect("an entry");
        assert_eq!(Some(&told), entry(Format::Json, json, &zones()).as_ref());
        assert_eq!((told.user.as_str(), told.message.as_str()), ("ann", "AUDIT: a,\"b\"\nc"));
        assert_eq!(entry(Format::Json, b"{", &zones()), None);
        assert_eq!(entry(Format::Csv, b"a,b", &zones()), None);
    }

    #[test]
    fn records_are_cut_wherever_a_read_ends() {
        let text = b"a,\"b\nc\"\nd\n\"\"\"\n\"\nrest";
        for size in 1..text.len() {
            let mut cutter = Cutter::default();
            let mut records = Vec::new();
            for part in text.chunks(size) {
                cutter.push(part);
                records.extend(cutter.records(Format::Csv));
            }
            assert_eq!(records, [b"a,\"b\nc\"".to_vec(), b"d".to_vec(), b"\"\"\"\n\"".to_vec()], "{size}");
            assert_eq!(cutter.pending(), 4);
        }
    }
}
