//! The last applied state, in a file or in the cloud.
//!
//! In the cloud, the state of each target has a version, and whoever writes names the one that he has read. So of two applies at
//! the same time, the second is told before it sends anything; and where that came too late, the state is taken out, because
//! nobody can tell any more who moved what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use raito_access::applied::{Applied, AppliedTarget};
use raito_core::digest::Digest;
use raito_core::event::Event;
use raito_core::exchange::CloudError;
use raito_core::limits;
use raito_core::marker::Master;
use raito_core::ports::Ledger as _;
use raito_core::text::TargetName;

use super::session::Session;
use crate::args::access::StatePlace;
use crate::cloud::{Connected, Serving};
use crate::codes;
use crate::error::CliError;
use crate::files;

/// The last applied state of one repository, and where it is kept.
pub(super) struct State<'s> {
    session: &'s Session,
    master: Master,
    kept: Kept,
}

enum Kept {
    File(PathBuf),
    Cloud { cloud: Box<Connected>, targets: BTreeMap<TargetName, InCloud> },
}

/// What the cloud has of a target.
struct InCloud {
    version: u64,
    state: Option<AppliedTarget>,
    /// Whether this process took it out and has not kept it again.
    forgotten: bool,
}

impl<'s> State<'s> {
    /// Opens the state of some targets. Whoever changes them opens it before he reads them: what another one applies after that
    /// is noticed.
    pub(super) async fn open(
        place: &StatePlace,
        session: &'s Session,
        master: &Master,
        targets: &[TargetName],
    ) -> Result<Self, CliError> {
        let kept = match place {
            StatePlace::File(path) => Kept::File(path.clone()),
            StatePlace::Cloud => {
                let configuration = &session.loaded.configuration;
                let (cloud, base) = (&configuration.cloud, &session.loaded.base);
                // An apply can take long, and others may ask the cloud meanwhile.
                let cloud = Connected::open(cloud, &session.state, base, Serving::Others).await?;
                Kept::Cloud { cloud: Box::new(cloud), targets: BTreeMap::new() }
            }
        };
        let mut state = Self { session, master: master.clone(), kept };
        for target in targets {
            if let Err(error) = state.read(target).await {
                state.close().await;
                return Err(error);
            }
        }
        Ok(state)
    }

    /// Ends what was opened. What was taken out and not kept again stays out, also where another apply has kept it meanwhile.
    pub(super) async fn close(mut self) {
        let Kept::Cloud { targets, .. } = &self.kept else { return };
        let unfinished: Vec<TargetName> =
            targets.iter().filter(|(_, one)| one.forgotten).map(|(target, _)| target.clone()).collect();
        for target in unfinished {
            if let Err(error) = self.take_out(&target).await {
                tracing::warn!("{target}: the last applied state in the cloud may be wrong: {}", error.message);
            }
        }
        if let Kept::Cloud { cloud, .. } = self.kept {
            cloud.close().await;
        }
    }

    /// Takes a target out that another apply has kept meanwhile.
    async fn take_out(&mut self, target: &TargetName) -> Result<(), CliError> {
        let before = self.version(target);
        self.read(target).await?;
        if self.version(target) != before {
            self.put(target, None).await?;
        }
        Ok(())
    }

    fn version(&self, target: &TargetName) -> Option<u64> {
        match &self.kept {
            Kept::Cloud { targets, .. } => targets.get(target).map(|one| one.version),
            Kept::File(_) => None,
        }
    }

    /// What was applied to a target last; none where nobody can tell.
    pub(super) fn of(&self, target: &TargetName) -> Result<Option<AppliedTarget>, CliError> {
        match &self.kept {
            Kept::File(path) => Ok(read_file(path, &self.master)?.targets.remove(target)),
            Kept::Cloud { targets, .. } => Ok(targets.get(target).and_then(|one| one.state.clone())),
        }
    }

    /// Writes down what was applied to a target.
    pub(super) async fn keep(&mut self, target: &TargetName, applied: AppliedTarget) -> Result<(), CliError> {
        if let Kept::File(path) = &self.kept {
            return write_file(path, &self.master, |all| drop(all.targets.insert(target.clone(), applied)));
        }
        let text = self.of_one(target, applied).text();
        if self.put(target, Some(text.as_bytes())).await? {
            self.set_forgotten(target, false);
            return Ok(());
        }
        if !self.forgotten(target) {
            // Nothing was sent, so the other one's state is as good as this one.
            return Ok(());
        }
        self.take_out(target).await?;
        let message = format!(
            "target {target}: another apply of {} ran at the same time, so nobody can tell any more who moved what",
            self.master
        );
        Err(CliError::new(codes::STATE, message).help("apply again, so that the cloud has the state of one apply"))
    }

