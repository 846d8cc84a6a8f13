//! Preparing a target: its connector is read once, inspected, decided about, and only then compiled; its secrets are
//! fetched last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use raito_broker::Material;
use raito_core::capability::{Ask, Effective, Refusal, RefusalKind, decide};
use raito_core::event::ConnectorIdentity;
use raito_core::grant::{Ceiling, Target};
use raito_core::limits;
use raito_core::ports::Connector;
use raito_core::text::Ident;
use raito_sandbox::Inspected;

use super::isolation::{InForce, Workplace};
use crate::codes;
use crate::error::CliError;
use crate::files::{self, Writers};
use crate::secrets;

/// A target that can be run.
pub(crate) struct Prepared {
    pub(crate) inspected: Inspected,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) isolation: InForce,
    pub(crate) effective: Effective,
    pub(crate) settings: BTreeMap<Ident, String>,
    pub(crate) identity: ConnectorIdentity,
    pub(crate) material: Material,
}

/// Reads a connector and has it looked into.
pub(crate) async fn load(file: &Path, workplace: &Workplace) -> Result<Inspected, CliError> {
    let bytes = files::read(file, limits::COMPONENT_BYTES, codes::CONNECTOR_FILE)?;
    workplace.inspect(file, bytes).await
}

/// Whoever can change a connector's file gets what its target grants. Where the configuration does not pin the digest, a file
/// that everybody can change is refused, and one that some other user can change is warned of.
fn check_writers(target: &Target, file: &Path, writers: Writers) -> Result<(), CliError> {
    let file = files::shown(file);
    let Some(who) = writers.others().filter(|_| target.connector.sha256.is_none()) else { return Ok(()) };
    if writers == Writers::Everybody {
        let error = CliError::new(codes::CONNECTOR_WRITABLE, format!("{file} can be changed by everybody"));
        return Err(error.help(format!("chmod go-w {file}, or pin the connector's sha256 in the configuration")));
    }
    tracing::warn!("target {}: {who} can change {file}, whose sha256 is not pinned", target.name);
    Ok(())
}

/// Decides about a target without compiling anything: what its connector may use, and its settings.
pub(crate) async fn check(
    target: &Target,
    base: &Path,
    ceiling: &Ceiling,
    workplace: &Workplace,
) -> Result<(Inspected, Effective, BTreeMap<Ident, String>), CliError> {
    let file = base.join(&target.connector.file);
    let (bytes, writers) = files::read_with_writers(&file, limits::COMPONENT_BYTES, codes::CONNECTOR_FILE)?;
    check_writers(target, &file, writers)?;
    let inspected = workplace.inspect(&file, bytes).await?;
    if let Some(wanted) = target.connector.sha256.filter(|wanted| *wanted != inspected.digest) {
        let message = format!(
            "{} has the digest {}, and the configuration asks for {wanted}",
            files::shown(&file),
            inspected.digest
        );
        return Err(CliError::new(codes::CONNECTOR_DIGEST, message)
            .help("look into it with `raito connector inspect` before you change the digest"));
    }
    let ask = Ask {
        digest: inspected.digest,
        manifest: &inspected.manifest,
        imports: &inspected.imports,
        exports: &inspected.exports,
    };
    let effective = decide(&ask, target, ceiling).map_err(|refusals| refused(&refusals))?;
    let settings = inspected.manifest.resolve_settings(&target.settings).map_err(|wrong| {
        let said: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        CliError::new(codes::SETTING, format!("settings: {}", said.join("; ")))
    })?;
    Ok((inspected, effective, settings))
}

/// Prepares a target, for a command that `sends` changes to it or does not.
pub(crate) async fn prepare(
    target: &Target,
    base: &Path,
    ceiling: &Ceiling,
    workplace: &Workplace,
    sends: bool,
) -> Result<Prepared, CliError> {
    let (inspected, effective, settings) = check(target, base, ceiling, workplace).await?;
    let material = secrets::material(target, base, sends).await?;
    let (connector, isolation) = workplace.ready(&inspected).await?;
    let identity = ConnectorIdentity {
        name: inspected.manifest.name.to_string(),
        version: inspected.manifest.version.clone(),
        sha256: inspected.digest,
        imports: inspected.imports.clone(),
    };
    Ok(Prepared { inspected, connector, isolation, effective, settings, identity, material })
}

/// All refusals as one error, with the lines to write.
fn refused(refusals: &[Refusal]) -> CliError {
    let code = match refusals.first().map(|refusal| refusal.kind) {
        Some(RefusalKind::Configuration) => codes::GRANT_UNKNOWN,
        Some(RefusalKind::Ceiling) => codes::CEILING,
        Some(RefusalKind::Component) => codes::NOT_GRANTABLE,
        Some(RefusalKind::NotGranted) | None => codes::GRANT_MISSING,
    };
    let said: Vec<String> = refusals.iter().map(|refusal| format!("{}: {}", refusal.place, refusal.reason)).collect();
    let mut error = CliError::new(code, said.join("\n  "));
    for lines in refusals.iter().filter_map(|refusal| refusal.lines.as_ref()) {
        error = error.help(format!("to allow it, add below the target:\n{lines}"));
    }
    error
}
