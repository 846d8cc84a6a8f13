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
mod render;
mod secrets;
mod state_dir;

use std::process::ExitCode;

/// Records are many small texts: with this allocator the boundary hands over about a sixth more of them a second than with
/// the C library's (`make bench`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::main()
}
