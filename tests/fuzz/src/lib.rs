//! What fuzzing runs: one function for each border at which bytes from outside become values. Each takes any bytes, and
//! panics where something does not hold; ending without an error is not asked for.
//!
//! `make fuzz` runs them under libFuzzer. The corpus, with every input that once made one panic, is replayed by an ordinary
//! test. What a worker and its host say to each other is private to their crate, and stands there (`host/worker/src/fuzz.rs`).

mod answers;
mod audit;
#[path = "../../../host/core/tests/vocabulary/checks.rs"]
mod checks;
mod code;
pub mod depth;
mod documents;
pub mod near;
pub mod postgres_parser;
mod statements;

pub use answers::answers;
pub use audit::audit;
pub use code::code;
pub use documents::{documents, filters};
pub use statements::{check_read, let_through, statements, texts};

use raito_config::{Excerpt, Holds, Mistake, read_ceiling, read_configuration};
use raito_core::call::{Argument, Value};
use raito_core::limits;
use raito_core::manifest::{Manifest, SlotKind};
use raito_core::vocabulary::{Origin, Placeholder, PlaceholderType};

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate. The corpus of each is the folder of its name.
pub const TARGETS: [Target; 10] = [
    ("manifest", manifest),
    ("placeholders", placeholders),
    ("configuration", configuration),
    ("audit", audit),
    ("answers", answers),
    ("statements", statements),
    ("texts", texts),
    ("code", code),
    ("documents", documents),
    ("filters", filters),
];

/// A manifest, and then each of its entries with a text that the bytes hold as well: what stands behind the last NUL.
/// What is built is a request for one place, or refused.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (text, value) = text.rsplit_once('\0').unwrap_or((text, "a/../'\"\\\r\n{x}"));
    match Manifest::parse(text) {
        Err(mistakes) => {
            let lines = text.lines().count() + 1;
            assert!(!mistakes.is_empty(), "refused, and nobody knows why");
            assert!(mistakes.iter().all(|mistake| mistake.line <= lines), "a mistake on a line that is not there");
        }
        Ok(manifest) => manifest.slots.values().for_each(|slot| build(&slot.kind, value)),
    }
}

fn build(slot: &SlotKind, value: &str) {
    match slot {
        SlotKind::Http { routes, .. } => {
            for route in routes.values() {
                let Ok(request) = route.build(&arguments(&route.placeholders(), value)) else { continue };
                let url = url::Url::parse(&format!("https://origin.test{}", request.target)).expect("a URL");
                assert_eq!((url.host_str(), url.port(), url.fragment()), (Some("origin.test"), None, None));
                assert!(url.username().is_empty() && request.target.starts_with('/'));
                if let Some(body) = &request.body {
                    serde_json::from_slice::<serde_json::Value>(body).expect("a body is JSON");
                }
                for (name, value) in &request.headers {
                    assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value:?}");
                }
            }
        }
        SlotKind::Sql { statements, .. } => {
            for statement in statements.values() {
                let placeholders = statement.placeholders();
                let Ok(request) = statement.build(&arguments(&placeholders, value)) else { continue };
                let text = request.text.to_string();
                // The rule of a policy is balanced, which does not make it an expression.
                let is_rule = |origin| matches!(origin, Some(Origin::Policy | Origin::Check));
                let has_rule = placeholders.iter().any(|placeholder| is_rule(placeholder.origin));
                match pg_query::parse(&text, 0) {
                    Ok(parsed) => assert_eq!(parsed.protobuf.stmts.len(), 1, "{text}"),
                    Err(error) => assert!(has_rule, "{text}: {error}"),
                }
            }
        }
        SlotKind::Ldap { searches } => {
            for search in searches.values() {
                // That the filter reads back is checked by `placeholders`; here it must not panic.
                let _ = search.build(&arguments(&search.placeholders(), value));
            }
        }
    }
}

/// An argument for each placeholder, of a case that its type takes.
fn arguments(placeholders: &[&Placeholder], value: &str) -> Vec<Argument> {
    let mut all: Vec<Argument> = Vec::new();
    for placeholder in placeholders {
        let given = match &placeholder.kind {
            PlaceholderType::Integer => Value::Integer(value.len() as i64 - 7),
            PlaceholderType::Boolean => Value::Boolean(value.len().is_multiple_of(2)),
            PlaceholderType::Keywords(words) => Value::Keywords(words.iter().take(1).cloned().collect()),
            PlaceholderType::Name => Value::Name(vec!["s".into(), value.to_owned()]),
            PlaceholderType::Names => Value::Names(vec![vec![value.to_owned()]]),
            PlaceholderType::Json => Value::Free(value.to_owned()),
            PlaceholderType::Text if placeholder.origin.is_some_and(Origin::is_spliced) => {
                Value::Free(value.to_owned())
            }
            _ => Value::Text(value.to_owned()),
        };
        if all.iter().all(|other| other.name != placeholder.name) {
            all.push(Argument { name: placeholder.name.clone(), value: given });
        }
    }
    all
}

/// A text in every place where a placeholder can stand.
pub fn placeholders(data: &[u8]) {
    if let Ok(value) = std::str::from_utf8(data)
        && value.len() <= limits::ARGUMENT_BYTES
    {
        checks::check_everywhere(value);
    }
}

/// A configuration and a ceiling. Mistakes stand where the file has text, and what is shown of the
/// file has all of its lines.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > limits::CONFIG_BYTES {
        return;
    }
    let lines = text.split('\n').count();
    let excerpts = [Holds::Sources, Holds::Nothing].map(|holds| Excerpt::new(text, holds));
    excerpts.iter().for_each(|excerpt| assert_eq!(excerpt.text.split('\n').count(), lines));
    let placed = |mistakes: &[Mistake]| {
        assert!(!mistakes.is_empty(), "refused, and nobody knows why");
        for mistake in mistakes {
            assert!(mistake.place.line <= lines + 1, "line {} of {lines}: {}", mistake.place.line, mistake.message);
            for excerpt in &excerpts {
                let (begin, length) = excerpt.place(mistake.place).bytes(&excerpt.text);
                assert!(excerpt.text.get(begin..begin + length).is_some(), "{mistake}");
            }
        }
    };
    let variables = |name: &str| (name.len() > 1).then(|| format!("{{{{{name}}}}}: \"\n"));
    let _ = read_configuration(text, &variables).map_err(|mistakes| placed(&mistakes));
    let _ = read_ceiling(text).map_err(|mistakes| placed(&mistakes));
}
