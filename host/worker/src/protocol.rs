//! What the host and a worker say to each other.
//!
//! The host speaks first only after `Ready`. From then on it asks and the worker answers; while the worker works on something, it
//! may ask the broker, one request at a time, and waits for the reply. There is one thing that a worker does unasked: behind an
//! answer that a reader is open, or a page that is not the last, it goes on with the next page. What it asks of the broker for
//! that page stays unread until the host wants the page, so that nothing happens, and nothing is on record, that would not be
//! without this.
//!
//! There are three kinds of workers: one that looks into a component, one that compiles it, and one
//! that runs it. The first two run nothing of it and end with their answer.
//!
//! A component, or its compiled code, follows the message that is about it as a frame of its own, so that tens of megabytes are
//! copied nowhere. Both ends are the same build, so there is one version and no negotiation.

use raito_core::call::{Reply, Request};
use raito_core::digest::Digest;
use raito_core::limits;
use raito_core::ports::GuestUse;
use raito_core::step::Step;
use raito_sandbox::{Answer, Ask, Failure, Outline};
use serde::{Deserialize, Serialize};

use crate::lockdown::Protections;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// From the host, which the worker trusts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Compile a component, give the code back, and end. Nothing of it is run. The component follows.
    Compile,
    /// Compile a component and get ready to run it. It follows.
    Load {
        /// What it imports.
        imports: Vec<String>,
    },
    /// Get ready to run what was compiled before: the code, as a worker gave it, follows, and behind it `Proved`.
    LoadCode {
        /// What the component imports.
        imports: Vec<String>,
        /// The component's digest.
        digest: Digest,
    },
    /// Start an instance for a step, in place of the one before.
    Start(Step),
    /// Ask the instance.
    Ask(Ask),
    /// The broker's reply to a request.
    Reply(Reply),
    /// The code that came is what a worker gave. Without this, nothing of it is loaded: it is proved on its way.
    Proved,
    /// Look into a component, say what it has to do with others, and end. Nothing of it is compiled
    /// or run. It follows.
    Inspect,
}

/// From a worker, which may be anybody.
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time, and it is taken apart at once")]
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToHost {
    /// It has confined itself, and saw nothing of a component yet.
    Ready {
        /// `VERSION`.
        version: u32,
        /// What protects the machine from it.
        protections: Protections,
    },
    /// It has compiled the component. The code follows.
    Code,
    /// It is ready to run.
    Loaded,
    /// The inspection, the compiler or the linker refuses the component.
    Refused(String),
    /// An instance was started.
    Started(Used),
    /// It answered.
    Answer(Answer, Used),
    /// It failed.
    Failed(Failure, Used),
    /// It asks the broker.
    Request(Request),
    /// It has looked into the component.
    Outline(Outline),
}

/// What a guest used, as its worker says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    memory_bytes: u64,
    ticks: u64,
}

impl Used {
    pub(crate) fn of(used: GuestUse) -> Self {
        Self { memory_bytes: used.memory_bytes, ticks: used.ticks }
    }

    /// The same within what is possible, with the calls that the host counted itself.
    pub(crate) fn believed(self, calls: u64) -> GuestUse {
        let ticks_max = limits::WORKER_CPU.as_millis() / limits::EPOCH_TICK.as_millis();
        GuestUse {
            memory_bytes: self.memory_bytes.min(limits::GUEST_MEMORY_BYTES as u64),
            ticks: self.ticks.min(u64::try_from(ticks_max).unwrap_or(u64::MAX)),
            calls,
        }
    }
}
