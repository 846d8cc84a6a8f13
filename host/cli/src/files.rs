//! Files that people name: read once, bounded, and written whole or not at all, with an error that says which file and why.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Component, Path, PathBuf};

use raito_core::limits;
use raito_core::text::escape;
use tempfile::NamedTempFile;

use crate::codes::{self, Code};
use crate::error::CliError;

/// Has a file that is as long as the system lets it be give an error instead of a signal that ends
/// the program (setrlimit(2), `RLIMIT_FSIZE`). Programs that this one starts inherit that.
#[expect(unsafe_code, reason = "the system call has no safe wrapper")]
pub(crate) fn survive_bounds() {
    // SAFETY: it touches no memory, and no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

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

    /// The others who can change it, for people; none where nobody can.
    pub(crate) fn others(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Owner => Some("its owner, who is another user,"),
            Self::Group => Some("its group"),
            Self::Everybody => Some("everybody"),
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
    let file = raito_file::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
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

/// Writes a file that was not there before, whole or not at all. The path is one that somebody
/// named.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = beside(path, USUAL_MODE).and_then(|mut new| {
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist_noclobber(path).map_err(|error| error.error)
    });
    written.map(|_| ()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            CliError::new(codes::FILE, format!("cannot write {}: it is there already", shown(path)))
        }
        _ => unwritten(path, codes::FILE, &error),
    })
}

/// Writes a file that somebody named, whole or not at all. One that was there keeps its mode and
/// its group, and a link goes on leading to it. What is no file, such as a pipe, is written into.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace_with(path, None, |file| file.write_all(bytes)).map_err(|error| unwritten(path, codes::FILE, &error))
}

/// Writes a file that somebody named and only its owner can change, whole or not at all.
pub(crate) fn replace_own(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = replace_with(path, Some(OWN_MODE), |file| file.write_all(bytes));
    written.map_err(|error| unwritten(path, codes::FILE, &error))
}

/// Writes a file that somebody named and only its owner can read, whole or not at all.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let written = replace_with(path, Some(PRIVATE_MODE), |file| file.write_all(bytes));
    written.map_err(|error| unwritten(path, codes::FILE, &error))
}

/// Writes a file of the state directory, whole or not at all.
pub(crate) fn replace_state(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    replace_state_with(path, |file| file.write_all(bytes))
}

/// Writes a file of the state directory piece by piece, whole or not at all.
pub(crate) fn replace_state_with(
    path: &Path,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> io::Result<()>,
) -> Result<(), CliError> {
    // Whoever opened a pipe here would wait for somebody who reads it.
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        let message = format!("cannot write {}: it is no file", shown(path));
        return Err(CliError::new(codes::STATE, message).help("take away what stands in its place"));
    }
    replace_with(path, Some(PRIVATE_MODE), write).map_err(|error| unwritten(path, codes::STATE, &error))
}

/// Makes a folder that somebody named, with those that it is in.
pub(crate) fn make_folder(path: &Path) -> Result<(), CliError> {
    fs::create_dir_all(path).map_err(|error| failed("make", path, codes::FILE, &error))
}

/// The same of a folder that only its owner can read.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), CliError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| failed("make", path, codes::FILE, &error))
}

/// Something was not written. Where the disk has no room, that is nobody's mistake, whatever file
/// it is.
pub(crate) fn unwritten(path: &Path, code: Code, error: &io::Error) -> CliError {
    failed("write", path, code, error)
}

fn failed(what: &str, path: &Path, code: Code, error: &io::Error) -> CliError {
    let message = format!("cannot {what} {}: {}", shown(path), reason(error));
    if is_full(error) {
        return CliError::new(codes::STATE, message).help("make room on the disk, and run this again");
    }
    CliError::new(code, message)
}

/// Whether the disk or a quota is full, or a file is as long as it may be.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// The mode of a new file, of which the user's mask takes away.
const USUAL_MODE: u32 = 0o666;
/// The mode of a file that everybody can read and only its owner can change.
const OWN_MODE: u32 = 0o644;
/// The mode of a file that only its owner can read.
const PRIVATE_MODE: u32 = 0o600;

/// A new file with a name that nothing else has, in the folder of the path. It goes away again unless it gets that path.
fn beside(path: &Path, mode: u32) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new().prefix(".raito-").permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)
}

