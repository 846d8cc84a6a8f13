//! Components that no compiler makes: each is one core module, written as text, that misbehaves at one place. They are
//! attacked where a guest can run although nobody called it, and where it hands over what cannot be.

use std::sync::Arc;
use std::time::Duration;

use raito_core::call::{Reply, Request};
use raito_core::fault::StepFault;
use raito_core::limits;
use raito_core::ports::{BoxFuture, Broker, Connector as _, Context, Guest as _, Opening};
use raito_core::step::Step;

use self::raw::{Module, SOUND};
use crate::{Checked, CompileError, Compiled, Engine, inspect};

#[path = "../../../tests/support/raw.rs"]
mod raw;

/// How long it takes until the time is answered.
#[derive(Clone, Copy)]
enum Clock {
    AtOnce,
    After(Duration),
    Never,
}

impl Broker for Clock {
    fn call(&self, _request: Request) -> BoxFuture<'_, Reply> {
        let clock = *self;
        Box::pin(async move {
            match clock {
                Self::AtOnce => {}
                Self::After(wait) => tokio::time::sleep(wait).await,
                Self::Never => std::future::pending().await,
            }
            Reply::Now(0)
        })
    }
}

/// What becomes of step 1 with a component: it is compiled, instantiated, opened and read to its end.
async fn read(engine: &Engine, module: &Module, clock: Clock) -> Result<(), StepFault> {
    let imports = ["raito:connector/clock@0.1.0".to_owned()];
    let compiled = Compiled::new(engine, &module.component(), &imports).expect("compiles");
    let compiled = compiled.with_call_cpu(Duration::from_millis(100));
    let mut guest = compiled.start(Step::IdentityStore, Arc::new(clock)).await?;
    // A setting has to be put into the guest's memory, which its own allocator provides.
    let context = Context { settings: [("key".to_owned(), "value".to_owned())].into(), ..Context::default() };
    guest.open(Opening::IdentityStore, context).await?;
    while guest.next().await?.is_some() {}
    Ok(())
}

/// What a case must end with: the text is a part of what is said.
async fn ends_with(engine: &Engine, name: &str, module: Module, says: &str) {
    let fault = read(engine, &module, Clock::AtOnce).await.expect_err(name);
    assert!(fault.to_string().contains(says), "{name}: {fault}");
}

fn engine() -> Engine {
    Engine::new().expect("an engine")
}

#[tokio::test]
async fn a_sound_component_reads_to_its_end() {
    assert_eq!(read(&engine(), &SOUND, Clock::AtOnce).await, Ok(()));
}

#[tokio::test]
async fn b1_a_loop_without_end_is_ended_wherever_a_guest_runs() {
    let engine = engine();
    let spin = "(call $spin) (i32.const 0)";
    for (name, module) in [
        ("start function", Module { fields: "(start $spin)", ..SOUND }),
        ("allocator", Module { realloc: spin, ..SOUND }),
        ("call", Module { open: spin, ..SOUND }),
        ("after a call", Module { after_open: "(call $spin)", ..SOUND }),
        (
            "dropping",
            Module { next: "(call $drop (call $new (i32.const 8))) (i32.const 2048)", drop: "(call $spin)", ..SOUND },
        ),
    ] {
        ends_with(&engine, name, module, "processor time").await;
    }
    // The host drops a reader with everything else that its guest had, and asks the guest nothing.
    assert_eq!(read(&engine, &Module { drop: "(call $spin)", ..SOUND }, Clock::AtOnce).await, Ok(()));
}

#[tokio::test]
async fn b3_b13_asking_the_host_without_end_takes_processor_time_as_well() {
    let flood = "(loop $again (drop (call $now)) (br $again)) (i32.const 2048)";
    ends_with(&engine(), "clock", Module { next: flood, ..SOUND }, "processor time").await;
}

#[tokio::test]
async fn waiting_for_the_host_is_no_processor_time_and_buys_none() {
    let engine = engine();
    // Sixty calls of a tick and a half are 900 ms, nine times what a call has here.
    let asks = "(local $left i32) (local.set $left (i32.const 60)) (loop $again (drop (call $now)) \
                (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";
    let slow = Clock::After(limits::EPOCH_TICK.mul_f32(1.5));
    let waits: &'static str = format!("{asks} (i32.const 2048)").leak();
    assert_eq!(read(&engine, &Module { next: waits, ..SOUND }, slow).await, Ok(()));
    let spins: &'static str = format!("{asks} (call $spin) (i32.const 2048)").leak();
    let fault = read(&engine, &Module { next: spins, ..SOUND }, slow).await.expect_err("it spins");
    assert!(fault.to_string().contains("processor time"), "{fault}");
    // Work between calls is counted: what is waited at one is not worth more than the tick that it may cost.
    let works = "(local $left i32) (loop $again (drop (call $now)) (local.set $left (i32.const 50000000)) \
                 (loop $work (br_if $work (local.tee $left (i32.sub (local.get $left) (i32.const 1))))) (br $again)) unreachable";
    let fault = read(&engine, &Module { next: works, ..SOUND }, slow).await.expect_err("it works");
    assert!(fault.to_string().contains("processor time"), "{fault}");
}

