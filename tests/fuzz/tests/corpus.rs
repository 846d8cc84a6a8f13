//! The corpus, replayed: what fuzzing found stays found.

use std::fs;
use std::path::{Path, PathBuf};

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    inputs.sort();
    inputs
}

#[test]
fn nothing_that_was_found_makes_a_target_panic() {
    for (name, target) in raito_fuzz::TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 3, "the corpus of {name} is next to empty");
        for input in inputs {
            let data = fs::read(&input).expect("readable");
            let went_well = std::panic::catch_unwind(|| target(&data)).is_ok();
            assert!(went_well, "{name} panics with {}", input.display());
        }
    }
}

#[test]
fn every_corpus_belongs_to_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(folder).expect("a corpus") {
        let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
        // The crates that know the runtime replay their own (`host/worker/src/fuzz.rs`,
        // `host/sandbox/src/inspect.rs`).
        let known = ["component", "messages", "orders"].contains(&name.as_str())
            || raito_fuzz::TARGETS.iter().any(|(target, _)| *target == name);
        assert!(known, "{name} is the corpus of no target");
    }
}
