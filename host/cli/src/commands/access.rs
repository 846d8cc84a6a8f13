//! `raito access`: who may do what, kept in files.

mod apply;
mod convert;
mod drift;
mod expire;
mod export;
mod files;
mod findings;
mod fmt;
mod git;
mod import;
mod journal;
mod last_read;
mod lsp;
mod plan;
mod planning;
mod recover;
mod session;
mod state;
mod test;
mod validate;

use crate::args::Global;
use crate::args::access::{Access, ApplyAccessArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::render::data;

/// Carries out one of its commands.
pub(super) fn run(global: &Global, args: &Access) -> Result<Exit, CliError> {
    match args {
        Access::Validate(files) => validate::run(global, files),
        Access::Fmt { files, check } => fmt::run(global, files, *check),
        Access::Schema => {
            data(&format!("{:#}", raito_access::access_schema()));
            Ok(Exit::Done)
        }
        Access::Lsp(args) => lsp::run(global, args),
        Access::Convert(args) => convert::run(global, args),
        Access::Plan(args) => super::block_on(plan::run(global, args)),
        Access::Apply(args) => super::block_on(apply::run(global, args)),
        Access::Import(args) => super::block_on(import::run(global, args)),
        Access::Drift(args) => super::block_on(drift::run(global, args)),
        Access::Expire(args) => expire::run(global, args),
        Access::Export(args) => super::block_on(export::run(global, args)),
        Access::Test(args) => super::block_on(test::run(global, args)),
    }
}

/// Sends a saved file again.
pub(super) async fn apply_access(global: &Global, args: &ApplyAccessArgs) -> Result<Exit, CliError> {
    recover::run(global, args).await
}
