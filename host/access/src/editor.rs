//! What an editor is told about access code while somebody writes it: what may come next, what a word means, and where it is said.
//!
//! Files that are not finished are understood as far as they go. Names of a target are those of the last read of it, which the
//! caller has; without one, there is what the files and the table of keys say. What is wrong is told by the strict reader alone.

mod complete;
mod define;
mod hover;
mod lines;
mod read;
mod site;
mod tree;

use std::ops::Range;
use std::rc::Rc;

pub use self::complete::{Proposal, ProposalKind, Proposals, complete};
pub use self::define::{Origin, definition, target_in, targets_in};
pub use self::hover::hover;
pub use self::lines::{Lines, Position, Units};
pub use self::read::LastRead;
use self::tree::Tree;

/// The lists of a file that hold entries.
const LISTS: [&str; 3] = ["grants", "masks", "filters"];

/// An entry that a file names, also where the rest of the file cannot be read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The target, where it or its file names one.
    pub target: Option<String>,
    /// Where its name stands, in bytes.
    pub span: Range<usize>,
}

/// A file as an editor asks about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its text.
    pub text: String,
    /// Its lines.
    pub lines: Lines,
    /// The entries that it names.
    pub entries: Vec<Named>,
}

impl Page {
    /// Reads a file, whatever it holds.
    pub fn read(text: String) -> Self {
        let tree = Tree::read(&text);
        let text_of = |tree: &Tree, key| Some(tree.get(key)?.word()?.text.clone());
        let on = text_of(&tree, "on");
        let items = LISTS.iter().filter_map(|list| tree.get(list)).flat_map(Tree::items);
        let named = |item: &Tree| {
            let word = item.get("name")?.word()?;
            let target = text_of(item, "on").or_else(|| on.clone());
            Some(Named { name: word.text.clone(), target, span: word.span.clone() })
        };
        let entries = items.filter_map(named).collect();
        Self { lines: Lines::of(&text), entries, text }
    }
}

/// What is known beside the file that is asked about.
pub struct Known<'k> {
    /// All files, also the one that is asked about.
    pub pages: &'k [&'k Page],
    /// The targets of the configuration, by name.
    pub targets: &'k [String],
    /// The last read of a target, where there is one.
    pub read: &'k dyn Fn(&str) -> Option<Rc<LastRead>>,
}

impl Known<'_> {
    /// The target that is meant where one is named, or where there is only one.
    fn target(&self, named: Option<&str>) -> Option<String> {
        match (named, self.targets) {
            (Some(name), _) => Some(name.to_owned()),
            (None, [one]) => Some(one.clone()),
            (None, _) => None,
        }
    }

    fn last_read(&self, named: Option<&str>) -> Option<Rc<LastRead>> {
        (self.read)(&self.target(named)?)
    }

    /// The entries about a target, and those of which nobody can tell yet what they are about.
    fn entries(&self, target: Option<&str>) -> impl Iterator<Item = (usize, &Named)> {
        let target = self.target(target);
        let all =
            self.pages.iter().enumerate().flat_map(|(file, page)| page.entries.iter().map(move |one| (file, one)));
        all.filter(move |(_, entry)| entry.target.is_none() || target.is_none() || entry.target == target)
    }
}
