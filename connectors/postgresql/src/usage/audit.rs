//! Lines of pgaudit (README of pgaudit, "Format"): `AUDIT: SESSION,1,1,READ,SELECT,TABLE,sales.orders,"select …",<not logged>`.

use raito_sdk::data_usage::Access;

use super::entries::fields;
use crate::names::object_ref;
use crate::references::qualified;

/// One line: one relation that a statement used, or the statement where it used none or where relations are not logged.
#[derive(Debug)]
pub(crate) struct Audited {
    /// The number of the statement in its session, and of the part of it.
    pub(crate) statement: String,
    /// What was used.
    pub(crate) used: Used,
    /// The text, unless it was logged before.
    pub(crate) text: Option<String>,
}

/// What a line says of a relation.
#[derive(Debug)]
pub(crate) enum Used {
    /// One that is reported.
    Object(Access),
    /// One of the catalogue.
    System,
    /// The line names none.
    Nothing,
}

/// Reads a message. None where it is no line of pgaudit about reading or writing rows.
pub(crate) fn audited(message: &str, database: &str, is_system: impl Fn(&str) -> bool) -> Option<Audited> {
    let line = message.strip_prefix("AUDIT: ")?;
    let fields = fields(line);
    let [kind, statement, part, class, command, object_type, object_name, text, ..] = fields.as_slice() else {
        return None;
    };
    if !matches!(kind.as_str(), "SESSION" | "OBJECT") || !matches!(class.as_str(), "READ" | "WRITE") {
        return None;
    }
    let used = match (relation_kind(object_type), qualified(object_name)) {
        (Some(_), Some((schema, _))) if is_system(&schema) => Used::System,
        (Some(kind), Some((schema, name))) => {
            let action = command.split(' ').next().unwrap_or_default().to_owned();
            Used::Object(Access { object: object_ref(kind, &[database, &schema, &name]), action })
        }
        // An index or a composite type belongs to its table, which has a line of its own.
        _ if !object_type.is_empty() => Used::System,
        _ => Used::Nothing,
    };
    let text = (!text.starts_with("<previously logged>") && !text.starts_with("<not logged>")).then(|| text.clone());
    Some(Audited { statement: format!("{statement}.{part}"), used, text })
}

fn relation_kind(word: &str) -> Option<&'static str> {
    match word {
        "TABLE" => Some("table"),
        "VIEW" => Some("view"),
        "MATERIALIZED VIEW" => Some("materialized-view"),
        "FOREIGN TABLE" => Some("foreign-table"),
        "SEQUENCE" => Some("sequence"),
        _ => None,
    }
}

/// Whether a setting of `pgaudit.log`, such as `read, write` or `all, -misc`, has both reading and writing logged.
pub(crate) fn is_whole(setting: &str) -> bool {
    let (mut read, mut write) = (false, false);
    for word in setting.split(',').map(|word| word.trim().to_lowercase()) {
        let (on, class) = word.strip_prefix('-').map_or((true, word.as_str()), |class| (false, class));
        read = if matches!(class, "all" | "read") { on } else { read };
        write = if matches!(class, "all" | "write") { on } else { write };
    }
    read && write
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> Option<Audited> {
        audited(message, "shop", |schema| schema == "pg_catalog")
    }

    #[test]
    fn a_line_names_a_relation_and_what_was_done() {
        let line =
            told(r#"AUDIT: SESSION,3,1,READ,SELECT,TABLE,"sales.""My, orders""","select 1, ""x""",<not logged>"#)
                .expect("a line");
        let Used::Object(access) = line.used else { panic!("{line:?}") };
        assert_eq!((access.action.as_str(), access.object.path.join("|")), ("SELECT", "shop|sales|My, orders".into()));
        assert_eq!((line.statement.as_str(), line.text.as_deref()), ("3.1", Some("select 1, \"x\"")));
        let line = told("AUDIT: SESSION,3,1,WRITE,TRUNCATE TABLE,TABLE,s.a,<previously logged>,<previously logged>")
            .expect("a line");
        assert!(line.text.is_none() && matches!(line.used, Used::Object(access) if access.action == "TRUNCATE"));
    }

    #[test]
    fn what_is_not_about_rows_is_left_out() {
        assert!(told("AUDIT: SESSION,1,1,DDL,CREATE TABLE,TABLE,s.a,x,y").is_none());
        assert!(told("connection received").is_none());
        assert!(told("AUDIT: SESSION,1").is_none());
        let used = |message| told(message).map(|line| line.used);
        assert!(matches!(used("AUDIT: SESSION,1,1,READ,SELECT,TABLE,pg_catalog.pg_class,x,y"), Some(Used::System)));
        assert!(matches!(used("AUDIT: SESSION,1,1,READ,SELECT,,,select 1,y"), Some(Used::Nothing)));
    }

    #[test]
    fn a_setting_is_whole_where_reading_and_writing_are_logged() {
        assert!(is_whole("read, write") && is_whole("all") && is_whole("ALL, -misc") && is_whole("none, all"));
        assert!(
            !is_whole("none")
                && !is_whole("read")
                && !is_whole("all, -write")
                && !is_whole("")
                && !is_whole("ddl,role")
        );
    }
}
