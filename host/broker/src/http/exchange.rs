//! One exchange: a request that is sent, and sent again where that helps, until there is an answer.

use std::net::SocketAddr;
use std::time::Duration;

use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::vocabulary::{HttpRequest, Method};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::resolve::NotAllowed;
use super::{HttpSlot, OpenBody};
use crate::pacing::pause;
use crate::tls;

/// An answer whose body has not been read.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: OpenBody,
}

/// What became of the attempts, whether or not there is an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) count: u32,
    pub(crate) address: Option<SocketAddr>,
}

/// Why an attempt gave no answer.
enum Failed {
    /// Trying again may help: the connection could not be made.
    Connect(Fault),
    /// Trying again may help, where the request does not change anything.
    Broken(Fault),
    /// Nothing will help.
    Final(Fault),
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
    /// Sends a request and reads its whole answer.
    pub(crate) async fn send_whole(
        &self,
        request: &HttpRequest,
        attempt: &mut Attempt,
    ) -> Result<(Answer, Vec<u8>), Fault> {
        loop {
            let mut answer = self.send(request, attempt).await?;
            match answer.body.read_whole(&self.budget).await {
                Ok(bytes) => return Ok((answer, bytes)),
                // A body that breaks off is read again from its beginning, where that changes nothing.
                Err(fault) if fault.kind == FaultKind::Unavailable && request.method.is_safe() => {
                    self.wait_before(attempt.count, None, fault).await?;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Sends a request until there is an answer that is worth giving.
    pub(crate) async fn send(&self, request: &HttpRequest, attempt: &mut Attempt) -> Result<Answer, Fault> {
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
                Err(Failed::Connect(fault) | Failed::Broken(fault) | Failed::Final(fault)) => return Err(fault),
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
        attempt: &mut Attempt,
    ) -> Result<(Answer, Option<Duration>), Failed> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = format!("{}{}", self.grant.origin, request.target);
        let mut builder = self.client.request(method, url).headers(headers(request)).timeout(limits::HTTP_EXCHANGE);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut sent = builder.build().map_err(|error| Failed::Final(self.fault(&error)))?;
        // Credentials last: nothing from here on looks at the request but the client.
        for (name, value) in &self.credentials {
            sent.headers_mut().insert(name.clone(), value.clone());
        }
        let response = self.client.execute(sent).await.map_err(|error| self.failed(&error))?;
        attempt.address = response.remote_addr().or(attempt.address);
        let asked = response.headers().get(RETRY_AFTER).and_then(retry_after);
        let answer = Answer {
            status: response.status().as_u16(),
            headers: given_headers(response.headers()).map_err(Failed::Final)?,
            body: OpenBody::new(response),
        };
        Ok((answer, asked))
    }

    fn failed(&self, error: &reqwest::Error) -> Failed {
        let fault = self.fault(error);
        match fault.kind {
            FaultKind::Unavailable if error.is_connect() => Failed::Connect(fault),
            FaultKind::Unavailable => Failed::Broken(fault),
            _ => Failed::Final(fault),
        }
    }

    /// What an error of the client means, without anything of the request.
    fn fault(&self, error: &reqwest::Error) -> Fault {
        let origin = &self.grant.origin;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut last = String::new();
        while let Some(current) = next {
            if let Some(denied) = current.downcast_ref::<NotAllowed>() {
                return Fault::denied(format!("{origin}: {denied}"));
            }
            last = current.to_string();
            next = current.source();
        }
        if let Some(reason) = tls::explain(error) {
            return Fault::new(FaultKind::InvalidSetting, format!("{origin}: {reason}"));
        }
        let what = if error.is_timeout() {
            "does not answer in time"
        } else if error.is_connect() {
            "cannot be reached"
        } else {
            "broke the connection"
        };
        Fault::new(FaultKind::Unavailable, format!("{origin} {what}: {last}"))
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
