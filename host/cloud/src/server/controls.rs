//! Internal access controls: what the cloud is master of.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post, put};
use raito_core::marker::marker;
use raito_core::record::{AccessControl, Description, MemberKind};
use raito_core::text::ExternalId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{Path, Refusal, version};
use super::draft::{Draft, checked, described};
use super::paging::{Answer, CURSOR, LIMIT, Paging, listed};
use super::route::{Body, Route, question, route, schema};
use crate::api::Listed;
use crate::api::scope::Scope;
use crate::store::{ControlChange, DriftRow, InternalControl};

pub(super) fn routes() -> Vec<Route> {
    let draft = Body::Json(schema::<Draft>);
    let one = Body::Json(schema::<InternalControl>);
    const ALL: &str = "/sources/{source}/internal-access-controls";
    const ONE: &str = "/sources/{source}/internal-access-controls/{id}";
    vec![
        question(ALL, "List internal access controls", &[CURSOR, LIMIT], schema::<Listed<InternalControl>>, get(list)),
        route(("post", ALL), "Create an internal access control", Scope::Write, draft, one, post(create)),
        route(("get", ONE), "Show an internal access control", Scope::Read, Body::None, one, get(show)),
        route(
            ("put", ONE),
            "Change one; If-Match has the version that was read",
            Scope::Write,
            draft,
            one,
            put(change),
        ),
        route(
            ("delete", ONE),
            "Delete one; If-Match has the version that was read",
            Scope::Write,
            Body::None,
            one,
            delete(remove),
        ),
        route(
            ("post", "/sources/{source}/internal-access-controls/{id}/hand-back"),
            "Make one external again, as it is; If-Match has the version that was read",
            Scope::Write,
            Body::None,
            one,
            post(hand_back),
        ),
        Route {
            query: &[("confirm", "true to do it; without it, the answer only says what it means")],
            ..route(
                ("post", "/sources/{source}/access-controls/{id}/take-over"),
                "Make an external access control internal, as it is",
                Scope::Write,
                Body::None,
                Body::Json(schema::<TakenOver>),
                post(take_over),
            )
        },
        question(
            "/sources/{source}/access-controls/{id}",
            "Show an access control with its members and facts",
            &[],
            schema::<AccessControl>,
            get(external),
        ),
        question(
            "/sources/{source}/drift",
            "List what was changed by hand, as the last run found it; a page has all of each access control on it",
            &[CURSOR, LIMIT],
            schema::<Listed<DriftRow>>,
            get(drift),
        ),
    ]
}

/// What taking over means, or that it was done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
struct TakenOver {
    /// The access control, as it is managed from now on.
    control: AccessControl,
    /// What the next run changes at the target.
    changes: Vec<String>,
    /// Its id among the internal ones, where it was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

type Asked = Result<Query<Paging>, QueryRejection>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    #[serde(default)]
    confirm: bool,
}

async fn external(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
) -> Result<Json<AccessControl>, Refusal> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(app.store.external_control(source, &id).await?))
}

async fn drift(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<DriftRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.drift(source, asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn take_over(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
    confirmation: Result<Query<Confirmation>, QueryRejection>,
) -> Result<Json<TakenOver>, Refusal> {
    let Query(Confirmation { confirm }) = confirmation?;
    let number = app.store.source_id(&source).await?;
    let control = app.store.external_control(number, &id).await?;
    let name = &control.name;
    if !control.internalizable {
        return Err(Refusal::invalid(format!("{name} cannot be managed from outside")));
    }
    if control.incomplete {
        return Err(Refusal::invalid(format!("{name} could not be told whole, so something of it would be lost")));
    }
    if let Some(marker) = marker(&control.description) {
        if marker.master == app.store.master().await? {
            return Err(Refusal::invalid(format!("{name} is managed here already, as {}", marker.entry)));
        }
        return Err(Refusal::invalid(format!("{name} belongs to {}, which has to hand it over first", marker.master)));
    }
    let changes = taking_over(&control, &described(&app, &source).await?);
    let taken = confirm.then(|| uuid::Uuid::now_v7().to_string());
    if let Some(id) = &taken {
        app.store.take_over(number, id, &control, app.clock.now_ms()).await?;
    }
    Ok(Json(TakenOver { control, changes, id: taken }))
}

/// What the next run changes at the target because somebody takes an access control over as it is.
fn taking_over(control: &AccessControl, description: &Description) -> Vec<String> {
    let name = &control.name;
    let kind = description.control_kind(&control.kind);
    let mut changes = Vec::new();
    // Lines on a list have no description of their own: who is master of them is known here only.
    if kind.is_none_or(|kind| !kind.identity.is_list()) {
        changes.push(format!("the description of {name} gets a marker that says who is master of it"));
    }
    let takes_users = kind.is_some_and(|kind| !kind.admits.contains(&MemberKind::Group));
    let groups = control.who.iter().filter(|member| takes_users && member.kind == MemberKind::Group);
    changes.extend(groups.map(|group| format!("{name} gets the users of group {} in its place", group.id)));
    changes
}

async fn hand_back(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<InternalControl>, Refusal> {
    changed(&app, &path, &headers, &ControlChange::HandBack).await
}

async fn list(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<InternalControl> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.internal_controls_page(source, asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn show(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
) -> Result<Json<InternalControl>, Refusal> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(app.store.internal_control(source, &id).await?))
}

async fn create(
    State(app): State<App>,
    Path(source): Path<String>,
    draft: Result<Json<Draft>, JsonRejection>,
) -> Result<(StatusCode, Json<InternalControl>), Refusal> {
    let Json(draft) = draft?;
    let number = app.store.source_id(&source).await?;
    let id = ExternalId::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is an id");
    let control = checked(&app, (number, &source), draft, id.clone(), None).await?;
    app.store.add_internal_control(number, &control, app.clock.now_ms()).await?;
    Ok((StatusCode::CREATED, Json(app.store.internal_control(number, id.as_str()).await?)))
}

async fn change(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
    draft: Result<Json<Draft>, JsonRejection>,
) -> Result<Json<InternalControl>, Refusal> {
    let Json(draft) = draft?;
    let (source, id) = &path;
    let number = app.store.source_id(source).await?;
    let known = app.store.internal_control(number, id).await?.control;
    let control = checked(&app, (number, source), draft, known.external_id.clone(), Some(&known)).await?;
    changed(&app, &path, &headers, &ControlChange::Record(Box::new(control))).await
}

async fn remove(
    State(app): State<App>,
    Path(path): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<InternalControl>, Refusal> {
    changed(&app, &path, &headers, &ControlChange::Delete).await
}

/// Changes one whose version the caller has read.
async fn changed(
    app: &App,
    (source, id): &(String, String),
    headers: &HeaderMap,
    change: &ControlChange,
) -> Result<Json<InternalControl>, Refusal> {
    let source = app.store.source_id(source).await?;
    let version = version(headers)?;
    Ok(Json(app.store.change_internal_control(source, id, version, change, app.clock.now_ms()).await?))
}
