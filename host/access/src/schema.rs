//! The JSON Schema of access code, made from the table of keys.

use serde_json::Value;

/// The schema of `access.yml` and of the files of `access/`.
pub fn access_schema() -> Value {
    raito_config::schema_of("access.yml", crate::keys::FILE)
}
