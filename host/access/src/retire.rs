//! Retirement: what no entry names any more first loses its members, and goes when nobody has missed it for some days.
//!
//! An access control that nobody is a member of gives nothing to anybody. It keeps what it was granted, what it owns and who it
//! is, so an entry that comes back only has to admit its members again. Until when it is kept stands at the end of its description
//! at the target, before the marker: a machine that knows nothing of earlier runs goes by it, and so does whoever reads it there.

use raito_core::limits;
use raito_core::text::Remark;

use crate::time;

const OPEN: &str = "[retired, kept until ";
const CLOSE: char = ']';

/// Bytes that a description leaves for the end that says until when, and for the marker behind it: a master and an entry of at
/// most 200 bytes each.
const ROOM: usize = 512;

/// Until when something is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Until {
    /// The last day.
    day: String,
    /// Its end, in milliseconds since 1970.
    end_ms: u64,
}

impl Until {
    fn of(day: &str) -> Option<Self> {
        // A time of day is no end of a retirement.
        let end_ms = (day.len() == 10).then(|| time::end(day))??;
        Some(Self { day: day.to_owned(), end_ms })
    }

    /// So many days from now.
    pub(crate) fn after(now_ms: u64, days: u16) -> Option<Self> {
        Self::of(&time::day(now_ms, days)?)
    }

    /// What the end of a description says, and what stands before it. A description without such an end is of nothing retired.
    pub(crate) fn told(description: &Remark) -> Option<(Self, Remark)> {
        let (before, day) = description.as_str().trim_end().strip_suffix(CLOSE)?.rsplit_once(OPEN)?;
        Some((Self::of(day)?, Remark::new(before.trim_end()).ok()?))
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        self.end_ms <= now_ms
    }

    /// The last day, as people read it.
    pub(crate) fn day(&self) -> &str {
        &self.day
    }

    /// A description with this at its end. One that would become too long is cut.
    pub(crate) fn written(&self, description: &Remark) -> Remark {
        let mut text = description.as_str();
        while text.len() > limits::DESCRIPTION_BYTES - ROOM {
            text = &text[..text.char_indices().next_back().map_or(0, |(at, _)| at)];
        }
        let blank = if text.is_empty() { "" } else { " " };
        Remark::new(format!("{text}{blank}{OPEN}{}{CLOSE}", self.day)).unwrap_or_else(|_| description.clone())
    }
}

/// A description without an end that says until when something is kept.
pub(crate) fn plain(description: &Remark) -> Remark {
    Until::told(description).map_or_else(|| description.clone(), |(_, before)| before)
}

#[cfg(test)]
mod tests {
    use raito_core::marker::{marked, marker, unmarked};

    use super::*;

    fn remark(text: &str) -> Remark {
        Remark::new(text).expect("within its bounds")
    }

    #[test]
    fn what_is_written_is_read_back_also_with_a_marker_behind_it() {
        let until = Until::after(0, 30).expect("a day");
        assert_eq!(until.day(), "1970-01-31");
        for text in ["", "who reads sales", "odd [retired, kept until 2026-01-01] text", "]"] {
            let written = until.written(&remark(text));
            assert_eq!(Until::told(&written), Some((until.clone(), remark(text))), "{text}");
            let marked = marked(&written, &"git:a".parse().expect("a master"), "R_A");
            assert_eq!(unmarked(&marked), written);
        }
        let long = until.written(&remark(&"ä".repeat(limits::DESCRIPTION_BYTES / 2)));
        let marked = marked(&long, &"git:a".parse().expect("a master"), &"r".repeat(200));
        assert!(marker(&marked).is_some() && Until::told(&unmarked(&marked)).is_some());
    }

    #[test]
    fn the_last_day_counts_to_its_end() {
        let until = Until::after(0, 1).expect("a day");
        assert!(!until.is_over(2 * 86_400_000 - 1) && until.is_over(2 * 86_400_000));
    }

    #[test]
    fn another_end_says_nothing() {
        for text in
            ["", "[retired, kept until ]", "[retired, kept until 2026-13-01]", "[retired, kept until 2026-12-01] x"]
        {
            assert_eq!(Until::told(&remark(text)), None, "{text}");
        }
        assert_eq!(Until::told(&remark("[retired, kept until 2026-12-01T00:00:00Z]")), None);
    }
}
