//! What a worker process costs: the same connectors, records and calls with it and in the same process, side by side. Prints
//! one line for each; `host/docs/performance.md` has them.

use std::hint::black_box;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raito_core::call::{Reply, Request};
use raito_core::digest::Digest;
use raito_core::limits;
use raito_core::ports::{AnyPage, BoxFuture, Broker, Connector, Context, Opening};
use raito_core::step::Step;
use raito_core::unite::Reading;
use raito_sandbox::{Compiled, Engine, inspect};
use raito_worker::{CodeCache, Component, Launcher, Worker};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module, TypeSection, ValType};

/// As in the program, and so are its settings.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
const ENVIRONMENT: [(&str, &str); 1] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// Objects in one measurement.
const OBJECTS: u64 = 1_000_000;
/// Calls that the connector makes when it is told to flood the log.
const CALLS: f64 = 5_000.0;
/// Measurements of each; the median counts.
const TIMES: usize = 7;
/// Measurements of the connector in Python, which takes seconds to compile.
const PYTHON_TIMES: usize = 3;

/// A broker that has nothing to do.
struct Nobody;

impl Broker for Nobody {
    fn call(&self, _request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async { Reply::Done })
    }
}

fn bytes(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/connectors").join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()))
}

fn connector(name: &str) -> Component {
    Component::from(&inspect(bytes(name)).expect("a connector"))
}

/// Looks into a component as a run does it.
async fn looked_into(launcher: &Launcher, name: &str, cache: Option<&CodeCache>) -> Component {
    Component::from(&raito_worker::inspect(launcher, bytes(name), cache).await.expect("a connector"))
}

