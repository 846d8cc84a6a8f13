//! Problems: why a request was not carried out, in the form of RFC 9457.

use raito_core::threshold::OverThreshold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not carried out.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Problem {
    /// What kind of problem it is, as a word to act on, such as `over-threshold`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The same for people.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened here.
    pub(crate) detail: String,
    /// What would be removed, where that is the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) over_threshold: Option<OverThreshold>,
}

/// Kinds of problems.
pub(crate) const BAD_REQUEST: &str = "bad-request";
pub(crate) const UNAUTHORIZED: &str = "unauthorized";
pub(crate) const FORBIDDEN: &str = "forbidden";
pub(crate) const NOT_FOUND: &str = "not-found";
pub(crate) const CONFLICT: &str = "conflict";
pub(crate) const OVER_THRESHOLD: &str = "over-threshold";
pub(crate) const OTHER_INSTANCE: &str = "other-instance";
pub(crate) const INVALID: &str = "invalid";
pub(crate) const INTERNAL: &str = "internal";
/// A token has as much under way as it may have.
pub(crate) const TOO_MANY: &str = "too-many";
/// All tokens together have.
pub(crate) const BUSY: &str = "busy";
pub(crate) const TOO_LARGE: &str = "too-large";
/// The body of a request did not come in time.
pub(crate) const TOO_SLOW: &str = "too-slow";
/// The disk of the cloud has no room.
pub(crate) const NO_ROOM: &str = "no-room";
