//! Internal access controls: what the cloud is master of.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{delete, get, post, put};
use raito_core::marker::marker;
use raito_core::record::{AccessControl, Action, Description, Lock, Member, Policy, Standing, What};
use raito_core::text::{ExternalId, Kind, Name, Remark};
use raito_core::unite::conforms;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::Refusal;
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
        route(
            ("get", ALL),
            "List internal access controls",
            Scope::Read,
            Body::None,
            Body::Json(schema::<Listed<InternalControl>>),
            get(list),
        ),
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
            "List what was changed by hand, as the last run found it",
            &[],
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

async fn drift(State(app): State<App>, Path(source): Path<String>) -> Result<Json<Listed<DriftRow>>, Refusal> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(Listed { items: app.store.drift(source).await?, next_cursor: None }))
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
        return Err(Refusal::invalid(format!("{name} belongs to {}, which has to hand it over first", marker.master)));
    }
    let changes = vec![format!("the description of {name} gets a marker that says who is master of it")];
    let taken = confirm.then(|| uuid::Uuid::now_v7().to_string());
    if let Some(id) = &taken {
        app.store.take_over(number, id, &control, app.clock.now_ms()).await?;
    }
    Ok(Json(TakenOver { control, changes, id: taken }))
}

async fn hand_back(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<InternalControl>, Refusal> {
    let source = app.store.source_id(&source).await?;
    let version = version(&headers)?;
    let change = ControlChange::HandBack;
    Ok(Json(app.store.change_internal_control(source, &id, version, &change, app.clock.now_ms()).await?))
}

/// What an internal access control is to be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Draft {
    /// The name for people.
    name: Name,
    /// The technical name to create it with; made from the name where it is absent.
    #[serde(default)]
    actual_name: Option<Name>,
    /// The control kind.
    kind: Kind,
    /// What it is for.
    #[serde(default = "no_remark")]
    description: Remark,
    /// What it does.
    #[serde(default = "grant")]
    action: Action,
    /// Its members.
    #[serde(default)]
    who: Vec<Member>,
    /// Its facts.
    #[serde(default)]
    what: Vec<What>,
    /// Its standing grants.
    #[serde(default)]
    standing: Vec<Standing>,
    /// What a mask or a filter does.
    #[serde(default)]
    policy: Option<Policy>,
    /// What must not be changed at the target.
    #[serde(default)]
    locks: Vec<Lock>,
}

fn grant() -> Action {
    Action::Grant
}

fn no_remark() -> Remark {
    Remark::new("").expect("a remark may be empty")
}

impl Draft {
    /// The record under this id.
    fn record(self, id: ExternalId) -> AccessControl {
        AccessControl {
            external_id: id,
            actual_name: self.actual_name.unwrap_or_else(|| self.name.clone()),
            name: self.name,
            kind: self.kind,
            description: self.description,
            action: self.action,
            version: None,
            who: self.who,
            what: self.what,
            standing: self.standing,
            policy: self.policy,
            locks: self.locks,
            internalizable: true,
            incomplete: false,
            tags: Vec::new(),
        }
    }
}

/// The record, where it fits what the source has said of itself.
async fn checked(app: &App, source: &str, draft: Draft, id: ExternalId) -> Result<AccessControl, Refusal> {
    let control = draft.record(id);
    let known = app.store.sources().await?.into_iter().find(|row| row.name == source);
    let description = known.and_then(|row| row.description);
    let description =
        description.ok_or_else(|| Refusal::invalid("the source has not described itself yet: run it once"))?;
    let description: Description = serde_json::from_value(description)
        .map_err(|error| Refusal::invalid(format!("the source's description: {error}")))?;
    conforms(&control, &description).map_err(|bad| Refusal::invalid(bad.to_string()))?;
    let kind = description.control_kind(&control.kind).filter(|kind| kind.can_create);
    let kind =
        kind.ok_or_else(|| Refusal::invalid(format!("access controls of kind {} cannot be created", control.kind)))?;
    if let Some(member) = control.who.iter().find(|member| !kind.admits.contains(&member.kind)) {
        let words: Vec<&str> = kind.admits.iter().map(|kind| kind.word()).collect();
        let (given, admits) = (member.kind.word(), words.join(", "));
        return Err(Refusal::invalid(format!("a {} admits {admits}, and {} is a {given}", control.kind, member.id)));
    }
    Ok(control)
}

async fn list(State(app): State<App>, Path(source): Path<String>) -> Result<Json<Listed<InternalControl>>, Refusal> {
    let source = app.store.source_id(&source).await?;
    Ok(Json(Listed { items: app.store.internal_controls(source).await?, next_cursor: None }))
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
    let control = checked(&app, &source, draft, id.clone()).await?;
    app.store.add_internal_control(number, &control, app.clock.now_ms()).await?;
    Ok((StatusCode::CREATED, Json(app.store.internal_control(number, id.as_str()).await?)))
}

/// The version that the caller has read, as the entity tag `"3"`.
fn version(headers: &HeaderMap) -> Result<u64, Refusal> {
    let given = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let number = given.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    number.ok_or_else(|| Refusal::bad_request("send If-Match with the version that was read, such as \"1\""))
}

async fn change(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
    headers: HeaderMap,
    draft: Result<Json<Draft>, JsonRejection>,
) -> Result<Json<InternalControl>, Refusal> {
    let Json(draft) = draft?;
    let number = app.store.source_id(&source).await?;
    let known = ExternalId::new(id.as_str()).map_err(|error| Refusal::bad_request(format!("id: {error}")))?;
    let control = checked(&app, &source, draft, known).await?;
    let change = ControlChange::Record(Box::new(control));
    Ok(Json(app.store.change_internal_control(number, &id, version(&headers)?, &change, app.clock.now_ms()).await?))
}

async fn remove(
    State(app): State<App>,
    Path((source, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<InternalControl>, Refusal> {
    let source = app.store.source_id(&source).await?;
    let version = version(&headers)?;
    Ok(Json(app.store.change_internal_control(source, &id, version, &ControlChange::Delete, app.clock.now_ms()).await?))
}
