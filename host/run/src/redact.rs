//! What may leave for the cloud: sensitive fields are kept, digested or dropped as the target's `send` says.

use raito_core::grant::{Handling, Send};
use raito_core::ports::Ledger;
use raito_core::record::{Statement, User};
use raito_core::text::{Email, Name, StatementText};

/// The digest of a value under the key of the log's owner: equal values stay equal, and nobody else can tell which.
fn hashed(ledger: &dyn Ledger, value: &str) -> String {
    ledger.pseudonym(value.to_lowercase().as_bytes())
}

/// A user as it may leave.
pub(crate) fn user(mut user: User, send: &Send, ledger: &dyn Ledger) -> User {
    user.email = match (send.email, user.email) {
        (Handling::Keep, email) => email,
        (Handling::Drop, _) | (_, None) => None,
        // The form of an address is kept, since the field is one.
        (Handling::Hash, Some(email)) => {
            Email::new(format!("{}@hashed.invalid", hashed(ledger, email.as_str()).replace(':', "-"))).ok()
        }
    };
    user.display_name = match send.display_name {
        Handling::Keep => user.display_name,
        Handling::Drop => Name::new("").expect("a name may be empty"),
        Handling::Hash => Name::new(hashed(ledger, user.display_name.as_str())).expect("a digest is a name"),
    };
    user
}

/// A statement as it may leave.
pub(crate) fn statement(mut statement: Statement, send: &Send, ledger: &dyn Ledger) -> Statement {
    statement.text = match (send.query_text, statement.text) {
        (Handling::Keep, text) => text,
        (Handling::Drop, _) | (_, None) => None,
        (Handling::Hash, Some(text)) => StatementText::new(hashed(ledger, text.as_str())).ok(),
    };
    statement
}

#[cfg(test)]
mod tests {
    use raito_core::checkpoint::SignedCheckpoint;
    use raito_core::event::Event;
    use raito_core::ports::LedgerError;
    use raito_core::text::ExternalId;

    use super::*;

    struct Key;
    impl Ledger for Key {
        fn append(&self, _: &Event) -> Result<(), LedgerError> {
            Ok(())
        }
        fn sync(&self) -> Result<(), LedgerError> {
            Ok(())
        }
        fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError> {
            Err(LedgerError("nothing is kept".into()))
        }
        fn pseudonym(&self, value: &[u8]) -> String {
            format!("hmac-sha256:{}", raito_core::digest::Digest::of(value))
        }
    }

    fn ann() -> User {
        User {
            external_id: ExternalId::new("u1").expect("an id"),
            user_name: Name::new("ann").expect("a name"),
            display_name: Name::new("Ann").expect("a name"),
            email: Some(Email::new("Ann@Example.test").expect("an address")),
            enabled: true,
            machine: None,
            tags: vec![],
        }
    }

    fn send(handling: Handling) -> Send {
        Send { email: handling, display_name: handling, query_text: handling }
    }

    #[test]
    fn an_address_is_kept_digested_or_dropped() {
        assert_eq!(user(ann(), &send(Handling::Keep), &Key), ann());
        let dropped = user(ann(), &send(Handling::Drop), &Key);
        assert_eq!((dropped.email, dropped.display_name.as_str()), (None, ""));
        let hashed = user(ann(), &send(Handling::Hash), &Key).email.expect("a digest");
        assert!(hashed.as_str().ends_with("@hashed.invalid") && !hashed.as_str().contains("xample"));
        let mut lower = ann();
        lower.email = Some(Email::new("ann@example.test").expect("an address"));
        assert_eq!(user(lower, &send(Handling::Hash), &Key).email, Some(hashed), "one address, however it is written");
    }
}
