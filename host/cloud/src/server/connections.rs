//! Connections of clients: as many as there may be, each for as long as its client does something.
//!
//! A connection shares everything with the others but its buffers. Where there are as many as may
//! be, those that are idle longest make room for new ones; where none is, the new one is told to
//! come back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AnyBody;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use raito_core::limits;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::Service as _;

use super::activity::{Activity, Watched};
use super::held::Held;
use super::patience::{Patience, Patient};

/// Where clients come from.
pub(super) trait Listener: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for the next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = tokio::net::TcpStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        let (stream, _) = self.accept().await?;
        // Answers are written as a whole. Where this is not possible, they take longer.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn next(&self) -> io::Result<Self::Stream> {
        Ok(self.accept().await?.0)
    }
}

/// How many connections are closed at once to make room: looking for them looks at all.
const CLOSED_AT_ONCE: usize = 64;
/// Time for which nobody looks again where none could be closed.
const NONE_TO_CLOSE: Duration = Duration::from_millis(100);
/// Time before the next try where the system has no descriptor for a connection.
const AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Connections that are told to come back at the same time; more are closed without a word.
const REFUSED_AT_ONCE: usize = 64;
/// Time that one of them has to take that.
const REFUSING: Duration = Duration::from_secs(1);

/// The connections of one listener.
struct Connections {
    most: usize,
    open: Mutex<Open>,
    refusing: Arc<Semaphore>,
}

#[derive(Default)]
struct Open {
    number: u64,
    all: HashMap<u64, Entry>,
    /// When it was found out that none can be closed.
    none_to_close: Option<Instant>,
}

struct Entry {
    activity: Arc<Activity>,
    /// Closes the connection when it is dropped.
    _close: oneshot::Sender<Infallible>,
}

/// A connection among the others; dropping it leaves.
struct Entered {
    of: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
    closed: oneshot::Receiver<Infallible>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.of.open().all.remove(&self.number);
    }
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in; none where there are as many as may be, and none that is idle for
    /// long.
    fn enter(self: &Arc<Self>) -> Option<Entered> {
        let mut open = self.open();
        if open.all.len() >= self.most && !open.make_room() {
            return None;
        }
        open.number += 1;
        let (number, activity) = (open.number, Activity::new());
        let (close, closed) = oneshot::channel();
        open.all.insert(number, Entry { activity: Arc::clone(&activity), _close: close });
        Some(Entered { of: Arc::clone(self), number, activity, closed })
    }
}

impl Open {
    /// Closes those that are idle longest, and says whether there were any.
    fn make_room(&mut self) -> bool {
        let now = Instant::now();
        if self.none_to_close.is_some_and(|when| now - when < NONE_TO_CLOSE) {
            return false;
        }
        let is_long = |since: &Instant| now - *since >= limits::CLOUD_IDLE_AT_LEAST;
        let idle = |(number, entry): (&u64, &Entry)| Some((entry.activity.idle_since().filter(is_long)?, *number));
        let mut idle: Vec<(Instant, u64)> = self.all.iter().filter_map(idle).collect();
        idle.sort_unstable();
        idle.iter().take(CLOSED_AT_ONCE).for_each(|(_, number)| {
            self.all.remove(number);
        });
        self.none_to_close = idle.is_empty().then_some(now);
        !idle.is_empty()
    }
}

