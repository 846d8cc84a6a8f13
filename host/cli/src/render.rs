//! What is printed: one stream of events, for people or as JSON lines.

pub(crate) mod error;
mod human;
mod json;
mod table;
pub(crate) mod who;
mod window;

use std::io::{self, Write as _};
use std::sync::OnceLock;

use raito_run::{Observer, RunEvent};

use crate::args::Output;
use crate::codes;
use crate::error::CliError;
use crate::files;
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

/// The first error of writing to standard output. Nothing is written after it, since the output would have a hole.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line of data.
pub(crate) fn data(line: &str) {
    data_with(|out| writeln!(out, "{}", redact(line)));
}

/// Prints data that is no line of text. Whoever goes on after an error prints nothing more; the program ends with it
/// (`unprinted`), and callers need not look.
pub(crate) fn data_with(write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) {
    if UNPRINTED.get().is_some() {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
        // Of several threads that fail at once, one error is enough.
        let _ = UNPRINTED.set(error);
    }
}

/// Whether everything was printed so far.
pub(crate) fn is_printed() -> bool {
    UNPRINTED.get().is_none()
}

/// Why not everything was printed; none where all was. Where nobody reads it any more, as behind `head`, there is nobody to
/// print it for, and that is no error.
pub(crate) fn unprinted() -> Option<CliError> {
    let error = UNPRINTED.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)?;
    let message = format!("standard output does not take everything: {}", files::reason(error));
    Some(
        CliError::new(codes::FILE, message).help("what was printed is not whole: make room for it, and run this again"),
    )
}

/// Prints a line for people. Where that fails, there is nowhere left to say so.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", redact(line));
}
