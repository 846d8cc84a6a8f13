//! The ports: what the rules need of the world, as traits that the crates around core implement.
//!
//! Everything that passes through them is a plain value. That is where a process boundary can be put: a guest in a child
//! process talks to a broker in its parent through the same two enums.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::call::{Reply, Request};
use crate::checkpoint::SignedCheckpoint;
use crate::digest::Digest;
use crate::event::Event;
use crate::exchange::{
    CloudError, DesiredState, Feedback, RunClosed, RunClosing, RunOpened, RunOpening, UploadId, UploadRules,
};
use crate::fault::{Fault, StepFault};
use crate::plan::RecordedCall;
use crate::record::{AccessPage, Applied, ChangeSet, Coverage, Description, IdentityPage, ObjectPage, Page, UsagePage};
use crate::step::Step;
use crate::text::{ExternalId, Resume, RunId, TargetName};
use crate::upload::Receipt;
use crate::warrant::Warrants;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything that a guest may touch outside, for one step of one target.
pub trait Broker: Send + Sync {
    /// Answers one request, which a guest or a worker put together: nothing of it is checked yet, not even its bounds
    /// ([`Request::check`]).
    fn call(&self, request: Request) -> BoxFuture<'_, Reply>;
}

/// The time of day.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> u64;
}

/// The record of what happened could not be kept; whatever was to be recorded must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log cannot be written: {0}")]
pub struct LedgerError(pub String);

/// The record of what happens.
pub trait Ledger: Send + Sync {
    /// Appends an event. When this returns, a crash of this process no longer loses it.
    ///
    /// # Errors
    /// `LedgerError` where it was not written.
    fn append(&self, event: &Event) -> Result<(), LedgerError>;

    /// Waits until everything that was appended is on the disk.
    ///
    /// # Errors
    /// `LedgerError` where that failed.
    fn sync(&self) -> Result<(), LedgerError>;

    /// Signs everything that was appended so far, once it is on the disk.
    ///
    /// # Errors
    /// `LedgerError` where that failed.
    fn checkpoint(&self) -> Result<SignedCheckpoint, LedgerError>;

    /// A digest of a value that may be personal, under a key of the log's owner.
    fn pseudonym(&self, value: &[u8]) -> String;
}

/// What becomes of write entries.
#[derive(Debug, Clone)]
pub enum Writes {
    /// They are refused: this is a step that reads.
    Refused,
    /// Those that a change warrants are recorded and not sent: this is a plan.
    Recorded(Arc<Warrants>),
    /// Those that a change warrants are sent, as long as they are, one by one, those of the plan.
    Sent(Arc<Warrants>, Arc<[RecordedCall]>),
}

/// What passed through a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokerUse {
    /// Calls that were let through.
    pub calls: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Bytes that came back.
    pub received_bytes: u64,
    /// Log messages beyond the bound, which were dropped.
    pub log_dropped: u64,
}

/// The broker of one step.
pub trait StepBroker: Broker {
    /// What passed through so far.
    fn used(&self) -> BrokerUse;
    /// The first call that was refused.
    fn refusal(&self) -> Option<Fault>;
    /// What was withheld because it held a secret; the step must fail then, whatever the guest makes of it.
    fn leaked(&self) -> Option<String>;
    /// Why nothing is answered any more, after so much was refused; the step must fail then too.
    fn exceeded(&self) -> Option<Fault>;
    /// The write calls that were recorded.
    fn recorded(&self) -> Vec<RecordedCall>;
    /// The value that the target gave for a captured token.
    fn captured(&self, token: &str) -> Option<String>;
    /// Ends everything that is open: bodies, result sets, transactions.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The brokers of one target, which share connections, budgets and the connector's state.
pub trait TargetBroker: Send + Sync {
    /// The broker of a step.
    fn open(&self, step: Step, writes: Writes) -> Arc<dyn StepBroker>;
    /// Where the slots lead to, as guests are told.
    fn places(&self) -> Vec<Place>;
    /// Keeps what the connector left under `state` until it is known whether this upload was taken in.
    ///
    /// # Errors
    /// A sentence where it could not be written.
    fn stage_state(&self, upload: &UploadId) -> Result<(), String>;
    /// Says what became of the upload that state was kept for.
    ///
    /// # Errors
    /// A sentence where it could not be written.
    fn settle_state(&self, accepted: bool) -> Result<(), String>;
    /// The upload that state was kept for, where a crash left that open.
    fn unsettled(&self) -> Option<UploadId>;
}

/// Where a slot leads to, as the guest is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The slot.
    pub slot: String,
    /// What a call can choose from.
    pub at: Vec<String>,
    /// Whether write entries are granted.
    pub write: bool,
}

