//! The broker of one target and run: its slots, and what they share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use raito_core::capability::Effective;
use raito_core::exchange::UploadId;
use raito_core::grant::{CLIENT_CERTIFICATE, CLIENT_KEY, Grant, Handling, PROXY_CREDENTIALS, Target};
use raito_core::leak::Watch;
use raito_core::manifest::{Manifest, SlotKind, SlotName};
use raito_core::ports::{Clock, Ledger, Place, StepBroker, TargetBroker, Writes};
use raito_core::step::Step;
use raito_core::text::{Ident, TargetName};
use raito_core::vocabulary::Mode;

use crate::credential::Surroundings;
use crate::http::HttpSlot;
use crate::session::{Session, Strands};
use crate::sql::SqlSlot;
use crate::state::StateFile;
use crate::tls::Identity;
use raito_core::secret::Secret;

/// What the configuration only names and the caller has fetched.
#[derive(Debug, Default)]
pub struct Material {
    /// Secrets, by slot and by the names that `Grant::sources` gives them.
    pub secrets: BTreeMap<(SlotName, String), Secret>,
    /// Files with certificates, by slot and by the names that `Grant::files` gives them.
    pub files: BTreeMap<(SlotName, String), Vec<u8>>,
    /// All secrets of the process, which no answer may hold.
    pub watch: Arc<Watch>,
}

/// What of it one slot needs.
pub(crate) struct SlotMaterial {
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl SlotMaterial {
    fn take(material: &mut Material, slot: &SlotName) -> Self {
        let secrets = std::mem::take(&mut material.secrets).into_iter();
        let (own, others) = secrets.partition(|((name, _), _)| name == slot);
        material.secrets = others;
        let files = std::mem::take(&mut material.files).into_iter();
        let (own_files, others): (BTreeMap<_, _>, _) = files.partition(|((name, _), _)| name == slot);
        material.files = others;
        let own: BTreeMap<(SlotName, String), Secret> = own;
        Self {
            secrets: own.into_iter().map(|((_, name), secret)| (name, secret)).collect(),
            files: own_files.into_iter().map(|((_, name), bytes)| (name, bytes)).collect(),
        }
    }

    /// The certificate that the host shows, where one is granted.
    pub(crate) fn identity(&self) -> Option<Identity<'_>> {
        Some(Identity { certificate: self.files.get(CLIENT_CERTIFICATE)?, key: self.secrets.get(CLIENT_KEY)? })
    }

    /// What the proxy asks for.
    pub(crate) fn proxy_credentials(&self) -> Option<&Secret> {
        self.secrets.get(PROXY_CREDENTIALS)
    }
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
    pub(crate) watch: Arc<Watch>,
    /// How members stand in the write calls that are on record.
    pub(crate) recorded_members: Handling,
    /// The answers so far, for secrets that come in pieces. They are of the run, since a guest's
    /// state is too.
    pub(crate) strands: Mutex<Strands>,
    places: Vec<Place>,
}

/// The broker of one target and run.
pub struct Brokerage {
    pub(crate) shared: Arc<Shared>,
}

impl Brokerage {
    /// Sets up all slots that are in effect.
    ///
    /// # Errors
    /// The first slot that cannot be set up with what it was given.
    pub fn new(
        target: &Target,
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
            let around = Surroundings {
                watch: Arc::clone(&material.watch),
                clock: Arc::clone(&clock),
                place: format!("{} grants.{name}", target.name),
            };
            let runtime = runtime(&asked.kind, &slot.grant, &SlotMaterial::take(&mut material, name), around)
                .map_err(|reason| SetupError { slot: name.clone(), reason })?;
            slots.insert(name.clone(), runtime);
            entries.insert(name.clone(), slot.entries.clone());
            places.push(Place { slot: name.to_string(), at: slot.grant.places(), write: slot.grant.write() });
        }
        let watch = material.watch;
        let (strands, recorded_members, target) = (Mutex::default(), target.recorded_members, target.name.clone());
        let shared = Shared { target, slots, entries, ledger, clock, state, watch, recorded_members, strands, places };
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn runtime(
    asked: &SlotKind,
    grant: &Grant,
    material: &SlotMaterial,
    around: Surroundings,
) -> Result<SlotRuntime, String> {
    match (asked, grant) {
        (SlotKind::Http { routes, secrets }, Grant::Http(grant)) => {
            let slot = HttpSlot::new(grant.clone(), routes.clone(), secrets, material, around)?;
            Ok(SlotRuntime::Http(Box::new(slot)))
        }
        (SlotKind::Sql { statements, .. }, Grant::Sql(grant)) => {
            let slot = SqlSlot::new(grant.clone(), statements.clone(), material, around.watch)?;
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
