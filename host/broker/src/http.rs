//! HTTP: what one slot of a target needs, and the exchange of a request for an answer.

mod body;
mod capture;
mod exchange;
mod form;

use std::collections::BTreeMap;
use std::time::Duration;

use raito_core::grant::HttpGrant;
use raito_core::limits;
use raito_core::manifest::SecretSlot;
use raito_core::text::Ident;
use raito_core::vocabulary::Route;
use tokio::sync::Semaphore;

use crate::budget::SlotBudget;
use crate::credential::{Credentials, Surroundings};
use crate::egress::{HttpClient, Setup, ThroughProxy};
use crate::pacing::Pace;
use crate::target::SlotMaterial;

pub(crate) use body::OpenBody;
pub(crate) use capture::captures;
pub(crate) use exchange::{Answer, Attempt};

/// Everything that one HTTP slot of a target needs.
pub(crate) struct HttpSlot {
    pub(crate) grant: HttpGrant,
    pub(crate) routes: BTreeMap<Ident, Route>,
    pub(crate) budget: SlotBudget,
    client: HttpClient,
    pace: Pace,
    at_once: Semaphore,
    /// What is put in last.
    credentials: Credentials,
    /// The names of the secret slots behind it, for the audit log.
    pub(crate) secret_names: Vec<String>,
    around: Surroundings,
}

impl HttpSlot {
    /// Makes the client of a slot.
    ///
    /// # Errors
    /// A sentence where the slot cannot be set up with what it was given.
    pub(crate) fn new(
        grant: HttpGrant,
        routes: BTreeMap<Ident, Route>,
        asked: &BTreeMap<Ident, SecretSlot>,
        material: &SlotMaterial,
        around: Surroundings,
    ) -> Result<Self, String> {
        let proxy = grant.proxy.as_ref();
        let client = HttpClient::new(&Setup {
            watch: &around.watch,
            origin: &grant.origin,
            addresses: &grant.addresses,
            authorities: material.files.get("ca").map(Vec::as_slice),
            identity: material.identity(),
            proxy: proxy.map(|proxy| ThroughProxy { proxy, credentials: material.proxy_credentials() }),
            exchange: grant.timeout.map_or(limits::HTTP_EXCHANGE, |seconds| Duration::from_secs(seconds.into())),
        })?;
        let credentials = Credentials::new(asked, &grant, material, &around)?;
        Ok(Self {
            pace: Pace::new(grant.rate.unwrap_or(limits::HTTP_RATE)),
            at_once: Semaphore::new(limits::HTTP_CONCURRENCY),
            budget: SlotBudget::default(),
            secret_names: credentials.names(),
            grant,
            routes,
            client,
            credentials,
            around,
        })
    }
}
