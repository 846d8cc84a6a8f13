//! Write calls: each is one of the changes in hand, and of the plan.

use raito_core::call::Call;
use raito_core::fault::Fault;
use raito_core::plan::RecordedCall;
use raito_core::ports::Writes;
use raito_core::text::{ExternalId, Kind};
use raito_core::vocabulary::{Does, Placeholder};
use raito_core::warrant::{Warranted, WriteEntry};

use super::{Session, locked};

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
    pub(super) fn plan(&self, call: &Call, set: usize, at: Option<String>, shown: String) {
        locked(&self.recorded).push(RecordedCall::new(call, at, set, shown));
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
