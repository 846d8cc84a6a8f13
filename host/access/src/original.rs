//! Files of the first `raito access`: a list of access providers, as YAML or JSON, flat or with everything below `access`.
//!
//! The file is the single source of every role whose name begins with `R_`: what it has is created, what it no longer has goes,
//! and other roles are left alone. Names are made as they were made then: upper-case words with `_` between them.

use marked_yaml::Node;
use raito_config::Mistake;
use raito_config::keys::{Key, Shape, key, required};
use raito_config::reader::{Fields, Reader, node_place, parse};
use raito_core::naming::Alphabet;
use raito_core::text::{Kind, Name, PathPart, Remark, TargetName, escape};

use crate::document::{
    Asked, Document, Entry, Extent, Mode, ObjectName, Objects, Purpose, Scope, Spot, What, Who, WhoName,
};

/// What names of managed roles begin with.
const PREFIX: &str = "R_";
/// What the marker calls the repository of such files.
const REPOSITORY: &str = "access-file";

const FILE: &[Key] = &[
    required("accessProviders", Shape::Maps(PROVIDER), "the access providers"),
    key("lastCalculated", Shape::Integer(0, i64::MAX), "when the file was made"),
    key("fileBuildTime", Shape::Integer(0, i64::MAX), "how long that took"),
];

const PROVIDER: &[Key] = &[
    required("name", Shape::Text, "the name for people"),
    key("id", Shape::Text, "the id, which others refer to as ID:…"),
    key("description", Shape::Text, "what it is for"),
    key("namingHint", Shape::Text, "what the name at the target is made from"),
    key("actualName", Shape::Text, "the name at the target"),
    key("externalId", Shape::Text, "the id at the target"),
    key("type", Shape::Text, "the kind of access control"),
    key("action", Shape::Text, "what it does"),
    key("who", Shape::Map(WHO), "its members"),
    key("what", Shape::Maps(WHAT), "what they get"),
    key("access", Shape::Maps(ACCESS), "who and what, as older files have it"),
    key("delete", Shape::Boolean, "whether it goes"),
    key("owners", Shape::Maps(OWNER), "who answers for it"),
    key("deletedWho", Shape::Map(WHO), "not needed: what is not named goes"),
    key("deleteWhat", Shape::Maps(WHAT), "not needed: what is not named goes"),
    key("policyRule", Shape::Text, "which rows a filter shows"),
    key("whoLocked", Shape::Boolean, "whether its members stay as they are"),
    key("whatLocked", Shape::Boolean, "whether what it gives stays as it is"),
    key("inheritanceLocked", Shape::Boolean, "whether its roles stay as they are"),
    key("deleteLocked", Shape::Boolean, "whether it stays"),
    key("nameLocked", Shape::Boolean, "whether its name stays"),
    key("ownersLocked", Shape::Boolean, "whether its owners stay"),
];

const ACCESS: &[Key] = &[key("who", Shape::Map(WHO), "its members"), key("what", Shape::Maps(WHAT), "what they get")];

const WHO: &[Key] = &[
    key("users", Shape::Texts, "account names"),
    key("groups", Shape::Texts, "groups"),
    key("inheritFrom", Shape::Texts, "access providers whose members have this one as well"),
    key("recipients", Shape::Texts, "accounts of the same service"),
];

const WHAT: &[Key] = &[
    required("dataObject", Shape::Map(OBJECT), "the object"),
    key("permissions", Shape::Texts, "permissions"),
    key("globalPermissions", Shape::Texts, "READ, WRITE or ADMIN"),
];

const OBJECT: &[Key] = &[
    required("fullName", Shape::Text, "its path with dots"),
    key("type", Shape::Text, "its kind"),
    key("id", Shape::Text, "its id in a cloud"),
];

const OWNER: &[Key] = &[
    key("email", Shape::Text, "an address"),
    key("accountName", Shape::Text, "an account"),
    key("groupName", Shape::Text, "a group"),
];

