//! `raito access validate`

use super::{files, findings};
use crate::args::access::Files;
use crate::args::{Global, Output};
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::{counted, say};

/// Checks files without a target: their form, and what two of them both say they own.
pub(super) fn run(global: &Global, args: &Files) -> Result<Exit, CliError> {
    let read = files::read(global, args)?;
    match &read.code {
        Ok(code) => {
            if matches!(global.output, Output::Sarif | Output::Gitlab) {
                findings::print(global.output, &[]);
            }
            if !global.quiet {
                let (files, entries, targets) = (read.sources.len(), code.entries.len(), code.targets().len());
                let (files, targets) = (counted(files, "file"), counted(targets, "target"));
                say(&format!("{files}: {} on {targets}, no mistakes", counted(entries, "access control")));
            }
            Ok(Exit::Done)
        }
        Err(wrong) => {
            findings::mistakes(global.output, &read.sources, wrong);
            Ok(Exit::Usage)
        }
    }
}