    /// Takes a target out, before anything is sent to it.
    pub(super) async fn forget(&mut self, target: &TargetName) -> Result<(), CliError> {
        if let Kept::File(path) = &self.kept {
            return write_file(path, &self.master, |all| drop(all.targets.remove(target)));
        }
        if self.put(target, None).await? {
            self.set_forgotten(target, true);
            return Ok(());
        }
        let message =
            format!("target {target}: another apply of {} began meanwhile, and nothing was sent", self.master);
        Err(CliError::new(codes::STALE_PLAN, message).help("wait for it, and plan again"))
    }

    fn forgotten(&self, target: &TargetName) -> bool {
        matches!(&self.kept, Kept::Cloud { targets, .. } if targets.get(target).is_some_and(|one| one.forgotten))
    }

    fn set_forgotten(&mut self, target: &TargetName, forgotten: bool) {
        if let Kept::Cloud { targets, .. } = &mut self.kept
            && let Some(one) = targets.get_mut(target)
        {
            one.forgotten = forgotten;
        }
    }

    /// The state of one target, in the form of all.
    fn of_one(&self, target: &TargetName, applied: AppliedTarget) -> Applied {
        let mut all = Applied::new(self.master.to_string());
        all.targets.insert(target.clone(), applied);
        all
    }

    /// Reads what there is of a target.
    async fn read(&mut self, target: &TargetName) -> Result<(), CliError> {
        let repository = repository(&self.master)?;
        let Kept::Cloud { cloud, targets } = &mut self.kept else { return Ok(()) };
        let told = cloud.client.applied_state(repository, target).await.map_err(|error| in_cloud(&error))?;
        let state = match told.text {
            Some(bytes) => parse("the state in the cloud", bytes, &self.master)?.targets.remove(target),
            None => None,
        };
        let forgotten = targets.get(target).is_some_and(|one| one.forgotten);
        targets.insert(target.clone(), InCloud { version: told.version, state, forgotten });
        Ok(())
    }

    /// Puts a state in place of what was read. Gives whether it was still there.
    async fn put(&mut self, target: &TargetName, state: Option<&[u8]>) -> Result<bool, CliError> {
        let repository = repository(&self.master)?;
        let Kept::Cloud { cloud, targets } = &mut self.kept else { return Ok(false) };
        let one = targets.get_mut(target).ok_or_else(|| {
            CliError::new(codes::STATE, format!("target {target}: its last applied state was not read"))
        })?;
        let event =
            Event::AppliedState { target: target.to_string(), version: one.version, sha256: state.map(Digest::of) };
        self.session.log.append(&event).map_err(|error| CliError::new(codes::AUDIT, error.to_string()))?;
        let written = cloud.client.keep_applied_state(repository, target, one.version, state).await;
        match written.map_err(|error| in_cloud(&error))? {
            Some(version) => {
                one.version = version;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// A problem with the cloud, for whoever asked it for a state.
fn in_cloud(error: &CloudError) -> CliError {
    let shown = CliError::from(error).at("the last applied state");
    match error {
        CloudError::Unauthorized(_) => {
            shown.help("the token needs the scope state: raito cloud token ci --scope state")
        }
        _ => shown,
    }
}

/// How the cloud knows a repository.
fn repository(master: &Master) -> Result<&str, CliError> {
    master.repository().ok_or_else(|| CliError::new(codes::USAGE, format!("{master} is no repository")))
}

/// Reads the state of a file, which must be there and be of this repository.
fn read_file(path: &Path, master: &Master) -> Result<Applied, CliError> {
    let bytes = files::read(path, limits::ACCESS_BYTES, codes::FILE)
        .map_err(|error| error.help("`raito access apply --state FILE` writes it"))?;
    parse(&files::shown(path), bytes, master)
}

/// Changes the state of a file, or of none that is there yet.
fn write_file(path: &Path, master: &Master, change: impl FnOnce(&mut Applied)) -> Result<(), CliError> {
    let before = if path.exists() { Some(read_file(path, master)?) } else { None };
    let mut all = before.clone().unwrap_or_else(|| Applied::new(master.to_string()));
    change(&mut all);
    if before.as_ref().is_some_and(|before| *before == all) || (before.is_none() && all.targets.is_empty()) {
        return Ok(());
    }
    files::replace_private(path, all.text().as_bytes())
}

fn parse(what: &str, bytes: Vec<u8>, master: &Master) -> Result<Applied, CliError> {
    let wrong = |reason: String| CliError::new(codes::FILE, format!("{what}: {reason}"));
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
    let applied = Applied::parse(&text).map_err(|error| wrong(error.to_string()))?;
    match applied.repository == master.to_string() {
        true => Ok(applied),
        false => Err(wrong(format!("it is of {}, and the files are of {master}", applied.repository))),
    }
}
