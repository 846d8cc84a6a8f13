//! What a connector may really use: its imports ∩ its manifest ∩ the target's grants ∩ the operator's ceiling.
//!
//! The decision is made from the component's bytes before anything of them is compiled. Each refusal says where it comes
//! from and, where a grant would lift it, the lines to write.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::credential::example;
use crate::digest::Digest;
use crate::grant::{Ceiling, Grant, HttpGrant, Origin, SqlGrant, Target};
use crate::manifest::{Capability, Manifest, SecretSlot, Slot, SlotKind, SlotName};
use crate::step::Step;
use crate::text::{Ident, escape};
use crate::vocabulary::{Mode, Red};
use crate::yaml::scalar;

/// The contract's package, with the version that this host speaks.
pub const CONTRACT: &str = "raito:connector";
/// Versions of the contract that this host speaks: `0.1` and its patches.
const CONTRACT_VERSION: &str = "0.1.";

/// What an import of a component means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Import {
    /// A capability, which must be asked for and granted.
    Capability(Capability),
    /// An interface that is always there, bounded and on record: `log`, `clock`, `state`, and those with types only.
    Ambient,
    /// An interface of WASI that is linked without any effect, because standard libraries expect it.
    Inert,
    /// Something that no grant can give.
    Foreign,
}

/// Says what an import such as `raito:connector/http@0.1.0` means.
pub fn classify_import(name: &str) -> Import {
    let (path, version) = name.rsplit_once('@').unwrap_or((name, ""));
    match path.split_once('/') {
        Some((CONTRACT, interface)) if version.starts_with(CONTRACT_VERSION) => match interface {
            "http" => Import::Capability(Capability::Http),
            "sql" => Import::Capability(Capability::Sql),
            "ldap" => Import::Capability(Capability::Ldap),
            "state" | "log" | "clock" | "types" | "access" => Import::Ambient,
            _ => Import::Foreign,
        },
        Some(("wasi:cli" | "wasi:io" | "wasi:clocks" | "wasi:random", _)) if version.starts_with("0.2.") => {
            Import::Inert
        }
        _ => Import::Foreign,
    }
}

/// The step that an export such as `raito:connector/data-usage@0.1.0` carries out.
pub fn exported_step(name: &str) -> Option<Step> {
    let (path, version) = name.rsplit_once('@')?;
    let (package, interface) = path.split_once('/')?;
    (package == CONTRACT && version.starts_with(CONTRACT_VERSION)).then(|| Step::parse(interface)).flatten()
}

/// What is known of a component without running it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// The interfaces that it imports.
    pub imports: &'a [String],
    /// The interfaces that it exports.
    pub exports: &'a [String],
}

/// Who refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The configuration grants what the connector does not know: a mistake in it.
    Configuration,
    /// The target does not grant what the connector needs.
    NotGranted,
    /// The operator's ceiling does not allow what the target grants.
    Ceiling,
    /// The component is not one that any grant could admit.
    Component,
}

/// Why a connector is not run for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Who refuses.
    pub kind: RefusalKind,
    /// The key of the configuration that it is about, such as `grants.sql.main`.
    pub place: String,
    /// Why.
    pub reason: String,
    /// Lines that would lift it, as they would stand below the target.
    pub lines: Option<String>,
}

/// What may be used of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSlot {
    /// The grant.
    pub grant: Grant,
    /// The entries that may be used.
    pub entries: BTreeMap<Ident, Mode>,
}

/// Whether a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It runs.
    Runs,
    /// The connector does not export it.
    NotSupported,
    /// The configuration or the command line leaves it out.
    LeftOut,
}

/// What a connector may use for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// The slots that are bound.
    pub slots: BTreeMap<SlotName, EffectiveSlot>,
    /// What becomes of each step.
    pub steps: BTreeMap<Step, StepState>,
}

/// What the audit log says of an effective slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotSummary {
    /// Where it leads: an origin, or a server.
    pub to: String,
    /// Databases, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// Read entries that may be used.
    pub read: Vec<String>,
    /// Write entries that may be used.
    pub write: Vec<String>,
    /// Entries, functions and relations that are granted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub red: Vec<String>,
}

