//! Answers: JSON, and problems in the form of RFC 9457.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::problem::{self, Problem};
use crate::store::{IngestError, StoreError};

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) struct Refusal(Box<Problem>);

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("refused").to_owned();
        Self(Box::new(Problem {
            kind: kind.to_owned(),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            over_threshold: None,
        }))
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, problem::BAD_REQUEST, detail)
    }

    pub(super) fn missing(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, problem::NOT_FOUND, detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, problem::INTERNAL, detail)
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, problem::INVALID, detail)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => {
                Self::new(StatusCode::NOT_FOUND, problem::NOT_FOUND, format!("there is no such {what}"))
            }
            StoreError::Cursor => Self::bad_request(StoreError::Cursor.to_string()),
            StoreError::Full(reason) => Self::invalid(reason),
            StoreError::Conflict(reason) => Self::new(StatusCode::CONFLICT, problem::CONFLICT, reason),
            error => {
                tracing::error!("{error}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, problem::INTERNAL, "the store failed; its log says how")
            }
        }
    }
}

impl From<IngestError> for Refusal {
    fn from(error: IngestError) -> Self {
        let detail = error.to_string();
        match error {
            IngestError::Store(error) => error.into(),
            IngestError::Line { .. } | IngestError::Incomplete(_) => Self::invalid(detail),
            IngestError::OtherInstance(_) => Self::new(StatusCode::CONFLICT, problem::OTHER_INSTANCE, detail),
            IngestError::OverThreshold(over) => {
                let mut refusal = Self::new(StatusCode::CONFLICT, problem::OVER_THRESHOLD, detail);
                refusal.0.over_threshold = Some(over);
                refusal
            }
        }
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

/// The version that the caller has read, as the entity tag `"3"`.
pub(super) fn version(headers: &HeaderMap) -> Result<u64, Refusal> {
    let given = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let number = given.and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
    number.ok_or_else(|| {
        Refusal::bad_request("say which version was read: If-Match: \"1\", or --version 1 of `raito cloud`")
    })
}

/// The answer where there is no such route.
pub(super) async fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, problem::NOT_FOUND, "there is no such resource: see /openapi.json")
}

/// Does work beside the threads that serve others.
///
/// # Errors
/// What the work says; and that it failed, where it panicked.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!("work for an answer failed: {error}");
        Err(Refusal::internal("the question could not be answered"))
    })
}
