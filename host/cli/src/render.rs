//! What is printed: one stream of events, for people or as JSON lines.

pub(crate) mod error;
mod human;
mod json;
mod table;
pub(crate) mod who;

use raito_run::{Observer, RunEvent};

use crate::args::Output;
use crate::error::CliError;
use crate::leaks::redact;

pub(crate) use human::Human;
pub(crate) use json::Json;
pub(crate) use table::{Summary, TargetSummary};

/// Takes events and errors of a run.
pub(crate) trait Reporter: Observer {
    /// An error of a target.
    fn error(&self, target: &str, error: &CliError);
    /// The end of everything.
    fn summary(&self, summary: &Summary);
}

/// The reporter for an output.
pub(crate) fn reporter(output: Output, bars: &indicatif::MultiProgress, quiet: bool) -> Box<dyn Reporter> {
    match output {
        Output::Json | Output::Csv => Box::new(Json),
        _ => Box::new(Human::new(bars.clone(), quiet)),
    }
}

/// Both reporters are observers through the same trait.
impl Observer for Box<dyn Reporter> {
    fn observe(&self, event: &RunEvent) {
        self.as_ref().observe(event);
    }
}

/// A number with its word: `1 file`, `2 files`.
pub(crate) fn counted(count: usize, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// Prints a line of data. Where nobody reads it any more, there is nobody to print it for.
pub(crate) fn data(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{}", redact(line));
}

/// Prints a line for people.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{}", redact(line));
}
