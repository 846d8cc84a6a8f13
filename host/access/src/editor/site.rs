//! What a place in a file is by the table of keys: a key of which mapping, or the value of which key.

use std::ops::Range;

use raito_config::keys::{Key, Shape, required};

use super::tree::{Pair, Tree, Word};
use crate::keys::FILE;

/// What stands at a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    /// A key of a mapping that may have these.
    Key(&'static [Key]),
    /// A key that somebody else chose, such as that of a tag; the mapping is the value of this one.
    Name(&'static Key),
    /// The value of a key, or an item of the list that is.
    Value(&'static Key),
}

/// A place in a file.
#[derive(Debug, Clone)]
pub(crate) struct Site<'t> {
    /// The mappings around, the outermost first.
    pub(crate) maps: Vec<&'t [Pair]>,
    /// The keys that lead here, the outermost first.
    pub(crate) path: Vec<&'t str>,
    /// What stands here.
    pub(crate) part: Part,
    /// The word that stands here.
    pub(crate) word: &'t Word,
}

/// A character that no file has (Unicode, private use): it stands for the cursor in a text that is being written.
const CURSOR: char = '\u{e000}';

/// A text with the cursor in it, so that something stands there even where nothing does yet.
pub(crate) fn with_cursor(text: &str, offset: usize) -> String {
    let (before, behind) = text.split_at(text.floor_char_boundary(offset));
    [before, behind].join(CURSOR.encode_utf8(&mut [0; 4]))
}

/// The whole file as the value of a key.
const WHOLE: Key = required("access", Shape::Map(FILE), "who may do what");

impl<'t> Site<'t> {
    /// The word at a place of a file.
    pub(crate) fn at(tree: &'t Tree, offset: usize) -> Option<Self> {
        Self::find(tree, &|word| word.span.start <= offset && offset <= word.span.end)
    }

    /// Where the cursor is in a file that has one.
    pub(crate) fn of_cursor(tree: &'t Tree) -> Option<Self> {
        Self::find(tree, &|word| word.text.contains(CURSOR))
    }

    fn find(tree: &'t Tree, is_it: &dyn Fn(&Word) -> bool) -> Option<Self> {
        const ROOT: &Key = &WHOLE;
        let mut search = Search { is_it, maps: Vec::new(), path: Vec::new() };
        let (part, word) = search.value(tree, Some(ROOT))?;
        let Search { maps, path, .. } = search;
        Some(Self { maps, path, part, word })
    }

    /// What was written before the cursor, without the quote that opens it.
    pub(crate) fn typed(&self) -> String {
        let before = self.word.text.split(CURSOR).next().unwrap_or_default();
        before.to_owned()
    }

    /// The bytes of the word that the cursor is in, in the text without it.
    pub(crate) fn replaced(&self) -> Range<usize> {
        self.word.span.start..self.word.span.end.saturating_sub(CURSOR.len_utf8()).max(self.word.span.start)
    }

    /// The key whose value this is part of, so many mappings further out.
    pub(crate) fn key(&self, out: usize) -> Option<&'t str> {
        self.path.len().checked_sub(out + 1).map(|at| self.path[at])
    }

    /// The value of a key of the mapping so many further out: 0 is the one in which this stands.
    pub(crate) fn beside(&self, out: usize, key: &str) -> Option<&'t Tree> {
        let map = self.maps.len().checked_sub(out + 1).map(|at| self.maps[at])?;
        map.iter().find(|pair| pair.key.text == key).map(|pair| &pair.value)
    }

    /// The target that is spoken of here: the one that the entry names, or the file.
    pub(crate) fn target(&self) -> Option<&'t str> {
        let named = (0..self.maps.len()).find_map(|out| self.beside(out, "on")?.word());
        named.map(|word| word.text.as_str())
    }
}

struct Search<'s, 't> {
    is_it: &'s dyn Fn(&Word) -> bool,
    maps: Vec<&'t [Pair]>,
    path: Vec<&'t str>,
}

type Found<'t> = (Part, &'t Word);

