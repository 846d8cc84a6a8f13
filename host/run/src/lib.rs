//! One run of one target, over core's ports: it opens steps, pulls pages, unites and uploads them, has changes decided and
//! carried out, and reports. It knows no runtime, no network and no terminal.

pub mod access;
mod apply;
mod event;
mod kept;
mod outcome;
mod pump;
mod read;
mod redact;
mod stop;
mod target;
mod verify;

pub use event::{Observer, RunEvent};
pub use stop::Stop;
pub use target::{Failure, TargetReport, TargetRun, run_target};
