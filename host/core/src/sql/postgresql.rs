//! PostgreSQL's lists: what a read statement may use without a grant by name.
//!
//! The lists are the rule; nothing is read or called because it is not forbidden. They were made from
//! the catalogue of PostgreSQL 15 to 18, and a test holds them against servers of these versions.

mod functions;
mod relations;

pub use functions::{
    EXTENSION_FUNCTIONS, ROW_FUNCTIONS, SCALAR_FUNCTIONS, SETTINGS, extension_columns, is_scalar_function, is_setting,
    row_columns,
};
pub use relations::{RELATIONS, columns_of};

/// Where the server's own objects end and those of its users begin (`FirstNormalObjectId`,
/// src/include/access/transam.h).
pub const FIRST_USER_OID: u32 = 16_384;

/// Whether a statement may call functions of an extension by the extension's name, whatever schema it is in.
pub fn is_extension(name: &str) -> bool {
    EXTENSION_FUNCTIONS.iter().any(|(extension, _, _)| *extension == name)
}
