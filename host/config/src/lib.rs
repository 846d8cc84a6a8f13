//! Files that people write: `raito.yml` and the operator's ceiling.
//!
//! Reading is strict and complete: an unknown key is a mistake with a suggestion, and all mistakes of a file are found at
//! once, each with the place where it stands. What a file may hold is one table of keys (`keys`), from which the reader
//! knows the unknown ones and `raito schema` makes the JSON Schema. Other files that people write are read with the same
//! `reader` and described with the same `keys`.

mod ceiling;
mod configuration;
mod credentials;
mod excerpt;
mod grants;
mod hide;
pub mod keys;
mod mistake;
pub mod reader;
mod schema;

pub use ceiling::read_ceiling;
pub use configuration::{CloudChoice, Configuration, read_configuration};
pub use excerpt::{Excerpt, Holds};
pub use hide::{is_variable, quotable};
pub use mistake::{Mistake, Place};
pub use schema::{ceiling_schema, configuration_schema, document as schema_of};
