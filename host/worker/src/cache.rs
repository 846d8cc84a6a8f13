//! Compiled code on the disk, with proof of where it came from, and what was found of components.
//!
//! Compiled code is machine code: whoever can change it runs what he likes. The runtime cannot check it, so each entry carries
//! a code (HMAC-SHA256) under a key that only its owner can read and that lies outside the folder, since folders like this one
//! are what people share between machines. What is checked are the very bytes in memory that are loaded afterwards, and they are
//! loaded in worker processes only. Entries come from processes that compile and never run anything.
//!
//! The cache is for speed: whatever is wrong with it, the component is compiled.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hmac::{Hmac, Mac as _};
use raito_core::digest::Digest;
use raito_core::limits;
use raito_sandbox::{EngineError, Outline, inspection_rules};
use sha2::Sha256;

use crate::code::Code;
use crate::frame::{HEAD, METER, decode, encode};

/// Bytes of the code before an entry's content.
const MAC_BYTES: usize = 32;
/// Bytes of an entry that are read at once.
const PIECE_BYTES: usize = 256 << 10;
/// How the names of entries with code end.
const CODE: &str = "code";
/// How the names of entries with outlines end.
const OUTLINE: &str = "outline";
/// Bytes of an outline: as many names as may be imported and exported, each as long as may be.
const OUTLINE_BYTES: usize = 2 * limits::INTERFACES * (limits::INTERFACE_NAME_BYTES + 8);

/// The cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Its folder or its key.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// What compiled code depends on is unknown.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What is kept of a component, before it is known to be its code.
pub(crate) struct Entry {
    path: PathBuf,
    file: File,
    code_bytes: usize,
    /// The code that stands before the content.
    mac: [u8; MAC_BYTES],
    /// What it must be, up to where the content was read.
    proof: Hmac<Sha256>,
}

impl Entry {
    /// How many bytes of compiled code it has.
    pub(crate) fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// Reads it piece by piece, and says in the end whether the pieces are the code that was kept. They must not be used before.
    /// What `take` gets is what was read, and it is read once. Ends early where `take` says that it wants no more.
    pub(crate) fn prove(mut self, mut take: impl FnMut(Vec<u8>) -> bool) -> bool {
        let mut left = self.code_bytes;
        while left > 0 {
            let mut piece = vec![0; left.min(PIECE_BYTES)];
            if self.file.read_exact(&mut piece).is_err() {
                break;
            }
            left -= piece.len();
            self.proof.update(&piece);
            if !take(piece) {
                return false;
            }
        }
        let proved = left == 0 && self.proof.verify_slice(&self.mac).is_ok();
        if !proved {
            warn_of(&self.path);
        }
        proved
    }
}

fn warn_of(path: &Path) {
    tracing::warn!("{}: not written by this raito, or changed since; compiling again", path.display());
}

/// A folder with compiled code.
pub struct CodeCache {
    folder: PathBuf,
    key: [u8; 32],
    /// What compiled code depends on beside its component.
    compatibility: Digest,
}

