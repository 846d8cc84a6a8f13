//! Where something is said that a file names.

use std::ops::Range;

use super::site::{Part, Site};
use super::tree::{Tree, Word};
use super::{Known, Page};

/// Where something is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file, by its position among the pages: the bytes of its name.
    File(usize, Range<usize>),
    /// In the configuration: the target with this name.
    Target(String),
}

/// Where what stands at a byte of a file is said: access controls where their entries stand, targets in the configuration.
pub fn definition(page: &Page, offset: usize, known: &Known<'_>) -> Vec<Origin> {
    let tree = Tree::read(&page.text);
    let Some(site) = Site::at(&tree, offset) else { return Vec::new() };
    let (Part::Value(key), word, target) = (site.part, site.word, site.target()) else { return Vec::new() };
    match key.name {
        "control" | "controls" | "creators" | "about" => known
            .entries(target)
            .filter(|(_, entry)| entry.name == word.text)
            .map(|(file, entry)| Origin::File(file, entry.span.clone()))
            .collect(),
        "on" => vec![Origin::Target(word.text.clone())],
        _ => Vec::new(),
    }
}

/// Where a configuration names a target, in bytes.
pub fn target_in(configuration: &str, target: &str) -> Option<Range<usize>> {
    named(&Tree::read(configuration)).into_iter().find(|word| word.text == target).map(|word| word.span.clone())
}

/// The names of the targets of a configuration, whatever else it says.
pub fn targets_in(configuration: &str) -> Vec<String> {
    named(&Tree::read(configuration)).into_iter().map(|word| word.text.clone()).collect()
}

fn named(configuration: &Tree) -> Vec<&Word> {
    let targets = configuration.get("targets").map(Tree::items).unwrap_or_default();
    targets.iter().filter_map(|item| item.get("name")?.word()).collect()
}
