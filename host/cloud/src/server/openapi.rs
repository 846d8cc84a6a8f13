//! The OpenAPI 3.1 document, made from the table of routes.

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::route::{Body, Route, all, schema};
use crate::api::BASE;
use crate::api::problem::{MEDIA_TYPE, Problem};

/// The document.
pub(super) fn document() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let problem = schema::<Problem>(&mut generator);
    let mut paths = serde_json::Map::new();
    for route in all() {
        let operation = operation(&route, &mut generator, &problem);
        let path = paths.entry(format!("{BASE}{}", route.path)).or_insert_with(|| json!({}));
        path[route.method] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "raito cloud",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What sources hold, who has access to what, and what is to change.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &schemars::Schema) -> Value {
    let text = json!({ "type": "string" });
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }));
    let in_query = route.query.iter().map(
        |(name, what)| json!({ "name": name, "in": "query", "required": false, "description": what, "schema": text }),
    );
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let answer = match content(route.answer, generator) {
        Some(content) => json!({ "description": "Done", "content": content }),
        None => json!({ "description": "Done" }),
    };
    let status = match (route.method, route.answer) {
        (_, Body::None) => "204",
        ("post", _) if !route.path.ends_with("/runs") => "201",
        _ => "200",
    };
    let mut operation = json!({
        "summary": route.summary,
        "description": format!("Needs the scope `{}`.", route.scope),
        "operationId": operation_id(route),
        "parameters": parameters,
        "responses": {
            status: answer,
            "default": { "description": "Not done", "content": { MEDIA_TYPE: { "schema": problem } } },
        },
    });
    if let Some(content) = content(route.body, generator) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn content(body: Body, generator: &mut SchemaGenerator) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Json(schema) => Some(json!({ "application/json": { "schema": schema(generator) } })),
        Body::Lines(schema) => Some(json!({ "application/x-ndjson": { "schema": schema(generator) } })),
    }
}

fn operation_id(route: &Route) -> String {
    let words = route.path.split('/').filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}']));
    std::iter::once(route.method).chain(words).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let mut found = 0;
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
            found += 1;
        }
        assert!(found > 50, "{found}");
    }

    #[test]
    fn operations_have_ids_of_their_own() {
        let mut ids: Vec<String> = all().iter().map(operation_id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
