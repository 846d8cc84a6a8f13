//! What goes on record: everything that crosses a border, as one event each.
//!
//! Events hold no secret. Values that may be personal (arguments of reads, log messages) stand as
//! keyed digests, which the log's owner can open for an auditor by handing over the key. Write
//! calls stand in full, or where the target says so, with keyed digests in place of members. Texts
//! that somebody else may have written a part of are searched
//! for secrets before they are kept.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::capability::{SlotSummary, StepState};
use crate::digest::Digest;
use crate::step::Step;
use crate::upload::Receipt;
use crate::vocabulary::Mode;

/// What a connector is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConnectorIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
}

/// Where in a run something happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Place {
    /// The target.
    pub target: String,
    /// The step.
    pub step: Step,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Event {
    /// A run begins.
    RunStart {
        /// Version of the host.
        host: String,
        /// Digest of the host's own program file, where it can be read.
        host_sha256: Option<Digest>,
        /// Digest of the configuration.
        configuration: Digest,
        /// Digest of the operator's ceiling; none where there is none.
        ceiling: Option<Digest>,
        /// Whether write calls are only recorded.
        dry_run: bool,
    },
    /// A target begins: what runs, and what it may use.
    TargetStart {
        /// The target.
        target: String,
        /// The run's id in the cloud.
        cloud_run: String,
        /// The connector.
        connector: ConnectorIdentity,
        /// What it may use.
        slots: BTreeMap<String, SlotSummary>,
        /// What becomes of each step.
        steps: BTreeMap<String, StepState>,
    },
    /// Where the connector of a target runs, and what protects the machine from it.
    Isolation {
        /// The target.
        target: String,
        /// `process` or `in-process`.
        isolation: String,
        /// The version of Landlock in force; none where there is none.
        landlock_abi: Option<u32>,
        /// Whether system calls are filtered.
        seccomp: bool,
    },
    /// A target was refused before anything of its connector ran.
    TargetRefused {
        /// The target.
        target: String,
        /// The connector's digest, where its file could be read.
        sha256: Option<Digest>,
        /// Why.
        reasons: Vec<String>,
    },
    /// A step begins.
    StepStart {
        /// Where.
        #[serde(flatten)]
        place: Place,
    },
    /// The host logged in to a database.
    Connect {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The slot.
        slot: String,
        /// The database.
        at: String,
        /// The login.
        user: String,
        /// The address that was connected to.
        address: String,
        /// How the connection is protected.
        tls: String,
    },
    /// A write call of a plan: it is recorded and not sent, so that people see what would be.
    PlannedCall {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The call's number in its step, from 1.
        call: u64,
        /// The slot.
        slot: String,
        /// The entry.
        entry: String,
        /// The chosen place.
        at: Option<String>,
        /// Keyed digest of the arguments.
        arguments: String,
        /// Bytes of the request.
        bytes: u64,
        /// The statement or request that would be sent.
        statement: String,
    },
    /// A call is about to leave. Written before it does.
    Call {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The call's number in its step, from 1.
        call: u64,
        /// The slot.
        slot: String,
        /// The entry.
        entry: String,
        /// Whether it changes the target.
        mode: Mode,
        /// The chosen place.
        at: Option<String>,
        /// Keyed digest of the arguments.
        arguments: String,
        /// Bytes of the request.
        bytes: u64,
        /// The statement or request of a write call, in full, because the record is kept to say who
        /// may do what. None for reads.
        #[serde(skip_serializing_if = "Option::is_none")]
        statement: Option<String>,
        /// The secret slots whose secrets are put in.
        secrets: Vec<String>,
    },
    /// A call of a plan of access code is about to be sent. Written for all of them before the first is.
    AccessChange {
        /// The target.
        target: String,
        /// The digest of the plan.
        plan: Digest,
        /// The commit that the files were taken from, where it is known.
        commit: Option<String>,
        /// The call's number in the plan, from 1.
        number: u64,
        /// The place that it goes to.
        at: Option<String>,
        /// The statement or request that will be sent, as the call that follows has it.
        statement: String,
    },
    /// What access code applied last is about to be kept in the cloud. Written before it is sent.
    AppliedState {
        /// The target.
        target: String,
        /// The version that it takes the place of; 0 where it is the first.
        version: u64,
        /// The digest of what is sent; none where it says that nobody can tell what was applied.
        sha256: Option<Digest>,
    },
    /// What came of a call. Written when its answer was read to the end or given up.
    Reply {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The call's number.
        call: u64,
        /// The status: a number of HTTP, `ok`, `abandoned` for rows that were not read to their end, or the class of the fault.
        status: String,
        /// Bytes of the answer.
        bytes: u64,
        /// How many times it was sent.
        attempts: u32,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// The address that was connected to.
        address: Option<String>,
        /// SHA-256 of the public key (SubjectPublicKeyInfo) that the other side proved to have; none without TLS.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<Digest>,
    },
    /// A token is about to be fetched. Written before the request leaves.
    TokenRequest {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The slot.
        slot: String,
        /// The secret slot that it is for.
        secret: String,
        /// The token endpoint.
        to: String,
    },
    /// What came of fetching a token.
    TokenReply {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The slot.
        slot: String,
        /// The secret slot.
        secret: String,
        /// The status: a number of HTTP, or the class of the fault.
        status: String,
        /// The address that was connected to.
        address: Option<String>,
    },
    /// Something held a secret, and was withheld. The step fails.
    Leak {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// What held it.
        what: String,
        /// The secret's name.
        secret: String,
        /// How it was written.
        form: String,
    },
    /// A call was refused.
    Denied {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The slot that the guest named.
        slot: String,
        /// The entry that it named.
        entry: String,
        /// Why, without values.
        reason: String,
    },
    /// The guest wrote a message.
    GuestLog {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// How much it matters.
        level: crate::call::LogLevel,
        /// Keyed digest of the message.
        message: String,
    },
    /// Records are about to be sent to the cloud.
    Batch {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// The page, from 1.
        page: u64,
        /// Lines.
        lines: u64,
        /// Bytes.
        bytes: u64,
        /// SHA-256 of those bytes.
        sha256: Digest,
    },
    /// The cloud confirmed an upload.
    Receipt {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// What it said.
        receipt: Receipt,
    },
    /// A limit was hit.
    Limit {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// What there was too much of.
        what: String,
        /// How much is allowed.
        allowed: String,
    },
    /// The guest trapped.
    Trap {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// What the runtime says.
        message: String,
    },
    /// A step ended.
    StepEnd {
        /// Where.
        #[serde(flatten)]
        place: Place,
        /// `completed`, `failed`, `skipped` or `interrupted`.
        outcome: String,
        /// Records that were read.
        records: u64,
        /// Calls that were made.
        calls: u64,
        /// How long it took, in milliseconds.
        duration_ms: u64,
        /// Peak bytes of the guest's memory.
        guest_memory_bytes: u64,
    },
    /// The cloud keeps a checkpoint of this log: an anchor that whoever has this log cannot take back.
    Anchored {
        /// The target.
        target: String,
        /// The run in the cloud that it is kept with.
        cloud_run: String,
        /// Lines that it covers.
        size: u64,
        /// The root hash over them, in base64.
        root: String,
    },
    /// A target ended.
    TargetEnd {
        /// The target.
        target: String,
        /// `completed`, `failed`, `refused` or `interrupted`.
        outcome: String,
    },
    /// A run ended.
    RunEnd {
        /// `completed`, `failed` or `interrupted`.
        outcome: String,
        /// The exit code.
        exit: u8,
    },
    /// The clock went back: the line before says that it was written later than now. Written once,
    /// when the log is opened.
    ClockBack {
        /// The time of the line before.
        before: String,
        /// How far the clock went back, in milliseconds.
        by_ms: u64,
    },
    /// The log was opened behind a line that was not complete, which was taken off.
    Recovered {
        /// Bytes that were taken off.
        bytes: u64,
        /// Their SHA-256.
        sha256: Digest,
    },
}

