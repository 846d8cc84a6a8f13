//! Which plan was begun at a target and has not come to its end. What of it was carried out, the target itself tells: a
//! journal of calls could only be older than that.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use raito_core::digest::Digest;
use raito_core::text::TargetName;

use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::state_dir::StateDir;

/// Bytes of a journal: a digest and a line break.
const JOURNAL_BYTES: usize = 256;

/// The journal of a target.
pub(super) struct Journal {
    path: PathBuf,
    begun: Option<Digest>,
}

impl Journal {
    /// Opens the journal of a target; one that cannot be read as such says nothing.
    pub(super) fn of(state: &StateDir, target: &TargetName) -> Result<Self, CliError> {
        let folder = state.path().join("access");
        let cannot = |error: std::io::Error| {
            CliError::new(codes::STATE, format!("cannot use {}: {}", files::shown(&folder), files::reason(&error)))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(cannot)?;
        let path = folder.join(format!("{}.begun", target.as_str()));
        let begun = raito_file::read(&path, JOURNAL_BYTES).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let begun = begun.and_then(|text| text.trim().parse().ok());
        Ok(Self { path, begun })
    }

    /// Whether this plan was begun and has not come to its end.
    pub(super) fn is_begun(&self, plan: Digest) -> bool {
        self.begun == Some(plan)
    }

    /// Says that a plan begins. When this returns, a crash does not lose it.
    pub(super) fn begin(&mut self, plan: Digest) -> Result<(), CliError> {
        let cannot = |error: std::io::Error| {
            CliError::new(codes::STATE, format!("cannot write {}: {}", files::shown(&self.path), files::reason(&error)))
        };
        let new = self.path.with_extension("new");
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(cannot)?;
        writeln!(file, "{plan}").and_then(|()| file.sync_all()).map_err(cannot)?;
        fs::rename(&new, &self.path).map_err(cannot)?;
        let folder = self.path.parent().map(File::open).transpose().map_err(cannot)?;
        folder.map_or(Ok(()), |folder| folder.sync_all()).map_err(cannot)?;
        self.begun = Some(plan);
        Ok(())
    }

    /// Says that everything came to its end.
    pub(super) fn end(&mut self) -> Result<(), CliError> {
        self.begun = None;
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let message = format!("cannot remove {}: {}", files::shown(&self.path), files::reason(&error));
                Err(CliError::new(codes::STATE, message))
            }
            _ => Ok(()),
        }
    }
}
