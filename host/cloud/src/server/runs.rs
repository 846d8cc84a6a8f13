//! Runs: what the host does while it synchronises a source.

use std::sync::Arc;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Extension, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use raito_core::exchange::{
    DesiredState, Feedback, RunClosed, RunClosing, RunOpened, RunOpening, UploadId, UploadRules,
};
use raito_core::limits;
use raito_core::step::Step;
use raito_core::text::RunId;
use raito_core::threshold::Thresholds;
use raito_core::upload::{Line, Receipt};
use serde::Deserialize;

use super::App;
use super::answer::{Path, Refusal};
use super::paging::{Answer, CURSOR, LIMIT, cursor, listed, page_limit};
use super::patience::{Patience, is_too_slow};
use super::quotas::{Permit, Work};
use super::route::{Body, Route, route, schema};
use crate::api::Listed;
use crate::api::scope::Scope;
use crate::store::{Caller, Ingest, IngestError, RunRow, Store, StoreError};

pub(super) fn routes() -> Vec<Route> {
    [of_runs(), of_steps()].into_iter().flatten().collect()
}

fn of_runs() -> Vec<Route> {
    let (opening, opened) = (Body::Json(schema::<RunOpening>), Body::Json(schema::<RunOpened>));
    let (one, many) = (Body::Json(schema::<RunRow>), Body::Json(schema::<Listed<RunRow>>));
    let (closing, closed) = (Body::Json(schema::<RunClosing>), Body::Json(schema::<RunClosed>));
    vec![
        route(("post", "/runs"), "Begin a run of one source", Scope::Sync, opening, opened, post(open)),
        Route {
            query: &[("source", "only runs of this source"), CURSOR, LIMIT],
            ..route(("get", "/runs"), "List runs, the newest first", Scope::Read, Body::None, many, get(list))
        },
        route(("get", "/runs/{run}"), "Show a run with its steps", Scope::Read, Body::None, one, get(show)),
        route(("post", "/runs/{run}/close"), "End a run", Scope::Sync, closing, closed, post(close)),
    ]
}

fn of_steps() -> Vec<Route> {
    let (lines, receipt) = (Body::Lines(schema::<Line>), Body::Json(schema::<Receipt>));
    let (wanted, became) = (Body::Json(schema::<DesiredState>), Body::Json(schema::<Vec<Feedback>>));
    let upload_at = ("put", "/runs/{run}/uploads/{step}");
    let desired_at = ("get", "/sources/{source}/desired");
    let feedback_at = ("post", "/runs/{run}/feedback");
    vec![
        Route {
            query: &[
                ("remove-percent", "the share above which removing stops, where that is less than the source's"),
                ("remove-count", "how many may always be removed, where that is less than the source's"),
                (
                    "allow-removals",
                    "the exact number of records that may be removed all the same; for a token of the API, the source's \
                     thresholds are lifted by a confirmation alone",
                ),
            ],
            work: Work::Upload,
            ..route(upload_at, "Take in what a step read", Scope::Sync, lines, receipt, put(upload))
        },
        route(desired_at, "What the source is to have", Scope::Sync, Body::None, wanted, get(desired)),
        Route {
            work: Work::Large,
            ..route(
                feedback_at,
                "Say what became of it",
                Scope::Sync,
                became,
                Body::None,
                post(feedback).layer(DefaultBodyLimit::max(limits::CLOUD_FEEDBACK_BYTES)),
            )
        },
    ]
}

fn run_id(text: String) -> Result<RunId, Refusal> {
    RunId::new(text).map_err(|error| Refusal::bad_request(format!("run: {error}")))
}