/// The kinds of events, as `kind` has them.
pub const KINDS: [&str; 26] = [
    "run-start",
    "target-start",
    "isolation",
    "target-refused",
    "step-start",
    "connect",
    "planned-call",
    "call",
    "access-change",
    "applied-state",
    "reply",
    "token-request",
    "token-reply",
    "leak",
    "denied",
    "guest-log",
    "batch",
    "receipt",
    "limit",
    "trap",
    "step-end",
    "anchored",
    "target-end",
    "run-end",
    "clock-back",
    "recovered",
];

impl Event {
    /// The texts that may hold what somebody else wrote.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::TargetRefused { reasons, .. } => reasons.iter_mut().collect(),
            Self::Denied { slot, entry, reason, .. } => vec![slot, entry, reason],
            Self::Trap { message, .. } => vec![message],
            Self::Connect { at, user, .. } => vec![at, user],
            Self::PlannedCall { slot, entry, at, statement, .. } => {
                [slot, entry, statement].into_iter().chain(at).collect()
            }
            Self::Call { slot, entry, at, statement, .. } => {
                [slot, entry].into_iter().chain(at).chain(statement).collect()
            }
            Self::AccessChange { statement, at, .. } => std::iter::once(statement).chain(at).collect(),
            Self::Reply { status, .. } | Self::TokenReply { status, .. } => vec![status],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_event_is_listed() {
        let source = include_str!("event.rs");
        let (_, variants) = source.split_once("pub enum Event {\n").expect("the enum");
        let (variants, _) = variants.split_once("\n}\n").expect("its end");
        let names = variants.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix(" {"));
        let kebab = |name: &str| {
            let lower = |letter: char| match letter.is_ascii_uppercase() {
                true => format!("-{}", letter.to_ascii_lowercase()),
                false => letter.to_string(),
            };
            name.chars().map(lower).collect::<String>().trim_start_matches('-').to_owned()
        };
        assert_eq!(names.map(kebab).collect::<Vec<_>>(), KINDS);
        let event = Event::Recovered { bytes: 1, sha256: Digest::ZERO };
        assert_eq!(serde_json::to_value(&event).expect("JSON")["kind"], "recovered");
    }
}
