//! People: which accounts are of one person.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use raito_core::linking::{LinkKey, LinkRule, People};
use raito_core::text::TargetName;
use serde::Deserialize;

use super::App;
use super::answer::{Path, Refusal};
use super::route::{Body, Route, question, route, schema};
use crate::api::Listed;
use crate::api::scope::Scope;

pub(super) fn routes() -> Vec<Route> {
    let rules = Body::Json(schema::<Listed<LinkRule>>);
    let key = Body::Json(schema::<LinkKey>);
    vec![
        question(
            "/people",
            "List accounts by person",
            &[("account", "only people with an account of this name, address or external id")],
            schema::<People>,
            get(list),
        ),
        route(
            ("get", "/links"),
            "List what links the accounts of two stores",
            Scope::Read,
            Body::None,
            rules,
            get(links),
        ),
        route(
            ("put", "/links/{one}/{other}"),
            "Say what links the accounts of two stores",
            Scope::Write,
            key,
            Body::None,
            put(set_link),
        ),
    ]
}

/// Which people.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    account: Option<String>,
}

async fn list(State(app): State<App>, which: Result<Query<Which>, QueryRejection>) -> Result<Json<People>, Refusal> {
    let Query(which) = which?;
    let people = app.store.people().await?;
    Ok(Json(match which.account {
        Some(called) => people.with_account(&called),
        None => people,
    }))
}

async fn links(State(app): State<App>) -> Result<Json<Listed<LinkRule>>, Refusal> {
    Ok(Json(Listed { items: app.store.link_rules().await?, next_cursor: None }))
}

async fn set_link(
    State(app): State<App>,
    Path((one, other)): Path<(String, String)>,
    key: Result<Json<LinkKey>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Json(key) = key?;
    let name = |text: String| TargetName::new(text).map_err(|error| Refusal::bad_request(format!("store: {error}")));
    let (one, other) = (name(one)?, name(other)?);
    if one == other {
        return Err(Refusal::bad_request("a link is between two stores"));
    }
    app.store.set_link_rule([&one, &other], key).await?;
    Ok(StatusCode::NO_CONTENT)
}
