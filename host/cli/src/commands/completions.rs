//! `raito completions`

use std::io::Write as _;

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::Exit;
use crate::render::data_with;

/// Prints a completion script.
pub(super) fn run(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raito", &mut script);
    data_with(|out| out.write_all(&script));
    Exit::Done
}
