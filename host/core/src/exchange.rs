//! What a run and the cloud say to each other, besides the lines of uploads.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::checkpoint::SignedCheckpoint;
use crate::decide::DriftItem;
use crate::digest::Digest;
use crate::fault::Fault;
use crate::marker::Master;
use crate::record::{AccessControl, MemberKind};
use crate::step::Step;
use crate::text::{ConnectorName, ExternalId, Name, Remark, RunId, TargetName};
use crate::threshold::{OverThreshold, Thresholds};
use crate::upload::Receipt;

/// A run of one target begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunOpening {
    /// The run's id, chosen by the host.
    pub run: RunId,
    /// The source: the target's name.
    pub source: TargetName,
    /// The connector.
    pub connector: ConnectorName,
    /// Its version.
    pub version: Name,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// An upload of an earlier run whose receipt the host does not have, should it ask after one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<UploadId>,
}

/// Names one upload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UploadId {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: Step,
}

/// What the cloud knows that the run needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunOpened {
    /// The beginning of the newest statement that the cloud has, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_since_ms: Option<u64>,
    /// The instance of the target that the source is; none before the first one was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<ExternalId>,
    /// Whether the upload that the host asked after was taken in.
    #[serde(default)]
    pub unanswered_was_accepted: bool,
}

/// How an upload is to be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct UploadRules {
    /// When removing stops. A cloud that this host does not own stops at its own thresholds as
    /// well.
    pub thresholds: Thresholds,
    /// The number that a person typed to remove so many all the same. It does not lift the
    /// thresholds of a cloud that this host does not own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_removals: Option<u64>,
}

/// An access control that the cloud is master of, as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Desired {
    /// The cloud's id of it.
    pub id: Name,
    /// The version of what it is to be.
    #[serde(default)]
    pub version: u64,
    /// The id that the target gave it; none before it was created there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// What it is to be. `external-id` of the record is the cloud's id; `actual-name` is the name to create it with.
    pub control: AccessControl,
    /// The name under which a run was about to create it, where nobody knows whether it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<Name>,
    /// Whether it is to be deleted.
    #[serde(default)]
    pub delete: bool,
    /// Whether it is to be external again: it stays at the target as it is, and only the marker goes.
    #[serde(default)]
    pub hand_back: bool,
    /// As the target had it after the last change that was carried out; none before the first. What differs from it was
    /// changed by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Box<AccessControl>>,
    /// As runs were about to make it since then, oldest first, without anybody having heard what became of it: each of them may
    /// have been carried out. At most `limits::BEGUN_STATES`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub begun: Vec<AccessControl>,
}

impl Desired {
    /// Everything that a run of this master may have left at the target: as it was after the last change, and as runs were about
    /// to make it since.
    pub fn left(&self) -> impl Iterator<Item = &AccessControl> {
        self.applied.as_deref().into_iter().chain(&self.begun)
    }
}

/// What a source is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DesiredState {
    /// Who is master of it: this cloud.
    pub master: Master,
    /// Whether anything was ever carried out at this source, or begun.
    pub was_applied: bool,
    /// The instance of the target that the source is; none before the first one was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<ExternalId>,
    /// The access controls.
    pub controls: Vec<Desired>,
}

impl Default for DesiredState {
    /// Nothing, of a master that nobody is.
    fn default() -> Self {
        Self { master: Master::nobody(), was_applied: false, instance_id: None, controls: Vec::new() }
    }
}

impl DesiredState {
    /// The users among the members.
    pub fn users(&self) -> BTreeSet<ExternalId> {
        let who = self
            .controls
            .iter()
            .flat_map(|wanted| wanted.control.who.iter().chain(wanted.left().flat_map(|control| &control.who)));
        who.filter(|member| member.kind == MemberKind::User).map(|member| member.id.clone()).collect()
    }

    /// Whether a group is to be a member of anything.
    pub fn names_groups(&self) -> bool {
        let mut who = self.controls.iter().flat_map(|wanted| &wanted.control.who);
        who.any(|member| member.kind == MemberKind::Group)
    }
}

/// What became of a desired access control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Feedback {
    /// The cloud's id of it.
    pub id: Name,
    /// The version of what it was to be.
    #[serde(default)]
    pub version: u64,
    /// The id that the target gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The technical name that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_name: Option<Name>,
    /// The name under which it is about to be created: said before, so that a run that breaks off leaves no orphan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creating: Option<Name>,
    /// As it is about to be made: said before, so that what a run did that breaks off does not pass for somebody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Box<AccessControl>>,
    /// Whether the target now is as desired.
    pub synced: bool,
    /// Whether it was deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Remark>,
    /// What people should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Remark>,
    /// What somebody changed at the target by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<DriftItem>,
    /// As the target has it now, where that was read whole: from here on, what differs from it was changed by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Box<AccessControl>>,
}

impl Feedback {
    /// Feedback that says nothing yet.
    pub fn of(id: Name) -> Self {
        Self {
            id,
            version: 0,
            external_id: None,
            actual_name: None,
            creating: None,
            begins: None,
            synced: false,
            deleted: false,
            errors: Vec::new(),
            warnings: Vec::new(),
            drift: Vec::new(),
            applied: None,
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it was done.
    Completed,
    /// It did not complete; what it would have changed is as before.
    Failed,
    /// It was not begun.
    Skipped,
    /// Somebody stopped it.
    Interrupted,
}

impl Outcome {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not complete, or was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Remark>,
    /// Records that were read, or changes that were carried out.
    pub records: u64,
    /// What could not be read, counted.
    pub gaps: u64,
    /// What the cloud said of the upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Receipt>,
    /// Calls to the target.
    pub calls: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Peak bytes of the guest's memory.
    pub guest_memory_bytes: u64,
    /// What people should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Remark>,
}

/// A run of one target ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunClosing {
    /// How it ended.
    pub outcome: Outcome,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// The host's audit log up to here, signed; none where it could not be written any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<SignedCheckpoint>,
}

/// What the cloud keeps of a run that ended: its receipt for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RunClosed {
    /// The checkpoint that it keeps with the run, and gives to whoever may read the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<SignedCheckpoint>,
}

/// Why nothing of a target is taken for the source's: it is not the instance that the source is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "source {source_name} was instance {known} and now says that it is {given}: another instance is another source, so correct \
     the target's address, or give the target another name"
)]
pub struct OtherInstance {
    /// The name of the source.
    pub source_name: String,
    /// The instance that it was.
    pub known: String,
    /// The instance that it says it is.
    pub given: String,
}

/// Why the cloud did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// It cannot be reached, or broke off.
    #[error("the cloud cannot be reached: {0}")]
    Unreachable(String),
    /// It does not accept the token.
    #[error("the cloud refuses the token: {0}")]
    Unauthorized(String),
    /// It refuses to remove so much.
    #[error("{0}")]
    OverThreshold(OverThreshold),
    /// It does not accept what it was sent.
    #[error("the cloud refuses that: {0}")]
    Refused(Fault),
    /// It failed.
    #[error("the cloud failed: {0}")]
    Failed(String),
    /// It is the embedded one, and the disk of the state directory has no room.
    #[error("the embedded cloud cannot write: {0}")]
    NoRoom(String),
}
