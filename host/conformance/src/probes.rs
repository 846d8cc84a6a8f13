//! Probes: the same read once more, with something that goes wrong, and what may come of it.
//!
//! Whatever happens, a connector may say that it did not succeed, with the class of the fault that it got; or go on and say
//! what is missing; or read all of it in another way. It may not crash, run into a limit, hand over bad records, or end as if
//! it had read everything.

use std::sync::Arc;

use raito_core::fault::{Fault, FaultKind, StepFault};
use raito_core::limits;

use crate::reading::{Breaks, Plan, Read, read};
use crate::replay::{Broken, Replay, Script, Touch, TouchKind, Trouble};

/// The faults that a broker answers, which a connector passes on.
const KINDS: [FaultKind; 5] =
    [FaultKind::Unavailable, FaultKind::Unauthorized, FaultKind::Denied, FaultKind::Incomplete, FaultKind::Conflict];

/// What some probes came to: how many there were, and what was wrong.
#[derive(Default)]
pub(crate) struct Probed {
    pub(crate) tried: usize,
    pub(crate) wrong: Vec<String>,
}

impl Probed {
    fn found(&mut self, at: (usize, &Touch), trouble: &str, wrong: Option<String>) {
        self.tried += 1;
        if let Some(wrong) = wrong {
            self.wrong.push(format!("{} (place {}), {trouble}: {wrong}", at.1.entry, at.0 + 1));
        }
    }
}

/// At most so many numbers below another one, spread evenly, with the first and the last.
pub(crate) fn spread(all: usize, most: usize) -> Vec<usize> {
    if all <= most {
        return (0..all).collect();
    }
    (0..most).map(|at| at * (all - 1) / (most - 1).max(1)).collect()
}

/// Lets the broker answer with a fault, at each place and of each class.
pub(crate) async fn faults(plan: &Plan<'_>, script: &Arc<Script>, sound: &Read, touches: &[Touch]) -> Probed {
    let mut probed = Probed::default();
    for at in spread(touches.len(), limits::SCENARIO_PROBES) {
        for kind in KINDS {
            let fault = Fault::new(kind, "the suite lets this call fail");
            let replay = Replay::new(script, Some((at, Trouble::Fault(fault))));
            let (found, result) = read(plan, &replay, Breaks::default()).await;
            let wrong = judge(sound, &found, result, Some(kind));
            probed.found((at, &touches[at]), &format!("fault {}", kind.word()), wrong);
        }
    }
    probed
}

/// Lets answers be other than they were.
pub(crate) async fn broken_answers(plan: &Plan<'_>, script: &Arc<Script>, sound: &Read, touches: &[Touch]) -> Probed {
    let mut probed = Probed::default();
    let fit: Vec<usize> = (0..touches.len()).filter(|at| touches[*at].kind != TouchKind::Other).collect();
    for at in spread(fit.len(), limits::SCENARIO_PROBES) {
        let at = fit[at];
        let troubles: Vec<(Trouble, &str)> = match touches[at].kind {
            TouchKind::Answer => Broken::ALL.map(|broken| (Trouble::Body(broken), broken.shown())).into(),
            TouchKind::Rows => vec![(Trouble::Column, "rows without their last column")],
            TouchKind::Other => Vec::new(),
        };
        for (trouble, shown) in troubles {
            let replay = Replay::new(script, Some((at, trouble)));
            let (found, result) = read(plan, &replay, Breaks::default()).await;
            probed.found((at, &touches[at]), shown, judge(sound, &found, result, None));
        }
    }
    probed
}

/// Lets the target go away behind pages that say where to go on, and goes on there.
pub(crate) async fn resumes(plan: &Plan<'_>, script: &Arc<Script>, sound: &Read) -> Probed {
    let mut probed = Probed::default();
    let offered: Vec<usize> = (0..sound.pages.len()).filter(|at| sound.pages[*at].resume.is_some()).collect();
    for at in spread(offered.len(), limits::SCENARIO_PROBES) {
        let page = offered[at] + 1;
        probed.tried += 1;
        if let Some(wrong) = resume_behind(plan, script, sound, page).await {
            probed.wrong.push(format!("behind page {page}: {wrong}"));
        }
    }
    probed
}

