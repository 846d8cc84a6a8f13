//! Resource limits of a worker, and the end of descriptors that it inherited by accident.

use std::io;

use raito_core::limits;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Descriptors of a worker: the channel, and standard output and error, which lead nowhere.
const DESCRIPTORS: u64 = 3;

/// Sets limits that the process cannot lift again.
pub(super) fn set() -> Result<(), io::Error> {
    let all = [
        (Resource::Data, limits::WORKER_DATA_BYTES),
        (Resource::As, limits::WORKER_ADDRESS_BYTES),
        (Resource::Cpu, limits::WORKER_CPU.as_secs()),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Fsize, 0),
    ];
    for (resource, limit) in all {
        setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?;
    }
    Ok(())
}

/// Closes whatever somebody left open when he started the host: what the host opened itself is closed in children anyway.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
pub(super) fn close_descriptors() -> Result<(), io::Error> {
    let first = libc::c_uint::try_from(DESCRIPTORS).unwrap_or(libc::c_uint::MAX);
    // SAFETY: it touches no memory. Nothing of this process owns a descriptor above those three at its start.
    match unsafe { libc::close_range(first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
