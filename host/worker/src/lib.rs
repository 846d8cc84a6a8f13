//! The process that connectors are looked into, compiled and run in, and the host's end of it.
//!
//! A worker is a child process of the same program (`child`) that holds no secret, no socket and no file. It confines itself
//! before it sees a byte of a component (`lockdown`), and everything that its guest asks for goes over one channel to the host,
//! which carries it out. The host's end (`connector`, `process`) implements core's `Connector`, so nothing around it knows where
//! a guest runs. It believes a worker in nothing: messages are bounded before they are read and metered while they are decoded
//! (`frame`, `protocol`), and their values pass the same check as those of a guest in the same process (`raito_sandbox::Checked`).
//!
//! Compiled code is kept on the disk only with proof of where it came from (`cache`), and is loaded in workers only.

mod cache;
mod child;
mod code;
mod connector;
mod frame;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod inspection;
mod launch;
mod lockdown;
mod process;
mod protocol;

pub use cache::{CacheError, CodeCache};
pub use child::serve;
pub use connector::{Component, Worker};
pub use inspection::inspect;
pub use launch::{Bounds, Launcher};
pub use lockdown::{Fences, Landlock, LockdownError, Protections, lock_down, lock_down_behind, protect_memory};
pub use process::{InspectionError, WorkerError};
pub use protocol::VERSION;

/// The word after the program's name that makes a process a worker. It is no command for people.
pub const SUBCOMMAND: &str = "worker-process";
