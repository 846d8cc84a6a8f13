//! Opening files that somebody names: a configuration, a secret, a component, a log.
//!
//! Whoever can write in a folder can put a named pipe there, and reading one waits until somebody
//! writes into it. So a file is opened without waiting, and looked at before anything is read: only
//! regular files are. Links are followed; what is looked at is what was opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Something has the name of a file and is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {what}, and a file is expected")]
pub struct NotAFile {
    /// What it is, with its article.
    pub what: &'static str,
}

impl NotAFile {
    fn of(kind: std::fs::FileType) -> Self {
        let what = match kind {
            kind if kind.is_dir() => "a folder",
            kind if kind.is_fifo() => "a named pipe",
            kind if kind.is_socket() => "a socket",
            kind if kind.is_char_device() || kind.is_block_device() => "a device",
            _ => "something else",
        };
        Self { what }
    }
}

impl From<NotAFile> for io::Error {
    fn from(error: NotAFile) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Opens a regular file to read it. The caller never waits for another process.
///
/// # Errors
/// What the system says, or [`NotAFile`].
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = match opened {
        Ok(file) => file,
        // A socket cannot be opened, and neither can a device without a driver (open(2)).
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(std::fs::metadata(path).map_or(error, |found| NotAFile::of(found.file_type()).into()));
        }
        Err(error) => return Err(error),
    };
    let kind = file.metadata()?.file_type();
    if kind.is_file() { Ok(file) } else { Err(NotAFile::of(kind).into()) }
}

/// All bytes of a regular file of at most `max` bytes.
///
/// # Errors
/// As [`open`], and `FileTooLarge` where the file is longer.
pub fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {max} bytes")));
    }
    Ok(bytes)
}

/// The same; none where there is no such file.
///
/// # Errors
/// As [`read`].
pub fn read_if_there(path: &Path, max: usize) -> io::Result<Option<Vec<u8>>> {
    match read(path, max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn refused(path: &Path) -> String {
        open(path).expect_err("no file").to_string()
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
        symlink("pipe", at("link")).expect("a link");
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        assert_eq!(refused(&at("pipe")), "it is a named pipe, and a file is expected");
        assert_eq!(refused(&at("link")), "it is a named pipe, and a file is expected");
        assert_eq!(refused(&at("socket")), "it is a socket, and a file is expected");
        assert_eq!(refused(folder.path()), "it is a folder, and a file is expected");
        assert_eq!(refused(Path::new("/dev/zero")), "it is a device, and a file is expected");
        assert_eq!(open(&at("none")).expect_err("none").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_read_up_to_its_bound_also_behind_links() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "12345").expect("writable");
        symlink("file", &link).expect("a link");
        assert_eq!(read(&link, 5).expect("readable"), b"12345");
        assert_eq!(read(&file, 4).expect_err("longer").to_string(), "it has more than 4 bytes");
        assert_eq!(read_if_there(&folder.path().join("none"), 4).expect("none"), None);
    }
}
