//! Relations of the catalogue that a read statement may read, with their columns.
//!
//! Left out are columns that hold secrets, settings that somebody chose, texts of statements, bodies of
//! routines, views and rules, or samples of rows: `pg_proc.prosrc`, `pg_attribute.attmissingval`,
//! `pg_db_role_setting.setconfig`, `pg_rewrite.ev_action`, options of foreign servers and the like, and
//! relations such as `pg_authid`, `pg_settings`, `pg_stat_activity` and `pg_statistic`. A manifest can
//! declare them, and a target then grants them by name.
//!
//! Chapter 53 of the manual describes them. `pg_auth_members.oid`, `inherit_option` and `set_option`
//! are there from PostgreSQL 16 on.

/// Relations of `pg_catalog` with the columns that may be named.
pub const RELATIONS: &[(&str, &[&str])] = &[
    ("pg_aggregate", &["aggfnoid", "aggkind", "aggnumdirectargs"]),
    ("pg_am", &["oid", "amname", "amtype"]),
    (
        "pg_attribute",
        &[
            "attrelid",
            "attname",
            "atttypid",
            "attnum",
            "atttypmod",
            "attndims",
            "attnotnull",
            "atthasdef",
            "atthasmissing",
            "attidentity",
            "attgenerated",
            "attisdropped",
            "attislocal",
            "attinhcount",
            "attcollation",
            "attacl",
        ],
    ),
    ("pg_auth_members", &["oid", "roleid", "member", "grantor", "admin_option", "inherit_option", "set_option"]),
    ("pg_cast", &["oid", "castsource", "casttarget", "castfunc", "castcontext", "castmethod"]),
    (
        "pg_class",
        &[
            "oid",
            "relname",
            "relnamespace",
            "reltype",
            "reloftype",
            "relowner",
            "relam",
            "reltablespace",
            "relpages",
            "reltuples",
            "relhasindex",
            "relisshared",
            "relpersistence",
            "relkind",
            "relnatts",
            "relchecks",
            "relhasrules",
            "relhastriggers",
            "relhassubclass",
            "relrowsecurity",
            "relforcerowsecurity",
            "relispopulated",
            "relispartition",
            "relacl",
            "reloptions",
        ],
    ),
    ("pg_collation", &["oid", "collname", "collnamespace", "collowner"]),
    (
        "pg_constraint",
        &[
            "oid",
            "conname",
            "connamespace",
            "contype",
            "conrelid",
            "contypid",
            "conindid",
            "conparentid",
            "confrelid",
            "conkey",
            "confkey",
        ],
    ),
    (
        "pg_database",
        &[
            "oid",
            "datname",
            "datdba",
            "encoding",
            "datlocprovider",
            "datistemplate",
            "datallowconn",
            "datconnlimit",
            "dattablespace",
            "datcollate",
            "datctype",
            "datacl",
        ],
    ),
    ("pg_db_role_setting", &["setdatabase", "setrole"]),
    ("pg_default_acl", &["oid", "defaclrole", "defaclnamespace", "defaclobjtype", "defaclacl"]),
    ("pg_depend", &["classid", "objid", "objsubid", "refclassid", "refobjid", "refobjsubid", "deptype"]),
    ("pg_description", &["objoid", "classoid", "objsubid", "description"]),
    ("pg_enum", &["oid", "enumtypid", "enumsortorder", "enumlabel"]),
    ("pg_event_trigger", &["oid", "evtname", "evtevent", "evtowner", "evtfoid", "evtenabled", "evttags"]),
    ("pg_extension", &["oid", "extname", "extowner", "extnamespace", "extrelocatable", "extversion"]),
    ("pg_foreign_data_wrapper", &["oid", "fdwname", "fdwowner", "fdwhandler", "fdwvalidator", "fdwacl"]),
    ("pg_foreign_server", &["oid", "srvname", "srvowner", "srvfdw", "srvtype", "srvversion", "srvacl"]),
    ("pg_foreign_table", &["ftrelid", "ftserver"]),
    (
        "pg_index",
        &["indexrelid", "indrelid", "indnatts", "indnkeyatts", "indisunique", "indisprimary", "indisvalid", "indkey"],
    ),
    ("pg_inherits", &["inhrelid", "inhparent", "inhseqno", "inhdetachpending"]),
    ("pg_init_privs", &["objoid", "classoid", "objsubid", "privtype", "initprivs"]),
    ("pg_language", &["oid", "lanname", "lanowner", "lanispl", "lanpltrusted", "lanacl"]),
    ("pg_largeobject_metadata", &["oid", "lomowner", "lomacl"]),
    ("pg_namespace", &["oid", "nspname", "nspowner", "nspacl"]),
    ("pg_operator", &["oid", "oprname", "oprnamespace", "oprowner", "oprleft", "oprright", "oprresult"]),
    ("pg_parameter_acl", &["oid", "parname", "paracl"]),
    ("pg_partitioned_table", &["partrelid", "partstrat", "partnatts", "partdefid", "partattrs"]),
    ("pg_policy", &["oid", "polname", "polrelid", "polcmd", "polpermissive", "polroles", "polqual", "polwithcheck"]),
    (
        "pg_proc",
        &[
            "oid",
            "proname",
            "pronamespace",
            "proowner",
            "prolang",
            "procost",
            "prorows",
            "provariadic",
            "prokind",
            "prosecdef",
            "proleakproof",
            "proisstrict",
            "proretset",
            "provolatile",
            "proparallel",
            "pronargs",
            "pronargdefaults",
            "prorettype",
            "proargtypes",
            "proallargtypes",
            "proargmodes",
            "proargnames",
            "proacl",
        ],
    ),
    (
        "pg_publication",
        &[
            "oid",
            "pubname",
            "pubowner",
            "puballtables",
            "pubinsert",
            "pubupdate",
            "pubdelete",
            "pubtruncate",
            "pubviaroot",
        ],
    ),
    ("pg_publication_namespace", &["oid", "pnpubid", "pnnspid"]),
    ("pg_publication_rel", &["oid", "prpubid", "prrelid", "prattrs"]),
    ("pg_range", &["rngtypid", "rngsubtype", "rngmultitypid", "rngcollation", "rngsubopc"]),
    ("pg_rewrite", &["oid", "rulename", "ev_class", "ev_type", "ev_enabled", "is_instead"]),
    (
        "pg_roles",
        &[
            "oid",
            "rolname",
            "rolsuper",
            "rolinherit",
            "rolcreaterole",
            "rolcreatedb",
            "rolcanlogin",
            "rolreplication",
            "rolbypassrls",
            "rolconnlimit",
            "rolvaliduntil",
        ],
    ),
    ("pg_seclabel", &["objoid", "classoid", "objsubid", "provider", "label"]),
    ("pg_sequence", &["seqrelid", "seqtypid", "seqstart", "seqincrement", "seqmax", "seqmin", "seqcache", "seqcycle"]),
    ("pg_shdepend", &["dbid", "classid", "objid", "objsubid", "refclassid", "refobjid", "deptype"]),
    ("pg_shdescription", &["objoid", "classoid", "description"]),
    ("pg_shseclabel", &["objoid", "classoid", "provider", "label"]),
    ("pg_subscription", &["oid", "subdbid", "subname", "subowner", "subenabled", "subpublications"]),
    ("pg_tablespace", &["oid", "spcname", "spcowner", "spcacl"]),
    ("pg_timezone_abbrevs", &["abbrev", "utc_offset", "is_dst"]),
    ("pg_timezone_names", &["name", "abbrev", "utc_offset", "is_dst"]),
    (
        "pg_trigger",
        &[
            "oid",
            "tgrelid",
            "tgparentid",
            "tgname",
            "tgfoid",
            "tgtype",
            "tgenabled",
            "tgisinternal",
            "tgconstrrelid",
            "tgconstraint",
        ],
    ),
    (
        "pg_type",
        &[
            "oid",
            "typname",
            "typnamespace",
            "typowner",
            "typlen",
            "typtype",
            "typcategory",
            "typispreferred",
            "typisdefined",
            "typrelid",
            "typelem",
            "typarray",
            "typnotnull",
            "typbasetype",
            "typtypmod",
            "typndims",
            "typcollation",
            "typacl",
        ],
    ),
];

/// The columns of a relation of the catalogue; none where it is not on the list.
pub fn columns_of(name: &str) -> Option<&'static [&'static str]> {
    RELATIONS.binary_search_by_key(&name, |(known, _)| known).ok().map(|at| RELATIONS[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(RELATIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            columns_of("pg_proc").is_some_and(|columns| columns.contains(&"proname") && !columns.contains(&"prosrc"))
        );
        assert_eq!(columns_of("pg_authid"), None);
    }
}
