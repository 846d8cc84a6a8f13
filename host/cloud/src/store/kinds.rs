//! The kinds of records that uploads hold, as one table: for each the columns that identify a row, and the others.
//!
//! Staging, comparing, counting, taking in and ending rows is the same for all kinds; the SQL is put together from here.

use raito_core::step::Step;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The table, and the word for people.
    pub(super) table: &'static str,
    /// The step that uploads it.
    pub(super) step: Step,
    /// The columns that identify a row within its source.
    pub(super) key: &'static [&'static str],
    /// The other columns.
    pub(super) columns: &'static [&'static str],
    /// How the current rows that lie in a gap are found: a condition over the table's columns and the temporary table
    /// `gap_scopes` (column `external_id`), `gap_controls` (`key`) and `gap_objects` (`key`, `object_key`).
    pub(super) in_gap: &'static str,
}

pub(super) const USERS: Kind = Kind {
    table: "users",
    step: Step::IdentityStore,
    key: &["key"],
    columns: &["external_id", "user_name", "display_name", "email", "enabled", "machine", "tags"],
    in_gap: "external_id in (select external_id from gap_scopes)",
};

pub(super) const GROUPS: Kind = Kind {
    table: "groups",
    step: Step::IdentityStore,
    key: &["key"],
    columns: &["external_id", "name", "display_name", "description", "incomplete", "tags"],
    in_gap: "external_id in (select external_id from gap_scopes)",
};

pub(super) const MEMBERSHIPS: Kind = Kind {
    table: "memberships",
    step: Step::IdentityStore,
    key: &["key"],
    columns: &[
        "group_id",
        "member_kind",
        "member_id",
        "inherits",
        "assumable",
        "may_pass_on",
        "granted_by",
        "expires_ms",
    ],
    in_gap: "group_id in (select external_id from gap_scopes) or member_id in (select external_id from gap_scopes)",
};

pub(super) const OBJECTS: Kind = Kind {
    table: "objects",
    step: Step::DataSource,
    key: &["key"],
    columns: &[
        "external_id",
        "name",
        "kind",
        "path",
        "signature",
        "object_key",
        "description",
        "parent_key",
        "parent_external_id",
        "data_type",
        "reads",
        "rights",
        "tags",
    ],
    in_gap: "key in (select key from gap_objects)",
};

pub(super) const ACCESS_CONTROLS: Kind = Kind {
    table: "access_controls",
    step: Step::AccessFromTarget,
    key: &["key"],
    columns: &[
        "external_id",
        "name",
        "actual_name",
        "kind",
        "description",
        "action",
        "version",
        "policy",
        "locks",
        "internalizable",
        "incomplete",
        "tags",
    ],
    in_gap: "key in (select key from gap_controls)",
};

pub(super) const MEMBERS: Kind = Kind {
    table: "members",
    step: Step::AccessFromTarget,
    key: &["control_key", "key"],
    columns: &["member_kind", "member_id", "inherits", "assumable", "may_pass_on", "granted_by", "expires_ms"],
    in_gap: "control_key in (select key from gap_scopes) or control_key in (select key from gap_controls \
             except select key from staged_access_controls)",
};

pub(super) const FACTS: Kind = Kind {
    table: "facts",
    step: Step::AccessFromTarget,
    key: &["control_key", "key"],
    columns: &["object_key", "permission", "may_pass_on", "granted_by", "condition"],
    in_gap: "control_key in (select key from gap_scopes) or object_key in (select object_key from gap_objects)",
};

pub(super) const STANDINGS: Kind = Kind {
    table: "standings",
    step: Step::AccessFromTarget,
    key: &["control_key", "key"],
    columns: &["object_key", "kind", "creator", "permission", "may_pass_on", "granted_by"],
    in_gap: "control_key in (select key from gap_scopes) or object_key in (select object_key from gap_objects)",
};

/// All kinds that have a past.
pub(super) const KINDS: [&Kind; 8] =
    [&USERS, &GROUPS, &MEMBERSHIPS, &OBJECTS, &ACCESS_CONTROLS, &MEMBERS, &FACTS, &STANDINGS];