/// Decides what a connector may use for a target.
///
/// # Errors
/// All refusals at once; there is at least one.
pub fn decide(ask: &Ask<'_>, target: &Target, ceiling: &Ceiling) -> Result<Effective, Vec<Refusal>> {
    let mut decision = Decision { refusals: Vec::new(), ceiling };
    decision.component(ask);
    for (name, grant) in &target.grants {
        decision.is_asked(name, grant, ask.manifest);
    }
    let mut slots = BTreeMap::new();
    for (name, slot) in &ask.manifest.slots {
        match target.grants.get(name) {
            Some(grant) => {
                if let Some(effective) = decision.slot(name, slot, grant) {
                    slots.insert(name.clone(), effective);
                }
            }
            None if slot.optional => {}
            None => decision.not_granted(name, slot),
        }
    }
    if !decision.refusals.is_empty() {
        decision.refusals.sort_by(|a, b| (a.kind, &a.place).cmp(&(b.kind, &b.place)));
        return Err(decision.refusals);
    }
    let exported: BTreeSet<Step> = ask.exports.iter().filter_map(|export| exported_step(export)).collect();
    let state = |step: Step| match (exported.contains(&step), target.steps.contains(&step)) {
        (false, _) => StepState::NotSupported,
        (true, false) => StepState::LeftOut,
        (true, true) => StepState::Runs,
    };
    Ok(Effective { slots, steps: Step::ALL.into_iter().map(|step| (step, state(step))).collect() })
}

struct Decision<'a> {
    refusals: Vec<Refusal>,
    ceiling: &'a Ceiling,
}

