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
        let mut said = locked(&self.said);
        let warranted = warrants.check(&entry, &call.arguments, |token| self.captured.set_of(token), &mut said);
        drop(said);
        warranted.map_err(|reason| self.deny(call, &reason))
    }

    /// Records a call of a plan.
    pub(super) fn plan(&self, call: &Call, set: usize, at: Option<String>, shown: String) {
        locked(&self.recorded).push(RecordedCall {
            slot: call.slot.clone(),
            entry: call.entry.clone(),
            at,
            arguments: call.arguments.clone(),
            set,
            shown,
        });
    }

    /// Refuses a call that is not the next one of the plan. Where a change-set failed, the plan goes on with the first call of a
    /// later one.
    ///
    /// # Errors
    /// A fault, put on record, where it differs.
    pub(super) fn follows_plan(&self, call: &Call, set: usize, at: Option<&str>) -> Result<(), Fault> {
        let Writes::Sent(_, plan) = &self.writes else { return Ok(()) };
        let next = self.sent.load(Ordering::Relaxed);
        let is_planned = |planned: &RecordedCall| {
            planned.slot == call.slot
                && planned.entry == call.entry
                && planned.at.as_deref() == at
                && planned.arguments == call.arguments
        };
        let of_set = |planned: &RecordedCall| planned.set == set;
        let left_behind = plan.get(next).is_some_and(|planned| !of_set(planned));
        let number = match plan.get(next) {
            Some(planned) if is_planned(planned) => Some(next),
            Some(_) if left_behind => {
                let first = plan.iter().position(of_set).filter(|first| *first >= next);
                first.filter(|first| is_planned(&plan[*first]))
            }
            _ => None,
        };
        if let Some(number) = number {
            self.sent.store(number + 1, Ordering::Relaxed);
            return Ok(());
        }
        let was = plan
            .get(next)
            .map_or_else(|| "the plan has no more".to_owned(), |planned| format!("the plan says {}", planned.shown));
        let fault = self.deny(call, &format!("write call {} is not the planned one: {was}", next + 1));
        Err(Fault { kind: FaultKind::Denied, ..fault })
    }
}
