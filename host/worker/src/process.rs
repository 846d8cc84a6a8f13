//! The host's end of a worker: one process, its channel, and what is believed of it, which is nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use raito_core::fault::{LimitHit, StepFault};
use raito_core::limits;
use raito_sandbox::CompileError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::frame::{FrameError, Inbox, METER, decode, encode};
use crate::launch::{Launcher, Started};
use crate::lockdown::Protections;
use crate::protocol::{ToHost, ToWorker, VERSION};

/// Why there is no worker for a component.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The process does not start, or does not confine itself.
    #[error("the worker process cannot be started: {0}")]
    Start(String),
    /// The component cannot be run.
    #[error(transparent)]
    Component(#[from] CompileError),
}

/// What ended a conversation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The process, or its end of the channel.
    #[error("it ended")]
    Gone,
    /// It said something that it may not say.
    #[error("it sent {0}")]
    Hostile(String),
    /// It said too much of something.
    #[error("it sent more {} than it may", .0.what)]
    Flood(LimitHit),
}

impl Ended {
    /// Too many requests to the broker in one step.
    pub(crate) fn too_many_requests() -> Self {
        Self::Flood(LimitHit { what: "requests to the host", allowed: limits::WORKER_REQUESTS.to_string() })
    }

    /// Too many bytes in one step.
    fn too_many_bytes() -> Self {
        let allowed = format!("{} GiB", limits::WORKER_STEP_BYTES >> 30);
        Self::Flood(LimitHit { what: "bytes of messages to the host", allowed })
    }
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        Self::Hostile(error.to_string())
    }
}

/// A worker process that is ready.
pub(crate) struct Process {
    process: Started,
    channel: UnixStream,
    inbox: Inbox,
    outbox: Vec<u8>,
    /// Bytes of messages since the step began.
    received: u64,
    compile_wall: Duration,
    pub(crate) protections: Protections,
}

impl Process {
    /// Starts a process and waits until it has confined itself.
    pub(crate) async fn start(launcher: &Launcher) -> Result<Self, WorkerError> {
        let (process, channel) = launcher.start().await.map_err(|error| WorkerError::Start(error.to_string()))?;
        let mut worker = Self {
            process,
            channel,
            inbox: Inbox::default(),
            outbox: Vec::new(),
            received: 0,
            compile_wall: launcher.compile_wall,
            protections: Protections { landlock: crate::Landlock::Missing, seccomp: false },
        };
        match timeout(launcher.start_wall, worker.receive(limits::WORKER_MESSAGE_BYTES)).await {
            Ok(Ok(ToHost::Ready { version: VERSION, protections })) => {
                worker.protections = protections;
                Ok(worker)
            }
            Ok(Ok(_)) => Err(WorkerError::Start("it does not speak this version of the protocol".into())),
            Ok(Err(ended)) => Err(WorkerError::Start(worker.said(&ended).await)),
            Err(_) => Err(WorkerError::Start(format!("it says nothing for {:?}", launcher.start_wall))),
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: &ToWorker<'_>) -> Result<(), Ended> {
        encode(message, u32::MAX as usize, &mut self.outbox)?;
        self.channel.write_all(&self.outbox).await.map_err(|_| Ended::Gone)?;
        // Compiled code is sent once, and its size need not be kept for pages.
        if self.outbox.capacity() > limits::WORKER_MESSAGE_BYTES {
            self.outbox = Vec::new();
        }
        Ok(())
    }

    /// Receives a message of at most `max` bytes.
    pub(crate) async fn receive(&mut self, max: usize) -> Result<ToHost, Ended> {
        loop {
            if let Some(message) = self.inbox.take(max)? {
                self.received += message.len() as u64;
                if self.received > limits::WORKER_STEP_BYTES {
                    return Err(Ended::too_many_bytes());
                }
                return Ok(decode(&message, METER)?);
            }
            match self.channel.read_buf(self.inbox.room()).await {
                Ok(0) | Err(_) => return Err(Ended::Gone),
                Ok(_) => {}
            }
        }
    }

    /// Has the worker get a component ready, within the wall time of compiling.
    pub(crate) async fn load(&mut self, message: &ToWorker<'_>) -> Result<Vec<u8>, WorkerError> {
        let wall = self.compile_wall;
        let compiler = |message: String| WorkerError::Component(CompileError::Compile(message));
        let conversation = async {
            self.send(message).await?;
            self.receive(limits::CODE_BYTES + 16).await
        };
        match timeout(wall, conversation).await {
            Ok(Ok(ToHost::Loaded)) if !matches!(message, ToWorker::Compile(_)) => Ok(Vec::new()),
            Ok(Ok(ToHost::Code(code))) if matches!(message, ToWorker::Compile(_)) => Ok(code),
            Ok(Ok(ToHost::Refused(why))) => Err(compiler(raito_core::text::excerpt(&why, 500))),
            Ok(Ok(_)) => Err(compiler("the worker process answered something else".into())),
            Ok(Err(ended)) => {
                let said = self.said(&ended).await;
                Err(compiler(format!("the worker process that compiled it was lost: {said}")))
            }
            Err(_) => Err(compiler(format!("it took longer than {wall:?}"))),
        }
    }

    /// Begins to count anew, for another step.
    pub(crate) fn begin_step(&mut self) {
        self.received = 0;
    }

    /// Whether nothing that was received waits to be read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.is_empty()
    }

    /// What a step ends with for what ended the conversation. The process is killed, if it was not the one who ended it.
    pub(crate) async fn fault(self, ended: Ended) -> StepFault {
        match ended {
            Ended::Hostile(what) => StepFault::Trap { message: format!("its process sent {what}") },
            Ended::Flood(hit) => StepFault::Limit(hit),
            Ended::Gone => match self.process.end().await {
                Some(status) if status.signal() == Some(libc::SIGXCPU) => StepFault::Limit(LimitHit {
                    what: "processor time of its process",
                    allowed: format!("{} h", limits::WORKER_CPU.as_secs() / 3_600),
                }),
                status => StepFault::Trap { message: format!("its process {}", ending(status)) },
            },
        }
    }

    /// The same as a sentence.
    async fn said(&mut self, ended: &Ended) -> String {
        match ended {
            Ended::Gone => {
                let process = std::mem::replace(&mut self.process, Started::none());
                format!("it {}", ending(process.end().await))
            }
            other => other.to_string(),
        }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> Option<u32> {
        self.process.id()
    }
}

/// How a process ended, for people.
fn ending(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "ended".into() };
    match status.signal() {
        Some(libc::SIGSYS) => "made a system call that no worker makes, and was ended".into(),
        Some(libc::SIGABRT) => "gave up, most likely for want of memory".into(),
        Some(libc::SIGKILL) => "was killed".into(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with {}", status.code().unwrap_or_default()),
    }
}
