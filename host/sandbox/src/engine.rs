//! The engine: one for the whole process, with everything switched off that connectors do not need.

use std::hash::{Hash as _, Hasher};
use std::sync::Arc;
use std::time::Duration;

use raito_core::digest::{self, Digest};
use raito_core::limits;
use wasmtime::{Config, OptLevel, WasmBacktraceDetails};

use crate::code::Publisher;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the WebAssembly runtime cannot be started: {0}")]
pub struct EngineError(String);

/// An engine and the thread that counts time for it.
#[derive(Clone)]
pub struct Engine {
    engine: wasmtime::Engine,
}

impl Engine {
    /// Makes the engine and starts its clock.
    ///
    /// # Errors
    /// `EngineError` where the machine lacks what the runtime needs.
    pub fn new() -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config()).map_err(|error| EngineError(error.to_string()))?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name("epochs".into())
            .spawn(move || {
                while let Some(engine) = weak.upgrade() {
                    engine.increment_epoch();
                    drop(engine);
                    std::thread::sleep(limits::EPOCH_TICK);
                }
            })
            .map_err(|error| EngineError(error.to_string()))?;
        Ok(Self { engine })
    }

    pub(crate) fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }
}

/// A digest of everything that compiled code depends on beside the component: the runtime's release, its settings, and what
/// the processor of this machine can do.
///
/// # Errors
/// `EngineError` where the machine lacks what the runtime needs.
pub fn compatibility() -> Result<Digest, EngineError> {
    /// What the runtime hashes, into a digest.
    struct Sink(digest::Hasher);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.field(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let engine = wasmtime::Engine::new(&config()).map_err(|error| EngineError(error.to_string()))?;
    let mut hasher = Sink(digest::Hasher::default());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    Ok(hasher.0.finish())
}

/// Whether code can be run where it was received. Other processors have to be told of new code, which only the runtime can do
/// for memory of its own.
pub(crate) const RUNS_IN_PLACE: bool = cfg!(target_arch = "x86_64");

/// How many ticks of the epoch clock a duration has.
pub(crate) fn ticks(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis() / limits::EPOCH_TICK.as_millis()).unwrap_or(u64::MAX)
}

/// The configuration. Multiple memories stay on: without them the compiler of this release panics on composed components.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .wasm_tail_call(false)
        .wasm_relaxed_simd(false)
        .wasm_wide_arithmetic(false)
        .wasm_custom_page_sizes(false)
        .epoch_interruption(true)
        .max_wasm_stack(limits::GUEST_STACK_BYTES)
        .async_stack_size(limits::GUEST_STACK_BYTES * 4)
        .async_stack_zeroing(true)
        // Without this, the runtime keeps the memory's first contents in a file of its own, which a worker cannot make.
        .memory_init_cow(false)
        .wasm_backtrace_max_frames(None)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // What backtraces and debuggers would want of compiled code, a tenth of it, and the time that it takes to register.
        .generate_address_map(false)
        .native_unwind_info(false)
        .cranelift_opt_level(OptLevel::Speed);
    if RUNS_IN_PLACE {
        config.with_custom_code_memory(Some(Arc::new(Publisher)));
    }
    config
}
