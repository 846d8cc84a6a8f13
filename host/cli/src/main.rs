//! The program `raito`.

mod args;
mod clock;
mod cloud;
mod codes;
mod commands;
mod engine;
mod env;
mod error;
mod exit;
mod files;
mod leaks;
mod logging;
mod memory;
mod program;
mod render;
mod secrets;
mod state_dir;

use std::process::ExitCode;

fn main() -> ExitCode {
    memory::give_back_early();
    // Before anything else, since a worker confines itself while it has one thread and no file.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == raito_worker::SUBCOMMAND) {
        return raito_worker::serve(&arguments.next().unwrap_or_default().to_string_lossy());
    }
    files::survive_bounds();
    leaks::screen_panics();
    let exit = commands::main();
    memory::keep_to_the_end();
    exit
}
