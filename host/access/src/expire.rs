//! `expire`: members whose time is over, or soon will be, and files without those whose time is over.

use raito_config::Mistake;

use crate::code::Code;
use crate::convert::entry_text;
use crate::document::{Document, Entry, Who};
use crate::edit::{Edit, EditError, edited};

/// A member whose time ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending<'c> {
    /// Of what.
    pub entry: &'c Entry,
    /// Who.
    pub who: &'c Who,
    /// When, in milliseconds since 1970.
    pub end_ms: u64,
}

/// Members whose time ends before this, in milliseconds since 1970, in the order of their ends and files.
pub fn ending(code: &Code, until_ms: u64) -> Vec<Ending<'_>> {
    let all = code.entries.iter().flat_map(|entry| entry.who.iter().map(move |who| (entry, who)));
    let ends = all.filter_map(|(entry, who)| Some(Ending { entry, who, end_ms: who.expires_ms? }));
    let mut ending: Vec<Ending<'_>> = ends.filter(|ending| ending.end_ms <= until_ms).collect();
    ending.sort_by_key(|ending| (ending.end_ms, ending.who.spot));
    ending
}

/// Why a file cannot be written without members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotEnd {
    /// It has mistakes.
    #[error("it has mistakes: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Mistakes(Vec<Mistake>),
    /// Its text cannot be changed.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// It would say something else as well.
    #[error("it would say something else as well: take the items out yourself")]
    Changed,
}

/// The text of a file without members whose time is over, as `fmt` writes it; none where there are none.
///
/// # Errors
/// `CannotEnd` where the file has mistakes, or cannot be changed without changing more than that.
pub fn without_ended(text: &str, now_ms: u64) -> Result<Option<String>, CannotEnd> {
    let before = crate::read_document(text, 0).map_err(CannotEnd::Mistakes)?;
    let over = |who: &&Who| who.expires_ms.is_some_and(|end| end <= now_ms);
    let ended = before.entries.iter().flat_map(|entry| entry.who.iter().filter(over));
    let edits: Vec<Edit> = ended.map(|who| Edit::Remove(who.spot.place)).collect();
    if edits.is_empty() {
        return Ok(None);
    }
    let text = edited(text, &edits)?;
    let after = crate::read_document(&text, 0).map_err(CannotEnd::Mistakes)?;
    let mut expected = before;
    expected.entries.iter_mut().for_each(|entry| entry.who.retain(|who| !over(&who)));
    if said(&expected) == said(&after) { Ok(Some(text)) } else { Err(CannotEnd::Changed) }
}

/// What a document says, wherever it says it.
fn said(document: &Document) -> (Vec<String>, [usize; 3]) {
    let entries = document.entries.iter().map(entry_text).collect();
    (entries, [document.scopes.len(), document.tests.len(), document.policy.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Source, read_code};

    const TEXT: &str = "\
version: 1
on: shop
grants:
  - name: R_A
    who:
      - { user: ann, expires: 2020-01-01 } # for the audit
      - { user: bob, expires: 2999-01-01 }
  - name: R_B # on its own
    who: [{ user: carl, expires: 2020-01-02, reason: why }]
    what: [{ object: a.b, permissions: [SELECT] }]
";
    const NOW: u64 = 1_600_000_000_000;

    #[test]
    fn what_has_ended_goes_and_the_rest_stays() {
        let text = without_ended(TEXT, NOW).expect("it can be written").expect("something ended");
        let expected = "\
version: 1
on: shop
grants:
  - name: R_A
    who:
      - { user: bob, expires: 2999-01-01 }
  - name: R_B # on its own
    what: [{ object: a.b, permissions: [SELECT] }]
";
        assert_eq!(text, expected);
        assert_eq!(without_ended(&text, NOW), Ok(None));
    }

    #[test]
    fn what_ends_is_listed_by_its_end() {
        let code = read_code(&[Source { path: "a.yml".into(), text: TEXT.into() }]).expect("no mistakes");
        let names = |until| -> Vec<String> {
            ending(&code, until).iter().map(|ending| format!("{} {}", ending.entry.name, ending.who.name)).collect()
        };
        assert_eq!(names(NOW), ["R_A user ann", "R_B user carl"]);
        assert_eq!(names(u64::MAX), ["R_A user ann", "R_B user carl", "R_A user bob"]);
        assert_eq!(names(0), Vec::<String>::new());
    }
}