/// Serves a router to everybody who connects, at most `most` at a time, until it is to stop.
/// Requests that are worked on then have a while to end.
pub(super) async fn serve<L: Listener>(listener: L, router: Router, most: usize, stop: watch::Receiver<bool>) {
    let mut stopping = pin!(is_stopping(stop.clone()));
    let refusing = Arc::new(Semaphore::new(REFUSED_AT_ONCE));
    let connections = Arc::new(Connections { most, open: Mutex::default(), refusing });
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stopping => break,
            _ = tasks.join_next(), if !tasks.is_empty() => {}
            accepted = listener.next() => match accepted {
                Ok(stream) => match connections.enter() {
                    Some(entered) => {
                        tasks.spawn(converse(stream, router.clone(), entered, stop.clone()));
                    }
                    None => {
                        let Ok(turn) = Arc::clone(&connections.refusing).try_acquire_owned() else { continue };
                        tasks.spawn(async move {
                            refuse(stream).await;
                            drop(turn);
                        });
                    }
                },
                Err(error) if is_of_the_client(&error) => {}
                Err(error) => {
                    tracing::warn!("no connection can be taken: {error}");
                    connections.open().make_room();
                    sleep(AFTER_FAILURE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    if timeout(limits::CLOUD_LEAVE, ended).await.is_err() {
        tracing::warn!("requests that were worked on longer than {:?} are given up", limits::CLOUD_LEAVE);
    }
}

/// Waits until the server is to stop.
async fn is_stopping(mut stop: watch::Receiver<bool>) {
    // The sender is gone only where the server is, which means the same.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether a client went away before its connection was taken (accept(2)).
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Answers the requests of one connection.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    router: Router,
    mut entered: Entered,
    stop: watch::Receiver<bool>,
) {
    let activity = Arc::clone(&entered.activity);
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: Request<Incoming>| {
            let busy = activity.begin();
            let patience = Patience::default();
            let mut request = request.map(|body| AnyBody::new(Patient::new(body, patience.clone())));
            request.extensions_mut().insert(patience);
            let answer = router.clone().call(request);
            async move { answer.await.map(|answer| answer.map(|body| Held::new(body, busy))) }
        }
    });
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        .max_header_size(limits::CLOUD_HEAD_BYTES)
        .max_buf_size(limits::CLOUD_HEAD_BYTES)
        .serve_connection(TokioIo::new(Watched::new(stream, Arc::clone(&activity))), service);
    let mut connection = pin!(connection);
    let mut deadline = pin!(sleep_until(activity.deadline()));
    let mut stopping = pin!(is_stopping(stop));
    let mut is_told = false;
    let goes_on = poll_fn(|context| {
        // What ends a connection is no error of the server.
        if connection.as_mut().poll(context).is_ready() || Pin::new(&mut entered.closed).poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !is_told && stopping.as_mut().poll(context).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown();
            if connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        if is_told && activity.idle_since().is_some() {
            return Poll::Ready(());
        }
        // What was done just now may have moved it.
        if deadline.deadline() != activity.deadline() {
            deadline.as_mut().reset(activity.deadline());
        }
        deadline.as_mut().poll(context)
    });
    goes_on.await;
}

/// Says that there are too many connections. What the client sends is read for a moment: bytes that
/// nobody read would make the system take the answer back.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    const PROBLEM: &str = "{\"type\":\"busy\",\"title\":\"Service Unavailable\",\"status\":503,\
                           \"detail\":\"there are as many connections as may be: try again\"}";
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 5\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{PROBLEM}",
        PROBLEM.len()
    );
    let said = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1_024];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    };
    // Nobody is there to hear that it failed.
    let _ = timeout(REFUSING, said).await;
}

/// How many connections a port may have: as many as the system gives descriptors for. A process may
/// ask for more than it was given at first (getrlimit(2)).
pub(super) fn most_of_a_port() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = limits::CLOUD_CONNECTIONS as u64 + limits::CLOUD_DESCRIPTORS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut given = current.unwrap_or(u64::MAX);
    let more = wanted.min(maximum.unwrap_or(u64::MAX));
    if given < more && setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum }).is_ok() {
        given = more;
    }
    let most = given.saturating_sub(limits::CLOUD_DESCRIPTORS).clamp(1, limits::CLOUD_CONNECTIONS as u64);
    if most < limits::CLOUD_CONNECTIONS as u64 {
        tracing::warn!("at most {most} connections at a time: the system gives this process {given} descriptors");
    }
    usize::try_from(most).unwrap_or(limits::CLOUD_CONNECTIONS)
}
