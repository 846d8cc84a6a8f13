//! One exchange: a request that is sent, and sent again where that helps, until there is an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raito_core::digest::Digest;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::vocabulary::{HttpRequest, Method};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::form::refusal;
use super::{HttpSlot, OpenBody};
use crate::budget::Room;
use crate::credential::Recorder;
use crate::egress::Failure;
use crate::pacing::pause;
use crate::told::CallError;

/// An answer whose body has not been read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: OpenBody,
}

/// What became of the attempts, whether or not there is an answer.
pub(crate) struct Attempt<'a> {
    pub(crate) count: u32,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) peer: Option<Digest>,
    /// Puts on record what is done to get a token.
    record: &'a Recorder<'a>,
    /// Whether what the target refused was replaced already.
    renewed: bool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(record: &'a Recorder<'a>) -> Self {
        Self { count: 0, address: None, peer: None, record, renewed: false }
    }
}

/// Why an attempt gave no answer.
enum Failed {
    /// Trying again may help: the connection could not be made.
    Connect(Fault),
    /// Trying again may help, where the request does not change anything.
    Broken(Fault),
    /// Nothing will help.
    Final(CallError),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connect(message) => Self::Connect(Fault::new(FaultKind::Unavailable, message)),
            Failure::Broken(message) => Self::Broken(Fault::new(FaultKind::Unavailable, message)),
            other => Self::Final(other.into()),
        }
    }
}

/// Times that connecting is tried again: a server that is not there should be said soon.
const CONNECT_RETRIES: u32 = 2;

/// Header fields of answers that guests do not get: credentials, and what only concerns the connection.
const WITHHELD: [&str; 8] = [
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authorization",
    "authorization",
    "alt-svc",
];

impl HttpSlot {
    /// Sends a request and reads its whole answer, which takes its share of the room.
    pub(crate) async fn send_whole(
        &self,
        request: &HttpRequest,
        attempt: &mut Attempt<'_>,
        room: &Room,
    ) -> Result<(Answer, Vec<u8>), CallError> {
        loop {
            let mut answer = self.send(request, attempt).await?;
            let mut share = room.share();
            share.take(answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum())?;
            match answer.body.read_whole(&self.budget, &mut share).await {
                Ok(bytes) => {
                    share.keep();
                    return Ok((answer, bytes));
                }
                // A body that breaks off is read again from its beginning, where that changes nothing.
                Err(CallError::Fault(fault)) if fault.kind == FaultKind::Unavailable && request.method.is_safe() => {
                    self.wait_before(attempt.count, None, fault).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request until there is an answer that is worth giving.
    pub(crate) async fn send(&self, request: &HttpRequest, attempt: &mut Attempt<'_>) -> Result<Answer, CallError> {
        let _turn =
            self.at_once.acquire().await.map_err(|_| Fault::new(FaultKind::Unavailable, "the run is ending"))?;
        loop {
            attempt.count += 1;
            self.pace.wait().await;
            match self.send_once(request, attempt).await {
                Ok((answer, asked)) if matches!(answer.status, 429 | 503) && attempt.count <= limits::RETRIES => {
                    let busy = Fault::new(
                        FaultKind::Unavailable,
                        format!("{} answers with status {}", self.grant.origin, answer.status),
                    );
                    self.wait_before(attempt.count, asked, busy).await?;
                }
                Ok((answer, _)) => return Ok(answer),
                Err(Failed::Connect(fault)) if attempt.count <= CONNECT_RETRIES => {
                    self.wait_before(attempt.count, None, fault).await?;
                }
                Err(Failed::Broken(fault)) if request.method.is_safe() => {
                    self.wait_before(attempt.count, None, fault).await?;
                }
                Err(Failed::Connect(fault) | Failed::Broken(fault)) => return Err(fault.into()),
                Err(Failed::Final(error)) => return Err(error),
            }
        }
    }

    /// Waits before the next attempt, or gives up with the reason for it.
    async fn wait_before(&self, attempt: u32, asked: Option<Duration>, reason: Fault) -> Result<(), Fault> {
        if attempt > limits::RETRIES {
            return Err(reason);
        }
        match pause(attempt, asked) {
            Some(pause) => {
                tracing::debug!(origin = %self.grant.origin, attempt, ?pause, "{}", reason.message);
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(reason.retry_after(asked.unwrap_or_default())),
        }
    }

    async fn send_once(
        &self,
        request: &HttpRequest,
        attempt: &mut Attempt<'_>,
    ) -> Result<(Answer, Option<Duration>), Failed> {
        loop {
            let mut sent = self.client.request(method(request.method), &request.target)?;
            *sent.headers_mut() = headers(request);
            *sent.body_mut() = request.body.clone().map(Into::into);
            // Credentials last: nothing from here on looks at the request but the client.
            self.credentials.put_in(&mut sent, attempt.record).await.map_err(|error| match error {
                CallError::Fault(fault) if fault.kind == FaultKind::Unavailable => Failed::Connect(fault),
                error => Failed::Final(error),
            })?;
            let shown = sent.headers().get(AUTHORIZATION).cloned();
            let answered = self.client.send(sent).await?;
            attempt.address = answered.address.or(attempt.address);
            attempt.peer = answered.peer.or(attempt.peer);
            let response = answered.response;
            // A token may end before its time. Another one is tried once; a second refusal is about something else.
            if response.status() == 401 && !attempt.renewed && self.credentials.refused(shown.as_ref()).await {
                attempt.renewed = true;
                attempt.count += 1;
                continue;
            }
            // 101 ends HTTP on the connection, and nobody asked for that; from 600 on there are none, and such an answer counts as one of
            // a server that fails (RFC 9110, sections 15.2.2 and 15).
            if !(200..600).contains(&response.status().as_u16()) {
                let message = format!("{} answers with status {}", self.grant.origin, response.status().as_u16());
                return Err(Failed::Final(Fault::new(FaultKind::Unavailable, message).into()));
            }
            if let Some(reason) = refusal(response.status().as_u16(), response.headers()) {
                return Err(Failed::Final(Fault::denied(format!("{} {reason}", self.grant.origin)).into()));
            }
            let asked = response.headers().get(RETRY_AFTER).and_then(retry_after);
            let answer = Answer {
                status: response.status().as_u16(),
                headers: given_headers(response.headers()).map_err(|fault| Failed::Final(fault.into()))?,
                body: OpenBody::new(response, Arc::clone(&self.around.watch)),
            };
            return Ok((answer, asked));
        }
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
    }
}

/// The request's own header fields. Compression is never asked for: nothing is unpacked here.
fn headers(request: &HttpRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if request.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &request.headers {
        // The vocabulary has checked both.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The header fields of an answer that guests get.
fn given_headers(headers: &HeaderMap) -> Result<Vec<(String, String)>, Fault> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > limits::HTTP_HEADER_BYTES {
        return Err(Fault::denied(format!(
            "an answer has more than {} bytes of header fields",
            limits::HTTP_HEADER_BYTES
        )));
    }
    let given = |(name, value): (&HeaderName, &HeaderValue)| {
        let text = std::str::from_utf8(value.as_bytes()).ok()?;
        (!WITHHELD.contains(&name.as_str())).then(|| (name.as_str().to_owned(), text.to_owned()))
    };
    Ok(headers.iter().filter_map(given).collect())
}

/// How long to wait, as `Retry-After` says in seconds (RFC 9110, section 10.2.3). Its other form, a date, depends on two
/// clocks and is not used.
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