impl Decision<'_> {
    fn refuse(
        &mut self,
        kind: RefusalKind,
        place: impl Into<String>,
        reason: impl Into<String>,
        lines: Option<String>,
    ) {
        self.refusals.push(Refusal { kind, place: place.into(), reason: reason.into(), lines });
    }

    /// Refuses what no grant can give, and what the connector imports without asking for it.
    fn component(&mut self, ask: &Ask<'_>) {
        let asked = ask.manifest.capabilities();
        for import in ask.imports {
            match classify_import(import) {
                Import::Foreign => {
                    let reason = format!("the component imports {}, which no grant can give", escape(import));
                    self.refuse(RefusalKind::Component, "connector", reason, None);
                }
                Import::Capability(Capability::Ldap) => {
                    let reason = "the component imports ldap, which this version of raito does not serve";
                    self.refuse(RefusalKind::Component, "connector", reason, None);
                }
                Import::Capability(capability) if !asked.contains(&capability) => {
                    let word = capability.word();
                    let reason = format!(
                        "the component imports {word}, and its manifest has no {word} slot: it cannot say what for"
                    );
                    self.refuse(RefusalKind::Component, "connector", reason, None);
                }
                Import::Capability(_) | Import::Ambient | Import::Inert => {}
            }
        }
        if !ask.exports.iter().any(|export| exported_step(export).is_some()) {
            let reason = format!("the component exports no step of {CONTRACT}@{CONTRACT_VERSION}x");
            self.refuse(RefusalKind::Component, "connector", reason, None);
        }
        if self.ceiling.connectors.as_ref().is_some_and(|allowed| !allowed.contains(&ask.digest)) {
            let reason = format!("the ceiling's connectors do not include sha256 {}", ask.digest);
            self.refuse(RefusalKind::Ceiling, "connector", reason, None);
        }
    }

    /// Refuses a grant that the connector does not ask for.
    fn is_asked(&mut self, name: &SlotName, grant: &Grant, manifest: &Manifest) {
        let place = format!("grants.{name}");
        let Some(slot) = manifest.slots.get(name) else {
            let known: Vec<String> = manifest.slots.keys().map(ToString::to_string).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let reason = format!("connector {} has no slot {name}; it has: {known}", manifest.name);
            return self.refuse(RefusalKind::Configuration, place, reason, None);
        };
        if let (Grant::Http(grant), SlotKind::Http { secrets, .. }) = (grant, &slot.kind) {
            for name in grant.secrets.keys().filter(|name| !secrets.contains_key(*name)) {
                let known: Vec<&str> = secrets.keys().map(Ident::as_str).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let reason = format!("the slot has no secret {name}; it has: {known}");
                self.refuse(RefusalKind::Configuration, format!("{place}.{name}"), reason, None);
            }
        }
    }

    fn not_granted(&mut self, name: &SlotName, slot: &Slot) {
        let help = if slot.help.is_empty() { String::new() } else { format!(" ({})", escape(&slot.help)) };
        let reason = format!("the connector asks for {name}{help}, and the target does not grant it");
        self.refuse(RefusalKind::NotGranted, format!("grants.{name}"), reason, Some(grant_lines(name, slot)));
    }

    fn slot(&mut self, name: &SlotName, slot: &Slot, grant: &Grant) -> Option<EffectiveSlot> {
        let place = format!("grants.{name}");
        match (&slot.kind, grant) {
            (SlotKind::Http { secrets, .. }, Grant::Http(grant)) => self.http(&place, secrets, grant),
            (SlotKind::Sql { .. }, Grant::Sql(grant)) => self.sql(&place, grant),
            _ => return None,
        }
        let write = grant.write() && !self.ceiling.no_write;
        if grant.write() && self.ceiling.no_write {
            self.refuse(RefusalKind::Ceiling, format!("{place}.write"), "the ceiling says write: false", None);
        }
        let mut entries = BTreeMap::new();
        for entry in slot.entries() {
            if entry.mode == Mode::Write && !write {
                continue;
            }
            for red in &entry.red {
                self.red(&place, entry.name, red, grant);
            }
            entries.insert(entry.name.clone(), entry.mode);
        }
        Some(EffectiveSlot { grant: grant.clone(), entries })
    }

    fn http(&mut self, place: &str, secrets: &BTreeMap<Ident, SecretSlot>, grant: &HttpGrant) {
        for (name, slot) in secrets {
            let lines = || format!("{}:\n    {name}: {}", indented_key(place), example(&slot.scheme, &variable(name)));
            match grant.secrets.get(name) {
                None if slot.optional => {}
                None => {
                    let reason = format!("the connector asks for the secret {name}, and the target does not grant it");
                    self.refuse(RefusalKind::NotGranted, format!("{place}.{name}"), reason, Some(lines()));
                }
                Some(credential) if credential.fits(&slot.scheme) => {}
                Some(_) => {
                    let word = slot.scheme.word();
                    let reason = format!("the connector sends the secret {name} as {word}, which needs something else");
                    self.refuse(RefusalKind::Configuration, format!("{place}.{name}"), reason, Some(lines()));
                }
            }
        }
        if !grant.origin.tls && !grant.plain_http {
            let reason = format!("{} is not encrypted", grant.origin);
            let lines = format!("{}:\n    plain-http: true", indented_key(place));
            self.refuse(RefusalKind::NotGranted, format!("{place}.origin"), reason, Some(lines));
        }
        if let (Some(proxy), false) = (&grant.proxy, grant.origin.tls) {
            let reason =
                format!("{} would read everything, secrets included, on its way to {}", proxy.url, grant.origin);
            self.refuse(RefusalKind::Configuration, format!("{place}.proxy"), reason, None);
        }
        self.origin(format!("{place}.origin"), &grant.origin);
        if let Some(proxy) = &grant.proxy {
            self.origin(format!("{place}.proxy"), &proxy.url);
        }
        for (name, credential) in &grant.secrets {
            if let Some(endpoint) = credential.endpoint() {
                self.origin(format!("{place}.{name}"), &endpoint.url);
            }
        }
    }

    /// Refuses an origin that the ceiling does not have, neither with its path nor without.
    fn origin(&mut self, place: String, origin: &Origin) {
        let Some(allowed) = &self.ceiling.origins else { return };
        if !allowed.contains(origin) && !allowed.contains(&origin.bare()) {
            let reason = format!("the ceiling's origins do not include {origin}");
            self.refuse(RefusalKind::Ceiling, place, reason, None);
        }
    }

    fn sql(&mut self, place: &str, grant: &SqlGrant) {
        let Some(allowed) = &self.ceiling.databases else { return };
        let server = grant.server.to_string();
        let over: Vec<String> = grant
            .databases
            .iter()
            .map(|database| format!("{server}/{database}"))
            .filter(|database| !allowed.contains(database) && !allowed.contains(&format!("{server}/*")))
            .collect();
        for database in over {
            let reason = format!("the ceiling's databases do not include {}", escape(&database));
            self.refuse(RefusalKind::Ceiling, format!("{place}.databases"), reason, None);
        }
    }

    /// Refuses a red entry that is not granted by name, and any where the ceiling says so.
    fn red(&mut self, place: &str, entry: &Ident, red: &Red, grant: &Grant) {
        let granted = match (red, grant) {
            (Red::Raw, Grant::Http(grant)) => grant.raw.contains(entry),
            (Red::ReadMethod(_), Grant::Http(grant)) => grant.methods.contains(entry),
            (Red::Call(function), Grant::Sql(grant)) => grant.calls.contains(function),
            (Red::Relation(name, _), Grant::Sql(grant)) => grant.relations.contains(name),
            // A red of one kind cannot come from a slot of the other.
            (Red::Raw | Red::ReadMethod(_), Grant::Sql(_)) | (Red::Call(_) | Red::Relation(..), Grant::Http(_)) => {
                return;
            }
        };
        let (key, item) = red.granted_by(entry);
        if !granted {
            let reason = format!("the entry {entry} {red}, and the target does not grant that by name");
            let lines = format!("{}:\n    {key}: [{}]", indented_key(place), scalar(&item));
            self.refuse(RefusalKind::NotGranted, format!("{place}.{key}"), reason, Some(lines));
        } else if self.ceiling.no_raw {
            let reason = format!("the ceiling says raw: false, and the entry {entry} {red}");
            self.refuse(RefusalKind::Ceiling, format!("{place}.{key}"), reason, None);
        }
    }
}

