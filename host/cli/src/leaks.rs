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

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use raito_core::digest::Digest;
    use raito_core::event::Place;
    use raito_core::secret::Secret;
    use raito_core::step::Step;

    use super::*;

    /// A record of nothing but lines.
    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Ledger for Lines {
        fn append(&self, event: &Event) -> Result<(), LedgerError> {
            let line = serde_json::to_string(event).expect("JSON");
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            Ok(())
        }

        fn sync(&self) -> Result<(), LedgerError> {
            Ok(())
        }

        fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
            unreachable!("nobody asks for one")
        }

        fn pseudonym(&self, _value: &[u8]) -> String {
            String::new()
        }
    }

    #[test]
    fn a_record_holds_no_secret_wherever_somebody_else_wrote_it() {
        let text = "a secret of leaks, and of nothing else";
        watch().add("test", &Secret::new(text.to_owned()).expect("a secret"));
        let (lines, said) = (Arc::new(Lines::default()), format!("it said {text} and more"));
        let ledger = Screened(Arc::clone(&lines));
        let place = || Place { target: "shop".into(), step: Step::DataSource };
        let change = Event::AccessChange {
            target: "shop".into(),
            plan: Digest::ZERO,
            commit: None,
            number: 1,
            at: None,
            statement: said.clone(),
        };
        let refused = Event::TargetRefused { target: "shop".into(), sha256: None, reasons: vec![said.clone()] };
        for event in [Event::Trap { place: place(), message: said }, change, refused] {
            ledger.append(&event).expect("kept");
        }
        let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(lines.iter().filter(|line| line.contains("it said ") && line.contains(" and more")).count(), 3);
        assert!(lines.iter().all(|line| !line.contains(text)), "{lines:#?}");
    }

    /// A test of which the process that it starts is another one: that ends with a panic whose text holds a secret.
    #[test]
    fn a_panic_says_nothing_of_a_secret() {
        const SECRET: &str = "a secret of a panic, and of nothing else";
        const IN_A_PROCESS_OF_ITS_OWN: &str = "RAITO_TEST_PANICS";
        if std::env::var_os(IN_A_PROCESS_OF_ITS_OWN).is_some() {
            watch().add("test", &Secret::new(SECRET.to_owned()).expect("a secret"));
            screen_panics();
            panic!("it was {SECRET} and more");
        }
        let mut command = std::process::Command::new(std::env::current_exe().expect("this one"));
        command.args(["--exact", "leaks::tests::a_panic_says_nothing_of_a_secret", "--nocapture"]);
        let run = command.env(IN_A_PROCESS_OF_ITS_OWN, "1").output().expect("starts");
        let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
        assert!(!run.status.success() && said.contains("it was ") && said.contains(" and more"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}
