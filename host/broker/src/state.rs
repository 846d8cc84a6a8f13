//! What a connector remembers between runs.
//!
//! A run changes a copy. When the upload of a step is about to be confirmed, the copy is written beside the file together
//! with the upload's name; when the cloud confirmed it, the copy takes the file's place. A crash in between leaves both,
//! and the next run asks the cloud which one holds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use raito_core::exchange::UploadId;
use raito_core::fault::Fault;
use raito_core::limits;
use serde::{Deserialize, Serialize};

/// Bytes of the file: what the state may have, in base64, and room for its keys as JSON writes
/// them.
const FILE_BYTES: usize = 2 * limits::STATE_BYTES;

/// The state as a file holds it: values in base64.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upload: Option<UploadId>,
    values: BTreeMap<String, String>,
}

struct Inner {
    values: BTreeMap<String, Vec<u8>>,
    changed: BTreeMap<String, Vec<u8>>,
    unsettled: Option<UploadId>,
}

/// The state of one target's connector.
pub struct StateFile {
    path: PathBuf,
    inner: Mutex<Inner>,
}

impl StateFile {
    /// Reads the state of a target; empty where there is none.
    ///
    /// # Errors
    /// Where a file is there and cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let stored = read(path)?.unwrap_or_default();
        let unsettled = read(&staged(path))?.and_then(|stored| stored.upload);
        let values = decode(&stored)?;
        Ok(Self { path: path.to_path_buf(), inner: Mutex::new(Inner { values, changed: BTreeMap::new(), unsettled }) })
    }

    fn locked<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.locked(|inner| inner.values.get(key).cloned())
    }

    pub(crate) fn set(&self, key: String, value: Vec<u8>) -> Result<(), Fault> {
        let over = |what: &str, max: usize| Err(Fault::denied(format!("the state's {what} are bounded by {max}")));
        if key.is_empty() || key.len() > limits::NAME_BYTES {
            return over("key bytes", limits::NAME_BYTES);
        }
        if value.len() > limits::STATE_VALUE_BYTES {
            return over("value bytes", limits::STATE_VALUE_BYTES);
        }
        self.locked(|inner| {
            let mut all = inner.values.clone();
            all.extend(inner.changed.clone());
            all.insert(key.clone(), value.clone());
            if all.len() > limits::STATE_KEYS {
                return over("keys", limits::STATE_KEYS);
            }
            if all.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() > limits::STATE_BYTES {
                return over("bytes", limits::STATE_BYTES);
            }
            inner.changed.insert(key, value);
            Ok(())
        })
    }

    /// Forgets what a step left that did not complete.
    pub(crate) fn forget_changes(&self) {
        self.locked(|inner| inner.changed.clear());
    }

    pub(crate) fn unsettled(&self) -> Option<UploadId> {
        self.locked(|inner| inner.unsettled.clone())
    }

    /// Writes the changed state beside the file, with the upload that it depends on. Nothing is written where nothing
    /// changed.
    pub(crate) fn stage(&self, upload: &UploadId) -> io::Result<()> {
        self.locked(|inner| {
            if inner.changed.is_empty() {
                return Ok(());
            }
            let mut values = inner.values.clone();
            values.extend(inner.changed.clone());
            let values = values.iter().map(|(key, value)| (key.clone(), STANDARD.encode(value))).collect();
            write(&staged(&self.path), &Stored { upload: Some(upload.clone()), values })?;
            inner.unsettled = Some(upload.clone());
            Ok(())
        })
    }

    /// Takes the state that was written beside the file, or throws it away.
    pub(crate) fn settle(&self, accepted: bool) -> io::Result<()> {
        self.locked(|inner| {
            if inner.unsettled.take().is_none() {
                return Ok(());
            }
            inner.changed.clear();
            if !accepted {
                return fs::remove_file(staged(&self.path));
            }
            fs::rename(staged(&self.path), &self.path)?;
            inner.values = decode(&read(&self.path)?.unwrap_or_default())?;
            Ok(())
        })
    }
}

fn staged(path: &Path) -> PathBuf {
    path.with_extension("staged.json")
}

fn read(path: &Path) -> io::Result<Option<Stored>> {
    let Some(bytes) = raito_file::read_if_there(path, FILE_BYTES)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} is no state of a connector: {error}", path.display()))
    })
}

fn decode(stored: &Stored) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let value = |(key, text): (&String, &String)| {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a state's value is no base64"))?;
        Ok((key.clone(), bytes))
    };
    stored.values.iter().map(value).collect()
}

/// Writes a new file and puts it into its place.
fn write(path: &Path, stored: &Stored) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(stored)?)?;
    file.sync_data()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use raito_core::step::Step;
    use raito_core::text::RunId;

    use super::*;

    fn upload() -> UploadId {
        UploadId { run: RunId::new("01890000-0000-7000-8000-000000000000").expect("a UUID"), step: Step::DataUsage }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("raito-state-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn what_was_left_holds_only_when_the_upload_was_accepted() {
        let path = folder("accepted").join("shop.json");
        let state = StateFile::open(&path).expect("empty");
        state.set("since".into(), b"1".to_vec()).expect("small");
        assert_eq!(state.get("since"), None, "it holds from the next run on");
        state.stage(&upload()).expect("written");
        let crashed = StateFile::open(&path).expect("after a crash");
        assert_eq!((crashed.get("since"), crashed.unsettled()), (None, Some(upload())));
        crashed.settle(true).expect("taken");
        assert_eq!(StateFile::open(&path).expect("again").get("since"), Some(b"1".to_vec()));
        fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
    }

    #[test]
    fn what_was_left_goes_with_a_refused_upload() {
        let path = folder("refused").join("shop.json");
        let state = StateFile::open(&path).expect("empty");
        state.set("since".into(), b"1".to_vec()).expect("small");
        state.stage(&upload()).expect("written");
        state.settle(false).expect("thrown away");
        let next = StateFile::open(&path).expect("again");
        assert_eq!((next.get("since"), next.unsettled()), (None, None));
        fs::remove_dir_all(path.parent().expect("a folder")).expect("removed");
    }

    #[test]
    fn the_state_is_bounded() {
        let state = StateFile::open(&folder("bounds").join("x.json")).expect("empty");
        assert!(state.set("k".into(), vec![0; limits::STATE_VALUE_BYTES + 1]).is_err());
        for key in 0..limits::STATE_KEYS {
            state.set(format!("k{key}"), vec![]).expect("within the bound");
        }
        assert!(state.set("one-more".into(), vec![]).is_err());
    }
}
