//! What was read of a target last, kept for editors. Most reads find what the one before them found: then the file stays, and is
//! only as new as the last read. Only who may write in the state directory could have changed it meanwhile, and its length tells
//! where a write broke off.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::SystemTime;

use raito_access::export::snapshot;
use raito_core::catalogue::Catalogue;
use raito_core::digest::{Digest, Hasher};
use raito_core::upload::Line;

use crate::codes;
use crate::error::CliError;
use crate::files;
use crate::leaks::redact;

/// Bytes of what stands beside a read: a digest and a length.
const VERSION_BYTES: usize = 128;

/// Keeps what was read. `digests` are those of objects and access controls.
///
/// # Errors
/// Where the file cannot be written; what was there before it stays.
pub(super) fn keep(path: &Path, catalogue: &Catalogue, digests: [Option<Digest>; 2]) -> Result<(), CliError> {
    let digest = digest(catalogue, digests);
    let beside = path.with_extension("sha256");
    let told = files::read(&beside, VERSION_BYTES, codes::STATE).ok();
    if let (Some(told), Ok(length)) = (told, length(path))
        && told == version(digest, length).into_bytes()
        && renew(path).is_ok()
    {
        return Ok(());
    }
    // From here on nothing says what the file holds, until it is whole.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let shown = files::shown(&beside);
            return Err(CliError::new(codes::STATE, format!("cannot remove {shown}: {}", files::reason(&error))));
        }
        _ => {}
    }
    files::replace_state_with(path, |file| snapshot(catalogue, |line| writeln!(file, "{}", redact(line))))?;
    match length(path) {
        Ok(length) => files::replace_state(&beside, version(digest, length).as_bytes()),
        Err(_) => Ok(()),
    }
}

/// The digest of all that was read. People are digested here, since what is on record of them may leave something out.
fn digest(catalogue: &Catalogue, digests: [Option<Digest>; 2]) -> Digest {
    let mut hasher = Hasher::default();
    digests.iter().for_each(|digest| {
        hasher.optional(digest.as_ref().map(Digest::as_bytes));
    });
    let mut text = Vec::new();
    let users = catalogue.users.iter().cloned().map(Line::User);
    let groups = catalogue.groups.iter().cloned().map(Line::Group);
    let memberships = catalogue.memberships.iter().cloned().map(Line::Membership);
    for line in users.chain(groups).chain(memberships) {
        text.clear();
        line.write(&mut text);
        hasher.field(&text);
    }
    hasher.finish()
}

fn version(digest: Digest, length: u64) -> String {
    format!("{digest} {length}\n")
}

fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|found| found.len())
}

/// Says that the file is as new as a read that found the same.
fn renew(path: &Path) -> io::Result<()> {
    File::options().append(true).open(path)?.set_modified(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use raito_access::export::read_snapshot;
    use serde_json::json;

    use super::*;

    /// A catalogue with a user of this name.
    fn catalogue(user: &str) -> Catalogue {
        let user = json!({ "external-id": "1", "user-name": user, "display-name": "", "email": null, "enabled": true, "machine": false });
        let description = json!({
            "name": "shop", "instance-id": "1", "kinds": [], "controls": [], "specials": [], "inheritance": true, "masks": [],
            "filters-apply-to": [], "mask-overrides": [], "filter-overrides": [], "name-pattern": "", "name-bytes-max": 63,
            "reserved-prefixes": [], "sql-dialect": null,
        });
        let end = json!({ "lines": 2, "complete": true });
        let lines = [json!({ "user": user }), json!({ "description": description }), json!({ "end": end })];
        let lines = lines.map(|line| line.to_string());
        read_snapshot(&lines.join("\n")).expect("a snapshot")
    }

    #[test]
    fn a_read_that_found_the_same_only_renews_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shop.jsonl");
        let found = || {
            let found = fs::metadata(&path).expect("there");
            (found.ino(), found.modified().expect("a time"))
        };
        let both = |text: &str| [Some(Digest::of(text.as_bytes())), None];
        let ann = catalogue("ann");
        keep(&path, &ann, both("one")).expect("writable");
        File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH))
            .expect("ours");
        let (first, _) = found();
        let (mut last, mut time) = (first, SystemTime::UNIX_EPOCH);
        let mut again = |catalogue: &Catalogue, digests, is_kept: bool, why: &str| {
            keep(&path, catalogue, digests).expect("writable");
            let (now, modified) = found();
            assert_eq!(now == last, is_kept, "{why}");
            assert!(modified > time, "{why}");
            assert_eq!(
                read_snapshot(&fs::read_to_string(&path).expect("there")).map(|read| read.users),
                Ok(catalogue.users.clone())
            );
            (last, time) = (now, SystemTime::UNIX_EPOCH);
        };
        again(&ann, both("one"), true, "the same");
        again(&ann, both("two"), false, "other access controls");
        again(&catalogue("bob"), both("two"), false, "another user, whose name may not be on record");
        again(&catalogue("bob"), both("two"), true, "the same");
        fs::write(path.with_extension("sha256"), "").expect("ours");
        again(&catalogue("bob"), both("two"), false, "nothing says what the file holds");
        fs::write(&path, "{").expect("ours");
        again(&catalogue("bob"), both("two"), false, "somebody wrote into it");
    }
}
