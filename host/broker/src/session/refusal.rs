//! Refusals: each is on record, up to a bound. A connector that goes on beyond it is answered nothing any more.
//!
//! The record of a run has a bound that all its targets share, so no connector may fill it with what it is refused.

use std::sync::atomic::Ordering;

use raito_core::call::{Call, Request};
use raito_core::event::Event;
use raito_core::fault::Fault;
use raito_core::{limits, text};

use super::{Session, locked};

/// Characters of a refusal's reason that are on record.
const REASON_CHARACTERS: usize = 500;

impl Session {
    /// A refusal of something that no honest connector asks, on record. In step 4 it ends the step.
    pub(super) fn deny(&self, call: &Call, reason: &str) -> Fault {
        let fault = self.turn_down(call, reason);
        locked(&self.refusal).get_or_insert_with(|| fault.clone());
        fault
    }

    /// A call that is not sent, on record: also one with a value that the change in hand has and the target cannot take.
    pub(super) fn turn_down(&self, call: &Call, reason: &str) -> Fault {
        let number = self.denied.fetch_add(1, Ordering::Relaxed) + 1;
        if number <= limits::STEP_REFUSALS {
            let (slot, entry) = (text::excerpt(&call.slot, 64), text::excerpt(&call.entry, 64));
            return self.put_down(call, reason, Fault::denied(format!("{slot}.{entry}: {reason}")));
        }
        let ended = exhausted();
        locked(&self.refusal).get_or_insert_with(|| ended.clone());
        // Once: that it goes on so is not put down any more.
        if number > limits::STEP_REFUSALS + 1 {
            ended
        } else {
            self.put_down(call, ended.message.as_str(), ended.clone())
        }
    }

    /// Puts a refusal on record; where that is not possible, this is the fault.
    fn put_down(&self, call: &Call, reason: &str, fault: Fault) -> Fault {
        let denied = Event::Denied {
            place: self.place.clone(),
            slot: text::excerpt(&call.slot, 64),
            entry: text::excerpt(&call.entry, 64),
            reason: text::excerpt(reason, REASON_CHARACTERS),
        };
        self.record(&denied).err().unwrap_or(fault)
    }

    /// Why nothing of this step is answered any more, where so much was refused.
    pub(super) fn ended(&self) -> Option<Fault> {
        (self.denied.load(Ordering::Relaxed) > limits::STEP_REFUSALS).then(exhausted)
    }

    /// Refuses what is beyond the bounds of a request, and puts that on record with the first of its calls.
    pub(super) fn check_bounds(&self, request: &Request) -> Result<(), Fault> {
        request.check().map_err(|fault| match request.calls() {
            [first, ..] => self.turn_down(first, fault.message.as_str()),
            [] => fault,
        })
    }
}

fn exhausted() -> Fault {
    Fault::denied(format!("more than {} calls of this step were refused: nothing is answered", limits::STEP_REFUSALS))
}
