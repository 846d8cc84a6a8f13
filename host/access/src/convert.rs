//! `convert`: files of other tools as access code. What has no place in it is listed with its line, and not passed over.

mod ldap2pg;
mod permifrost;
mod text;

use raito_config::Mistake;
use raito_core::text::{Name, Remark, TargetName};

use crate::document::{Document, Entry, Mode, Purpose, Spot};

pub use text::document_text;
pub(crate) use text::entry_text;

/// Which tool wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first `raito access`.
    Raito,
    /// Permifrost (gitlab.com/gitlab-data/permifrost): roles and users of Snowflake.
    Permifrost,
    /// ldap2pg (ldap2pg.readthedocs.io): roles and privileges of PostgreSQL; only what is static.
    Ldap2pg,
}

/// What has no place in access code, each with where it stands.
type Left = Vec<(Spot, String)>;

/// A file as access code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The code.
    pub text: String,
    /// What is left out, each with where it stands.
    pub left: Vec<(Spot, String)>,
}

/// Converts the text of a file, for a target.
///
/// # Errors
/// All mistakes of the text, in their order.
pub fn convert(text: &str, from: From, target: &TargetName) -> Result<Converted, Vec<Mistake>> {
    let (document, left): (Document, _) = match from {
        From::Raito => (crate::read_original(text, 0, target)?, Vec::new()),
        From::Permifrost => permifrost::read(text, target)?,
        From::Ldap2pg => ldap2pg::read(text, target)?,
    };
    Ok(Converted { text: document_text(&document, target), left })
}

