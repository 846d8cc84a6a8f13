//! Write calls: each is one of the changes in hand, and of the plan.

use raito_core::call::{Argument, Call};
use raito_core::digest::Digest;
use raito_core::fault::Fault;
use raito_core::grant::Handling;
use raito_core::limits;
use raito_core::plan::RecordedCall;
use raito_core::ports::Writes;
use raito_core::text::{ExternalId, Kind};
use raito_core::vocabulary::{Does, EncodeError, Placeholder, without_people};
use raito_core::warrant::{Warranted, WriteEntry};

use super::{Session, locked};

/// Characters of a pseudonym: few enough for the name of a role in PostgreSQL, which has at most 63
/// bytes, with 128 bits of the digest.
const PSEUDONYM_CHARACTERS: usize = "hmac-sha256-".len() + 32;

/// A statement, as far as a line of the record can hold it.
pub(super) fn bounded(statement: &str) -> String {
    if statement.len() <= limits::AUDIT_STATEMENT_BYTES {
        return statement.to_owned();
    }
    let mut end = limits::AUDIT_STATEMENT_BYTES;
    while !statement.is_char_boundary(end) {
        end -= 1;
    }
    let (bytes, digest) = (statement.len(), Digest::of(statement.as_bytes()));
    format!("{}… ({bytes} bytes in all, with the SHA-256 {digest})", &statement[..end])
}

/// What a write entry says of itself.
pub(super) struct Written<'e> {
    /// What it does.
    pub(super) does: Option<Does>,
    /// The kinds of objects that it is about; empty for any.
    pub(super) on: &'e [Kind],
    /// The special member that its text names.
    pub(super) member: Option<&'e ExternalId>,
}

impl Session {
    /// Whether write calls are recorded instead of sent.
    pub(super) fn is_plan(&self) -> bool {
        matches!(self.writes, Writes::Recorded(_))
    }

    /// Says for which change a write call is let through.
    ///
    /// # Errors
    /// A fault, put on record, where no change in hand says what the call says.
    pub(super) fn warrant(
        &self,
        call: &Call,
        entry: Written<'_>,
        placeholders: Vec<&Placeholder>,
        database: Option<&str>,
    ) -> Result<Warranted, Fault> {
        let warrants = match &self.writes {
            Writes::Refused => return Err(self.deny(call, "this step only reads")),
            Writes::Recorded(warrants) | Writes::Sent(warrants, _) => warrants,
        };
        let does = entry.does.ok_or_else(|| self.deny(call, "its entry does not say what it does"))?;
        let entry = WriteEntry { does, on: entry.on, member: entry.member, placeholders, database };
        let mut said = locked(&self.said);
        let warranted = warrants.check(&entry, &call.arguments, |token| self.captured.set_of(token), &mut said);
        drop(said);
        warranted.map_err(|reason| self.deny(call, &reason))
    }

    /// Records a call of a plan.
    pub(super) fn plan(&self, call: &Call, set: usize, at: Option<String>, shown: String, on_record: String) {
        locked(&self.recorded).push(RecordedCall::new(call, at, set, shown, on_record));
    }

    /// The statement or request of a write call as it goes on record: as `shown`, or built of the
    /// same arguments with pseudonyms for people.
    pub(super) fn on_record(
        &self,
        shown: &str,
        arguments: &[Argument],
        placeholders: &[&Placeholder],
        build: impl Fn(&[Argument], &dyn Fn(&str) -> String) -> Result<String, EncodeError>,
    ) -> String {
        if self.shared.recorded_members == Handling::Keep {
            return shown.to_owned();
        }
        let pseudonym = |name: &str| -> String {
            let whole = self.shared.ledger.pseudonym(name.to_lowercase().as_bytes()).replace(':', "-");
            whole.chars().take(PSEUDONYM_CHARACTERS).collect()
        };
        // A placeholder that takes the name takes the pseudonym too. Should it not, the record has
        // the digest of the arguments.
        build(&without_people(arguments, placeholders, &pseudonym), &pseudonym)
            .unwrap_or_else(|_| "not shown: it cannot be built with pseudonyms".to_owned())
    }

    /// Refuses a call that is not the next one of the plan.
    ///
    /// # Errors
    /// A fault, put on record, where it differs.
    pub(super) fn follows_plan(&self, call: &Call, set: usize, at: Option<&str>) -> Result<(), Fault> {
        let followed = match &mut *locked(&self.following) {
            Some(following) => following.follow(call, at, set),
            None => Err("nothing was planned".into()),
        };
        followed.map_err(|reason| self.deny(call, &reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_on_record_whole_or_with_its_digest() {
        let whole = "ä".repeat(limits::AUDIT_STATEMENT_BYTES / 2);
        assert_eq!(bounded(&whole), whole);
        let longer = format!("x{whole}");
        let kept = bounded(&longer);
        let digest = Digest::of(longer.as_bytes()).to_string();
        assert!(kept.starts_with("xää") && kept.ends_with(&format!("with the SHA-256 {digest})")));
        // Escaped as JSON, a byte may become six.
        let control = "\u{1}".repeat(10 * limits::AUDIT_STATEMENT_BYTES);
        let line = serde_json::to_vec(&bounded(&control)).expect("JSON");
        assert!(line.len() < limits::AUDIT_LINE_BYTES * 9 / 10, "{}", line.len());
    }
}
