//! The worker itself: compiles one component, runs its instances, and asks the host for everything else.
//!
//! It has one thread for the guest, which waits for the channel when it has asked for something, and those of the compiler and of
//! the clock that counts a guest's processor time.

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use raito_core::call::{Reply, Request};
use raito_core::fault::{Fault, FaultKind};
use raito_core::limits;
use raito_core::ports::{BoxFuture, Broker};
use raito_sandbox::{Answer, Ask, Compiled, Engine, Failure, Instance, Limit, precompile};

use crate::frame::{FrameError, Inbox, UNMETERED, decode, encode};
use crate::lockdown::lock_down;
use crate::protocol::{ToHost, ToWorker, Used, VERSION};

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
enum Stop {
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
    let channel = Arc::new(Mutex::new(Channel::default()));
    let ready = ToHost::Ready { version: VERSION, protections };
    let said = lock(&channel).say(&ready);
    match said.and_then(|()| runtime.block_on(work(&engine, &channel))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The channel to the host: standard input, in both directions.
#[derive(Default)]
struct Channel {
    inbox: Inbox,
    outbox: Vec<u8>,
}

type Shared = Arc<Mutex<Channel>>;

fn lock(channel: &Shared) -> std::sync::MutexGuard<'_, Channel> {
    channel.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Channel {
    fn say(&mut self, message: &ToHost) -> Result<(), Stop> {
        let max = if matches!(message, ToHost::Code(_)) { limits::CODE_BYTES } else { limits::WORKER_MESSAGE_BYTES };
        encode(message, max, &mut self.outbox)?;
        let stdin = io::stdin();
        let mut left = self.outbox.as_slice();
        while !left.is_empty() {
            left = &left[rustix::io::write(&stdin, left).map_err(io::Error::from)?..];
        }
        Ok(())
    }

    /// Waits for a message of the host, and gives its bytes.
    fn hear(&mut self) -> Result<bytes::BytesMut, Stop> {
        let stdin = io::stdin();
        let mut piece = [0; 64 * 1024];
        loop {
            if let Some(message) = self.inbox.take(u32::MAX as usize)? {
                return Ok(message);
            }
            match rustix::io::read(&stdin, &mut piece).map_err(io::Error::from)? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                read => self.inbox.room().extend_from_slice(&piece[..read]),
            }
        }
    }
}

/// The broker, by way of the host.
struct Upward(Shared);

impl Broker for Upward {
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
async fn work(engine: &Engine, channel: &Shared) -> Result<(), Stop> {
    let message = lock(channel).hear()?;
    let compiled = match decode(&message, UNMETERED)? {
        ToWorker::Compile(component) => {
            let answer = match precompile(engine, component) {
                Ok(code) => ToHost::Code(code),
                Err(error) => ToHost::Refused(error.to_string()),
            };
            return lock(channel).say(&answer);
        }
        ToWorker::Load { component, imports } => Compiled::new(engine, component, &imports),
        ToWorker::LoadCode { code, imports, digest } => Compiled::load(engine, code, &imports, digest),
        _ => return Err(Stop::Order),
    };
    drop(message);
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) => return lock(channel).say(&ToHost::Refused(error.to_string())),
    };
    lock(channel).say(&ToHost::Loaded)?;
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
async fn answer(instance: &mut Instance, mut ask: Ask, channel: &Shared) -> Result<(), Stop> {
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
