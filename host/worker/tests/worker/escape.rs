//! From inside a confined process: files, networks, other processes, and memory beyond the limit are out of reach.
//!
//! Each attempt is made without confinement, where it must succeed, so that an attempt which proves nothing is noticed; and
//! confined, where it must end as the table says. Then again behind each of the kernel's two fences alone: one that has a hole,
//! or that a machine has not, is not the only one.

use std::ffi::CString;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, Stdio};

use libc::{c_long, c_void};
use libtest_mimic::Trial;
use raito_core::limits;
use raito_worker::{Fences, Protections, lock_down, lock_down_behind};
use rustix::net::{AddressFamily, SocketType, socket};

use crate::trial;

/// How an attempt must end in a confined process.
#[derive(Debug, Clone, Copy)]
enum Ends {
    /// With this error.
    With(i32),
    /// With the process (SIGSYS).
    Process,
}

/// Whether an attempt must succeed in a process that is not confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outside {
    Succeeds,
    /// The system may forbid it to everybody, such as looking into a parent's memory (Yama), or a namespace of its own.
    DependsOnTheSystem,
}

use Ends::{Process, With};
use Outside::{DependsOnTheSystem, Succeeds};

/// What Landlock and the limits stop without seccomp, and the error. Landlock knows no system calls, so a process that is held
/// by it alone still makes processes, which it holds as well, learns names and sizes of files, and sends datagrams.
const BEHIND_LANDLOCK: &[(&str, i32)] = &[
    ("open-a-file", libc::EACCES),
    ("open-a-file-the-old-way", libc::EACCES),
    ("make-a-file", libc::EACCES),
    ("read-the-environment-of-the-host", libc::EACCES),
    ("read-the-memory-of-the-host", libc::EACCES),
    ("connect", libc::EACCES),
    ("execute", libc::EACCES),
    ("signal-the-host", libc::EPERM),
    ("trace-the-host", libc::EPERM),
    ("read-the-memory-of-the-host-by-call", libc::EPERM),
    ("raise-a-limit", libc::EPERM),
    ("memory-beyond-the-limit", libc::ENOMEM),
];

/// Every attempt: its name, how it ends, and whether it would succeed outside.
const ATTEMPTS: &[(&str, Ends, Outside)] = &[
    ("open-a-file", With(libc::EACCES), Succeeds),
    ("open-a-file-the-old-way", With(libc::EACCES), Succeeds),
    ("make-a-file", With(libc::EACCES), Succeeds),
    ("look-at-a-file", With(libc::EACCES), Succeeds),
    ("read-the-environment-of-the-host", With(libc::EACCES), Succeeds),
    ("read-the-memory-of-the-host", With(libc::EACCES), DependsOnTheSystem),
    ("delete-a-file", Process, Succeeds),
    ("tcp-socket", Process, Succeeds),
    ("udp-socket", Process, Succeeds),
    ("unix-socket", Process, Succeeds),
    ("netlink-socket", Process, Succeeds),
    ("connect", Process, Succeeds),
    ("send-a-descriptor", Process, Succeeds),
    ("receive-a-descriptor", Process, Succeeds),
    ("execute", Process, Succeeds),
    ("fork", Process, Succeeds),
    ("new-process-the-new-way", With(libc::ENOSYS), Succeeds),
    ("signal-the-host", Process, Succeeds),
    ("signal-everybody", Process, DependsOnTheSystem),
    ("trace-the-host", Process, DependsOnTheSystem),
    ("read-the-memory-of-the-host-by-call", Process, DependsOnTheSystem),
    ("memory-file", Process, Succeeds),
    ("ring", Process, DependsOnTheSystem),
    ("kernel-program", Process, DependsOnTheSystem),
    ("own-namespace", Process, DependsOnTheSystem),
    ("raise-a-limit", Process, DependsOnTheSystem),
    ("be-looked-into-again", Process, Succeeds),
    ("duplicate-a-descriptor", Process, Succeeds),
    ("write-elsewhere", Process, DependsOnTheSystem),
    ("memory-beyond-the-limit", With(libc::ENOMEM), Succeeds),
];

