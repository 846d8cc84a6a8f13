//! Access as code: files that say who may do what, what they mean at a target, and the plan that leads there.
//!
//! Everything here is values in, values out: which files there are, what a target has and what time it is, the caller says.
//! Whether something is changed is decided in core, as for a cloud; this crate gives it what is to be.

pub mod adopt;
pub mod applied;
pub mod assert;
mod circle;
pub mod code;
pub mod convert;
pub mod document;
pub mod drift;
pub mod edit;
pub mod editor;
pub mod effect;
pub mod evaluate;
pub mod expire;
pub mod export;
pub mod finding;
pub mod format;
pub mod import;
mod keys;
mod original;
pub mod pattern;
pub mod plan;
pub mod policy;
mod read;
pub mod recover;
pub mod report;
pub mod resolve;
mod retire;
mod schema;
pub mod time;
pub mod write;

pub use original::{Saved, read_original, read_saved};
pub use read::read_document;
pub use schema::access_schema;
