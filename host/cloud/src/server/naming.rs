//! Objects by what people call them.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use raito_core::expansion::{ObjectId, Snapshot};
use raito_core::limits;
use serde::Deserialize;

use super::App;
use super::answer::{Refusal, aside};
use super::route::{Route, question, schema};
use crate::api::Listed;
use crate::api::effective::FoundObject;

pub(super) fn routes() -> Vec<Route> {
    vec![question(
        "/objects",
        "Find objects of any source by name",
        &[("called", "a path with dots, or JSON: {\"kind\":…,\"path\":[…]}")],
        schema::<Listed<FoundObject>>,
        get(find),
    )]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    called: String,
}

async fn find(
    State(app): State<App>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Listed<FoundObject>>, Refusal> {
    let Query(Wanted { called }) = wanted?;
    let mut items = Vec::new();
    for (source, id) in app.store.described_sources().await? {
        let snapshot = app.store.snapshot(id, None, app.clock.now_ms()).await?;
        let called = called.clone();
        // It looks at every object, which is for a thread that serves nobody else.
        let search = move || -> Result<Vec<FoundObject>, Refusal> {
            let found = objects_named(&snapshot, &called)?;
            let item = |id| FoundObject { source: source.clone(), object: snapshot.object(id).clone() };
            Ok(found.into_iter().map(item).collect())
        };
        items.extend(aside(search).await?);
    }
    items.truncate(limits::CLOUD_PAGE as usize);
    Ok(Json(Listed { items, next_cursor: None }))
}

/// The objects with this name: the one that is referred to as JSON, or all that have it as their path.
///
/// # Errors
/// `Refusal` where the JSON is none.
pub(super) fn objects_named(snapshot: &Snapshot, name: &str) -> Result<Vec<ObjectId>, Refusal> {
    if name.starts_with('{') {
        let reference = serde_json::from_str(name).map_err(|error| Refusal::bad_request(format!("object: {error}")))?;
        return Ok(snapshot.find_object(&reference).into_iter().collect());
    }
    Ok(snapshot.all_objects().filter(|id| is_named(snapshot, *id, name)).collect())
}

/// Whether an object has this name: its path with dots, with or without what stands first, and with its kind before it or
/// without.
fn is_named(snapshot: &Snapshot, id: ObjectId, name: &str) -> bool {
    let object = snapshot.object(id);
    // Most objects are called something else, which is cheap to see.
    if !object.path.last().is_some_and(|last| name.contains(last.as_str())) {
        return false;
    }
    let name = match name.split_once(' ') {
        Some((kind, rest)) if kind == object.kind.as_str() => rest,
        _ => name,
    };
    let parts: Vec<&str> = object.path.iter().map(|part| part.as_str()).collect();
    let signature = object.signature.as_ref().map(|signature| format!("({signature})")).unwrap_or_default();
    let whole = parts.join(".");
    let inner = parts.get(1..).unwrap_or_default().join(".");
    [whole, inner].iter().any(|path| !path.is_empty() && (path == name || format!("{path}{signature}") == name))
}
