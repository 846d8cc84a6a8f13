//! The digest of the file of this program, which a run puts on record.
//!
//! It is taken once for each version of the file, and kept beside the state with what the file system says of that file.
//! Nobody can set the time of a file's last change (`ctime`, inode(7)), so a file that was written to since, or another one in
//! its place, is read anew. Who could forge the kept digest could put another program in place as well.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use raito_core::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::state_dir::StateDir;

/// Bytes of what is kept: five numbers and a digest.
const KEPT_BYTES: usize = 1_024;

/// What the file system says of a file. It is another one when anything in it was written since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Version {
    device: u64,
    inode: u64,
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Version {
    fn of(file: &File) -> io::Result<Self> {
        let found = file.metadata()?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            changed_s: found.ctime(),
            changed_ns: found.ctime_nsec(),
        })
    }
}

/// A digest that was taken before.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Kept {
    version: Version,
    sha256: Digest,
}

/// The SHA-256 digest of this program's file.
///
/// # Errors
/// Where the file cannot be found or read. That its digest cannot be kept is no error: the next run takes it again.
pub(crate) fn digest(state: &StateDir) -> io::Result<Digest> {
    let file = File::open(std::env::current_exe()?)?;
    digest_of(file, state)
}

fn digest_of(file: File, state: &StateDir) -> io::Result<Digest> {
    let version = Version::of(&file)?;
    let path = state.program();
    let kept = files::read(&path, KEPT_BYTES, crate::codes::STATE).ok();
    let kept = kept.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| kept.version == version) {
        return Ok(kept.sha256);
    }
    let sha256 = read(file)?;
    let kept = serde_json::to_vec(&Kept { version, sha256 }).map_err(io::Error::other)?;
    if let Err(error) = files::replace_state(&path, &kept) {
        tracing::debug!("the digest of this program is taken again next time: {}", error.message);
    }
    Ok(sha256)
}

/// Reads a file piece by piece: a program can have more than a hundred megabytes.
fn read(mut file: File) -> io::Result<Digest> {
    let (mut hasher, mut piece) = (Hasher::default(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            read => hasher.update(&piece[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_digest_is_taken_once_and_again_when_the_file_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(&folder.path().join("state")).expect("a folder");
        let path = folder.path().join("program");
        let digest = |text: &str| {
            let mut hasher = Hasher::default();
            hasher.update(text.as_bytes());
            hasher.finish()
        };
        let taken = || digest_of(File::open(&path).expect("there"), &state).expect("readable");
        fs::write(&path, "one").expect("writable");
        assert_eq!(taken(), digest("one"));

        // What is kept is what counts as long as the file is the same one.
        let kept = fs::read_to_string(state.program()).expect("kept");
        fs::write(state.program(), kept.replace(&digest("one").to_string(), &digest("two").to_string())).expect("ours");
        assert_eq!(taken(), digest("two"));

        // As long as before, and with the time of before: still another file.
        let before = fs::metadata(&path).and_then(|found| found.modified()).expect("a time");
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "six").expect("writable");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(before)).expect("ours");
        assert_eq!(taken(), digest("six"));

        for broken in ["", "{", "[]", "{\"version\":1}"] {
            fs::write(state.program(), broken).expect("ours");
            assert_eq!(taken(), digest("six"));
        }
    }
}