impl CodeCache {
    /// Opens the folder and the file with its key, and makes what is not there. A key that others can read is replaced, and with
    /// it every entry.
    ///
    /// # Errors
    /// `CacheError` where that fails.
    pub fn open(folder: &Path, key: &Path) -> Result<Self, CacheError> {
        let named = |path: &Path| {
            let path = path.to_owned();
            move |error| CacheError::File { path, error }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(named(folder))?;
        let key = read_key(key).or_else(|_| new_key(key)).map_err(named(key))?;
        Ok(Self { folder: folder.to_owned(), key, compatibility: raito_sandbox::compatibility()? })
    }

    /// What a component has to do with others, where that was found before by the same rules.
    pub(crate) fn outline(&self, component: Digest) -> Option<Outline> {
        let path = self.path(component, OUTLINE);
        let mut content = Vec::new();
        let most = MAC_BYTES + OUTLINE_BYTES;
        open(&path).ok()?.take(most as u64 + 1).read_to_end(&mut content).ok()?;
        let read = || {
            let (mac, outline) = content.split_at_checked(MAC_BYTES).filter(|_| content.len() <= most)?;
            self.outline_mac(component).chain_update(outline).verify_slice(mac).ok()?;
            decode(outline, METER).ok()
        };
        let outline = read();
        if outline.is_none() {
            tracing::warn!("{}: not written by this raito, or changed since; looking again", path.display());
        }
        outline
    }

    /// Keeps what a component has to do with others.
    pub(crate) fn put_outline(&self, component: Digest, outline: &Outline) {
        let path = self.path(component, OUTLINE);
        let mut frame = Vec::new();
        let written = encode(outline, OUTLINE_BYTES, &mut frame).map_err(io::Error::other);
        let written = written.and_then(|()| {
            let outline = &frame[HEAD..];
            let mac = self.outline_mac(component).chain_update(outline).finalize().into_bytes();
            write(&path, &[&mac, outline])?;
            self.tidy(&path)
        });
        if let Err(error) = written {
            tracing::warn!("{}: what was found of a component is not kept: {error}", path.display());
        }
    }

    fn outline_mac(&self, component: Digest) -> Hmac<Sha256> {
        self.mac(OUTLINE.as_bytes(), component).chain_update(inspection_rules().as_bytes())
    }

    /// The code of a component, where there is an entry that may be it.
    pub(crate) fn entry(&self, component: Digest) -> Option<Entry> {
        let path = self.path(component, CODE);
        let mut file = open(&path).ok()?;
        let mut mac = [0; MAC_BYTES];
        let length = usize::try_from(file.metadata().ok()?.size()).ok()?.checked_sub(MAC_BYTES);
        let length = length.filter(|length| *length <= limits::CODE_BYTES);
        let Some(code_bytes) = length.filter(|_| file.read_exact(&mut mac).is_ok()) else {
            warn_of(&path);
            return None;
        };
        // Which entries go first depends on it, and nothing else.
        let _ = file.set_modified(SystemTime::now());
        Some(Entry { path, file, code_bytes, mac, proof: self.mac(b"entry", component) })
    }

    /// Keeps the code of a component, and throws away what was not used for longest where there is too much.
    pub(crate) fn put(&self, component: Digest, code: &Code) {
        let path = self.path(component, CODE);
        let mac = code.pieces().fold(self.mac(b"entry", component), |mac, piece| mac.chain_update(piece));
        let mac = mac.finalize().into_bytes();
        let parts: Vec<&[u8]> = std::iter::once(mac.as_slice()).chain(code.pieces()).collect();
        if let Err(error) = write(&path, &parts).and_then(|()| self.tidy(&path)) {
            tracing::warn!("{}: compiled code is not kept: {error}", path.display());
        }
    }

    /// The file of an entry. Its name tells nothing, not even which component it is of.
    fn path(&self, component: Digest, ending: &str) -> PathBuf {
        let name = self.mac(b"name", component).finalize().into_bytes();
        self.folder.join(format!("{}.{ending}", hex::encode(name)))
    }

    /// A code over what an entry is and depends on, to which its content can be added.
    fn mac(&self, purpose: &[u8], component: Digest) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        let mac = mac.chain_update([u8::try_from(purpose.len()).unwrap_or(u8::MAX)]).chain_update(purpose);
        // All of one length but the version, which comes with its own.
        let version = env!("CARGO_PKG_VERSION").as_bytes();
        let mac = mac.chain_update(component.as_bytes()).chain_update(self.compatibility.as_bytes());
        mac.chain_update((version.len() as u64).to_be_bytes()).chain_update(version)
    }

    /// Keeps the folder within its bound; `newest` stays in any case.
    fn tidy(&self, newest: &Path) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if about.is_file() {
                entries.push((about.modified()?, about.size(), entry.path()));
            }
        }
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in entries {
            if total <= limits::CODE_CACHE_BYTES {
                break;
            }
            if path != newest {
                fs::remove_file(&path)?;
                total -= size;
            }
        }
        Ok(())
    }
}

/// Opens a file that is no link.
fn open(path: &Path) -> io::Result<File> {
    let no_links = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(no_links.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(file)
}

/// Writes a file that only its owner can read, whole or not at all.
fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    // What somebody put there before would keep its mode.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = parts.iter().try_for_each(|part| file.write_all(part)).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn read_key(path: &Path) -> io::Result<[u8; 32]> {
    let file = open(path)?;
    let about = file.metadata()?;
    if about.mode() & 0o077 != 0 || about.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut key = Vec::new();
    file.take(33).read_to_end(&mut key)?;
    key.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
}

