//! The boundary between host and guest: how long a connector takes to its first call, and how many records a second it can
//! hand over, with every limit and every check switched on. Prints one line for each; `host/docs/performance.md` has them.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use raito_core::call::{Reply, Request};
use raito_core::ports::{AnyPage, BoxFuture, Broker, Connector as _, Context, Opening};
use raito_core::step::Step;
use raito_core::unite::Reading;
use raito_sandbox::{Compiled, Engine, inspect};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Objects in one measurement.
const OBJECTS: u64 = 1_000_000;
/// Measurements of each; the median counts.
const TIMES: usize = 5;

/// A broker that nothing is asked of.
struct Nobody;

impl Broker for Nobody {
    fn call(&self, _request: Request) -> BoxFuture<'_, Reply> {
        Box::pin(async { Reply::Done })
    }
}

fn connector(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/connectors").join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: run `make connectors`", file.display()))
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn context(objects: u64) -> Context {
    let settings = [("scenario", "quiet".to_owned()), ("step", "none".to_owned()), ("objects", objects.to_string())];
    Context { settings: settings.map(|(key, value)| (key.to_owned(), value)).into(), ..Context::default() }
}

/// From bytes to the answer of the first call.
async fn first_call(engine: &Engine, bytes: &[u8], step: Step) -> [Duration; 3] {
    let began = Instant::now();
    let inspected = inspect(bytes.to_vec()).expect("a connector");
    let inspected_after = began.elapsed();
    let compiled = Compiled::new(engine, &inspected.bytes, &inspected.imports).expect("compiles");
    let compiled_after = began.elapsed();
    let mut guest = compiled.start(step, Arc::new(Nobody)).await.expect("starts");
    black_box(guest.open(Opening::IdentityStore, context(1)).await.is_ok());
    [inspected_after, compiled_after - inspected_after, began.elapsed() - compiled_after]
}

/// Pulls all objects of a guest through every check, and says how long that took.
async fn pull(compiled: &Compiled) -> (Duration, u64) {
    let mut guest = compiled.start(Step::DataSource, Arc::new(Nobody)).await.expect("starts");
    let description = guest.describe(context(OBJECTS)).await.expect("describes");
    guest.open(Opening::DataSource(None), context(OBJECTS)).await.expect("opens");
    let (mut reading, mut records) = (Reading::default(), 0);
    let began = Instant::now();
    while let Some(page) = guest.next().await.expect("a page") {
        let AnyPage::Objects(page) = page else { panic!("objects") };
        reading.page(page.records.objects.len(), page.gaps).expect("within bounds");
        reading.objects(&page.records, &description).expect("correct");
        records += page.records.objects.len() as u64;
    }
    assert_eq!(records, OBJECTS);
    (began.elapsed(), guest.used().memory_bytes)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let engine = Engine::new().expect("an engine");
    let bytes = connector("chaos");
    for (name, bytes) in
        [("postgresql", connector("postgresql")), ("demo", connector("demo")), ("chaos", bytes.clone())]
    {
        let mut all: [Vec<Duration>; 3] = Default::default();
        for _ in 0..TIMES {
            let times = first_call(&engine, &bytes, Step::IdentityStore).await;
            all.iter_mut().zip(times).for_each(|(list, time)| list.push(time));
        }
        let [inspect, compile, start] = all.map(median);
        println!(
            "{name}.wasm ({} KiB): inspect {inspect:.1?}, compile {compile:.1?}, instantiate and first call {start:.1?}",
            bytes.len() / 1024
        );
    }
    let inspected = inspect(bytes).expect("a connector");
    let compiled = Compiled::new(&engine, &inspected.bytes, &inspected.imports).expect("compiles");
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..TIMES {
        let (time, peak) = pull(&compiled).await;
        times.push(time);
        memory = peak;
    }
    let time = median(times);
    println!(
        "data-object: {OBJECTS} records in pages of 1,024 in {time:.2?}: {:.2} M records/s; guest memory {} KiB",
        OBJECTS as f64 / time.as_secs_f64() / 1e6,
        memory / 1024
    );
}
