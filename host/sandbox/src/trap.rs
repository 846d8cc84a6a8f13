//! What a failed call into a guest means.

use raito_core::fault::{LimitHit, StepFault};
use raito_core::limits;
use wasmtime::Trap;

use crate::state::State;

/// A guest used up its processor time; raised by the epoch callback.
#[derive(Debug, thiserror::Error)]
#[error("out of processor time")]
pub(crate) struct OutOfTime;

/// Turns an error of the runtime into a fault of the step. Text that a guest could have chosen is left out.
pub(crate) fn step_fault(error: &wasmtime::Error, state: &State) -> StepFault {
    if error.downcast_ref::<OutOfTime>().is_some() {
        return limit("processor time in one call", format!("{} s", limits::CALL_CPU.as_secs()));
    }
    if let Some(what) = state.limiter.hit() {
        let allowed = match what {
            "memory" => format!("{} MiB", limits::GUEST_MEMORY_BYTES >> 20),
            _ => limits::GUEST_TABLE_ELEMENTS.to_string(),
        };
        return limit(what, allowed);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return match trap {
            Trap::StackOverflow => limit("stack", format!("{} KiB", limits::GUEST_STACK_BYTES >> 10)),
            Trap::Interrupt => limit("processor time in one call", format!("{} s", limits::CALL_CPU.as_secs())),
            trap => StepFault::Trap { message: trap.to_string() },
        };
    }
    if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return StepFault::Trap { message: "it ended itself".into() };
    }
    let said = error.root_cause().to_string();
    if said.contains("fuel allocated for hostcalls") {
        return limit("data in one call", format!("{} MiB", limits::HOSTCALL_BYTES >> 20));
    }
    if said.contains("table has no free keys") || said.contains("resource table") {
        return limit("resource handles", limits::GUEST_HANDLES.to_string());
    }
    StepFault::Trap { message: raito_core::text::excerpt(&said, 200) }
}

fn limit(what: &'static str, allowed: String) -> StepFault {
    StepFault::Limit(LimitHit { what, allowed })
}
