//! Starting worker processes, and seeing them off.
//!
//! All of it is done by one thread that lives as long as the program. A worker asks the kernel to be killed when its parent ends,
//! and the kernel takes the thread that started it for its parent; the threads of a runtime come and go.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use raito_core::limits;
use tokio::sync::oneshot;

/// Which program is started as a worker.
#[derive(Debug, Clone)]
pub struct Launcher {
    /// The program.
    pub program: PathBuf,
    /// What it is told, before the number of this process.
    pub arguments: Vec<OsString>,
    /// The whole of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// What its workers may take.
    pub bounds: Bounds,
}

/// What a worker may take of its host. Those of the product are of `limits`; tests take less, to see what happens beyond.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Wall time until it has confined itself.
    pub start_wall: Duration,
    /// Wall time of looking into a component.
    pub inspect_wall: Duration,
    /// Wall time of compiling a component.
    pub compile_wall: Duration,
    /// Wall time of one call of a guest, with everything that it waits for.
    pub call_wall: Duration,
    /// Requests to the broker in one step.
    pub step_requests: u64,
    /// Bytes of its messages in one step.
    pub step_bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            start_wall: limits::WORKER_START,
            inspect_wall: limits::INSPECT_WALL,
            compile_wall: limits::COMPILE_WALL,
            call_wall: limits::CALL_WALL,
            step_requests: limits::WORKER_REQUESTS,
            step_bytes: limits::WORKER_STEP_BYTES,
        }
    }
}

impl Launcher {
    /// This program itself, also where its file was replaced meanwhile. `environment` is all that a worker has of one.
    pub fn this_program(environment: &[(&str, &str)]) -> Self {
        Self {
            program: "/proc/self/exe".into(),
            arguments: vec![crate::SUBCOMMAND.into()],
            environment: environment.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            bounds: Bounds::default(),
        }
    }

    /// Starts a worker: the process, and this end of its channel.
    pub(crate) async fn start(&self) -> io::Result<(Started, tokio::net::UnixStream)> {
        let (here, there) = UnixStream::pair()?;
        here.set_nonblocking(true)?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg(std::process::id().to_string());
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir("/");
        // Of a group of its own, so that an interrupt typed at the terminal reaches the host only, which ends in good order.
        command.process_group(0);
        command.stdin(Stdio::from(OwnedFd::from(there))).stdout(Stdio::null()).stderr(Stdio::null());
        let (answer, started) = oneshot::channel();
        order(Order::Start(Box::new(command), answer))?;
        let child = started.await.map_err(|_| gone())??;
        Ok((Started(Some(child)), tokio::net::UnixStream::from_std(here)?))
    }
}

/// A process that was started. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Started(Option<Child>);

impl Started {
    /// None at all.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Kills it, and says how it ended: by itself, where it had ended already.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        let (answer, ended) = oneshot::channel();
        order(Order::End(self.0.take()?, Some(answer))).ok()?;
        ended.await.ok()?
    }

    /// The process's number.
    pub(crate) fn id(&self) -> Option<u32> {
        self.0.as_ref().map(Child::id)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            // Without that thread nothing was started.
            let _ = order(Order::End(child, None));
        }
    }
}

/// What the thread does.
enum Order {
    Start(Box<Command>, oneshot::Sender<io::Result<Child>>),
    End(Child, Option<oneshot::Sender<Option<ExitStatus>>>),
}

/// Has the thread do something.
fn order(order: Order) -> io::Result<()> {
    static THREAD: OnceLock<Option<Sender<Order>>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (sender, orders) = channel();
        let carry_out = move || orders.into_iter().for_each(Order::carry_out);
        std::thread::Builder::new().name("workers".into()).spawn(carry_out).ok().map(|_| sender)
    });
    thread.as_ref().and_then(|thread| thread.send(order).ok()).ok_or_else(gone)
}

impl Order {
    fn carry_out(self) {
        match self {
            // A process that nobody waits for any more is dropped with the answer, and so must be ended here.
            Self::Start(mut command, answer) => {
                if let Err(Ok(child)) = answer.send(command.spawn()) {
                    Self::End(child, None).carry_out();
                }
            }
            Self::End(mut child, answer) => {
                // One that has ended cannot be killed any more, which is as good.
                let _ = child.kill();
                let status = child.wait().ok();
                if let Some(answer) = answer {
                    let _ = answer.send(status);
                }
            }
        }
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that starts processes cannot be made")
}
