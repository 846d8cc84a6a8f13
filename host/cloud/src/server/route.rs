//! The table of routes.

use axum::routing::MethodRouter;
use schemars::{Schema, SchemaGenerator};

use super::quotas::Work;
use super::{App, applied, controls, effective, export, naming, people, removals, runs, sources, tokens, usage};
use crate::api::scope::Scope;

/// Makes the schema of a type.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a body holds.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// Nothing.
    None,
    /// JSON of this type.
    Json(SchemaOf),
    /// One JSON value of this type a line.
    Lines(SchemaOf),
}

/// A route of the API.
pub(super) struct Route {
    /// The method, in lower case as OpenAPI writes it.
    pub(super) method: &'static str,
    /// The path below the base.
    pub(super) path: &'static str,
    /// What it does, in one sentence.
    pub(super) summary: &'static str,
    /// What a token needs for it.
    pub(super) scope: Scope,
    /// What it takes of the server.
    pub(super) work: Work,
    /// Query parameters: name and what it says.
    pub(super) query: &'static [(&'static str, &'static str)],
    /// What is sent.
    pub(super) body: Body,
    /// What is answered.
    pub(super) answer: Body,
    /// What carries it out.
    pub(super) handler: MethodRouter<App>,
}

/// A route without a query.
pub(super) fn route(
    (method, path): (&'static str, &'static str),
    summary: &'static str,
    scope: Scope,
    body: Body,
    answer: Body,
    handler: MethodRouter<App>,
) -> Route {
    Route { method, path, summary, scope, work: Work::Question, query: &[], body, answer, handler }
}

/// A route that answers a question with JSON.
pub(super) fn question(
    path: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, &'static str)],
    answer: SchemaOf,
    handler: MethodRouter<App>,
) -> Route {
    Route { query, ..route(("get", path), summary, Scope::Read, Body::None, Body::Json(answer), handler) }
}

/// The schema of a type.
pub(super) fn schema<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Query parameters of every list.
pub(super) const PAGING: &[(&str, &str)] = &[
    ("cursor", "where the page begins: next-cursor of the page before"),
    ("limit", "how many items, at most 1,000"),
    ("prefix", "only names that begin with this"),
    ("kind", "only of this kind"),
    ("under", "only objects directly below the one with this external id"),
];

/// All routes.
pub(super) fn all() -> Vec<Route> {
    [
        runs::routes(),
        sources::routes(),
        removals::routes(),
        effective::routes(),
        usage::routes(),
        naming::routes(),
        people::routes(),
        controls::routes(),
        applied::routes(),
        tokens::routes(),
        export::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
