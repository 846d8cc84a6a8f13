//! What runs keep: a folder beside the configuration that only its owner can read, with a lock for whoever writes.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use raito_core::text::TargetName;
use rustix::fs::FlockOperation;

use crate::codes;
use crate::error::CliError;
use crate::files;

/// The folder with everything that runs keep.
#[derive(Debug, Clone)]
pub(crate) struct StateDir {
    path: PathBuf,
}

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// The folder of last reads.
const READS: &str = "reads";

fn last_read(folder: &Path, target: &TargetName) -> PathBuf {
    folder.join(format!("{}.jsonl", target.as_str()))
}

/// Where the last read of a target is found in a state directory, for who only looks: nothing is made.
pub(crate) fn find_last_read(state: &Path, target: &TargetName) -> PathBuf {
    last_read(&state.join(READS), target)
}

/// Why a folder is none to keep keys, tokens and a log in, and what to do about it; none where it
/// is this user's alone. Its owner can change everything in it, whatever its mode is, root's
/// processes included.
fn unfit(about: &Metadata) -> Option<(String, &'static str)> {
    let own = rustix::process::geteuid().as_raw();
    if !about.is_dir() {
        return Some(("is no folder".into(), "name another one with --state-dir"));
    }
    if about.uid() != own {
        let what = format!("belongs to another user (uid {}, and this process is of uid {own})", about.uid());
        return Some((
            what,
            "run as that user, or name a folder of your own with --state-dir; what is in PATH is only theirs to trust",
        ));
    }
    match about.mode() {
        mode if mode & 0o022 != 0 => Some((
            "can be changed by others".into(),
            "find out what they put there; then chmod 700 PATH, or begin anew with another --state-dir",
        )),
        mode if mode & 0o077 != 0 => Some(("can be read by others".into(), "chmod 700 PATH")),
        _ => None,
    }
}

/// Whether a folder is this user's alone, for who only looks into it.
pub(crate) fn is_private(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| unfit(&about).is_none())
}

impl StateDir {
    /// Opens the folder, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, CliError> {
        let cannot = |error: std::io::Error| {
            CliError::new(codes::STATE, format!("cannot use {}: {}", files::shown(path), files::reason(&error)))
        };
        if !path.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
            // It often stands in a repository, whose history is no place for who may do what, and for keys.
            let ignore = path.join(".gitignore");
            if let Err(error) = fs::write(&ignore, "*\n") {
                // The next one begins anew. Where that fails too, nothing is lost.
                let _ = fs::remove_file(ignore).and_then(|()| fs::remove_dir(path));
                return Err(cannot(error));
            }
        }
        let about = fs::metadata(path).map_err(cannot)?;
        if let Some((what, help)) = unfit(&about) {
            let shown = files::shown(path);
            return Err(CliError::new(codes::STATE, format!("{shown} {what}")).help(help.replace("PATH", &shown)));
        }
        let path = path.canonicalize().map_err(cannot)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the audit log.
    pub(crate) fn audit(&self) -> PathBuf {
        self.path.join("audit")
    }

    /// The database of the embedded cloud.
    pub(crate) fn cloud_database(&self) -> PathBuf {
        self.path.join("cloud.db")
    }

    /// The token of the process that serves the embedded cloud.
    pub(crate) fn cloud_token(&self) -> PathBuf {
        self.path.join("cloud.token")
    }

    /// The folder of compiled code.
    pub(crate) fn code(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// The key that proves compiled code, outside of its folder.
    pub(crate) fn code_key(&self) -> PathBuf {
        self.path.join("cache.key")
    }

    /// The digest of the program that wrote here last.
    pub(crate) fn program(&self) -> PathBuf {
        self.path.join("program.json")
    }

    /// The state of a target's connector.
    pub(crate) fn connector_state(&self, target: &TargetName) -> Result<PathBuf, CliError> {
        Ok(self.folder("connectors")?.join(format!("{}.json", target.as_str())))
    }

    /// What was read of a target last, for editors.
    pub(crate) fn last_read(&self, target: &TargetName) -> Result<PathBuf, CliError> {
        Ok(last_read(&self.folder(READS)?, target))
    }

    /// A folder within this one, which is made where there is none.
    fn folder(&self, name: &str) -> Result<PathBuf, CliError> {
        let folder = self.path.join(name);
        if !folder.exists() {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|error| {
                CliError::new(codes::STATE, format!("cannot make {}: {}", files::shown(&folder), files::reason(&error)))
            })?;
        }
        Ok(folder)
    }

    /// Takes the lock of a run; another one that runs is named.
    pub(crate) fn lock_run(&self) -> Result<Lock, CliError> {
        match self.lock("run.lock")? {
            Ok(lock) => Ok(lock),
            Err(pid) => Err(CliError::new(
                codes::STATE_BUSY,
                format!("another raito (process {pid}) is running with {}", files::shown(&self.path)),
            )
            .help("wait until it has ended, or give this one another --state-dir")),
        }
    }

    /// Takes the lock of whoever serves the embedded cloud, or says which process has it.
    pub(crate) fn lock_cloud(&self) -> Result<Result<Lock, String>, CliError> {
        self.lock("cloud.lock")
    }

    /// Takes a lock, or says which process has it.
    fn lock(&self, name: &str) -> Result<Result<Lock, String>, CliError> {
        let path = self.path.join(name);
        let cannot = |error: std::io::Error| {
            CliError::new(codes::STATE, format!("cannot lock {}: {}", files::shown(&path), files::reason(&error)))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0).map_err(cannot)?;
                write!(file, "{}", std::process::id()).map_err(cannot)?;
                Ok(Ok(Lock { _file: file }))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // Who has it is only said to help; not knowing it changes nothing.
                let _ = (&file).take(32).read_to_string(&mut pid);
                let known = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
                Ok(Err(if known { pid } else { "unknown".to_owned() }))
            }
            Err(error) => Err(cannot(error.into())),
        }
    }
}
