//! The JSON Schema of the files, made from the table of keys.

use serde_json::{Map, Value, json};

use crate::keys::{CEILING, CONFIGURATION, HTTP_GRANT, Key, SCHEMES, SECRET, SQL_GRANT, Shape};

/// The schema of `raito.yml`.
pub fn configuration_schema() -> Value {
    document("raito.yml", CONFIGURATION)
}

/// The schema of the operator's ceiling.
pub fn ceiling_schema() -> Value {
    document("ceiling.yml", CEILING)
}

/// The schema of a file whose outermost mapping has these keys.
pub fn document(title: &str, keys: &[Key]) -> Value {
    let mut schema = map(keys);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

fn map(keys: &[Key]) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut schema = shape(key.shape);
        schema["description"] = json!(key.help);
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> = keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn shape(shape: Shape) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    match shape {
        Shape::Text => text,
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::Texts => json!({ "type": "array", "items": text }),
        Shape::Words(words) => json!({ "type": "array", "items": { "enum": words } }),
        Shape::Map(keys) => map(keys),
        Shape::Maps(keys) => json!({ "type": "array", "items": map(keys) }),
        Shape::Settings => {
            let value = json!({ "type": ["string", "integer", "boolean", "array"], "items": { "type": "string" } });
            json!({ "type": "object", "additionalProperties": value })
        }
        Shape::Grants => {
            let mut http = map(HTTP_GRANT);
            http["additionalProperties"] = json!({ "oneOf": [secret(), one_of(SCHEMES)] });
            let slots = json!({ "^http\\.[a-z][a-z0-9-]*$": http, "^sql\\.[a-z][a-z0-9-]*$": map(SQL_GRANT) });
            json!({ "type": "object", "patternProperties": slots, "additionalProperties": false })
        }
        Shape::Secret => secret(),
        Shape::EmbeddedOr(keys) => json!({ "oneOf": [{ "const": "embedded" }, map(keys)] }),
        Shape::TextOr(keys) => json!({ "oneOf": [text, map(keys)] }),
        Shape::TextOrTexts => json!({ "oneOf": [text, { "type": "array", "items": text }] }),
        Shape::TextMap => json!({ "type": "object", "additionalProperties": text }),
        Shape::FlagOr(keys) => json!({ "oneOf": [{ "const": false }, map(keys)] }),
    }
}

fn secret() -> Value {
    one_of(SECRET)
}

fn one_of(keys: &[Key]) -> Value {
    let mut one = map(keys);
    one["minProperties"] = json!(1);
    one["maxProperties"] = json!(1);
    one
}