fn new_key(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    write(path, &[&key])?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use bytes::Bytes;

    use super::*;

    impl CodeCache {
        /// The code of a component, where it is there and proved.
        fn get(&self, component: Digest) -> Option<Code> {
            let mut pieces = Vec::new();
            let proved = self.entry(component)?.prove(|piece| {
                pieces.push(Bytes::from(piece));
                true
            });
            proved.then(|| Code::from(pieces))
        }
    }

    fn code(bytes: &'static [u8]) -> Code {
        Bytes::from_static(bytes).into()
    }

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn key(&self) -> PathBuf {
            self.0.path().join("code.key")
        }

        fn open(&self) -> CodeCache {
            CodeCache::open(&self.0.path().join("cache"), &self.key()).expect("opens")
        }
    }

    #[test]
    fn code_is_found_again_by_the_same_key_and_component_only() {
        let place = Place::new();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        place.open().put(one, &code(b"code of one"));
        assert_eq!(place.open().get(one), Some(code(b"code of one")));
        assert!(place.open().get(other).is_none());
        fs::remove_file(place.key()).expect("there is one");
        assert!(place.open().get(one).is_none(), "another key");
    }

    #[test]
    fn an_entry_that_was_changed_moved_or_cut_is_none_and_is_written_again() {
        let place = Place::new();
        let cache = place.open();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let path = cache.path(one, CODE);
        for at in [0, MAC_BYTES, MAC_BYTES + 5] {
            cache.put(one, &code(b"code of one"));
            let mut content = fs::read(&path).expect("readable");
            content[at] ^= 1;
            fs::write(&path, content).expect("writable");
            assert!(cache.get(one).is_none(), "byte {at}");
        }
        cache.put(one, &code(b"code of one"));
        fs::copy(&path, cache.path(other, CODE)).expect("copies");
        assert!(cache.get(other).is_none(), "the code of another component");
        for length in [0, MAC_BYTES - 1, MAC_BYTES, MAC_BYTES + 1] {
            let content = fs::read(&path).expect("readable");
            fs::write(&path, &content[..length]).expect("writable");
            assert!(cache.get(one).is_none(), "{length} bytes");
            cache.put(one, &code(b"code of one"));
        }
        assert!(cache.get(one).is_some());
    }

    #[test]
    fn code_of_another_build_or_machine_is_none() {
        let place = Place::new();
        let cache = place.open();
        let one = Digest::of(b"one");
        cache.put(one, &code(b"code"));
        let elsewhere = CodeCache { compatibility: Digest::of(b"another processor"), ..place.open() };
        fs::copy(cache.path(one, CODE), elsewhere.path(one, CODE)).expect("copies");
        assert!(elsewhere.get(one).is_none());
    }

    #[test]
    fn an_outline_is_found_again_unless_it_was_changed_cut_or_is_of_another_component() {
        let place = Place::new();
        let cache = place.open();
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let outline =
            Outline { imports: vec!["x".repeat(limits::INTERFACE_NAME_BYTES); limits::INTERFACES], exports: vec![] };
        cache.put_outline(one, &outline);
        cache.put(one, &code(b"code of one"));
        assert_eq!(place.open().outline(one), Some(outline));
        assert_eq!(place.open().outline(other), None);
        let path = cache.path(one, OUTLINE);
        let content = fs::read(&path).expect("readable");
        for at in [0, MAC_BYTES, content.len() - 1] {
            let mut changed = content.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).expect("writable");
            assert_eq!(cache.outline(one), None, "byte {at}");
        }
        for length in [0, MAC_BYTES, content.len() - 1] {
            fs::write(&path, &content[..length]).expect("writable");
            assert_eq!(cache.outline(one), None, "{length} bytes");
        }
        fs::write(cache.path(other, OUTLINE), &content).expect("writable");
        assert_eq!(cache.outline(other), None, "that of another component");
        fs::copy(cache.path(one, CODE), &path).expect("copies");
        assert_eq!(cache.outline(one), None, "code is no outline");
    }

    #[test]
    fn a_link_is_not_followed() {
        let place = Place::new();
        let cache = place.open();
        let one = Digest::of(b"one");
        cache.put(one, &code(b"code"));
        let elsewhere = place.0.path().join("elsewhere");
        fs::rename(cache.path(one, CODE), &elsewhere).expect("moves");
        std::os::unix::fs::symlink(&elsewhere, cache.path(one, CODE)).expect("links");
        assert!(cache.get(one).is_none());
    }

    #[test]
    fn a_key_that_others_can_read_is_replaced() {
        let place = Place::new();
        let one = Digest::of(b"one");
        place.open().put(one, &code(b"code"));
        assert_eq!(fs::metadata(place.key()).expect("there").mode() & 0o777, 0o600);
        fs::set_permissions(place.key(), fs::Permissions::from_mode(0o644)).expect("changes");
        assert!(place.open().get(one).is_none());
        assert_eq!(fs::metadata(place.key()).expect("there").mode() & 0o777, 0o600);
    }

    #[test]
    fn the_folder_stays_within_its_bound() {
        let place = Place::new();
        let cache = place.open();
        let big = limits::CODE_CACHE_BYTES / 2 - 1;
        for name in ["old", "older", "oldest"] {
            let file = File::create(cache.folder.join(name)).expect("makes");
            // Sparse: it takes no room on the disk.
            file.set_len(big).expect("grows");
        }
        let one = Digest::of(b"one");
        cache.put(one, &code(b"code"));
        let kept: u64 = fs::read_dir(&cache.folder)
            .expect("lists")
            .flatten()
            .map(|entry| entry.metadata().expect("there").len())
            .sum();
        assert!(kept <= limits::CODE_CACHE_BYTES, "{kept}");
        assert!(cache.get(one).is_some(), "what was just written stays");
    }
}
