//! Signals: the first asks the run to end at the next page, the second ends the program.

use raito_run::Stop;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::render::say;

/// A task that listens as long as this lives.
pub(crate) struct Listening(tokio::task::JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens for SIGINT and SIGTERM.
pub(crate) fn listen(stop: &Stop) -> Listening {
    let stop = stop.clone();
    Listening(tokio::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_asked() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            say("stopping at the end of this page; once more to stop at once");
            stop.ask();
        }
    }))
}
