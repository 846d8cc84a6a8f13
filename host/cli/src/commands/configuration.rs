//! Finding and reading what a command works on: configuration, ceiling, state directory.

use std::path::{Path, PathBuf};

use raito_config::{Configuration, Holds, read_ceiling, read_configuration};
use raito_core::digest::Digest;
use raito_core::grant::Ceiling;

use crate::args::Global;
use crate::codes;
use crate::env;
use crate::error::CliError;
use crate::files::{self, Writers};
use crate::state_dir::{StateDir, is_private};

/// The configuration that is looked for.
const FILE: &str = "raito.yml";
/// The ceiling that holds where no other is named.
const CEILING: &str = "/etc/raito/ceiling.yml";

/// A configuration that was read.
pub(super) struct Loaded {
    pub(super) configuration: Configuration,
    pub(super) digest: Digest,
    /// From where its paths are seen.
    pub(super) base: PathBuf,
}

/// The file to read: the named one, or the first that is there.
pub(super) fn path(global: &Global) -> Result<PathBuf, CliError> {
    if let Some(path) = &global.config_file {
        return Ok(path.clone());
    }
    let home = env::variable("HOME").map(|home| Path::new(&home).join(".raito").join(FILE));
    let candidates: Vec<PathBuf> = std::iter::once(PathBuf::from(FILE)).chain(home).collect();
    candidates.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        let looked: Vec<String> = candidates.iter().map(|path| files::shown(path)).collect();
        CliError::new(codes::FILE, format!("there is no configuration: looked for {}", looked.join(" and ")))
            .help("write one with `raito init`, or name one with --config-file")
    })
}

/// Reads the configuration. It says which programs give secrets and where secrets go, so one that everybody can change is refused.
pub(super) fn load(global: &Global) -> Result<Loaded, CliError> {
    let path = path(global)?;
    let (text, writers) = files::read_text_with_writers(&path)?;
    if writers == Writers::Everybody {
        let error = CliError::new(codes::FILE, format!("{} can be changed by everybody", files::shown(&path)));
        return Err(error.help(format!("chmod o-w {}", files::shown(&path))));
    }
    if let Some(who) = writers.others() {
        tracing::warn!("{who} can change {}, which says where secrets come from and go", files::shown(&path));
    }
    let configuration = read_configuration(&text, &env::variable)
        .map_err(|mistakes| CliError::mistakes(files::shown(&path), &text, Holds::Sources, mistakes))?;
    Ok(Loaded { configuration, digest: Digest::of(text.as_bytes()), base: folder(&path) })
}

/// The folder that a file stands in.
pub(super) fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Reads the ceiling: the named one, or the machine's where there is one. Whoever may change it must be the operator, so
/// one that its group or others can write is refused. Its owner may be any user: operators have accounts of their own.
pub(super) fn ceiling(global: &Global) -> Result<(Ceiling, Option<Digest>), CliError> {
    let path = match &global.ceiling {
        Some(path) => path.clone(),
        None if Path::new(CEILING).exists() => PathBuf::from(CEILING),
        None => return Ok((Ceiling::default(), None)),
    };
    let (text, writers) = files::read_text_with_writers(&path)?;
    if matches!(writers, Writers::Group | Writers::Everybody) {
        let error =
            CliError::new(codes::CEILING, format!("{} can be changed by others than its owner", files::shown(&path)));
        return Err(error.help(format!("chmod go-w {}", files::shown(&path))));
    }
    let ceiling = read_ceiling(&text)
        .map_err(|mistakes| CliError::mistakes(files::shown(&path), &text, Holds::Sources, mistakes))?;
    Ok((ceiling, Some(Digest::of(text.as_bytes()))))
}

/// The state directory: the named one, or the one beside the configuration.
pub(super) fn state(global: &Global, base: &Path) -> Result<StateDir, CliError> {
    let path = global.state_dir.clone().unwrap_or_else(|| base.join(".raito"));
    StateDir::open(&path)
}

/// The path of the state directory, for commands that only look: nothing is made. A directory that
/// is not this user's alone, such as one that came with somebody else's files, is not looked into.
pub(super) fn state_path(global: &Global) -> Option<PathBuf> {
    let path = match &global.state_dir {
        Some(path) => Some(path.clone()),
        None => path(global).ok().map(|path| folder(&path).join(".raito")),
    };
    path.filter(|path| is_private(path))
}

/// The state directory for commands that need no configuration.
pub(super) fn state_alone(global: &Global) -> Result<StateDir, CliError> {
    let base = match (&global.state_dir, path(global)) {
        (Some(_), _) => PathBuf::from("."),
        (None, Ok(path)) => folder(&path),
        (None, Err(error)) => return Err(error),
    };
    state(global, &base)
}