/// `grants.sql.main` as the two lines that lead there.
fn indented_key(place: &str) -> String {
    format!("grants:\n  {}", place.strip_prefix("grants.").unwrap_or(place))
}

/// The environment variable that an example names.
fn variable(name: &Ident) -> String {
    name.as_str().to_ascii_uppercase().replace('-', "_")
}

/// The lines that would grant a whole slot.
fn grant_lines(name: &SlotName, slot: &Slot) -> String {
    let mut lines = format!("grants:\n  {name}:\n");
    match &slot.kind {
        SlotKind::Http { secrets, .. } => {
            lines.push_str("    origin: \"https://…\"\n");
            for (name, secret) in secrets.iter().filter(|(_, secret)| !secret.optional) {
                lines.push_str(&format!("    {name}: {}\n", example(&secret.scheme, &variable(name))));
            }
        }
        SlotKind::Sql { kind, .. } => {
            lines.push_str(&format!("    url: \"{}://user@host:5432/\"\n", kind.word()));
            lines.push_str("    databases: [\"…\"]\n    password: { env: PASSWORD }\n");
        }
        SlotKind::Ldap { .. } => lines.push_str("    url: \"ldaps://…\"\n"),
    }
    lines.extend(slot.red_lines().iter().map(|line| format!("    {line}\n")));
    lines.truncate(lines.trim_end().len());
    lines
}

impl EffectiveSlot {
    /// What the audit log says of it.
    pub fn summary(&self) -> SlotSummary {
        let of =
            |mode: Mode| self.entries.iter().filter(|(_, m)| **m == mode).map(|(name, _)| name.to_string()).collect();
        let (to, red) = match &self.grant {
            Grant::Http(grant) => {
                let raw = grant.raw.iter().map(|name| format!("raw {name}"));
                (
                    grant.origin.to_string(),
                    raw.chain(grant.methods.iter().map(|name| format!("method {name}"))).collect(),
                )
            }
            Grant::Sql(grant) => {
                let calls = grant.calls.iter().map(|name| format!("call {name}"));
                let relations = grant.relations.iter().map(|name| format!("relation {name}"));
                (format!("{} as {}", grant.server, grant.read.user), calls.chain(relations).collect())
            }
        };
        SlotSummary { to, places: self.grant.places(), read: of(Mode::Read), write: of(Mode::Write), red }
    }
}