/// Reads such a file for a target.
///
/// # Errors
/// All mistakes of the text, in their order; what has no place in access code is one.
pub fn read_original(text: &str, file: usize, target: &TargetName) -> Result<Document, Vec<Mistake>> {
    // A tab may stand between the values of JSON, and nowhere in YAML.
    let spaced = if text.trim_start().starts_with('{') { text.replace('\t', " ") } else { text.to_owned() };
    let node = parse(&spaced).map_err(|mistake| vec![mistake])?;
    let nothing = |_: &str| None;
    let mut reading = Reading { reader: Reader::new(&nothing), file, target, prefix: PREFIX };
    let document = reading.document(&node);
    let mut mistakes = reading.reader.mistakes;
    mistakes.sort();
    match document {
        Some(document) if mistakes.is_empty() => Ok(document),
        _ => Err(mistakes),
    }
}

/// What a saved file says of some access providers, and nothing of any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The access controls, and scopes that hold just their names.
    pub document: Document,
    /// Names for people of those that are created or changed.
    pub kept: Vec<String>,
    /// Names for people of those that are deleted.
    pub deleted: Vec<String>,
}

/// Reads such a file as what was sent to a target once: it says everything of the access providers in it whose name is wanted, also
/// that they are deleted, and nothing of others. Names have no prefix.
///
/// # Errors
/// All mistakes of the text, in their order; what has no place in access code is one.
pub fn read_saved(text: &str, target: &TargetName, wanted: &dyn Fn(&str) -> bool) -> Result<Saved, Vec<Mistake>> {
    let spaced = if text.trim_start().starts_with('{') { text.replace('\t', " ") } else { text.to_owned() };
    let node = parse(&spaced).map_err(|mistake| vec![mistake])?;
    let nothing = |_: &str| None;
    let mut reading = Reading { reader: Reader::new(&nothing), file: 0, target, prefix: "" };
    let saved = reading.saved(&node, wanted);
    let mut mistakes = reading.reader.mistakes;
    mistakes.sort();
    match saved {
        Some(saved) if mistakes.is_empty() => Ok(saved),
        _ => Err(mistakes),
    }
}

struct Reading<'v> {
    reader: Reader<'v>,
    file: usize,
    target: &'v TargetName,
    /// What made names begin with.
    prefix: &'static str,
}

/// Whether a value is there: `null` and nothing stand for none.
fn given<'n>(fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
    let node = fields.get(key)?;
    let none = node.as_scalar().is_some_and(|scalar| {
        scalar.as_str().is_empty() || (scalar.may_coerce() && matches!(scalar.as_str(), "null" | "~"))
    });
    (!none).then_some(node)
}

