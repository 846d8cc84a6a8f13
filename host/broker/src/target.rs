//! The broker of one target and run: its slots, and what they share.

use std::collections::BTreeMap;
use std::sync::Arc;

use raito_core::capability::Effective;
use raito_core::exchange::UploadId;
use raito_core::grant::Grant;
use raito_core::manifest::{Manifest, SlotKind, SlotName};
use raito_core::ports::{Clock, Ledger, Place, StepBroker, TargetBroker, Writes};
use raito_core::step::Step;
use raito_core::text::{Ident, TargetName};
use raito_core::vocabulary::Mode;

use crate::http::HttpSlot;
use crate::session::Session;
use crate::sql::SqlSlot;
use crate::state::StateFile;
use raito_core::secret::Secret;

/// What the configuration only names and the caller has fetched: secrets and files of authorities.
#[derive(Debug, Default)]
pub struct Material {
    /// Secrets, by slot and by name: a secret slot of the manifest, `password`, or `write-password`.
    pub secrets: BTreeMap<(SlotName, String), Secret>,
    /// Certificates of authorities in PEM form, by slot.
    pub authorities: BTreeMap<SlotName, Vec<u8>>,
}

/// A slot cannot be set up with what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("grants.{slot}: {reason}")]
pub struct SetupError {
    /// The slot.
    pub slot: SlotName,
    /// Why not.
    pub reason: String,
}

pub(crate) enum SlotRuntime {
    Http(Box<HttpSlot>),
    Sql(Box<SqlSlot>),
}

/// What the brokers of one target share.
pub(crate) struct Shared {
    pub(crate) target: TargetName,
    pub(crate) slots: BTreeMap<SlotName, SlotRuntime>,
    /// The entries that may be used.
    pub(crate) entries: BTreeMap<SlotName, BTreeMap<Ident, Mode>>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: StateFile,
    places: Vec<Place>,
}

/// The broker of one target and run.
pub struct Brokerage {
    shared: Arc<Shared>,
}

impl Brokerage {
    /// Sets up all slots that are in effect.
    ///
    /// # Errors
    /// The first slot that cannot be set up with what it was given.
    pub fn new(
        target: TargetName,
        manifest: &Manifest,
        effective: &Effective,
        mut material: Material,
        state: StateFile,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SetupError> {
        let mut slots = BTreeMap::new();
        let mut entries = BTreeMap::new();
        let mut places = Vec::new();
        for (name, slot) in &effective.slots {
            let Some(asked) = manifest.slots.get(name) else { continue };
            let runtime = runtime(name, &asked.kind, &slot.grant, &mut material)
                .map_err(|reason| SetupError { slot: name.clone(), reason })?;
            slots.insert(name.clone(), runtime);
            entries.insert(name.clone(), slot.entries.clone());
            places.push(Place { slot: name.to_string(), at: slot.grant.places(), write: slot.grant.write() });
        }
        Ok(Self { shared: Arc::new(Shared { target, slots, entries, ledger, clock, state, places }) })
    }
}

fn runtime(name: &SlotName, asked: &SlotKind, grant: &Grant, material: &mut Material) -> Result<SlotRuntime, String> {
    let authorities = material.authorities.remove(name);
    let authorities = authorities.as_deref();
    match (asked, grant) {
        (SlotKind::Http { routes, secrets }, Grant::Http(grant)) => {
            let mut held = BTreeMap::new();
            for slot in grant.secrets.keys() {
                if let Some(secret) = material.secrets.remove(&(name.clone(), slot.to_string())) {
                    held.insert(slot.clone(), secret);
                }
            }
            let slot = HttpSlot::new(grant.clone(), routes.clone(), secrets, &held, authorities)?;
            Ok(SlotRuntime::Http(Box::new(slot)))
        }
        (SlotKind::Sql { statements, .. }, Grant::Sql(grant)) => {
            let read = material.secrets.remove(&(name.clone(), "password".to_owned()));
            let write = material.secrets.remove(&(name.clone(), "write-password".to_owned()));
            let slot = SqlSlot::new(grant.clone(), statements.clone(), read, write, authorities)?;
            Ok(SlotRuntime::Sql(Box::new(slot)))
        }
        _ => Err("the grant is for a slot of another kind".to_owned()),
    }
}

impl TargetBroker for Brokerage {
    fn open(&self, step: Step, writes: Writes) -> Arc<dyn StepBroker> {
        self.shared.state.forget_changes();
        Arc::new(Session::new(Arc::clone(&self.shared), step, writes))
    }

    fn places(&self) -> Vec<Place> {
        self.shared.places.clone()
    }

    fn stage_state(&self, upload: &UploadId) -> Result<(), String> {
        self.shared.state.stage(upload).map_err(|error| format!("the connector's state cannot be written: {error}"))
    }

    fn settle_state(&self, accepted: bool) -> Result<(), String> {
        self.shared.state.settle(accepted).map_err(|error| format!("the connector's state cannot be written: {error}"))
    }

    fn unsettled(&self) -> Option<UploadId> {
        self.shared.state.unsettled()
    }
}
