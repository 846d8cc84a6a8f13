//! What a connector or the broker answers when a call does not succeed, and what a step ends with.

use std::time::Duration;

use schemars::JsonSchema;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::text::Remark;

/// The classes of faults that the host acts on; the same as `fault-kind` of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// A setting is missing or wrong.
    InvalidSetting,
    /// The target refused the credentials.
    Unauthorized,
    /// The target cannot be reached, or answered with a passing error.
    Unavailable,
    /// The host refused.
    Denied,
    /// Something could not be read.
    Incomplete,
    /// The target's state is not the expected one.
    Conflict,
    /// A defect in the connector.
    Internal,
}

impl FaultKind {
    /// The word of the contract.
    pub fn word(self) -> &'static str {
        match self {
            Self::InvalidSetting => "invalid-setting",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Incomplete => "incomplete",
            Self::Conflict => "conflict",
            Self::Internal => "internal",
        }
    }
}

/// Why a call did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[error("{message}")]
pub struct Fault {
    /// The class.
    pub kind: FaultKind,
    /// One sentence: what was attempted and what was answered. Longer ones are cut.
    pub message: Remark,
    /// How long to wait before trying again, in milliseconds.
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        // People are spared a field without a value. A format without names has every field in its place.
        let is_left_out = self.retry_after_ms.is_none() && out.is_human_readable();
        let mut fields = out.serialize_struct("Fault", if is_left_out { 2 } else { 3 })?;
        fields.serialize_field("kind", &self.kind)?;
        fields.serialize_field("message", &self.message)?;
        if !is_left_out {
            fields.serialize_field("retry-after-ms", &self.retry_after_ms)?;
        }
        fields.end()
    }
}

impl Fault {
    /// A fault with a message, cut to what a message may have.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        let mut message: String = message.into().replace('\0', "\u{fffd}");
        if message.len() > MESSAGE_BYTES {
            let end = (0..=MESSAGE_BYTES).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        let message = Remark::new(message).expect("a message of this length without NUL is a description");
        Self { kind, message, retry_after_ms: None }
    }

    /// A refusal by the host.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Denied, message)
    }

    /// The same fault with a time to wait.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after_ms = u64::try_from(pause.as_millis()).ok();
        self
    }
}

/// Bytes of a fault's message: one screen of text.
const MESSAGE_BYTES: usize = 2_048;

/// A resource that a guest used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHit {
    /// What there was too much of, such as `memory`.
    pub what: &'static str,
    /// How much was allowed, with its unit.
    pub allowed: String,
}

/// A record that breaks a rule of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct BadRecord {
    /// Where the field stands on its page, such as `objects[3].ref.path[1]`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BadRecord {
    /// A bad field with the reason.
    pub fn new(field: impl Into<String>, reason: impl ToString) -> Self {
        Self { field: field.into(), reason: reason.to_string() }
    }

    /// The same, seen from what the field stands in.
    #[must_use]
    pub fn within(mut self, outer: impl std::fmt::Display) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{outer}{dot}{}", self.field);
        self
    }
}

/// Why a step did not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepFault {
    /// The connector said so, or the broker answered it so.
    #[error("{0}")]
    Fault(Fault),
    /// The guest trapped.
    #[error("the connector crashed: {message}")]
    Trap {
        /// What the runtime says, without text of the guest.
        message: String,
    },
    /// The guest used more of something than it may.
    #[error("the connector used more {} than allowed ({})", .0.what, .0.allowed)]
    Limit(LimitHit),
    /// The guest handed over something that breaks the contract.
    #[error("page {page}: {record}")]
    BadRecord {
        /// The page, counted from 1.
        page: u64,
        /// What is wrong with it.
        record: BadRecord,
    },
    /// Something held a secret and was withheld.
    #[error("{0}")]
    Leak(String),
    /// The host could not go on for a reason of its own.
    #[error("{0}")]
    Host(String),
    /// What the host keeps between runs could not be written, such as on a full disk.
    #[error("{0}")]
    State(String),
    /// Somebody asked the run to stop.
    #[error("interrupted")]
    Interrupted,
}

impl From<Fault> for StepFault {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_at_a_character_and_has_no_nul() {
        let fault = Fault::new(FaultKind::Internal, format!("a\0{}", "ä".repeat(2_000)));
        assert!(fault.message.as_str().starts_with("a\u{fffd}ä"));
        assert!(fault.message.as_str().ends_with("ä…"));
        assert!(fault.message.as_str().len() < 2_060);
    }

    #[test]
    fn a_bad_field_says_where_it_stands() {
        let record = BadRecord::new("path[1]", "it is empty").within("ref").within("objects[3]");
        assert_eq!(record.to_string(), "objects[3].ref.path[1]: it is empty");
    }
}
