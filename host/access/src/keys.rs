//! What a file of access code may hold, as one table of keys.

use raito_config::keys::{Key, Shape, key, required};

/// What may be done about differences within a file's scope, from the weakest to the strongest.
pub(crate) const MODES: &[&str] = &["observe", "additive", "enforced"];
pub(crate) const ASSERTS: &[&str] = &["allowed", "denied"];
pub(crate) const HOW: &[&str] = &["active", "assumable", "obtainable"];
pub(crate) const SEVERITIES: &[&str] = &["warning", "error"];
/// Guardrails, in the order of [`crate::document::Rule`].
pub(crate) const RULES: &[&str] =
    &["no-everyone", "no-direct-users", "owner-required", "max-expiry", "separation", "tagged-needs-mask"];

pub(crate) const FILE: &[Key] = &[
    required("version", Shape::Integer(1, 1), "the version of this format: 1"),
    key(
        "repository",
        Shape::Text,
        "what the marker at the target calls this repository, such as corp/access; once is enough",
    ),
    key("owner", Shape::Text, "who answers for what this file says"),
    key("on", Shape::Text, "the target, for everything in this file that names none"),
    key("mode", Shape::Word(MODES), "what is done about differences: enforced unless said otherwise"),
    key("manages", Shape::Maps(MANAGES), "what this repository is the only source of: what no entry names goes"),
    key("grants", Shape::Maps(GRANT), "access controls that give permissions"),
    key("masks", Shape::Maps(MASK), "access controls that hide values of columns"),
    key("filters", Shape::Maps(FILTER), "access controls that show only some rows"),
    key("tests", Shape::Maps(TEST), "what must hold of the result, whatever way it came about"),
    key("policy", Shape::Maps(POLICY), "rules that all files keep to"),
];

pub(crate) const MANAGES: &[Key] = &[
    key("on", Shape::Text, "the target"),
    key(
        "kind",
        Shape::Text,
        "the kind of access control, such as role; the first one that can be created unless said otherwise",
    ),
    key("names", Shape::TextOrTexts, "names at the target, where * is any text and ? one character, such as R_*"),
    key("under", Shape::TextOrTexts, "objects: the access lists of all that stands below belong to this repository"),
    key(
        "retire-days",
        Shape::Integer(1, 3_650),
        "how many days what no entry names any more stays without members before it goes; it goes at once unless said otherwise",
    ),
];

pub(crate) const GRANT: &[Key] = &[
    required("name", Shape::Text, "the name at the target"),
    key(
        "id",
        Shape::Text,
        "what the marker at the target calls it, where the name may change; the name unless said otherwise",
    ),
    key("on", Shape::Text, "the target"),
    key("kind", Shape::Text, "the kind of access control; the first one that can be created unless said otherwise"),
    key("description", Shape::Text, "what it is for"),
    key("owner", Shape::Text, "who answers for it; the file's owner unless said otherwise"),
    key("who", Shape::Maps(WHO), "its members"),
    key("what", Shape::Maps(WHAT), "what they get"),
];

pub(crate) const MASK: &[Key] = &[
    required("name", Shape::Text, "the name at the target"),
    key("id", Shape::Text, "what the marker at the target calls it; the name unless said otherwise"),
    key("on", Shape::Text, "the target"),
    key("kind", Shape::Text, "the kind of access control; mask unless said otherwise"),
    key("description", Shape::Text, "what it is for"),
    key("owner", Shape::Text, "who answers for it"),
    required("type", Shape::Text, "the way to mask, as the target calls it, such as sha256"),
    required("what", Shape::Maps(OBJECTS), "the columns"),
    key("except", Shape::Maps(WHO), "who sees the values all the same"),
];

pub(crate) const FILTER: &[Key] = &[
    required("name", Shape::Text, "the name at the target"),
    key("id", Shape::Text, "what the marker at the target calls it; the name unless said otherwise"),
    key("on", Shape::Text, "the target"),
    key("kind", Shape::Text, "the kind of access control; filter unless said otherwise"),
    key("description", Shape::Text, "what it is for"),
    key("owner", Shape::Text, "who answers for it"),
    required("rule", Shape::Text, "which rows are shown, in the target's words"),
    key("check", Shape::Text, "which rows may be written, where that is another rule"),
    required("what", Shape::Maps(OBJECTS), "the tables"),
    key("who", Shape::Maps(WHO), "who sees these rows"),
];

