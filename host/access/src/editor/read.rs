//! The last read of a target, as an editor asks it for names and for effective access.

use std::cell::OnceCell;

use raito_core::catalogue::Catalogue;
use raito_core::expansion::Snapshot;
use raito_core::record::{AccessControl, DataObject, Identity, ObjectKind, User};
use raito_core::text::PathPart;

use crate::document::ObjectName;

/// What was read of a target, and when.
pub struct LastRead {
    catalogue: Catalogue,
    /// When, in milliseconds since 1970.
    time_ms: u64,
    effective: OnceCell<Option<Snapshot>>,
}

impl LastRead {
    /// Takes what was read at a time, in milliseconds since 1970.
    pub fn new(mut catalogue: Catalogue, time_ms: u64) -> Self {
        catalogue.objects.sort_by(|one, two| (&one.object.path, &one.object).cmp(&(&two.object.path, &two.object)));
        catalogue.users.sort_by(|one, two| one.user_name.cmp(&two.user_name));
        catalogue.groups.sort_by(|one, two| one.name.cmp(&two.name));
        Self { catalogue, time_ms, effective: OnceCell::new() }
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Who can really do what, as of the read; none where the records do not fit each other.
    pub(crate) fn effective(&self) -> Option<&Snapshot> {
        let expand = || self.catalogue.snapshot(self.catalogue.controls.kept(), self.time_ms).ok();
        self.effective.get_or_init(expand).as_ref()
    }

    /// The objects with this path.
    fn at_path(&self, path: &[PathPart]) -> &[DataObject] {
        let objects = &self.catalogue.objects;
        let from = objects.partition_point(|object| object.object.path.as_slice() < path);
        let count = objects[from..].partition_point(|object| object.object.path.as_slice() == path);
        &objects[from..from + count]
    }

    /// The object that is called so; none where several are.
    pub(crate) fn object(&self, name: &ObjectName) -> Option<&DataObject> {
        let mut meant = self.at_path(&name.path).iter().filter(|object| name.means(&object.object));
        meant.next().filter(|_| meant.next().is_none())
    }

    /// Whether the path of an object tells it from all others.
    pub(crate) fn is_told_by_path(&self, object: &DataObject) -> bool {
        self.at_path(&object.object.path).len() == 1
    }

    /// The kind of an object that a file names.
    pub(crate) fn kind_of(&self, name: &ObjectName) -> Option<&ObjectKind> {
        let kind = name.kind.as_ref().or_else(|| Some(&self.object(name)?.object.kind))?;
        self.catalogue.description.object_kind(kind)
    }

    /// The user with this account name or address.
    pub(crate) fn user(&self, called: &str) -> Option<&User> {
        let by_name = self.catalogue.users.iter().find(|user| user.user_name.as_str() == called);
        by_name.or_else(|| {
            let is_address =
                |user: &&User| user.email.as_ref().is_some_and(|email| email.as_str().eq_ignore_ascii_case(called));
            self.catalogue.users.iter().find(is_address)
        })
    }

    /// Access controls with names of their own.
    pub(crate) fn controls(&self) -> impl Iterator<Item = &AccessControl> {
        let description = &self.catalogue.description;
        self.catalogue.controls.kept().filter(|control| {
            description.control_kind(&control.kind).is_some_and(|kind| kind.identity == Identity::Named)
        })
    }
}
