//! seccomp: the system calls that a worker may make, by name and argument.
//!
//! Three filters, of which the strictest counts. Calls that libraries try in passing and can do without (opening files to
//! learn about the machine, the newer way to make a thread) get an error. Everything else that is not listed ends the process:
//! whoever makes such a call has left the program, and should not learn which others would have worked.

use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Compare, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

/// Memory, threads, time, signals to itself, and ending: what a program needs that computes.
const ALLOWED: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getrandom,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that name a file. Libraries make them to look at the machine, and take no for an answer.
const NO_FILES: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_readlinkat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

/// The option of `prctl` that names a mapping (`linux/prctl.h`), which libc does not have for every system.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Installs the filters for this thread and all that it makes.
///
/// Gives whether the kernel has filters at all.
pub(super) fn filter() -> Result<bool, io::Error> {
    let programs = programs().map_err(io::Error::other)?;
    for program in &programs {
        match apply_filter(program) {
            Ok(()) => {}
            Err(Error::Seccomp(error)) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
                return Ok(false);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(true)
}

fn programs() -> Result<[BpfProgram; 3], seccompiler::BackendError> {
    let errors = |calls: &[c_long], error: i32| {
        let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(error.unsigned_abs()), architecture()?)?
            .try_into()
    };
    let names = NO_FILES.iter().chain([&libc::SYS_clone3]);
    let plain = ALLOWED.iter().chain(names).map(|call| (*call, Vec::new()));
    let rules = plain.chain(by_argument()?).collect();
    let allow = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture()?)?;
    // The last one forbids installing more.
    Ok([errors(NO_FILES, libc::EACCES)?, errors(&[libc::SYS_clone3], libc::ENOSYS)?, allow.try_into()?])
}

/// Calls that depend on what they are made with.
fn by_argument() -> Result<Vec<(c_long, Vec<SeccompRule>)>, seccompiler::BackendError> {
    let rule = |argument: u8, width: Width, compare: Compare, value: u64| {
        SeccompRule::new(vec![SeccompCondition::new(argument, width, compare, value)?])
    };
    let itself = u64::from(std::process::id());
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    Ok(vec![
        // The channel is standard input; what is written to the other two goes nowhere.
        (libc::SYS_read, vec![rule(0, Width::Dword, Compare::Eq, 0)?]),
        (libc::SYS_write, vec![rule(0, Width::Dword, Compare::Le, 2)?]),
        // Threads, and no processes.
        (libc::SYS_clone, vec![rule(0, Width::Qword, Compare::MaskedEq(thread), thread)?]),
        // Ending itself, and nobody else.
        (libc::SYS_kill, vec![rule(0, Width::Dword, Compare::Eq, itself)?]),
        (libc::SYS_tgkill, vec![rule(0, Width::Dword, Compare::Eq, itself)?]),
        // Asking for limits (of itself, since it may look into no other), and setting none.
        (libc::SYS_prlimit64, vec![rule(2, Width::Qword, Compare::Eq, 0)?]),
        // Names of threads, and of mappings.
        (
            libc::SYS_prctl,
            vec![
                rule(0, Width::Dword, Compare::Eq, u64::from(libc::PR_SET_NAME.unsigned_abs()))?,
                rule(0, Width::Dword, Compare::Eq, PR_SET_VMA)?,
            ],
        ),
    ])
}

fn architecture() -> Result<TargetArch, seccompiler::BackendError> {
    std::env::consts::ARCH.try_into()
}
