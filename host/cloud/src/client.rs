//! The one way to a cloud, embedded or remote.

mod applied;
mod upload;

use std::path::PathBuf;
use std::time::Duration;

use raito_core::exchange::{
    CloudError, DesiredState, Feedback, RunClosed, RunClosing, RunOpened, RunOpening, UploadId, UploadRules,
};
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::ports::{BoxFuture, Cloud, Upload};
use raito_core::secret::Secret;
use raito_core::text::{RunId, TargetName};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::BASE;
use crate::api::problem::{OVER_THRESHOLD, Problem};

pub use applied::AppliedText;

/// Time that a connection is kept for the next request: less than the cloud keeps it.
const CLIENT_IDLE: Duration = Duration::from_secs(30);

/// Where a cloud is.
#[derive(Clone)]
pub enum Endpoint {
    /// In this process or another one on this machine.
    Socket(PathBuf),
    /// Somewhere else.
    Remote {
        /// Its URL.
        url: String,
        /// Certificates of authorities in PEM form, where it is not to be the system's.
        authorities: Option<Vec<u8>>,
    },
}

/// A client cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(String);

/// A client of a cloud.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Secret,
    origin: Origin,
}

/// Whose disk a cloud writes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// That of the state directory.
    Embedded,
    /// Somebody else's.
    Remote,
}

impl Client {
    /// Makes a client that presents this token.
    ///
    /// # Errors
    /// `ClientError` where the URL or the certificates are none.
    pub fn new(endpoint: &Endpoint, token: Secret) -> Result<Self, ClientError> {
        // The process has one provider; where another part has set it already, it is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(limits::CONNECT)
            .timeout(limits::CLOUD_ANSWER)
            .pool_idle_timeout(CLIENT_IDLE)
            .user_agent(concat!("raito/", env!("CARGO_PKG_VERSION")));
        let origin = if matches!(endpoint, Endpoint::Socket(_)) { Origin::Embedded } else { Origin::Remote };
        let (builder, url) = match endpoint {
            Endpoint::Socket(path) => (builder.unix_socket(path.as_path()), "http://embedded".to_owned()),
            Endpoint::Remote { url, authorities } => {
                let builder = match authorities {
                    None => builder,
                    Some(pem) => {
                        let certificates = reqwest::Certificate::from_pem_bundle(pem)
                            .map_err(|error| ClientError(error.to_string()))?;
                        builder.tls_certs_only(certificates)
                    }
                };
                (builder, url.trim_end_matches('/').to_owned())
            }
        };
        let http = builder.build().map_err(|error| ClientError(error.to_string()))?;
        Ok(Self { http, base: format!("{url}{BASE}"), token, origin })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.token.expose())
    }

    /// Sends a request, and again where the cloud has too much to do at the moment: then it was not
    /// carried out, and the cloud says when to come back.
    async fn send(&self, mut request: RequestBuilder) -> Result<Response, CloudError> {
        let mut left = limits::RETRIES;
        loop {
            let again = request.try_clone().filter(|_| left > 0);
            let response = request.send().await.map_err(|error| unreachable(&error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            let (Some(again), Some(pause)) = (again, pause(&response)) else {
                return Err(refused(response, self.origin).await);
            };
            tokio::time::sleep(pause).await;
            (request, left) = (again, left - 1);
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CloudError> {
        let body = whole(self.send(request).await?, limits::CLOUD_ANSWER_BYTES).await?;
        serde_json::from_slice(&body)
            .map_err(|error| CloudError::Failed(format!("its answer is not understood: {error}")))
    }

    fn with_body<T: Serialize>(&self, method: Method, path: &str, body: &T) -> Result<RequestBuilder, CloudError> {
        let body = serde_json::to_vec(body).map_err(|error| CloudError::Failed(error.to_string()))?;
        Ok(self.request(method, path).header("content-type", "application/json").body(body))
    }

    /// Asks for something and gives it as JSON.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn get(&self, path: &str) -> Result<serde_json::Value, CloudError> {
        self.json(self.request(Method::GET, path)).await
    }

    /// Sends something and gives the answer as JSON; null where it has no body. `version` is the one that was read of what is
    /// changed.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn post<T: Serialize>(
        &self,
        path: &str,
        body: Option<&T>,
        version: Option<u64>,
    ) -> Result<serde_json::Value, CloudError> {
        let request = match body {
            Some(body) => self.with_body(Method::POST, path, body)?,
            None => self.request(Method::POST, path),
        };
        self.changed(if_match(request, version)).await
    }

    /// Puts something in place of what is there, and gives the answer as JSON; null where it has no body.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn put<T: Serialize>(
        &self,
        path: &str,
        body: &T,
        version: Option<u64>,
    ) -> Result<serde_json::Value, CloudError> {
        self.changed(if_match(self.with_body(Method::PUT, path, body)?, version)).await
    }

    /// Takes something away, and gives the answer as JSON; null where it has no body.
    ///
    /// # Errors
    /// `CloudError` where there is no good answer.
    pub async fn delete(&self, path: &str, version: Option<u64>) -> Result<serde_json::Value, CloudError> {
        self.changed(if_match(self.request(Method::DELETE, path), version)).await
    }

    async fn changed(&self, request: RequestBuilder) -> Result<serde_json::Value, CloudError> {
        let body = whole(self.send(request).await?, limits::CLOUD_ANSWER_BYTES).await?;
        if body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| CloudError::Failed(error.to_string()))
    }

    /// Gives the whole current state, piece by piece, to `take`.
    ///
    /// # Errors
    /// `CloudError` where it breaks off.
    pub async fn export(&self, mut take: impl FnMut(&[u8])) -> Result<(), CloudError> {
        let mut response = self.send(self.request(Method::GET, "/export")).await?;
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            take(&chunk);
        }
        Ok(())
    }
}

