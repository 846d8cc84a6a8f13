//! Plans: write calls that were recorded, and following them call by call.
//!
//! A connector carries out the same changes twice: first its write calls are recorded, then they are sent. What is sent must be
//! what was recorded, so nothing happens that a plan has not shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::call::{Argument, Call};

/// A write call that was recorded instead of sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// The slot.
    pub slot: String,
    /// The entry.
    pub entry: String,
    /// The place that it goes to, where its slot has several.
    pub at: Option<String>,
    /// The arguments, with tokens where the target will give a value.
    pub arguments: Vec<Argument>,
    /// The position of the change-set that it is for.
    pub set: usize,
    /// What would be sent, for people: a statement, or a request line with its body.
    pub shown: String,
    /// The same as it goes on record.
    pub on_record: String,
}

impl RecordedCall {
    /// A call, recorded.
    pub fn new(call: &Call, at: Option<String>, set: usize, shown: String, on_record: String) -> Self {
        let Call { slot, entry, arguments, .. } = call.clone();
        Self { slot, entry, at, arguments, set, shown, on_record }
    }

    fn is(&self, call: &Call, at: Option<&str>, set: usize) -> bool {
        self.set == set
            && self.slot == call.slot
            && self.entry == call.entry
            && self.at.as_deref() == at
            && self.arguments == call.arguments
    }
}

/// A plan without the calls for change-sets that could not be planned whole. The sets behind them move up, as they do when
/// only the others are carried out.
pub fn without(calls: Vec<RecordedCall>, failed: &BTreeSet<usize>) -> Vec<RecordedCall> {
    let kept = calls.into_iter().filter(|call| !failed.contains(&call.set));
    kept.map(|call| RecordedCall { set: call.set - failed.range(..call.set).count(), ..call }).collect()
}

/// A plan, and how much of it was sent.
#[derive(Debug, Clone)]
pub struct Following {
    plan: Arc<[RecordedCall]>,
    next: usize,
}

impl Following {
    /// Begins with the first call.
    pub fn new(plan: Arc<[RecordedCall]>) -> Self {
        Self { plan, next: 0 }
    }

    /// Takes the next call. Where a change-set failed, the plan goes on with the first call of a later one.
    ///
    /// # Errors
    /// A sentence where it is not the planned one; the plan stays where it is.
    pub fn follow(&mut self, call: &Call, at: Option<&str>, set: usize) -> Result<(), String> {
        let next = match self.plan.get(self.next) {
            // The sets in between have failed, and nothing more of them is to come.
            Some(planned) if planned.set < set => {
                self.plan.iter().position(|planned| planned.set == set).filter(|first| *first > self.next)
            }
            Some(_) => Some(self.next),
            None => None,
        };
        match next.and_then(|next| Some((next, self.plan.get(next)?))) {
            Some((next, planned)) if planned.is(call, at, set) => {
                self.next = next + 1;
                Ok(())
            }
            other => {
                let number = self.next + 1;
                // Without values: this goes on record.
                let planned = other.map(|(_, planned)| format!("entry {} of {}", planned.entry, planned.slot));
                let planned = planned.unwrap_or_else(|| "nothing more".to_owned());
                Err(format!("write call {number} is not the planned one, which is {planned}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(entry: &str) -> Call {
        Call { slot: "sql.main".into(), entry: entry.into(), at: None, arguments: Vec::new() }
    }

    /// Recorded calls, each with its set.
    fn recorded(calls: &[(&str, usize)]) -> Vec<RecordedCall> {
        let one = |(entry, set): &(&str, usize)| {
            RecordedCall::new(&call(entry), None, *set, (*entry).to_owned(), String::new())
        };
        calls.iter().map(one).collect()
    }

    fn plan(calls: &[(&str, usize)]) -> Following {
        Following::new(recorded(calls).into())
    }

    #[test]
    fn a_set_that_could_not_be_planned_takes_its_calls_along() {
        let calls = recorded(&[("a", 0), ("b", 1), ("c", 1), ("d", 2), ("e", 4)]);
        assert_eq!(without(calls, &BTreeSet::from([1, 3])), recorded(&[("a", 0), ("d", 1), ("e", 2)]));
    }

    #[test]
    fn the_same_calls_in_the_same_order_are_let_through() {
        let mut following = plan(&[("a", 0), ("b", 0), ("c", 1)]);
        for (entry, set) in [("a", 0), ("b", 0), ("c", 1)] {
            assert_eq!(following.follow(&call(entry), None, set), Ok(()));
        }
        assert!(following.follow(&call("c"), None, 1).is_err(), "the plan has ended");
    }

    #[test]
    fn another_order_place_argument_or_set_is_refused_and_the_plan_stays() {
        let mut following = plan(&[("a", 0), ("b", 0)]);
        let mut other = call("a");
        other.arguments.push(Argument { name: "x".into(), value: crate::call::Value::Null });
        assert!(following.follow(&call("b"), None, 0).is_err());
        assert!(following.follow(&call("a"), Some("shop"), 0).is_err());
        assert!(following.follow(&call("a"), None, 1).is_err());
        assert!(following.follow(&other, None, 0).is_err());
        assert_eq!(following.follow(&call("a"), None, 0), Ok(()));
    }

    #[test]
    fn a_set_that_failed_is_left_behind_and_the_next_begins_with_its_first_call() {
        let mut following = plan(&[("a", 0), ("b", 0), ("c", 1), ("d", 1), ("e", 2)]);
        assert_eq!(following.follow(&call("a"), None, 0), Ok(()));
        assert!(following.follow(&call("d"), None, 1).is_err(), "not in the middle of the next");
        assert_eq!(following.follow(&call("c"), None, 1), Ok(()));
        assert!(following.follow(&call("b"), None, 0).is_err(), "and never back");
        assert_eq!(following.follow(&call("e"), None, 2), Ok(()));
    }
}