/// Writes beside the file and puts that in its place, once it is on the disk. Without a mode, it is that of the file before.
fn replace_with(
    path: &Path,
    mode: Option<u32>,
    write: impl FnOnce(&mut io::BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let path = &behind_links(path)?;
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file() && !before.is_dir()) {
        return written(&fs::OpenOptions::new().write(true).open(path)?, write);
    }
    let new = beside(path, mode.unwrap_or(USUAL_MODE))?;
    if let (None, Some(before)) = (mode, before) {
        keep_owner(new.as_file(), &before)?;
        new.as_file().set_permissions(before.permissions())?;
    }
    written(new.as_file(), write)?;
    new.as_file().sync_all()?;
    new.persist(path).map(|_| ()).map_err(|error| error.error)
}

fn written(file: &File, write: impl FnOnce(&mut io::BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    let mut file = io::BufWriter::new(file);
    write(&mut file).and_then(|()| file.flush())
}

/// Gives a file the owner and the group of the one before it. Only root can give files away, but the group matters most: the
/// mode that is kept speaks of it.
fn keep_owner(file: &File, before: &fs::Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (before.uid(), before.gid()) {
        return Ok(());
    }
    fchown(file, Some(before.uid()), Some(before.gid())).or_else(|_| fchown(file, None, Some(before.gid())))
}

/// Links that one path may lead through: as many as Linux follows (path_resolution(7)).
const LINKS: usize = 40;

/// The path that a link leads to, whether there is anything or not.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(to) => path = path.parent().unwrap_or(Path::new("")).join(to),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
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
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).expect("there").map(|entry| entry.expect("readable").file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_beside_the_file_is_touched_and_its_mode_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, neighbour) = (folder.path().join("p.json"), folder.path().join("p.new"));
        fs::write(&neighbour, "somebody's").expect("writable");
        replace(&path, b"one").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("ours");
        replace(&path, b"two").expect("written");
        assert_eq!((fs::read(&path).expect("there"), mode(&path)), (b"two".to_vec(), 0o640));
        replace_private(&path, b"three").expect("written");
        assert_eq!((fs::read(&path).expect("there"), mode(&path)), (b"three".to_vec(), 0o600));
        assert_eq!(fs::read(&neighbour).expect("there"), b"somebody's");
        assert_eq!(names(folder.path()), ["p.json", "p.new"]);
    }

    #[test]
    fn a_file_that_is_written_first_has_the_mode_that_any_other_would_have() {
        let folder = tempfile::tempdir().expect("a folder");
        let usual = folder.path().join("usual");
        fs::write(&usual, "").expect("writable");
        let (replaced, new) = (folder.path().join("replaced"), folder.path().join("new"));
        replace(&replaced, b"x").expect("written");
        write_new(&new, b"x").expect("written");
        assert_eq!((mode(&replaced), mode(&new)), (mode(&usual), mode(&usual)));
    }

    #[test]
    fn a_link_goes_on_leading_to_the_file_also_where_there_was_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inner, link, links) = (folder.path().join("in"), folder.path().join("link"), folder.path().join("links"));
        fs::create_dir(&inner).expect("writable");
        symlink("in/file", &link).expect("writable");
        symlink("link", &links).expect("writable");
        for text in ["one", "two"] {
            replace(&links, text.as_bytes()).expect("written");
            assert_eq!(fs::read_to_string(inner.join("file")).expect("there"), text);
        }
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(names(&inner), ["file"]);

        let around = folder.path().join("around");
        symlink("around", &around).expect("writable");
        assert!(replace(&around, b"x").is_err());
    }

    #[test]
    fn what_cannot_be_written_leaves_the_file_before_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        fs::write(&path, "before").expect("writable");
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let error = replace_state_with(&path, |file| file.write_all(b"half").and(Err(full()))).expect_err("it is full");
        assert_eq!(error.code, codes::STATE);
        write_new(&path, b"other").expect_err("it is there");
        replace(folder.path(), b"other").expect_err("it is a folder");
        assert_eq!(fs::read_to_string(&path).expect("there"), "before");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn what_is_no_file_is_written_into_and_stays() {
        use std::os::unix::fs::FileTypeExt as _;
        replace(Path::new("/dev/null"), b"x").expect("written");
        assert!(fs::metadata("/dev/null").expect("there").file_type().is_char_device());
        let error = replace(Path::new("/dev/full"), b"x").expect_err("it is full");
        assert_eq!(error.code, codes::STATE, "a full disk is no mistake on the command line");
        let error = replace(Path::new("/dev/null/x"), b"x").expect_err("that is no folder");
        assert_eq!(error.code, codes::FILE);
    }

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
