//! Finding and reading files of access code.

use std::fs;
use std::path::{Path, PathBuf};

use raito_access::code::{Code, FileMistakes, Source, read_code, read_originals};
use raito_access::finding::{Finding, Level};
use raito_core::limits;
use raito_core::text::TargetName;

use crate::args::Global;
use crate::args::access::{Files, Format, Paths};
use crate::codes;
use crate::commands::configuration;
use crate::error::CliError;
use crate::files;

/// The folder and the file that are looked for.
const FOLDER: &str = "access";
const FILE: &str = "access.yml";

/// All files, in the order of their paths, each with its text.
pub(super) fn sources(global: &Global, paths: &Paths) -> Result<Vec<(PathBuf, Source)>, CliError> {
    let found = self::paths(global, paths)?;
    let mut sources = Vec::with_capacity(found.len());
    let mut bytes = 0_usize;
    for path in found {
        let text = files::read_text(&path)?;
        bytes += text.len();
        if bytes > limits::ACCESS_BYTES {
            let message = format!("the files have more than {} bytes together", limits::ACCESS_BYTES);
            return Err(CliError::new(codes::FILE, message));
        }
        sources.push((path.clone(), Source { path: files::shown(&path), text }));
    }
    Ok(sources)
}

/// The paths of all files, in their order.
pub(super) fn paths(global: &Global, paths: &Paths) -> Result<Vec<PathBuf>, CliError> {
    let mut found = Vec::new();
    for path in starts(global, paths)? {
        let before = found.len();
        find(&path, 0, true, &mut found)?;
        // A mistyped name must not pass for files without mistakes.
        if found.len() == before && paths.paths.contains(&path) {
            let message = format!("there is no file of access code in {}", files::shown(&path));
            return Err(CliError::new(codes::FILE, message).help("name a folder with *.yml or *.yaml, or a file"));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The named paths, or those beside the configuration where files are looked for, whether there are any or not.
pub(super) fn usual(global: &Global, paths: &Paths) -> Vec<PathBuf> {
    if !paths.paths.is_empty() {
        return paths.paths.clone();
    }
    let base = base(global);
    [FILE, FOLDER].map(|name| base.join(name)).map(|path| path.strip_prefix("./").unwrap_or(&path).to_path_buf()).into()
}

/// Where the configuration is; where there is none, this folder.
fn base(global: &Global) -> PathBuf {
    configuration::path(global).map(|path| configuration::folder(&path)).unwrap_or_default()
}

/// The named paths, or what stands beside the configuration; where there is none, in this folder.
fn starts(global: &Global, paths: &Paths) -> Result<Vec<PathBuf>, CliError> {
    if !paths.paths.is_empty() {
        return Ok(paths.paths.clone());
    }
    let starts: Vec<PathBuf> =
        usual(global, paths).into_iter().filter(|path| path.symlink_metadata().is_ok()).collect();
    if starts.is_empty() {
        let message = format!("there is neither {FILE} nor {FOLDER}/ in {}", files::shown(&base(global).join(".")));
        return Err(
            CliError::new(codes::FILE, message).help("name files or folders, or begin with `raito access import`")
        );
    }
    Ok(starts)
}

/// Gathers the files of a path: itself, or what a folder holds, at any depth. What a folder holds is read or refused: what a
/// file says is taken away at the target once the file is not read any more. Only what is no code by its name is left out.
fn find(path: &Path, depth: usize, named: bool, found: &mut Vec<PathBuf>) -> Result<(), CliError> {
    let cannot = |error: std::io::Error| {
        CliError::new(codes::FILE, format!("cannot read {}: {}", files::shown(path), files::reason(&error)))
    };
    let kind = if named { fs::metadata(path) } else { fs::symlink_metadata(path) }.map_err(cannot)?;
    if kind.is_dir() {
        if depth > limits::ACCESS_DEPTH {
            let message = format!("{} is more than {} folders deep", files::shown(path), limits::ACCESS_DEPTH);
            return Err(CliError::new(codes::FILE, message));
        }
        for entry in fs::read_dir(path).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            if !entry.file_name().to_string_lossy().starts_with('.') {
                find(&entry.path(), depth + 1, false, found)?;
            }
        }
        return Ok(());
    }
    if named || is_code(path, kind.file_type())? {
        found.push(path.strip_prefix("./").unwrap_or(path).to_path_buf());
    }
    if found.len() > limits::ACCESS_FILES {
        return Err(CliError::new(codes::FILE, format!("there are more than {} files", limits::ACCESS_FILES)));
    }
    Ok(())
}

/// Whether something in a folder is a file of access code. A link is refused whatever its name is, since it may lead to a
/// folder of them.
fn is_code(path: &Path, kind: fs::FileType) -> Result<bool, CliError> {
    let refused = |what: &str, help: &str| {
        let error = CliError::new(codes::FILE, format!("{} {what}", files::shown(path)));
        Err(error.help(format!("{help}; names that begin with a dot are left out")))
    };
    if kind.is_symlink() {
        return refused(
            "is a link; links are not followed",
            "put the file there itself, or name it on the command line",
        );
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let lower = ending.to_ascii_lowercase();
    if lower != "yml" && lower != "yaml" {
        return Ok(false);
    }
    if !kind.is_file() {
        return refused("is no file", "take it away");
    }
    if ending != lower {
        return refused("does not end in .yml or .yaml, which are written small", "rename it");
    }
    Ok(true)
}

/// The files, read; or what is wrong with them.
pub(super) struct Read {
    /// Where each file stands.
    pub(super) paths: Vec<PathBuf>,
    pub(super) sources: Vec<Source>,
    pub(super) code: Result<Code, Vec<FileMistakes>>,
}

/// Finds and reads all files.
pub(super) fn read(global: &Global, files: &Files) -> Result<Read, CliError> {
    let (paths, sources): (Vec<PathBuf>, Vec<Source>) = sources(global, &files.paths)?.into_iter().unzip();
    let code = match files.format {
        Format::Access => read_code(&sources),
        Format::Raito => {
            let targets = configuration::load(global)?.configuration.targets;
            let names: Vec<TargetName> = targets.into_iter().map(|target| target.name).collect();
            read_originals(&sources, &names)
        }
    };
    Ok(Read { paths, sources, code })
}

/// Mistakes as findings.
pub(super) fn findings(sources: &[Source], wrong: &[FileMistakes]) -> Vec<Finding> {
    let of = |file: &FileMistakes| {
        let path = sources.get(file.file).map_or_else(String::new, |source| source.path.clone());
        let finding = move |mistake: &raito_config::Mistake| Finding {
            path: path.clone(),
            place: mistake.place,
            level: Level::Error,
            rule: "mistake".to_owned(),
            message: mistake.message.clone(),
            help: mistake.help.clone(),
        };
        file.mistakes.iter().map(finding).collect::<Vec<_>>()
    };
    wrong.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn found(folder: &Path) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        find(folder, 0, true, &mut found).map_err(|error| error.message)?;
        found.sort();
        Ok(found.iter().map(|path| path.strip_prefix(folder).expect("within").display().to_string()).collect())
    }

    #[test]
    fn a_folder_is_read_whole_or_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("deep/er")).expect("writable");
        for name in ["a.yml", "deep/er/b.yaml", "README.md", ".hidden.yml", "c.yml.orig", "noending"] {
            fs::write(at(name), "").expect("writable");
        }
        let all = Ok(vec!["a.yml".to_owned(), "deep/er/b.yaml".to_owned()]);
        assert_eq!(found(folder.path()), all);

        type Make = fn(&Path);
        let cases: [(&str, &str, Make); 7] = [
            ("link.yml", "is a link", |path| symlink("a.yml", path).expect("writable")),
            ("dangling.yml", "is a link", |path| symlink("nowhere", path).expect("writable")),
            ("deep/folder", "is a link", |path| symlink("er", path).expect("writable")),
            ("pipe.yml", "is no file", |path| drop(UnixListener::bind(path).expect("writable"))),
            ("c.YML", "written small", |path| fs::write(path, "").expect("writable")),
            ("c.Yaml", "written small", |path| fs::write(path, "").expect("writable")),
            ("deep/er/up.yml", "is a link", |path| symlink("../..", path).expect("writable")),
        ];
        for (name, why, make) in cases {
            make(&at(name));
            let refused = found(folder.path()).expect_err(name);
            assert!(refused.contains(name) && refused.contains(why), "{refused}");
            fs::remove_file(at(name)).expect("ours");
        }
        assert_eq!(found(folder.path()), all);
    }

    #[test]
    fn a_link_that_somebody_names_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("there")).expect("writable");
        fs::write(folder.path().join("there/a.yml"), "").expect("writable");
        symlink("there", folder.path().join("here")).expect("writable");
        assert_eq!(found(&folder.path().join("here")), Ok(vec!["a.yml".to_owned()]));
    }
}
