//! The frames of what a server says, looked at before the client library gets them.
//!
//! A message is a byte for its kind, four bytes for its length, which counts itself, and its body (PostgreSQL manual, "Frontend/
//! Backend Protocol", message formats of version 3.0). The library holds a message until all of it is there, whatever length
//! it announces; it keeps settings and notices as they come, and asks the server about types that it does not know for as long as
//! it is told of others. So what a server may say is bounded here, inside of TLS, before anything of it is held.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use raito_core::limits;
use raito_core::ports::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

/// `DataRow`: a row of a result.
const DATA_ROW: u8 = b'D';
/// `ParameterStatus`: a setting of the server, which the library keeps.
const PARAMETER_STATUS: u8 = b'S';
/// `ReadyForQuery`: the end of an answer.
const READY_FOR_QUERY: u8 = b'Z';

/// How much a server said on one connection.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Bytes since a statement began, but for the rows that are read.
    said: AtomicU64,
    /// Answers since then.
    answers: AtomicU32,
    /// Bytes of settings.
    settings: AtomicU64,
    /// Whether rows are read, which are counted by who reads them.
    rows: AtomicBool,
    /// The bound that was broken.
    broken: OnceLock<String>,
}

impl Meter {
    /// Begins to count for a statement of the host or of the vocabulary.
    pub(super) fn begin(&self) {
        self.said.store(0, Ordering::Relaxed);
        self.answers.store(0, Ordering::Relaxed);
        self.rows.store(false, Ordering::Relaxed);
    }

    /// Expects rows, as many as there are: the library takes them only as fast as they are read.
    pub(super) fn expect_rows(&self) {
        self.rows.store(true, Ordering::Relaxed);
    }

    /// The bound that the server broke, in words.
    pub(super) fn broken(&self) -> Option<&str> {
        self.broken.get().map(String::as_str)
    }

    /// Counts a message that is announced with this kind and length.
    fn count(&self, kind: u8, length: u32) -> Result<(), String> {
        let bytes = u64::from(length);
        if length < 4 {
            return Err("the server announces a message without a length".into());
        }
        if bytes > limits::SQL_MESSAGE_BYTES {
            let max = limits::SQL_MESSAGE_BYTES;
            return Err(format!("the server announces a message of {bytes} bytes, and at most {max} are allowed"));
        }
        if kind == PARAMETER_STATUS {
            within(&self.settings, bytes, limits::SQL_SETTINGS_BYTES, "of settings on one connection")?;
        }
        if kind == READY_FOR_QUERY && self.answers.fetch_add(1, Ordering::Relaxed) >= limits::SQL_ANSWERS {
            let max = limits::SQL_ANSWERS;
            return Err(format!("more than {max} questions about one statement: cast its columns to text"));
        }
        if kind == DATA_ROW && self.rows.load(Ordering::Relaxed) {
            return Ok(());
        }
        within(&self.said, bytes, limits::SQL_SAID_BYTES, "besides the rows of one statement")
    }
}

fn within(total: &AtomicU64, bytes: u64, max: u64, what: &str) -> Result<(), String> {
    if total.fetch_add(bytes, Ordering::Relaxed) + bytes > max {
        return Err(format!("the server says more than {} MiB {what}", max >> 20));
    }
    Ok(())
}

/// A connection whose server is measured.
pub(super) struct Frames<S> {
    stream: S,
    meter: Arc<Meter>,
    /// The beginning of a message, as far as it came.
    header: [u8; 5],
    came: usize,
    /// Bytes of the body that are still to come.
    body: usize,
}

impl<S> Frames<S> {
    /// Measures what comes from now on, which begins with a message.
    pub(super) fn new(stream: S, meter: Arc<Meter>) -> Self {
        Self { stream, meter, header: [0; 5], came: 0, body: 0 }
    }

    /// Follows the frames through bytes that came.
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while let Some(first) = bytes.first() {
            if self.body > 0 {
                let passed = self.body.min(bytes.len());
                self.body -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            self.header[self.came] = *first;
            self.came += 1;
            bytes = &bytes[1..];
            if self.came == self.header.len() {
                self.came = 0;
                let [kind, length @ ..] = self.header;
                let length = u32::from_be_bytes(length);
                self.meter.count(kind, length)?;
                // It counts its own four bytes, and is bounded by a small number.
                self.body = usize::try_from(length - 4).unwrap_or(usize::MAX);
            }
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(reason) = self.meter.broken() {
            return Poll::Ready(Err(io::Error::other(reason.to_owned())));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        if let Poll::Ready(Ok(())) = &read
            && let Err(reason) = self.follow(&buf.filled()[before..])
        {
            let error = io::Error::other(reason.clone());
            let _ = self.meter.broken.set(reason);
            return Poll::Ready(Err(error));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Frames<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// A handshake of TLS behind which the server is measured.
pub(super) struct Measured<T> {
    pub(super) handshake: T,
    pub(super) meter: Arc<Meter>,
}

impl<S, T> TlsConnect<S> for Measured<T>
where
    T: TlsConnect<S>,
    T::Future: Send + 'static,
{
    type Stream = Frames<T::Stream>;
    type Error = T::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        let (handshake, meter) = (self.handshake.connect(stream), self.meter);
        Box::pin(async move { Ok(Frames::new(handshake.await?, meter)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames<()> {
        Frames::new((), Arc::new(Meter::default()))
    }

    fn message(kind: u8, body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 4).expect("a short body");
        [&[kind][..], &length.to_be_bytes(), &vec![b'x'; body]].concat()
    }

    #[test]
    fn frames_are_followed_wherever_they_are_cut() {
        let bytes = [message(b'T', 30), message(b'D', 0), message(b'Z', 1), message(b'N', 5)].concat();
        for cut in 1..bytes.len() {
            let mut frames = frames();
            for piece in bytes.chunks(cut) {
                assert_eq!(frames.follow(piece), Ok(()), "{cut}");
            }
            assert_eq!((frames.came, frames.body), (0, 0), "{cut}");
            assert_eq!(frames.meter.said.load(Ordering::Relaxed), 36 + 16, "{cut}");
            assert_eq!(frames.meter.answers.load(Ordering::Relaxed), 1, "{cut}");
        }
    }

    #[test]
    fn a_message_is_refused_when_it_is_announced() {
        for length in [0, 3, u32::MAX, u32::try_from(limits::SQL_MESSAGE_BYTES).expect("small") + 1] {
            let announced = [&[DATA_ROW][..], &length.to_be_bytes()].concat();
            assert!(frames().follow(&announced).is_err(), "{length}");
        }
        let longest = u32::try_from(limits::SQL_MESSAGE_BYTES).expect("small").to_be_bytes();
        assert_eq!(frames().follow(&[&[DATA_ROW][..], &longest].concat()), Ok(()));
    }

    #[test]
    fn rows_that_are_expected_are_not_counted_and_a_statement_begins_anew() {
        let mut frames = frames();
        let row = message(DATA_ROW, 1 << 20);
        frames.meter.expect_rows();
        assert!((0..64).all(|_| frames.follow(&row).is_ok()));
        frames.meter.begin();
        assert!((0..64).any(|_| frames.follow(&row).is_err()), "nobody reads these");
        frames.meter.begin();
        assert!((0..=limits::SQL_ANSWERS).any(|_| frames.follow(&message(READY_FOR_QUERY, 1)).is_err()));
        let setting = message(PARAMETER_STATUS, 1_000);
        let told = (0..).take_while(|_| {
            frames.meter.begin();
            frames.follow(&setting).is_ok()
        });
        assert!(told.count() <= 1_049, "settings are kept for as long as the connection lives");
    }
}
