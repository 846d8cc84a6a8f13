//! The keys of a log: made with it, in its folder, readable by its owner only.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::log::{OpenError, io_error};

/// A secret of 32 bytes.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// The key in a file; a random one where there is no such file.
pub(crate) fn key(folder: &Path, name: &str) -> Result<Key, OpenError> {
    let path = folder.join(name);
    match raito_file::open(&path) {
        Ok(file) => {
            let about = file.metadata().map_err(io_error("look at", &path))?;
            if about.uid() != rustix::process::geteuid().as_raw() {
                return Err(OpenError::KeyOwner(path));
            }
            if about.mode() & 0o077 != 0 {
                return Err(OpenError::KeyMode(path));
            }
            let mut bytes = Zeroizing::new(Vec::with_capacity(64));
            file.take(33).read_to_end(&mut bytes).map_err(io_error("read", &path))?;
            let key: &[u8; 32] = bytes.as_slice().try_into().map_err(|_| OpenError::NoKey(path))?;
            Ok(Zeroizing::new(*key))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = Zeroizing::new([0; 32]);
            getrandom::fill(key.as_mut_slice()).map_err(|error| OpenError::Io {
                what: "find random numbers for",
                path: path.clone(),
                error: io::Error::other(error.to_string()),
            })?;
            replace(folder, name, key.as_slice()).map_err(io_error("make", &path))?;
            Ok(key)
        }
        Err(error) => Err(OpenError::Io { what: "read", path, error }),
    }
}

/// Puts a file of these bytes in place of what is there, so that there is always a whole one.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let new = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&new, folder.join(name))
}
