//! Work on many things that do not depend on each other, shared among the processors.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::thread::{Builder, ScopedJoinHandle, available_parallelism, scope};

use crate::limits;

/// Does `work` on parts of the items, each in a thread of its own, and gives the results in the order of the parts. `work` gets
/// the index of its first item with the items. There are at most as many parts as processors, and none but the last has fewer than
/// `least` items. Where there is one part, the caller's thread does it.
///
/// # Panics
/// Where `work` does.
pub fn in_parts<'i, I: Sync, T: Send>(
    items: &'i [I],
    least: usize,
    work: impl Fn(usize, &'i [I]) -> T + Sync,
) -> Vec<T> {
    let least = least.max(1);
    if items.len() <= least {
        return vec![work(0, items)];
    }
    let processors = available_parallelism().map_or(1, NonZeroUsize::get);
    let share = items.len().div_ceil(processors).max(least);
    if items.len() <= share {
        return vec![work(0, items)];
    }
    let work = &work;
    scope(|scope| {
        let parts = items.chunks(share).enumerate().map(|(part, items)| (part * share, items));
        let start = |(first, items): (usize, &'i [I])| {
            let thread = Builder::new().stack_size(limits::STACK_BYTES);
            (first, items, thread.spawn_scoped(scope, move || work(first, items)))
        };
        let threads: Vec<_> = parts.map(start).collect();
        let end = |(first, items, thread): (usize, &'i [I], std::io::Result<ScopedJoinHandle<'_, T>>)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => work(first, items),
        };
        threads.into_iter().map(end).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_items_in_their_order() {
        for (items, least) in [(0, 1), (1, 0), (7, 3), (100, 1), (100, 99), (100, 1_000)] {
            let all: Vec<usize> = (0..items).collect();
            let parts = in_parts(&all, least, |first, part| {
                assert!(part.first().is_none_or(|item| *item == first), "where a part begins");
                part.to_vec()
            });
            assert_eq!(parts.concat(), all);
            assert!(parts.iter().rev().skip(1).all(|part| part.len() >= least));
        }
    }
}
