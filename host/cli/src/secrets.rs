//! Fetching secrets from where a configuration says they are.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use raito_broker::Material;
use raito_core::grant::{Grant, SecretSource, Target};
use raito_core::limits;
use raito_core::manifest::SlotName;
use raito_core::secret::Secret;
use raito_core::text::escape;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::codes;
use crate::env;
use crate::error::CliError;
use crate::files;

/// Fetches everything that the grants of a target name: secrets, and files of authorities. Paths are seen from `base`.
pub(crate) async fn material(target: &Target, base: &Path) -> Result<Material, CliError> {
    let mut material = Material::default();
    for (slot, grant) in &target.grants {
        let mut wanted: Vec<(String, &SecretSource)> = Vec::new();
        let ca = match grant {
            Grant::Http(grant) => {
                wanted.extend(grant.secrets.iter().map(|(name, source)| (name.to_string(), source)));
                &grant.ca
            }
            Grant::Sql(grant) => {
                wanted.extend(grant.read.password.iter().map(|source| ("password".to_owned(), source)));
                let write = grant.write.iter().filter_map(|login| login.password.as_ref());
                wanted.extend(write.map(|source| ("write-password".to_owned(), source)));
                &grant.ca
            }
        };
        for (name, source) in wanted {
            let secret = fetch(source, base).await.map_err(|error| error.at(format!("grants.{slot}.{name}")))?;
            material.secrets.insert((slot.clone(), name), secret);
        }
        if let Some(ca) = ca {
            material.authorities.insert(slot.clone(), authorities(slot, &base.join(ca))?);
        }
    }
    Ok(material)
}

fn authorities(slot: &SlotName, path: &Path) -> Result<Vec<u8>, CliError> {
    files::read(path, limits::CONFIG_BYTES, codes::FILE).map_err(|error| error.at(format!("grants.{slot}.ca")))
}

/// Fetches one secret.
pub(crate) async fn fetch(source: &SecretSource, base: &Path) -> Result<Secret, CliError> {
    let text = match source {
        SecretSource::Env(name) => env::variable(name).ok_or_else(|| {
            CliError::new(codes::SECRET, format!("the environment variable {} is not set", escape(name)))
        })?,
        SecretSource::File(path) => from_file(&base.join(path))?,
        SecretSource::Command(words) => from_command(words, base).await?,
    };
    Secret::new(text)
        .map_err(|error| CliError::new(codes::SECRET, format!("the secret from {source} is none: {error}")))
}

/// Reads a file that nobody but its owner can read; the check is made on the open file.
fn from_file(path: &Path) -> Result<String, CliError> {
    let cannot = |error: std::io::Error| {
        CliError::new(codes::SECRET, format!("cannot read {}: {}", files::shown(path), files::reason(&error)))
    };
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.mode();
    if mode & 0o077 != 0 {
        let message = format!("{} can be read by others", files::shown(path));
        return Err(CliError::new(codes::SECRET, message).help(format!("chmod 600 {}", files::shown(path))));
    }
    let mut text = String::new();
    file.take(limits::SECRET_BYTES as u64 + 2).read_to_string(&mut text).map_err(cannot)?;
    Ok(text)
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
    let mut output = Vec::new();
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
    String::from_utf8(output).map_err(|_| failed("prints what is not UTF-8".into()))
}
