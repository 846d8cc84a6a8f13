//! The granted databases of a cluster: which of them answer, and what the others leave open.

use raito_sdk::{Call, Context, Fault, FaultKind, Gap, Settings};

use crate::keyset::{Keyset, Listing, MAIN};
use crate::names::database_id;

/// A database that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Database {
    /// The place that leads to it; none where there is only one.
    pub(crate) at: Option<String>,
    /// Its oid.
    pub(crate) oid: i64,
    /// Its name.
    pub(crate) name: String,
}

/// What is read of each database.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// Schemas that are left out.
    pub(crate) excluded: Vec<String>,
    /// Objects or roles in one page.
    pub(crate) limit: i64,
}

impl Scope {
    pub(crate) fn new(context: &Context) -> Self {
        let settings = Settings::new(context);
        let mut excluded = settings.list("exclude-schemas");
        if !settings.boolean("system-schemas") {
            excluded.extend(["pg_catalog".to_owned(), "information_schema".to_owned()]);
        }
        Self { excluded, limit: settings.integer("page-size").unwrap_or(5000).clamp(1, 100_000) }
    }
}

/// The cluster.
pub(crate) struct Cluster {
    /// The databases that answer; at least one.
    pub(crate) databases: Vec<Database>,
    /// What those that do not answer leave open.
    pub(crate) gaps: Vec<Gap>,
    /// What is read of each.
    pub(crate) scope: Scope,
}

/// Whether a database with this fault is left for the next run while the others are read: it may be down or gone, not let the
/// login in, or hold something that nobody expected. What the host refuses is about the connector or its grant, and ends the
/// read.
pub(crate) fn passes(fault: &Fault) -> bool {
    fault.kind != FaultKind::Denied
}

/// What a database leaves open that cannot be read.
pub(crate) fn gap(scope: Option<i64>, name: &str, fault: &Fault) -> Gap {
    Gap { scope: scope.map(database_id), reason: format!("database {name}: {}", fault.message) }
}

impl Cluster {
    /// Asks every granted database who it is.
    pub(crate) fn open(context: &Context) -> Result<Self, Fault> {
        let mut databases = Vec::new();
        let mut silent = Vec::new();
        for at in places(context) {
            match here(at.as_deref()) {
                Ok((oid, name)) => databases.push(Database { at, oid, name }),
                Err(fault) if passes(&fault) => silent.push((at.unwrap_or_default(), fault)),
                Err(fault) => return Err(fault),
            }
        }
        let scope = Scope::new(context);
        let Some(first) = databases.first() else {
            return Err(silent.into_iter().next().map_or_else(nothing_granted, |(_, fault)| fault));
        };
        let known = if silent.is_empty() { Vec::new() } else { all_databases(first, &scope)? };
        let oid_of = |name: &str| known.iter().find(|(_, known)| known == name).map(|(oid, _)| *oid);
        let gaps = silent.iter().map(|(name, fault)| gap(oid_of(name), name, fault)).collect();
        Ok(Self { databases, gaps, scope })
    }

    /// The first granted database that answers, for what all databases of a cluster share.
    pub(crate) fn any(context: &Context) -> Result<(Database, Scope), Fault> {
        let mut first = None;
        for at in places(context) {
            match here(at.as_deref()) {
                Ok((oid, name)) => return Ok((Database { at, oid, name }, Scope::new(context))),
                Err(fault) if passes(&fault) => first = first.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        Err(first.unwrap_or_else(nothing_granted))
    }
}

fn nothing_granted() -> Fault {
    raito_sdk::fault(FaultKind::InvalidSetting, "no database is granted")
}

/// The granted places; one without a name where there is only one.
pub(crate) fn places(context: &Context) -> Vec<Option<String>> {
    match Settings::new(context).place(MAIN) {
        Some(place) if !place.at.is_empty() => place.at.iter().cloned().map(Some).collect(),
        _ => vec![None],
    }
}

fn here(at: Option<&str>) -> Result<(i64, String), Fault> {
    let call = Call::new(MAIN, "here");
    let call = match at {
        Some(at) => call.at(at),
        None => call,
    };
    let mut row = call.query_one()?;
    Ok((row.integer(0).unwrap_or_default(), row.text(1)))
}

/// The oid and the name of every database.
pub(crate) fn all_databases(from: &Database, scope: &Scope) -> Result<Vec<(i64, String)>, Fault> {
    let mut list = Keyset::new(Listing::of_cluster("databases"), from.at.clone(), scope);
    let mut all = Vec::new();
    while let Some(mut row) = list.next_row()? {
        all.push((row.integer(0).unwrap_or_default(), row.text(1)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use raito_sdk::types::{Place, Setting};

    use super::*;

    fn context(settings: &[(&str, &str)], at: &[&str]) -> Context {
        let setting = |(key, value): &(&str, &str)| Setting { key: (*key).into(), value: (*value).into() };
        let at = at.iter().map(|name| (*name).to_owned()).collect();
        Context {
            settings: settings.iter().map(setting).collect(),
            places: vec![Place { slot: MAIN.into(), at, write: false }],
            resume: None,
        }
    }

    #[test]
    fn one_database_needs_no_name() {
        assert_eq!(places(&context(&[], &[])), [None]);
        assert_eq!(places(&context(&[], &["a", "b"])), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn system_schemas_are_left_out_unless_they_are_asked_for() {
        let scope = Scope::new(&context(&[("exclude-schemas", "old\ntmp"), ("page-size", "7")], &[]));
        assert_eq!(scope.excluded, ["old", "tmp", "pg_catalog", "information_schema"]);
        assert_eq!(scope.limit, 7);
        assert!(Scope::new(&context(&[("system-schemas", "true")], &[])).excluded.is_empty());
    }

    #[test]
    fn what_is_about_one_database_passes_and_what_is_about_the_grant_does_not() {
        let of = |kind| passes(&raito_sdk::fault(kind, ""));
        assert!(of(FaultKind::Unavailable) && of(FaultKind::Unauthorized));
        assert!(of(FaultKind::InvalidSetting) && of(FaultKind::Internal) && !of(FaultKind::Denied));
    }
}
