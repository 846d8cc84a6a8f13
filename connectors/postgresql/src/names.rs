//! External ids and references. Ids are made of oids, which stay when something is renamed; references of names, which is
//! how grants and statements speak of things. Oids are unique only within their catalogue, so each carries a letter.

use raito_sdk::ObjectRef;

/// The control that stands for everybody (`grantee = 0` in the catalogue).
pub(crate) const PUBLIC: &str = "public";

/// The kind of the control that stands for a role that was dropped while something still names it.
pub(crate) const DROPPED: &str = "dropped-role";

/// The object above all others, which attributes and predefined roles are about.
pub(crate) const CLUSTER: &str = "cluster";

/// The role whose only member is the owner of the database that one is connected to (manual, chapter 22.5).
pub(crate) const DATABASE_OWNER: &str = "pg_database_owner";

pub(crate) fn cluster_ref() -> ObjectRef {
    object_ref(CLUSTER, &["PostgreSQL"])
}

/// The id of `pg_database_owner` within one database.
pub(crate) fn database_owner_id(database: i64) -> String {
    format!("d{database}/owner")
}

pub(crate) fn database_id(database: i64) -> String {
    format!("d{database}")
}

pub(crate) fn schema_id(database: i64, schema: i64) -> String {
    format!("d{database}/n{schema}")
}

pub(crate) fn relation_id(database: i64, relation: i64) -> String {
    format!("d{database}/r{relation}")
}

pub(crate) fn column_id(database: i64, relation: i64, column: i64) -> String {
    format!("d{database}/r{relation}/c{column}")
}

pub(crate) fn routine_id(database: i64, routine: i64) -> String {
    format!("d{database}/f{routine}")
}

pub(crate) fn policy_id(database: i64, policy: i64) -> String {
    format!("d{database}/p{policy}")
}

/// Stands for whoever creates an object, where oids are expected: no role has it.
pub(crate) const CREATOR: i64 = -1;

/// The id of a role, of PUBLIC, or of the creator.
pub(crate) fn role_id(role: i64) -> String {
    match role {
        0 => PUBLIC.to_owned(),
        CREATOR => "creator".to_owned(),
        role => role.to_string(),
    }
}

/// The object kind of a relation (`pg_class.relkind`).
pub(crate) fn relation_kind(relkind: &str) -> &'static str {
    match relkind {
        "v" => "view",
        "m" => "materialized-view",
        "f" => "foreign-table",
        "S" => "sequence",
        _ => "table",
    }
}

/// The object kind of a routine (`pg_proc.prokind`): aggregates and window functions are granted as functions.
pub(crate) fn routine_kind(prokind: &str) -> &'static str {
    if prokind == "p" { "procedure" } else { "function" }
}

/// Names an object by its path.
pub(crate) fn object_ref(kind: &str, path: &[&str]) -> ObjectRef {
    ObjectRef { path: path.iter().map(|part| (*part).to_owned()).collect(), signature: None, kind: kind.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_different_catalogues_differ() {
        let ids =
            [database_id(7), schema_id(7, 7), relation_id(7, 7), column_id(7, 7, 7), routine_id(7, 7), policy_id(7, 7)];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!((role_id(0).as_str(), role_id(10).as_str()), ("public", "10"));
    }

    #[test]
    fn relations_have_the_kind_that_people_know() {
        let kinds = ["r", "p", "v", "m", "f", "S"].map(relation_kind);
        assert_eq!(kinds, ["table", "table", "view", "materialized-view", "foreign-table", "sequence"]);
        assert_eq!(["f", "p", "a", "w"].map(routine_kind), ["function", "procedure", "function", "function"]);
    }
}
