//! A connector whose guests run in worker processes.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use raito_core::digest::Digest;
use raito_core::fault::{LimitHit, StepFault};
use raito_core::limits;
use raito_core::ports::{BoxFuture, Broker, Connector, Guest, GuestUse};
use raito_core::step::Step;
use raito_sandbox::{Answer, Ask, Checked, CompileError, Inspected, Raw};
use tokio::time::timeout;

use crate::cache::CodeCache;
use crate::code::Code;
use crate::launch::Launcher;
use crate::lockdown::Protections;
use crate::process::{Ended, Process, Proving, Source, WorkerError};
use crate::protocol::{ToHost, ToWorker, Used};

/// What a worker needs of a component that was inspected and admitted.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
}

impl From<&Inspected> for Component {
    fn from(inspected: &Inspected) -> Self {
        Self { bytes: inspected.bytes.clone(), digest: inspected.digest, imports: inspected.imports.clone() }
    }
}

/// A connector in a process of its own. There is one process, kept from step to step; after one that failed there is a new one.
pub struct Worker {
    launcher: Launcher,
    component: Component,
    /// Where its code is kept.
    cache: Option<Arc<CodeCache>>,
    protections: Protections,
    idle: Idle,
}

/// The process that waits for the next step.
type Idle = Arc<Mutex<Option<Process>>>;

impl Worker {
    /// Starts a process for a component and has it compiled there. With a cache, code is taken from there, or compiled in a
    /// process that runs nothing of it and ends, and put there.
    ///
    /// # Errors
    /// `WorkerError` where there is no process, or the component cannot be compiled or linked.
    pub async fn prepare(
        launcher: &Launcher,
        component: Component,
        cache: Option<Arc<CodeCache>>,
    ) -> Result<Self, WorkerError> {
        let mut worker = Self {
            launcher: launcher.clone(),
            component,
            cache,
            protections: Protections { landlock: crate::Landlock::Missing, seccomp: false },
            idle: Idle::default(),
        };
        let process = worker.process().await?;
        worker.protections = process.protections;
        put(&worker.idle, process);
        Ok(worker)
    }

    /// Starts a process that does nothing, to see what protects this machine from workers.
    ///
    /// # Errors
    /// `WorkerError` where it does not start.
    pub async fn probe(launcher: &Launcher) -> Result<Protections, WorkerError> {
        Ok(Process::start(launcher).await?.protections)
    }

    /// What protects the machine from it.
    pub fn protections(&self) -> Protections {
        self.protections
    }

    /// The number of the process that waits for a step, for whoever measures it.
    pub fn process_id(&self) -> Option<u32> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(Process::id)
    }

    /// A new process with the component ready. Code is held only while it is sent: it has tens of megabytes.
    async fn process(&self) -> Result<Process, WorkerError> {
        if let Some(cache) = &self.cache {
            if let Some(entry) = cache.entry(self.component.digest)
                && let Some(process) = self.process_with(Source::Kept(Proving::of(entry))).await?
            {
                return Ok(process);
            }
            // A process compiles it, runs nothing of it and ends.
            let mut compiler = Process::start(&self.launcher).await?;
            let component = Code::from(self.component.bytes.clone());
            let code = compiler.load(&ToWorker::Compile, Source::Whole(&component)).await?;
            cache.put(self.component.digest, &code);
            if let Some(process) = self.process_with(Source::Whole(&code)).await? {
                return Ok(process);
            }
        }
        let mut process = Process::start(&self.launcher).await?;
        let message = ToWorker::Load { imports: self.component.imports.clone() };
        process.load(&message, Source::Whole(&Code::from(self.component.bytes.clone()))).await?;
        Ok(process)
    }

    /// A new process with the component ready from its code. None where the code was changed, or where the runtime does not take
    /// it, such as that of another build with the same numbers: it is to be compiled again.
    async fn process_with(&self, code: Source<'_>) -> Result<Option<Process>, WorkerError> {
        let mut process = Process::start(&self.launcher).await?;
        let message = ToWorker::LoadCode { imports: self.component.imports.clone(), digest: self.component.digest };
        match process.load(&message, code).await {
            Err(WorkerError::Component(CompileError::Compile(_))) => Ok(None),
            loaded => loaded.map(|_| Some(process)),
        }
    }

    async fn start_guest(&self, step: Step, broker: Arc<dyn Broker>) -> Result<Remote, StepFault> {
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut process = match waiting {
            Some(process) => process,
            None => self.process().await.map_err(|error| StepFault::Host(error.to_string()))?,
        };
        process.begin_step();
        let idle = Arc::clone(&self.idle);
        let mut guest =
            Remote { process: Some(process), idle, broker, state: State::Busy, used: Used::default(), calls: 0 };
        match guest.converse(Some(ToWorker::Start(step))).await? {
            Said::Started => Ok(guest),
            Said::Answer(_) => Err(guest.hostile().await),
        }
    }
}

fn put(idle: &Idle, process: Process) {
    *idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
}

