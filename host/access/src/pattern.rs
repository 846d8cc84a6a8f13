//! Patterns of names: `*` is any text, `?` one character, and everything else itself.

use std::fmt;

use raito_core::limits;

/// A pattern that a whole name is compared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has 1 to {max} bytes", max = limits::NAME_BYTES)]
pub struct NotAPattern;

impl std::str::FromStr for Pattern {
    type Err = NotAPattern;
    fn from_str(text: &str) -> Result<Self, NotAPattern> {
        let is_one = !text.is_empty() && text.len() <= limits::NAME_BYTES;
        is_one.then(|| Self(text.to_owned())).ok_or(NotAPattern)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&raito_core::text::escape(&self.0))
    }
}

impl Pattern {
    /// Whether the name is like this.
    pub fn takes(&self, name: &str) -> bool {
        let (pattern, name): (Vec<char>, Vec<char>) = (self.0.chars().collect(), name.chars().collect());
        // Where the rest does not fit, the last star takes one character more.
        let (mut at, mut read, mut star) = (0, 0, None);
        while read < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(character) if *character == '?' || *character == name[read] => {
                    at += 1;
                    read += 1;
                }
                _ => match star {
                    Some((before, taken)) => {
                        star = Some((before, taken + 1));
                        at = before + 1;
                        read = taken + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|character| *character == '*')
    }

    /// Whether a name can be like both.
    pub fn meets(&self, other: &Self) -> bool {
        let (one, two): (Vec<char>, Vec<char>) = (self.0.chars().collect(), other.0.chars().collect());
        // For each pair of rests, the shortest first: whether some text is like both.
        let width = two.len() + 1;
        let mut possible = vec![false; (one.len() + 1) * width];
        for at in (0..=one.len()).rev() {
            for to in (0..=two.len()).rev() {
                let rest = |at: usize, to: usize| possible[at * width + to];
                possible[at * width + to] = match (one.get(at), two.get(to)) {
                    (None, None) => true,
                    (Some('*'), None) => rest(at + 1, to),
                    (None, Some('*')) => rest(at, to + 1),
                    // The star takes nothing, or one character more of the other.
                    (Some('*'), Some(_)) | (Some(_), Some('*')) => rest(at + 1, to) || rest(at, to + 1),
                    (Some(a), Some(b)) => (a == b || *a == '?' || *b == '?') && rest(at + 1, to + 1),
                    (None, Some(_)) | (Some(_), None) => false,
                };
            }
        }
        possible[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn a_pattern_takes_whole_names() {
        for (text, yes, no) in [
            ("R_*", vec!["R_", "R_A", "R_*"], vec!["R", "r_A", "XR_A"]),
            ("a?c", vec!["abc", "aäc"], vec!["ac", "abbc"]),
            ("*a*b", vec!["ab", "xaxb", "aabb"], vec!["ba", "abx"]),
            ("*", vec!["", "x"], vec![]),
            ("x", vec!["x"], vec!["", "xx"]),
        ] {
            yes.iter().for_each(|name| assert!(pattern(text).takes(name), "{text} {name}"));
            no.iter().for_each(|name| assert!(!pattern(text).takes(name), "{text} {name}"));
        }
        assert!("".parse::<Pattern>().is_err());
    }

    #[test]
    fn two_patterns_meet_where_one_name_is_like_both() {
        for (one, two, meet) in [
            ("R_*", "R_FIN_*", true),
            ("R_*", "S_*", false),
            ("a*", "*b", true),
            ("a?", "ab", true),
            ("a?", "a", false),
            ("a", "b", false),
            ("*x", "*y", false),
            ("a*b*c", "abc", true),
        ] {
            assert_eq!(pattern(one).meets(&pattern(two)), meet, "{one} {two}");
            assert_eq!(pattern(two).meets(&pattern(one)), meet, "{two} {one}");
        }
    }
}
