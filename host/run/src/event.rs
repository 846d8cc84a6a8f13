//! What a run says while it goes on: one stream of events, from which both the progress bars and the JSON lines come.

use raito_core::exchange::{Outcome, StepReport};
use raito_core::step::Step;
use serde::Serialize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum RunEvent {
    /// A target begins.
    TargetStart {
        /// The target.
        target: String,
        /// The run's id in the cloud.
        run: String,
    },
    /// A step begins.
    StepStart {
        /// The target.
        target: String,
        /// The step.
        step: Step,
    },
    /// A page was read and sent.
    Progress {
        /// The target.
        target: String,
        /// The step.
        step: Step,
        /// Pages so far.
        pages: u64,
        /// Records so far.
        records: u64,
    },
    /// A write call was recorded instead of sent, because this is a dry run.
    Planned {
        /// The target.
        target: String,
        /// The slot.
        slot: String,
        /// The entry.
        entry: String,
        /// The chosen place.
        at: Option<String>,
        /// What would be sent.
        request: String,
    },
    /// A step ended.
    StepEnd {
        /// The target.
        target: String,
        /// What it did.
        report: StepReport,
    },
    /// A target ended.
    TargetEnd {
        /// The target.
        target: String,
        /// How.
        outcome: Outcome,
    },
}

/// Somebody who wants to know.
pub trait Observer: Send + Sync {
    /// Takes an event.
    fn observe(&self, event: &RunEvent);
}
