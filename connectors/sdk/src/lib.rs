//! What a connector is written with: the contract's types and functions, calls by name, and readers.
//!
//! A connector is a library for `wasm32-wasip2` with one type that implements the `Guest` trait of each step that it
//! supports, and one line that exports it:
//!
//! ```text
//! struct Example;
//! impl raito_sdk::identity_store::Guest for Example { … }
//!
//! #[cfg(target_family = "wasm")]
//! raito_sdk::export_identity_store!(Example);
//! ```
//!
//! The functions that turn answers into records are plain functions, tested natively: off WebAssembly the bindings
//! compile, and panic when they are called.

pub mod bindings;
mod call;
mod reader;
mod settings;

pub use call::{Call, Page as HttpPage, Rows, SqlRow, next_cursor};
pub use reader::{Pages, Reader};
pub use settings::Settings;

pub use bindings::access_from_target::exports::raito::connector::access_from_target;
pub use bindings::access_to_target::exports::raito::connector::access_to_target;
pub use bindings::capabilities::raito::connector::{access, clock, http, log, sql, state, types};
pub use bindings::data_source::exports::raito::connector::data_source;
pub use bindings::data_usage::exports::raito::connector::data_usage;
pub use bindings::identity_store::exports::raito::connector::identity_store;

#[cfg(target_family = "wasm")]
pub use bindings::{
    access_from_target::export_access_from_target, access_to_target::export_access_to_target,
    data_source::export_data_source, data_usage::export_data_usage, identity_store::export_identity_store,
};

pub use types::{Context, Fault, FaultKind, Gap, ObjectRef, Tag};

/// A fault of this kind with this message.
pub fn fault(kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { kind, message: message.into(), retry_after_ms: None }
}

/// Writes a message for the people who operate the connector.
pub fn note(level: log::Level, message: &str) {
    log::emit(level, message, &[]);
}
