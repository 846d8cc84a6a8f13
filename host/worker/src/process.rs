//! The host's end of a worker: one process, its channel, and what is believed of it, which is nothing.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use bytes::BytesMut;
use raito_core::fault::{LimitHit, StepFault};
use raito_core::limits;
use raito_core::text::excerpt;
use raito_sandbox::{CompileError, InspectError, Outline};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cache::Entry;
use crate::code::Code;
use crate::frame::{FrameError, Inbox, METER, decode, encode, head};
use crate::launch::{Bounds, Launcher, Started};
use crate::lockdown::Protections;
use crate::protocol::{ToHost, ToWorker, VERSION};

/// Bytes that are kept for messages to the worker: those of pages of rows, which are usually less.
const OUTBOX_BYTES: usize = 1 << 20;

/// Bytes of one piece of compiled code.
const CODE_PIECE_BYTES: usize = 1 << 20;

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

/// Why a component was not looked into, or is no connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectionError {
    /// The process does not start, or does not confine itself.
    #[error(transparent)]
    Start(WorkerError),
    /// The process ended before it answered, or said something else.
    #[error("the worker process that looked into it was lost: {0}")]
    Lost(String),
    /// The process says why it is none. The text is one line.
    #[error("{0}")]
    Refused(String),
    /// The host finds why it is none.
    #[error(transparent)]
    Component(#[from] InspectError),
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
    /// The compiled code that it was sent is not what was kept.
    #[error("its code was changed")]
    Unproved,
    /// It said too much of something.
    #[error("it sent more {} than it may", .0.what)]
    Flood(LimitHit),
}

impl Ended {
    /// More requests to the broker in one step than these.
    fn too_many_requests(allowed: u64) -> Self {
        Self::Flood(LimitHit { what: "requests to the host", allowed: allowed.to_string() })
    }

    /// More bytes in one step than these.
    fn too_many_bytes(allowed: u64) -> Self {
        Self::Flood(LimitHit { what: "messages to the host", allowed: format!("{} MiB", allowed >> 20) })
    }
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        Self::Hostile(error.to_string())
    }
}

/// Where a component or its code comes from.
pub(crate) enum Source<'s> {
    /// From memory.
    Whole(&'s Code),
    /// From the disk.
    Kept(Proving),
}

/// Pieces of code that was kept that wait to be sent, so that proving it need not wait for a process to start.
const PROVED_AHEAD: usize = 32;

/// Code that is read from the disk and proved meanwhile. It ends early when it is dropped.
pub(crate) struct Proving {
    code_bytes: usize,
    pieces: mpsc::Receiver<Vec<u8>>,
    proved: JoinHandle<bool>,
}

