//! The worker itself: looks into one component, or compiles it, or runs its instances and asks the
//! host for everything else.
//!
//! It has one thread for the guest, which waits for the channel when it has asked for something, and those of the compiler and of
//! the clock that counts a guest's processor time.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use raito_core::call::{Reply, Request};
use raito_core::digest::Digest;
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::ports::{BoxFuture, Broker};
use raito_sandbox::{
    Answer, Ask, CodeMemory, Compiled, Engine, Failure, InspectError, Inspected, Instance, Limit, Outline, look_into,
    precompile,
};

use crate::frame::{FrameError, Inbox, UNMETERED, decode, encode, head};
use crate::lockdown::lock_down;
use crate::protocol::{ToHost, ToWorker, Used, VERSION};

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the channel: {0}")]
    Channel(#[from] io::Error),
    #[error("the host sent {0}")]
    Frame(#[from] FrameError),
    #[error("the host sent a message out of its order")]
    Order,
}

/// Is a worker, until the host is done with it. Must be called before the process makes a thread. `host` is the number of the
/// process that started it.
pub fn serve(host: &str) -> ExitCode {
    let Ok(host) = host.parse() else { return ExitCode::FAILURE };
    let Ok(protections) = lock_down(host) else { return ExitCode::FAILURE };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let (Ok(runtime), Ok(engine)) = (runtime, Engine::new()) else { return ExitCode::FAILURE };
    let channel = Channel::shared(io::stdin());
    let ready = ToHost::Ready { version: VERSION, protections };
    let said = lock(&channel).say(&ready);
    match said.and_then(|()| runtime.block_on(work(&engine, &channel))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What a worker talks over.
pub(crate) trait Descriptor: AsFd + Send + 'static {}

impl<C: AsFd + Send + 'static> Descriptor for C {}

/// The channel to the host: one descriptor, in both directions. That of a worker is its standard input.
pub(crate) struct Channel<C> {
    descriptor: C,
    inbox: Inbox,
    outbox: Vec<u8>,
}

type Shared<C> = Arc<Mutex<Channel<C>>>;

fn lock<C>(channel: &Shared<C>) -> std::sync::MutexGuard<'_, Channel<C>> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<C: Descriptor> Channel<C> {
    pub(crate) fn shared(descriptor: C) -> Shared<C> {
        Arc::new(Mutex::new(Self { descriptor, inbox: Inbox::default(), outbox: Vec::new() }))
    }

    fn say(&mut self, message: &ToHost) -> Result<(), Stop> {
        encode(message, limits::WORKER_MESSAGE_BYTES, &mut self.outbox)?;
        write(&self.descriptor, &self.outbox)
    }

    /// Says something, and then bytes as they are, as a frame of their own.
    fn say_bytes(&mut self, message: &ToHost, bytes: &[u8]) -> Result<(), Stop> {
        self.say(message)?;
        write(&self.descriptor, &head(bytes.len())?)?;
        write(&self.descriptor, bytes)
    }

    /// Waits for a message of the host, and gives its bytes.
    fn hear(&mut self) -> Result<bytes::BytesMut, Stop> {
        loop {
            if let Some(message) = self.inbox.take(u32::MAX as usize)? {
                return Ok(message);
            }
            self.read()?;
            self.inbox.believe();
        }
    }

    /// Waits for bytes that follow a message as a frame of their own, and puts them where they are wanted.
    fn hear_bytes<M: AsMut<[u8]>>(&mut self, room: impl FnOnce(usize) -> io::Result<M>) -> Result<M, Stop> {
        let length = loop {
            match self.inbox.take_head(u32::MAX as usize)? {
                Some(length) => break length,
                None => self.read()?,
            }
        };
        let mut bytes = room(length)?;
        let some = self.inbox.take_some(length);
        let (there, mut left) = bytes.as_mut().split_at_mut(some.len());
        there.copy_from_slice(&some);
        while !left.is_empty() {
            match rustix::io::read(&self.descriptor, &mut *left).map_err(io::Error::from)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => left = &mut left[read..],
            }
        }
        Ok(bytes)
    }

    fn read(&mut self) -> Result<(), Stop> {
        let mut piece = [0; 64 * 1024];
        match rustix::io::read(&self.descriptor, &mut piece).map_err(io::Error::from)? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            read => {
                self.inbox.room().extend_from_slice(&piece[..read]);
                Ok(())
            }
        }
    }
}

/// Writes all of it.
fn write(descriptor: &impl AsFd, mut left: &[u8]) -> Result<(), Stop> {
    while !left.is_empty() {
        left = &left[rustix::io::write(descriptor, left).map_err(io::Error::from)?..];
    }
    Ok(())
}

/// The broker, by way of the host.
struct Upward<C>(Shared<C>);