#[tokio::test]
async fn b2_waiting_for_the_host_without_end_is_ended() {
    let waits = Module { next: "(drop (call $now)) (i32.const 2048)", ..SOUND };
    let compiled = Compiled::new(&engine(), &waits.component(), &[]).expect("compiles");
    let instance = compiled.instantiate(Step::IdentityStore, Arc::new(Clock::Never)).await.expect("starts");
    let mut guest = Checked::new(Step::IdentityStore, instance).with_call_wall(Duration::from_millis(50));
    guest.open(Opening::IdentityStore, Context::default()).await.expect("opens");
    let fault = guest.next().await.expect_err("nobody answers");
    assert!(fault.to_string().contains("time in one call"), "{fault}");
    let again = guest.next().await.expect_err("it is over");
    assert!(again.to_string().contains("after it had failed"), "{again}");
}

#[tokio::test]
async fn b4_b5_memories_tables_and_recursion_are_bounded() {
    let engine = engine();
    // 60 MiB each. The validator lets 100 of a module pass; five are more than all of a guest may have together.
    let memories = |modules: usize, of_each: usize| {
        let module = format!("(core module $m {})", "(memory 960)".repeat(of_each));
        let bytes =
            wat::parse_str(format!("(component {module} {})", "(core instance (instantiate $m))".repeat(modules)));
        Compiled::new(&engine, &bytes.expect("a component"), &[])
    };
    assert!(matches!(memories(1, 200), Err(CompileError::Compile(said)) if said.contains("memories")));
    for (modules, of_each) in [(1, 5), (5, 1), (4, 50)] {
        let compiled = memories(modules, of_each).expect("compiles");
        let started = compiled.start(Step::IdentityStore, Arc::new(Clock::AtOnce)).await;
        let said = started.err().expect("too much memory").to_string();
        assert!(said.contains("memor"), "{modules} times {of_each} memories: {said}");
    }
    let grow = "(loop $again (br_if $again (i32.gt_s (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)))) unreachable";
    let table = Module { fields: "(table $t 1 funcref)", next: grow, ..SOUND };
    ends_with(&engine, "table", table, "table elements").await;
    let deep = Module { fields: "(func $deep (call $deep))", next: "(call $deep) (i32.const 2048)", ..SOUND };
    ends_with(&engine, "recursion", deep, "stack").await;
}

#[tokio::test]
async fn b6_handles_of_a_guest_are_bounded() {
    let hoard = "(loop $again (drop (call $new (i32.const 9))) (br $again)) (i32.const 2048)";
    ends_with(&engine(), "handles", Module { next: hoard, ..SOUND }, "resource handles").await;
}

#[tokio::test]
async fn b7_what_is_longer_than_a_guest_can_have_is_never_allocated() {
    let engine = engine();
    // A fault whose message has this many bytes: behind the case and the kind stand address and length.
    const FAULT: &str = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 6))";
    let message = |bytes: u32| -> &'static str {
        format!("{FAULT} (i32.store (i32.const 1036) (i32.const 0)) (i32.store (i32.const 1040) (i32.const {bytes})) (i32.const 1024)").leak()
    };
    ends_with(&engine, "1 GiB", Module { open: message(1 << 30), ..SOUND }, "out of bounds").await;
    ends_with(&engine, "100 MiB", Module { open: message(100 << 20), pages: 1_700, ..SOUND }, "data in one call").await;
    // A page with a thousand million users, and then with as many as a memory of 200 MiB can have.
    let users = |count: u32| -> &'static str {
        format!("(i32.store8 (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const 65536)) (i32.store (i32.const 2064) (i32.const {count})) (i32.const 2048)").leak()
    };
    ends_with(&engine, "10^9 records", Module { next: users(1_000_000_000), ..SOUND }, "out of bounds").await;
    ends_with(&engine, "10^6 records", Module { next: users(1_000_000), pages: 3_200, ..SOUND }, "data in one call")
        .await;
}

/// A component whose core module needs what the host does not have.
fn needing(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {fields}))")).expect("a component")
}

#[test]
fn b12_threads_and_memory_that_they_could_share_are_refused_before_compiling() {
    for fields in [
        "(memory 1 1 shared)",
        "(import \"env\" \"memory\" (memory 1 1 shared))",
        "(memory 1) (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))",
        "(memory i64 1)",
    ] {
        let said = inspect(needing(fields)).expect_err(fields).to_string();
        assert!(said.contains("not valid") || said.contains("invalid"), "{fields}: {said}");
        assert!(matches!(Compiled::new(&engine(), &needing(fields), &[]), Err(CompileError::Compile(_))));
    }
}

#[test]
fn d9_an_import_that_nobody_offers_is_refused_and_not_stubbed() {
    for import in ["wasi:filesystem/types@0.2.6", "wasi:cli/environment@0.2.6", "acme:anything/at-all@1.0.0"] {
        let text = format!(
            "(component (import \"{import}\" (instance $i (export \"f\" (func)))) (core func $f (canon lower (func $i \"f\"))) \
             (core module $m (import \"i\" \"f\" (func))) (core instance (instantiate $m (with \"i\" (instance (export \"f\" (func $f)))))))"
        );
        let bytes = wat::parse_str(&text).expect("a component");
        let imports = [import.to_owned()];
        let Err(CompileError::Link(said)) = Compiled::new(&engine(), &bytes, &imports) else {
            panic!("{import}: it was linked");
        };
        assert!(said.contains(import), "{said}");
    }
}