impl Reading<'_> {
    fn spot(&self, node: &Node) -> Spot {
        Spot { file: self.file, place: node_place(node) }
    }

    fn document(&mut self, node: &Node) -> Option<Document> {
        let fields = self.reader.map(node, FILE)?;
        let list = given(&fields, "accessProviders").map(|node| self.reader.list(node)).unwrap_or_default();
        let entries = self.providers(list);
        let scope = Scope {
            spot: self.spot(node),
            target: self.target.clone(),
            kind: None,
            extent: Extent::Names(vec![format!("{PREFIX}*").parse().ok()?]),
            mode: Mode::Enforced,
            retire_days: None,
        };
        let repository = Some((REPOSITORY.to_owned(), None));
        Some(Document { repository, scopes: vec![scope], entries, ..Document::default() })
    }

    /// The access providers that do not go.
    fn providers<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) -> Vec<Entry> {
        // Others refer to an access provider by its id before it has a name at the target.
        let mut ids = Vec::new();
        let mut entries = Vec::new();
        for node in nodes {
            if let Some((id, entry)) = self.provider(node) {
                ids.extend(id.map(|id| (id, entry.name.clone())));
                entries.push(entry);
            }
        }
        for who in entries.iter_mut().flat_map(|entry: &mut Entry| &mut entry.who) {
            let WhoName::Control(name) = &mut who.name else { continue };
            let by_id = name.as_str().strip_prefix("ID:").map(str::to_owned);
            if let Some((_, known)) = by_id.and_then(|wanted| ids.iter().find(|(id, _)| *id == wanted)) {
                *name = known.clone();
            }
        }
        entries
    }

    /// What a saved file says of the access providers that are wanted.
    fn saved(&mut self, node: &Node, wanted: &dyn Fn(&str) -> bool) -> Option<Saved> {
        let fields = self.reader.map(node, FILE)?;
        let list = given(&fields, "accessProviders").map(|node| self.reader.list(node)).unwrap_or_default();
        let (mut kept, mut deleted) = (Vec::new(), Vec::new());
        let (mut nodes, mut names) = (Vec::new(), Vec::new());
        for node in list {
            let Some(fields) = self.reader.map(node, PROVIDER) else { continue };
            let Some(name_node) = fields.get("name") else { continue };
            let Some(shown) = self.reader.text(name_node).filter(|shown| wanted(shown)) else { continue };
            let Some(name) = self.name(&fields, name_node, &shown) else { continue };
            match name.as_str().contains(['*', '?']) {
                // It would stand for other names as well.
                true => self.reader.wrong(node_place(name_node), format!("{name} cannot be told from a pattern"), None),
                false => names.extend(name.as_str().parse().ok()),
            }
            if given(&fields, "delete").and_then(|node| self.reader.boolean(node)) == Some(true) {
                deleted.push(shown);
            } else {
                kept.push(shown);
                nodes.push(node);
            }
        }
        let entries = self.providers(nodes);
        let scope = |names, mode| Scope {
            spot: self.spot(node),
            target: self.target.clone(),
            kind: None,
            extent: Extent::Names(names),
            mode,
            retire_days: None,
        };
        // What the file does not name stays, whoever made it.
        let scopes = vec![scope(names, Mode::Enforced), scope(Vec::new(), Mode::Additive)];
        let repository = Some((REPOSITORY.to_owned(), None));
        Some(Saved { document: Document { repository, scopes, entries, ..Document::default() }, kept, deleted })
    }

    /// An access provider; none for one that goes.
    fn provider(&mut self, node: &Node) -> Option<(Option<String>, Entry)> {
        let fields = self.reader.map(node, PROVIDER)?;
        for lock in ["whoLocked", "whatLocked", "inheritanceLocked"] {
            if given(&fields, lock).and_then(|node| self.reader.boolean(node)) == Some(true) {
                let help = Some("leave the access provider out, and its role is left alone".to_owned());
                self.reader.wrong(
                    fields.place(),
                    format!("{lock} cannot be kept by a file that is the only source"),
                    help,
                );
            }
        }
        let name_node = fields.get("name")?;
        let shown = self.reader.text(name_node)?;
        let id = given(&fields, "id").and_then(|node| self.reader.text(node));
        if given(&fields, "delete").and_then(|node| self.reader.boolean(node)) == Some(true) {
            return None;
        }
        let name = self.name(&fields, name_node, &shown)?;
        let purpose = self.purpose(&fields)?;
        let (mut who, mut what) = (Vec::new(), Vec::new());
        self.both(&fields, &mut who, &mut what);
        for nested in given(&fields, "access").map(|node| self.reader.list(node)).unwrap_or_default() {
            if let Some(nested) = self.reader.map(nested, ACCESS) {
                self.both(&nested, &mut who, &mut what);
            }
        }
        let description = given(&fields, "description").and_then(|node| self.reader.text(node)).unwrap_or_default();
        let described = if description.is_empty() { shown } else { format!("{shown}: {description}") };
        let entry = Entry {
            spot: self.spot(name_node),
            target: self.target.clone(),
            id: crate::read::usual_id(&name),
            name,
            kind: None,
            description: Remark::new(described).ok()?,
            owner: self.owner(&fields),
            purpose,
            who,
            what,
            mode: Mode::Enforced,
        };
        Some((id, entry))
    }

    /// The name at the target: the one that it has, or one that is made.
    fn name(&mut self, fields: &Fields<'_>, node: &Node, shown: &str) -> Option<Name> {
        if let Some(actual) = given(fields, "actualName") {
            return self.reader.parsed(actual);
        }
        let hint = given(fields, "namingHint").and_then(|node| self.reader.text(node));
        let alphabet = Alphabet { lower: false, upper: true, digits: true, between: Some('_'), max: 255 };
        match alphabet.translate(hint.as_deref().unwrap_or(shown)) {
            Ok(made) => Name::new(format!("{}{made}", self.prefix)).ok(),
            Err(error) => {
                self.reader.wrong(node_place(node), error.to_string(), Some("add a namingHint".to_owned()));
                None
            }
        }
    }

    fn purpose(&mut self, fields: &Fields<'_>) -> Option<Purpose> {
        let Some(node) = given(fields, "action") else { return Some(Purpose::Grant) };
        let action = self.reader.text(node)?;
        match action.to_lowercase().as_str() {
            "grant" | "purpose" => Some(Purpose::Grant),
            "mask" => {
                let kind = given(fields, "type").and_then(|node| self.reader.parsed(node));
                if kind.is_none() {
                    self.reader.wrong(fields.place(), "a mask needs a type", None);
                }
                kind.map(Purpose::Mask)
            }
            "filtered" => {
                let rule = given(fields, "policyRule").and_then(|node| self.reader.parsed(node));
                if rule.is_none() {
                    self.reader.wrong(fields.place(), "a filter needs a policyRule", None);
                }
                rule.map(|rule| Purpose::Filter(rule, None))
            }
            _ => {
                let help = Some("write grant, mask or filtered".to_owned());
                self.reader.wrong(node_place(node), format!("{} cannot be carried out", escape(&action)), help);
                None
            }
        }
    }

    fn owner(&mut self, fields: &Fields<'_>) -> Option<Name> {
        let first = self.reader.list(given(fields, "owners")?).first()?;
        let owner = self.reader.map(first, OWNER)?;
        let named = ["email", "accountName", "groupName"].into_iter().find_map(|key| given(&owner, key))?;
        self.reader.parsed(named)
    }

    fn both(&mut self, fields: &Fields<'_>, who: &mut Vec<Who>, what: &mut Vec<What>) {
        if let Some(fields) = given(fields, "who").and_then(|node| self.reader.map(node, WHO)) {
            self.members(&fields, who);
        }
        for node in given(fields, "what").map(|node| self.reader.list(node)).unwrap_or_default() {
            what.extend(self.what(node));
        }
    }

    fn members(&mut self, fields: &Fields<'_>, who: &mut Vec<Who>) {
        type Make = fn(Name) -> WhoName;
        const LISTS: [(&str, Make); 3] =
            [("users", WhoName::User), ("groups", WhoName::Group), ("inheritFrom", WhoName::Control)];
        for (key, make) in LISTS {
            for node in given(fields, key).map(|node| self.reader.list(node)).unwrap_or_default() {
                let Some(name) = self.reader.parsed(node).map(make) else { continue };
                who.push(Who {
                    spot: self.spot(node),
                    name,
                    expires_ms: None,
                    reason: None,
                    inherits: None,
                    assumable: None,
                    may_pass_on: false,
                });
            }
        }
        let recipients = given(fields, "recipients").map(|node| self.reader.list(node)).unwrap_or_default();
        if let Some(node) = recipients.first() {
            self.reader.wrong(node_place(node), "shares are not carried out from files", None);
        }
    }

    fn what(&mut self, node: &Node) -> Option<What> {
        let fields = self.reader.map(node, WHAT)?;
        let object_node = fields.get("dataObject")?;
        let object = self.reader.map(object_node, OBJECT)?;
        let kind = given(&object, "type").and_then(|node| self.kind(node));
        let full = object.get("fullName")?;
        let text = self.reader.text(full)?;
        let path: Result<Vec<PathPart>, _> = text.split('.').map(PathPart::new).collect();
        let Ok(path) = path else {
            self.reader.wrong(node_place(full), format!("{} is no path", escape(&text)), None);
            return None;
        };
        let mut permissions = Vec::new();
        for key in ["permissions", "globalPermissions"] {
            for node in given(&fields, key).map(|node| self.reader.list(node)).unwrap_or_default() {
                let Some(text) = self.reader.text(node) else { continue };
                let text = if key == "globalPermissions" { text.to_lowercase() } else { text };
                if let Ok(asked) = Asked::parse(&text) {
                    permissions.push((asked, self.spot(node)));
                }
            }
        }
        let objects = Objects::One(ObjectName { kind, path, signature: None });
        Some(What { spot: self.spot(node), objects, permissions, may_pass_on: false })
    }

    /// A kind of objects: those of targets are words with dashes, where older files have blanks or underscores.
    fn kind(&mut self, node: &Node) -> Option<Kind> {
        let text = self.reader.text(node)?.to_lowercase().replace([' ', '_'], "-");
        self.reader.parse_text(node, &text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document, Vec<Mistake>> {
        read_original(text, 0, &TargetName::new("shop").expect("a name"))
    }

    const FLAT: &str = "
accessProviders:
  - id: a1
    name: Data Scientist
    description: reads sales
    who: { users: [ann], groups: null, inheritFrom: [\"ID:a2\", OTHER] }
    what:
      - dataObject: { fullName: shop.sales.orders, type: table }
        permissions: [SELECT]
        globalPermissions: [READ]
  - { id: a2, name: x, namingHint: lead role, owners: [{ email: a@b.org }], delete: false }
  - { name: gone, delete: true }
";

    #[test]
    fn access_providers_become_roles_with_the_prefix() {
        let document = read(FLAT).expect("no mistakes");
        let [scientist, lead] = document.entries.as_slice() else { panic!("two entries") };
        assert_eq!((scientist.name.as_str(), lead.name.as_str()), ("R_DATA_SCIENTIST", "R_LEAD_ROLE"));
        assert_eq!(scientist.description.as_str(), "Data Scientist: reads sales");
        let members: Vec<String> = scientist.who.iter().map(|who| who.name.to_string()).collect();
        assert_eq!(members, ["user ann", "control R_LEAD_ROLE", "control OTHER"]);
        let asked: Vec<String> = scientist.what[0].permissions.iter().map(|(asked, _)| asked.to_string()).collect();
        assert_eq!(asked, ["SELECT", "read"]);
        assert_eq!(lead.owner.as_ref().map(Name::as_str), Some("a@b.org"));
        assert!(
            matches!(&document.scopes[0].extent, Extent::Names(names) if names[0].takes("R_X") && !names[0].takes("X"))
        );
    }

    #[test]
    fn nested_files_and_json_say_the_same() {
        let nested = "accessProviders:\n  - name: A\n    access:\n      - who: { users: [ann] }\n        what:\n          - \
                      { dataObject: { fullName: a.b, type: \"\" }, permissions: [SELECT] }\n";
        let json = "{\n\t\"accessProviders\": [{\"name\": \"A\", \"who\": {\"users\": [\"ann\"]}, \"what\": [\n\t\t{\"dataObject\": \
                    {\"fullName\": \"a.b\", \"type\": null}, \"permissions\": [\"SELECT\"]}]}]\n}\n";
        let said = |text: &str| {
            let document = read(text).expect("no mistakes");
            let entry = document.entries.into_iter().next().expect("an entry");
            (
                entry.name,
                entry.who.into_iter().map(|who| who.name).collect::<Vec<_>>(),
                entry.what.into_iter().map(|what| what.objects).collect::<Vec<_>>(),
            )
        };
        assert_eq!(said(nested), said(json));
    }

    #[test]
    fn what_has_no_place_in_access_code_is_a_mistake_with_its_line() {
        let wrong = |text: &str, line: usize, part: &str| {
            let mistakes = read(text).expect_err("a mistake");
            assert!(
                mistakes.len() == 1 && mistakes[0].place.line == line && mistakes[0].message.contains(part),
                "{mistakes:?}"
            );
        };
        wrong("accessProviders:\n  - { name: A, action: deny }\n", 2, "deny");
        wrong("accessProviders:\n  - { name: A, whoLocked: true }\n", 2, "whoLocked");
        wrong("accessProviders:\n  - name: A\n    who: { recipients: [x] }\n", 3, "shares");
        wrong("accessProviders:\n  - name: A\n    wo: {}\n", 3, "unknown key wo");
        wrong("accessProviders:\n  - { name: \"!!!\" }\n", 2, "nothing of !!!");
        assert_eq!(read("accessProvider: []\n").expect_err("unknown, and one is missing").len(), 2);
    }
}
