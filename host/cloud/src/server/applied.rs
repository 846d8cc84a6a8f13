//! Applied states: what access code of a repository applied to a target last. Each has a version, which stands in the entity
//! tag; whoever writes names the one that he has read (RFC 9110, section 13.1.1), so that of two applies at once only one writes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use raito_core::limits;
use raito_core::marker::Master;
use raito_core::text::TargetName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::App;
use super::answer::{Path, Refusal, version};
use super::paging::{Answer, CURSOR, LIMIT, Paging, listed};
use super::quotas::Work;
use super::route::{Body, Route, question, route, schema};
use crate::api::Listed;
use crate::api::scope::Scope;
use crate::store::{AppliedOf, AppliedRow};

pub(super) fn routes() -> Vec<Route> {
    const ONE: &str = "/applied-states/{target}";
    const REPOSITORY: &[(&str, &str)] = &[("repository", "what access code calls itself, such as corp/access; needed")];
    let state = Body::Json(schema::<Option<serde_json::Map<String, serde_json::Value>>>);
    vec![
        question(
            "/applied-states",
            "List what access code applied last, without what it holds",
            &[CURSOR, LIMIT],
            schema::<Listed<AppliedRow>>,
            get(list),
        ),
        Route {
            query: REPOSITORY,
            ..route(
                ("get", ONE),
                "What access code applied to a target last; null where nobody can tell. ETag has its version",
                Scope::State,
                Body::None,
                state,
                get(show),
            )
        },
        Route {
            query: REPOSITORY,
            work: Work::Large,
            ..route(
                ("put", ONE),
                "Keep what was applied, or null where nobody can tell; If-Match has the version that was read, 0 at first",
                Scope::State,
                state,
                Body::None,
                put(keep).layer(DefaultBodyLimit::max(limits::APPLIED_STATE_BYTES)),
            )
        },
    ]
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    repository: String,
}

/// Whose state it is, and of which target.
struct Of(Master, TargetName);

impl Of {
    fn new(target: String, whose: Result<Query<Whose>, QueryRejection>) -> Result<Self, Refusal> {
        let Query(Whose { repository }) = whose?;
        let repository = format!("git:{repository}")
            .parse()
            .map_err(|_| Refusal::bad_request("repository: it is no name of one, such as corp/access"))?;
        let target = TargetName::new(target).map_err(|error| Refusal::bad_request(format!("target: {error}")))?;
        Ok(Self(repository, target))
    }

    fn borrowed(&self) -> AppliedOf<'_> {
        AppliedOf { repository: &self.0, target: &self.1 }
    }
}

/// The field that says which version something has.
fn tag(version: u64) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

async fn list(State(app): State<App>, asked: Result<Query<Paging>, QueryRejection>) -> Answer<AppliedRow> {
    let Query(asked) = asked?;
    Ok(listed(app.store.applied_states(asked.cursor()?.as_ref(), asked.limit()).await?))
}

async fn show(
    State(app): State<App>,
    Path(target): Path<String>,
    whose: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let state = app.store.applied_state(Of::new(target, whose)?.borrowed()).await?;
    let tag = [tag(state.version)];
    Ok(match state.text {
        Some(text) => (tag, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        None => (tag, Json(())).into_response(),
    })
}

async fn keep(
    State(app): State<App>,
    Path(target): Path<String>,
    whose: Result<Query<Whose>, QueryRejection>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let body = body?;
    let of = Of::new(target, whose)?;
    let version = version(&headers)?;
    let text = state(&body)?;
    let version = app.store.keep_applied_state(of.borrowed(), version, text, app.clock.now_ms()).await?;
    Ok((StatusCode::NO_CONTENT, [tag(version)]).into_response())
}

/// The state of a body: an object, or none for null.
fn state(body: &[u8]) -> Result<Option<&str>, Refusal> {
    let wrong = || Refusal::bad_request("send an object of JSON, or null");
    let text = str::from_utf8(body).map_err(|_| wrong())?.trim_ascii();
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| wrong())?;
    match text {
        "null" => Ok(None),
        _ if text.starts_with('{') => Ok(Some(text)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_an_object_or_nothing() {
        assert_eq!(state(b" {\"v\": 1}\n").expect("an object"), Some("{\"v\": 1}"));
        assert_eq!(state(b"null").expect("nothing"), None);
        for wrong in [&b""[..], b"[]", b"1", b"{", b"{} {}", b"\"{}\"", b"{\"a\": \xff}"] {
            assert!(state(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