/// What a guest is told when a step is opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Context {
    /// All settings.
    pub settings: Vec<(String, String)>,
    /// All slots that are bound.
    pub places: Vec<Place>,
    /// Where to go on within the same run.
    pub resume: Option<Resume>,
}

/// Which reader to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// Step 1.
    IdentityStore,
    /// Step 2, whole or below an object.
    DataSource(Option<ExternalId>),
    /// Step 3.
    AccessFromTarget,
    /// Step 5, from a time on.
    DataUsage(Option<u64>),
}

impl Opening {
    /// The step that is opened.
    pub fn step(&self) -> Step {
        match self {
            Self::IdentityStore => Step::IdentityStore,
            Self::DataSource(_) => Step::DataSource,
            Self::AccessFromTarget => Step::AccessFromTarget,
            Self::DataUsage(_) => Step::DataUsage,
        }
    }
}

/// A page of any reading step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyPage {
    /// Of step 1.
    Identities(Page<IdentityPage>),
    /// Of step 2.
    Objects(Page<ObjectPage>),
    /// Of step 3.
    Access(Page<AccessPage>),
    /// Of step 5.
    Usage(Page<UsagePage>),
}

/// What a guest used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuestUse {
    /// Peak bytes of its memories.
    pub memory_bytes: u64,
    /// Processor time in epoch ticks.
    pub ticks: u64,
    /// Calls from the host into it.
    pub calls: u64,
}

/// One instance of a connector, for one step.
pub trait Guest: Send {
    /// Describes the target.
    fn describe(&mut self, context: Context) -> BoxFuture<'_, Result<Description, StepFault>>;
    /// Opens a reader.
    fn open(&mut self, opening: Opening, context: Context) -> BoxFuture<'_, Result<(), StepFault>>;
    /// The reader's next page; none at the end.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<AnyPage>, StepFault>>;
    /// What the pages of step 5 cover.
    fn coverage(&mut self) -> BoxFuture<'_, Result<Option<Coverage>, StepFault>>;
    /// Carries out changes.
    fn apply(&mut self, context: Context, changes: Vec<ChangeSet>) -> BoxFuture<'_, Result<Vec<Applied>, StepFault>>;
    /// What was used so far.
    fn used(&self) -> GuestUse;
}

/// A connector that was inspected, granted and compiled.
pub trait Connector: Send + Sync {
    /// Starts an instance for a step, with everything that it may touch.
    fn start(&self, step: Step, broker: Arc<dyn Broker>) -> BoxFuture<'_, Result<Box<dyn Guest>, StepFault>>;
    /// The digest of its bytes.
    fn digest(&self) -> Digest;
}

/// The control plane, embedded or remote.
pub trait Cloud: Send + Sync {
    /// Begins a run of one source.
    fn open_run(&self, opening: RunOpening) -> BoxFuture<'_, Result<RunOpened, CloudError>>;
    /// Begins the upload of a step.
    fn upload(&self, upload: UploadId, rules: UploadRules) -> BoxFuture<'_, Result<Box<dyn Upload>, CloudError>>;
    /// The access controls that the cloud is master of, for this source.
    fn desired(&self, source: TargetName) -> BoxFuture<'_, Result<DesiredState, CloudError>>;
    /// Says what became of them.
    fn feedback(&self, run: RunId, feedback: Vec<Feedback>) -> BoxFuture<'_, Result<(), CloudError>>;
    /// Ends a run, and gives what the cloud keeps of the record.
    fn close_run(&self, run: RunId, closing: RunClosing) -> BoxFuture<'_, Result<RunClosed, CloudError>>;
}

/// An upload in progress. Dropped without `finish`, nothing of it counts.
pub trait Upload: Send {
    /// Sends some lines.
    fn send(&mut self, lines: Vec<u8>) -> BoxFuture<'_, Result<(), CloudError>>;
    /// Waits until the cloud took everything in.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Receipt, CloudError>>;
}
