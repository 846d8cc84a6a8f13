//! The HTTP client of one origin.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raito_core::address::AddressRange;
use raito_core::digest::Digest;
use raito_core::fault::{Fault, FaultKind};
use raito_core::grant::{Origin, Proxy};
use raito_core::leak::{Leak, Watch};
use raito_core::limits;
use raito_core::secret::Secret;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, TRANSFER_ENCODING};
use reqwest::{Method, Request, Response, Url};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;

use super::NotAllowed;
use super::resolve::{Policy, literal};
use crate::tls;
use crate::told::{CallError, excerpt};

/// What a client is made of.
pub(crate) struct Setup<'s> {
    /// The secrets that no error may hold.
    pub(crate) watch: &'s Arc<Watch>,
    pub(crate) origin: &'s Origin,
    pub(crate) addresses: &'s [AddressRange],
    /// Certificates of authorities in PEM form; the system's where there are none.
    pub(crate) authorities: Option<&'s [u8]>,
    pub(crate) identity: Option<tls::Identity<'s>>,
    pub(crate) proxy: Option<ThroughProxy<'s>>,
    /// Wall time of one exchange.
    pub(crate) exchange: Duration,
}

/// The proxy that a client goes through.
#[derive(Clone, Copy)]
pub(crate) struct ThroughProxy<'s> {
    pub(crate) proxy: &'s Proxy,
    /// `user:password`.
    pub(crate) credentials: Option<&'s Secret>,
}

/// An HTTP client that reaches one origin and nothing else.
pub(crate) struct HttpClient {
    origin: Origin,
    client: reqwest::Client,
    exchange: Duration,
    watch: Arc<Watch>,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The host refuses: an address, an origin, a compressed answer.
    Denied(String),
    /// TLS does not work out.
    Tls(String),
    /// The connection could not be made.
    Connect(String),
    /// It broke, or took too long.
    Broken(String),
    /// What came holds a secret.
    Leak(Leak),
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Denied(_) => FaultKind::Denied,
            Failure::Tls(_) => FaultKind::InvalidSetting,
            Failure::Connect(_) | Failure::Broken(_) | Failure::Leak(_) => FaultKind::Unavailable,
        };
        match failure {
            Failure::Leak(leak) => Self::Leak(leak),
            Failure::Denied(message) | Failure::Tls(message) | Failure::Connect(message) | Failure::Broken(message) => {
                Self::Fault(Fault::new(kind, message))
            }
        }
    }
}

/// An answer, and what is known of the other side.
pub(crate) struct Answered {
    pub(crate) response: Response,
    pub(crate) address: Option<SocketAddr>,
    /// SHA-256 of the public key that the other side proved to have (RFC 7469, section 2.4); none without TLS.
    pub(crate) peer: Option<Digest>,
}

