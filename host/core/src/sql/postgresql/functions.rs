//! Functions that a read statement may call.
//!
//! None of them changes anything, waits, reads a file, talks to another server, tells the body of a
//! view, rule, trigger or routine, evaluates a type that a text names, or makes much out of little. Only
//! `pg_get_expr` waits for a lock on a table, for as long as `lock_timeout` lets it. So these are left out, among others: `pg_sleep`, `set_config`,
//! `pg_notify`, sequences, advisory locks, `lo_*`, `pg_read_*`, `pg_ls_*`, `pg_*_backend`, `dblink*`
//! and `query_to_xml*`; `pg_get_viewdef` and its kin; `pg_input_is_valid`, `to_regtype`; `lpad`,
//! `rpad`, `repeat`, `format`, `replace` and `generate_series`; the `has_*_privilege` family, whose
//! answers are conclusions rather than facts.
//!
//! Chapter 9 of the manual describes all of them.

/// Functions and aggregates that give one value, sorted.
pub const SCALAR_FUNCTIONS: &[&str] = &[
    "abs",
    "acldefault",
    "array_agg",
    "array_append",
    "array_cat",
    "array_length",
    "array_lower",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_to_string",
    "array_upper",
    "ascii",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "chr",
    "clock_timestamp",
    "coalesce",
    "col_description",
    "concat",
    "concat_ws",
    "convert_from",
    "convert_to",
    "count",
    "current_database",
    "current_schema",
    "current_setting",
    "date_part",
    "date_trunc",
    "decode",
    "encode",
    "every",
    "floor",
    "format_type",
    "greatest",
    "initcap",
    "jsonb_agg",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "jsonb_typeof",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "makeaclitem",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "obj_description",
    "octet_length",
    "parse_ident",
    "pg_client_encoding",
    "pg_conf_load_time",
    "pg_describe_object",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_get_expr",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_userbyid",
    "pg_is_in_recovery",
    "pg_postmaster_start_time",
    "pg_stat_get_db_stat_reset_time",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "quote_ident",
    "quote_literal",
    "reverse",
    "right",
    "round",
    "rtrim",
    "sha256",
    "shobj_description",
    "sign",
    "split_part",
    "starts_with",
    "statement_timestamp",
    "string_agg",
    "string_to_array",
    "strpos",
    "substr",
    "sum",
    "to_char",
    "to_hex",
    "to_timestamp",
    "trunc",
    "upper",
    "version",
];

/// Functions of `FROM`, sorted, with the names of their columns. One column without a name is a
/// function that gives single values: its column has the name that the statement gives it.
pub const ROW_FUNCTIONS: &[(&str, &[&str])] = &[
    ("aclexplode", &["grantor", "grantee", "privilege_type", "is_grantable"]),
    (
        "pg_control_system",
        &["pg_control_version", "catalog_version_no", "system_identifier", "pg_control_last_modified"],
    ),
    ("pg_identify_object", &["type", "schema", "name", "identity"]),
    ("pg_options_to_table", &["option_name", "option_value"]),
    ("string_to_table", &[]),
    ("unnest", &[]),
];

/// Functions of extensions: the extension, the function, and the columns that may be named. Each must
/// be granted by name; its schema is looked up when a server is connected to.
pub const EXTENSION_FUNCTIONS: &[(&str, &str, &[&str])] = &[
    ("pg_stat_statements", "pg_stat_statements", &["userid", "dbid", "toplevel", "queryid", "query", "calls"]),
    ("pg_stat_statements", "pg_stat_statements_info", &["dealloc", "stats_reset"]),
];

/// Settings that `current_setting` may be asked for, sorted: none holds a secret, a path outside of the
/// server's own folder, or a text that somebody chose for other statements.
pub const SETTINGS: &[&str] = &[
    "cluster_name",
    "createrole_self_grant",
    "default_transaction_read_only",
    "log_destination",
    "log_directory",
    "log_min_messages",
    "log_statement",
    "log_timezone",
    "logging_collector",
    "max_identifier_length",
    "pg_stat_statements.max",
    "pg_stat_statements.track",
    "pg_stat_statements.track_utility",
    "pgaudit.log",
    "pgaudit.log_relation",
    "row_security",
    "server_encoding",
    "server_version",
    "server_version_num",
    "track_activities",
];

/// Whether a function that gives one value is on the list.
pub fn is_scalar_function(name: &str) -> bool {
    SCALAR_FUNCTIONS.binary_search(&name).is_ok()
}

/// The columns of a function of `FROM` that is on the list; empty for one that gives single values.
pub fn row_columns(name: &str) -> Option<&'static [&'static str]> {
    ROW_FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, columns)| *columns)
}

/// The columns of an extension's function that is on the list.
pub fn extension_columns(extension: &str, name: &str) -> Option<&'static [&'static str]> {
    let known = EXTENSION_FUNCTIONS.iter().find(|(other, function, _)| *other == extension && *function == name);
    known.map(|(_, _, columns)| *columns)
}

/// Whether `current_setting` may be asked for a setting.
pub fn is_setting(name: &str) -> bool {
    SETTINGS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_can_be_searched_and_have_no_function_that_acts_tells_or_grows() {
        assert!(SCALAR_FUNCTIONS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(SETTINGS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ROW_FUNCTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for left_out in [
            "pg_sleep",
            "set_config",
            "nextval",
            "query_to_xml",
            "pg_get_viewdef",
            "pg_input_is_valid",
            "to_regtype",
            "lpad",
            "repeat",
            "format",
            "replace",
            "generate_series",
            "unnest",
        ] {
            assert!(!is_scalar_function(left_out), "{left_out}");
        }
    }
}