impl<'t> Search<'_, 't> {
    /// Looks into the value of a key, or into an item of the list that it is.
    fn value(&mut self, tree: &'t Tree, key: Option<&'static Key>) -> Option<Found<'t>> {
        match tree {
            Tree::Nothing => None,
            Tree::Word(word) if (self.is_it)(word) => {
                let key = key?;
                let part = match key.shape {
                    // A word where a mapping is to be: its first key.
                    Shape::Map(keys) | Shape::Maps(keys) => Part::Key(keys),
                    Shape::TextMap => Part::Name(key),
                    _ => Part::Value(key),
                };
                Some((part, word))
            }
            Tree::Word(_) => None,
            Tree::List(items) => items.iter().find_map(|item| self.value(item, key)),
            Tree::Map(pairs) => self.map(pairs, key),
        }
    }

    fn map(&mut self, pairs: &'t [Pair], key: Option<&'static Key>) -> Option<Found<'t>> {
        let keys = key.and_then(|key| match key.shape {
            Shape::Map(keys) | Shape::Maps(keys) | Shape::TextOr(keys) => Some(keys),
            _ => None,
        });
        let names = key.filter(|key| matches!(key.shape, Shape::TextMap));
        self.maps.push(pairs);
        for pair in pairs {
            if (self.is_it)(&pair.key) {
                let part = keys.map(Part::Key).or(names.map(Part::Name))?;
                return Some((part, &pair.key));
            }
            let of = match keys {
                Some(keys) => keys.iter().find(|known| known.name == pair.key.text),
                None => names,
            };
            self.path.push(&pair.key.text);
            // The value of a name is a text, whatever the mapping is.
            let found = match (names, &pair.value) {
                (Some(names), Tree::Word(word)) => (self.is_it)(word).then_some((Part::Value(names), word)),
                (Some(_), _) => None,
                (None, value) => self.value(value, of),
            };
            if found.is_some() {
                return found;
            }
            self.path.pop();
        }
        self.maps.pop();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `|` stands in a text: the keys that lead there, and what stands there.
    fn site(text: &str) -> Option<(String, String)> {
        let offset = text.find('|').expect("a cursor");
        let text = with_cursor(&text.replacen('|', "", 1), offset);
        let tree = Tree::read(&text);
        let site = Site::of_cursor(&tree)?;
        let part = match site.part {
            Part::Key(keys) => format!("key of {}: {}", keys[0].name, site.typed()),
            Part::Name(key) => format!("name in {}: {}", key.name, site.typed()),
            Part::Value(key) => format!("value of {}: {}", key.name, site.typed()),
        };
        Some((site.path.join("."), part))
    }

    #[track_caller]
    fn stands(text: &str, path: &str, part: &str) {
        assert_eq!(site(text), Some((path.to_owned(), part.to_owned())), "{text}");
    }

    const HEAD: &str = "version: 1\non: shop\ngrants:\n  - name: R_A\n";

    #[test]
    fn a_file_that_is_not_finished_is_understood_as_far_as_it_goes() {
        stands("|", "", "key of version: ");
        stands("version: 1\ngr|", "", "key of version: gr");
        stands("version: 1\ngr|\non: shop\n", "", "key of version: gr");
        stands("version: 1\non: |\ngrants: []\n", "on", "value of on: ");
        stands("mode: add|", "mode", "value of mode: add");
        stands(&format!("{HEAD}    |"), "grants", "key of name: ");
        stands(&format!("{HEAD}    wh|\n    what: []\n"), "grants", "key of name: wh");
        stands("grants:\n  - wh|\n    name: R_A\n", "grants", "key of name: wh");
        stands("grants:\n  - |", "grants", "key of name: ");
        stands(&format!("{HEAD}    who:\n      - |"), "grants.who", "key of user: ");
        stands(&format!("{HEAD}    who:\n    - user: a|"), "grants.who.user", "value of user: a");
        stands(
            &format!("{HEAD}    who:\n      - {{ user: an|\n  - name: R_B\n"),
            "grants.who.user",
            "value of user: an",
        );
        stands(
            &format!("{HEAD}    who:\n      - {{ user: ann, | }}\n      - {{ group: b }}\n"),
            "grants.who",
            "key of user: ",
        );
        stands(&format!("{HEAD}    who: [{{ gr|"), "grants.who", "key of user: gr");
        stands(&format!("{HEAD}    what: [{{ object: \"table sh|"), "grants.what.object", "value of object: table sh");
        stands(
            &format!("{HEAD}    what:\n      - {{ object: a.b, permissions: [SELECT, |] }}\n"),
            "grants.what.permissions",
            "value of permissions: ",
        );
        stands(
            &format!("{HEAD}    what:\n      - object: a.b\n        permissions:\n          - S|"),
            "grants.what.permissions",
            "value of permissions: S",
        );
        stands(&format!("{HEAD}    what: [{{ select: {{ kind: t|"), "grants.what.select.kind", "value of kind: t");
        stands(
            &format!("{HEAD}    what: [{{ select: {{ kind: table, tags: {{ p|"),
            "grants.what.select.tags",
            "name in tags: p",
        );
        stands(
            &format!("{HEAD}    what: [{{ select: {{ tags: {{ pii: e|"),
            "grants.what.select.tags.pii",
            "value of tags: e",
        );
        assert_eq!(site(&format!("{HEAD}    owner: it # not | here\n")), None, "within a comment");
    }
}
