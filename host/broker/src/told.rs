//! What a target tells: texts of its errors, searched for secrets as a whole before they are cut to what a person reads. A cut
//! text that was not searched before could show the first part of a secret, which nobody recognises any more.

use raito_core::fault::{Fault, FaultKind};
use raito_core::leak::{Leak, Watch};
use raito_core::text;

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// It did not succeed.
    Fault(Fault),
    /// What came holds a secret.
    Leak(Leak),
}

impl CallError {
    /// The word for it on record.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Fault(fault) => fault.kind.word(),
            Self::Leak(_) => FaultKind::Denied.word(),
        }
    }
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Leak> for CallError {
    fn from(leak: Leak) -> Self {
        Self::Leak(leak)
    }
}

/// At most `max` characters of what a target told, escaped.
///
/// # Errors
/// The secret that all of it holds, also behind what would be cut.
pub(crate) fn excerpt(watch: &Watch, told: &str, max: usize) -> Result<String, Leak> {
    watch.find(told.as_bytes()).map_or_else(|| Ok(text::excerpt(told, max)), Err)
}