async fn open(
    State(app): State<App>,
    opening: Result<Json<RunOpening>, JsonRejection>,
) -> Result<Json<RunOpened>, Refusal> {
    let Json(opening) = opening?;
    Ok(Json(app.store.open_run(&opening, app.clock.now_ms()).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFilter {
    source: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

async fn list(State(app): State<App>, filter: Result<Query<RunFilter>, QueryRejection>) -> Answer<RunRow> {
    let Query(filter) = filter?;
    let after = cursor(filter.cursor.as_deref())?;
    Ok(listed(app.store.runs(filter.source.as_deref(), after.as_ref(), page_limit(filter.limit)).await?))
}

async fn show(State(app): State<App>, Path(run): Path<String>) -> Result<Json<RunRow>, Refusal> {
    Ok(Json(app.store.run(run_id(run)?.as_str()).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Rules {
    remove_percent: Option<u8>,
    remove_count: Option<u64>,
    allow_removals: Option<u64>,
}

impl Rules {
    /// The rules of whoever uploads, beside those of the cloud. A token that says nothing leaves it
    /// at the cloud's.
    fn rules(&self, caller: &Caller) -> UploadRules {
        let usual = match caller {
            Caller::Host => Thresholds::default(),
            Caller::Token { .. } => Thresholds { remove_percent: 100, remove_count: u64::MAX },
        };
        let thresholds = Thresholds {
            remove_percent: self.remove_percent.unwrap_or(usual.remove_percent),
            remove_count: self.remove_count.unwrap_or(usual.remove_count),
        };
        UploadRules { thresholds, allow_removals: self.allow_removals }
    }
}

async fn upload(
    State(app): State<App>,
    Path((run, step)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
    rules: Result<Query<Rules>, QueryRejection>,
    Extension(permit): Extension<Arc<Permit>>,
    Extension(patience): Extension<Patience>,
    body: HttpBody,
) -> Result<Json<Receipt>, Refusal> {
    let Query(rules) = rules?;
    patience.for_an_upload();
    let step = Step::parse(&step).ok_or_else(|| Refusal::bad_request("there is no such step"))?;
    let upload = UploadId { run: run_id(run)?, step };
    let mut ingest = app.store.begin_upload(upload, rules.rules(&caller), caller).await?;
    let quota = Quota { permit, store: &app.store };
    take_lines(body, &mut ingest, &quota).await?;
    quota.check_room()?;
    Ok(Json(ingest.commit(app.clock.now_ms()).await?))
}

/// What an upload may still have.
struct Quota<'s> {
    permit: Arc<Permit>,
    store: &'s Store,
}

impl Quota<'_> {
    /// Says so where the disk has no room to take in what is staged: rows, indexes and the log of the
    /// store are about three times as long.
    fn check_room(&self) -> Result<(), Refusal> {
        Ok(self.store.check_room(self.permit.staged().saturating_mul(3))?)
    }

    /// Counts bytes that came, and says so where the upload may have no more or the disk has no
    /// room.
    fn take(&self, bytes: usize) -> Result<(), Refusal> {
        let (before, bytes) = (self.permit.staged(), bytes as u64);
        self.permit.stage(bytes)?;
        if before / limits::UPLOAD_QUOTA_BYTES != (before + bytes) / limits::UPLOAD_QUOTA_BYTES {
            self.check_room()?;
        }
        Ok(())
    }
}

/// Cuts a body into lines and takes each in.
async fn take_lines(body: HttpBody, ingest: &mut Ingest, quota: &Quota<'_>) -> Result<(), Refusal> {
    let mut chunks = body.into_data_stream();
    let mut rest = BytesMut::new();
    // Bytes of the rest that have no line break, which later chunks must not make anybody look at again.
    let mut searched = 0;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| match is_too_slow(&error) {
            true => Refusal::of_body(&error),
            false => IngestError::Incomplete(format!("it breaks off: {error}")).into(),
        })?;
        quota.take(chunk.len())?;
        rest.extend_from_slice(&chunk);
        while let Some(at) = rest[searched..].iter().position(|byte| *byte == b'\n') {
            let line = rest.split_to(searched + at + 1);
            ingest.line(&line).await?;
            searched = 0;
        }
        searched = rest.len();
        if searched > limits::UPLOAD_LINE_BYTES {
            let reason = format!("a line has more than {} bytes", limits::UPLOAD_LINE_BYTES);
            return Err(IngestError::Incomplete(reason).into());
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(IngestError::Incomplete("its last line has no line break".into()).into()) }
}

/// A source that is not known yet is to have nothing.
async fn desired(State(app): State<App>, Path(source): Path<String>) -> Result<Json<DesiredState>, Refusal> {
    match app.store.source_id(&source).await {
        Ok(source) => Ok(Json(app.store.desired(source).await?)),
        Err(StoreError::NotFound(_)) => {
            Ok(Json(DesiredState { master: app.store.master().await?, ..DesiredState::default() }))
        }
        Err(error) => Err(error.into()),
    }
}

async fn feedback(
    State(app): State<App>,
    Path(run): Path<String>,
    feedback: Result<Json<Vec<Feedback>>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Json(feedback) = feedback?;
    let source = app.store.source_of_run(&run_id(run)?).await?;
    app.store.take_feedback(source, &feedback).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn close(
    State(app): State<App>,
    Path(run): Path<String>,
    closing: Result<Json<RunClosing>, JsonRejection>,
) -> Result<Json<RunClosed>, Refusal> {
    let Json(closing) = closing?;
    Ok(Json(app.store.close_run(&run_id(run)?, &closing, app.clock.now_ms()).await?))
}
