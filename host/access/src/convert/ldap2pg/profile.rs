//! Profiles of privileges: those of the file, and ldap2pg's own, whose names begin and end with `__`.

use std::collections::{BTreeMap, BTreeSet};

use marked_yaml::Node;
use raito_config::Place;
use raito_config::reader::{Reader, node_place};
use raito_core::text::{PermissionName, escape};

/// On what a privilege is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// A database.
    Database,
    /// A schema.
    Schema,
    /// All objects of these kinds in a schema.
    All(&'static [&'static str]),
    /// Later objects of a kind.
    Later(&'static str),
}

/// PostgreSQL counts all of these as tables in GRANT … ON ALL TABLES IN SCHEMA (its documentation, "GRANT").
const TABLES: &[&str] = &["table", "view", "materialized-view", "foreign-table"];
const SEQUENCES: &[&str] = &["sequence"];
const FUNCTIONS: &[&str] = &["function"];

/// What ldap2pg grants for `ALL` on a class of objects, one by one.
const ALL_ON: [(&str, &[&str]); 4] = [
    ("tables", &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]),
    ("sequences", &["SELECT", "UPDATE", "USAGE"]),
    ("functions", &["EXECUTE"]),
    ("schemas", &["CREATE", "USAGE"]),
];

/// What of a file has no place here, with where it stands.
type Left = Vec<(Place, String)>;

#[derive(Debug, Clone)]
enum Part {
    Profile(String),
    Privilege(Reach, PermissionName),
}

/// All profiles of a file.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    all: BTreeMap<String, Vec<Part>>,
}

/// How deep profiles may include one another: ldap2pg's own go two deep, and a circle must end.
const DEPTH: usize = 16;

impl Profiles {
    /// Reads one profile.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>, name: &str, node: &Node) -> Left {
        let mut left = Left::new();
        let items: Vec<&Node> = node.as_sequence().map_or_else(|| vec![node], |list| list.iter().collect());
        let mut parts = Vec::new();
        for item in items {
            if let Some(scalar) = item.as_scalar() {
                parts.push(Part::Profile(scalar.as_str().to_owned()));
                continue;
            }
            match privileges(reader, item) {
                Some(more) => parts.extend(more),
                None => left.push((node_place(item), format!("{}: a privilege on something else", escape(name)))),
            }
        }
        self.all.insert(name.to_owned(), parts);
        left
    }

    /// What a profile gives: permissions by what they are held on. None for a profile that nobody knows.
    pub(super) fn resolve(&self, name: &str) -> Option<BTreeMap<Reach, Vec<PermissionName>>> {
        let mut gathering = Gathering {
            profiles: self,
            way: Vec::new(),
            done: BTreeSet::new(),
            given: BTreeSet::new(),
            lists: BTreeMap::new(),
        };
        gathering.gather(name).then_some(gathering.lists)
    }
}

/// What profiles give that include one another. Each is looked at once: where several include the
/// same two, and those the same two again, the ways through them double with each level.
struct Gathering<'p> {
    profiles: &'p Profiles,
    /// The profiles that include the one that is looked at.
    way: Vec<String>,
    done: BTreeSet<String>,
    given: BTreeSet<(Reach, PermissionName)>,
    lists: BTreeMap<Reach, Vec<PermissionName>>,
}

impl Gathering<'_> {
    fn gather(&mut self, name: &str) -> bool {
        if self.done.contains(name) {
            return true;
        }
        if self.way.len() > DEPTH || self.way.iter().any(|outer| outer == name) {
            return false;
        }
        let own = || built_in(name);
        let Some(parts) = self.profiles.all.get(name).cloned().or_else(own) else { return false };
        self.way.push(name.to_owned());
        for part in parts {
            match part {
                Part::Profile(other) => {
                    if !self.gather(&other) {
                        return false;
                    }
                }
                Part::Privilege(reach, permission) => {
                    if self.given.insert((reach, permission.clone())) {
                        self.lists.entry(reach).or_default().push(permission);
                    }
                }
            }
        }
        self.way.pop();
        self.done.insert(name.to_owned());
        true
    }
}

/// A privilege of a profile: `type` on `on`.
fn privileges(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<Part>> {
    let fields = reader.names(node, "a privilege with type and on")?;
    let types = fields.get("type").or_else(|| fields.get("types"))?;
    let nodes: Vec<&Node> = types.as_sequence().map_or_else(|| vec![types], |list| list.iter().collect());
    let on = reader.text(fields.get("on").or_else(|| fields.get("object"))?)?.to_ascii_uppercase();
    let reach = match (on.as_str(), fields.get("default").is_some()) {
        ("DATABASE", _) => Reach::Database,
        ("SCHEMA", _) => Reach::Schema,
        ("ALL TABLES IN SCHEMA", _) => Reach::All(TABLES),
        ("ALL SEQUENCES IN SCHEMA", _) => Reach::All(SEQUENCES),
        ("ALL FUNCTIONS IN SCHEMA", _) => Reach::All(FUNCTIONS),
        ("TABLES", true) => Reach::Later("table"),
        ("SEQUENCES", true) => Reach::Later("sequence"),
        ("FUNCTIONS", true) => Reach::Later("function"),
        _ => return None,
    };
    let mut parts = Vec::new();
    for node in nodes {
        let name = reader.text(node)?.to_ascii_uppercase();
        parts.push(Part::Privilege(reach, PermissionName::new(name).ok()?));
    }
    Some(parts)
}

/// What one of ldap2pg's own names means: `__select_on_tables__`, `__default_usage_on_sequences__`, `__all_on_schemas__`.
fn built_in(name: &str) -> Option<Vec<Part>> {
    let inner = name.strip_prefix("__")?.strip_suffix("__")?;
    let one = |reach, word: &str| Some(Part::Privilege(reach, PermissionName::new(word.to_ascii_uppercase()).ok()?));
    if ["connect", "temporary", "create_on_databases"].contains(&inner) {
        return Some(vec![one(Reach::Database, inner.split('_').next()?)?]);
    }
    let (later_only, inner) = inner.strip_prefix("default_").map_or((false, inner), |rest| (true, rest));
    // A privilege that only one class of objects has goes by its own name.
    let (word, on) = match inner.split_once("_on_") {
        Some(both) => both,
        None if ["insert", "delete", "truncate", "references", "trigger"].contains(&inner) => (inner, "tables"),
        None if inner == "execute" => (inner, "functions"),
        None => return None,
    };
    let (now_only, class) = on.strip_prefix("all_").map_or((false, on), |rest| (true, rest));
    let known = ALL_ON.iter().find(|(name, _)| *name == class)?.1;
    let words: Vec<&str> = match word {
        "all" => known.to_vec(),
        word => vec![known.iter().find(|known| known.eq_ignore_ascii_case(word))?],
    };
    let (now, later) = match class {
        "tables" => (Reach::All(TABLES), Some(Reach::Later("table"))),
        "sequences" => (Reach::All(SEQUENCES), Some(Reach::Later("sequence"))),
        "functions" => (Reach::All(FUNCTIONS), Some(Reach::Later("function"))),
        _ => (Reach::Schema, None),
    };
    let reaches = [(!later_only).then_some(now), later.filter(|_| !now_only)];
    let parts = reaches.into_iter().flatten().flat_map(|reach| words.iter().map(move |word| one(reach, word)));
    parts.collect()
}