/// What is wrong with going on behind a page, counted from 1.
async fn resume_behind(plan: &Plan<'_>, script: &Arc<Script>, sound: &Read, page: usize) -> Option<String> {
    let replay = Replay::new(script, None);
    let (first, result) = read(plan, &replay, Breaks { outage: Some(page), ..Breaks::default() }).await;
    match result {
        // What is left may have been asked for already.
        Ok(()) if first.sorted() == sound.sorted() => return None,
        Ok(()) => return Some("the target is away, and the read ends as if it were complete".into()),
        Err(StepFault::Fault(fault)) if fault.kind == FaultKind::Unavailable => {}
        Err(other) => {
            return Some(format!("the target is away; expected the fault unavailable, and got: {}", shown(&other)));
        }
    }
    let Some(last) = first.pages.iter().rfind(|mark| mark.resume.is_some()) else {
        return Some("the page no longer says where to go on".into());
    };
    let replay = Replay::new(script, None);
    let (second, result) = read(plan, &replay, Breaks { resume: last.resume.clone(), ..Breaks::default() }).await;
    if let Some(complaint) = replay.passed().complaints.first() {
        return Some(format!("going on, it asks what cannot be answered: {complaint}"));
    }
    if let Err(fault) = result {
        return Some(format!("going on fails: {}", shown(&fault)));
    }
    let mut all: Vec<&str> = first.lines[..last.lines].iter().chain(&second.lines).map(String::as_str).collect();
    all.sort_unstable();
    difference(&sound.sorted(), &all).map(|difference| format!("both parts together are not the whole: {difference}"))
}

/// What is wrong with a read in which something went wrong.
fn judge(sound: &Read, found: &Read, result: Result<(), StepFault>, kind: Option<FaultKind>) -> Option<String> {
    match result {
        Err(StepFault::Fault(fault)) => {
            let passed_on = kind.is_none_or(|kind| fault.kind == kind || fault.kind == FaultKind::Incomplete);
            (!passed_on).then(|| {
                let must = kind.map_or("", FaultKind::word);
                format!("it becomes the fault {}: pass {must} on, because the host acts on it", fault.kind.word())
            })
        }
        Err(other) => Some(format!("{}; a fault, or a gap, is expected", shown(&other))),
        Ok(()) if found.reading.gaps().len() > sound.reading.gaps().len() => None,
        Ok(()) => difference(&sound.sorted(), &found.sorted())
            .map(|difference| format!("the read ends as if it were complete, and is not: {difference}")),
    }
}

fn shown(fault: &StepFault) -> String {
    raito_core::text::excerpt(&fault.to_string(), 300)
}

/// How two reads differ; none where they do not. Both are sorted.
pub(crate) fn difference(expected: &[&str], found: &[&str]) -> Option<String> {
    let lacking = without(expected, found);
    let additional = without(found, expected);
    if lacking.is_empty() && additional.is_empty() {
        return None;
    }
    let first = lacking.first().or(additional.first()).map(|line| raito_core::text::excerpt(line, 120));
    let first = first.unwrap_or_default();
    Some(format!("{} records are missing, {} are new, such as {first}", lacking.len(), additional.len()))
}

/// The lines of one sorted list that another does not have, each as often as it is missing.
fn without<'l>(all: &[&'l str], others: &[&str]) -> Vec<&'l str> {
    let mut others = others.iter().peekable();
    let mut left = Vec::new();
    for line in all {
        while others.next_if(|other| **other < *line).is_some() {}
        if others.next_if(|other| *other == line).is_none() {
            left.push(*line);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_spread_over_all_places() {
        assert_eq!(spread(3, 48), [0, 1, 2]);
        assert_eq!(spread(0, 48), [] as [usize; 0]);
        assert_eq!(spread(101, 3), [0, 50, 100]);
    }

    #[test]
    fn reads_differ_by_what_is_missing_and_what_is_new() {
        assert_eq!(difference(&["a", "b", "b"], &["a", "b", "b"]), None);
        let said = difference(&["a", "b", "b"], &["b", "c"]).expect("they differ");
        assert_eq!(said, "2 records are missing, 1 are new, such as a");
    }
}
