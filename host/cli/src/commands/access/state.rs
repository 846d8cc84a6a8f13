//! The file with the last applied state.

use std::path::{Path, PathBuf};

use raito_access::applied::{Applied, AppliedTarget};
use raito_core::limits;
use raito_core::marker::Master;
use raito_core::text::TargetName;

use crate::codes;
use crate::error::CliError;
use crate::files;

/// The last applied state, and where it is kept.
pub(super) struct State {
    path: PathBuf,
    applied: Applied,
}

impl State {
    /// Reads a state, or begins one where there is none yet.
    pub(super) fn open(path: &Path, master: &Master) -> Result<Self, CliError> {
        if path.exists() {
            return Self::read(path, master);
        }
        Ok(Self { path: path.to_owned(), applied: Applied::new(master.to_string()) })
    }

    /// Reads a state that must be there, and be of this repository.
    pub(super) fn read(path: &Path, master: &Master) -> Result<Self, CliError> {
        let wrong = |reason: String| CliError::new(codes::FILE, format!("{}: {reason}", files::shown(path)));
        let bytes = files::read(path, limits::ACCESS_BYTES, codes::FILE)
            .map_err(|error| error.help("`raito access apply --state FILE` writes it"))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let applied = Applied::parse(&text).map_err(|error| wrong(error.to_string()))?;
        if applied.repository != master.to_string() {
            return Err(wrong(format!("it is of {}, and the files are of {master}", applied.repository)));
        }
        Ok(Self { path: path.to_owned(), applied })
    }

    /// What was applied to a target last.
    pub(super) fn of(&self, target: &TargetName) -> Option<&AppliedTarget> {
        self.applied.targets.get(target)
    }

    /// Writes down what was applied to a target.
    pub(super) fn keep(mut self, target: &TargetName, applied: AppliedTarget) -> Result<(), CliError> {
        self.applied.targets.insert(target.clone(), applied);
        self.write()
    }

    /// Takes a target out.
    pub(super) fn forget(mut self, target: &TargetName) -> Result<(), CliError> {
        match self.applied.targets.remove(target) {
            Some(_) => self.write(),
            None => Ok(()),
        }
    }

    fn write(&self) -> Result<(), CliError> {
        files::replace_private(&self.path, self.applied.text().as_bytes())
    }
}
