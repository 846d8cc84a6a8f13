//! `raito completions`

use clap::CommandFactory as _;

use crate::args::Cli;
use crate::exit::Exit;

/// Prints a completion script.
pub(super) fn run(shell: clap_complete::Shell) -> Exit {
    clap_complete::generate(shell, &mut Cli::command(), "raito", &mut std::io::stdout());
    Exit::Done
}