impl HttpClient {
    /// Makes a client.
    ///
    /// # Errors
    /// A sentence where what it is to be made of cannot be used.
    pub(crate) fn new(setup: &Setup<'_>) -> Result<Self, String> {
        // An address in a URL is not asked of any resolver, so it is held against the policy here.
        literal(&setup.origin.host.to_string(), setup.addresses).map_err(|denied| denied.to_string())?;
        let tls =
            tls::client(setup.authorities, setup.identity, tls::Check::Full).map_err(|error| error.to_string())?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .tls_info(true)
            .http1_only()
            .https_only(setup.origin.tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(limits::CONNECT)
            .read_timeout(limits::HTTP_IDLE)
            .pool_max_idle_per_host(limits::HTTP_CONCURRENCY)
            .user_agent(concat!("raito/", env!("CARGO_PKG_VERSION")));
        let granted = match &setup.proxy {
            None => setup.addresses,
            Some(through) => {
                literal(&through.proxy.url.host.to_string(), &through.proxy.addresses)
                    .map_err(|denied| format!("proxy: {denied}"))?;
                builder = builder.proxy(proxy(through)?);
                &through.proxy.addresses
            }
        };
        let client =
            builder.dns_resolver(Arc::new(Policy::new(granted.to_vec()))).build().map_err(|error| error.to_string())?;
        Ok(Self { origin: setup.origin.clone(), client, exchange: setup.exchange, watch: Arc::clone(setup.watch) })
    }

    /// A request to the origin, with its path below the origin's.
    ///
    /// # Errors
    /// `Failure::Denied` where the target is read as leading anywhere else.
    pub(crate) fn request(&self, method: Method, target: &str) -> Result<Request, Failure> {
        let text = format!("{}{target}", self.origin);
        let elsewhere = || Failure::Denied(format!("a request does not lead to {}", self.origin));
        let url = Url::parse(&text).map_err(|_| elsewhere())?;
        let host = url.host().map(|host| host.to_owned());
        let scheme = if self.origin.tls { "https" } else { "http" };
        let is_ours = url.scheme() == scheme
            && host.as_ref() == Some(&self.origin.host)
            && url.port_or_known_default() == Some(self.origin.port)
            && url.path().starts_with(&self.origin.prefix)
            && url.username().is_empty()
            && url.password().is_none();
        if !is_ours {
            return Err(elsewhere());
        }
        let mut request = Request::new(method, url);
        *request.timeout_mut() = Some(self.exchange);
        Ok(request)
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&self, request: Request) -> Result<Answered, Failure> {
        let response = self.client.execute(request).await.map_err(|error| self.failed(&error))?;
        if let Some(coding) = coded(response.headers()) {
            let coding = excerpt(&self.watch, &coding, 40).map_err(Failure::Leak)?;
            return Err(Failure::Denied(format!(
                "{} answers compressed ({coding}), although it was asked not to: nothing is unpacked here, and what is \
                 packed cannot be searched",
                self.origin
            )));
        }
        let tls = response.extensions().get::<reqwest::tls::TlsInfo>();
        let peer = tls.and_then(|tls| public_key(tls.peer_certificate()?));
        Ok(Answered { address: response.remote_addr(), peer, response })
    }

    /// What an error of the client means, without anything of the request.
    fn failed(&self, error: &reqwest::Error) -> Failure {
        let origin = &self.origin;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut last = String::new();
        while let Some(current) = next {
            if let Some(denied) = current.downcast_ref::<NotAllowed>() {
                return Failure::Denied(format!("{origin}: {denied}"));
            }
            last = current.to_string();
            next = current.source();
        }
        if let Some(reason) = tls::explain(error) {
            return Failure::Tls(format!("{origin}: {reason}"));
        }
        let last = match excerpt(&self.watch, &last, 200) {
            Ok(last) => last,
            Err(leak) => return Failure::Leak(leak),
        };
        if error.is_timeout() {
            let message = format!("{origin} does not answer in time: {last}");
            return if error.is_connect() { Failure::Connect(message) } else { Failure::Broken(message) };
        }
        if error.is_connect() {
            return Failure::Connect(format!("{origin} cannot be reached: {last}"));
        }
        Failure::Broken(format!("{origin} broke the connection: {last}"))
    }
}

fn proxy(through: &ThroughProxy<'_>) -> Result<reqwest::Proxy, String> {
    let proxy = reqwest::Proxy::all(through.proxy.url.to_string()).map_err(|error| format!("proxy: {error}"))?;
    match through.credentials {
        None => Ok(proxy),
        Some(credentials) => {
            let (user, password) =
                credentials.expose().split_once(':').ok_or("proxy.credentials: write them as user:password")?;
            Ok(proxy.basic_auth(user, password))
        }
    }
}

/// The coding of an answer that is not what it stands for (RFC 9110, section 8.4), or that is so on its way (RFC 9112,
/// section 7). The client takes apart what is chunked, and nothing else.
fn coded(headers: &HeaderMap) -> Option<String> {
    let other = |field: HeaderName, usual: &'static [&'static str]| {
        let values = headers.get_all(field).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let is_usual = move |coding: &str| usual.iter().any(|usual| coding.trim().eq_ignore_ascii_case(usual));
        values.into_iter().find(|value| !value.split(',').all(is_usual)).map(Cow::into_owned)
    };
    other(CONTENT_ENCODING, &["identity"]).or_else(|| other(TRANSFER_ENCODING, &["chunked", "identity"]))
}

fn public_key(certificate: &[u8]) -> Option<Digest> {
    let certificate = CertificateDer::from(certificate);
    let parsed = ParsedCertificate::try_from(&certificate).ok()?;
    Some(Digest::of(&parsed.subject_public_key_info()))
}
