//! The body of an answer: read whole or in pieces, and bounded either way.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use raito_core::fault::{Fault, FaultKind};
use raito_core::leak::{Stream, Watch};
use raito_core::limits;
use zeroize::Zeroizing;

use crate::budget::{Share, SlotBudget};
use crate::told::CallError;

/// A body that has not been read to its end, or is not given on to its end. What of it may still turn out to be the
/// beginning of a secret is held back until more came.
pub(crate) struct OpenBody {
    response: reqwest::Response,
    watch: Arc<Watch>,
    stream: Stream,
    /// What came and was not given yet.
    rest: BytesMut,
    /// All that came, as long as that is little.
    all: Option<Zeroizing<Vec<u8>>>,
    ended: bool,
    pub(crate) read: u64,
}

impl OpenBody {
    pub(crate) fn new(response: reqwest::Response, watch: Arc<Watch>) -> Self {
        let stream = watch.stream();
        let all = Some(Zeroizing::default());
        Self { response, watch, stream, rest: BytesMut::new(), all, ended: false, read: 0 }
    }

    /// The next bytes as they come, searched; none at the end.
    async fn chunk(&mut self, budget: &SlotBudget, max: u64) -> Result<Option<Bytes>, CallError> {
        let broken = |error: reqwest::Error| {
            let why = if error.is_timeout() { "comes too slowly" } else { "breaks off" };
            Fault::new(FaultKind::Unavailable, format!("an answer {why} after {} bytes", self.read))
        };
        let chunk = self.response.chunk().await.map_err(broken)?;
        let Some(bytes) = chunk else {
            return self.stream.end().map_or(Ok(None), |leak| Err(CallError::Leak(leak)));
        };
        self.read += bytes.len() as u64;
        if self.read > max {
            return Err(Fault::denied(format!("an answer has more than {max} bytes")).into());
        }
        budget.download(bytes.len() as u64)?;
        self.stream.feed(&bytes).map_or(Ok(Some(bytes)), |leak| Err(CallError::Leak(leak)))
    }

    /// All of it, as long as there is room for it.
    pub(crate) async fn read_whole(
        &mut self,
        budget: &SlotBudget,
        share: &mut Share<'_>,
    ) -> Result<Vec<u8>, CallError> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.chunk(budget, limits::HTTP_BODY_BYTES as u64).await? {
            share.take(bytes.len())?;
            whole.extend_from_slice(&bytes);
        }
        whole.shrink_to_fit();
        Ok(whole)
    }

    /// The next piece of at most `max` bytes; none at the end.
    pub(crate) async fn read_piece(&mut self, budget: &SlotBudget, max: u32) -> Result<Option<Vec<u8>>, CallError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX).clamp(1, limits::HTTP_PIECE_BYTES);
        // A token may have been fetched since the last piece.
        if let Some(leak) = self.watch.refresh(&mut self.stream, &self.rest) {
            return Err(leak.into());
        }
        while !self.ended && self.rest.len() <= self.stream.holdback() {
            match self.chunk(budget, limits::HTTP_STREAM_BYTES).await? {
                Some(bytes) => {
                    self.rest.extend_from_slice(&bytes);
                    self.all.take_if(|all| all.len() + bytes.len() > limits::LEAK_FIELDS_BYTES);
                    self.all.iter_mut().for_each(|all| all.extend_from_slice(&bytes));
                }
                None => self.ended = true,
            }
        }
        let held = if self.ended { 0 } else { self.stream.holdback() };
        let free = self.rest.len().saturating_sub(held);
        if free == 0 {
            return Ok(None);
        }
        Ok(Some(self.rest.split_to(free.min(max)).to_vec()))
    }

    /// A small body as a whole, once its end is known: before its last piece is given on, because
    /// that is held back until then.
    pub(crate) fn small(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        if self.ended { self.all.take() } else { None }
    }
}
