//! The file with the token of whoever serves the embedded cloud to others, and who asks it just now: they hold a shared lock.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use raito_core::limits;
use rustix::fs::FlockOperation;

use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::state_dir::StateDir;

/// How long somebody waits before he looks again who serves the embedded cloud, or who still asks it.
pub(super) const AGAIN: Duration = Duration::from_millis(20);
/// Bytes of the file: a process id, a line break, and a token of 49 bytes.
const FILE_BYTES: u64 = 256;

/// The file: the process on the first line, the token on the second.
pub(super) struct TokenFile {
    path: PathBuf,
}

/// Keeps whoever serves from ending, as long as this lives.
#[derive(Debug)]
pub(super) struct InUse {
    _file: File,
}

impl TokenFile {
    pub(super) fn of(state: &StateDir) -> Self {
        Self { path: state.cloud_token() }
    }

    /// Lets others in with this token.
    pub(super) fn write(&self, token: &str) -> Result<(), CliError> {
        files::replace_state(&self.path, format!("{}\n{token}", std::process::id()).as_bytes())
    }

    /// Lets nobody else in. A process that was killed leaves its file behind.
    pub(super) fn remove(&self) -> Result<(), CliError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", &error)),
            _ => Ok(()),
        }
    }

    /// The token of the process that serves, and what keeps it serving; none where it has not begun, serves nobody else, or
    /// is about to end.
    pub(super) fn of_server(&self, process: &str) -> Result<Option<(String, InUse)>, CliError> {
        self.read(process).map_err(|error| self.failed("read", &error))
    }

    fn read(&self, process: &str) -> io::Result<Option<(String, InUse)>> {
        let Some(file) = found(raito_file::open(&self.path))? else { return Ok(None) };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Whoever took the file away before it was locked has not waited for this lock.
        let Some(there) = found(fs::metadata(&self.path))? else { return Ok(None) };
        let locked = file.metadata()?;
        if (there.dev(), there.ino()) != (locked.dev(), locked.ino()) {
            return Ok(None);
        }
        let mut text = String::new();
        (&file).take(FILE_BYTES).read_to_string(&mut text)?;
        let token = text.split_once('\n').filter(|(of, _)| *of == process).map(|(_, token)| token.to_owned());
        Ok(token.map(|token| (token, InUse { _file: file })))
    }

    /// Lets nobody else in, and waits for those who ask just now, up to a bound.
    pub(super) async fn end(&self) {
        let began = Instant::now();
        let file = raito_file::open(&self.path);
        // Where it cannot be removed, the next server writes another one over it.
        let _ = self.remove();
        let Ok(file) = file else { return };
        let is_used = || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
        while is_used() && began.elapsed() < limits::CLOUD_LEAVE {
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn failed(&self, what: &str, error: &io::Error) -> CliError {
        CliError::new(codes::STATE, format!("cannot {what} {}: {}", files::shown(&self.path), files::reason(error)))
    }
}

/// What was found; none where there is no such file.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cloud.token");
        (folder, TokenFile { path }, std::process::id().to_string())
    }

    #[test]
    fn the_token_is_that_of_the_process_that_serves() {
        let (_folder, file, own) = file();
        assert!(file.of_server(&own).expect("readable").is_none(), "nobody serves");
        file.write("secret").expect("writable");
        assert!(file.of_server("1").expect("readable").is_none(), "another process has the lock by now");
        assert_eq!(file.of_server(&own).expect("readable").expect("a token").0, "secret");
        file.remove().expect("ours");
        file.remove().expect("it is gone already");
        assert!(file.of_server(&own).expect("readable").is_none());
    }

    #[tokio::test]
    async fn who_serves_waits_for_those_who_ask_and_lets_nobody_else_in() {
        let (_folder, file, own) = file();
        file.write("secret").expect("writable");
        let asks = file.of_server(&own).expect("readable").expect("a token");
        let mut end = Box::pin(file.end());
        assert!(tokio::time::timeout(AGAIN * 3, &mut end).await.is_err(), "somebody asks");
        assert!(file.of_server(&own).expect("readable").is_none(), "it is about to end");
        drop(asks);
        tokio::time::timeout(limits::CLOUD_LEAVE / 2, end).await.expect("nobody asks any more");
    }
}
