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
mod logging;
mod memory;
mod render;
mod secrets;
mod state_dir;

use std::process::ExitCode;

fn main() -> ExitCode {
    memory::give_back_early();
    commands::main()
}