impl Cloud for Client {
    fn open_run(&self, opening: RunOpening) -> BoxFuture<'_, Result<RunOpened, CloudError>> {
        Box::pin(async move { self.json(self.with_body(Method::POST, "/runs", &opening)?).await })
    }

    fn upload(&self, upload: UploadId, rules: UploadRules) -> BoxFuture<'_, Result<Box<dyn Upload>, CloudError>> {
        Box::pin(async move {
            let mut path = format!(
                "/runs/{}/uploads/{}?remove-percent={}&remove-count={}",
                upload.run, upload.step, rules.thresholds.remove_percent, rules.thresholds.remove_count
            );
            if let Some(allowed) = rules.allow_removals {
                path.push_str(&format!("&allow-removals={allowed}"));
            }
            Ok(Box::new(upload::Sending::begin(self.request(Method::PUT, &path), self.origin)) as Box<dyn Upload>)
        })
    }

    fn desired(&self, source: TargetName) -> BoxFuture<'_, Result<DesiredState, CloudError>> {
        Box::pin(async move { self.json(self.request(Method::GET, &format!("/sources/{source}/desired"))).await })
    }

    fn feedback(&self, run: RunId, feedback: Vec<Feedback>) -> BoxFuture<'_, Result<(), CloudError>> {
        Box::pin(async move {
            for part in parts(feedback)? {
                self.send(self.with_body(Method::POST, &format!("/runs/{run}/feedback"), &part)?).await?;
            }
            Ok(())
        })
    }

    fn close_run(&self, run: RunId, closing: RunClosing) -> BoxFuture<'_, Result<RunClosed, CloudError>> {
        Box::pin(async move { self.json(self.with_body(Method::POST, &format!("/runs/{run}/close"), &closing)?).await })
    }
}

/// Feedback in parts that fit into a request.
fn parts(feedback: Vec<Feedback>) -> Result<Vec<Vec<Feedback>>, CloudError> {
    let mut parts: Vec<Vec<Feedback>> = Vec::new();
    let mut bytes = 0;
    for one in feedback {
        let size = serde_json::to_vec(&one).map_err(|error| CloudError::Failed(error.to_string()))?.len();
        bytes += size;
        match parts.last_mut() {
            Some(part) if bytes <= limits::CLOUD_BODY_BYTES / 2 => part.push(one),
            _ => {
                bytes = size;
                parts.push(vec![one]);
            }
        }
    }
    Ok(parts)
}

/// The request, to be carried out only where what it changes has this version (RFC 9110, section 13.1.1).
fn if_match(request: RequestBuilder, version: Option<u64>) -> RequestBuilder {
    match version {
        Some(version) => request.header("if-match", format!("\"{version}\"")),
        None => request,
    }
}

/// What an error of the client means.
fn unreachable(error: &reqwest::Error) -> CloudError {
    let mut last = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    CloudError::Unreachable(last)
}

/// All bytes of an answer, of which there may be so many.
async fn whole(mut response: Response, max: usize) -> Result<Vec<u8>, CloudError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > max {
            return Err(CloudError::Failed(format!("its answer has more than {max} bytes")));
        }
    }
    Ok(bytes)
}

/// How long to wait before a request is sent again; none where the cloud does not ask for that.
fn pause(response: &Response) -> Option<Duration> {
    let is_passing = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let seconds = response.headers().get("retry-after").filter(|_| is_passing)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds)).filter(|pause| *pause <= limits::RETRY_PAUSE_MAX)
}

/// What an answer that is none means.
async fn refused(response: Response, origin: Origin) -> CloudError {
    let status = response.status();
    let body = whole(response, limits::CLOUD_PROBLEM_BYTES).await.unwrap_or_default();
    let problem: Option<Problem> = serde_json::from_slice(&body).ok();
    let detail = problem.as_ref().map_or_else(|| format!("status {status}"), |problem| problem.detail.clone());
    match (status, problem) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => CloudError::Unauthorized(detail),
        (_, Some(Problem { kind, over_threshold: Some(over), .. })) if kind == OVER_THRESHOLD => {
            CloudError::OverThreshold(over)
        }
        (StatusCode::INSUFFICIENT_STORAGE, _) if origin == Origin::Embedded => CloudError::NoRoom(detail),
        (status, _) if status.is_client_error() => CloudError::Refused(Fault::new(FaultKind::Conflict, detail)),
        _ => CloudError::Failed(detail),
    }
}

#[cfg(test)]
mod tests {
    use raito_core::text::{Name, Remark};

    use super::*;

    #[test]
    fn feedback_goes_in_parts_that_fit_and_none_is_lost() {
        let one = |number: usize| {
            let error = Remark::new("x".repeat(4_000)).expect("a remark");
            Feedback { errors: vec![error; 100], ..Feedback::of(Name::new(number.to_string()).expect("a name")) }
        };
        let all: Vec<Feedback> = (0..20).map(one).collect();
        let parts = parts(all.clone()).expect("they fit");
        assert!(parts.len() > 1);
        let bytes = |part: &Vec<Feedback>| serde_json::to_vec(part).expect("JSON").len();
        assert!(parts.iter().all(|part| !part.is_empty() && bytes(part) <= limits::CLOUD_BODY_BYTES));
        assert_eq!(parts.concat(), all);
    }
}
