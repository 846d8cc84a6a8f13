//! Secrets: text that cannot print itself.

use std::fmt;

use zeroize::Zeroizing;

use crate::limits;

/// A secret. It has no `Display`, its `Debug` shows nothing of it, and its memory is overwritten when it goes.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Why a text cannot be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it has more than {} bytes", limits::SECRET_BYTES)]
    TooLong,
    /// It has characters that no credential has.
    #[error("it has control characters")]
    Control,
}

impl Secret {
    /// Takes a secret, without a line break at its end, which editors and `echo` leave there.
    ///
    /// # Errors
    /// `SecretError` where it cannot be one.
    pub fn new(text: String) -> Result<Self, SecretError> {
        let text = Zeroizing::new(text);
        let trimmed = text.trim_end_matches(['\r', '\n']);
        if trimmed.is_empty() {
            return Err(SecretError::Empty);
        }
        if trimmed.len() > limits::SECRET_BYTES {
            return Err(SecretError::TooLong);
        }
        // Keys in PEM form have line breaks, and nothing else has control characters.
        if trimmed.chars().any(|c| c.is_control() && c != '\n' && c != '\r') {
            return Err(SecretError::Control);
        }
        Ok(Self(Zeroizing::new(trimmed.to_owned())))
    }

    /// Whether it is shorter than what is looked for inside of other text.
    pub fn is_short(&self) -> bool {
        self.0.len() < limits::SHORT_SECRET_BYTES
    }

    /// Whether it is a text that everybody may know, such as the name of its own login.
    pub fn is_known_as(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }

    /// The secret itself. Only the files that put it into a request may ask for it; `tests/tidy.rs` knows them.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new("hunter2hunter2\n".into()).expect("a secret");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose(), "hunter2hunter2");
    }

    #[test]
    fn what_cannot_be_a_credential_is_refused() {
        assert_eq!(Secret::new("\n".into()).err(), Some(SecretError::Empty));
        assert_eq!(Secret::new("a\tb".into()).err(), Some(SecretError::Control));
        assert_eq!(Secret::new("x".repeat(limits::SECRET_BYTES + 1)).err(), Some(SecretError::TooLong));
    }
}
