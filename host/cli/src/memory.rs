//! The memory of the program: its allocator, and who may look into it.

use crate::codes;
use crate::error::CliError;

/// Records are many small texts: with this allocator the boundary hands over about a sixth more of them a second than with
/// the C library's (`make bench`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay`, which the bindings do not name (mimalloc.h).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// The environment of workers: the allocator takes memory as it is needed, not 1 GiB ahead, since what a worker has taken
/// counts against its limit whether it is used or not.
pub(crate) const WORKER_ENVIRONMENT: [(&str, &str); 1] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// Has memory that was freed go back to the system after 10 ms instead of a second. A run frees each page that it has passed
/// on, so this halves what it takes at its peak, at no cost that can be measured (`make bench`).
#[expect(unsafe_code, reason = "the allocator takes its options through C")]
pub(crate) fn give_back_early() {
    // SAFETY: it stores one number, and may be called at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 10) }
}

/// Keeps the memory of this process to itself: no other process of the same user may look into it, and a crash leaves no core.
/// Whoever is about to fetch a secret calls this first. Commands that need none do without, since it also takes
/// `/dev/stdin` and its like from everybody but root (proc(5)).
pub(crate) fn keep_to_itself() -> Result<(), CliError> {
    raito_worker::protect_memory().map_err(|error| CliError::new(codes::HOST, error.to_string()))
}

/// Leaves all memory to the system, which takes it back as a whole once the process has ended: nothing is given back piece by piece
/// before that.
#[expect(unsafe_code, reason = "the allocator takes its options through C")]
pub(crate) fn keep_to_the_end() {
    // SAFETY: it stores one number, and may be called at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
