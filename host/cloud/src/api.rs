//! What server and client say to each other besides core's records: scopes, problems, lists.

pub(crate) mod effective;
pub(crate) mod problem;
pub(crate) mod scope;
pub(crate) mod usage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the API begins.
pub(crate) const BASE: &str = "/api/v1";

/// A page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Listed<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// What to give as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
}

/// What is said of the service itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct About {
    /// The version of raito.
    pub(crate) version: String,
}

/// How many records of a kind there are.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Count {
    /// The kind.
    pub(crate) what: &'static str,
    /// How many are current.
    pub(crate) count: u64,
}

/// A token that is asked for.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct TokenRequest {
    /// What it is for.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) scopes: Vec<scope::Scope>,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires_ms: Option<u64>,
}

/// A token that was made. The secret is shown this once.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct TokenMade {
    /// Its id.
    pub(crate) id: String,
    /// The secret.
    pub(crate) token: String,
}
