//! How much may be removed: thresholds of sources, and exact numbers beyond them. Both need a scope
//! of their own, because a token that uploads must not decide about what its uploads remove.

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Extension, Json};
use raito_core::threshold::Thresholds;

use super::App;
use super::answer::{Path, Refusal};
use super::paging::Answer;
use super::route::{Body, Route, question, route, schema};
use crate::api::Listed;
use crate::api::scope::Scope;
use crate::store::{Caller, Confirmation, ConfirmationRequest};

/// Bytes of a reason, as people write them.
const REASON_BYTES: usize = 1_024;

pub(super) fn routes() -> Vec<Route> {
    const THRESHOLDS: &str = "/sources/{source}/thresholds";
    const REMOVALS: &str = "/sources/{source}/removals";
    vec![
        question(THRESHOLDS, "When removing stops for a source", &[], schema::<Thresholds>, get(show)),
        route(
            ("put", THRESHOLDS),
            "Set when removing stops for a source; uploads can only be stricter",
            Scope::Removals,
            Body::Json(schema::<Thresholds>),
            Body::None,
            put(set),
        ),
        question(
            REMOVALS,
            "List the numbers of removals that were confirmed, the newest first",
            &[],
            schema::<Listed<Confirmation>>,
            get(list),
        ),
        route(
            ("post", REMOVALS),
            "Confirm that the next upload may remove exactly so many records; another token than this one uploads it",
            Scope::Removals,
            Body::Json(schema::<ConfirmationRequest>),
            Body::Json(schema::<Confirmation>),
            post(confirm),
        ),
    ]
}

async fn show(State(app): State<App>, Path(source): Path<String>) -> Result<Json<Thresholds>, Refusal> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(app.store.thresholds(source).await?))
}

async fn set(
    State(app): State<App>,
    Path(source): Path<String>,
    Extension(caller): Extension<Caller>,
    thresholds: Result<Json<Thresholds>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Json(thresholds) = thresholds?;
    if thresholds.remove_percent > 100 {
        return Err(Refusal::invalid("remove-percent: a share is at most 100"));
    }
    let source = app.store.source_id(&source).await?;
    app.store.set_thresholds(source, thresholds, &caller, app.clock.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(State(app): State<App>, Path(source): Path<String>) -> Answer<Confirmation> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(Listed { items: app.store.confirmations(source).await?, next_cursor: None }))
}

async fn confirm(
    State(app): State<App>,
    Path(source): Path<String>,
    Extension(caller): Extension<Caller>,
    asked: Result<Json<ConfirmationRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Confirmation>), Refusal> {
    let Json(asked) = asked?;
    if asked.records == 0 {
        return Err(Refusal::invalid("records: say how many may be removed"));
    }
    if asked.reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES) {
        return Err(Refusal::invalid(format!("reason: it has at most {REASON_BYTES} bytes")));
    }
    let source = app.store.source_id(&source).await?;
    let made = app.store.confirm_removals(source, asked, &caller, app.clock.now_ms()).await?;
    Ok((StatusCode::CREATED, Json(made)))
}
