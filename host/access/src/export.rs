//! `export`: the access that exists, as a table for people and as a snapshot that can be read again.

use raito_core::catalogue::{Catalogue, CatalogueBuilder, CatalogueError};
use raito_core::record::{AccessControl, MemberKind};
use raito_core::text::ExternalId;

/// Why a text is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A line is no record.
    #[error("line {0} is no record: {1}")]
    Line(usize, String),
    /// The records are no catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

/// Gives everything that was read, one record of JSON a line, with an end that says how many there are.
///
/// # Errors
/// The first one of `take`, which is not called again then.
pub fn snapshot<E>(catalogue: &Catalogue, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    catalogue.each_line(|line| take(&serde_json::to_string(&line).expect("a record has text keys")))
}

/// Reads a snapshot.
///
/// # Errors
/// `SnapshotError` where a line is no record, the records do not fit together, or the end is missing.
pub fn read_snapshot(text: &str) -> Result<Catalogue, SnapshotError> {
    let mut builder = CatalogueBuilder::default();
    for (number, line) in text.lines().enumerate() {
        let line = serde_json::from_str(line).map_err(|error| SnapshotError::Line(number + 1, error.to_string()))?;
        builder.take(line)?;
    }
    Ok(builder.finish()?)
}

/// The first line of the table.
const HEAD: &str = "kind,control,what,name,permission,may-pass-on,granted-by";

/// A table (RFC 4180): a line for each member, each permission on an object, and each permission on later objects.
pub fn csv(catalogue: &Catalogue) -> Vec<String> {
    let mut lines = vec![HEAD.to_owned()];
    let mut controls: Vec<&AccessControl> = catalogue.controls.kept().collect();
    controls.sort_by(|one, two| (&one.kind, &one.actual_name).cmp(&(&two.kind, &two.actual_name)));
    for control in controls {
        let mut rows = Vec::new();
        let by = |id: &Option<ExternalId>| {
            id.as_ref().map(|id| called(catalogue, MemberKind::AccessControl, id)).unwrap_or_default()
        };
        let flag = |set: bool| set.to_string();
        for member in &control.who {
            let name = called(catalogue, member.kind, &member.id);
            rows.push([
                member.kind.word().into(),
                name,
                String::new(),
                flag(member.may_pass_on),
                by(&member.granted_by),
            ]);
        }
        for what in &control.what {
            for used in &what.permissions {
                let permission = used.name.as_str().to_owned();
                rows.push([
                    "object".into(),
                    what.object.to_string(),
                    permission,
                    flag(used.may_pass_on),
                    by(&used.granted_by),
                ]);
            }
        }
        for standing in &control.standing {
            for used in &standing.permissions {
                let creator =
                    standing.creator.as_ref().map(|creator| called(catalogue, MemberKind::AccessControl, creator));
                let creator = creator.map_or_else(String::new, |creator| format!(" created by {creator}"));
                let name = format!("{}{creator} below {}", standing.kind.as_str(), standing.under);
                let permission = used.name.as_str().to_owned();
                rows.push(["later".into(), name, permission, flag(used.may_pass_on), by(&used.granted_by)]);
            }
        }
        rows.sort();
        rows.dedup();
        let head = [control.kind.as_str(), control.actual_name.as_str()].map(cell);
        lines
            .extend(rows.iter().map(|row| {
                [head.join(","), row.iter().map(|text| cell(text)).collect::<Vec<_>>().join(",")].join(",")
            }));
    }
    lines
}

/// What a member or a grantor is called.
fn called(catalogue: &Catalogue, kind: MemberKind, id: &ExternalId) -> String {
    let name = match kind {
        MemberKind::User => catalogue.users.iter().find(|user| user.external_id == *id).map(|user| &user.user_name),
        MemberKind::Group => catalogue.groups.iter().find(|group| group.external_id == *id).map(|group| &group.name),
        MemberKind::AccessControl | MemberKind::ActingAs => {
            catalogue.controls.get(id).map(|control| &control.actual_name)
        }
        MemberKind::Special | MemberKind::Recipient => None,
    };
    name.map_or_else(|| id.as_str().to_owned(), |name| name.as_str().to_owned())
}

/// A cell; one that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV Injection").
fn cell(text: &str) -> String {
    let shown = raito_core::text::escape(text);
    let guarded = if shown.starts_with(['=', '+', '-', '@']) { format!("'{shown}") } else { shown.into_owned() };
    if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
}
