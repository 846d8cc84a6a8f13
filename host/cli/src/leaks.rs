//! The secrets of this process, and the places where nothing of them may come out: what is printed, logged, put on record, or
//! said in a panic.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use raito_core::checkpoint::SignedCheckpoint;
use raito_core::event::Event;
use raito_core::leak::Watch;
use raito_core::ports::{Ledger, LedgerError};

static WATCH: LazyLock<Arc<Watch>> = LazyLock::new(Arc::default);

/// All secrets that were fetched, and what was derived from them.
pub(crate) fn watch() -> &'static Arc<Watch> {
    &WATCH
}

/// The text as it may leave the process.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    WATCH.redact(text)
}

/// Has panics say nothing of a secret, whatever text they carry.
pub(crate) fn screen_panics() {
    std::panic::set_hook(Box::new(|panic| crate::render::say(&panic.to_string())));
}

/// A record in which no text holds a secret.
pub(crate) struct Screened<L>(pub(crate) Arc<L>);

impl<L: Ledger> Ledger for Screened<L> {
    fn append(&self, event: &Event) -> Result<(), LedgerError> {
        let mut event = event.clone();
        for text in event.texts_mut() {
            if let Cow::Owned(redacted) = redact(text) {
                *text = redacted;
            }
        }
        self.0.append(&event)
    }

    fn sync(&self) -> Result<(), LedgerError> {
        self.0.sync()
    }

    fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
        self.0.checkpoint()
    }

    fn pseudonym(&self, value: &[u8]) -> String {
        self.0.pseudonym(value)
    }
}
