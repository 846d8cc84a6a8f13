//! What a connection is doing, and until when it may.
//!
//! A connection is idle until the first byte of a request, reads its head, and is busy until the
//! answer was given. A client decides how long each of these takes, so each has a bound.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use raito_core::limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for a request.
    Idle,
    /// Bytes of a request have arrived, and its head is not complete.
    Head,
    /// A request is worked on, or its answer is being sent.
    Busy,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the client takes nothing of what is sent.
    stalled: Option<Instant>,
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

/// A request that is worked on; dropping it ends that.
pub(super) struct Busy(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { phase: Phase::Idle, since: Instant::now(), stalled: None })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_to(&self, phase: Phase, now: Instant) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, now);
    }

    /// Says that the head of a request is complete.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.turn_to(Phase::Busy, Instant::now());
        Busy(Arc::clone(self))
    }

    fn received(&self, now: Instant) {
        let is_first = self.state().phase == Phase::Idle;
        if is_first {
            self.turn_to(Phase::Head, now);
        }
    }

    fn sent(&self, is_taken: bool, now: Instant) {
        let mut state = self.state();
        state.stalled = if is_taken { None } else { state.stalled.or(Some(now)) };
    }

    /// Until when it may go on like this. A request that the server works on has no end here: its
    /// body and its work have bounds of their own.
    pub(super) fn deadline(&self) -> Instant {
        let state = self.state();
        match (state.phase, state.stalled) {
            (Phase::Idle, _) => state.since + limits::CLOUD_IDLE,
            (Phase::Head, _) => state.since + limits::CLOUD_HEAD,
            (Phase::Busy, Some(stalled)) => stalled + limits::CLOUD_PIECE,
            (Phase::Busy, None) => Instant::now() + NO_END,
        }
    }

    /// Since when no request is worked on; none while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.phase != Phase::Busy).then_some(state.since)
    }
}

/// A deadline that is always set anew before it is over.
const NO_END: Duration = Duration::from_secs(24 * 60 * 60);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.turn_to(Phase::Idle, Instant::now());
    }
}

/// A stream whose activity is seen.
pub(super) struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, into))?;
        if into.filled().len() > before {
            self.activity.received(Instant::now());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.sent(written.is_ready(), Instant::now());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.activity.sent(written.is_ready(), Instant::now());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phase_has_its_bound_and_only_a_request_that_is_worked_on_has_none() {
        let (activity, now) = (Activity::new(), Instant::now());
        let later = |seconds: u64| now + Duration::from_secs(seconds);
        activity.turn_to(Phase::Idle, now);
        assert_eq!(activity.deadline(), now + limits::CLOUD_IDLE);
        activity.received(later(10));
        assert_eq!(activity.deadline(), later(10) + limits::CLOUD_HEAD);
        activity.received(later(20));
        assert_eq!(activity.deadline(), later(10) + limits::CLOUD_HEAD, "more of a head buys no time");
        assert_eq!(activity.idle_since(), Some(later(10)), "a head that is not complete is no request");
        let busy = activity.begin();
        activity.received(later(30));
        assert_eq!(activity.idle_since(), None);
        assert!(activity.deadline() > later(3_600));
        activity.sent(false, later(40));
        activity.sent(false, later(50));
        assert_eq!(activity.deadline(), later(40) + limits::CLOUD_PIECE);
        activity.sent(true, later(60));
        assert!(activity.deadline() > later(3_600), "the client has taken something");
        drop(busy);
        let since = activity.idle_since().expect("it waits for the next request");
        assert_eq!(activity.deadline(), since + limits::CLOUD_IDLE);
    }
}
