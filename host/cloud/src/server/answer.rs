//! Answers: JSON, and problems in the form of RFC 9457.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use serde::de::DeserializeOwned;

use super::patience::{TooSlow, is_too_slow};
use crate::api::problem::{self, Problem};
use crate::store::{IngestError, StoreError};

/// What the path of a request names.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let named = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        named
            .map(|axum::extract::Path(named)| Self(named))
            .map_err(|rejection| Refusal::bad_request(rejection.body_text()))
    }
}

/// Why a request is not carried out.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Box<Problem>,
    /// Seconds after which to try again.
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("refused").to_owned();
        let problem = Problem {
            kind: kind.to_owned(),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            over_threshold: None,
        };
        Self { problem: Box::new(problem), retry_after: None }
    }

    /// A token asks for more than it may have at a time.
    pub(super) fn too_many(detail: impl Into<String>, retry_after: u64) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, problem::TOO_MANY, detail);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    /// All tokens together ask for more than the cloud gives.
    pub(super) fn busy(detail: impl Into<String>, retry_after: u64) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, problem::BUSY, detail);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    pub(super) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, problem::TOO_LARGE, detail)
    }

    /// The body of a request did not come, for this reason.
    pub(super) fn of_body(error: &(dyn std::error::Error + 'static)) -> Self {
        if is_too_slow(error) {
            return Self::new(StatusCode::REQUEST_TIMEOUT, problem::TOO_SLOW, TooSlow.to_string());
        }
        Self::bad_request(format!("the body breaks off: {error}"))
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> u16 {
        self.problem.status
    }

    #[cfg(test)]
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.retry_after
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
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(problem::MEDIA_TYPE));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
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
            StoreError::Unauthorized(reason) => Self::new(StatusCode::UNAUTHORIZED, problem::UNAUTHORIZED, reason),
            StoreError::Conflict(reason) => Self::new(StatusCode::CONFLICT, problem::CONFLICT, reason),
            StoreError::Database(sqlx::Error::PoolTimedOut) => Self::busy("the cloud has too much to do: try again", 5),
            error if error.is_of_the_disk() => {
                tracing::error!("{error}");
                let detail = match error {
                    StoreError::NoRoom(reason) => reason,
                    error => format!("the disk of the cloud does not take it: {error}"),
                };
                Self::new(StatusCode::INSUFFICIENT_STORAGE, problem::NO_ROOM, detail)
            }
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
                refusal.problem.over_threshold = Some(over);
                refusal
            }
        }
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::BytesRejection(rejection) => rejection.into(),
            rejection => Self::bad_request(rejection.body_text()),
        }
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(rejection.body_text()),
            _ => Self::of_body(&rejection),
        }
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
