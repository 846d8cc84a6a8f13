//! Circles of members: what would be a member of itself, in however many steps.

use std::collections::{BTreeMap, BTreeSet};

/// The members of each thing, each with what says so.
pub(crate) type Members<K, E> = BTreeMap<K, Vec<(E, K)>>;

/// Circles, each as its members in order: the first is a member of the last one. Every membership that closes a circle is in one
/// of them. Each membership is looked at once, so that long chains cost no more than short ones.
pub(crate) fn circles<K: Ord + Copy, E: Copy>(members: &Members<K, E>) -> Vec<Vec<(E, K)>> {
    let (mut entered, mut left) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for start in members.keys() {
        if !entered.insert(*start) {
            continue;
        }
        // The way to where we are, and what of each step on it was not looked at yet.
        let mut way: Vec<(Option<E>, K)> = vec![(None, *start)];
        let mut open = vec![members[start].iter()];
        while let Some(next) = open.last_mut().map(Iterator::next) {
            match next {
                None => {
                    open.pop();
                    left.extend(way.pop().map(|(_, key)| key));
                }
                Some((by, member)) if entered.contains(member) => {
                    let at = || way.iter().position(|(_, key)| key == member);
                    if let Some(at) = (!left.contains(member)).then(at).flatten() {
                        let steps = way[at + 1..].iter().filter_map(|(by, key)| by.map(|by| (by, *key)));
                        found.push(steps.chain([(*by, *member)]).collect());
                    }
                }
                Some((by, member)) => {
                    if let Some(list) = members.get(member) {
                        entered.insert(*member);
                        way.push((Some(*by), *member));
                        open.push(list.iter());
                    }
                }
            }
        }
    }
    found
}