pub(crate) const WHO: &[Key] = &[
    key("user", Shape::Text, "a user, by account name or e-mail address"),
    key("group", Shape::Text, "a group, by name"),
    key("control", Shape::Text, "another access control, by name"),
    key("special", Shape::Text, "a rule of the target, such as everyone"),
    key(
        "expires",
        Shape::Text,
        "the last day, such as 2026-12-31, or a time; afterwards it is as if this item were not there",
    ),
    key("reason", Shape::Text, "why"),
    key(
        "inherits",
        Shape::Boolean,
        "whether the member has the permissions without doing anything; true unless said otherwise",
    ),
    key(
        "assumable",
        Shape::Boolean,
        "whether the member can switch to the access control; what the kind allows unless said otherwise",
    ),
    key("may-pass-on", Shape::Boolean, "whether the member may admit others; false unless said otherwise"),
];

pub(crate) const WHAT: &[Key] = &[
    key(
        "object",
        Shape::TextOr(OBJECT),
        "one object: its path with dots, with its kind before it where several have that path",
    ),
    key("select", Shape::Map(SELECT), "all objects that are like this"),
    key("future", Shape::Map(FUTURE), "objects that are created later"),
    required("permissions", Shape::Texts, "native permissions, or read, write, admin"),
    key("may-pass-on", Shape::Boolean, "whether they may be granted on; false unless said otherwise"),
];

pub(crate) const OBJECTS: &[Key] = &[
    key(
        "object",
        Shape::TextOr(OBJECT),
        "one object: its path with dots, with its kind before it where several have that path",
    ),
    key("select", Shape::Map(SELECT), "all objects that are like this"),
];

pub(crate) const OBJECT: &[Key] = &[
    required("kind", Shape::Text, "its kind, such as table"),
    required("path", Shape::Texts, "the names from the outermost object to this one"),
    key("signature", Shape::Text, "what tells it from others of the same path, such as argument types"),
];

pub(crate) const SELECT: &[Key] = &[
    required("kind", Shape::Text, "their kind, such as table"),
    key("under", Shape::Text, "the object that they stand below, at any depth"),
    key("names", Shape::TextOrTexts, "their own names, where * is any text and ? one character"),
    key("tags", Shape::TextMap, "tags that all of them carry"),
    key(
        "future",
        Shape::Boolean,
        "whether those that are created later are covered as well; false unless said otherwise",
    ),
    key("creators", Shape::Texts, "who creates those, where the target asks for it"),
];

pub(crate) const FUTURE: &[Key] = &[
    required("kind", Shape::Text, "their kind, such as table"),
    required("under", Shape::Text, "the object below which they are created"),
    key("creators", Shape::Texts, "access controls that create them; anybody unless said otherwise"),
];

pub(crate) const TEST: &[Key] = &[
    required("assert", Shape::Word(ASSERTS), "what must hold"),
    required("user", Shape::Text, "who, by account name or e-mail address"),
    key("on", Shape::Text, "the target"),
    required("object", Shape::TextOr(OBJECT), "on what"),
    required("permission", Shape::Text, "a native permission, or read, write, admin"),
    key(
        "how",
        Shape::Word(HOW),
        "allowed: active unless said otherwise; denied: not even assumable unless said otherwise",
    ),
];

pub(crate) const POLICY: &[Key] = &[
    required("rule", Shape::Word(RULES), "which rule"),
    key("severity", Shape::Word(SEVERITIES), "warning: it is said; error, unless said otherwise: nothing is applied"),
    key("days", Shape::Integer(1, 36_500), "max-expiry: how many days from today a user may be a member"),
    key("controls", Shape::Texts, "separation: access controls of which nobody may have two"),
    key("tag", Shape::TextMap, "tagged-needs-mask: the tag, with its value or *"),
    key("waivers", Shape::Maps(WAIVER), "what is let through for a time"),
];

pub(crate) const WAIVER: &[Key] = &[
    required("about", Shape::Text, "the entry, the user or the object that the rule is waived for"),
    required("until", Shape::Text, "the last day, such as 2026-12-31"),
    required("reason", Shape::Text, "why"),
];
