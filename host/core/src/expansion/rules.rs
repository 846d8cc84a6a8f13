//! The description as numbers: permissions of kinds, and which of them comes with which.

use std::collections::BTreeMap;

use crate::record::{Description, Shorthand};
use crate::text::{Kind, PermissionName};

/// A permission of an object kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermissionId(pub(super) u16);

/// An object kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct KindId(pub(super) u16);

/// What is known of a permission.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) kind: KindId,
    pub(super) name: PermissionName,
    /// Permissions on the same object with which it comes.
    pub(super) implied_by: Vec<PermissionId>,
    /// Permissions on objects above with which it comes.
    pub(super) reached_by: Vec<PermissionId>,
    /// Permissions below that come with it.
    pub(super) reaches: Vec<PermissionId>,
    /// Permissions on the same object that come with it.
    pub(super) implies: Vec<PermissionId>,
    /// What whoever acts must hold above: all of the outer list, any of each inner one.
    pub(super) needs: Vec<Vec<PermissionId>>,
    /// What the user must hold above, or there, whatever they act as.
    pub(super) login_needs: Vec<Vec<PermissionId>>,
    pub(super) reads: bool,
    pub(super) writes: bool,
    /// Whether its holder can hand out what is held on the object.
    pub(super) administers: bool,
    /// Whether its holders see all rows.
    pub(super) overrides_filters: bool,
}

/// All rules of a description.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    kinds: Vec<Kind>,
    rules: Vec<Rule>,
    by_name: BTreeMap<(Kind, PermissionName), PermissionId>,
}

impl Rules {
    /// The rules of a description. What it names without describing it is left out; `unite` has refused that before.
    pub(super) fn new(description: &Description) -> Self {
        let kinds = description.kinds.iter().map(|kind| kind.name.clone()).collect();
        let mut rules = Self { kinds, rules: Vec::new(), by_name: BTreeMap::new() };
        for (at, kind) in description.kinds.iter().enumerate() {
            for permission in &kind.permissions {
                let id = PermissionId(u16::try_from(rules.rules.len()).unwrap_or(u16::MAX));
                let counts = |word: &str| permission.counts_as.iter().any(|other| other.as_str() == word);
                rules.by_name.insert((kind.name.clone(), permission.name.clone()), id);
                rules.rules.push(Rule {
                    kind: KindId(u16::try_from(at).unwrap_or(u16::MAX)),
                    name: permission.name.clone(),
                    implied_by: Vec::new(),
                    reached_by: Vec::new(),
                    reaches: Vec::new(),
                    implies: Vec::new(),
                    needs: Vec::new(),
                    login_needs: Vec::new(),
                    reads: counts("read"),
                    writes: counts("write"),
                    administers: counts("admin"),
                    overrides_filters: description.filter_overrides.contains(&permission.name),
                });
            }
        }
        rules.connect(description);
        rules
    }

    fn connect(&mut self, description: &Description) {
        let asked = description.kinds.iter().flat_map(|kind| {
            let at_login = kind.permissions.iter().filter(|permission| permission.asked_at_login);
            at_login.filter_map(|permission| self.permission(&kind.name, &permission.name))
        });
        let at_login: Vec<PermissionId> = asked.collect();
        for kind in &description.kinds {
            for permission in &kind.permissions {
                let Some(id) = self.permission(&kind.name, &permission.name) else { continue };
                let implied = permission.implies.iter().filter_map(|name| self.permission(&kind.name, name));
                let mut implied: Vec<_> = implied.collect();
                if permission.shorthand != Shorthand::None {
                    let others = kind
                        .permissions
                        .iter()
                        .filter(|other| other.can_be_granted && other.shorthand == Shorthand::None);
                    implied.extend(others.filter_map(|other| self.permission(&kind.name, &other.name)));
                }
                let reaches = permission.reaches.iter();
                let reached: Vec<_> =
                    reaches.filter_map(|reach| self.permission(&reach.to.kind, &reach.to.permission)).collect();
                let need = |any: &Vec<crate::record::KindPermission>| {
                    any.iter().filter_map(|one| self.permission(&one.kind, &one.permission)).collect()
                };
                let all = permission.needs.iter().map(need);
                let (mut login_needs, needs): (Vec<Vec<PermissionId>>, _) =
                    all.partition(|any: &Vec<PermissionId>| any.iter().any(|one| at_login.contains(one)));
                login_needs.extend(permission.asked_at_login.then(|| vec![id]));
                let rule = &mut self.rules[usize::from(id.0)];
                (rule.needs, rule.login_needs) = (needs, login_needs);
                for other in implied {
                    self.rules[usize::from(other.0)].implied_by.push(id);
                    self.rules[usize::from(id.0)].implies.push(other);
                }
                for other in reached {
                    self.rules[usize::from(other.0)].reached_by.push(id);
                    self.rules[usize::from(id.0)].reaches.push(other);
                }
            }
        }
    }

    pub(super) fn permission(&self, kind: &Kind, name: &PermissionName) -> Option<PermissionId> {
        self.by_name.get(&(kind.clone(), name.clone())).copied()
    }

    pub(super) fn kind(&self, name: &Kind) -> Option<KindId> {
        let at = self.kinds.iter().position(|kind| kind == name)?;
        u16::try_from(at).ok().map(KindId)
    }

    pub(super) fn kind_name(&self, kind: KindId) -> &Kind {
        &self.kinds[usize::from(kind.0)]
    }

    pub(super) fn rule(&self, id: PermissionId) -> &Rule {
        &self.rules[usize::from(id.0)]
    }

    /// Whether a permission, or one that comes with it, is held on objects below as well.
    pub(super) fn reaches_down(&self, id: PermissionId) -> bool {
        let mut found = vec![id];
        let mut at = 0;
        while let Some(rule) = found.get(at).map(|id| self.rule(*id)) {
            if !rule.reaches.is_empty() {
                return true;
            }
            for implied in &rule.implies {
                if !found.contains(implied) {
                    found.push(*implied);
                }
            }
            at += 1;
        }
        false
    }

    /// All permissions.
    pub(super) fn all(&self) -> impl Iterator<Item = PermissionId> {
        (0..self.rules.len()).map(|at| PermissionId(u16::try_from(at).unwrap_or(u16::MAX)))
    }

    /// All permissions of a kind.
    pub(super) fn of_kind(&self, kind: KindId) -> impl Iterator<Item = PermissionId> {
        let ids = self.rules.iter().enumerate().filter(move |(_, rule)| rule.kind == kind);
        ids.map(|(at, _)| PermissionId(u16::try_from(at).unwrap_or(u16::MAX)))
    }
}
