//! Compiled connectors, and the digest of the program: what one place made, the next ones have from the beginning. Most of a short
//! run would be compiling and digesting.

use std::fs::{self, DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

/// The digest of the program.
const PROGRAM: &str = "program.json";

/// The key of all places, and the entries that were made under it so far.
static SHARED: LazyLock<TempDir> = LazyLock::new(|| {
    let shared = tempfile::Builder::new().prefix("raito-code-").tempdir().expect("a folder");
    DirBuilder::new().mode(0o700).create(shared.path().join("cache")).expect("writable");
    let mut key = [0; 32];
    File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut key)).expect("random bytes");
    let file = File::options().write(true).create_new(true).mode(0o600).open(shared.path().join("cache.key"));
    file.and_then(|mut file| file.write_all(&key)).expect("writable");
    shared
});

/// Puts the key and the entries into a state directory.
pub fn take(state: &Path) {
    copy_new(SHARED.path(), state);
}

/// Takes in what a state directory has more.
pub fn give(state: &Path) {
    if fs::read(state.join("cache.key")).ok() == fs::read(SHARED.path().join("cache.key")).ok() {
        copy_new(state, SHARED.path());
    }
}

/// Copies what is not there yet; each file appears as a whole.
fn copy_new(from: &Path, to: &Path) {
    let _ = DirBuilder::new().mode(0o700).create(to.join("cache"));
    let single = ["cache.key", PROGRAM].map(PathBuf::from).into_iter().filter(|name| from.join(name).exists());
    let entries = fs::read_dir(from.join("cache")).into_iter().flatten().flatten();
    let entries = entries.map(|entry| Path::new("cache").join(entry.file_name()));
    for name in single.chain(entries).filter(|name| !to.join(name).exists()) {
        let unfinished =
            tempfile::Builder::new().prefix("unfinished").make_in(to, |path| fs::copy(from.join(&name), path));
        if let Ok(file) = unfinished {
            file.into_temp_path().persist(to.join(&name)).expect("writable");
        }
    }
}
