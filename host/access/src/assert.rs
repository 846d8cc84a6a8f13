//! Tests in files: what must hold of effective access, whatever way it comes about.

use raito_core::expansion::{Answer, AnswerFilter, How, PathStep, Rows, Snapshot};
use raito_core::text::Name;

use crate::document::{Asked, Spot, Test};
use crate::evaluate::Question;
use crate::resolve::{Problem, Resolver};

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Where it is said.
    pub spot: Spot,
    /// What it says, in one line.
    pub name: String,
    /// Why it fails; none where it holds.
    pub failure: Option<String>,
}

/// Runs the tests about a target. Names that the target does not know are problems, which fail their tests as well.
pub fn run(question: &Question<'_>, snapshot: &Snapshot) -> (Vec<Outcome>, Vec<Problem>) {
    let mut resolver = Resolver::new(question.catalogue, question.now_ms);
    let about = question.code.tests.iter().filter(|test| test.target == *question.target);
    let outcomes = about.map(|test| outcome(test, snapshot, &mut resolver)).collect();
    (outcomes, resolver.problems)
}

fn outcome(test: &Test, snapshot: &Snapshot, resolver: &mut Resolver<'_>) -> Outcome {
    let verb = if test.allowed { "has" } else { "has not" };
    let name = format!("{}: {} {verb} {} on {}", test.target, test.user, test.permission, test.object);
    let outcome = |failure| Outcome { spot: test.spot, name, failure };
    let (user, object) = (resolver.user(test.spot, &test.user), resolver.object(test.spot, &test.object));
    let (Some(user), Some(object)) = (user, object) else {
        return outcome(Some("the target does not have what it names".to_owned()));
    };
    let found = snapshot.find_user(&user.external_id).zip(snapshot.find_object(&object.object));
    let Some((user, object)) = found else {
        return outcome(Some("the target does not have what it names".to_owned()));
    };
    let word = |asked: &Asked| match asked {
        Asked::Global(global) => Some(*global as usize),
        Asked::Native(_) => None,
    };
    let permissions: Vec<_> = snapshot
        .permissions_of(object)
        .into_iter()
        .filter(|id| match (&test.permission, word(&test.permission)) {
            (_, Some(word)) => snapshot.counts_as(*id)[word],
            (Asked::Native(name), _) => snapshot.permission_name(*id) == name,
            _ => false,
        })
        .collect();
    if permissions.is_empty() {
        return outcome(Some(format!("no permission of that object is or counts as {}", test.permission)));
    }
    let asked = AnswerFilter { permissions, how: None };
    let answers = snapshot.who(object, &asked);
    let held = answers.into_iter().find(|answer| {
        answer.user == user
            && answer.how <= test.how
            && (answer.usable || answer.how == How::Obtainable)
            && shows_rows(answer, test.how)
            // What holds under a condition is no plain yes, and no plain no either.
            && !(test.allowed && answer.conditional)
    });
    // Who reads some columns reads of the table.
    let partly = snapshot.partly(object, &asked).into_iter().find(|part| {
        let sees = part.rows != Rows::Nothing || part.wider.as_ref().is_some_and(|wider| wider.how <= test.how);
        part.user == user && part.how <= test.how && part.usable && sees
    });
    let failure = match (test.allowed, held) {
        (true, Some(_)) => None,
        (false, None) => partly.map(|part| {
            let permission = snapshot.permission_name(part.permission);
            let (kind, first) = (&snapshot.object(part.first.0).kind, snapshot.object(part.first.0));
            format!(
                "{permission} is held ({}) on {} of {} parts ({kind}), such as {first}",
                part.how.word(),
                part.held,
                part.of
            )
        }),
        (true, None) => {
            let why = asked.permissions.first().map(|permission| snapshot.explain(user, object, *permission));
            let missing = why.map(|why| missing(snapshot, &why)).unwrap_or_default();
            Some(format!("it is not held {}{missing}", within(test.how)))
        }
        (false, Some(answer)) => {
            let way = snapshot.shortest_path(user, object, answer.permission, answer.how);
            let way = way.map(|path| way_of(snapshot, &path.steps)).unwrap_or_default();
            let permission = snapshot.permission_name(answer.permission);
            Some(format!("{permission} is held ({}){way}", answer.how.word()))
        }
    };
    outcome(failure)
}

/// Whether any rows are seen with it, by acting as told or in another way that counts.
fn shows_rows(answer: &Answer, within: How) -> bool {
    answer.rows != Rows::Nothing || answer.wider.as_ref().is_some_and(|wider| wider.how <= within)
}

fn within(how: How) -> &'static str {
    match how {
        How::Active => "actively",
        How::Assumable => "even after switching",
        How::Obtainable => "and cannot be obtained",
    }
}

fn missing(snapshot: &Snapshot, why: &raito_core::expansion::Explanation) -> String {
    let missing: Vec<String> = why
        .missing
        .iter()
        .map(|need| {
            let on = need.object.map(|object| format!(" on {}", snapshot.object(object))).unwrap_or_default();
            format!("{}{on}", snapshot.permission_name(need.permission))
        })
        .collect();
    let givers: Vec<String> = why.would_give.iter().map(|id| snapshot.principal(*id).name.to_string()).collect();
    match (missing.is_empty(), givers.is_empty()) {
        (false, true) => format!("; missing is {}", missing.join(", ")),
        (true, false) => format!("; it is given by {}", givers.join(", ")),
        (false, false) => format!("; it is given by {}; missing is {}", givers.join(", "), missing.join(", ")),
        (true, true) => String::new(),
    }
}

fn way_of(snapshot: &Snapshot, steps: &[PathStep]) -> String {
    let name = |id| -> &Name { &snapshot.principal(id).name };
    let of = |step: &PathStep| match step {
        PathStep::Is(_) => None,
        PathStep::In(id) => Some(format!("in {}", name(*id))),
        PathStep::Switches(id) => Some(format!("switches to {}", name(*id))),
        PathStep::Admits(id) => Some(format!("admits himself to {}", name(*id))),
        PathStep::Holds(permission, object) => {
            Some(format!("holds {} on {}", snapshot.permission_name(*permission), snapshot.object(*object)))
        }
    };
    let steps: Vec<String> = steps.iter().filter_map(of).collect();
    if steps.is_empty() { String::new() } else { format!(": {}", steps.join(", ")) }
}

/// The outcomes as JUnit XML, as CI systems read it: one suite, one case a test, with the file and line of each.
pub fn junit(outcomes: &[Outcome], path: impl Fn(usize) -> String) -> String {
    let failures = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"raito access\" tests=\"{}\" failures=\"{failures}\">\n",
        outcomes.len()
    );
    for outcome in outcomes {
        let file = path(outcome.spot.file);
        let case = format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{}\"",
            escaped(&file),
            escaped(&outcome.name),
            escaped(&file),
            outcome.spot.place.line
        );
        match &outcome.failure {
            None => xml.push_str(&format!("{case}/>\n")),
            Some(failure) => {
                xml.push_str(&format!("{case}>\n      <failure message=\"{}\"/>\n    </testcase>\n", escaped(failure)));
            }
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text within an attribute. Characters that XML 1.0 cannot hold (section 2.2) are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            other if (other as u32) < 0x20 || matches!(other, '\u{fffe}' | '\u{ffff}') => {}
            other => out.push(other),
        }
    }
    out
}