impl<C: Descriptor> Broker for Upward<C> {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        let mut channel = lock(&self.0);
        let reply = channel.say(&ToHost::Request(request)).and_then(|()| {
            let message = channel.hear()?;
            match decode(&message, UNMETERED)? {
                ToWorker::Reply(reply) => Ok(reply),
                _ => Err(Stop::Order),
            }
        });
        drop(channel);
        let reply = reply.unwrap_or_else(|stop| {
            // A request that is too long for a message; or the host is gone, and the guest with it as soon as it answers.
            Reply::Fault(Fault::new(FaultKind::Internal, stop.to_string()))
        });
        Box::pin(std::future::ready(reply))
    }
}

/// Gets a component ready, and answers for its instances.
async fn work(engine: &Engine, channel: &Shared<impl Descriptor>) -> Result<(), Stop> {
    let message = lock(channel).hear()?;
    let component = || lock(channel).hear_bytes(|length| Ok(vec![0; length]));
    let compiled = match decode(&message, UNMETERED)? {
        ToWorker::Inspect => {
            let said = inspect(component()?).map_or_else(ToHost::Refused, ToHost::Outline);
            return lock(channel).say(&said);
        }
        ToWorker::Compile => {
            return match precompile(engine, &component()?) {
                Ok(code) => lock(channel).say_bytes(&ToHost::Code, &code),
                Err(error) => lock(channel).say(&ToHost::Refused(error.to_string())),
            };
        }
        ToWorker::Load { imports } => Compiled::new(engine, &component()?, &imports),
        ToWorker::LoadCode { imports, digest } => {
            let code = lock(channel).hear_bytes(CodeMemory::new)?;
            let proved = lock(channel).hear()?;
            let ToWorker::Proved = decode(&proved, UNMETERED)? else { return Err(Stop::Order) };
            Compiled::load(engine, code, &imports, digest)
        }
        _ => return Err(Stop::Order),
    };
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return lock(channel).say(&ToHost::Refused(error.to_string())),
    };
    lock(channel).say(&ToHost::Loaded)?;
    serve_instances(&compiled, channel).await
}

/// Looks into a component. Its manifest is read here as well, although the host does that itself:
/// what would end the reader ends this process first, which has less stack for it.
fn inspect(component: Vec<u8>) -> Result<Outline, String> {
    let work = move || {
        let outline = look_into(&component)?;
        // Mistakes are for the host to find. It reads the same bytes.
        let _ = Inspected::new(component.into(), Digest::of(&[]), outline.clone());
        Ok(outline)
    };
    let thread = thread::Builder::new().stack_size(limits::STACK_BYTES / 2).spawn(work);
    let ended = thread.map_err(|error| format!("a thread cannot be started: {error}"))?.join();
    ended.map_err(|_| "reading it panicked".to_owned())?.map_err(|error: InspectError| error.to_string())
}

/// Starts instances of a component and answers for them, until the channel ends.
pub(crate) async fn serve_instances(compiled: &Compiled, channel: &Shared<impl Descriptor>) -> Result<(), Stop> {
    let mut instance: Option<Instance> = None;
    loop {
        let message = lock(channel).hear()?;
        match (decode(&message, UNMETERED)?, &mut instance) {
            (ToWorker::Start(step), _) => {
                instance = None;
                let said = match compiled.instantiate(step, Arc::new(Upward(Arc::clone(channel)))).await {
                    Ok(started) => {
                        let used = Used::of(started.used());
                        instance = Some(started);
                        ToHost::Started(used)
                    }
                    Err(failure) => ToHost::Failed(failure, Used::default()),
                };
                lock(channel).say(&said)?;
            }
            (ToWorker::Ask(ask), Some(instance)) => answer(instance, ask, channel).await?,
            _ => return Err(Stop::Order),
        }
    }
}

/// Answers, and goes on with pages until there is no more: each is made while the host works on the one before.
async fn answer(instance: &mut Instance, mut ask: Ask, channel: &Shared<impl Descriptor>) -> Result<(), Stop> {
    loop {
        let answered = instance.answer(ask).await;
        let goes_on = matches!(answered, Ok(Answer::Opened | Answer::Page(Some(_))));
        let used = Used::of(instance.used());
        let said = match answered {
            Ok(answer) => ToHost::Answer(answer, used),
            Err(failure) => ToHost::Failed(failure, used),
        };
        let sent = lock(channel).say(&said);
        match sent {
            Err(Stop::Frame(FrameError::TooLong(_))) => {
                return lock(channel).say(&ToHost::Failed(Failure::Limit(Limit::Data), used));
            }
            sent => sent?,
        }
        if !goes_on {
            return Ok(());
        }
        ask = Ask::Next;
    }
}