impl Connector for Worker {
    fn start(&self, step: Step, broker: Arc<dyn Broker>) -> BoxFuture<'_, Result<Box<dyn Guest>, StepFault>> {
        Box::pin(async move {
            let wall = self.launcher.bounds.call_wall;
            let started = timeout(wall, self.start_guest(step, broker)).await;
            let guest = started.map_err(|_| {
                let allowed = format!("{} s", wall.as_secs_f64());
                StepFault::Limit(LimitHit { what: "time to start", allowed })
            })??;
            Ok(Box::new(Checked::new(step, guest).with_call_wall(wall)) as Box<dyn Guest>)
        })
    }

    fn digest(&self) -> Digest {
        self.component.digest
    }
}

/// What the worker does while nothing is awaited of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits to be asked.
    Waits,
    /// It makes the next page already.
    ReadsAhead,
    /// It is asked, or was when somebody stopped waiting for the answer.
    Busy,
}

/// What a worker can say to a question.
#[expect(clippy::large_enum_variant, reason = "there is one of it at a time, and it is taken apart at once")]
enum Said {
    Started,
    Answer(Answer),
}

/// A guest in a worker process.
struct Remote {
    /// None once it is lost.
    process: Option<Process>,
    idle: Idle,
    broker: Arc<dyn Broker>,
    state: State,
    used: Used,
    calls: u64,
}

impl Remote {
    /// Sends a message, if any, serves what the worker asks of the broker meanwhile, and gives what it said in the end. A
    /// conversation that ends in another way ends the process.
    async fn converse(&mut self, message: Option<ToWorker>) -> Result<Said, StepFault> {
        self.state = State::Busy;
        let Some(process) = &mut self.process else {
            return Err(StepFault::Trap { message: "its process has ended".into() });
        };
        let conversation = async {
            if let Some(message) = message {
                process.send(&message).await?;
            }
            loop {
                match process.receive(limits::WORKER_MESSAGE_BYTES).await? {
                    ToHost::Request(request) => {
                        process.count_request()?;
                        let reply = self.broker.call(request).await;
                        process.send(&ToWorker::Reply(reply)).await?;
                    }
                    ToHost::Started(used) => return Ok((Ok(Said::Started), used)),
                    ToHost::Answer(answer, used) => return Ok((Ok(Said::Answer(answer)), used)),
                    ToHost::Failed(failure, used) => return Ok((Err(failure.into()), used)),
                    _ => return Err(Ended::Hostile("a message out of its order".into())),
                }
            }
        };
        match conversation.await {
            Ok((said, used)) => {
                self.used = used;
                self.state = match &said {
                    Ok(Said::Answer(Answer::Opened | Answer::Page(Some(_)))) => State::ReadsAhead,
                    _ => State::Waits,
                };
                said
            }
            Err(ended) => Err(self.lost(ended).await),
        }
    }

    async fn lost(&mut self, ended: Ended) -> StepFault {
        match self.process.take() {
            Some(process) => process.fault(ended).await,
            None => StepFault::Trap { message: "its process has ended".into() },
        }
    }

    async fn hostile(&mut self) -> StepFault {
        self.lost(Ended::Hostile("an answer to another question".into())).await
    }

    async fn ask_worker(&mut self, ask: Ask) -> Result<Answer, StepFault> {
        self.calls += 1;
        let fits = expected(&ask);
        let message = match (self.state, &ask) {
            (State::ReadsAhead, Ask::Next) => None,
            (State::Waits, _) => Some(ToWorker::Ask(ask)),
            (State::ReadsAhead | State::Busy, _) => {
                return Err(StepFault::Host("the connector's worker process is busy with something else".into()));
            }
        };
        match self.converse(message).await? {
            Said::Answer(answer) if fits(&answer) => Ok(answer),
            Said::Answer(_) | Said::Started => Err(self.hostile().await),
        }
    }
}

/// Which answers belong to a question. A process that gives another is no worker any more.
fn expected(ask: &Ask) -> fn(&Answer) -> bool {
    match ask {
        Ask::Describe(_) => |answer| matches!(answer, Answer::Described(_)),
        Ask::Open(..) => |answer| matches!(answer, Answer::Opened),
        Ask::Next => |answer| matches!(answer, Answer::Page(_)),
        Ask::Coverage => |answer| matches!(answer, Answer::Coverage(_)),
        Ask::Apply(..) => |answer| matches!(answer, Answer::Applied(_)),
    }
}

impl Raw for Remote {
    fn ask(&mut self, ask: Ask) -> BoxFuture<'_, Result<Answer, StepFault>> {
        Box::pin(self.ask_worker(ask))
    }

    fn used(&self) -> GuestUse {
        self.used.believed(self.calls)
    }
}

impl Drop for Remote {
    /// A process that waits is kept for the next step; any other is killed.
    fn drop(&mut self) {
        if let Some(process) = self.process.take()
            && self.state == State::Waits
            && process.is_quiet()
        {
            put(&self.idle, process);
        }
    }
}