pub(crate) fn trials() -> Vec<Trial> {
    let all = ATTEMPTS
        .iter()
        .map(|(name, ends, outside)| trial(format!("escape::{name}"), move || check(name, *ends, *outside)));
    let seccomp = ATTEMPTS
        .iter()
        .map(|(name, ends, _)| trial(format!("escape::seccomp::{name}"), move || ends_so(name, SECCOMP, *ends)));
    let landlock = BEHIND_LANDLOCK
        .iter()
        .map(|(name, error)| trial(format!("escape::landlock::{name}"), move || ends_so(name, LANDLOCK, With(*error))));
    let mut trials: Vec<Trial> = all.chain(seccomp).chain(landlock).collect();
    trials.push(trial("escape::a_crash_leaves_no_core", leaves_no_core));
    trials.push(trial("escape::this_machine_has_every_protection", every_protection));
    trials.push(trial("escape::a_confined_process_still_computes", still_computes));
    trials.push(trial("escape::a_confined_process_ends_with_its_host", ends_with_its_host));
    trials
}

/// How an attempt is confined: not at all, as every worker is, or behind one of the two fences.
const FREE: &str = "free";
const CONFINED: &str = "confined";
const LANDLOCK: &str = "landlock";
const SECCOMP: &str = "seccomp";

/// Starts this program to make an attempt. Its input is a socket that is not connected.
fn start(name: &str, how: &str, listener: &TcpListener) -> Command {
    let unconnected: OwnedFd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let port = listener.local_addr().expect("bound").port().to_string();
    command.args(["escape", name, how, &std::process::id().to_string(), &port]);
    // As workers have it: what the allocator takes ahead counts against the limit.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.env("SECRET", "of the host").stdin(Stdio::from(unconnected)).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn check(name: &str, ends: Ends, outside: Outside) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = start(name, FREE, &listener).output().expect("starts");
    let said = String::from_utf8_lossy(&free.stdout).into_owned();
    if outside == Succeeds {
        assert!(free.status.success() && !said.contains("refused"), "{name} proves nothing: {:?}, {said}", free.status);
    }
    ends_so(name, CONFINED, ends);
}

/// Makes an attempt and expects how it ends.
fn ends_so(name: &str, how: &str, ends: Ends) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let confined = start(name, how, &listener).output().expect("starts");
    let said = String::from_utf8_lossy(&confined.stdout).into_owned();
    assert!(said.starts_with("confined\n"), "{name}: {said:?}, {:?}", confined.status);
    match ends {
        With(error) => {
            assert_eq!(said, format!("confined\nrefused {error}\n"), "{name}");
            assert_eq!(confined.status.code(), Some(0), "{name}");
        }
        Process => {
            assert_eq!(confined.status.signal(), Some(libc::SIGSYS), "{name}: {said:?}, {:?}", confined.status);
            assert_eq!(said, "confined\n", "{name}");
        }
    }
}

fn every_protection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let output = start("say-what-protects", CONFINED, &listener).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout);
    // Where this fails, Landlock or seccomp are missing, and nothing of the rest proves what it says.
    assert!(said.contains("complete"), "this machine does not confine workers: {said}");
}

fn still_computes() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let output = start("compute", CONFINED, &listener).output().expect("starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "confined\ndone\n", "{:?}", output.status);
}

/// Both processes ask for a core before anything else; only the one that is not confined leaves one.
fn leaves_no_core() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let core = |how: &str| {
        let place = tempfile::tempdir().expect("a folder");
        let status = start("crash", how, &listener).current_dir(place.path()).status().expect("starts");
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{how}: {status:?}");
        let files = std::fs::read_dir(place.path()).expect("readable").count();
        status.core_dumped() || files > 0
    };
    // Where the hard limit is zero nobody leaves one, and nothing is proved.
    if rustix::process::getrlimit(rustix::process::Resource::Core).maximum != Some(0) {
        assert!(core(FREE), "a crash proves nothing: this machine keeps no cores");
    }
    for how in [CONFINED, LANDLOCK, SECCOMP] {
        assert!(!core(how), "{how}: a core was left");
    }
}

/// Lets go of standard error, so that not the number of descriptors is what stops an attempt.
#[expect(unsafe_code, reason = "as below")]
fn make_room() {
    // SAFETY: nothing of this process writes there any more.
    unsafe { libc::close(2) };
}

/// Ends with what makes a core.
fn crash() -> ! {
    std::process::abort()
}

/// Allows itself a core of any size.
fn ask_for_a_core() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Core).maximum;
    setrlimit(Resource::Core, Rlimit { current: most, maximum: most }).expect("within the hard limit");
}

