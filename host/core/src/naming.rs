//! Technical names from names for people, within what a target takes.
//!
//! The rules of making them (word boundaries, one character between words, a number behind a name that is taken) are those
//! that existing installations know, so that a name that was made before is made again.

use std::collections::BTreeSet;

use regex_lite::Regex;

use crate::record::Description;

/// Characters that may stand between words, in the order in which they are tried.
const BETWEEN: [char; 3] = ['_', '-', '#'];
/// What is left for the number behind a name that is taken.
const SUFFIX: usize = 6;

/// What names at a target are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alphabet {
    /// Lower-case letters.
    pub lower: bool,
    /// Upper-case letters.
    pub upper: bool,
    /// Digits.
    pub digits: bool,
    /// What stands between words.
    pub between: Option<char>,
    /// How many bytes a name may have.
    pub max: usize,
}

/// Why there is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NamingError {
    /// The target takes no letters.
    #[error("names at the target have no letters, so none can be made")]
    NoLetters,
    /// Nothing of the name for people can stay.
    #[error("nothing of {0} can stand in a name at the target: give it a technical name")]
    Nothing(String),
    /// There is no place for a number.
    #[error("the name {0} is taken, and the target takes no number behind it: give it a technical name")]
    Taken(String),
}

impl Alphabet {
    /// What a target's pattern takes, found by trying characters one by one.
    pub fn of(description: &Description) -> Self {
        let pattern = Regex::new(&format!("^(?:{})$", description.name_pattern.as_str())).ok();
        let takes = |text: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(text));
        let any = |base: &str| takes(base) || takes(&base.repeat(4));
        let (lower, upper) = (any("a"), any("A"));
        let letter = if lower { "a" } else { "A" };
        Self {
            lower,
            upper,
            digits: takes(&format!("{letter}1")) || takes(&format!("{letter}1{letter}{letter}")),
            between: BETWEEN.into_iter().find(|between| takes(&format!("{letter}{between}{letter}"))),
            max: usize::try_from(description.name_bytes_max).unwrap_or(usize::MAX),
        }
    }

    fn takes(&self, character: char) -> bool {
        (character.is_ascii_lowercase() && self.lower)
            || (character.is_ascii_uppercase() && self.upper)
            || (character.is_ascii_digit() && self.digits)
    }

    /// A name in this alphabet, not longer than leaves place for a number.
    ///
    /// # Errors
    /// `NamingError` where nothing of the name can stay.
    pub fn translate(&self, name: &str) -> Result<String, NamingError> {
        if !self.lower && !self.upper {
            return Err(NamingError::NoLetters);
        }
        let mut made = String::with_capacity(name.len() + 8);
        let mut previous: Option<char> = None;
        let mut gap = false;
        for character in name.chars() {
            let begins_word = character.is_uppercase() && previous.is_some_and(char::is_lowercase);
            previous = Some(character);
            if begins_word && self.lower != self.upper {
                gap = true;
            }
            let cased = match (self.lower, self.upper) {
                (true, false) => character.to_ascii_lowercase(),
                (false, true) => character.to_ascii_uppercase(),
                _ if gap && self.between.is_none() => character.to_ascii_uppercase(),
                _ => character,
            };
            if !self.takes(cased) {
                gap = true;
                continue;
            }
            if gap && !made.is_empty() {
                made.extend(self.between);
            }
            gap = false;
            made.push(cased);
        }
        let trimmed = made.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
        let mut name_made = trimmed.to_owned();
        name_made.truncate(self.max.saturating_sub(SUFFIX).max(1));
        if let Some(between) = self.between {
            name_made = name_made.trim_end_matches(between).to_owned();
        }
        if name_made.is_empty() { Err(NamingError::Nothing(crate::text::excerpt(name, 80))) } else { Ok(name_made) }
    }

    /// A name that is not taken: the translated one, or that with a number behind it.
    ///
    /// # Errors
    /// `NamingError` where there is none.
    pub fn unique(&self, name: &str, taken: &BTreeSet<String>) -> Result<String, NamingError> {
        let base = self.translate(name)?;
        if !taken.contains(&base) {
            return Ok(base);
        }
        let (Some(between), true) = (self.between, self.digits) else { return Err(NamingError::Taken(base)) };
        let numbered = |number: u32| {
            let digits = if self.upper { format!("{number:X}") } else { format!("{number:x}") };
            format!("{base}{between}{between}{digits}")
        };
        (0..u32::from(u16::MAX)).map(numbered).find(|name| !taken.contains(name)).ok_or(NamingError::Taken(base))
    }
}

/// Refuses a technical name that the target does not take.
///
/// # Errors
/// A sentence that says which rule it breaks.
pub fn check(name: &str, description: &Description) -> Result<(), String> {
    let (length, longest) = (name.len(), usize::try_from(description.name_bytes_max).unwrap_or(usize::MAX));
    let shown = crate::text::excerpt(name, 120);
    if length == 0 || length > longest {
        return Err(format!("the name {shown} has {length} bytes, and the target takes 1 to {longest}"));
    }
    let prefix = description.reserved_prefixes.iter().find(|prefix| name.starts_with(prefix.as_str()));
    if let Some(prefix) = prefix {
        return Err(format!("the name {shown} begins with {prefix}, which the target keeps for itself"));
    }
    match Regex::new(&format!("^(?:{})$", description.name_pattern.as_str())) {
        Ok(pattern) if !pattern.is_match(name) => {
            Err(format!("the name {shown} does not match {}, which names at the target do", description.name_pattern))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alphabet(lower: bool, upper: bool, digits: bool, between: Option<char>) -> Alphabet {
        Alphabet { lower, upper, digits, between, max: 32 }
    }

    #[test]
    fn names_are_made_as_existing_installations_know_them() {
        let upper = alphabet(false, true, true, Some('_'));
        assert_eq!(upper.translate("A7tringW1th4Numbers2").as_deref(), Ok("A7TRING_W1TH4NUMBERS2"));
        let lower = alphabet(true, false, true, Some('_'));
        assert_eq!(lower.translate("A7tringW1th4Numbers2").as_deref(), Ok("a7tring_w1th4numbers2"));
        let plain = alphabet(true, false, true, None);
        assert_eq!(plain.translate("A7tringW1th4Numbers2").as_deref(), Ok("a7tringw1th4numbers2"));
        let letters = alphabet(true, true, false, None);
        assert_eq!(letters.translate("A7tringW1th4Numbers2").as_deref(), Ok("ATringWThNumbers"));
        assert_eq!(alphabet(false, false, true, None).translate("x"), Err(NamingError::NoLetters));
        assert_eq!(upper.translate("Nicolas's  19/03/2024").as_deref(), Ok("NICOLAS_S_19_03_2024"));
        assert_eq!(upper.translate("and_the_last_access_provider").as_deref(), Ok("AND_THE_LAST_ACCESS_PROVID"));
        assert!(upper.translate("!!!").is_err());
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let upper = alphabet(false, true, true, Some('_'));
        let mut taken = BTreeSet::new();
        for expected in ["THE_SAME_NAME", "THE_SAME_NAME__0", "THE_SAME_NAME__1"] {
            let name = upper.unique("the same name", &taken).expect("a name");
            assert_eq!(name, expected);
            taken.insert(name);
        }
        assert!(alphabet(true, false, false, None).unique("a", &BTreeSet::from(["a".to_owned()])).is_err());
    }
}
