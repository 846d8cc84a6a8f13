//! What belongs to one store: the broker, the tables, and what was used.
//!
//! The three resources are `pub` because the generated bindings re-export them; the module itself is private.

#![allow(unreachable_pub, reason = "the generated bindings re-export the resources")]

use std::sync::Arc;

use raito_core::call::{Reply, Request};
use raito_core::fault::Fault;
use raito_core::limits;
use raito_core::ports::Broker;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

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
}

impl State {
    pub(crate) fn new(broker: Arc<dyn Broker>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::GUEST_HANDLES);
        Self { broker, table, wasi: crate::link::inert_wasi(), limiter: Limiter::default(), call_ticks: 0, ticks: 0 }
    }

    /// Asks the broker, which checks what it is asked; a fault that it answers is a fault for the guest.
    pub(crate) fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, Fault>> + Send + use<> {
        let broker = Arc::clone(&self.broker);
        async move {
            match broker.call(request).await {
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
