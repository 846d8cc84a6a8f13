//! Objects and permissions.

use std::collections::BTreeSet;

use raito_core::record::{DataObject, ObjectKind, ObjectRef, Permission, PermissionUse, Standing, What};
use raito_core::suggest::closest;
use raito_core::text::{ExternalId, Kind, Name, PermissionName};

use super::{Resolver, shown};
use crate::document::{self, Asked, Future, ObjectName, Objects, Selector, Severity, Spot};

/// What an access control gives: permissions by object, and those on later objects by place. They are put in order at the end:
/// what is selected comes in order, so that little is left to sort.
#[derive(Default)]
pub(crate) struct Given<'c> {
    now: Vec<(&'c ObjectRef, Permissions<'c>)>,
    /// What permissions need on the objects above: of many objects the same.
    needs: BTreeSet<(&'c ObjectRef, &'c PermissionName)>,
    later: Vec<(Later<'c>, Permissions<'c>)>,
}

/// Objects that come later: below what, of which kind, created by whom.
type Later<'c> = (&'c ObjectRef, Kind, Option<ExternalId>);
/// Permissions, each with whether it may be passed on.
type Permissions<'c> = Vec<(&'c PermissionName, bool)>;

/// Permissions on each thing once: what is given twice may be passed on where one of the two says so.
fn put_together<'c, K: Ord>(mut given: Vec<(K, Permissions<'c>)>) -> impl Iterator<Item = (K, Vec<PermissionUse>)> {
    given.sort_by(|(one, _), (next, _)| one.cmp(next));
    given.dedup_by(|(next, more), (one, permissions)| {
        let is_same = next == one;
        if is_same {
            permissions.append(more);
        }
        is_same
    });
    given.into_iter().map(|(key, permissions)| (key, uses(permissions)))
}

fn uses(mut permissions: Permissions<'_>) -> Vec<PermissionUse> {
    permissions.sort_unstable();
    permissions.dedup_by(|(next, more), (one, may_pass_on)| {
        let is_same = next == one;
        *may_pass_on |= is_same && *more;
        is_same
    });
    let one =
        |(name, may_pass_on): (&PermissionName, _)| PermissionUse { name: name.clone(), may_pass_on, granted_by: None };
    permissions.into_iter().map(one).collect()
}

impl<'c> Given<'c> {
    pub(crate) fn into_parts(mut self) -> (Vec<What>, Vec<Standing>) {
        self.now.extend(self.needs.into_iter().map(|(object, name)| (object, vec![(name, false)])));
        let what =
            |(object, permissions): (&ObjectRef, _)| What { object: object.clone(), permissions, condition: None };
        let standing = |((under, kind, creator), permissions): (Later<'c>, _)| Standing {
            under: under.clone(),
            kind,
            creator,
            permissions,
        };
        (put_together(self.now).map(what).collect(), put_together(self.later).map(standing).collect())
    }

    fn give(&mut self, object: &'c ObjectRef, permissions: &[&'c Permission], may_pass_on: bool) {
        if !permissions.is_empty() {
            let each = permissions.iter().map(|permission| (&permission.name, may_pass_on));
            self.now.push((object, each.collect()));
        }
    }
}

impl<'c> Resolver<'c> {
    /// Adds what an item gives.
    pub(crate) fn give(&mut self, item: &document::What, given: &mut Given<'c>) {
        match &item.objects {
            Objects::One(name) => {
                if let Some(object) = self.object(item.spot, name) {
                    self.give_on(item, &object.object.kind, &[object], given);
                }
            }
            Objects::Select(selector) => {
                let selected = self.select(item.spot, selector);
                self.give_on(item, &selector.kind, &selected, given);
                if let (true, Some(under)) = (selector.future, selector.under.clone()) {
                    let (kind, creators) = (selector.kind.clone(), selector.creators.clone());
                    self.give_later(item, &Future { kind, under, creators }, given);
                }
            }
            Objects::Future(future) => self.give_later(item, future, given),
        }
    }

