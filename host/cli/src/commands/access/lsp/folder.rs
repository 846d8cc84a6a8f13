//! The files of a folder as an editor sees them: those on disk, and over them the documents that are open and perhaps not saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use raito_access::code::{FileMistakes, together};
use raito_access::document::Document;
use raito_access::editor::Page;
use raito_access::read_document;
use raito_config::Mistake;
use raito_config::reader::fits;
use raito_core::limits;

use super::super::files;
use crate::args::Global;
use crate::args::access::Paths;

/// What tells whether a file on disk is another one than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp(u64, Option<SystemTime>);

impl Stamp {
    /// That of a file; none where there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self(metadata.len(), metadata.modified().ok()))
    }
}

/// A document that is open in the editor.
#[derive(Debug)]
pub(super) struct Open {
    /// What the editor calls it.
    pub(super) uri: String,
    /// Its version there.
    pub(super) version: i32,
    text: Result<String, Mistake>,
    /// Tells this text from every other one that the editor sent.
    number: u64,
}

/// Where a text came from, so that the same one is read once.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Disk(Option<Stamp>),
    Editor(u64),
}

/// A file of the code.
#[derive(Debug)]
pub(super) struct Held {
    /// Where it stands.
    pub(super) path: PathBuf,
    /// Its path, as people see it.
    pub(super) shown: String,
    /// Its text, with what can be asked of it.
    pub(super) page: Page,
    document: Result<Document, Vec<Mistake>>,
    seen: Seen,
}

/// All files of a folder.
pub(super) struct Folder {
    root: PathBuf,
    global: Global,
    paths: Paths,
    open: BTreeMap<PathBuf, Open>,
    texts: u64,
    pub(super) files: Vec<Held>,
}

impl Folder {
    /// The files that these paths mean, seen from a folder.
    pub(super) fn new(root: PathBuf, global: Global, paths: Paths) -> Self {
        Self { root, global, paths, open: BTreeMap::new(), texts: 0, files: Vec::new() }
    }

    /// Takes the text of a document that is open. It says why where the document is not taken.
    pub(super) fn take(&mut self, path: PathBuf, uri: String, version: i32, text: String) -> Result<(), String> {
        if !self.open.contains_key(&path) && self.open.len() >= limits::EDITOR_DOCUMENTS {
            return Err(format!("at most {} documents are open at the same time", limits::EDITOR_DOCUMENTS));
        }
        let others = self.open.iter().filter(|(other, _)| **other != path);
        let bytes: usize = others.map(|(_, open)| open.text.as_ref().map_or(0, String::len)).sum();
        if bytes + text.len() > limits::ACCESS_BYTES {
            return Err(format!("the open documents have more than {} bytes together", limits::ACCESS_BYTES));
        }
        let text = fits(&text).map(|()| text);
        self.texts += 1;
        self.open.insert(path, Open { uri, version, text, number: self.texts });
        Ok(())
    }

    /// Forgets a document that was closed: what is on disk counts again.
    pub(super) fn close(&mut self, path: &Path) -> Option<Open> {
        self.open.remove(path)
    }

    /// A document that is open.
    pub(super) fn open(&self, path: &Path) -> Option<&Open> {
        self.open.get(path)
    }

    /// The documents that are open.
    pub(super) fn all_open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// A path as seen from the root, as a whole one.
    pub(super) fn whole(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &Path) -> Option<&Held> {
        self.files.iter().find(|held| held.path == path)
    }

    /// Looks at what is there now, and reads what is new or changed. It says what cannot be read.
    pub(super) fn refresh(&mut self) -> Vec<String> {
        let mut notes = Vec::new();
        let mut known: BTreeMap<PathBuf, (usize, Held)> = std::mem::take(&mut self.files)
            .into_iter()
            .enumerate()
            .map(|(number, held)| (held.path.clone(), (number, held)))
            .collect();
        for shown in self.found() {
            let path = self.root.join(&shown);
            let number = self.files.len();
            let before = known.remove(&path);
            match self.read(path, &shown, number, before) {
                Ok(held) => self.files.push(held),
                Err(reason) => notes.push(reason),
            }
        }
        notes
    }

    /// The paths of all files, in their order, as seen from the root: those that the commands find, and open ones that they will
    /// find once they are saved.
    fn found(&self) -> Vec<PathBuf> {
        let mut found = files::paths(&self.global, &self.paths).unwrap_or_default();
        let starts = files::usual(&self.global, &self.paths);
        for path in self.open.keys() {
            let shown = path.strip_prefix(&self.root).unwrap_or(path);
            let is_code = shown.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
            if starts.iter().any(|start| shown == start || (is_code && shown.starts_with(start))) {
                found.push(shown.to_path_buf());
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn read(&self, path: PathBuf, shown: &Path, number: usize, before: Option<(usize, Held)>) -> Result<Held, String> {
        let shown = crate::files::shown(shown);
        let open = self.open.get(&path);
        let seen = open.map_or_else(|| Seen::Disk(Stamp::of(&path)), |open| Seen::Editor(open.number));
        if let Some((old, held)) = before
            && held.seen == seen
            && seen != Seen::Disk(None)
        {
            // What a file says carries its position among the files.
            let document = if old == number { held.document } else { read_document(&held.page.text, number) };
            return Ok(Held { document, ..held });
        }
        let text = match open {
            Some(open) => open.text.clone(),
            None => Ok(crate::files::read_text(&path).map_err(|error| error.message)?),
        };
        let (text, document) = match text {
            Ok(text) => {
                let document = read_document(&text, number);
                (text, document)
            }
            Err(mistake) => (String::new(), Err(vec![mistake])),
        };
        Ok(Held { path, shown, page: Page::read(text), document, seen })
    }

    /// The mistakes of all files, as `raito access validate` says them.
    pub(super) fn mistakes(&self) -> Vec<FileMistakes> {
        let documents = self.files.iter().map(|held| held.document.clone()).collect();
        let path = |file: usize| self.files.get(file).map_or("", |held| held.shown.as_str());
        together(documents, &path).err().unwrap_or_default()
    }
}
