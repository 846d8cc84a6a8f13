//! `raito connector`

mod conformance;

use std::collections::BTreeSet;
use std::path::Path;

use raito_core::capability::{Import, classify_import, exported_step};
use raito_core::limits;
use raito_core::manifest::{SecretScheme, Slot, SlotKind, SqlKind};
use raito_core::step::Step;
use raito_core::text::escape;
use raito_core::vocabulary::Mode;
use raito_sandbox::{Inspected, pack};
use serde_json::json;

use super::configuration;
use crate::args::{Connector, Global, Output};
use crate::codes;
use crate::engine::isolation::Workplace;
use crate::engine::prepare::load;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::{data, error, say};

/// Looks into connectors.
pub(super) async fn run(global: &Global, args: &Connector) -> Result<Exit, CliError> {
    match args {
        Connector::Inspect { file, manifest } => {
            let inspected = load(file, &Workplace::of_this_machine(None)).await?;
            if *manifest {
                data(inspected.manifest_text.trim_end());
            } else if global.output == Output::Json {
                data(&as_json(&inspected).to_string());
            } else {
                lines(&inspected).iter().for_each(|line| data(line));
            }
            Ok(Exit::Done)
        }
        Connector::List => list(global).await,
        Connector::Test { file, scenario } => conformance::run(global, file, scenario).await,
        Connector::Pack { component, manifest, out } => pack_files(component, manifest, out).await,
    }
}

async fn pack_files(component: &Path, manifest: &Path, out: &Path) -> Result<Exit, CliError> {
    let bytes = files::read(component, limits::COMPONENT_BYTES, codes::CONNECTOR_FILE)?;
    let text = files::read_text(manifest)?;
    let packed = pack(&bytes, &text)
        .map_err(|error| CliError::new(codes::CONNECTOR_INVALID, error.to_string()).at(files::shown(component)))?;
    let inspected = Workplace::of_this_machine(None).inspect(component, packed).await?;
    if let Some(folder) = out.parent() {
        files::make_folder(folder)?;
    }
    files::replace_own(out, &inspected.bytes)?;
    data(&format!("{}  {}", inspected.digest, files::shown(out)));
    Ok(Exit::Done)
}

async fn list(global: &Global) -> Result<Exit, CliError> {
    let loaded = configuration::load(global)?;
    let workplace = Workplace::of_this_machine(None);
    let mut exits = Vec::new();
    for target in &loaded.configuration.targets {
        match load(&loaded.base.join(&target.connector.file), &workplace).await {
            Ok(inspected) => {
                let manifest = &inspected.manifest;
                let pinned = if target.connector.sha256.is_some() { "pinned" } else { "not pinned" };
                data(&format!(
                    "{}  {} {}  {}  {pinned}",
                    target.name, manifest.name, manifest.version, inspected.digest
                ));
            }
            Err(failed) => {
                say(&error::human(&failed.clone().at(format!("target {}", target.name))));
                exits.push(failed.code.exit);
            }
        }
    }
    Ok(Exit::worst(exits))
}

/// What a connector is and asks for, line by line. What needs a grant of its own is marked with `!`.
fn lines(inspected: &Inspected) -> Vec<String> {
    let manifest = &inspected.manifest;
    let steps: BTreeSet<Step> = inspected.exports.iter().filter_map(|export| exported_step(export)).collect();
    let steps: Vec<String> = steps.iter().map(|step| format!("{} {}", step.number(), step.title())).collect();
    let mut lines = vec![
        format!("{} {}: {}", manifest.name, manifest.version, manifest.summary),
        format!("sha256   {} ({} bytes)", inspected.digest, inspected.bytes.len()),
        format!("steps    {}", steps.join(", ")),
    ];
    let of = |wanted: fn(Import) -> bool| {
        let names = inspected.imports.iter().filter(|import| wanted(classify_import(import)));
        names.map(|import| escape(import).into_owned()).collect::<Vec<_>>()
    };
    let word = |list: Vec<String>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    lines.push(format!("imports  granted: {}", word(of(|import| matches!(import, Import::Capability(_))))));
    lines.push(format!("         always there: {}", word(of(|import| import == Import::Ambient))));
    lines.push(format!("         without effect: {} of WASI", of(|import| import == Import::Inert).len()));
    let foreign = of(|import| import == Import::Foreign);
    if !foreign.is_empty() {
        lines.push(format!("       ! cannot be granted: {}", foreign.join(", ")));
    }
    if !manifest.settings.is_empty() {
        lines.push("settings".to_owned());
    }
    for (name, setting) in &manifest.settings {
        let required = if setting.required { ", required" } else { "" };
        lines.push(format!("         {name} ({}{required}): {}", setting.kind, escape(&setting.help)));
    }
    for (name, slot) in &manifest.slots {
        slot_lines(&name.to_string(), slot, &mut lines);
    }
    lines
}

