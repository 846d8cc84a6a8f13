//! Why somebody holds a permission, or what is missing.

use super::answer::{AnswerFilter, How, Path, PathStep, Rows, Wider};
use super::filters::Sight;
use super::objects::ObjectId;
use super::principals::{Active, PrincipalId, PrincipalKind};
use super::rules::PermissionId;
use super::snapshot::Snapshot;

/// Something that a permission needs and that is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingNeed {
    /// The permission.
    pub permission: PermissionId,
    /// The object above; none where there is none of that kind.
    pub object: Option<ObjectId>,
}

/// The answer to why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// How it is held; none where it is not.
    pub how: Option<How>,
    /// Whether it holds under a condition only.
    pub conditional: bool,
    /// The shortest way, where it is held.
    pub path: Option<Path>,
    /// What it needs above its object and what is not held there.
    pub missing: Vec<MissingNeed>,
    /// The rows that are seen, by acting as told.
    pub rows: Rows,
    /// More rows that are seen by acting as something else, the most of them.
    pub wider: Option<Wider>,
    /// Access controls that would give it and that are not held, the nearest of them first.
    pub would_give: Vec<PrincipalId>,
    /// Access controls that take it, whatever else gives it.
    pub denied_by: Vec<PrincipalId>,
}

/// How many access controls are named that would give something.
const NAMED: usize = 5;

impl Snapshot {
    /// Why a user holds a permission on an object, or what is missing.
    pub fn explain(&self, user: PrincipalId, object: ObjectId, permission: PermissionId) -> Explanation {
        let acting = self.acting(user, &AnswerFilter::default());
        let givers = self.givers(object, permission);
        let denied_by = self
            .giving(&self.denials, &givers)
            .filter(|fact| acting[0].1.has(fact.control))
            .map(|fact| fact.control)
            .collect();
        let held = acting.iter().find_map(|(how, active)| Some((*how, active, self.holds(active, &givers)?)));
        let own = &acting[0].1;
        let missing_for = |active: &Active| self.missing([active, own], object, permission);
        let Some((how, active, conditional)) = held else {
            return Explanation {
                how: None,
                conditional: false,
                path: None,
                missing: missing_for(own),
                rows: self.sight_of(&acting, How::Active, object, permission).rows,
                wider: None,
                would_give: self.would_give(&givers),
                denied_by,
            };
        };
        let Sight { rows, wider, .. } = self.sight_of(&acting, how, object, permission);
        Explanation {
            how: Some(how),
            conditional,
            path: self.path(user, how, active, object, permission),
            missing: missing_for(active),
            rows,
            wider,
            would_give: Vec::new(),
            denied_by,
        }
    }

    /// The shortest way by which a user holds a permission, and how many others there are.
    pub fn shortest_path(
        &self,
        user: PrincipalId,
        object: ObjectId,
        permission: PermissionId,
        how: How,
    ) -> Option<Path> {
        let givers = self.givers(object, permission);
        let acting = self.acting(user, &AnswerFilter { how: Some(how), ..AnswerFilter::default() });
        let mut of_this = acting.iter().filter(|(other, _)| *other == how);
        let (_, active) = of_this.find(|(_, active)| self.holds(active, &givers).is_some())?;
        self.path(user, how, active, object, permission)
    }

    fn path(
        &self,
        user: PrincipalId,
        how: How,
        active: &Active,
        object: ObjectId,
        permission: PermissionId,
    ) -> Option<Path> {
        let (fact, way, others) = self.best_fact(object, permission, active.start()?)?;
        let mut steps = vec![PathStep::Is(user)];
        let rest = way.get(1..).unwrap_or_default();
        match how {
            How::Active => {}
            How::Assumable => steps.push(PathStep::Switches(way[0])),
            How::Obtainable => steps.push(PathStep::Admits(way[0])),
        }
        steps.extend(rest.iter().map(|principal| PathStep::In(*principal)));
        steps.push(PathStep::Holds(fact.permission, fact.object));
        Some(Path { steps, others })
    }

    /// What a permission needs that is not held: by what is active, and by the user themselves.
    fn missing(&self, [active, own]: [&Active; 2], object: ObjectId, permission: PermissionId) -> Vec<MissingNeed> {
        let rule = self.rules.rule(permission);
        let of_acting = rule.needs.iter().map(|any| (active, any));
        let of_login = rule.login_needs.iter().map(|any| (own, any));
        let mut missing = Vec::new();
        for (active, any) in of_acting.chain(of_login) {
            let met = any.iter().any(|need| {
                let above = self.above(object, *need);
                above.is_some_and(|above| self.holds(active, &self.givers(above, *need)) == Some(false))
            });
            if let Some(need) = any.first().filter(|_| !met) {
                missing.push(MissingNeed { permission: *need, object: self.above(object, *need) });
            }
        }
        missing
    }

    fn would_give(&self, givers: &[(ObjectId, PermissionId)]) -> Vec<PrincipalId> {
        let mut controls: Vec<PrincipalId> = self.giving(&self.grants, givers).map(|fact| fact.control).collect();
        controls
            .sort_by_key(|id| (self.principal(*id).kind != PrincipalKind::Control, self.principal(*id).name.clone()));
        controls.dedup();
        controls.truncate(NAMED);
        controls
    }
}
