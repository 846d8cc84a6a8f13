//! Texts that nest, at every depth and up to the longest one that is read: each is refused with an
//! error or read, and takes at most a quarter of the stack that a thread of the host has, in a
//! build without optimisation.

#![allow(unreachable_pub, reason = "a module that other tests have as well")]

#[path = "../../support/random.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod random;

use raito_core::limits;
use raito_fuzz::TARGETS;
use raito_fuzz::depth::{Shape, shapes};
use random::Random;

/// Depths that are tried one by one: more than any parser takes.
const EACH: usize = 280;
/// Depths beyond that are tried at random for each shape.
const AT_RANDOM: usize = 4;
/// Bytes of the texts beyond: these take as long as they are. One that is longer than what is read
/// comes last.
const DEEP_BYTES: usize = 128 << 10;
/// The same of texts that only go on.
const WIDE_BYTES: usize = 32 << 10;

/// Reads a text in a thread of its own. One that runs out of stack ends the whole test, and names
/// the thread.
fn try_one(target: fn(&[u8]), shape: &Shape, depth: usize, text: String) {
    let name = format!("{}: {depth}", shape.name);
    let thread = std::thread::Builder::new().name(name.clone()).stack_size(limits::STACK_BYTES / 4);
    let ended = thread.spawn(move || target(text.as_bytes())).expect("a thread").join();
    assert!(ended.is_ok(), "{name}");
}

fn every_depth(name: &str) {
    let mut random = Random::from_environment(name);
    let mut tried = 0;
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let (shapes, longest) = shapes(name);
    for shape in shapes {
        let bytes = if shape.is_deep { DEEP_BYTES.min(longest) } else { WIDE_BYTES };
        let mut most = EACH;
        while (shape.make)(most).len() < bytes {
            most += most / 2;
        }
        let some = if shape.is_deep { EACH } else { 4 };
        let depths = (0..some).chain([most]).chain((0..AT_RANDOM).map(|_| EACH + random.below(most - EACH)));
        for depth in depths {
            try_one(*target, shape, depth, (shape.make)(depth));
            tried += 1;
        }
        if shape.is_deep {
            let beyond = most * longest.div_ceil(bytes);
            try_one(*target, shape, beyond, (shape.make)(beyond));
        }
    }
    assert!(tried > 800, "the shapes of {name} are found no more");
}

#[test]
fn manifests_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("manifest");
}

#[test]
fn configurations_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("configuration");
}

#[test]
fn access_code_of_every_depth_is_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("code");
}

#[test]
fn documents_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("documents");
}

#[test]
fn filters_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("filters");
}

#[test]
fn statements_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("statements");
}

#[test]
fn rules_and_types_of_every_depth_are_read_or_refused_within_a_quarter_of_the_stack() {
    every_depth("texts");
}