fn context(scenario: &str, step: &str) -> Context {
    let settings = [("scenario", scenario.to_owned()), ("step", step.to_owned()), ("objects", OBJECTS.to_string())];
    Context { settings: settings.map(|(key, value)| (key.to_owned(), value)).into(), ..Context::default() }
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// Pulls all objects of a guest through every check.
async fn pull(connector: &dyn Connector) -> Duration {
    let mut guest = connector.start(Step::DataSource, Arc::new(Nobody)).await.expect("starts");
    let description = guest.describe(context("quiet", "none")).await.expect("describes");
    let began = Instant::now();
    guest.open(Opening::DataSource(None), context("quiet", "none")).await.expect("opens");
    let (mut reading, mut records) = (Reading::default(), 0);
    while let Some(page) = guest.next().await.expect("a page") {
        let AnyPage::Objects(page) = page else { panic!("objects") };
        reading.page(page.records.objects.len(), page.gaps).expect("within bounds");
        reading.objects(&page.records, &description).expect("correct");
        records += page.records.objects.len() as u64;
    }
    assert_eq!(records, OBJECTS);
    began.elapsed()
}

/// Has a guest call the broker very often.
async fn call(connector: &dyn Connector) -> Duration {
    let mut guest = connector.start(Step::IdentityStore, Arc::new(Nobody)).await.expect("starts");
    let began = Instant::now();
    guest.open(Opening::IdentityStore, context("log-flood", "identity-store")).await.expect("opens");
    while guest.next().await.expect("a page").is_some() {}
    began.elapsed()
}

/// From inspected bytes to an instance that can be asked.
async fn started(connector: impl Future<Output = Box<dyn Connector>>) -> Duration {
    let began = Instant::now();
    let connector = connector.await;
    black_box(connector.start(Step::DataSource, Arc::new(Nobody)).await.is_ok());
    began.elapsed()
}

async fn startup(engine: &Engine, launcher: &Launcher) {
    let mut times = Vec::new();
    for _ in 0..=4 * TIMES {
        let began = Instant::now();
        black_box(Worker::probe(launcher).await.expect("starts"));
        times.push(began.elapsed());
    }
    println!("a worker process, until it has confined itself: {:.1?}", median(&mut times));
    let folder = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(&folder.path().join("cache"), &folder.path().join("key")).expect("opens");
    let cache = Arc::new(cache);
    for (name, turns) in [("chaos", TIMES), ("postgresql", TIMES), ("demo", TIMES), ("demo-python", PYTHON_TIMES)] {
        let component = connector(name);
        let mut times: [Vec<Duration>; 4] = Default::default();
        for turn in 0..=turns {
            let here = started(async {
                let compiled = Compiled::new(engine, &component.bytes, &component.imports).expect("compiles");
                Box::new(compiled) as Box<dyn Connector>
            });
            let there = started(async {
                let worker = Worker::prepare(launcher, component.clone(), None).await.expect("starts");
                Box::new(worker) as Box<dyn Connector>
            });
            let again = started(async {
                let worker =
                    Worker::prepare(launcher, component.clone(), Some(Arc::clone(&cache))).await.expect("starts");
                Box::new(worker) as Box<dyn Connector>
            });
            // As a run does it: from a file on.
            let whole = started(async {
                let component = looked_into(launcher, name, Some(&cache)).await;
                let worker = Worker::prepare(launcher, component, Some(Arc::clone(&cache))).await;
                Box::new(worker.expect("starts")) as Box<dyn Connector>
            });
            let all = [here.await, there.await, again.await, whole.await];
            // The first turn fills caches, that of compiled code among them.
            if turn > 0 {
                times.iter_mut().zip(all).for_each(|(list, time)| list.push(time));
            }
        }
        let [here, there, again, whole] = times.each_mut().map(|list| median(list));
        println!(
            "start of {name}.wasm ({} KiB): in-process {here:.1?}, process {there:.1?}, process with kept code {again:.1?}, \
             and with reading and looking into the file {whole:.1?}",
            component.bytes.len() / 1024
        );
    }
}

/// Starts of one connector with kept code, for whoever looks where their time goes.
async fn kept(launcher: &Launcher, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = CodeCache::open(&folder.path().join("cache"), &folder.path().join("key")).expect("opens");
    let cache = Arc::new(cache);
    let mut times = Vec::new();
    for _ in 0..=4 * TIMES {
        let again = started(async {
            let component = looked_into(launcher, name, Some(&cache)).await;
            let worker = Worker::prepare(launcher, component, Some(Arc::clone(&cache))).await;
            Box::new(worker.expect("starts")) as Box<dyn Connector>
        });
        times.push(again.await);
    }
    // The first one compiles.
    let times = &mut times[1..];
    println!("start of {name}.wasm with kept code, from its file on: {:.1?}, at best {:.1?}", median(times), times[0]);
}

async fn side_by_side(engine: &Engine, launcher: &Launcher) {
    let component = connector("chaos");
    let here = Compiled::new(engine, &component.bytes, &component.imports).expect("compiles");
    let there = Worker::prepare(launcher, component, None).await.expect("starts");
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..TIMES {
        let all = [pull(&here).await, pull(&there).await, call(&here).await, call(&there).await];
        times.iter_mut().zip(all).for_each(|(list, time)| list.push(time));
    }
    let [pull_here, pull_there, call_here, call_there] = times.each_mut().map(|list| median(list).as_secs_f64());
    let million = OBJECTS as f64 / 1e6;
    println!(
        "data-object records in pages of 1,024: in-process {:.3} M/s, process {:.3} M/s: {:.0} %",
        million / pull_here,
        million / pull_there,
        100.0 * pull_here / pull_there
    );
    println!(
        "calls to the broker: in-process {:.0} /s, process {:.0} /s: {:.1} µs more each",
        CALLS / call_here,
        CALLS / call_there,
        (call_there - call_here) / CALLS * 1e6
    );
}

/// The dearest component that an inspection lets through: one function with as many additions as fit.
fn largest_function() -> Component {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::I32Const(1));
    for _ in 0..(limits::FUNCTION_BODY_BYTES - 16) / 3 {
        body.instruction(&Instruction::LocalGet(0)).instruction(&Instruction::I32Add);
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

/// What compiling the dearest component takes of a worker.
async fn dearest(launcher: &Launcher) {
    let began = Instant::now();
    match Worker::prepare(launcher, largest_function(), None).await {
        Err(error) => println!("compile one function of {} KiB: {error}", limits::FUNCTION_BODY_BYTES / 1024),
        Ok(worker) => {
            let took = began.elapsed();
            let status = worker.process_id().and_then(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok());
            let status = status.unwrap_or_default();
            let line =
                |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().replace('\t', " ");
            println!(
                "compile one function of {} KiB: {took:.1?}, {}, {} in the end",
                limits::FUNCTION_BODY_BYTES / 1024,
                line("VmHWM"),
                line("VmData")
            );
        }
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some(raito_worker::SUBCOMMAND) {
        return raito_worker::serve(&words.next().unwrap_or_default());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let launcher = Launcher::this_program(&ENVIRONMENT);
        // `cargo bench -p raito-worker --bench isolation -- NAME…` measures these only.
        let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        for name in &names {
            kept(&launcher, name).await;
        }
        if !names.is_empty() {
            return;
        }
        let engine = Engine::new().expect("an engine");
        startup(&engine, &launcher).await;
        side_by_side(&engine, &launcher).await;
        dearest(&launcher).await;
    });
    ExitCode::SUCCESS
}