/// An entry of a grant that says nothing yet.
fn bare_entry(target: TargetName, name: &Name, at: Spot) -> Entry {
    Entry {
        spot: at,
        target,
        id: crate::read::usual_id(name),
        name: name.clone(),
        kind: None,
        description: Remark::new("").expect("may be empty"),
        owner: None,
        purpose: Purpose::Grant,
        who: Vec::new(),
        what: Vec::new(),
        mode: Mode::Enforced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::{Source, read_code};

    fn target() -> TargetName {
        TargetName::new("shop").expect("a name")
    }

    #[track_caller]
    fn converted(text: &str, from: From) -> Converted {
        let converted = convert(text, from, &target()).expect("no mistakes");
        let source = Source { path: "a.yml".into(), text: converted.text.clone() };
        read_code(&[source]).unwrap_or_else(|wrong| panic!("{wrong:?}\n{}", converted.text));
        assert_eq!(crate::format::format_text(&converted.text).as_deref(), Ok(converted.text.as_str()));
        converted
    }

    #[test]
    fn a_file_of_the_first_raito_access_becomes_access_code() {
        let file = "accessProviders:\n  - name: Data Scientist\n    owners: [{ email: a@b.org }]\n    who: { users: [ann], groups: [g], \
                    inheritFrom: [X] }\n    what:\n      - { dataObject: { fullName: a.b.c, type: table }, permissions: [SELECT] }\n";
        let converted = converted(file, From::Raito);
        assert_eq!(
            converted.text,
            "version: 1\nrepository: access-file\non: shop\nmanages:\n  - { names: \"R_*\" }\ngrants:\n  - name: R_DATA_SCIENTIST\n    \
             description: Data Scientist\n    owner: a@b.org\n    who:\n      - { user: ann }\n      - { group: g }\n      - { control: X }\n    \
             what:\n      - { object: table a.b.c, permissions: [SELECT] }\n"
        );
    }

    #[test]
    fn a_file_of_permifrost_becomes_access_code() {
        let file = "version: \"1.0\"\ndatabases:\n  - raw: { shared: no }\nroles:\n  - analyst:\n      member_of: [reader]\n      \
                    warehouses: [small]\n      privileges:\n        databases: { read: [raw] }\n        schemas: { read: [raw.*, raw.a_*] }\n        \
                    tables: { read: [raw.a.*], write: [raw.*.*, raw.a.t] }\n      owns: { databases: [raw] }\n  - reader:\n      spec: x\n\
                    users:\n  - ann: { can_login: yes, member_of: [analyst] }\nwarehouses:\n  - small: { size: x-small }\n";
        let converted = converted(file, From::Permifrost);
        for part in [
            "- name: analyst\n    who:\n      - { user: ann }\n",
            "- { object: database raw, permissions: [read] }",
            "- { select: { kind: schema, under: raw, future: true }, permissions: [read] }",
            "- { select: { kind: schema, under: raw, names: [\"a_*\"] }, permissions: [read] }",
            "- { select: { kind: table, under: raw.a, future: true }, permissions: [read] }",
            "- { select: { kind: table, under: raw, future: true }, permissions: [read, write] }",
            "- { object: raw.a.t, permissions: [read, write] }",
            "- { object: warehouse small, permissions: [USAGE] }",
            "- name: reader\n    who:\n      - { control: analyst }\n",
        ] {
            assert!(converted.text.contains(part), "{part} is not in\n{}", converted.text);
        }
        let left: Vec<(usize, &str)> =
            converted.left.iter().map(|(spot, what)| (spot.place.line, what.as_str())).collect();
        assert!(left.iter().any(|(line, what)| *line == 12 && what.contains("owns")), "{left:?}");
        assert!(left.iter().any(|(line, what)| *line == 14 && what.contains("spec")), "{left:?}");
    }

    #[test]
    fn a_file_of_ldap2pg_becomes_access_code() {
        let file = "version: 6\npostgres: { databases_query: [app] }\nprivileges:\n  ro: [__connect__, __usage_on_schemas__, __select_on_tables__]\n  \
                    rw:\n    - ro\n    - { type: [INSERT, UPDATE], on: ALL TABLES IN SCHEMA }\n    - { type: USAGE, on: LANGUAGE }\nrules:\n  \
                    - description: static\n    roles:\n      - { name: readers, comment: who reads, parents: [staff] }\n      \
                    - { names: [etl], options: LOGIN, parent: readers }\n      - staff\n    grant:\n      \
                    - { privilege: ro, role: readers, database: app, schema: public, owner: etl }\n      \
                    - { privilege: rw, role: staff, database: app }\n  - ldapsearch: { base: \"ou=people,dc=x\", filter: \"(cn=*)\" }\n    \
                    role: { name: '{cn}', options: LOGIN }\n";
        let converted = converted(file, From::Ldap2pg);
        for part in [
            "- name: readers\n    description: who reads\n    who:\n      - { user: etl }\n",
            "- { object: database app, permissions: [CONNECT] }",
            "- { object: schema app.public, permissions: [USAGE] }",
            "- { select: { kind: table, under: schema app.public }, permissions: [SELECT] }",
            "- { select: { kind: view, under: schema app.public }, permissions: [SELECT] }",
            "- { future: { kind: table, under: schema app.public, creators: [etl] }, permissions: [SELECT] }",
            "- name: staff\n    who:\n      - { control: readers }\n",
            "- { select: { kind: schema, under: database app }, permissions: [USAGE] }",
            "- { select: { kind: table, under: database app }, permissions: [SELECT, INSERT, UPDATE] }",
        ] {
            assert!(converted.text.contains(part), "{part} is not in\n{}", converted.text);
        }
        let left: Vec<(usize, &str)> =
            converted.left.iter().map(|(spot, what)| (spot.place.line, what.as_str())).collect();
        for (line, part) in [
            (2, "postgres"),
            (8, "rw: a privilege on something else"),
            (13, "etl: who logs in is a user"),
            (17, "rw: default privileges of owners that are only found at the server"),
            (18, "an LDAP search below ou=people,dc=x"),
        ] {
            assert!(left.iter().any(|(at, what)| *at == line && what.contains(part)), "{line} {part}: {left:#?}");
        }
    }

    #[test]
    fn profiles_that_include_one_another_are_looked_at_once_each_and_a_circle_is_left_out() {
        let includes = |at: usize| format!("  p{at}: [{}]\n", vec![format!("p{}", at + 1); 20].join(", "));
        let doubling: String = (0..15).map(includes).collect();
        let file = format!(
            "privileges:\n{doubling}  p15: [__connect__]\n  circle: [back]\n  back: [circle]\nrules:\n  - roles: [{{ name: readers }}]\n    \
             grant:\n      - {{ privilege: p0, role: readers, database: app }}\n      - {{ privilege: circle, role: readers, database: app }}\n"
        );
        let converted = converted(&file, From::Ldap2pg);
        assert!(converted.text.contains("{ object: database app, permissions: [CONNECT] }"), "{}", converted.text);
        assert!(converted.left.iter().any(|(_, what)| what.contains("circle")), "{:#?}", converted.left);
    }

    #[test]
    fn what_is_no_such_file_is_told_with_its_line() {
        let wrong = convert("roles: 7\n", From::Permifrost, &target()).expect_err("a mistake");
        assert_eq!(wrong[0].place.line, 1);
    }
}
