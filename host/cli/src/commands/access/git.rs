//! Which commit is checked out, for the record. Git itself is not run: the file that names the commit is read.

use std::path::{Path, PathBuf};

use raito_access::code::Source;

/// Bytes of a file of git that are read: a list of packed references can be long.
const BYTES: usize = 16 * 1_024 * 1_024;

/// The commit of the repository in which the first file stands, where there is one.
pub(super) fn commit(sources: &[Source]) -> Option<String> {
    let first = Path::new(&sources.first()?.path).canonicalize().ok()?;
    let git = first.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let git = folder(git)?;
    let head = read(&git.join("HEAD"))?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else { return id(&head) };
    // A work tree has its own HEAD, and shares everything else.
    let shared = read(&git.join("commondir")).map_or(git.clone(), |shared| git.join(shared.trim()));
    let loose = [&git, &shared].into_iter().find_map(|folder| read(&folder.join(reference)));
    loose.and_then(|text| id(&text)).or_else(|| packed(&read(&shared.join("packed-refs"))?, reference))
}

/// The folder of git: a file in its place names another one (gitrepository-layout).
fn folder(git: PathBuf) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git);
    }
    let text = read(&git)?;
    let named = text.trim().strip_prefix("gitdir: ")?;
    Some(git.parent()?.join(named))
}

fn packed(text: &str, reference: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(_, name)| name == reference))?;
    id(line.split_once(' ')?.0)
}

fn id(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id = (text.len() == 40 || text.len() == 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

fn read(path: &Path) -> Option<String> {
    let bytes = crate::files::read(path, BYTES, crate::codes::FILE).ok()?;
    String::from_utf8(bytes).ok()
}
