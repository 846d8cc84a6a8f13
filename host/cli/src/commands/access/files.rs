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
        find(&path, 0, true, &mut found)?;
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
    let starts: Vec<PathBuf> = usual(global, paths).into_iter().filter(|path| path.exists()).collect();
    if starts.is_empty() {
        let message = format!("there is neither {FILE} nor {FOLDER}/ in {}", files::shown(&base(global).join(".")));
        return Err(
            CliError::new(codes::FILE, message).help("name files or folders, or begin with `raito access import`")
        );
    }
    Ok(starts)
}

/// Gathers the files of a path: itself, or what a folder holds, at any depth. Links are not followed below a folder.
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
    let is_code = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    if named || (is_code && kind.is_file()) {
        found.push(path.strip_prefix("./").unwrap_or(path).to_path_buf());
    }
    if found.len() > limits::ACCESS_FILES {
        return Err(CliError::new(codes::FILE, format!("there are more than {} files", limits::ACCESS_FILES)));
    }
    Ok(())
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
