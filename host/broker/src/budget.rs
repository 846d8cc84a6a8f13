//! Budgets: how much may pass, counted for a slot of a run, and how much one request may hold in memory.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// The memory that the answers to one request share, however many calls it has.
#[derive(Debug, Default)]
pub(crate) struct Room {
    taken: AtomicUsize,
}

impl Room {
    /// A place in it that takes nothing yet.
    pub(crate) fn share(&self) -> Share<'_> {
        Share { room: self, taken: 0 }
    }
}

/// What one answer takes of the room. Dropped without `keep`, it is given back.
#[derive(Debug)]
pub(crate) struct Share<'r> {
    room: &'r Room,
    taken: usize,
}

impl Share<'_> {
    /// Takes room for bytes that are about to be kept.
    ///
    /// # Errors
    /// A refusal where all answers together would have more than `limits::SEND_ANSWER_BYTES`.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.taken += bytes;
        let total = self.room.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if total > limits::SEND_ANSWER_BYTES {
            let max = limits::SEND_ANSWER_BYTES >> 20;
            let message = format!("the answers to one send-all have more than {max} MiB together: send fewer at once");
            return Err(Fault::denied(message));
        }
        Ok(())
    }

    /// Leaves the room taken: the answer stays in memory until all of them are there.
    pub(crate) fn keep(mut self) {
        self.taken = 0;
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

fn over(what: &str, max: u64) -> Fault {
    Fault::denied(format!("more than {} MiB {what} through this slot in one run", max >> 20))
}
