//! Budgets: how much may pass, counted for a step and for a slot of a run.

use std::sync::atomic::{AtomicU64, Ordering};

use raito_core::fault::Fault;
use raito_core::limits;

/// What passed through one slot in one run.
#[derive(Debug, Default)]
pub(crate) struct SlotBudget {
    read_upload: AtomicU64,
    download: AtomicU64,
}

impl SlotBudget {
    /// Counts bytes that a read entry is about to send.
    pub(crate) fn upload(&self, bytes: u64) -> Result<(), Fault> {
        let total = self.read_upload.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > limits::READ_UPLOAD_BYTES {
            return Err(over("sent by read entries", limits::READ_UPLOAD_BYTES));
        }
        Ok(())
    }

    /// Counts bytes that came back.
    pub(crate) fn download(&self, bytes: u64) -> Result<(), Fault> {
        let total = self.download.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > limits::RUN_DOWNLOAD_BYTES {
            return Err(over("received", limits::RUN_DOWNLOAD_BYTES));
        }
        Ok(())
    }
}

fn over(what: &str, max: u64) -> Fault {
    Fault::denied(format!("more than {} MiB {what} through this slot in one run", max >> 20))
}
