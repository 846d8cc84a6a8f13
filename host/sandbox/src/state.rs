//! What belongs to one store: the broker, the tables, and what was used.
//!
//! The three resources are `pub` because the generated bindings re-export them; the module itself is private.

#![allow(unreachable_pub, reason = "the generated bindings re-export the resources")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use raito_core::call::{Reply, Request};
use raito_core::fault::Fault;
use raito_core::limits;
use raito_core::ports::Broker;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::engine::ticks;
use crate::limiter::Limiter;

/// A body that a guest reads in pieces.
pub struct OpenBody(pub(crate) u32);

/// Rows that a guest reads.
pub struct OpenRows {
    pub(crate) handle: u32,
    pub(crate) columns: Vec<String>,
}

/// Directory entries that a guest reads.
pub struct OpenEntries(pub(crate) u32);

/// The data of a store.
pub(crate) struct State {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) table: ResourceTable,
    pub(crate) wasi: WasiCtx,
    pub(crate) limiter: Limiter,
    /// Epoch ticks of the call in progress.
    pub(crate) call_ticks: u64,
    /// Epoch ticks of all calls.
    pub(crate) ticks: u64,
    /// Microseconds of the call in progress in which the guest waited for the broker, at most a tick for each request. The
    /// clock goes on meanwhile, and a tick that passed then is counted when the guest goes on.
    waited_us: Arc<AtomicU64>,
}

impl State {
    pub(crate) fn new(broker: Arc<dyn Broker>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::GUEST_HANDLES);
        let waited_us = Arc::default();
        let (wasi, limiter) = (crate::link::inert_wasi(), Limiter::default());
        Self { broker, table, wasi, limiter, call_ticks: 0, ticks: 0, waited_us }
    }

    /// Begins to count for another call.
    pub(crate) fn begin_call(&mut self) {
        self.call_ticks = 0;
        self.waited_us.store(0, Ordering::Relaxed);
    }

    /// The ticks of the call in progress that may have been counted while the guest waited.
    pub(crate) fn waited_ticks(&self) -> u64 {
        ticks(Duration::from_micros(self.waited_us.load(Ordering::Relaxed)))
    }

    /// Asks the broker, which checks what it is asked; a fault that it answers is a fault for the guest.
    pub(crate) fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, Fault>> + Send + use<> {
        let (broker, waited_us) = (Arc::clone(&self.broker), Arc::clone(&self.waited_us));
        async move {
            let began = Instant::now();
            let reply = broker.call(request).await;
            let waited = began.elapsed().min(limits::EPOCH_TICK);
            waited_us.fetch_add(waited.as_micros() as u64, Ordering::Relaxed);
            match reply {
                Reply::Fault(fault) => Err(fault),
                reply => Ok(reply),
            }
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
