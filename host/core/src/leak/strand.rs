//! The search over the values of one place in one answer after the other, as if they were one text:
//! a secret that a target hands out in pieces is in none of the answers alone.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{Leak, Net, Views};

/// The answers of one place, in the order in which they were given on.
pub struct Strand {
    net: Arc<Net>,
    views: Views,
    /// The last bytes, as many as a secret can have. They are searched again when a secret joins.
    last: Zeroizing<Vec<u8>>,
}

impl Strand {
    /// Begins with nothing.
    pub fn new(net: &Arc<Net>) -> Self {
        Self { net: Arc::clone(net), views: Views::new(net.start()), last: Zeroizing::new(Vec::new()) }
    }

    /// Looks at bytes that come next, as the end of what came before. Short secrets, which count
    /// only where they are a whole value, are not looked for.
    pub fn next(&mut self, net: &Arc<Net>, bytes: &[u8]) -> Option<Leak> {
        let Some(automaton) = &net.automaton else { return Some(net.unsearched()) };
        if !Arc::ptr_eq(&self.net, net) {
            self.net = Arc::clone(net);
            self.views = Views::new(net.start());
            // It was given on before the secret was known, and holds a part of it at most.
            let _ = self.views.feed(automaton, &self.last);
        }
        let found = self.views.feed(automaton, bytes).or_else(|| self.views.would_end(automaton));
        self.keep(bytes, net.holdback);
        found.map(|found| net.found(found))
    }

    /// Looks at bytes that come next. A long answer that was searched before matters only at its
    /// ends.
    pub fn ends(&mut self, net: &Arc<Net>, answer: &[u8]) -> Option<Leak> {
        let end = net.holdback;
        if answer.len() <= 2 * end {
            return self.next(net, answer);
        }
        let found = self.next(net, &answer[..end]);
        self.views = Views::new(net.start());
        self.last.clear();
        found.or_else(|| self.next(net, &answer[answer.len() - end..]))
    }

    /// Keeps the last bytes, in memory that never grows and so leaves no copies behind.
    fn keep(&mut self, bytes: &[u8], most: usize) {
        let bytes = &bytes[bytes.len().saturating_sub(most)..];
        if self.last.capacity() < 2 * most {
            let mut roomy = Zeroizing::new(Vec::with_capacity(2 * most));
            roomy.extend_from_slice(&self.last[self.last.len().saturating_sub(most)..]);
            self.last = roomy;
        }
        if self.last.len() + bytes.len() > 2 * most {
            let surplus = (self.last.len() + bytes.len() - most).min(self.last.len());
            self.last.drain(..surplus);
        }
        self.last.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::Watch;
    use crate::secret::Secret;

    const TOKEN: &str = "s3cr3t/Token+With\"Quotes & more";

    fn watch() -> Watch {
        let watch = Watch::default();
        watch.add("token", &Secret::new(TOKEN.to_owned()).expect("a secret"));
        watch
    }

    fn net(watch: &Watch) -> Arc<Net> {
        watch.net().expect("there is a secret")
    }

    /// The secret in forms that pieces can be cut from.
    fn forms() -> Vec<String> {
        let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let markup = TOKEN.replace('&', "&amp;").replace('"', "&#x22;");
        let json = serde_json::to_string(TOKEN).expect("JSON");
        vec![TOKEN.to_owned(), hex, percent, markup, json.trim_matches('"').to_owned()]
    }

    #[test]
    fn pieces_in_a_row_are_found_wherever_they_are_cut() {
        let watch = watch();
        let net = net(&watch);
        for form in forms() {
            let bytes = form.as_bytes();
            for first in 1..bytes.len() {
                for second in first..bytes.len() {
                    let mut strand = Strand::new(&net);
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    let found: Vec<bool> = pieces.iter().map(|piece| strand.next(&net, piece).is_some()).collect();
                    assert_eq!(found, [false, false, true], "{form} at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_long_answers_are_enough() {
        let watch = watch();
        let net = net(&watch);
        let filler = "x".repeat(10 * net.holdback);
        for form in forms() {
            for border in 1..form.len() {
                let (a, b) = form.split_at(border);
                let mut strand = Strand::new(&net);
                assert!(strand.ends(&net, format!("{a}{filler}{a}").as_bytes()).is_none());
                assert!(strand.ends(&net, format!("{b}{filler}").as_bytes()).is_some(), "{form} at {border}");
            }
        }
        let mut strand = Strand::new(&net);
        assert!(strand.ends(&net, &TOKEN.as_bytes()[..9]).is_none());
        assert!(strand.ends(&net, filler.as_bytes()).is_none());
        assert!(strand.ends(&net, &TOKEN.as_bytes()[9..]).is_none(), "what lies between is no part of it");
    }

    #[test]
    fn a_secret_that_joins_between_two_pieces_is_found_all_the_same() {
        let watch = watch();
        let before = net(&watch);
        let mut strand = Strand::new(&before);
        assert!(strand.next(&before, b"a token that joins").is_none());
        watch.add("late", &Secret::new("a token that joins in between".to_owned()).expect("a secret"));
        let found = strand.next(&net(&watch), b" in between");
        assert_eq!(found.map(|leak| leak.secret).as_deref(), Some("late"));
    }

    #[test]
    fn a_strand_keeps_a_bounded_part_of_an_answer() {
        let watch = watch();
        let net = net(&watch);
        let mut strand = Strand::new(&net);
        for _ in 0..10_000 {
            assert!(strand.next(&net, b"a cell of a table").is_none());
        }
        assert!(strand.last.len() <= 2 * net.holdback && strand.last.len() >= net.holdback);
        assert!(strand.next(&net, &[b'x'; 100_000]).is_none());
        assert_eq!(strand.last.capacity(), 2 * net.holdback);
    }
}