/// The host of this one is a process that is not there any more.
fn ends_with_its_host() {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let output = command.args(["escape", "compute", "confined", "1", "0"]).stdin(Stdio::null()).output();
    let output = output.expect("starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "cannot find the host: it has ended\n");
}

/// Makes an attempt: its name, whether confined, the host's number, and a port where somebody listens.
pub(crate) fn attempt(words: &[String]) -> ExitCode {
    let [name, how, host, port] = words else { return ExitCode::FAILURE };
    let host: u32 = host.parse().expect("a number");
    ask_for_a_core();
    let confined = match how.as_str() {
        FREE => None,
        LANDLOCK => Some(lock_down_behind(Fences::Landlock, host)),
        SECCOMP => Some(lock_down_behind(Fences::Seccomp, host)),
        _ => Some(lock_down(host)),
    };
    let protections = match confined.transpose() {
        Ok(protections) => protections,
        Err(error) => {
            say(&format!("{error}\n"));
            return ExitCode::FAILURE;
        }
    };
    if protections.is_some() {
        say("confined\n");
    }
    let host = libc::pid_t::try_from(host).expect("a number of a process");
    match name.as_str() {
        "say-what-protects" => say(&format!("{}\n", described(protections))),
        "compute" => compute(),
        "crash" => crash(),
        name => {
            if how == LANDLOCK {
                make_room();
            }
            let result = try_it(name, host, port.parse().expect("a port"));
            if result < 0 {
                let error = std::io::Error::last_os_error();
                say(&format!("refused {}\n", error.raw_os_error().unwrap_or_default()));
            } else {
                say(&format!("gave {result}\n"));
            }
        }
    }
    ExitCode::SUCCESS
}

fn described(protections: Option<Protections>) -> String {
    match protections {
        Some(protections) if protections.is_complete() => format!("complete: {protections:?}"),
        other => format!("missing: {other:?}"),
    }
}

/// Writes to standard output without anything between.
fn say(text: &str) {
    let stdout = std::io::stdout();
    let _ = rustix::io::write(&stdout, text.as_bytes());
}

/// What a worker needs: threads, memory, time, random numbers, and machine code of its own.
fn compute() {
    let threads: Vec<_> =
        (0..4_u64).map(|number| std::thread::spawn(move || (0..1_000).sum::<u64>() + number)).collect();
    let sum: u64 = threads.into_iter().map(|thread| thread.join().expect("adds")).sum();
    let set: std::collections::HashSet<u64> = (0..sum).collect();
    std::thread::sleep(std::time::Duration::from_millis(2));
    raito_sandbox::Engine::new().expect("an engine");
    assert!(std::thread::available_parallelism().is_ok());
    assert_eq!(set.len() as u64, sum);
    say("done\n");
}

/// Makes a system call, and gives what it gave.
#[expect(unsafe_code, reason = "attempts are made as one who has left the rules of the language would")]
fn try_it(name: &str, host: libc::pid_t, port: u16) -> c_long {
    let path = |text: String| CString::new(text).expect("no NUL");
    let open = |text: String, flags: i32| {
        let path = path(text);
        // SAFETY: the path ends with NUL and lives until the call returns.
        unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) }
    };
    let nowhere = std::ptr::null_mut::<c_void>();
    let mut address = libc::sockaddr_in {
        sin_family: libc::sa_family_t::try_from(libc::AF_INET).expect("small"),
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let passwd = path("/etc/passwd".into());
    let made = path(format!("/tmp/raito-escape-{}", std::process::id()));
    let mut status = [0_u8; 256];
    let mut word = 0_u64;
    let mut local = libc::iovec { iov_base: (&raw mut word).cast(), iov_len: 8 };
    // SAFETY: of the same kind for all: pointers lead to values above that outlive the call, or nowhere.
    unsafe {
        match name {
            "open-a-file" => open("/etc/passwd".into(), libc::O_RDONLY),
            #[cfg(target_arch = "x86_64")]
            "open-a-file-the-old-way" => libc::syscall(libc::SYS_open, passwd.as_ptr(), libc::O_RDONLY),
            #[cfg(not(target_arch = "x86_64"))]
            "open-a-file-the-old-way" => open("/etc/passwd".into(), libc::O_RDONLY),
            "make-a-file" => {
                let result =
                    libc::syscall(libc::SYS_openat, libc::AT_FDCWD, made.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600);
                if result >= 0 {
                    libc::unlink(made.as_ptr());
                }
                result
            }
            "look-at-a-file" => {
                libc::syscall(libc::SYS_newfstatat, libc::AT_FDCWD, passwd.as_ptr(), status.as_mut_ptr(), 0)
            }
            "read-the-environment-of-the-host" => open(format!("/proc/{host}/environ"), libc::O_RDONLY),
            "read-the-memory-of-the-host" => open(format!("/proc/{host}/mem"), libc::O_RDONLY),
            "delete-a-file" => {
                // Nothing is there, which only one who may ask is told.
                let missing = libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, made.as_ptr(), 0) < 0;
                c_long::from(missing)
            }
            "tcp-socket" => libc::syscall(libc::SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0),
            "udp-socket" => libc::syscall(libc::SYS_socket, libc::AF_INET6, libc::SOCK_DGRAM, 0),
            "unix-socket" => libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0),
            "netlink-socket" => libc::syscall(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0),
            "connect" => libc::syscall(libc::SYS_connect, 0, &raw mut address, size_of::<libc::sockaddr_in>()),
            "send-a-descriptor" => {
                // Not connected: the error is the socket's, not the system's.
                let message: libc::msghdr = std::mem::zeroed();
                let sent = libc::syscall(libc::SYS_sendmsg, 0, &raw const message, libc::MSG_NOSIGNAL);
                c_long::from(sent < 0)
            }
            "receive-a-descriptor" => {
                let mut message: libc::msghdr = std::mem::zeroed();
                let received = libc::syscall(libc::SYS_recvmsg, 0, &raw mut message, libc::MSG_DONTWAIT);
                c_long::from(received < 0)
            }
            "execute" => {
                let program = path("/bin/true".into());
                libc::syscall(
                    libc::SYS_execve,
                    program.as_ptr(),
                    [program.as_ptr(), std::ptr::null()].as_ptr(),
                    [nowhere].as_ptr(),
                )
            }
            "fork" => match libc::syscall(libc::SYS_clone, libc::SIGCHLD, nowhere, nowhere, nowhere, nowhere) {
                0 => libc::_exit(0),
                child => child,
            },
            "new-process-the-new-way" => {
                // struct clone_args (linux/sched.h): flags, pidfd, child_tid, parent_tid, exit_signal, and what stays zero.
                let mut arguments = [0_u64; 11];
                arguments[4] = libc::SIGCHLD.unsigned_abs().into();
                match libc::syscall(libc::SYS_clone3, arguments.as_mut_ptr(), size_of_val(&arguments)) {
                    0 => libc::_exit(0),
                    child => child,
                }
            }
            "signal-the-host" => libc::syscall(libc::SYS_kill, host, 0),
            "signal-everybody" => libc::syscall(libc::SYS_kill, -1, 0),
            "trace-the-host" => libc::syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, host, nowhere, nowhere),
            "read-the-memory-of-the-host-by-call" => {
                let remote = local;
                libc::syscall(libc::SYS_process_vm_readv, host, &raw mut local, 1, &raw const remote, 1, 0)
            }
            "memory-file" => libc::syscall(libc::SYS_memfd_create, passwd.as_ptr(), 0),
            "ring" => libc::syscall(libc::SYS_io_uring_setup, 1, status.as_mut_ptr()),
            "kernel-program" => libc::syscall(libc::SYS_bpf, 0, status.as_mut_ptr(), 16),
            "own-namespace" => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            "raise-a-limit" => {
                let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
                libc::syscall(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, &raw const limit, nowhere)
            }
            "be-looked-into-again" => libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0),
            "duplicate-a-descriptor" => libc::syscall(libc::SYS_dup, 0),
            "write-elsewhere" => libc::syscall(libc::SYS_write, 7, passwd.as_ptr(), 1),
            "memory-beyond-the-limit" => map_beyond_the_limit(),
            other => panic!("no attempt {other}"),
        }
    }
}

/// Maps memory in pieces of 16 MiB to twice the limit; pages are not touched, and so cost nothing where that works.
#[expect(unsafe_code, reason = "as above")]
fn map_beyond_the_limit() -> c_long {
    const PIECE: usize = 16 << 20;
    let pieces = 2 * usize::try_from(limits::WORKER_DATA_BYTES).expect("fits") / PIECE;
    for _ in 0..pieces {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        // SAFETY: a new mapping that nothing refers to.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), PIECE, protection, flags, -1, 0) };
        if mapped == libc::MAP_FAILED {
            return -1;
        }
    }
    1
}
