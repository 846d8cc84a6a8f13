//! What the suite found.

use raito_core::step::Step;
use serde::Serialize;

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What must hold holds.
    Passed,
    /// It does not.
    Failed,
    /// There was nothing to try it on.
    NotTried,
}

/// One check of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// The step.
    pub step: Step,
    /// Its name: `reads`, `expected`, `repeats`, `vocabulary`, `resumes`, `faults` or `broken-answers`.
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// What was tried, where it passed; what happened and what must, one item each, where it did not.
    pub said: Vec<String>,
}

/// What reading a step came to, when nothing went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepSummary {
    /// The step.
    pub step: Step,
    /// Records, counted as a run counts them.
    pub records: u64,
    /// Pages.
    pub pages: u64,
    /// The largest page, in records.
    pub largest_page: u64,
    /// What could not be read.
    pub gaps: u64,
    /// Calls to the target.
    pub calls: u64,
    /// Peak bytes of the guest's memory.
    pub memory_bytes: u64,
}

/// What the suite found with one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The steps that were read.
    pub steps: Vec<StepSummary>,
    /// The checks, step by step.
    pub checks: Vec<Check>,
    /// Read entries of the manifest that no step used, as `slot.entry`: what nobody needs should not be asked for.
    pub unused: Vec<String>,
    /// Steps that the connector exports and that were not tried, with the reason.
    pub not_tried: Vec<NotTried>,
}

/// A step that was not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct NotTried {
    /// The step.
    pub step: Step,
    /// Why not.
    pub reason: &'static str,
}

impl Report {
    /// Whether nothing failed, and something was tried.
    pub fn conforms(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.outcome != Outcome::Failed)
    }
}
