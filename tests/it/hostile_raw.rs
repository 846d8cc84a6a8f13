//! Components that no compiler makes, packed and run as any other, all in one run: each fails its own target within its bound, host
//! and workers stay small, and the target that behaves completes.

use std::fs;

use super::hostile_resources::{HOST_KIB, WORKER_KIB, run, target};
use super::raw::{Module, SOUND};
use crate::support::Place;

const MANIFEST: &str = "name = \"raw\"\nversion = \"0.1.0\"\nsummary = \"Misbehaves in its own way\"\n";

/// A number as a binary module has it (WebAssembly, LEB128).
pub(crate) fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

pub(crate) fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &leb(content.len())[..], content].concat()
}

/// How many core modules stand in a component: its sections, each behind its kind and length, that are of kind 1.
fn modules(component: &[u8]) -> usize {
    let (mut rest, mut count) = (&component[8..], 0);
    while let [id, more @ ..] = rest {
        let digits = more.iter().position(|byte| byte & 0x80 == 0).expect("a length") + 1;
        let length = more[..digits].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
        count += usize::from(*id == 1);
        rest = &more[digits + length..];
    }
    count
}

/// A component that has one more core module, so many times.
fn and(component: &[u8], module: &str, times: usize) -> Vec<u8> {
    let at = leb(modules(component));
    let module = wat(module);
    let one = [&[0][..], &at, &[0]].concat();
    let instances = [leb(times), one.repeat(times)].concat();
    [component, &section(1, &module), &section(2, &instances)].concat()
}

fn wat(text: &str) -> Vec<u8> {
    ::wat::parse_str(text).expect("a module")
}

/// What is tried: a name, the component, and what its target fails with. Each loop costs all the processor time that a call may have.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str, &'static str)> {
    let spin = "(call $spin) (i32.const 0)";
    let drops = "(call $drop (call $new (i32.const 8))) (i32.const 2048)";
    let grows = "(loop $again (br_if $again (i32.gt_s (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1)))) unreachable";
    let hoards = "(loop $again (drop (call $new (i32.const 9))) (br $again)) (i32.const 2048)";
    // A page of 10^9 users, and a fault whose message has 1 GiB.
    let users = "(i32.store8 (i32.const 2056) (i32.const 1)) (i32.store (i32.const 2060) (i32.const 65536)) \
                 (i32.store (i32.const 2064) (i32.const 1000000000)) (i32.const 2048)";
    let says = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store8 (i32.const 1032) (i32.const 6)) \
                (i32.store (i32.const 1036) (i32.const 0)) (i32.store (i32.const 1040) (i32.const 1073741824)) (i32.const 1024)";
    let long = "(i32.const 3) (i32.add) ".repeat(2_000_000 / 3);
    let bomb = format!("(module (func (export \"f\") (result i32) (i32.const 1) {long}))");
    let sound = SOUND.component();
    let limit = "E-connector-limit";
    vec![
        ("start", Module { fields: "(start $spin)", ..SOUND }.component(), limit, "processor time"),
        ("realloc", Module { realloc: spin, ..SOUND }.component(), limit, "processor time"),
        ("dropping", Module { next: drops, drop: "(call $spin)", ..SOUND }.component(), limit, "processor time"),
        ("table", Module { fields: "(table $t 1 funcref)", next: grows, ..SOUND }.component(), limit, "table elements"),
        (
            "recursion",
            Module { fields: "(func $deep (call $deep))", next: "(call $deep) (i32.const 2048)", ..SOUND }.component(),
            limit,
            "stack",
        ),
        ("handles", Module { next: hoards, ..SOUND }.component(), limit, "resource handles"),
        ("records", Module { next: users, ..SOUND }.component(), "E-connector-trap", "out of bounds"),
        ("text", Module { open: says, ..SOUND }.component(), "E-connector-trap", "out of bounds"),
        ("memories", and(&sound, "(module (memory 960))", 200), limit, "memor"),
        ("bomb", and(&sound, &bomb, 1), "E-connector-invalid", "function"),
    ]
}

#[test]
fn components_that_no_compiler_makes_fail_alone_and_host_and_workers_stay_small() {
    let place = Place::new("targets: []\n");
    place.write("raw.toml", MANIFEST);
    let sound = SOUND.component();
    place.write("sound.wasm", &sound);
    place.raito(&["connector", "pack", "sound.wasm", "raw.toml", "-o", "packed.wasm"]).exits(0);
    // Whoever means harm does not pack with a program that looks at what it packs: the manifest is put behind it as it is.
    let packed = fs::read(place.path().join("packed.wasm")).expect("it was packed");
    let manifest = packed.strip_prefix(&sound[..]).expect("the manifest stands behind the component");
    let cases = cases();
    let mut targets = Vec::new();
    for (name, component, ..) in &cases {
        let path = place.path().join(format!("{name}.wasm"));
        fs::write(&path, [component, manifest].concat()).expect("writable");
        targets
            .push(format!("  - name: {name}\n    connector: {{ file: \"{}\" }}\n    grants: {{}}\n", path.display()));
    }
    targets.push(target("quiet", "none", ""));
    let seen = run(&targets, &[]);
    for (name, _, code, says) in &cases {
        let fault = seen.fault(name);
        assert!(fault.starts_with(code) && fault.contains(says), "{name}: {fault}");
    }
    assert_eq!(seen.outcome("quiet"), "completed");
    assert!(seen.host_kib > 10 << 10 && seen.host_kib < HOST_KIB, "host: {} KiB", seen.host_kib);
    assert!(seen.worker_kib < WORKER_KIB, "worker: {} KiB", seen.worker_kib);
    seen.place.raito(&["audit", "verify"]).exits(0);
}
