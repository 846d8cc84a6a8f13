//! The head: how far the log went when everything before was on the disk.
//!
//! A chain shows what was changed or taken out in its middle, but not what was cut off at its end. The head stands beside
//! the log and is replaced whenever the log was synced, so cutting off the end needs two files to be changed alike.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use raito_core::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::HEAD_FILE;

/// How far the log went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Head {
    /// The number of the last line.
    pub(crate) seq: u64,
    /// Its digest.
    pub(crate) sha256: Digest,
}

impl Head {
    /// Replaces the head, so that there is always a whole one.
    pub(crate) fn write(self, folder: &Path) -> io::Result<()> {
        let new = folder.join("head.json.new");
        let mut file = fs::File::create(&new)?;
        serde_json::to_writer(&file, &self)?;
        file.write_all(b"\n")?;
        file.sync_data()?;
        fs::rename(&new, folder.join(HEAD_FILE))
    }

    /// Reads the head; none where there is none.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(HEAD_FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