impl Kind {
    /// The kinds that a step uploads.
    pub(super) fn of(step: Step) -> impl Iterator<Item = &'static Self> {
        KINDS.into_iter().filter(move |kind| kind.step == step)
    }

    fn all_columns(&self) -> String {
        [self.key, self.columns].concat().join(", ")
    }

    fn same(&self, columns: &[&str]) -> String {
        columns.iter().map(|column| format!("s.{column} is t.{column}")).collect::<Vec<_>>().join(" and ")
    }

    /// Makes the staging table, empty. Rows are only appended to it: it gets its index once it is whole, by one sort, which
    /// costs a fraction of keeping an index of digests in order row by row.
    pub(super) fn stage(&self) -> String {
        let columns = [self.key, self.columns].concat().join(", ");
        format!("create temporary table staged_{} ({columns})", self.table)
    }

    /// Makes the index of the staging table. A key that comes twice breaks its uniqueness.
    pub(super) fn index_staged(&self) -> String {
        let name = self.table;
        format!("create unique index temp.staged_{name}_key on staged_{name} ({})", self.key.join(", "))
    }

    /// Stages this many rows.
    pub(super) fn insert(&self, rows: usize) -> String {
        let width = self.key.len() + self.columns.len();
        let row = format!("({})", vec!["?"; width].join(","));
        format!("insert into temp.staged_{} ({}) values {}", self.table, self.all_columns(), vec![row; rows].join(","))
    }

    /// Values of one row.
    pub(super) fn width(&self) -> usize {
        self.key.len() + self.columns.len()
    }

    /// Counts current rows. Parameter: source.
    pub(super) fn count_current(&self) -> String {
        format!("select count(*) from {} where source = ?1 and until_ms is null", self.table)
    }

    /// Counts staged rows.
    pub(super) fn count_staged(&self) -> String {
        format!("select count(*) from temp.staged_{}", self.table)
    }

    /// Counts staged rows that have a current row: all of them, and those whose other columns are the same. Parameter:
    /// source.
    pub(super) fn count_known(&self) -> String {
        format!(
            "select count(*), coalesce(sum({}), 0) from temp.staged_{} s join {} t on {} where t.source = ?1 and t.until_ms is null",
            self.same(self.columns),
            self.table,
            self.table,
            self.same(self.key)
        )
    }

    /// Counts current rows that are not staged, and those of them that lie in a gap. Parameter: source.
    pub(super) fn count_gone(&self) -> String {
        format!(
            "select count(*), coalesce(sum({}), 0) from {} t where source = ?1 and until_ms is null and {}",
            self.in_gap,
            self.table,
            self.not_staged()
        )
    }

    fn not_staged(&self) -> String {
        format!("not exists (select 1 from temp.staged_{} s where {})", self.table, self.same(self.key))
    }

    /// Ends current rows that are staged with other columns. Parameters: source, now.
    pub(super) fn end_changed(&self) -> String {
        format!(
            "update {} as t set until_ms = ?2 where source = ?1 and until_ms is null and exists \
             (select 1 from temp.staged_{} s where {} and not ({}))",
            self.table,
            self.table,
            self.same(self.key),
            self.same(self.columns)
        )
    }

    /// Ends current rows that are not staged and lie in no gap. Parameters: source, now.
    pub(super) fn end_gone(&self) -> String {
        format!(
            "update {} as t set until_ms = ?2 where source = ?1 and until_ms is null and not ({}) and {}",
            self.table,
            self.in_gap,
            self.not_staged()
        )
    }

    /// Takes in staged rows: all of them where there is nothing current, and else those that have no current row. Parameters:
    /// source, now.
    pub(super) fn take_in(&self, nothing_current: bool) -> String {
        let columns = self.all_columns();
        let staged =
            [self.key, self.columns].concat().iter().map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
        let table = self.table;
        let new = if nothing_current {
            String::new()
        } else {
            let current = format!("t.source = ?1 and t.until_ms is null and {}", self.same(self.key));
            format!("where not exists (select 1 from {table} t where {current})")
        };
        let order = self.key.iter().map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
        format!(
            "insert into {table} (source, since_ms, {columns}) select ?1, ?2, {staged} from temp.staged_{table} s {new} \
             order by {order}"
        )
    }
}
