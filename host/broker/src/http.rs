//! HTTP: one client for each slot of a target, and the exchange of a request for an answer.

mod body;
mod capture;
mod exchange;
mod resolve;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use raito_core::address::check_address;
use raito_core::grant::HttpGrant;
use raito_core::limits;
use raito_core::manifest::{SecretScheme, SecretSlot};
use raito_core::text::Ident;
use raito_core::vocabulary::Route;
use reqwest::header::{HeaderName, HeaderValue};
use tokio::sync::Semaphore;
use url_host::literal;

use crate::budget::SlotBudget;
use crate::pacing::Pace;
use crate::tls;
use raito_core::secret::Secret;

pub(crate) use body::OpenBody;
pub(crate) use capture::captures;
pub(crate) use exchange::{Answer, Attempt};

/// Everything that one HTTP slot of a target needs.
pub(crate) struct HttpSlot {
    pub(crate) grant: HttpGrant,
    pub(crate) routes: BTreeMap<Ident, Route>,
    pub(crate) budget: SlotBudget,
    client: reqwest::Client,
    pace: Pace,
    at_once: Semaphore,
    /// Header fields with credentials, which are put in last.
    credentials: Vec<(HeaderName, HeaderValue)>,
    /// The names of the secret slots behind them, for the audit log.
    pub(crate) secret_names: Vec<String>,
}

impl HttpSlot {
    /// Makes the client of a slot.
    pub(crate) fn new(
        grant: HttpGrant,
        routes: BTreeMap<Ident, Route>,
        asked: &BTreeMap<Ident, SecretSlot>,
        secrets: &BTreeMap<Ident, Secret>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, String> {
        // An address in the origin is not asked of any resolver, so it is held against the policy here.
        if let Some(address) = literal(&grant.origin.host) {
            check_address(address, &grant.addresses).map_err(|denied| denied.to_string())?;
        }
        let tls = tls::client(authorities, tls::Check::Full).map_err(|error| format!("ca: {error}"))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .https_only(grant.origin.tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(limits::CONNECT)
            .read_timeout(limits::HTTP_IDLE)
            .pool_max_idle_per_host(limits::HTTP_CONCURRENCY)
            .user_agent(concat!("raito/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolve::Policy::new(grant.addresses.clone())))
            .build()
            .map_err(|error| error.to_string())?;
        let credentials = credentials(asked, secrets)?;
        let secret_names = secrets.keys().map(ToString::to_string).collect();
        Ok(Self {
            pace: Pace::new(grant.rate.unwrap_or(limits::HTTP_RATE)),
            at_once: Semaphore::new(limits::HTTP_CONCURRENCY),
            budget: SlotBudget::default(),
            grant,
            routes,
            client,
            credentials,
            secret_names,
        })
    }
}

/// The header fields that carry the secrets.
fn credentials(
    asked: &BTreeMap<Ident, SecretSlot>,
    secrets: &BTreeMap<Ident, Secret>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let field = |(name, secret): (&Ident, &Secret)| {
        let slot = asked.get(name).ok_or_else(|| format!("the connector asks for no secret {name}"))?;
        let (header, value) = match &slot.scheme {
            SecretScheme::Header { name, before, after } => {
                (name.as_str(), format!("{before}{}{after}", secret.expose()))
            }
            SecretScheme::Bearer => ("authorization", format!("Bearer {}", secret.expose())),
            SecretScheme::Basic => {
                use base64::Engine as _;
                let encoded = base64::engine::general_purpose::STANDARD.encode(secret.expose());
                ("authorization", format!("Basic {encoded}"))
            }
        };
        let header = HeaderName::try_from(header).map_err(|_| format!("{name}: no header name"))?;
        let mut value =
            HeaderValue::try_from(value).map_err(|_| format!("{name}: the secret cannot stand in a header"))?;
        value.set_sensitive(true);
        Ok((header, value))
    };
    secrets.iter().map(field).collect()
}

/// Hosts that are addresses.
mod url_host {
    use super::IpAddr;

    /// The address that a host is written as, where it is one.
    pub(super) fn literal(host: &impl ToString) -> Option<IpAddr> {
        let text = host.to_string();
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}
