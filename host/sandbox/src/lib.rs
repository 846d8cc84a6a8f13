//! Where connectors run, and the only crate that knows the runtime.
//!
//! The way of a component: its bytes are inspected (`inspect`) before anything of it is compiled; the caller decides from
//! that what it may use; then it is compiled and linked (`link`) with just that, and each step runs in a store of its own
//! (`guest`) under limits of memory, time and data (`limiter`, `engine`). A guest answers in the contract's values (`raw`),
//! here or in a worker process; they are converted once (`checked`, `lift`), and the conversion is the check. This crate never sees a secret or a socket: everything that a guest asks
//! for goes to the `Broker` that it is given.

mod bindings;
mod checked;
mod code;
mod engine;
mod guest;
mod host;
#[cfg(test)]
mod hostile;
mod inspect;
mod lift;
mod limiter;
mod link;
mod lower;
mod nesting;
mod pack;
mod raw;
mod section;
mod state;
mod trap;

pub use checked::Checked;
pub use code::CodeMemory;
pub use engine::{Engine, EngineError, compatibility};
pub use guest::Instance;
pub use inspect::{InspectError, Inspected, Outline, inspect, inspection_rules, look_into};
pub use link::{CompileError, Compiled, precompile};
pub use pack::{PackError, pack};
pub use raw::{Answer, Ask, Failure, Limit, Raw};
