//! Compiling a component and linking it with what it may use, and with nothing else.

use std::sync::Arc;
use std::time::Duration;

use raito_core::capability::{Import, classify_import};
use raito_core::digest::Digest;
use raito_core::fault::StepFault;
use raito_core::limits;
use raito_core::manifest::Capability;
use raito_core::ports::{BoxFuture, Broker, Connector, Guest};
use raito_core::step::Step;
use tokio::time::timeout;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::random::{Deterministic, WasiRandom, WasiRandomView as _};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use crate::bindings::raito::connector;
use crate::checked::{Checked, too_slow};
use crate::code::CodeMemory;
use crate::engine::{Engine, RUNS_IN_PLACE};
use crate::guest::Instance;
use crate::raw::Failure;
use crate::state::State;

/// Why a component cannot be run although it was granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The compiler refuses it.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// Its imports are not those of the contract.
    #[error("the component does not fit the contract: {0}")]
    Link(String),
}

/// A component that was compiled and linked with what its target grants.
pub struct Compiled {
    engine: Engine,
    instance: InstancePre<State>,
    digest: Digest,
    /// Processor time of one call.
    call_cpu: Duration,
}

impl Compiled {
    /// Compiles an inspected component that the caller has decided to admit. Capabilities that it imports are linked, since
    /// that decision admitted them; what it does not import is not there at all. `imports` are those that the inspection
    /// found.
    ///
    /// # Errors
    /// `CompileError` where the compiler or the linker refuses it.
    pub fn new(engine: &Engine, bytes: &[u8], imports: &[String]) -> Result<Self, CompileError> {
        refuse_compiled(bytes)?;
        let component = Component::from_binary(engine.inner(), bytes)
            .map_err(|error| CompileError::Compile(error.root_cause().to_string()))?;
        Self::link(engine, &component, imports, Digest::of(bytes))
    }

    /// Links a component that `precompile` compiled. `code` must be what a call of it gave, byte for byte: whoever can change
    /// one bit of it runs any machine code here. So this is for processes that hold nothing, and for code whose origin was
    /// proved. `digest` is that of the component.
    ///
    /// # Errors
    /// `CompileError` where the code is of another release or for another processor, or the linker refuses it.
    #[expect(unsafe_code, reason = "machine code cannot be checked, only where it came from can")]
    pub fn load(
        engine: &Engine,
        mut code: CodeMemory,
        imports: &[String],
        digest: Digest,
    ) -> Result<Self, CompileError> {
        // SAFETY: the caller promises that a compiler of this build made the code, and that nobody changed it since; where it
        // stays, nobody can, as long as the process runs.
        let component = unsafe {
            if RUNS_IN_PLACE {
                let code = code.finish().map_err(|error| CompileError::Compile(error.to_string()))?;
                Component::deserialize_raw(engine.inner(), code)
            } else {
                Component::deserialize(engine.inner(), code.as_mut())
            }
        };
        let component = component.map_err(|error| CompileError::Compile(error.root_cause().to_string()))?;
        Self::link(engine, &component, imports, digest)
    }

    fn link(engine: &Engine, component: &Component, imports: &[String], digest: Digest) -> Result<Self, CompileError> {
        let linker = linker(engine, imports).map_err(|error| CompileError::Link(error.root_cause().to_string()))?;
        let instance = linker.instantiate_pre(component).map_err(|error| CompileError::Link(format!("{error:#}")))?;
        Ok(Self { engine: engine.clone(), instance, digest, call_cpu: limits::CALL_CPU })
    }

    /// The same with less processor time for each call, so that a test of what takes all of it takes less.
    #[cfg(test)]
    pub(crate) fn with_call_cpu(self, call_cpu: Duration) -> Self {
        Self { call_cpu, ..self }
    }

    /// Starts an instance for a step, with everything that it may touch. Wall time is up to who asks.
    ///
    /// # Errors
    /// What the guest said while it was instantiated, or what ended it.
    pub async fn instantiate(&self, step: Step, broker: Arc<dyn Broker>) -> Result<Instance, Failure> {
        Instance::start(&self.engine, &self.instance, step, broker, self.call_cpu).await
    }
}

/// Compiles a component to machine code for this machine, for `Compiled::load`.
///
/// # Errors
/// `CompileError` where the compiler refuses it.
pub fn precompile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, CompileError> {
    refuse_compiled(bytes)?;
    engine.inner().precompile_component(bytes).map_err(|error| CompileError::Compile(error.root_cause().to_string()))
}

fn refuse_compiled(bytes: &[u8]) -> Result<(), CompileError> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(CompileError::Compile("it is compiled already, and only the host compiles".into()));
    }
    Ok(())
}

impl Connector for Compiled {
    fn start(&self, step: Step, broker: Arc<dyn Broker>) -> BoxFuture<'_, Result<Box<dyn Guest>, StepFault>> {
        Box::pin(async move {
            let started = timeout(limits::CALL_WALL, self.instantiate(step, broker)).await;
            let instance = started.map_err(|_| too_slow(limits::CALL_WALL))??;
            Ok(Box::new(Checked::new(step, instance)) as Box<dyn Guest>)
        })
    }

    fn digest(&self) -> Digest {
        self.digest
    }
}

/// A linker with the interfaces that these imports name.
fn linker(engine: &Engine, imports: &[String]) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::<State>::new(engine.inner());
    connector::types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    connector::access::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    connector::state::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    connector::log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    connector::clock::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    for import in imports {
        match classify_import(import) {
            Import::Capability(Capability::Http) => {
                connector::http::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            }
            Import::Capability(Capability::Sql) => {
                connector::sql::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            }
            Import::Capability(Capability::Ldap) => {
                connector::ldap::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
            }
            Import::Inert | Import::Ambient | Import::Foreign => {}
        }
    }
    if imports.iter().any(|import| classify_import(import) == Import::Inert) {
        link_inert(&mut linker)?;
    }
    Ok(linker)
}

/// The interfaces of WASI that standard libraries expect. They are there and do nothing: see `inert_wasi`. Files, sockets
/// and name lookup are not among them.
fn link_inert(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    use wasmtime_wasi_io::bindings::wasi::io;
    struct HasTable;
    impl wasmtime::component::HasData for HasTable {
        type Data<'a> = &'a mut wasmtime::component::ResourceTable;
    }
    io::error::add_to_linker::<State, HasTable>(linker, |state| &mut state.table)?;
    io::poll::add_to_linker::<State, HasTable>(linker, |state| &mut state.table)?;
    io::streams::add_to_linker::<State, HasTable>(linker, |state| &mut state.table)?;
    wasi::cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    wasi::clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    wasi::clocks::monotonic_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    wasi::random::random::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    wasi::random::insecure::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    wasi::random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    Ok(())
}

/// A clock that stands still.
struct Standing;

impl HostWallClock for Standing {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for Standing {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// WASI without any effect: no arguments, no environment, closed input, discarded output, clocks that stand still, and
/// random numbers that are always the same. What a guest may know of the world comes through the contract.
pub(crate) fn inert_wasi() -> WasiCtx {
    let mut builder = WasiCtxBuilder::new();
    builder
        .wall_clock(Standing)
        .monotonic_clock(Standing)
        .secure_random(Deterministic::new(vec![0]))
        .insecure_random(Deterministic::new(vec![0]))
        .insecure_random_seed(0)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    builder.build()
}
