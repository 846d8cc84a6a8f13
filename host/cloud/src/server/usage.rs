//! Use: who did what, and when a permission was last used.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use raito_core::record::ObjectRef;
use raito_core::text::ExternalId;
use serde::Deserialize;

use super::App;
use super::answer::{Path, Refusal};
use super::paging::{CURSOR, LIMIT, cursor, page_limit};
use super::route::{Route, question, schema};
use crate::api::effective::AccessPage;
use crate::api::usage::UsagePage;
use crate::store::UsageFilter;

pub(super) fn routes() -> Vec<Route> {
    vec![question(
        "/sources/{source}/usage",
        "Who used what, by person, role, object and action, the last first",
        &[
            ("user", "the external id of a user"),
            ("object", "an object as JSON: {\"kind\":…,\"path\":[…]}"),
            CURSOR,
            LIMIT,
        ],
        schema::<UsagePage>,
        get(usage),
    )]
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    user: Option<String>,
    object: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn usage(
    State(app): State<App>,
    Path(source): Path<String>,
    asked: Result<Query<Question>, QueryRejection>,
) -> Result<Json<UsagePage>, Refusal> {
    let Query(question) = asked?;
    let source = app.store.source_id(&source).await?;
    let user = question.user.map(ExternalId::new).transpose();
    let object = question.object.as_deref().map(serde_json::from_str::<ObjectRef>).transpose();
    let filter = UsageFilter {
        user: user.map_err(|error| Refusal::bad_request(format!("user: {error}")))?,
        object: object.map_err(|error| Refusal::bad_request(format!("object: {error}")))?,
    };
    let after = cursor(question.cursor.as_deref())?;
    let page = app.store.usage(source, &filter, after.as_ref(), page_limit(question.limit)).await?;
    let coverage = app.store.usage_coverage(source).await?;
    Ok(Json(UsagePage { items: page.items, next_cursor: page.next.map(|cursor| cursor.text()), coverage }))
}

/// Adds to answers about now when each permission was last used.
pub(super) async fn add_last_uses(app: &App, source: &str, page: &mut AccessPage) -> Result<(), Refusal> {
    let source = app.store.source_id(source).await?;
    page.usage = Some(app.store.usage_coverage(source).await?);
    let filter = match (&page.object, page.items.first()) {
        (Some(object), _) => UsageFilter { object: Some(object.clone()), user: None },
        (None, Some(first)) => {
            UsageFilter { user: ExternalId::new(first.user.external_id.as_str()).ok(), object: None }
        }
        (None, None) => return Ok(()),
    };
    let uses = app.store.last_uses(source, &filter, app.clock.now_ms()).await?;
    for item in &mut page.items {
        let done = (item.object.key().0.to_vec(), item.permission.to_lowercase());
        item.last_use = uses.get(&(item.user.external_id.clone(), done)).copied();
    }
    Ok(())
}
