//! Bodies of requests that come too slowly.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use raito_core::limits;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a body may take. Whoever takes an upload in has more patience than others.
#[derive(Debug, Clone)]
pub(super) struct Patience(Arc<Mutex<Bound>>);

#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Time between two pieces.
    piece: Duration,
    end: Instant,
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(limits::CLOUD_PIECE, limits::CLOUD_BODY)
    }
}

impl Patience {
    fn of(piece: Duration, whole: Duration) -> Self {
        Self(Arc::new(Mutex::new(Bound { piece, end: Instant::now() + whole })))
    }

    /// Waits as long as the host may take for an upload.
    pub(super) fn for_an_upload(&self) {
        let end = Instant::now() + limits::UPLOAD_WALL;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Bound { piece: limits::UPLOAD_PIECE, end };
    }

    fn bound(&self) -> Bound {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body did not come in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body of the request comes too slowly")]
pub(super) struct TooSlow;

/// A body comes in pieces that are too small.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body of the request comes in pieces that are too small")]
struct TooSmall;

/// Whether this is what an error comes from.
pub(super) fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TooSlow>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// A body that ends with an error where it comes too slowly.
pub(super) struct Patient<B = Incoming> {
    body: B,
    patience: Patience,
    /// Since when nothing came.
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// Pieces that came, and their bytes.
    pieces: u64,
    bytes: u64,
}

impl<B> Patient<B> {
    pub(super) fn new(body: B, patience: Patience) -> Self {
        Self { body, patience, since: None, sleep: None, pieces: 0, bytes: 0 }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bound = self.patience.bound();
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let deadline = match &frame {
            Poll::Ready(_) => {
                self.since = None;
                bound.end
            }
            Poll::Pending => bound.end.min(*self.since.get_or_insert_with(Instant::now) + bound.piece),
        };
        if let Poll::Ready(frame) = frame {
            if let Some(Ok(piece)) = &frame {
                self.pieces += 1;
                self.bytes += piece.data_ref().map_or(0, |data| data.len() as u64);
            }
            if self.pieces > limits::BODY_PIECES && self.bytes < self.pieces * limits::BODY_PIECE_BYTES {
                return Poll::Ready(Some(Err(TooSmall.into())));
            }
            return Poll::Ready(match frame {
                Some(Ok(_)) if deadline <= Instant::now() => Some(Err(TooSlow.into())),
                frame => frame.map(|frame| frame.map_err(Into::into)),
            });
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(context).map(|()| Some(Err(TooSlow.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body as AnyBody;
    use futures_util::stream::{pending, repeat};
    use futures_util::{Stream, StreamExt as _};

    use super::*;

    /// What a body comes to.
    async fn read<S>(pieces: S, patience: Patience) -> Result<usize, axum::Error>
    where
        S: Stream<Item = Result<Bytes, Infallible>> + Send + 'static,
    {
        let patient = Patient::new(AnyBody::from_stream(pieces), patience);
        let mut stream = AnyBody::new(patient).into_data_stream();
        let mut bytes = 0;
        while let Some(piece) = stream.next().await {
            bytes += piece?.len();
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn a_body_that_stops_or_never_ends_is_given_up_and_no_other() {
        let soon = Duration::from_millis(20);
        let some = || repeat(Ok(Bytes::from_static(b"x"))).take(3);
        assert_eq!(read(some(), Patience::default()).await.ok(), Some(3));
        let stops = read(some().chain(pending()), Patience::of(soon, limits::CLOUD_BODY)).await;
        assert!(is_too_slow(&stops.expect_err("nothing comes any more")));
        let never_ends = repeat(Ok(Bytes::from_static(&[b'x'; 64])));
        let never_ends = read(never_ends, Patience::of(limits::CLOUD_PIECE, soon)).await;
        assert!(is_too_slow(&never_ends.expect_err("it never ends")));
        let both = read(pending(), Patience::of(limits::CLOUD_PIECE, soon)).await;
        assert!(is_too_slow(&both.expect_err("it does not begin")));
    }

    #[tokio::test]
    async fn a_body_in_tiny_pieces_is_refused_and_one_of_a_few_is_not() {
        let tiny = |pieces: usize| repeat(Ok(Bytes::from_static(b"x"))).take(pieces);
        let few = usize::try_from(limits::BODY_PIECES).expect("few");
        assert_eq!(read(tiny(few), Patience::default()).await.ok(), Some(few));
        let refused = read(tiny(few + 1), Patience::default()).await.expect_err("too many");
        assert!(!is_too_slow(&refused) && refused.to_string().contains("too small"), "{refused}");
        let large = repeat(Ok(Bytes::from_static(&[b'x'; 64]))).take(few + 1);
        assert_eq!(read(large, Patience::default()).await.ok(), Some(64 * (few + 1)));
    }

    #[test]
    fn an_upload_waits_as_long_as_a_page_of_a_target_may_take() {
        let patience = Patience::default();
        assert_eq!(patience.bound().piece, limits::CLOUD_PIECE);
        patience.clone().for_an_upload();
        let bound = patience.bound();
        assert!(bound.piece > limits::CALL_WALL && bound.end > Instant::now() + limits::STEP_WALL);
    }
}
