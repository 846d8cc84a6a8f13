//! The gate for read statements against PostgreSQL's own parser: the statements of all manifests, and
//! many that are near them.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../support/random.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod random;

use std::collections::BTreeSet;

use raito_fuzz::near::{HOSTILE, manifests, near};
use raito_fuzz::{check_read, texts};
use random::Random;

#[test]
fn every_statement_of_a_manifest_is_what_postgresql_reads() {
    for text in manifests() {
        assert!(check_read(&text), "{text}");
    }
}

#[test]
fn every_statement_that_changes_something_is_one_statement_whatever_its_values() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for path in ["connectors/postgresql/connector.toml", "tests/guests/chaos/connector.toml"] {
        let manifest = std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        for value in HOSTILE.iter().chain(&["plain", "integer, \"My Type\"[]", "a = 'b' and (c or d)"]) {
            raito_fuzz::manifest(format!("{manifest}\0{value}").as_bytes());
        }
    }
}

#[test]
fn whatever_is_let_through_is_what_postgresql_reads() {
    let known = manifests();
    let mut random = Random::from_environment("whatever_is_let_through_is_what_postgresql_reads");
    let mut passed = BTreeSet::new();
    let rounds = std::env::var("RAITO_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60_000);
    for round in 0..rounds {
        let text = near(&known[random.below(known.len())], &known, |bound| random.below(bound));
        let seen = std::panic::catch_unwind(|| check_read(&text));
        match seen {
            Ok(true) => {
                passed.insert(text);
            }
            Ok(false) => {}
            Err(_) => panic!("round {round}: {text}"),
        }
    }
    eprintln!("{} of {rounds} statements were let through", passed.len());
    assert!(passed.len() > rounds / 100, "the gate lets next to nothing through: the statements are too far off");
}

#[test]
fn free_texts_are_split_as_postgresql_splits_them() {
    let mut random = Random::from_environment("free_texts_are_split_as_postgresql_splits_them");
    for round in 0..60_000 {
        let count = 1 + random.below(8);
        let text: Vec<&str> = (0..count).map(|_| HOSTILE[random.below(HOSTILE.len())]).collect();
        let text = text.join(["", " ", "\n"][random.below(3)]);
        let seen = std::panic::catch_unwind(|| texts(text.as_bytes()));
        assert!(seen.is_ok(), "round {round}: {text:?}");
    }
}
