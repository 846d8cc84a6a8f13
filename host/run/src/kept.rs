//! Which access controls of a read step 4 needs whole.

use std::collections::BTreeSet;

use raito_core::exchange::Desired;
use raito_core::record::{AccessControl, Description, ObjectRef};
use raito_core::text::{ExternalId, Name};

/// Whether an access control stands for lines on a list of its object, and is no entity of its own.
pub(crate) fn is_list(description: &Description, control: &AccessControl) -> bool {
    description.control_kind(&control.kind).is_some_and(|kind| kind.identity.is_list())
}

/// Which access controls of a read are kept whole.
pub(crate) struct Kept {
    ids: BTreeSet<ExternalId>,
    creating: BTreeSet<Name>,
    objects: BTreeSet<ObjectRef>,
}

impl Kept {
    /// Those that something is to be done about.
    pub(crate) fn of(desired: &[Desired], description: &Description) -> Self {
        let of_lists = desired.iter().filter(|wanted| is_list(description, &wanted.control));
        let objects = of_lists.flat_map(|wanted| {
            let left = wanted.left().flat_map(|control| &control.what);
            wanted.control.what.iter().chain(left).map(|what| what.object.clone())
        });
        Self {
            ids: desired.iter().filter_map(|wanted| wanted.external_id.clone()).collect(),
            creating: desired.iter().filter_map(|wanted| wanted.creating.clone()).collect(),
            objects: objects.collect(),
        }
    }

    /// Whether this one is kept.
    pub(crate) fn takes(&self, control: &AccessControl) -> bool {
        self.ids.contains(&control.external_id)
            || self.creating.contains(&control.actual_name)
            || (!self.objects.is_empty() && control.what.iter().any(|what| self.objects.contains(&what.object)))
    }
}
