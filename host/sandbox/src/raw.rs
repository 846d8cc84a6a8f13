//! What a guest is asked and what it answers, before anything of it is checked: the contract's own values.
//!
//! These values may cross a process boundary, and whoever answers them may be anybody. `checked` turns them into records,
//! in the same way wherever the guest runs. They are for that one crossing: both ends are always the same build.

use raito_core::fault::{LimitHit, StepFault};
use raito_core::limits;
use raito_core::ports::{BoxFuture, GuestUse};
use raito_core::text;
use serde::{Deserialize, Serialize};

use crate::bindings::exports::raito::connector as exports;
use crate::bindings::raito::connector::types;
use crate::host::host_fault;

/// What a guest is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// Describe the target.
    Describe(types::Context),
    /// Open a reader.
    Open(Reader, types::Context),
    /// The reader's next page.
    Next,
    /// What the pages of step 5 cover.
    Coverage,
    /// Carry out changes.
    Apply(types::Context, Vec<exports::access_to_target::ChangeSet>),
}

/// Which reader to open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reader {
    /// Of step 1.
    IdentityStore,
    /// Of step 2, whole or below an object.
    DataSource(Option<String>),
    /// Of step 3.
    AccessFromTarget,
    /// Of step 5, from a time on.
    DataUsage(Option<u64>),
}

/// What a guest answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Answer {
    /// The target's description.
    Described(exports::data_source::Description),
    /// A reader is open.
    Opened,
    /// A page; none at the end.
    Page(Option<Page>),
    /// What the pages cover.
    Coverage(Option<exports::data_usage::Coverage>),
    /// What became of each change-set.
    Applied(Vec<exports::access_to_target::Applied>),
}

/// A page of any reading step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Page {
    /// Of step 1.
    Identities(exports::identity_store::Page),
    /// Of step 2.
    Objects(exports::data_source::Page),
    /// Of step 3.
    Access(exports::access_from_target::Page),
    /// Of step 5.
    Usage(exports::data_usage::Page),
}

/// Why a guest did not answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Failure {
    /// It said so.
    Fault(types::Fault),
    /// It trapped.
    Trap(String),
    /// It used up what it had.
    Limit(Limit),
}

/// What a guest can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// Bytes of its memories.
    Memory,
    /// Elements of its tables.
    TableElements,
    /// Handles of bodies, rows and entries.
    Handles,
    /// Its stack.
    Stack,
    /// Processor time of one call.
    Processor,
    /// Bytes handed over in one call.
    Data,
}

impl From<Limit> for LimitHit {
    fn from(limit: Limit) -> Self {
        let (what, allowed) = match limit {
            Limit::Memory => ("memory", format!("{} MiB", limits::GUEST_MEMORY_BYTES >> 20)),
            Limit::TableElements => ("table elements", limits::GUEST_TABLE_ELEMENTS.to_string()),
            Limit::Handles => ("resource handles", limits::GUEST_HANDLES.to_string()),
            Limit::Stack => ("stack", format!("{} KiB", limits::GUEST_STACK_BYTES >> 10)),
            Limit::Processor => ("processor time in one call", format!("{} s", limits::CALL_CPU.as_secs())),
            Limit::Data => ("data in one call", format!("{} MiB", limits::HOSTCALL_BYTES >> 20)),
        };
        Self { what, allowed }
    }
}

impl From<Failure> for StepFault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => Self::Fault(host_fault(fault)),
            Failure::Trap(message) => Self::Trap { message: text::excerpt(&message, 200) },
            Failure::Limit(limit) => Self::Limit(limit.into()),
        }
    }
}

/// A guest that answers in the contract's own values, wherever it runs.
pub trait Raw: Send {
    /// Asks it. A future that is dropped before its end leaves the guest unusable.
    ///
    /// # Errors
    /// What the guest said instead of an answer, or what ended it.
    fn ask(&mut self, ask: Ask) -> BoxFuture<'_, Result<Answer, StepFault>>;
    /// What it used so far.
    fn used(&self) -> GuestUse;
}
