//! Reading one file of access code: strictly, and all mistakes at once.

mod entry;
mod items;

use marked_yaml::Node;
use raito_config::reader::{Fields, Reader, node_place, parse};
use raito_config::{Mistake, Place};
use raito_core::expansion::How;
use raito_core::limits;
use raito_core::text::{Name, TagValue, TargetName, escape};

pub(crate) use self::entry::usual_id;
use self::entry::{Purposes, entries};
use self::items::{asked, object};
use crate::document::{Document, Extent, Guardrail, Mode, Rule, Scope, Severity, Spot, Test, Waiver};
use crate::keys::{ASSERTS, FILE, HOW, MANAGES, MODES, POLICY, RULES, SEVERITIES, TEST, WAIVER};

/// Reads the text of one file. `file` is its position among those that are read.
///
/// # Errors
/// All mistakes of the text, in their order.
pub fn read_document(text: &str, file: usize) -> Result<Document, Vec<Mistake>> {
    let node = parse(text).map_err(|mistake| vec![mistake])?;
    let nothing = |_: &str| None;
    let mut reading = Reading { reader: Reader::new(&nothing), file, target: None, mode: Mode::Enforced, owner: None };
    let document = reading.document(&node);
    let mut mistakes = reading.reader.mistakes;
    mistakes.sort();
    match document {
        Some(document) if mistakes.is_empty() => Ok(document),
        _ => Err(mistakes),
    }
}

/// A file that is being read, with what holds for all of it.
struct Reading<'v> {
    reader: Reader<'v>,
    file: usize,
    /// The target that the file names; where it names one wrongly, nobody has to name one again.
    target: Option<Option<TargetName>>,
    mode: Mode,
    owner: Option<Name>,
}

