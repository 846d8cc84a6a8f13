//! What a failed call into a guest means.

use wasmtime::Trap;

use crate::raw::{Failure, Limit};
use crate::state::State;

/// A guest used up its processor time; raised by the epoch callback.
#[derive(Debug, thiserror::Error)]
#[error("out of processor time")]
pub(crate) struct OutOfTime;

/// Turns an error of the runtime into a failure of the guest. Text that a guest could have chosen is left out.
pub(crate) fn failure(error: &wasmtime::Error, state: &State) -> Failure {
    if error.downcast_ref::<OutOfTime>().is_some() {
        return Failure::Limit(Limit::Processor);
    }
    if let Some(limit) = state.limiter.hit() {
        return Failure::Limit(limit);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::StackOverflow => Failure::Limit(Limit::Stack),
            Trap::Interrupt => Failure::Limit(Limit::Processor),
            trap => Failure::Trap(trap.to_string()),
        };
    }
    if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return Failure::Trap("it ended itself".into());
    }
    let said = error.root_cause().to_string();
    if said.contains("fuel allocated for hostcalls") {
        return Failure::Limit(Limit::Data);
    }
    let handles = ["table has no free keys", "resource table", "handle limit exceeded"];
    if handles.iter().any(|words| said.contains(words)) {
        return Failure::Limit(Limit::Handles);
    }
    Failure::Trap(said)
}
