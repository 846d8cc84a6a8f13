//! Reading files that people name: once, bounded, and with an error that says which file and why.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use raito_core::limits;
use raito_core::text::escape;

use crate::codes::{self, Code};
use crate::error::CliError;

/// A path for people, without the folders that only say "here".
pub(crate) fn shown(path: &Path) -> String {
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    let here = plain.as_os_str().is_empty() && !path.as_os_str().is_empty();
    escape(&if here { Path::new(".") } else { plain.as_path() }.display().to_string()).into_owned()
}

/// Who can change a file, besides root and the user that this process is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writers {
    /// Nobody.
    Nobody,
    /// Its owner, who is another user.
    Owner,
    /// Its group.
    Group,
    /// Everybody.
    Everybody,
}

impl Writers {
    fn of(file: &Metadata) -> Self {
        match (file.mode(), file.uid()) {
            (mode, _) if mode & 0o002 != 0 => Self::Everybody,
            (mode, _) if mode & 0o020 != 0 => Self::Group,
            (_, owner) if owner != 0 && owner != rustix::process::geteuid().as_raw() => Self::Owner,
            _ => Self::Nobody,
        }
    }
}

/// All bytes of a file of at most this many.
pub(crate) fn read(path: &Path, max: usize, code: Code) -> Result<Vec<u8>, CliError> {
    Ok(read_with_writers(path, max, code)?.0)
}

/// The same, with who else can change the file. Links are followed, and both are of the file that was opened: what is put in
/// its place between looking and reading is neither looked at nor read.
pub(crate) fn read_with_writers(path: &Path, max: usize, code: Code) -> Result<(Vec<u8>, Writers), CliError> {
    let cannot = |error: io::Error| CliError::new(code, format!("cannot read {}: {}", shown(path), reason(&error)));
    let file = File::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if about.is_dir() {
        return Err(CliError::new(code, format!("{} is a folder, and a file is expected", shown(path))));
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > max {
        return Err(CliError::new(code, format!("{} has more than {max} bytes", shown(path))));
    }
    Ok((bytes, Writers::of(&about)))
}

/// The text of a configuration or another file that people write, without the byte order mark that some editors put before it.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    Ok(read_text_with_writers(path)?.0)
}

/// The same, with who else can change the file.
pub(crate) fn read_text_with_writers(path: &Path) -> Result<(String, Writers), CliError> {
    let (bytes, writers) = read_with_writers(path, limits::CONFIG_BYTES, codes::FILE)?;
    let text =
        String::from_utf8(bytes).map_err(|_| CliError::new(codes::FILE, format!("{} is not UTF-8", shown(path))))?;
    match text.strip_prefix('\u{feff}') {
        Some(plain) => Ok((plain.to_owned(), writers)),
        None => Ok((text, writers)),
    }
}

/// Writes a file that was not there before.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut file = File::create_new(path).map_err(|error| {
        let help = if error.kind() == io::ErrorKind::AlreadyExists { "it is there already" } else { &reason(&error) };
        CliError::new(codes::FILE, format!("cannot write {}: {help}", shown(path)))
    })?;
    file.write_all(bytes)
        .map_err(|error| CliError::new(codes::FILE, format!("cannot write {}: {}", shown(path), reason(&error))))
}

/// Writes a file whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace_with(path, 0o666, |file| file.write_all(bytes))
}

/// Writes a file that only its owner can change, whole or not at all.
pub(crate) fn replace_own(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace_with(path, 0o644, |file| file.write_all(bytes))
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace_private_with(path, |file| file.write_all(bytes))
}

/// Writes a file that only its owner can read piece by piece, whole or not at all.
pub(crate) fn replace_private_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> Result<(), CliError> {
    replace_with(path, 0o600, write)
}

/// Writes a file with this mode, or less where the user's mask says so.
fn replace_with(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>,
) -> Result<(), CliError> {
    let cannot =
        |error: io::Error| CliError::new(codes::FILE, format!("cannot write {}: {}", shown(path), reason(&error)));
    let new = path.with_extension("new");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&new).map_err(cannot)?;
    let mut file = io::BufWriter::new(file);
    write(&mut file).and_then(|()| file.flush()).map_err(cannot)?;
    fs::rename(&new, path).map_err(cannot)
}

/// Why the file system says no, in fewer words.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "it is not allowed".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_without_what_says_nothing() {
        let cases = [
            ("./.", "."),
            (".", "."),
            ("./../pg/ca.pem", "../pg/ca.pem"),
            ("a/./b/", "a/b"),
            ("/a/b", "/a/b"),
            ("", ""),
        ];
        for (path, plain) in cases {
            assert_eq!(shown(Path::new(path)), plain, "{path}");
        }
    }
}
