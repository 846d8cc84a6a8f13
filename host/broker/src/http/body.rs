//! The body of an answer: read whole or in pieces, and bounded either way.

use bytes::Bytes;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;

use crate::budget::SlotBudget;

/// A body that has not been read to its end.
pub(crate) struct OpenBody {
    response: reqwest::Response,
    /// What of the last piece was not given yet.
    rest: Bytes,
    pub(crate) read: u64,
}

impl OpenBody {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, rest: Bytes::new(), read: 0 }
    }

    async fn chunk(&mut self, budget: &SlotBudget, max: u64) -> Result<Option<Bytes>, Fault> {
        let broken = |error: reqwest::Error| {
            let why = if error.is_timeout() { "comes too slowly" } else { "breaks off" };
            Fault::new(FaultKind::Unavailable, format!("an answer {why} after {} bytes", self.read))
        };
        let Some(bytes) = self.response.chunk().await.map_err(broken)? else { return Ok(None) };
        self.read += bytes.len() as u64;
        if self.read > max {
            return Err(Fault::denied(format!("an answer has more than {max} bytes")));
        }
        budget.download(bytes.len() as u64)?;
        Ok(Some(bytes))
    }

    /// All of it.
    pub(crate) async fn read_whole(&mut self, budget: &SlotBudget) -> Result<Vec<u8>, Fault> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk(budget, limits::HTTP_BODY_BYTES as u64).await? {
            whole.extend_from_slice(&bytes);
        }
        Ok(whole)
    }

    /// The next piece of at most `max` bytes; none at the end.
    pub(crate) async fn read_piece(&mut self, budget: &SlotBudget, max: u32) -> Result<Option<Vec<u8>>, Fault> {
        let max = usize::try_from(max).unwrap_or(usize::MAX).clamp(1, limits::HTTP_PIECE_BYTES);
        while self.rest.is_empty() {
            match self.chunk(budget, limits::HTTP_STREAM_BYTES).await? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        let piece = self.rest.split_to(max.min(self.rest.len()));
        Ok(Some(piece.to_vec()))
    }
}
