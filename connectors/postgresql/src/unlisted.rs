//! Roles that are named by access lists, memberships and policies, and that the list of roles does not have.
//!
//! One that the server has came up after the list was read, and what is about it is left for the next run.
//! One that it does not have was dropped while something still named it: before 16 the server allows that
//! for grantors of memberships, and broken catalogues have it for the rest. What is about it is told, for a
//! control of its own that nobody is a member of.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use raito_sdk::access::AccessControl;
use raito_sdk::access_from_target::Part;
use raito_sdk::types::Value;
use raito_sdk::{Call, Fault, Gap, SqlRow};

use crate::access::memberships;
use crate::cluster::{Database, gap, passes};
use crate::keyset::MAIN;
use crate::names::role_id;
use crate::privileges::Held;
use crate::roles::Roles;

/// Facts and memberships that are kept until it is known whose they are. More are left for the next run.
const KEPT: usize = 20_000;

/// What is about them in one database.
struct Aside {
    database: Rc<Database>,
    roles: BTreeSet<i64>,
    held: Held,
    memberships: Vec<SqlRow>,
}

/// What is about them, by the oid of the database that told it.
#[derive(Default)]
pub(crate) struct Unlisted {
    asides: BTreeMap<i64, Aside>,
    kept: usize,
}

/// What became of what was kept.
pub(crate) struct Settled {
    pub(crate) controls: Vec<AccessControl>,
    pub(crate) parts: Vec<Part>,
    pub(crate) gaps: Vec<Gap>,
}

impl Unlisted {
    fn aside(&mut self, database: &Rc<Database>) -> &mut Aside {
        self.asides.entry(database.oid).or_insert_with(|| Aside {
            database: Rc::clone(database),
            roles: BTreeSet::new(),
            held: Held::default(),
            memberships: Vec::new(),
        })
    }

    /// Notes those of these roles that the list does not have.
    pub(crate) fn name(&mut self, database: &Rc<Database>, roles: impl IntoIterator<Item = i64>, listed: &Roles) {
        for role in roles.into_iter().filter(|role| !listed.knows(*role)) {
            self.aside(database).roles.insert(role);
        }
    }

    /// Keeps what such roles hold.
    pub(crate) fn keep(&mut self, database: &Rc<Database>, held: Held) {
        if !held.is_empty() && self.kept < KEPT {
            self.kept += held.len();
            self.aside(database).held.extend(held);
        }
    }

    /// Keeps memberships of or in such roles.
    pub(crate) fn keep_memberships(&mut self, database: &Rc<Database>, rows: Vec<SqlRow>) {
        if !rows.is_empty() && self.kept < KEPT {
            self.kept += rows.len();
            self.aside(database).memberships.extend(rows);
        }
    }

    /// Asks one database which of its roles there are, when no other statement is being read there; none where nothing is kept
    /// any more.
    pub(crate) fn settle(&mut self, roles: &mut Roles) -> Result<Option<Settled>, Fault> {
        let Some((_, Aside { database, roles: mut open, held, memberships: rows })) = self.asides.pop_first() else {
            return Ok(None);
        };
        open.retain(|role| !roles.knows(*role));
        let newer = match roles_of(&database, &open) {
            Ok(newer) => newer,
            Err(fault) if passes(&fault) => {
                let gaps = vec![gap(Some(database.oid), &database.name, &fault)];
                return Ok(Some(Settled { controls: vec![], parts: vec![], gaps }));
            }
            Err(fault) => return Err(fault),
        };
        let controls = open.difference(&newer).map(|role| roles.take_dropped(*role)).collect();
        let (mut parts, _) = held.into_parts(roles);
        parts.extend(memberships(rows, roles).0);
        let reason = |role: &i64| format!("the role with the oid {role} was created during the read");
        let mut gaps: Vec<Gap> =
            newer.iter().map(|role| Gap { scope: Some(role_id(*role)), reason: reason(role) }).collect();
        if self.kept >= KEPT {
            let reason = format!("more than {KEPT} entries are about roles that are not in the list of roles");
            gaps.push(Gap { scope: None, reason });
        }
        Ok(Some(Settled { controls, parts, gaps }))
    }
}

/// Those of these oids that roles have.
fn roles_of(database: &Database, oids: &BTreeSet<i64>) -> Result<BTreeSet<i64>, Fault> {
    if oids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let call = Call::new(MAIN, "roles-of").value("roles", Value::Texts(oids.iter().map(ToString::to_string).collect()));
    let call = match &database.at {
        Some(at) => call.at(at),
        None => call,
    };
    let mut rows = call.query()?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next_row()? {
        found.extend(row.integer(0));
    }
    Ok(found)
}
