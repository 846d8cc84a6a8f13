//! The audit log: append-only lines of JSON, each carrying the digest of the one before.
//!
//! `Log` writes, and refuses to go on when it cannot: whatever would not be on record does not happen. It keeps a Merkle
//! tree over the lines and signs its root: a checkpoint. `verify` reads, and says what is not as it was written; held
//! against an anchor, a checkpoint that was kept elsewhere, also where all of it was written anew. `prove_line` and
//! `prove_growth` show somebody else a part of the log. `host/docs/audit.md` says how each can be checked without raito.

mod anchor;
mod chain;
mod checkpoints;
mod head;
mod keys;
mod log;
mod position;
mod prove;
mod read;
mod signature;
mod tree;
mod verify;

pub use anchor::{Anchor, Anchors, NotAnAnchor};
pub use checkpoints::{NoteError, checkpoints};
pub use log::{Log, OpenError};
pub use prove::{GrowthProof, LineProof, ProveError, prove_growth, prove_line};
pub use read::{Line, ReadError, lines};
pub use signature::{NotAKey, PublicKey, SignatureError};
pub use verify::{Report, RunReport, Source, VerifyError, public_key, verify};

/// The log's file in its folder.
pub const LOG_FILE: &str = "log.jsonl";
/// The file with the key under which values that may be personal are digested.
pub const KEY_FILE: &str = "key";
/// The file with the key that signs checkpoints: the 32 bytes of an Ed25519 private key (RFC 8032, section 5.1.5).
pub const SIGNING_KEY_FILE: &str = "signing-key";
/// The file with the public key of that.
pub const PUBLIC_KEY_FILE: &str = "public-key";
/// The file with the checkpoints.
pub const CHECKPOINTS_FILE: &str = "checkpoints";
/// The file that says how far the log went when it was last known to be whole.
pub const HEAD_FILE: &str = "head.json";
