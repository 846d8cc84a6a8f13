//! `raito schema`

use crate::args::{Schema, SchemaOf};
use crate::exit::Exit;
use crate::render::data;

/// Prints the JSON Schema of a file.
pub(super) fn run(args: &Schema) -> Exit {
    let schema = match args.file {
        SchemaOf::Configuration => raito_config::configuration_schema(),
        SchemaOf::Ceiling => raito_config::ceiling_schema(),
    };
    data(&format!("{schema:#}"));
    Exit::Done
}
