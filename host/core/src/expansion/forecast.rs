//! What will be held on an object that does not exist yet: standing grants of whoever creates it.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::principals::{PrincipalId, PrincipalKind};
use super::snapshot::{Snapshot, StandingFact};
use crate::record::ObjectRef;
use crate::text::{ExternalId, Kind, PermissionName};

/// The special that stands for whoever creates the object.
pub(super) const CREATOR: &str = "creator";

/// An object that somebody is going to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewObject {
    /// The objects below which it will stand, in any order.
    pub under: Vec<ObjectRef>,
    /// Its kind.
    pub kind: Kind,
    /// The external id of the access control that creates it.
    pub creator: ExternalId,
}

/// Users that will hold each permission.
pub type Forecast = BTreeMap<PermissionName, Vec<PrincipalId>>;

impl Snapshot {
    /// Who will hold what on a new object, by acting as what he is.
    pub fn forecast(&self, new: &NewObject) -> Forecast {
        let mut holders: BTreeMap<PermissionName, RoaringBitmap> = BTreeMap::new();
        let creator = self.find_control(&new.creator);
        for under in &new.under {
            let key = under.key();
            let here = |fact: &&StandingFact| fact.under == key && fact.standing.kind == new.kind;
            let own =
                self.standings.iter().filter(here).any(|fact| fact.standing.creator.as_ref() == Some(&new.creator));
            for fact in self.standings.iter().filter(here) {
                let applies = match &fact.standing.creator {
                    Some(other) => *other == new.creator,
                    None => !own,
                };
                if !applies {
                    continue;
                }
                let starts = self.standing_starts(fact.control, creator);
                for permission in &fact.standing.permissions {
                    *holders.entry(permission.name.clone()).or_default() |= &starts;
                }
            }
        }
        let users = |set: RoaringBitmap| (set & self.principals.users()).iter().map(PrincipalId).collect();
        holders.into_iter().map(|(name, set)| (name, users(set))).collect()
    }

    /// Everybody for whom the access control of a standing grant is active, where `creator` creates the object.
    fn standing_starts(&self, control: PrincipalId, creator: Option<PrincipalId>) -> RoaringBitmap {
        let mut starts = (*self.principals.starts(control)).clone();
        let is_creator = |id: PrincipalId| {
            let principal = self.principal(id);
            principal.kind == PrincipalKind::Special && principal.external_id.as_str() == CREATOR
        };
        if let Some(creator) = creator
            && self.principals.members(control).iter().any(|link| link.inherits && is_creator(link.other))
        {
            starts |= &*self.principals.starts(creator);
        }
        starts
    }
}
