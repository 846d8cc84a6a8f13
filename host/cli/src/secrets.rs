//! Fetching secrets from where a configuration says they are.

mod keyring;

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use raito_broker::Material;
use raito_config::is_variable;
use raito_core::grant::{Grant, SecretSource, Target, WRITE_PASSWORD};
use raito_core::limits;
use raito_core::secret::Secret;
use raito_core::text::escape;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::codes;
use crate::env;
use crate::error::CliError;
use crate::files;
use crate::leaks;
use crate::memory;

/// Fetches everything that the grants of a target name: secrets, and files with certificates. Paths are seen from `base`.
/// From then on nothing that leaves the process holds one of the secrets. What only changes need is left where it is, unless this
/// command `sends` any: a job that plans then needs no secret that could change something.
pub(crate) async fn material(target: &Target, base: &Path, sends: bool) -> Result<Material, CliError> {
    let mut material = Material { watch: Arc::clone(leaks::watch()), ..Material::default() };
    for (slot, grant) in &target.grants {
        for (name, source) in grant.sources().into_iter().filter(|(name, _)| sends || name != WRITE_PASSWORD) {
            let place = format!("grants.{slot}.{name}");
            let secret = fetch(source, base).await.map_err(|error| error.at(&place))?;
            let weakness = weakness(grant, &secret);
            if let Some(weakness) = &weakness {
                tracing::warn!("target {}: {place}: {weakness}", target.name);
            }
            if !matches!(weakness, Some(Weakness::Name)) {
                leaks::watch().add(&format!("{} {place}", target.name), &secret);
            }
            material.secrets.insert((slot.clone(), name), secret);
        }
        for (name, file) in grant.files() {
            let bytes = files::read(&base.join(file), limits::CONFIG_BYTES, codes::FILE);
            let bytes = bytes.map_err(|error| error.at(format!("grants.{slot}.{name}")))?;
            material.files.insert((slot.clone(), name), bytes);
        }
    }
    Ok(material)
}

/// Why a secret protects less than it should.
pub(crate) enum Weakness {
    /// It is too short to be found inside of other text.
    Short,
    /// It is a name that stands in the configuration.
    Name,
}

impl fmt::Display for Weakness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(
                out,
                "the secret has fewer than {} bytes: answers and messages are searched for it only as a whole value",
                limits::SHORT_SECRET_BYTES
            ),
            Self::Name => out.write_str(
                "the secret is the name of the login or of a database: it stands in ordinary answers, which are not searched for it",
            ),
        }
    }
}

/// Why a secret of a grant protects less than it should, where it does.
pub(crate) fn weakness(grant: &Grant, secret: &Secret) -> Option<Weakness> {
    if let Grant::Sql(grant) = grant {
        let logins = std::iter::once(&grant.read).chain(&grant.write).map(|login| &login.user);
        if logins.chain(&grant.databases).any(|name| secret.is_known_as(name)) {
            return Some(Weakness::Name);
        }
    }
    secret.is_short().then_some(Weakness::Short)
}

/// A secret that is there without asking anybody: for looking at it, not for using it.
pub(crate) fn at_hand(source: &SecretSource, base: &Path) -> Option<Secret> {
    memory::keep_to_itself().ok()?;
    let text = match source {
        SecretSource::Env(name) => env::variable(name)?,
        SecretSource::File(path) => from_file(&base.join(path)).ok()?,
        SecretSource::Command(_) | SecretSource::Keyring { .. } => return None,
    };
    Secret::new(text).ok()
}

/// Fetches one secret.
pub(crate) async fn fetch(source: &SecretSource, base: &Path) -> Result<Secret, CliError> {
    memory::keep_to_itself()?;
    let text = match source {
        SecretSource::Env(name) => env::variable(name).ok_or_else(|| unset(name))?,
        SecretSource::File(path) => from_file(&base.join(path))?,
        SecretSource::Command(words) => from_command(words, base).await?,
        SecretSource::Keyring { service, account } => keyring::fetch(service, account).await?,
    };
    Secret::new(text)
        .map_err(|error| CliError::new(codes::SECRET, format!("the secret from {source} is none: {error}")))
}

/// The variable that a secret should be in is not set. A name that is not written as such names are
/// may be the secret itself, in the wrong place.
fn unset(name: &str) -> CliError {
    if is_variable(name) {
        return CliError::new(codes::SECRET, format!("the environment variable {name} is not set"));
    }
    CliError::new(codes::SECRET, "the environment variable that `env:` names is not set")
        .help("`env:` takes the name of the variable that holds the secret, such as SHOP_PASSWORD, and not the secret")
}

/// Bytes that a secret is read into: more than it may have, because memory that grows leaves copies behind.
const READ_BYTES: usize = limits::SECRET_BYTES + 64;

/// Reads a file that nobody but its owner can read; the check is made on the open file.
fn from_file(path: &Path) -> Result<String, CliError> {
    let cannot = |error: std::io::Error| {
        CliError::new(codes::SECRET, format!("cannot read {}: {}", files::shown(path), files::reason(&error)))
    };
    let file = raito_file::open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&about.uid()) {
        let message =
            format!("{} belongs to another user (uid {}), who can read and change it", files::shown(path), about.uid());
        return Err(CliError::new(codes::SECRET, message).help("keep the secret in a file of your own, with mode 600"));
    }
    if about.mode() & 0o077 != 0 {
        let message = format!("{} can be read by others", files::shown(path));
        return Err(CliError::new(codes::SECRET, message).help(format!("chmod 600 {}", files::shown(path))));
    }
    let mut text = Zeroizing::new(String::with_capacity(READ_BYTES));
    file.take(limits::SECRET_BYTES as u64 + 2).read_to_string(&mut text).map_err(cannot)?;
    Ok(std::mem::take(&mut *text))
}

/// Runs a program and takes what it prints. Its error output goes to the terminal, where it may ask for something.
async fn from_command(words: &[String], base: &Path) -> Result<String, CliError> {
    let program = words.first().map_or("", String::as_str);
    let failed = |reason: String| CliError::new(codes::SECRET, format!("the command {} {reason}", escape(program)));
    let path: PathBuf = if program.contains('/') { base.join(program) } else { program.into() };
    let mut child = Command::new(path)
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {}", files::reason(&error))))?;
    let mut output = Zeroizing::new(Vec::with_capacity(READ_BYTES));
    let stdout = child.stdout.take().ok_or_else(|| failed("has no output".into()))?;
    let run = async {
        stdout.take(limits::SECRET_BYTES as u64 + 2).read_to_end(&mut output).await?;
        child.wait().await
    };
    let status = timeout(limits::SECRET_COMMAND, run)
        .await
        .map_err(|_| failed(format!("takes longer than {} s", limits::SECRET_COMMAND.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    let text = std::str::from_utf8(&output).map_err(|_| failed("prints what is not UTF-8".into()))?;
    Ok(text.to_owned())
}
