//! Every code that an error can carry, as one table: the code, the exit code, and what it is about. `host/docs/errors.md`
//! explains each; a test compares the two.

use crate::exit::Exit;

/// A kind of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    /// What people and scripts look for.
    pub(crate) name: &'static str,
    /// What the program ends with.
    pub(crate) exit: Exit,
}

const fn code(name: &'static str, exit: Exit) -> Code {
    Code { name, exit }
}

pub(crate) const USAGE: Code = code("E-usage", Exit::Usage);
pub(crate) const FILE: Code = code("E-file", Exit::Usage);
pub(crate) const CONFIGURATION: Code = code("E-configuration", Exit::Usage);
pub(crate) const ACCESS_FILE: Code = code("E-access-file", Exit::Usage);
pub(crate) const SETTING: Code = code("E-setting", Exit::Usage);
pub(crate) const SECRET: Code = code("E-secret", Exit::Usage);
pub(crate) const CONNECTOR_FILE: Code = code("E-connector-file", Exit::Usage);
pub(crate) const CONNECTOR_DIGEST: Code = code("E-connector-digest", Exit::Refused);
pub(crate) const CONNECTOR_WRITABLE: Code = code("E-connector-writable", Exit::Refused);
pub(crate) const CONNECTOR_INVALID: Code = code("E-connector-invalid", Exit::Connector);
pub(crate) const GRANT_UNKNOWN: Code = code("E-grant-unknown", Exit::Usage);
pub(crate) const GRANT_MISSING: Code = code("E-grant-missing", Exit::Refused);
pub(crate) const CEILING: Code = code("E-ceiling", Exit::Refused);
pub(crate) const NOT_GRANTABLE: Code = code("E-not-grantable", Exit::Refused);
pub(crate) const DENIED: Code = code("E-denied", Exit::Refused);
pub(crate) const SECRET_LEAK: Code = code("E-secret-leak", Exit::Refused);
pub(crate) const OVER_THRESHOLD: Code = code("E-over-threshold", Exit::Refused);
pub(crate) const FIRST_APPLY: Code = code("E-first-apply", Exit::Refused);
pub(crate) const LOCKED_OUT: Code = code("E-locked-out", Exit::Refused);
pub(crate) const POLICY: Code = code("E-policy", Exit::Refused);
pub(crate) const NOT_CONFIRMED: Code = code("E-not-confirmed", Exit::Refused);
pub(crate) const STALE_PLAN: Code = code("E-stale-plan", Exit::Stale);
pub(crate) const NOT_APPLIED: Code = code("E-not-applied", Exit::Failed);
pub(crate) const TARGET_SETTING: Code = code("E-target-setting", Exit::Failed);
pub(crate) const TARGET_UNAUTHORIZED: Code = code("E-target-unauthorized", Exit::Failed);
pub(crate) const TARGET_UNAVAILABLE: Code = code("E-target-unavailable", Exit::Failed);
pub(crate) const TARGET_INCOMPLETE: Code = code("E-target-incomplete", Exit::Failed);
pub(crate) const TARGET_CONFLICT: Code = code("E-target-conflict", Exit::Failed);
pub(crate) const CONNECTOR_FAULT: Code = code("E-connector-fault", Exit::Connector);
pub(crate) const CONNECTOR_TRAP: Code = code("E-connector-trap", Exit::Connector);
pub(crate) const CONNECTOR_LIMIT: Code = code("E-connector-limit", Exit::Connector);
pub(crate) const BAD_RECORD: Code = code("E-bad-record", Exit::Connector);
pub(crate) const CONFORMANCE: Code = code("E-conformance", Exit::Connector);
pub(crate) const SCENARIO: Code = code("E-scenario", Exit::Usage);
pub(crate) const CLOUD_UNREACHABLE: Code = code("E-cloud-unreachable", Exit::Cloud);
pub(crate) const CLOUD_UNAUTHORIZED: Code = code("E-cloud-unauthorized", Exit::Cloud);
pub(crate) const CLOUD_REFUSED: Code = code("E-cloud-refused", Exit::Cloud);
pub(crate) const CLOUD_FAILED: Code = code("E-cloud-failed", Exit::Cloud);
pub(crate) const STATE_BUSY: Code = code("E-state-busy", Exit::Failed);
pub(crate) const STATE: Code = code("E-state", Exit::Failed);
pub(crate) const AUDIT: Code = code("E-audit", Exit::Failed);
pub(crate) const AUDIT_BROKEN: Code = code("E-audit-broken", Exit::Failed);
pub(crate) const ANCHOR: Code = code("E-anchor", Exit::Usage);
pub(crate) const HOST: Code = code("E-host", Exit::Failed);
pub(crate) const INTERRUPTED: Code = code("E-interrupted", Exit::Interrupted);

/// All codes.
#[cfg(test)]
pub(crate) const ALL: [Code; 45] = [
    USAGE,
    FILE,
    CONFIGURATION,
    ACCESS_FILE,
    SETTING,
    SECRET,
    CONNECTOR_FILE,
    CONNECTOR_DIGEST,
    CONNECTOR_WRITABLE,
    CONNECTOR_INVALID,
    GRANT_UNKNOWN,
    GRANT_MISSING,
    CEILING,
    NOT_GRANTABLE,
    DENIED,
    SECRET_LEAK,
    OVER_THRESHOLD,
    FIRST_APPLY,
    LOCKED_OUT,
    POLICY,
    NOT_CONFIRMED,
    STALE_PLAN,
    NOT_APPLIED,
    TARGET_SETTING,
    TARGET_UNAUTHORIZED,
    TARGET_UNAVAILABLE,
    TARGET_INCOMPLETE,
    TARGET_CONFLICT,
    CONNECTOR_FAULT,
    CONNECTOR_TRAP,
    CONNECTOR_LIMIT,
    BAD_RECORD,
    CONFORMANCE,
    SCENARIO,
    CLOUD_UNREACHABLE,
    CLOUD_UNAUTHORIZED,
    CLOUD_REFUSED,
    CLOUD_FAILED,
    STATE_BUSY,
    STATE,
    AUDIT,
    AUDIT_BROKEN,
    ANCHOR,
    HOST,
    INTERRUPTED,
];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/errors.md");

    #[test]
    fn every_code_is_explained_with_its_exit_code() {
        for code in ALL {
            let row = PAGE.lines().find(|line| line.contains(&format!("`{}`", code.name)));
            let row = row.unwrap_or_else(|| panic!("{} is not in host/docs/errors.md", code.name));
            let exit = format!("| {} |", code.exit.code());
            assert!(row.contains(&exit), "{}: the page says another exit code than {}", code.name, code.exit.code());
        }
    }

    #[test]
    fn the_page_explains_no_code_that_does_not_exist() {
        for line in PAGE.lines().filter(|line| line.starts_with("| `E-")) {
            let name = line.trim_start_matches("| `").split('`').next().unwrap_or_default();
            assert!(ALL.iter().any(|code| code.name == name), "{name}");
        }
    }
}