    /// The objects that a mask or a filter is about.
    pub(crate) fn objects(&mut self, item: &document::What) -> Vec<&'c DataObject> {
        match &item.objects {
            Objects::One(name) => self.object(item.spot, name).into_iter().collect(),
            Objects::Select(selector) => self.select(item.spot, selector),
            Objects::Future(_) => Vec::new(),
        }
    }

    /// Adds what an item gives on objects of one kind.
    fn give_on(&mut self, item: &document::What, kind: &Kind, on: &[&'c DataObject], given: &mut Given<'c>) {
        if on.is_empty() {
            return;
        }
        let Some(kind) = self.object_kind(item.spot, kind) else { return };
        let mut permissions: Vec<&'c Permission> = Vec::new();
        let mut with_needs = Vec::new();
        for (asked, spot) in &item.permissions {
            let found = self.permissions(*spot, asked, kind, item.may_pass_on);
            permissions.extend(&found);
            if matches!(asked, Asked::Global(_)) {
                with_needs.extend(found);
            }
        }
        for object in on {
            given.give(&object.object, &permissions, item.may_pass_on);
            with_needs.iter().for_each(|permission| self.needs(&object.object, permission, given));
        }
    }

    fn give_later(&mut self, item: &document::What, future: &Future, given: &mut Given<'c>) {
        let Some(under) = self.object(item.spot, &future.under) else { return };
        let Some(kind) = self.object_kind(item.spot, &future.kind) else { return };
        let creators: Vec<Option<ExternalId>> = match future.creators.as_slice() {
            [] => vec![None],
            names => names.iter().filter_map(|name| self.control(item.spot, name)).map(Some).collect(),
        };
        for (asked, spot) in &item.permissions {
            for permission in self.permissions(*spot, asked, kind, item.may_pass_on) {
                for creator in &creators {
                    let key = (&under.object, future.kind.clone(), creator.clone());
                    given.later.push((key, vec![(&permission.name, item.may_pass_on)]));
                }
                if matches!(asked, Asked::Global(_)) {
                    self.needs_from(&under.object, permission, given);
                }
            }
        }
    }

    /// What a permission needs on the objects above, where it can be granted and not everybody has it.
    fn needs(&self, object: &ObjectRef, permission: &'c Permission, given: &mut Given<'c>) {
        let mut above = object.clone();
        above.path.pop();
        self.needs_from(&above, permission, given);
    }

    fn needs_from(&self, from: &ObjectRef, permission: &'c Permission, given: &mut Given<'c>) {
        for any in &permission.needs {
            for need in any {
                let kind = self.catalogue.description.object_kind(&need.kind);
                let Some(wanted) = kind.and_then(|kind| kind.permission(&need.permission)) else { continue };
                let ancestor = (1..=from.path.len()).rev().find_map(|length| {
                    let here = self.known.by_path.get(&from.path[..length])?;
                    here.iter().find(|object| object.object.kind == need.kind)
                });
                let Some(ancestor) = ancestor.filter(|_| wanted.can_be_granted) else { continue };
                if !self.known.public.contains(&(&ancestor.object, &wanted.name)) {
                    given.needs.insert((&ancestor.object, &wanted.name));
                }
                break;
            }
        }
    }

    fn object_kind(&mut self, spot: Spot, name: &Kind) -> Option<&'c ObjectKind> {
        let description = &self.catalogue.description;
        let kind = description.object_kind(name);
        if kind.is_none() {
            let known = description.kinds.iter().map(|kind| kind.name.as_str());
            let help = closest(name.as_str(), known).map(|close| format!("did you mean {close}?"));
            self.error(spot, format!("the target has no objects of kind {name}"), help);
        }
        kind
    }

    /// The object that is called so.
    pub(crate) fn object(&mut self, spot: Spot, name: &ObjectName) -> Option<&'c DataObject> {
        let here: &[&DataObject] = self.known.by_path.get(name.path.as_slice()).map_or(&[], Vec::as_slice);
        let found: Vec<&'c DataObject> = here.iter().copied().filter(|object| name.means(&object.object)).collect();
        match found.as_slice() {
            [one] => Some(one),
            [] => {
                let others: Vec<String> = here.iter().take(5).map(|object| shown(&object.object)).collect();
                let others = (!others.is_empty()).then(|| others.join(" or "));
                let help = others.or_else(|| self.meant(name)).map(|close| format!("did you mean {close}?"));
                let help =
                    help.or_else(|| Some("what is not read cannot be named: see the grant's databases".to_owned()));
                self.missing(spot, format!("there is no object {name}"), help);
                None
            }
            several => {
                let names: Vec<String> = several.iter().take(5).map(|object| shown(&object.object)).collect();
                let message = format!("{name} may be any of {}", names.join(", "));
                self.error(spot, message, Some("write its kind, and its signature where it has one".to_owned()));
                None
            }
        }
    }

    /// An object that was probably meant: one whose path ends like this, or one with almost this name.
    fn meant(&self, name: &ObjectName) -> Option<String> {
        let ends = |object: &&DataObject| object.object.path.ends_with(&name.path);
        let mut behind = self.catalogue.objects.iter().filter(ends);
        if let (Some(one), None) = (behind.next(), behind.next()) {
            return Some(shown(&one.object));
        }
        let (last, above) = name.path.split_last()?;
        let siblings: Vec<&DataObject> = self
            .catalogue
            .objects
            .iter()
            .filter(|object| object.object.path.split_last().is_some_and(|(_, rest)| rest == above))
            .collect();
        let close = closest(last.as_str(), siblings.iter().map(|object| object.name.as_str()))?;
        siblings.iter().find(|object| object.name.as_str() == close).map(|object| shown(&object.object))
    }

    /// The objects that are like this, in the order of their paths.
    pub(crate) fn select(&mut self, spot: Spot, selector: &Selector) -> Vec<&'c DataObject> {
        if self.object_kind(spot, &selector.kind).is_none() {
            return Vec::new();
        }
        let under = match &selector.under {
            Some(under) => match self.object(spot, under) {
                Some(under) => Some(under.object.path.as_slice()),
                None => return Vec::new(),
            },
            None => None,
        };
        let is_called = |object: &DataObject| {
            selector.names.is_empty() || selector.names.iter().any(|name| name.takes(object.name.as_str()))
        };
        let has_tags = |object: &DataObject| {
            let has = |(key, value): &(Name, raito_core::text::TagValue)| {
                object.tags.iter().any(|tag| tag.key == *key && (value.as_str() == "*" || tag.value == *value))
            };
            selector.tags.iter().all(has)
        };
        let all = self.known.by_kind.get(&selector.kind).map_or(&[][..], |all| all.below(under));
        let found: Vec<&'c DataObject> =
            all.iter().copied().filter(|object| is_called(object) && has_tags(object)).collect();
        if found.is_empty() && !selector.future {
            self.problem(spot, Severity::Warning, "selects-nothing", "there is no such object now", None);
        }
        found
    }

    /// The permissions that are asked for, on objects of a kind.
    fn permissions(
        &mut self,
        spot: Spot,
        asked: &Asked,
        kind: &'c ObjectKind,
        may_pass_on: bool,
    ) -> Vec<&'c Permission> {
        let found: Vec<&Permission> = match asked {
            Asked::Global(global) => {
                let counts = |permission: &&Permission| {
                    permission.can_be_granted && permission.counts_as.iter().any(|word| word.as_str() == global.word())
                };
                kind.permissions.iter().filter(counts).collect()
            }
            Asked::Native(name) => kind.permission(name).into_iter().collect(),
        };
        if found.is_empty() {
            let names: Vec<&str> = grantable(kind).map(|permission| permission.name.as_str()).collect();
            let help = closest(&asked.to_string().to_uppercase(), names.iter().copied())
                .map(|close| format!("did you mean {close}?"))
                .or_else(|| Some(format!("it has: {}", names.join(", "))));
            self.error(spot, format!("a {} has no permission {asked}", kind.name), help);
        }
        let cannot =
            |permission: &&&Permission| !permission.can_be_granted || (may_pass_on && !permission.can_be_passed_on);
        if let Some(permission) = found.iter().find(cannot) {
            let how = if permission.can_be_granted { "granted on" } else { "granted" };
            self.error(spot, format!("{} cannot be {how}", permission.name), None);
            return Vec::new();
        }
        found
    }
}

fn grantable(kind: &ObjectKind) -> impl Iterator<Item = &Permission> {
    kind.permissions.iter().filter(|permission| permission.can_be_granted)
}