impl Reading<'_> {
    fn spot(&self, node: &Node) -> Spot {
        self.spot_at(node_place(node))
    }

    fn spot_at(&self, place: Place) -> Spot {
        Spot { file: self.file, place }
    }

    fn document(&mut self, node: &Node) -> Option<Document> {
        let fields = self.reader.map(node, FILE)?;
        fields.get("version").and_then(|node| self.reader.integer(node, 1, 1));
        self.target = fields.get("on").map(|node| self.reader.parsed(node));
        self.owner = fields.get("owner").and_then(|node| self.reader.parsed(node));
        self.mode = match fields.get("mode").and_then(|node| self.reader.word(node, MODES)) {
            Some(0) => Mode::Observe,
            Some(1) => Mode::Additive,
            _ => Mode::Enforced,
        };
        let repository = fields.get("repository").and_then(|node| self.repository(node));
        let mut document = Document { repository, ..Document::default() };
        if let Some(node) = fields.get("manages") {
            document.scopes = self.each(node, Self::scope);
        }
        for purpose in Purposes::ALL {
            if let Some(node) = fields.get(purpose.key()) {
                document.entries.extend(entries(self, node, purpose));
            }
        }
        if let Some(node) = fields.get("tests") {
            document.tests = self.each(node, Self::test);
        }
        if let Some(node) = fields.get("policy") {
            document.policy = self.each(node, Self::guardrail);
        }
        Some(document)
    }

    /// The items of a list, each read by `read`.
    fn each<T>(&mut self, node: &Node, read: impl Fn(&mut Self, &Node) -> Option<T>) -> Vec<T> {
        let items = self.reader.list(node);
        if items.len() > limits::ACCESS_ITEMS {
            let message = format!("a list has at most {} items", limits::ACCESS_ITEMS);
            self.reader.wrong(node_place(node), message, Some("write the rest into another file".into()));
            return Vec::new();
        }
        items.iter().filter_map(|item| read(self, item)).collect()
    }

    /// What the marker at the target calls this repository.
    fn repository(&mut self, node: &Node) -> Option<(String, Option<Spot>)> {
        let name = self.reader.text(node)?;
        if let Err(error) = format!("git:{name}").parse::<raito_core::marker::Master>() {
            let help = Some("write it as in corp/access".to_owned());
            self.reader.wrong(node_place(node), format!("{}: {error}", escape(&name)), help);
            return None;
        }
        Some((name, Some(self.spot(node))))
    }

    /// The target of something: its own, or that of the file.
    fn target(&mut self, fields: &Fields<'_>) -> Option<TargetName> {
        if let Some(node) = fields.get("on") {
            return self.reader.parsed(node);
        }
        if self.target.is_none() {
            let help = Some("write on: with the target's name here, or once for the whole file".to_owned());
            self.reader.wrong(fields.place(), "no target is named", help);
        }
        self.target.clone().flatten()
    }

    fn scope(&mut self, node: &Node) -> Option<Scope> {
        let fields = self.reader.map(node, MANAGES)?;
        let target = self.target(&fields);
        let kind = fields.get("kind").and_then(|node| self.reader.parsed(node));
        let extent = match (fields.get("names"), fields.get("under")) {
            (Some(names), None) => Some(Extent::Names(self.texts(names))),
            (None, Some(under)) => {
                let nodes: Vec<&Node> = match under.as_sequence() {
                    Some(list) => list.iter().collect(),
                    None => vec![under],
                };
                Some(Extent::Under(nodes.into_iter().filter_map(|node| object(self, node)).collect()))
            }
            _ => {
                let help = Some("write names: for access controls with names, under: for lists of objects".to_owned());
                self.reader.wrong(fields.place(), "what is managed is told by names or by objects", help);
                None
            }
        };
        Some(Scope { spot: self.spot(node), target: target?, kind, extent: extent?, mode: self.mode })
    }

    /// One value, or a list of them.
    fn texts<T: std::str::FromStr>(&mut self, node: &Node) -> Vec<T>
    where
        T::Err: std::fmt::Display,
    {
        match node.as_sequence() {
            Some(_) => self.reader.all_parsed(node),
            None => self.reader.parsed(node).into_iter().collect(),
        }
    }

    fn test(&mut self, node: &Node) -> Option<Test> {
        let fields = self.reader.map(node, TEST)?;
        let target = self.target(&fields);
        let allowed = fields.get("assert").and_then(|node| self.reader.word(node, ASSERTS)).map(|word| word == 0);
        let user = fields.get("user").and_then(|node| self.reader.parsed(node));
        let on = fields.get("object").and_then(|node| object(self, node));
        let permission = fields.get("permission").and_then(|node| asked(self, node));
        let how = fields.get("how").and_then(|node| self.reader.word(node, HOW)).map(|word| How::ALL[word]);
        let allowed = allowed?;
        Some(Test {
            spot: self.spot(node),
            target: target?,
            allowed,
            user: user?,
            object: on?,
            permission: permission?.0,
            how: how.unwrap_or(if allowed { How::Active } else { How::Assumable }),
        })
    }

    fn guardrail(&mut self, node: &Node) -> Option<Guardrail> {
        let fields = self.reader.map(node, POLICY)?;
        let word = fields.get("rule").and_then(|node| self.reader.word(node, RULES));
        let severity = match fields.get("severity").and_then(|node| self.reader.word(node, SEVERITIES)) {
            Some(0) => Severity::Warning,
            _ => Severity::Error,
        };
        let waivers = fields.get("waivers").map(|node| self.each(node, Self::waiver)).unwrap_or_default();
        let rule = self.rule(&fields, word?)?;
        Some(Guardrail { spot: self.spot(node), rule, severity, waivers })
    }

    /// The rule with its argument; an argument of another rule is a mistake.
    fn rule(&mut self, fields: &Fields<'_>, word: usize) -> Option<Rule> {
        const ARGUMENTS: [(&str, usize); 3] = [("days", 3), ("controls", 4), ("tag", 5)];
        for (key, of) in ARGUMENTS {
            match fields.get(key) {
                Some(node) if of != word => {
                    let message = format!("{key} is for the rule {}, and this one is {}", RULES[of], RULES[word]);
                    self.reader.wrong(node_place(node), message, None);
                }
                None if of == word => {
                    self.reader.wrong(fields.place(), format!("the rule {} needs {key}", RULES[word]), None);
                }
                _ => {}
            }
        }
        match word {
            0 => Some(Rule::NoEveryone),
            1 => Some(Rule::NoDirectUsers),
            2 => Some(Rule::OwnerRequired),
            3 => {
                let days = fields.get("days").and_then(|node| self.reader.integer(node, 1, 36_500))?;
                Some(Rule::MaxExpiry(u32::try_from(days).ok()?))
            }
            4 => {
                let node = fields.get("controls")?;
                let controls: Vec<Name> = self.reader.all_parsed(node);
                if controls.len() < 2 {
                    self.reader.wrong(node_place(node), "there are at least two to be kept apart", None);
                }
                Some(Rule::Separation(controls))
            }
            _ => {
                let node = fields.get("tag")?;
                match self.tags(node).as_slice() {
                    [(key, value)] => {
                        let any = value.as_str() == "*";
                        Some(Rule::TaggedNeedsMask(key.clone(), (!any).then(|| value.clone())))
                    }
                    _ => {
                        self.reader.wrong(node_place(node), "one tag is expected here, such as { pii: email }", None);
                        None
                    }
                }
            }
        }
    }

    fn waiver(&mut self, node: &Node) -> Option<Waiver> {
        let fields = self.reader.map(node, WAIVER)?;
        let about = fields.get("about").and_then(|node| self.reader.text(node));
        let until_ms = fields.get("until").and_then(|node| self.end(node));
        let reason = fields.get("reason").and_then(|node| self.reader.parsed(node));
        Some(Waiver { about: about?, until_ms: until_ms?, reason: reason? })
    }

    /// Tags, each with its value.
    fn tags(&mut self, node: &Node) -> Vec<(Name, TagValue)> {
        let Some(fields) = self.reader.names(node, "tags, each with its value") else { return Vec::new() };
        let mut tags = Vec::new();
        for (key, value) in fields.iter() {
            let key = self.reader.parse_text(&Node::from(key.clone()), key.as_str());
            if let (Some(key), Some(value)) = (key, self.reader.parsed(value)) {
                tags.push((key, value));
            }
        }
        tags
    }

    /// When something ends, in milliseconds since 1970: a day counts to its end, in UTC.
    fn end(&mut self, node: &Node) -> Option<u64> {
        let text = self.reader.text(node)?;
        let end = crate::time::end(&text);
        if end.is_none() {
            let help =
                Some("write the last day, such as 2026-12-31, or a time, such as 2026-12-31T18:00:00Z".to_owned());
            self.reader.wrong(node_place(node), format!("{} is no day", escape(&text)), help);
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Objects, Purpose, WhoName};

    /// One mistake is expected in the text, which says this in this line.
    #[track_caller]
    fn wrong(text: &str, line: usize, parts: &[&str]) {
        let mistakes = read_document(text, 0).expect_err("a mistake");
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert_eq!(mistakes[0].place.line, line, "{mistakes:?}");
        let said = mistakes[0].to_string();
        parts.iter().for_each(|part| assert!(said.contains(part), "{part} is not in {said}"));
    }

    const WHOLE: &str = "
version: 1
repository: corp/access
owner: team@corp
on: shop
mode: additive
manages:
  - kind: role
    names: [R_*, S_?]
  - { on: lake, kind: dataset-access, under: sales }
grants:
  - name: R_READERS
    id: readers
    description: who reads
    who:
      - { user: ann@corp, expires: 2026-12-31, reason: JIRA-1, inherits: false }
      - { control: R_OTHERS, may-pass-on: true }
    what:
      - { object: table shop.sales.orders, permissions: [SELECT, read], may-pass-on: true }
      - select: { kind: table, under: shop.sales, future: true, creators: [etl] }
        permissions: [write]
      - { future: { kind: table, under: shop.sales }, permissions: [SELECT] }
masks:
  - { name: emails, type: sha256, what: [{ select: { kind: column, tags: { pii: email } } }], except: [{ group: privacy }] }
filters:
  - { name: eu, rule: region = 'eu', what: [{ object: shop.sales.orders }], who: [{ special: everyone }] }
tests:
  - { assert: denied, user: bob, object: shop.sales.orders, permission: SELECT }
policy:
  - { rule: max-expiry, days: 90, severity: warning }
  - rule: separation
    controls: [A, B]
    waivers: [{ about: bob, until: 2026-12-31, reason: for now }]
  - { rule: tagged-needs-mask, tag: { pii: '*' } }
";

    #[test]
    fn everything_that_a_file_may_hold_is_read() {
        let document = read_document(WHOLE, 3).expect("no mistakes");
        let [readers, emails, eu] = document.entries.as_slice() else { panic!("three entries") };
        assert_eq!(
            (readers.id.as_str(), readers.name.as_str(), readers.mode),
            ("readers", "R_READERS", Mode::Additive)
        );
        assert_eq!(readers.who[0].name, WhoName::User(Name::new("ann@corp").expect("a name")));
        assert_eq!(readers.who[0].expires_ms, Some(1_798_761_600_000), "the end of the day");
        assert_eq!(readers.spot.file, 3);
        assert!(matches!(&readers.what[1].objects, Objects::Select(selector) if selector.future));
        assert!(matches!(emails.purpose, Purpose::Mask(_)) && matches!(eu.purpose, Purpose::Filter(..)));
        assert_eq!(document.scopes[1].target.as_str(), "lake");
        assert_eq!((document.tests[0].allowed, document.tests[0].how), (false, How::Assumable));
        assert_eq!(document.policy[2].rule, Rule::TaggedNeedsMask(Name::new("pii").expect("a name"), None));
    }

    #[test]
    fn mistakes_are_told_with_their_lines() {
        wrong("version: 1\non: a\ngrant: []\n", 3, &["unknown key grant", "did you mean grants?"]);
        wrong("version: 2\n", 1, &["1 is expected here"]);
        wrong("- version: 1\n", 1, &["does not hold keys and values", "a key and a colon"]);
        wrong("on: a\n", 1, &["version"]);
        wrong("version: 1\nmode: enforce\n", 2, &["enforced"]);
        wrong("version: 1\ngrants:\n  - name: R\n", 3, &["no target", "on:"]);
        wrong("version: 1\non: a\ngrants:\n  - name: R\n    who:\n      - {}\n", 6, &["one member"]);
        wrong("version: 1\non: a\ngrants:\n  - name: R\n    who:\n      - { user: a, group: b }\n", 6, &["one member"]);
        wrong(
            "version: 1\non: a\ngrants:\n  - name: R\n    what:\n      - { object: a..b, permissions: [x] }\n",
            6,
            &["no object"],
        );
        wrong("version: 1\non: a\ngrants:\n  - name: R\n    what:\n      - { object: a }\n", 6, &["permissions"]);
        let future =
            "version: 1\non: a\ngrants:\n  - name: R\n    what:\n      - select: { kind: table, future: true, ";
        wrong(&format!("{future}under: a, tags: {{ a: b }} }}\n        permissions: [x]\n"), 6, &["by tags"]);
        wrong(&format!("{future}under: a, names: b* }}\n        permissions: [x]\n"), 6, &["by names"]);
        wrong("version: 1\non: a\nmanages:\n  - { names: a, under: b }\n", 4, &["by names or by objects"]);
        wrong("version: 1\npolicy:\n  - { rule: owner-required, days: 3 }\n", 3, &["max-expiry"]);
        wrong("version: 1\npolicy:\n  - { rule: max-expiry }\n", 3, &["needs days"]);
        wrong("version: 1\nrepository: a b\n", 2, &["corp/access"]);
        wrong("version: 1\non: a\ngrants:\n  - name: R\n    who: [{ user: a, expires: soon }]\n", 5, &["2026-12-31"]);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = "version: 1\nmod: enforced\non: a b\ngrants:\n  - nam: R\n    who: 7\n";
        assert_eq!(read_document(text, 0).expect_err("mistakes").len(), 5);
    }
}
