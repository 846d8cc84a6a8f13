//! `convert`: files of other tools as access code. What has no place in it is listed with its line, and not passed over.

mod permifrost;
mod text;

use raito_config::Mistake;
use raito_core::text::TargetName;

use crate::document::{Document, Spot};

pub use text::document_text;

/// Which tool wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The first `raito access`.
    Raito,
    /// Permifrost (pypi.org/project/permifrost): roles and users of Snowflake.
    Permifrost,
}

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
    };
    Ok(Converted { text: document_text(&document, target), left })
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
    fn what_is_no_such_file_is_told_with_its_line() {
        let wrong = convert("roles: 7\n", From::Permifrost, &target()).expect_err("a mistake");
        assert_eq!(wrong[0].place.line, 1);
    }
}
