//! Real workers: compiling within bounds, code that is kept, and guests that answer as in the same process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use raito_core::call::{Reply, Request};
use raito_core::digest::Digest;
use raito_core::ports::{AnyPage, BoxFuture, Broker, Connector, Context, Opening};
use raito_core::step::Step;
use raito_sandbox::{Compiled, Engine, inspect};
use raito_worker::{Bounds, CodeCache, Component, InspectionError, Launcher, Worker};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module, TypeSection, ValType};

use crate::hostile::ended;
use crate::trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("load::a_guest_answers_as_in_the_same_process", same_answers),
        trial("load::a_worker_is_kept_from_step_to_step", kept),
        trial("load::a_worker_that_is_stopped_is_killed_and_its_step_fails", stopped),
        trial("load::a_compile_bomb_ends_within_its_wall_time_and_with_its_process", bomb),
        trial("load::what_is_no_component_is_refused_by_the_worker", no_component),
        trial("load::a_component_is_looked_into_as_in_the_same_process_and_known_afterwards", looked_into),
        trial("load::code_is_kept_and_what_was_changed_is_compiled_again", kept_code),
    ]
}

/// Answers the clock, and nothing else.
struct Clock;

impl Broker for Clock {
    fn call(&self, request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async move { if request == Request::Now { Reply::Now(1_000) } else { Reply::Done } })
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(crate) fn launcher() -> Launcher {
    // As in the program: what the allocator takes ahead counts against the limit of a worker.
    Launcher::this_program(&[("MIMALLOC_ARENA_EAGER_COMMIT", "0")])
}

fn chaos() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/connectors/chaos.wasm");
    std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()))
}

fn admitted() -> Component {
    Component::from(&inspect(chaos()).expect("a connector"))
}

fn context(objects: u32) -> Context {
    let settings = [("scenario", "quiet".to_owned()), ("step", "none".to_owned()), ("objects", objects.to_string())];
    Context { settings: settings.map(|(key, value)| (key.to_owned(), value)).into(), ..Context::default() }
}

/// Describes the target and reads step 2, as text.
async fn objects(connector: &dyn Connector, count: u32) -> String {
    let mut guest = connector.start(Step::DataSource, Arc::new(Clock)).await.expect("starts");
    let description = guest.describe(context(count)).await.expect("describes");
    guest.open(Opening::DataSource(None), context(count)).await.expect("opens");
    let mut pages: Vec<AnyPage> = Vec::new();
    while let Some(page) = guest.next().await.expect("a page") {
        pages.push(page);
    }
    assert!(guest.used().memory_bytes > 0);
    assert_eq!(guest.used().calls, pages.len() as u64 + 3);
    format!("{description:?}{pages:?}")
}

fn same_answers() {
    runtime().block_on(async {
        let component = admitted();
        let engine = Engine::new().expect("an engine");
        let here = Compiled::new(&engine, &component.bytes, &component.imports).expect("compiles");
        let there = Worker::prepare(&launcher(), component, None).await.expect("starts");
        assert_eq!(objects(&here, 5_000).await, objects(&there, 5_000).await);
        assert!(there.protections().is_complete(), "{:?}", there.protections());
    });
}

fn kept() {
    runtime().block_on(async {
        let worker = Worker::prepare(&launcher(), admitted(), None).await.expect("starts");
        let before = worker.process_id().expect("a process");
        objects(&worker, 10).await;
        assert_eq!(worker.process_id(), Some(before));
        // A reader that is given up half-way takes its process with it, and the next step has another.
        let mut guest = worker.start(Step::DataSource, Arc::new(Clock)).await.expect("starts");
        guest.open(Opening::DataSource(None), context(5_000)).await.expect("opens");
        guest.next().await.expect("a page").expect("not the last");
        drop(guest);
        assert_eq!(worker.process_id(), None);
        objects(&worker, 10).await;
        assert_ne!(worker.process_id(), Some(before));
    });
}