fn slot_lines(name: &str, slot: &Slot, lines: &mut Vec<String>) {
    let optional = if slot.optional { ", optional" } else { "" };
    let kind = match &slot.kind {
        SlotKind::Http { .. } => "HTTP",
        SlotKind::Sql { kind: SqlKind::Postgresql, .. } => "PostgreSQL",
        SlotKind::Ldap { .. } => "LDAP",
    };
    lines.push(format!("{name} ({kind}{optional}) {}", escape(&slot.help)));
    if let SlotKind::Http { secrets, .. } = &slot.kind {
        for (secret, asked) in secrets {
            lines.push(format!("         secret {secret}, as {}: {}", scheme(&asked.scheme), escape(&asked.help)));
        }
    }
    for entry in slot.entries() {
        let mode = match entry.mode {
            Mode::Read => "read ",
            Mode::Write => "write",
        };
        let mark = if entry.red.is_empty() { ' ' } else { '!' };
        // A statement stands on several lines, and each of its blanks is shown, since they can be within a literal.
        let mut shown = entry.shown.lines();
        let first = shown.next().unwrap_or_default();
        lines.push(format!("       {mark} {mode} {}: {}", entry.name, escape(first)));
        lines.extend(shown.map(|line| format!("                 {}", escape(line))));
        lines.extend(entry.red.iter().map(|red| format!("               ! {red}")));
    }
}

fn scheme(scheme: &SecretScheme) -> String {
    match scheme {
        SecretScheme::Header { name, .. } => format!("the header {name}"),
        SecretScheme::Bearer => "a bearer token".to_owned(),
        SecretScheme::Basic => "user and password".to_owned(),
        SecretScheme::ClientCredentials => "a token by the credentials of a client".to_owned(),
        SecretScheme::JwtBearer => "a token for a statement that the host signs".to_owned(),
        SecretScheme::JwtKeyPair => "a statement that the host signs".to_owned(),
        SecretScheme::Sigv4 => "a signature of AWS over each request".to_owned(),
    }
}

fn as_json(inspected: &Inspected) -> serde_json::Value {
    let manifest = &inspected.manifest;
    let slots: serde_json::Map<_, _> = manifest
        .slots
        .iter()
        .map(|(name, slot)| {
            let entries: Vec<_> = slot
                .entries()
                .iter()
                .map(|entry| {
                    let red: Vec<String> = entry.red.iter().map(ToString::to_string).collect();
                    json!({ "name": entry.name, "mode": entry.mode, "request": entry.shown, "red": red })
                })
                .collect();
            let secrets: Vec<_> = match &slot.kind {
                SlotKind::Http { secrets, .. } => secrets
                    .iter()
                    .map(|(name, asked)| json!({ "name": name, "scheme": scheme(&asked.scheme) }))
                    .collect(),
                SlotKind::Sql { .. } | SlotKind::Ldap { .. } => Vec::new(),
            };
            (
                name.to_string(),
                json!({ "optional": slot.optional, "help": slot.help, "entries": entries, "secrets": secrets }),
            )
        })
        .collect();
    json!({
        "v": 1, "name": manifest.name, "version": manifest.version, "summary": manifest.summary,
        "sha256": inspected.digest, "bytes": inspected.bytes.len(),
        "imports": inspected.imports, "exports": inspected.exports, "slots": slots,
    })
}
