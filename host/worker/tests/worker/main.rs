//! What a worker can do, and what it can do to the host.
//!
//! This program is four things: the tests, and, started by them, a process that confines itself and then tries to get out
//! (`escape`), one that pretends to be a worker (`fake`), or one that is the host of such a worker (`memory`). So there is no way
//! into any of this in the program `raito`. It has no harness, since a process confines itself while it has one thread.

mod escape;
mod fake;
mod greedy;
mod hostile;
mod load;
mod memory;

use std::process::ExitCode;

/// As in the program, so that memory is measured as it has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some(raito_worker::SUBCOMMAND) => raito_worker::serve(&words.next().unwrap_or_default()),
        Some("escape") => escape::attempt(&words.collect::<Vec<_>>()),
        Some("fake") => fake::play(&words.next().unwrap_or_default()),
        Some("host") => memory::host(&words.next().unwrap_or_default()),
        _ => {
            let trials: Vec<Trial> =
                [escape::trials(), hostile::trials(), load::trials(), memory::trials()].into_iter().flatten().collect();
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

/// A test from a function that panics where something does not hold.
fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
