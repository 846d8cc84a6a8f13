//! How much memory a host takes whose worker was taken over: it stays small, whatever arrives on the channel.
//!
//! Each scenario is played against a host in a process of its own, which says at its end how much it had at most. It has the
//! program's allocator.

use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use libtest_mimic::Trial;
use raito_core::ports::{AnyPage, Connector as _, Context, Opening};
use raito_core::step::Step;
use raito_worker::CodeCache;

use crate::hostile::{Refusing, component, fake, runtime};
use crate::trial;

/// The most that a host may take, in MiB: the 200 that are promised, less what the rest of the program takes beside it.
const HOST_MIB: u64 = 160;

/// What a scenario makes the host take at least, in MiB, so that one which never arrived is noticed; and what it ends with.
const SCENARIOS: &[(&str, u64, &str)] = &[
    ("longest-page", 32, "3 pages, then the connector crashed: its process ended with 6"),
    ("page-of-many-records", 16, "3 pages, then the connector crashed: its process ended with 6"),
    ("page-of-nothing", 64, "0 pages, then page 1: users[0].tags: it has"),
    ("dearest-page", 64, "0 pages, then page 1: users[0].tags: it has"),
    ("list-beyond-any", 1, "0 pages, then the connector crashed: its process sent a message that is none"),
    ("longest-failure", 32, "0 pages, then the connector crashed: xxxx"),
    ("longest-log-message", 32, "0 pages, then the connector crashed: its process ended with 6"),
    ("longest-transaction", 16, "0 pages, then the connector crashed: its process ended with 6"),
    ("longest-code", 64, "does not start"),
];

pub(crate) fn trials() -> Vec<Trial> {
    SCENARIOS
        .iter()
        .map(|(scenario, least, says)| {
            trial(format!("memory::{scenario}"), move || stays_small(scenario, *least, says))
        })
        .collect()
}

fn stays_small(scenario: &str, least: u64, says: &str) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["host", scenario]).env("MIMALLOC_PURGE_DELAY", "10").stderr(Stdio::inherit());
    let output = command.output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (took, ended) = said.split_once(" MiB: ").unwrap_or_else(|| panic!("{scenario}: {said:?}, {output:?}"));
    let took: u64 = took.parse().expect("a number");
    eprintln!("{scenario}: {said}");
    assert!(ended.starts_with(says), "{scenario}: {ended}");
    assert!((least..HOST_MIB).contains(&took), "{scenario}: the host took {took} MiB");
}

/// Is a host, and says what it took and how a read ended.
pub(crate) fn host(scenario: &str) -> ExitCode {
    let ended = runtime().block_on(read(scenario));
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("{} MiB: {ended}", kib >> 10);
    ExitCode::SUCCESS
}

async fn read(scenario: &str) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(&place.path().join("cache"), &place.path().join("key")).expect("opens");
    let cache = (scenario == "longest-code").then(|| Arc::new(cache));
    let worker = match raito_worker::Worker::prepare(&fake(scenario), component(), cache).await {
        Ok(worker) => worker,
        Err(error) => return format!("does not start: {error}"),
    };
    let mut guest = worker.start(Step::IdentityStore, Arc::new(Refusing)).await.expect("starts");
    let mut pages = 0;
    let read = async {
        guest.open(Opening::IdentityStore, Context::default()).await?;
        while let Some(AnyPage::Identities(page)) = guest.next().await? {
            pages += 1;
            drop(page);
        }
        Ok::<(), raito_core::fault::StepFault>(())
    };
    match read.await {
        Ok(()) => format!("{pages} pages"),
        Err(fault) => format!("{pages} pages, then {fault}"),
    }
}
