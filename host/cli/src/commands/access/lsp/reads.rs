//! What is known of targets: their names in the configuration, and the last read of each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use raito_access::editor::{LastRead, targets_in};
use raito_access::export::read_snapshot;
use raito_core::limits;
use raito_core::text::TargetName;

use super::folder::Stamp;
use crate::args::Global;
use crate::codes;
use crate::commands::configuration;
use crate::files;
use crate::state_dir::find_last_read;

/// A read, with the file that it was in; none where the file was no read.
type Read = (Stamp, Option<Rc<LastRead>>);

/// The reads of targets, each as often as its file is another one.
pub(super) struct Reads {
    global: Global,
    /// Snapshots that were named.
    named: Vec<(TargetName, PathBuf)>,
    held: RefCell<BTreeMap<TargetName, Read>>,
    notes: RefCell<Vec<String>>,
}

impl Reads {
    pub(super) fn new(global: Global, named: Vec<(TargetName, PathBuf)>) -> Self {
        Self { global, named, held: RefCell::default(), notes: RefCell::default() }
    }

    /// The configuration: where it is, and its text.
    pub(super) fn configuration(&self) -> Option<(PathBuf, String)> {
        let path = configuration::path(&self.global).ok()?;
        let text = files::read_text(&path).ok()?;
        Some((path, text))
    }

    /// The targets of the configuration, by name.
    pub(super) fn targets(&self) -> Vec<String> {
        self.configuration().map(|(_, text)| targets_in(&text)).unwrap_or_default()
    }

    /// The last read of a target: a snapshot that was named, or what a command kept in the state directory.
    pub(super) fn last(&self, target: &str) -> Option<Rc<LastRead>> {
        let target: TargetName = target.parse().ok()?;
        let path = match self.named.iter().find(|(name, _)| *name == target) {
            Some((_, path)) => path.clone(),
            None => find_last_read(&configuration::state_path(&self.global)?, &target),
        };
        let stamp = Stamp::of(&path)?;
        if let Some((_, read)) = self.held.borrow().get(&target).filter(|(known, _)| *known == stamp) {
            return read.clone();
        }
        let read = self.read(&path);
        if let Err(reason) = &read {
            self.notes.borrow_mut().push(reason.clone());
        }
        let read = read.ok().map(Rc::new);
        self.held.borrow_mut().insert(target, (stamp, read.clone()));
        read
    }

    fn read(&self, path: &PathBuf) -> Result<LastRead, String> {
        let bytes = files::read(path, limits::ACCESS_BYTES, codes::FILE).map_err(|error| error.message)?;
        let wrong = |reason: String| format!("{}: {reason}", files::shown(path));
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let catalogue = read_snapshot(&text).map_err(|error| wrong(error.to_string()))?;
        let modified = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Ok(LastRead::new(catalogue, u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    /// What could not be read since this was asked for last.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.take()
    }
}
