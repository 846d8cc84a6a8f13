//! Expansion: from direct facts to who can really do what.
//!
//! Everything is derived from the description of the target and nothing from its name: which permission comes with which
//! (`implies`, `reaches`, `shorthand`), what it needs above it (`needs`), whom a rule covers (`specials`). A *start* is
//! somebody that one acts as: a user, or an access control that was switched to. The engine works on sets of starts:
//!
//! - `holders`: the starts that hold a permission on an object without doing anything more. Users among them hold it
//!   *actively*.
//! - Who can switch to one of them holds it *assumably*, who can make himself one of them, *obtainably*.
//! - *usable* says that what the permission needs on the objects above is held by the same start.
//! - *indirect* are the ways through other objects: views with the rights of their owner, parents of partitions.
//!
//! A deny takes from whoever it is active for, whatever else grants. A fact with a condition never makes a plain yes.

mod answer;
mod explain;
mod filters;
mod forecast;
mod holders;
mod indirect;
mod objects;
mod partly;
mod principals;
mod rules;
mod snapshot;
mod undefined;
mod usable;

pub use answer::{Answer, AnswerFilter, How, Path, PathStep, Rows, Wider};
pub use explain::{Explanation, MissingNeed};
pub use forecast::{Forecast, NewObject};
pub use indirect::{Indirect, MayReach};
pub use objects::ObjectId;
pub use partly::Partly;
pub use principals::{Principal, PrincipalId, PrincipalKind};
pub use rules::PermissionId;
pub use snapshot::{BuildError, Builder, Snapshot};
pub use usable::{Asked, Usable};
