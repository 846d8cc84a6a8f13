//! Every environment variable that raito reads, as one table. Flags win over variables, variables over files.

/// The configuration file.
pub(crate) const CONFIG_FILE: &str = "RAITO_CONFIG_FILE";
/// Where state is kept.
pub(crate) const STATE_DIR: &str = "RAITO_STATE_DIR";
/// The operator's ceiling.
pub(crate) const CEILING: &str = "RAITO_CEILING";
/// Which messages are logged, in the form of tracing's filters.
pub(crate) const LOG: &str = "RAITO_LOG";
/// Any value: no colours (no-color.org).
pub(crate) const NO_COLOR: &str = "NO_COLOR";

/// What the terminal is; `dumb` is one that shows no colours.
pub(crate) const TERM: &str = "TERM";

/// A variable that a configuration names.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
