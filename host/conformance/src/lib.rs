//! The conformance suite: whether a connector keeps the contract.
//!
//! A *scenario* is what a target once answered (`scenario`, `recorder`). A broker replays it (`replay`), the reading steps are
//! carried out as a run does (`reading`), and then once more for everything that can go wrong on the way: a fault at each
//! call, an answer that breaks off, an outage between two pages (`suite`, `probes`). What must hold is always the same: a
//! connector ends, never crashes, says what happened, and never claims to have read what it has not.
//!
//! The crate knows connectors and brokers by core's traits only. It starts nothing and reads no file.

mod argument;
mod probes;
mod reading;
mod recorder;
mod replay;
mod report;
mod scenario;
mod suite;

pub use recorder::Recorder;
pub use report::{Check, NotTried, Outcome, Report, StepSummary};
pub use scenario::{Answer, Body, Bound, Content, Expected, HttpAnswer, Rows, Scenario, ScenarioError};
pub use suite::{Subject, run};