/// The guest does nothing wrong; its process just goes no further, whatever the reason.
fn stopped() {
    runtime().block_on(async {
        let place = tempfile::tempdir().expect("a folder");
        let cache = CodeCache::open(&place.path().join("cache"), &place.path().join("key")).expect("opens");
        let bounds = Bounds { call_wall: Duration::from_secs(1), ..Bounds::default() };
        let launcher = Launcher { bounds, ..launcher() };
        let worker = Worker::prepare(&launcher, admitted(), Some(Arc::new(cache))).await.expect("starts");
        let id = worker.process_id().expect("a process");
        let mut guest = worker.start(Step::DataSource, Arc::new(Clock)).await.expect("starts");
        guest.open(Opening::DataSource(None), context(5_000)).await.expect("opens");
        let process = rustix::process::Pid::from_raw(i32::try_from(id).expect("small")).expect("not zero");
        rustix::process::kill_process(process, rustix::process::Signal::STOP).expect("ours");
        let fault = loop {
            // What was made before it was stopped is still there.
            match guest.next().await {
                Ok(page) => assert!(page.is_some(), "the read came to its end"),
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.to_string(), "the connector used more time in one call than allowed (1 s)");
        drop(guest);
        ended(id).await;
        objects(&worker, 10).await;
    });
}

/// A component of one function that adds very often, and is never run: beyond what an inspection lets through.
fn adding(times: usize) -> Component {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::I32Const(1));
    for _ in 0..times {
        body.instruction(&Instruction::I32Const(3)).instruction(&Instruction::I32Add);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    let mut component = wasm_encoder::Component::new();
    component.section(&wasm_encoder::ModuleSection(&module));
    let bytes = component.finish();
    Component { digest: Digest::of(&bytes), bytes: bytes.into(), imports: Vec::new() }
}

fn bomb() {
    runtime().block_on(async {
        let small = Worker::prepare(&launcher(), adding(100), None).await;
        small.expect("a small one is none");
        let bounds = Bounds { compile_wall: Duration::from_secs(1), ..Bounds::default() };
        let launcher = Launcher { bounds, ..launcher() };
        let began = std::time::Instant::now();
        let error = Worker::prepare(&launcher, adding(2_000_000), None).await.err().expect("too much");
        assert!(
            error.to_string().contains("took longer than 1s") || error.to_string().contains("want of memory"),
            "{error}"
        );
        let took = began.elapsed();
        assert!(took < Duration::from_secs(60), "it ended after {took:?}, not by itself");
        Worker::prepare(&launcher, adding(100), None).await.expect("the host goes on");
    });
}

fn no_component() {
    runtime().block_on(async {
        for bytes in [&b"\0asm\x0d\0\x01\0\xff"[..], b"(component)", b"\x7fELF\x02\x01\x01"] {
            let component = Component { bytes: bytes.into(), digest: Digest::of(bytes), imports: Vec::new() };
            let error = Worker::prepare(&launcher(), component, None).await.err().expect("it is none");
            assert!(error.to_string().contains("cannot be compiled"), "{error}");
        }
    });
}

fn looked_into() {
    runtime().block_on(async {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, key) = (place.path().join("cache"), place.path().join("key"));
        let cache = CodeCache::open(&folder, &key).expect("opens");
        let expected = inspect(chaos()).expect("a connector");
        let first = raito_worker::inspect(&launcher(), chaos(), Some(&cache)).await.expect("a connector");
        assert_eq!(first, expected);
        // Nobody is asked about what is known: this program is no worker.
        let nobody = Launcher { program: "/bin/false".into(), ..launcher() };
        let again = raito_worker::inspect(&nobody, chaos(), Some(&cache)).await.expect("it is known");
        assert_eq!(again, expected);
        let mut other = chaos();
        other.extend([0, 2, 1, b'x']);
        let unknown = raito_worker::inspect(&nobody, other.clone(), Some(&cache)).await;
        assert!(matches!(unknown, Err(InspectionError::Start(_))), "{unknown:?}");
        let other = raito_worker::inspect(&launcher(), other, Some(&cache)).await.expect("a connector");
        assert_ne!(other.digest, expected.digest);
        for (bytes, says) in [
            (&b"\0asm\x0d\0\x01\0\xff"[..], "not valid"),
            (b"(component)", "WebAssembly text"),
            (b"\x7fELF\x02\x01\x01", "native code"),
            (b"\0asm\x0d\0\x01\0", "no manifest"),
        ] {
            let error = raito_worker::inspect(&launcher(), bytes.to_vec(), Some(&cache)).await.expect_err(says);
            assert!(error.to_string().contains(says), "{error}");
        }
    });
}

fn kept_code() {
    runtime().block_on(async {
        let place = tempfile::tempdir().expect("a folder");
        let (folder, key) = (place.path().join("cache"), place.path().join("key"));
        let open = || Arc::new(CodeCache::open(&folder, &key).expect("opens"));
        let entries = || -> Vec<PathBuf> {
            std::fs::read_dir(&folder).expect("lists").map(|entry| entry.expect("an entry").path()).collect()
        };
        let first = Worker::prepare(&launcher(), admitted(), Some(open())).await.expect("compiles");
        let expected = objects(&first, 100).await;
        let [entry] = entries().try_into().expect("one entry");
        let written = std::fs::read(&entry).expect("readable");
        let second = Worker::prepare(&launcher(), admitted(), Some(open())).await.expect("loads");
        assert_eq!(objects(&second, 100).await, expected);

        // One bit of machine code: loaded, it might do anything. It is compiled again, and the entry made good.
        let mut changed = written.clone();
        let middle = changed.len() / 2;
        changed[middle] ^= 1;
        std::fs::write(&entry, &changed).expect("writable");
        let third = Worker::prepare(&launcher(), admitted(), Some(open())).await.expect("compiles again");
        assert_eq!(objects(&third, 100).await, expected);
        assert_ne!(std::fs::read(&entry).expect("readable"), changed, "the entry was made good");
    });
}
