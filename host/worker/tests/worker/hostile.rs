//! The host against workers that say what they should not, and against those that say nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use raito_core::call::{Reply, Request};
use raito_core::digest::Digest;
use raito_core::fault::{Fault, StepFault};
use raito_core::limits;
use raito_core::ports::{AnyPage, BoxFuture, Broker, Connector as _, Context, Guest, Opening};
use raito_core::step::Step;
use raito_worker::{Bounds, Component, Launcher, Worker, WorkerError};

use crate::trial;

/// Counts what it is asked.
#[derive(Default)]
struct Counting(AtomicU64);

impl Broker for Counting {
    fn call(&self, _request: Request) -> BoxFuture<'_, Reply> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Reply::Done })
    }
}

/// Checks what it is asked, and refuses it.
pub(crate) struct Refusing;

impl Broker for Refusing {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        let refused = request.check().err().unwrap_or_else(|| Fault::denied("nothing is granted"));
        Box::pin(async { Reply::Fault(refused) })
    }
}

pub(crate) fn trials() -> Vec<Trial> {
    /// A scenario whose start must say this.
    const STARTS: &[(&str, &str)] = &[
        ("says-nothing", "it says nothing for"),
        ("ends-at-once", "ended with 3"),
        ("other-version", "does not speak this version"),
        ("hangs-while-compiling", "it took longer than"),
        ("ends-while-compiling", "was lost: it ended with 4"),
        ("code-that-was-not-asked-for", "answered something else"),
    ];
    /// A scenario whose read must end with this.
    const READS: &[(&str, &str)] = &[
        ("garbage", "the connector crashed: its process sent a message that is none"),
        ("long-frame", "the connector crashed: its process sent a message of 4294967295 bytes"),
        ("out-of-order", "the connector crashed: its process sent a message out of its order"),
        ("answer-to-another-question", "the connector crashed: its process sent an answer to another question"),
        ("page-of-another-step", "the connector crashed: its answer does not belong to what it was asked"),
        ("huge-count", "the connector crashed: its process sent a message that is none"),
        ("many-empty", "the connector crashed: its process sent a message that is none"),
        ("bad-record", "page 1: users[0].external-id: it is empty"),
        ("ends-mid-page", "the connector crashed: its process ended with 5"),
        ("hangs-up-and-lives", "the connector crashed: its process was killed"),
        ("floods", "the connector crashed: its process sent an answer to another question"),
    ];
    /// A scenario that must be ended at a bound, with this, while another worker works.
    const BOUNDS: &[(&str, &str)] = &[
        ("hangs-when-started", "more time to start than allowed (0.3 s)"),
        ("hangs-when-asked", "more time in one call than allowed (0.3 s)"),
        ("hangs-within-a-message", "more time in one call than allowed (0.3 s)"),
        ("asks-and-hears-nothing", "more time in one call than allowed (0.3 s)"),
        ("asks-without-end", "more requests to the host than allowed (1000)"),
        ("pages-without-end", "more messages to the host than allowed (1 MiB)"),
    ];
    /// A scenario with which no component is looked into, for this.
    const INSPECTIONS: &[(&str, &str)] = &[
        ("says-nothing", "it says nothing for"),
        ("crashes-while-inspecting", "was lost: it gave up, most likely for want of memory or stack"),
        ("ends-while-inspecting", "was lost: it ended with 6"),
        ("hangs-while-inspecting", "was lost: it took longer than"),
        ("compiles-what-was-to-be-inspected", "was lost: it sent an answer to another question"),
        ("outline-of-too-many", "imports or exports more than 128 interfaces"),
        ("outline-without-end", "was lost: it sent a message that is none"),
    ];
    let starts = STARTS
        .iter()
        .map(|(scenario, says)| trial(format!("hostile::{scenario}"), move || fails_to_start(scenario, says)));
    let reads = READS
        .iter()
        .map(|(scenario, says)| trial(format!("hostile::{scenario}"), move || fails_to_read(scenario, says)));
    let bounds = BOUNDS
        .iter()
        .map(|(scenario, says)| trial(format!("hostile::{scenario}"), move || is_ended_at_a_bound(scenario, says)));
    let inspections = INSPECTIONS.iter().map(|(scenario, says)| {
        trial(format!("hostile::inspecting::{scenario}"), move || is_not_inspected(scenario, says))
    });
    let mut trials: Vec<Trial> = starts.chain(reads).chain(bounds).chain(inspections).collect();
    trials.push(trial("hostile::what_is_right_is_taken_and_numbers_are_kept_within_what_can_be", what_is_right));
    trials.push(trial("hostile::no_process_outlives_its_connector", none_left));
    trials
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn fake(scenario: &str) -> Launcher {
    let (soon, mut bounds) = (Duration::from_millis(300), Bounds::default());
    match scenario {
        "says-nothing" => bounds.start_wall = soon,
        "hangs-while-compiling" => bounds.compile_wall = soon,
        "hangs-while-inspecting" => bounds.inspect_wall = soon,
        "asks-without-end" => bounds.step_requests = 1_000,
        "pages-without-end" => bounds.step_bytes = 1 << 20,
        "asks-and-hears-nothing" => bounds.call_wall = soon,
        hangs if hangs.starts_with("hangs-w") => bounds.call_wall = soon,
        _ => {}
    }
    Launcher {
        program: std::env::current_exe().expect("this program"),
        arguments: vec!["fake".into(), scenario.into()],
        bounds,
        ..Launcher::this_program(&[])
    }
}

pub(crate) fn component() -> Component {
    Component { bytes: vec![0; 8].into(), digest: Digest::ZERO, imports: Vec::new() }
}

async fn prepare(scenario: &str) -> Result<Worker, WorkerError> {
    Worker::prepare(&fake(scenario), component(), None).await
}

/// A process that does not look into a component ends with one error, and another one does.
fn is_not_inspected(scenario: &str, says: &str) {
    runtime().block_on(async {
        let component =
            || raito_sandbox::pack(b"\0asm\x0d\0\x01\0", "name = \"t\"\nversion = \"1.0.0\"\nsummary = \"\"\n");
        let bytes = component().expect("packs");
        let error =
            raito_worker::inspect(&fake(scenario), bytes.clone(), None).await.expect_err("it says nothing right");
        assert!(error.to_string().contains(says), "{error}");
        let inspected = raito_worker::inspect(&crate::load::launcher(), bytes, None).await.expect("the host goes on");
        assert_eq!(inspected.manifest.name.as_str(), "t");
    });
}

/// Opens a reader of step 1 and reads it to its end.
async fn read(worker: &Worker, broker: Arc<dyn Broker>) -> (Result<Vec<AnyPage>, StepFault>, Option<Box<dyn Guest>>) {
    let mut guest = match worker.start(Step::IdentityStore, broker).await {
        Ok(guest) => guest,
        Err(fault) => return (Err(fault), None),
    };
    let mut pages = Vec::new();
    let result = async {
        guest.open(Opening::IdentityStore, Context::default()).await?;
        while let Some(page) = guest.next().await? {
            pages.push(page);
        }
        Ok(())
    };
    let result = result.await;
    (result.map(|()| pages), Some(guest))
}

fn fails_to_start(scenario: &str, says: &str) {
    let error = runtime().block_on(prepare(scenario)).err().expect("it does not work");
    assert!(error.to_string().contains(says), "{scenario}: {error}");
}

fn fails_to_read(scenario: &str, says: &str) {
    runtime().block_on(async {
        let worker = prepare(scenario).await.expect("starts");
        let id = worker.process_id().expect("a process");
        let broker = Arc::new(Counting::default());
        let (result, guest) = read(&worker, Arc::clone(&broker) as _).await;
        let fault = result.expect_err("it does not work");
        assert_eq!(fault.to_string(), says, "{scenario}");
        assert_eq!(broker.0.load(Ordering::Relaxed), 0, "{scenario}: the broker was asked");
        drop(guest);
        ended(id).await;
        assert_eq!(worker.process_id(), None, "{scenario}: the process is used again");
    });
}

/// A worker that hangs or floods is ended at its bound, and takes nothing but its step along: another one of the same host
/// reads to its end meanwhile.
fn is_ended_at_a_bound(scenario: &str, says: &str) {
    runtime().block_on(async {
        let (worker, other) = (prepare(scenario).await.expect("starts"), prepare("good-record").await.expect("starts"));
        let id = worker.process_id().expect("a process");
        let broker = Arc::new(Counting::default());
        let (ended_at_bound, (pages, _)) =
            tokio::join!(read(&worker, Arc::clone(&broker) as _), read(&other, Arc::new(Counting::default())));
        let (result, guest) = ended_at_bound;
        assert!(matches!(&result, Err(StepFault::Limit(_))), "{scenario}: {result:?}");
        assert!(result.expect_err("it is").to_string().ends_with(says), "{scenario}");
        assert_eq!(pages.expect("it is right").len(), 1, "{scenario}: the other worker");
        assert!(broker.0.load(Ordering::Relaxed) <= 1_000, "{scenario}: the broker was asked");
        drop(guest);
        ended(id).await;
        assert_eq!(worker.process_id(), None, "{scenario}: the process is used again");
    });
}

/// Waits until a process is gone, and reaped.
pub(crate) async fn ended(id: u32) {
    for _ in 0..1_000 {
        if !Path::new(&format!("/proc/{id}")).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("process {id} is still there");
}

fn what_is_right() {
    runtime().block_on(async {
        let worker = prepare("good-record").await.expect("starts");
        let (result, guest) = read(&worker, Arc::new(Counting::default())).await;
        let pages = result.expect("all is right");
        let [AnyPage::Identities(page)] = pages.as_slice() else { panic!("{pages:?}") };
        assert_eq!(page.records.users[0].external_id.as_str(), "u1");
        let used = guest.expect("it was started").used();
        assert_eq!(used.memory_bytes, limits::GUEST_MEMORY_BYTES as u64);
        assert_eq!(used.calls, 3, "the host counts calls itself");
    });
}

fn none_left() {
    runtime().block_on(async {
        let worker = prepare("good-record").await.expect("starts");
        let id = worker.process_id().expect("a process");
        drop(worker);
        ended(id).await;
    });
}
