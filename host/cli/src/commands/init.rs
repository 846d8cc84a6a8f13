//! `raito init`

use raito_core::credential::example;
use raito_core::manifest::{Manifest, SettingValue, Slot, SlotKind, SlotName};
use raito_core::text::escape;
use raito_core::yaml::quoted;

use crate::args::Init;
use crate::engine::isolation::Workplace;
use crate::engine::prepare::load;
use crate::error::CliError;
use crate::exit::Exit;
use crate::files;
use crate::render::say;

/// What every configuration begins with.
const HEAD: &str = "\
# The configuration of raito. `raito schema` prints its JSON Schema, `raito validate` checks it.

# The control plane: embedded beside this file, or { url: https://…, token: { env: RAITO_TOKEN } }.
cloud: embedded

# Data sources and identity stores. What a connector may reach is granted here, slot by slot; `raito connector inspect`
# shows what it asks for. Secrets come from { env: NAME }, { file: PATH }, { command: [PROGRAM] } or
# { keyring: { service: NAME, account: NAME } }, never from here. Private addresses need addresses: [RANGE].
targets:
";

/// A target for somebody who has no connector yet.
const EXAMPLE: &str = r#"  - name: shop
    connector: { file: connectors/postgresql.wasm }
    # settings: { exclude-schemas: [pg_catalog] }
    grants:
      sql.main:
        url: "postgresql://raito_read@localhost:5432/"
        addresses: ["127.0.0.1/32", "::1/128"]
        databases: [shop]
        password: { env: SHOP_PASSWORD }
    # steps: { data-usage: false }
    # drift: report                      # or revert: what happens to changes that were made at the target by hand
    # break-glass: [postgres]            # users and access controls, by name, that step 4 never touches
    # send: { email: keep, query-text: drop }
    # thresholds: { remove-percent: 20, remove-count: 50 }
"#;

/// Writes a commented configuration.
pub(super) async fn run(args: &Init) -> Result<Exit, CliError> {
    let target = match &args.connector {
        None => EXAMPLE.to_owned(),
        Some(file) => {
            let inspected = load(file, &Workplace::of_this_machine(None)).await?;
            target(&inspected.manifest, &file.to_string_lossy(), &inspected.digest.to_string())
        }
    };
    files::write_new(&args.file, format!("{HEAD}{target}").as_bytes())?;
    let next = if args.connector.is_some() { "fill in what is marked with …" } else { "make the target yours" };
    say(&format!("wrote {}; {next}, then run `raito validate`", files::shown(&args.file)));
    Ok(Exit::Done)
}

/// A target with everything that a manifest asks for.
fn target(manifest: &Manifest, file: &str, digest: &str) -> String {
    let mut text =
        format!("  - name: {}\n    connector:\n      file: {}\n      sha256: {digest}\n", manifest.name, quoted(file));
    if !manifest.settings.is_empty() {
        // A key with nothing but comments below it has no value.
        let mark = if manifest.settings.values().any(|setting| setting.required) { "" } else { "# " };
        text.push_str(&format!("    {mark}settings:\n"));
    }
    for (name, setting) in &manifest.settings {
        let value = setting.default.as_ref().map_or_else(|| "…".to_owned(), SettingValue::as_yaml);
        let mark = if setting.required { "" } else { "# " };
        text.push_str(&format!("      {mark}{name}: {value}   # {}\n", escape(&setting.help)));
    }
    let mark = if manifest.slots.values().any(|slot| !slot.optional) { "" } else { "# " };
    text.push_str(&format!("    {mark}grants:\n"));
    for (name, slot) in manifest.slots.iter().filter(|(_, slot)| !slot.optional) {
        text.extend(slot_lines(name, slot).iter().map(|line| format!("      {line}\n")));
    }
    for (name, slot) in manifest.slots.iter().filter(|(_, slot)| slot.optional) {
        text.push_str("      # The connector works without this one:\n");
        text.extend(slot_lines(name, slot).iter().map(|line| format!("      # {line}\n")));
    }
    text
}

/// The grant of a slot, with all that its manifest asks for.
fn slot_lines(name: &SlotName, slot: &Slot) -> Vec<String> {
    let help = if slot.help.is_empty() { String::new() } else { format!("   # {}", escape(&slot.help)) };
    let mut lines = Vec::new();
    match &slot.kind {
        SlotKind::Http { secrets, .. } => {
            lines.push("origin: \"https://…\"".to_owned());
            for (secret, asked) in secrets {
                let variable = secret.as_str().to_ascii_uppercase().replace('-', "_");
                let example = example(&asked.scheme, &variable);
                lines.push(format!("{secret}: {example}   # {}", escape(&asked.help)));
            }
            if slot.writes() {
                lines.push("# write: true   # lets step 4 change the target".to_owned());
            }
        }
        SlotKind::Sql { kind, .. } => {
            lines.push(format!("url: \"{}://…@…:5432/\"", kind.word()));
            lines.push("databases: [\"…\"]".to_owned());
            lines.push("password: { env: PASSWORD }".to_owned());
            if slot.writes() {
                let write = "# write: { user: …, password: { env: WRITE_PASSWORD } }   # lets step 4 change the target";
                lines.push(write.to_owned());
            }
        }
        SlotKind::Ldap { .. } => lines.push("url: \"ldaps://…\"".to_owned()),
    }
    lines.extend(slot.red_lines());
    if !matches!(slot.kind, SlotKind::Ldap { .. }) {
        lines.push(
            "# addresses: [\"10.1.0.0/16\"]   # the only ones that the name may lead to; a private one needs it"
                .to_owned(),
        );
        lines.push("# ca: authority.pem   # certificates to trust instead of the system's".to_owned());
    }
    let below = lines.into_iter().map(|line| format!("  {line}"));
    std::iter::once(format!("{name}:{help}")).chain(below).collect()
}
