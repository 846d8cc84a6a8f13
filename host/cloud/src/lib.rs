//! The control plane: what sources hold, who has access to what, and what is to change.
//!
//! The same API serves an embedded cloud on a Unix socket and a remote one; `client` is the one way to it, also from the
//! same process. `server` turns requests into calls of the `store`, which is the only module with a database in it.

mod api;
mod client;
mod server;
mod store;

pub use api::scope::Scope;
pub use client::{AppliedText, Client, ClientError, Endpoint};
pub use server::{Listen, Running, ServeError, new_token, serve};
pub use store::{Store, StoreError};
