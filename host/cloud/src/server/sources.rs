//! Sources and what they hold.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use raito_core::record::ObjectRef;
use serde::Deserialize;
use serde_json::Value;

use super::App;
use super::answer::{Path, Refusal};
use super::paging::{Answer, CURSOR, LIMIT, cursor, listed, page_limit};
use super::route::{PAGING, Route, question, schema};
use crate::api::{Count, Listed};
use crate::store::{ControlRow, Cursor, FactsOf, Filter, GroupRow, ObjectRow, SourceRow, StatementRow, UserRow};

pub(super) fn routes() -> Vec<Route> {
    vec![
        question("/sources", "List the sources", &[], schema::<Listed<SourceRow>>, get(list)),
        question(
            "/sources/{source}/counts",
            "How many records a source holds",
            &[],
            schema::<Listed<Count>>,
            get(counts),
        ),
        question(
            "/sources/{source}/users",
            "List users by account name",
            PAGING,
            schema::<Listed<UserRow>>,
            get(users),
        ),
        question("/sources/{source}/groups", "List groups by name", PAGING, schema::<Listed<GroupRow>>, get(groups)),
        question(
            "/sources/{source}/objects",
            "List objects by path",
            PAGING,
            schema::<Listed<ObjectRow>>,
            get(objects),
        ),
        question(
            "/sources/{source}/access-controls",
            "List access controls by name",
            PAGING,
            schema::<Listed<ControlRow>>,
            get(access_controls),
        ),
        question(
            "/sources/{source}/members",
            "List the members of an access control",
            &[("control", "its external id"), CURSOR, LIMIT],
            schema::<Listed<Value>>,
            get(members),
        ),
        question(
            "/sources/{source}/facts",
            "List the facts of an access control, or about an object",
            &[
                ("control", "the external id of an access control"),
                ("object", "or an object as JSON: {\"kind\":…,\"path\":[…]}"),
                ("cursor", "where the page begins"),
                ("limit", "how many, at most 1,000"),
            ],
            schema::<Listed<Value>>,
            get(facts),
        ),
        question(
            "/sources/{source}/statements",
            "List statements, the newest first",
            &[CURSOR, LIMIT],
            schema::<Listed<StatementRow>>,
            get(statements),
        ),
    ]
}

/// The query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paging {
    cursor: Option<String>,
    limit: Option<u32>,
    prefix: Option<String>,
    kind: Option<String>,
    under: Option<String>,
    control: Option<String>,
    object: Option<String>,
}

type Asked = Result<Query<Paging>, QueryRejection>;

impl Paging {
    fn limit(&self) -> u32 {
        page_limit(self.limit)
    }

    fn cursor(&self) -> Result<Option<Cursor>, Refusal> {
        cursor(self.cursor.as_deref())
    }

    fn filter(&self) -> Filter {
        Filter { prefix: self.prefix.clone(), kind: self.kind.clone(), under: self.under.clone() }
    }
}

fn whole<T>(items: Vec<T>) -> Json<Listed<T>> {
    Json(Listed { items, next_cursor: None })
}

async fn list(State(app): State<App>) -> Answer<SourceRow> {
    Ok(whole(app.store.sources().await?))
}

async fn counts(State(app): State<App>, Path(source): Path<String>) -> Answer<Count> {
    let source = app.store.source_id(&source).await?;
    let counts = app.store.counts(source).await?;
    Ok(whole(counts.into_iter().map(|(what, count)| Count { what, count }).collect()))
}

async fn users(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<UserRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.users(source, &asked.filter(), asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn groups(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<GroupRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.groups(source, &asked.filter(), asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn objects(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<ObjectRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.objects(source, &asked.filter(), asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn access_controls(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<ControlRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.access_controls(source, &asked.filter(), asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn members(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<Value> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    let control = asked.control.as_deref().ok_or_else(|| Refusal::bad_request("control: say which access control"))?;
    Ok(listed(app.store.members(source, control, asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn facts(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<Value> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    let of = match (&asked.control, &asked.object) {
        (Some(control), None) => FactsOf::Control(control.clone()),
        (None, Some(object)) => {
            let object: ObjectRef =
                serde_json::from_str(object).map_err(|error| Refusal::bad_request(format!("object: {error}")))?;
            FactsOf::Object(object.key())
        }
        _ => return Err(Refusal::bad_request("say either control or object")),
    };
    Ok(listed(app.store.facts(source, &of, asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn statements(State(app): State<App>, Path(source): Path<String>, asked: Asked) -> Answer<StatementRow> {
    let Query(asked) = asked?;
    let source = app.store.source_id(&source).await?;
    Ok(listed(app.store.statements(source, asked.cursor()?.as_ref(), asked.limit()).await?))
}
