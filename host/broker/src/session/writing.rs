//! Write calls: each is one of the changes in hand, and of the plan.

use std::sync::atomic::Ordering;

use raito_core::call::Call;
use raito_core::fault::{Fault, FaultKind};
use raito_core::ports::{RecordedCall, Writes};
use raito_core::text::Kind;
use raito_core::vocabulary::{Does, Placeholder};
use raito_core::warrant::{Warranted, WriteEntry};

use super::{Session, locked};

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
        entry: (Option<Does>, &[Kind]),
        placeholders: Vec<&Placeholder>,
        database: Option<&str>,
    ) -> Result<Warranted, Fault> {
        let warrants = match &self.writes {
            Writes::Refused => return Err(self.deny(call, "this step only reads")),
            Writes::Recorded(warrants) | Writes::Sent(warrants, _) => warrants,
        };
        let (does, on) = entry;
        let does = does.ok_or_else(|| self.deny(call, "its entry does not say what it does"))?;
        let entry = WriteEntry { does, on, placeholders, database };
        let warranted = warrants.check(&entry, &call.arguments, |token| self.captured.set_of(token));
        warranted.map_err(|reason| self.deny(call, &reason))
    }

    /// Records a call of a plan.
    pub(super) fn plan(&self, call: &Call, at: Option<String>, shown: String) {
        locked(&self.recorded).push(RecordedCall {
            slot: call.slot.clone(),
            entry: call.entry.clone(),
            at,
            arguments: call.arguments.clone(),
            shown,
        });
    }

    /// Refuses a call that is not the next one of the plan.
    ///
    /// # Errors
    /// A fault, put on record, where it differs.
    pub(super) fn follows_plan(&self, call: &Call, at: Option<&str>) -> Result<(), Fault> {
        let Writes::Sent(_, plan) = &self.writes else { return Ok(()) };
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let planned = plan.get(number);
        let same = planned.is_some_and(|planned| {
            planned.slot == call.slot
                && planned.entry == call.entry
                && planned.at.as_deref() == at
                && planned.arguments == call.arguments
        });
        if same {
            return Ok(());
        }
        let was = planned
            .map_or_else(|| "the plan has no more".to_owned(), |planned| format!("the plan says {}", planned.shown));
        let fault = self.deny(call, &format!("write call {} is not the planned one: {was}", number + 1));
        Err(Fault { kind: FaultKind::Denied, ..fault })
    }
}
