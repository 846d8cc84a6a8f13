//! How a process takes away from itself everything that a worker does not need, for good.
//!
//! It is done at the very start, before there is a second thread and before a byte of a component is seen. Nothing of it can
//! be undone by the process, and threads that it makes later have it too.

#[cfg(target_os = "linux")]
mod filesystem;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod syscalls;

use std::io;

use serde::{Deserialize, Serialize};

/// What protects the machine from a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections {
    /// Access to files and networks.
    pub landlock: Landlock,
    /// Whether system calls are filtered (seccomp).
    pub seccomp: bool,
}

impl Protections {
    /// Whether nothing is missing: Landlock covers TCP from its fourth version on. Signals, which only the sixth covers, the
    /// filter of system calls refuses as well.
    pub fn is_complete(&self) -> bool {
        self.seccomp && matches!(self.landlock, Landlock::Abi(4..))
    }
}

/// Whether the kernel refuses access to files and networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Landlock {
    /// It does, as far as this version of Landlock goes. The fourth covers TCP, the sixth signals.
    Abi(u32),
    /// The kernel was built without it.
    Missing,
    /// The kernel was started without it.
    Disabled,
}

/// A process could not confine itself, although the system has what it takes.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what}: {error}")]
pub struct LockdownError {
    what: &'static str,
    error: io::Error,
}

impl LockdownError {
    fn new(what: &'static str, error: impl Into<io::Error>) -> Self {
        Self { what, error: error.into() }
    }
}

/// Takes away everything from the calling process, which must have one thread. What is left are its memory, its threads, the
/// clock, and the three descriptors that it was started with. `host` is the process that it dies with.
///
/// # Errors
/// `LockdownError` where something could not be taken away that this system can take away. What the system has not at all is
/// left out of `Protections`.
pub fn lock_down(host: u32) -> Result<Protections, LockdownError> {
    lock_down_behind(Fences::Both, host)
}

/// The two fences that the kernel has around a process, either of which may have a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fences {
    /// Landlock and seccomp. Every worker has both.
    Both,
    /// Landlock without seccomp.
    Landlock,
    /// seccomp without Landlock.
    Seccomp,
}

/// The same with one of the fences left out, for tests of what the other one stops alone. No worker is started like this:
/// `serve` takes no choice, and `tests/threats.rs` sees to it that nothing else asks for one.
///
/// # Errors
/// As `lock_down`.
#[cfg(target_os = "linux")]
pub fn lock_down_behind(fences: Fences, host: u32) -> Result<Protections, LockdownError> {
    use rustix::process::{Pid, Signal};
    use rustix::thread::{CapabilitySet, CapabilitySets};

    // First of all: it must not outlive its host, nor be looked into.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| LockdownError::new("end with the host", error))?;
    let parent = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if parent.map(|parent| parent.get().unsigned_abs()) != Some(host) {
        return Err(LockdownError::new("find the host", io::Error::other("it has ended")));
    }
    protect_memory()?;
    limits::close_descriptors().map_err(|error| LockdownError::new("close descriptors", error))?;
    rustix::thread::set_no_new_privs(true).map_err(|error| LockdownError::new("give up privileges", error))?;
    let landlock = match fences {
        Fences::Seccomp => Landlock::Missing,
        Fences::Both | Fences::Landlock => {
            filesystem::restrict().map_err(|error| LockdownError::new("give up files and networks", error))?
        }
    };
    limits::set().map_err(|error| LockdownError::new("set limits", error))?;
    let none = CapabilitySet::empty();
    let none = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, none).map_err(|error| LockdownError::new("give up capabilities", error))?;
    let seccomp = fences != Fences::Landlock
        && syscalls::filter().map_err(|error| LockdownError::new("filter system calls", error))?;
    Ok(Protections { landlock, seccomp })
}

/// Keeps other processes of the same user from looking into the memory of this one (`PR_SET_DUMPABLE`), and its memory out of
/// core files, those that are piped to a program among them (core(5)).
///
/// # Errors
/// `LockdownError` where the kernel refuses that, which none does.
#[cfg(target_os = "linux")]
pub fn protect_memory() -> Result<(), LockdownError> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, setrlimit};

    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .map_err(|error| LockdownError::new("do without core files", error))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| LockdownError::new("protect the process's memory", error))
}

/// Fails: this system has none of what it takes.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn lock_down_behind(_fences: Fences, _host: u32) -> Result<Protections, LockdownError> {
    Err(LockdownError::new("confine itself", io::Error::from(io::ErrorKind::Unsupported)))
}

/// Does nothing: this system has nothing of the kind.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn protect_memory() -> Result<(), LockdownError> {
    Ok(())
}
