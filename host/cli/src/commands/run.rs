//! `raito run`

use std::sync::Arc;

use indicatif::MultiProgress;

use super::configuration;
use crate::args::{Global, Run};
use crate::engine::Engine;
use crate::error::CliError;
use crate::exit::Exit;
use crate::render;

/// Synchronises the targets.
pub(super) async fn run(global: &Global, args: &Run, bars: &MultiProgress) -> Result<Exit, CliError> {
    let loaded = configuration::load(global)?;
    let (ceiling, ceiling_digest) = configuration::ceiling(global)?;
    let state = configuration::state(global, &loaded.base)?;
    let engine = Engine {
        configuration: &loaded.configuration,
        digest: loaded.digest,
        base: &loaded.base,
        ceiling: &ceiling,
        ceiling_digest,
        state: &state,
        asked: args,
        reporter: Arc::new(render::reporter(global.output, bars, global.quiet)),
    };
    engine.run().await
}