impl Proving {
    /// Begins.
    pub(crate) fn of(entry: Entry) -> Self {
        let (sender, pieces) = mpsc::channel(PROVED_AHEAD);
        let code_bytes = entry.code_bytes();
        let proved = tokio::task::spawn_blocking(move || entry.prove(|piece| sender.blocking_send(piece).is_ok()));
        Self { code_bytes, pieces, proved }
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
    /// Requests to the broker since then.
    requests: u64,
    pub(crate) bounds: Bounds,
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
            requests: 0,
            bounds: launcher.bounds,
            protections: Protections { landlock: crate::Landlock::Missing, seccomp: false },
        };
        match timeout(launcher.bounds.start_wall, worker.receive(limits::WORKER_MESSAGE_BYTES)).await {
            Ok(Ok(ToHost::Ready { version: VERSION, protections })) => {
                worker.protections = protections;
                Ok(worker)
            }
            Ok(Ok(_)) => Err(WorkerError::Start("it does not speak this version of the protocol".into())),
            Ok(Err(ended)) => Err(WorkerError::Start(worker.said(&ended).await)),
            Err(_) => Err(WorkerError::Start(format!("it says nothing for {:?}", launcher.bounds.start_wall))),
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: &ToWorker) -> Result<(), Ended> {
        encode(message, u32::MAX as usize, &mut self.outbox)?;
        self.channel.write_all(&self.outbox).await.map_err(|_| Ended::Gone)?;
        // What a long answer took is not held beside the pages that are made of it.
        if self.outbox.capacity() > OUTBOX_BYTES {
            self.outbox = Vec::new();
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.channel.write_all(bytes).await.map_err(|_| Ended::Gone)
    }

    /// Sends what a message is about, as a frame of its own. Code that is kept is proved while it is sent.
    async fn send_source(&mut self, source: Source<'_>) -> Result<(), Ended> {
        match source {
            Source::Whole(code) => {
                self.write(&head(code.len())?).await?;
                for piece in code.pieces() {
                    self.write(piece).await?;
                }
                Ok(())
            }
            Source::Kept(mut proving) => {
                self.write(&head(proving.code_bytes)?).await?;
                while let Some(piece) = proving.pieces.recv().await {
                    self.write(&piece).await?;
                }
                if proving.proved.await.unwrap_or(false) { Ok(()) } else { Err(Ended::Unproved) }
            }
        }
    }

    /// Receives a message of at most `max` bytes.
    pub(crate) async fn receive(&mut self, max: usize) -> Result<ToHost, Ended> {
        loop {
            if let Some(message) = self.inbox.take(max)? {
                self.received += message.len() as u64;
                if self.received > self.bounds.step_bytes {
                    return Err(Ended::too_many_bytes(self.bounds.step_bytes));
                }
                return Ok(decode(&message, METER)?);
            }
            self.read().await?;
        }
    }

    /// Waits for bytes to arrive.
    async fn read(&mut self) -> Result<(), Ended> {
        match self.channel.read_buf(self.inbox.room()).await {
            Ok(0) | Err(_) => Err(Ended::Gone),
            Ok(_) => Ok(()),
        }
    }

    /// Receives compiled code. It is kept in pieces as they arrive: a buffer that grows would take twice the memory.
    async fn receive_code(&mut self) -> Result<Code, Ended> {
        let mut left = loop {
            match self.inbox.take_head(limits::CODE_BYTES)? {
                Some(length) => break length,
                None => self.read().await?,
            }
        };
        let mut pieces = Vec::new();
        while left > 0 {
            // However little arrives at once, a piece is as long as it can be.
            let mut piece = BytesMut::with_capacity(left.min(CODE_PIECE_BYTES));
            while piece.len() < piece.capacity().min(left) {
                let some = self.inbox.take_some(piece.capacity().min(left) - piece.len());
                if some.is_empty() {
                    self.read().await?;
                }
                piece.extend_from_slice(&some);
            }
            left -= piece.len();
            pieces.push(piece.freeze());
        }
        Ok(Code::from(pieces))
    }

    /// Has the worker get a component ready, within the wall time of compiling. The source is the component or its code,
    /// whichever the message is about. Gives the code, where it was to be compiled.
    pub(crate) async fn load(&mut self, message: &ToWorker, source: Source<'_>) -> Result<Code, WorkerError> {
        let wall = self.bounds.compile_wall;
        let compiler = |message: String| WorkerError::Component(CompileError::Compile(message));
        let compiles = matches!(message, ToWorker::Compile);
        let conversation = async {
            self.send(message).await?;
            self.send_source(source).await?;
            if let ToWorker::LoadCode { .. } = message {
                self.send(&ToWorker::Proved).await?;
            }
            match self.receive(limits::WORKER_MESSAGE_BYTES).await? {
                ToHost::Loaded if !compiles => Ok(Ok(Code::default())),
                ToHost::Code if compiles => self.receive_code().await.map(Ok),
                ToHost::Refused(why) => Ok(Err(excerpt(&why, 500))),
                _ => Ok(Err("the worker process answered something else".into())),
            }
        };
        match timeout(wall, conversation).await {
            Ok(Ok(answer)) => answer.map_err(compiler),
            Ok(Err(ended)) => {
                let said = self.said(&ended).await;
                Err(compiler(format!("the worker process that compiled it was lost: {said}")))
            }
            Err(_) => Err(compiler(format!("it took longer than {wall:?}"))),
        }
    }

    /// Has the worker look into a component, within the wall time of that.
    pub(crate) async fn outline(&mut self, component: &Code) -> Result<Outline, InspectionError> {
        let wall = self.bounds.inspect_wall;
        let conversation = async {
            self.send(&ToWorker::Inspect).await?;
            self.send_source(Source::Whole(component)).await?;
            match self.receive(limits::WORKER_MESSAGE_BYTES).await? {
                ToHost::Outline(outline) => Ok(Ok(outline)),
                ToHost::Refused(why) => Ok(Err(InspectionError::Refused(excerpt(&why, 500)))),
                _ => Err(Ended::Hostile("an answer to another question".into())),
            }
        };
        match timeout(wall, conversation).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(ended)) => Err(InspectionError::Lost(self.said(&ended).await)),
            Err(_) => Err(InspectionError::Lost(format!("it took longer than {wall:?}"))),
        }
    }

    /// Begins to count anew, for another step.
    pub(crate) fn begin_step(&mut self) {
        (self.received, self.requests) = (0, 0);
    }

    /// Counts a request to the broker.
    pub(crate) fn count_request(&mut self) -> Result<(), Ended> {
        self.requests += 1;
        if self.requests > self.bounds.step_requests {
            return Err(Ended::too_many_requests(self.bounds.step_requests));
        }
        Ok(())
    }

    /// Whether nothing that was received waits to be read.
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.is_empty()
    }

    /// What a step ends with for what ended the conversation. The process is killed, if it was not the one who ended it.
    pub(crate) async fn fault(self, ended: Ended) -> StepFault {
        match ended {
            // It is only sent while the component is made ready, before any step.
            Ended::Unproved => StepFault::Host(ended.to_string()),
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
        Some(libc::SIGABRT) => "gave up, most likely for want of memory or stack".into(),
        Some(libc::SIGKILL) => "was killed".into(),
        Some(signal) => format!("was ended by signal {signal}"),
        None => format!("ended with {}", status.code().unwrap_or_default()),
    }
}
