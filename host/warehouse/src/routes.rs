//! The warehouse's API.
//!
//! Lists are paged by `after`, the id of the last item seen, and carry the next page in `Link` (RFC 8288) and their size
//! in `X-Total-Count`. Access lists have an entity tag and are replaced as a whole under `If-Match` (RFC 9110).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use crate::Options;
use crate::faults::Faults;
use crate::model::{DATASET_PERMISSIONS, MASK_KINDS, Mask, Model, Role, TABLE_PERMISSIONS};
use crate::wire::{
    AccessList, DatasetOut, Entry, GrantOut, GroupOut, MaskIn, MaskOut, PersonOut, RoleChange, RoleIn, RoleOut,
    StatementOut, TableOut,
};

pub(crate) struct Warehouse {
    model: Mutex<Model>,
    faults: Faults,
    token: String,
    instance: String,
}

impl Warehouse {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            model: Mutex::new(Model::new(&options.size, options.seed, options.now_ms)),
            faults: Faults::new(&options.faults, options.seed),
            token: options.token.clone(),
            instance: format!("demo-{:016x}", options.seed),
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Warehouse>>;

pub(crate) fn router(warehouse: Arc<Warehouse>) -> Router {
    let api = Router::new()
        .route("/v1/about", get(about))
        .route("/v1/people", get(people))
        .route("/v1/groups", get(groups))
        .route("/v1/datasets", get(datasets))
        .route("/v1/datasets/{dataset}/access", get(read_access).put(replace_access))
        .route("/v1/tables", get(tables))
        .route("/v1/roles", get(roles).post(create_role))
        .route("/v1/roles/{id}", get(role).patch(change_role).delete(delete_role))
        .route("/v1/roles/{id}/members/{member}", put(add_member).delete(remove_member))
        .route("/v1/roles/{id}/grants/{dataset}/{table}/{permission}", put(grant).delete(revoke))
        .route("/v1/grants", get(grants))
        .route("/v1/masks", get(masks))
        .route("/v1/masks/{dataset}/{table}/{column}", put(set_mask).delete(clear_mask))
        .route("/v1/usage", get(usage))
        .layer(middleware::from_fn_with_state(Arc::clone(&warehouse), guard));
    Router::new()
        .route("/", get(|| async { ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], include_str!("page.html")) }))
        .route(
            "/openapi.json",
            get(|| async { ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")) }),
        )
        .merge(api)
        .with_state(warehouse)
}

/// Lets a request through that carries the token, unless it is one too many.
async fn guard(State(warehouse): Shared, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if bearer.map(|(_, token)| token) != Some(warehouse.token.as_str()) {
        let mut refused = problem(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    if warehouse.faults.refuses() {
        let mut refused = problem(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        refused.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return refused;
    }
    next.run(request).await
}

fn problem(status: StatusCode, detail: &str) -> Response {
    (status, Json(serde_json::json!({ "error": detail }))).into_response()
}

#[derive(Deserialize)]
struct Paging {
    limit: Option<usize>,
    after: Option<String>,
    since: Option<u64>,
}

const PAGE: usize = 100;
const PAGE_MAX: usize = 500;

/// One page of items that are in the order of their ids.
fn list<T: Serialize>(
    warehouse: &Warehouse,
    name: &str,
    items: Vec<T>,
    id: impl Fn(&T) -> &str,
    paging: &Paging,
) -> Response {
    let total = items.len();
    let limit = paging.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let after = paging.after.as_deref().unwrap_or_default();
    let mut rest = items.into_iter().skip_while(|item| id(item) <= after).collect::<Vec<_>>();
    let more = rest.len() > limit;
    rest.truncate(limit);
    let link = rest.last().filter(|_| more).map(|last| {
        let since = paging.since.map(|since| format!("&since={since}")).unwrap_or_default();
        format!("</v1/{name}?limit={limit}&after={}{since}>; rel=\"next\"", encoded(id(last)))
    });
    if name == "tables" && warehouse.faults.shrinks() && !after.is_empty() {
        rest.pop();
    }
    let body = serde_json::to_vec(&serde_json::json!({ "items": rest })).expect("items can be written as JSON");
    let mut response = if warehouse.faults.truncates() { broken_off(body) } else { Response::new(Body::from(body)) };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-total-count"), HeaderValue::from(total));
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        headers.insert(header::LINK, link);
    }
    response
}

/// An answer that ends in its middle, with the connection.
fn broken_off(body: Vec<u8>) -> Response {
    let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
    let end = futures_util::stream::once(async {
        // The half is on its way before the connection goes.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("broken off on purpose"))
    });
    Response::new(Body::from_stream(futures_util::stream::iter([Ok(half)]).chain(end)))
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

async fn about(State(warehouse): Shared) -> Response {
    let model = warehouse.model();
    let newest = model.usage.values().map(|statement| statement.ended_ms).max();
    let oldest = model.usage.values().map(|statement| statement.started_ms).min();
    Json(serde_json::json!({
        "name": "Demo warehouse",
        "instance": warehouse.instance,
        "usage_from_ms": oldest,
        "usage_to_ms": newest,
    }))
    .into_response()
}

async fn people(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items: Vec<_> = model.people.iter().map(|(id, person)| PersonOut::new(id, person)).collect();
    if warehouse.faults.duplicates()
        && paging.after.is_some()
        && let (Some((id, _)), Some((_, other))) = (model.people.iter().next(), model.people.iter().last())
    {
        // The first person's id once more, with what the last one is like.
        return Json(serde_json::json!({ "items": [PersonOut::new(id, other)] })).into_response();
    }
    list(&warehouse, "people", items, |item| item.id, &paging)
}

async fn groups(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items = model.groups.iter().map(|(id, group)| GroupOut::new(id, group)).collect();
    list(&warehouse, "groups", items, |item| item.id, &paging)
}

async fn datasets(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items = model.datasets.iter().map(|(id, dataset)| DatasetOut::new(id, dataset)).collect();
    list(&warehouse, "datasets", items, |item| item.id, &paging)
}

async fn tables(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items = model.tables.iter().map(|(id, table)| TableOut::new(id, table, &model)).collect();
    list(&warehouse, "tables", items, |item| item.id, &paging)
}

async fn roles(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items = model.roles.iter().map(|(id, role)| RoleOut::new(id, role)).collect();
    list(&warehouse, "roles", items, |item| item.id, &paging)
}

async fn grants(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    list(&warehouse, "grants", GrantOut::all(&model), GrantOut::id, &paging)
}

async fn masks(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let items = model.masks.iter().map(|(column, mask)| MaskOut::new(column, mask, &model)).collect();
    list(&warehouse, "masks", items, |item| item.column, &paging)
}

async fn usage(State(warehouse): Shared, Query(paging): Query<Paging>) -> Response {
    let model = warehouse.model();
    let since = paging.since.unwrap_or(0);
    let recent = model.usage.values().filter(|statement| statement.started_ms >= since);
    let items = recent.map(|statement| StatementOut::new(statement, &model)).collect();
    list(&warehouse, "usage", items, |item| item.id, &paging)
}

fn tag(version: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes are a header value")
}

async fn read_access(State(warehouse): Shared, Path(name): Path<String>) -> Response {
    let model = warehouse.model();
    let Some(dataset) = model.datasets.values().find(|dataset| dataset.name == name) else {
        return problem(StatusCode::NOT_FOUND, "no such dataset");
    };
    let entry = |(principal, permission): &(String, &'static str)| Entry {
        principal: principal.clone(),
        permission: (*permission).to_owned(),
    };
    let list = AccessList { entries: dataset.access.iter().map(entry).collect() };
    ([(header::ETAG, tag(dataset.version))], Json(list)).into_response()
}

async fn replace_access(
    State(warehouse): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(list): Json<AccessList>,
) -> Response {
    let mut model = warehouse.model();
    let mut access = std::collections::BTreeSet::new();
    for entry in list.entries {
        let permission = DATASET_PERMISSIONS.into_iter().find(|known| *known == entry.permission);
        let Some(permission) = permission else { return problem(StatusCode::BAD_REQUEST, "no such permission") };
        if !is_principal(&model, &entry.principal) {
            return problem(StatusCode::BAD_REQUEST, "no such principal");
        }
        access.insert((entry.principal, permission));
    }
    let Some(dataset) = model.datasets.values_mut().find(|dataset| dataset.name == name) else {
        return problem(StatusCode::NOT_FOUND, "no such dataset");
    };
    match headers.get(header::IF_MATCH) {
        None => return problem(StatusCode::PRECONDITION_REQUIRED, "send If-Match"),
        Some(given) if given != "*" && *given != tag(dataset.version) => {
            return problem(StatusCode::PRECONDITION_FAILED, "the list has changed");
        }
        Some(_) => {}
    }
    dataset.access = access;
    dataset.version += 1;
    ([(header::ETAG, tag(dataset.version))], StatusCode::NO_CONTENT).into_response()
}

fn is_principal(model: &Model, id: &str) -> bool {
    id == "everyone" || model.people.contains_key(id) || model.groups.contains_key(id) || model.roles.contains_key(id)
}

async fn create_role(State(warehouse): Shared, Json(given): Json<RoleIn>) -> Response {
    let mut model = warehouse.model();
    if let Err(refused) = check_role_name(&model, &given.name, None) {
        return *refused;
    }
    let id = format!("r{:03}", model.next_role);
    model.next_role += 1;
    let role = Role { name: given.name, comment: given.comment, members: [].into(), grants: [].into() };
    model.roles.insert(id.clone(), role);
    (StatusCode::CREATED, Json(serde_json::json!({ "id": id }))).into_response()
}

/// Refuses a name that is no name, or that another role has.
fn check_role_name(model: &Model, name: &str, own: Option<&str>) -> Result<(), Box<Response>> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(Box::new(problem(StatusCode::BAD_REQUEST, "a name has 1 to 63 of a-z 0-9 _ - .")));
    }
    if model.roles.iter().any(|(id, role)| role.name == name && Some(id.as_str()) != own) {
        return Err(Box::new(problem(StatusCode::CONFLICT, "the name is taken")));
    }
    Ok(())
}

async fn role(State(warehouse): Shared, Path(id): Path<String>) -> Response {
    match warehouse.model().roles.get(&id) {
        Some(role) => Json(RoleOut::new(&id, role)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such role"),
    }
}

async fn change_role(State(warehouse): Shared, Path(id): Path<String>, Json(given): Json<RoleChange>) -> Response {
    let mut model = warehouse.model();
    if let Some(name) = &given.name
        && let Err(refused) = check_role_name(&model, name, Some(&id))
    {
        return *refused;
    }
    let Some(role) = model.roles.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such role") };
    if let Some(name) = given.name {
        role.name = name;
    }
    if let Some(comment) = given.comment {
        role.comment = comment;
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn delete_role(State(warehouse): Shared, Path(id): Path<String>) -> Response {
    let mut model = warehouse.model();
    if model.roles.remove(&id).is_none() {
        return problem(StatusCode::NOT_FOUND, "no such role");
    }
    model.forget(&id);
    StatusCode::NO_CONTENT.into_response()
}

async fn add_member(State(warehouse): Shared, Path((id, member)): Path<(String, String)>) -> Response {
    let mut model = warehouse.model();
    if member == "everyone" || !is_principal(&model, &member) {
        return problem(StatusCode::BAD_REQUEST, "no such principal");
    }
    let Some(role) = model.roles.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such role") };
    role.members.insert(member);
    StatusCode::NO_CONTENT.into_response()
}

async fn remove_member(State(warehouse): Shared, Path((id, member)): Path<(String, String)>) -> Response {
    let mut model = warehouse.model();
    let Some(role) = model.roles.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such role") };
    if role.members.remove(&member) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "no such member")
    }
}

type GrantPath = Path<(String, String, String, String)>;

async fn grant(State(warehouse): Shared, Path((id, dataset, table, permission)): GrantPath) -> Response {
    let mut model = warehouse.model();
    let permission = TABLE_PERMISSIONS.into_iter().find(|name| *name == permission);
    let (Some(table), Some(permission)) = (model.table_id(&dataset, &table), permission) else {
        return problem(StatusCode::BAD_REQUEST, "no such table or permission");
    };
    let Some(role) = model.roles.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such role") };
    role.grants.entry((table, permission)).or_insert(false);
    StatusCode::NO_CONTENT.into_response()
}

async fn revoke(State(warehouse): Shared, Path((id, dataset, table, permission)): GrantPath) -> Response {
    let mut model = warehouse.model();
    let Some(table) = model.table_id(&dataset, &table) else { return problem(StatusCode::NOT_FOUND, "no such table") };
    let Some(role) = model.roles.get_mut(&id) else { return problem(StatusCode::NOT_FOUND, "no such role") };
    let before = role.grants.len();
    role.grants.retain(|(held, name), _| *held != table || *name != permission);
    if role.grants.len() < before {
        StatusCode::NO_CONTENT.into_response()
    } else {
        problem(StatusCode::NOT_FOUND, "no such grant")
    }
}

type ColumnPath = Path<(String, String, String)>;

async fn set_mask(
    State(warehouse): Shared,
    Path((dataset, table, column)): ColumnPath,
    Json(given): Json<MaskIn>,
) -> Response {
    let mut model = warehouse.model();
    let kind = MASK_KINDS.into_iter().find(|kind| *kind == given.kind);
    let (Some(column), Some(kind)) = (model.column_id(&dataset, &table, &column), kind) else {
        return problem(StatusCode::BAD_REQUEST, "no such column or kind");
    };
    if !given.clear_for.iter().all(|entry| is_principal(&model, &entry.member)) {
        return problem(StatusCode::BAD_REQUEST, "no such principal");
    }
    if given.clear_for.iter().any(|entry| model.groups.contains_key(&entry.member)) {
        return problem(StatusCode::BAD_REQUEST, "a mask can be lifted for people and roles, not for groups");
    }
    let clear_for = given.clear_for.into_iter().map(|entry| entry.member).collect();
    model.masks.insert(column, Mask { kind, clear_for });
    StatusCode::NO_CONTENT.into_response()
}

async fn clear_mask(State(warehouse): Shared, Path((dataset, table, column)): ColumnPath) -> Response {
    let mut model = warehouse.model();
    let removed = model.column_id(&dataset, &table, &column).and_then(|column| model.masks.remove(&column));
    match removed {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such mask"),
    }
}
