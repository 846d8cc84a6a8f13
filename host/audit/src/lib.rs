//! The audit log: append-only lines of JSON, each carrying the digest of the one before.
//!
//! `Log` writes, and refuses to go on when it cannot: whatever would not be on record does not happen. `verify` reads, and
//! says the first line that is not what was written. Whoever has the file, `sha256sum` and a JSON reader can do the same;
//! `host/docs/architecture.md` says how.

mod head;
mod log;
mod read;
mod verify;

pub use log::{Log, OpenError};
pub use read::{Line, ReadError, lines};
pub use verify::{Report, RunReport, VerifyError, verify};

/// The log's file in its folder.
pub const LOG_FILE: &str = "log.jsonl";
/// The file with the key under which values that may be personal are digested.
pub const KEY_FILE: &str = "key";
/// The file that says how far the log went when it was last known to be whole.
pub const HEAD_FILE: &str = "head.json";
