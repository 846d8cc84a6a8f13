//! A connector that misbehaves in the way that a setting names, in the step that another one names. Everywhere else it is
//! a small, correct one.

mod changes;
mod egress;
mod scenario;
mod surroundings;

use raito_sdk::access::{AccessControl, Action, Member, MemberKind, PermissionUse, What};
use raito_sdk::data_source::{
    ControlKind, DataObject, Description, Identity, ObjectKind, Permission, Rights, Shorthand,
};
use raito_sdk::identity_store::User;
use raito_sdk::{
    Context, Fault, Gap, ObjectRef, Pages, Reader, Settings, Tag, access_from_target, access_to_target, data_source,
    identity_store,
};
use scenario::Scenario;

/// The connector.
pub struct Chaos;

/// One page, after something bad was tried.
struct OnePage<P> {
    scenario: Scenario,
    page: Option<P>,
    /// Records of the pages before, where there is no end of them.
    sent: u64,
}

impl Pages for OnePage<identity_store::Page> {
    type Page = identity_store::Page;

    fn next(&mut self) -> Result<Option<Self::Page>, Fault> {
        self.scenario.play()?;
        let Some(mut page) = self.page.take() else {
            if self.scenario.is("bad-record-then-calls") {
                egress::call_without_end()?;
            }
            return Ok(self.scenario.is("empty-pages").then(|| identities(vec![])));
        };
        match self.scenario.name() {
            "bad-record-then-calls" => page.users[0].external_id.clear(),
            "bad-record" => page.users[0].external_id.clear(),
            "escape" => page.users[0].display_name = "\u{1b}]0;owned\u{7}\u{1b}[31mred".into(),
            "huge-string" => page.users[0].display_name = "x".repeat(64 * 1024 * 1024),
            "many-records" => page.users = vec![page.users[0].clone(); 1_000_000],
            "duplicate" => page.users.push(page.users[0].clone()),
            "empty-pages" => page.users.clear(),
            // Four pages of 31 MB, of users with as many and as long tags as they may have.
            "longest-pages" => {
                page.users = (self.sent..self.sent + 31).map(|number| long_user(&format!("u{number}"))).collect();
                self.sent += 31;
                self.page = (self.sent < 124).then(|| identities(vec![]));
            }
            "long-gaps" => {
                page.gaps = vec![Gap { scope: None, reason: "x".repeat(15 * 1024) }; 1_000];
                self.page = Some(page.clone());
                page.users.clear();
            }
            _ => {}
        }
        Ok(Some(page))
    }
}

impl Pages for OnePage<access_from_target::Page> {
    type Page = access_from_target::Page;

    fn next(&mut self) -> Result<Option<Self::Page>, Fault> {
        self.scenario.play()?;
        if self.scenario.is("endless-names")
            && let Some(page) = &mut self.page
        {
            page.access_controls = (self.sent..self.sent + PAGE).map(long_control).collect();
            self.sent += PAGE;
            return Ok(self.page.clone());
        }
        if self.scenario.is("undefined")
            && let Some(page) = &mut self.page
        {
            page.access_controls.push(hr());
        }
        Ok(self.page.take())
    }
}

/// An access control that names what nobody defines: a user beside one who is there, who made them
/// members, and an object.
fn hr() -> AccessControl {
    let member = |id: &str, by: Option<&str>| Member {
        kind: MemberKind::User,
        id: id.into(),
        inherits: true,
        assumable: false,
        may_pass_on: false,
        granted_by: by.map(str::to_owned),
        expires_ms: None,
    };
    let on = |path: &str| What {
        object: ObjectRef { path: vec![path.into()], signature: None, kind: "table".into() },
        permissions: vec![PermissionUse { name: "read".into(), may_pass_on: false, granted_by: None }],
        condition: None,
    };
    AccessControl {
        external_id: "hr".into(),
        name: "hr".into(),
        actual_name: "hr".into(),
        who: vec![member("u1", None), member("ann", Some("nobody"))],
        what: vec![on("root"), on("lost")],
        ..control()
    }
}

/// An access control whose name is as long as one may be.
fn long_control(number: u64) -> AccessControl {
    let name = format!("{number:01000}");
    AccessControl { external_id: name.clone(), actual_name: name, ..control() }
}

/// Objects in pages of 1,024: one database with tables in it.
struct Objects {
    scenario: Scenario,
    next: u64,
    count: u64,
}

/// Records in a page.
const PAGE: u64 = 1024;

impl Pages for Objects {
    type Page = data_source::Page;

    fn next(&mut self) -> Result<Option<Self::Page>, Fault> {
        self.scenario.play()?;
        let end = self.count.min(self.next + PAGE);
        if self.next >= end {
            return Ok(None);
        }
        let objects = (self.next..end).map(object).collect();
        self.next = end;
        Ok(Some(data_source::Page { objects, gaps: vec![], resume: None }))
    }
}

/// A text with a number of at least so many digits behind it, in a string of just that size: what is to be measured with these
/// is how records cross, so making them is to cost little.
fn numbered(prefix: &str, mut number: u64, digits: usize) -> String {
    let mut written = [b'0'; 20];
    let mut first = written.len();
    while number > 0 {
        first -= 1;
        written[first] += (number % 10) as u8;
        number /= 10;
    }
    let written = &written[first.min(written.len() - digits)..];
    let mut text = String::with_capacity(prefix.len() + written.len());
    text.push_str(prefix);
    text.push_str(str::from_utf8(written).expect("digits"));
    text
}

fn object(number: u64) -> DataObject {
    let root = number == 0;
    let name = if root { "root".to_owned() } else { numbered("table_", number, 8) };
    let path = if root { vec![name.clone()] } else { vec!["root".to_owned(), "schema".to_owned(), name.clone()] };
    DataObject {
        external_id: numbered("id/", number, 1),
        name,
        ref_: ObjectRef { path, signature: None, kind: "table".into() },
        description: String::new(),
        parent_external_id: (!root).then(|| "id/0".to_owned()),
        data_type: None,
        reads: vec![],
        rights: Rights::Caller,
        tags: vec![],
    }
}

fn user(id: &str) -> User {
    User {
        external_id: id.into(),
        user_name: id.into(),
        display_name: id.into(),
        email: None,
        enabled: true,
        machine: None,
        tags: vec![],
    }
}

/// A user with as many tags as one may have, each nearly as long as one may be.
fn long_user(id: &str) -> User {
    let tag = |number| Tag { key: format!("t{number}"), value: "x".repeat(4_000), source: String::from("chaos") };
    User { tags: (0..256).map(tag).collect(), ..user(id) }
}

fn identities(users: Vec<User>) -> identity_store::Page {
    identity_store::Page { users, groups: vec![], memberships: vec![], gaps: vec![], resume: None }
}

impl identity_store::Guest for Chaos {
    type Reader = Reader<identity_store::Page>;

    fn open(context: Context) -> Result<identity_store::Reader, Fault> {
        let page = Some(identities(vec![user("u1")]));
        let pages = OnePage { scenario: Scenario::of(&context, "identity-store"), page, sent: 0 };
        Ok(identity_store::Reader::new(Reader::new(pages)))
    }
}

impl data_source::Guest for Chaos {
    type Reader = Reader<data_source::Page>;

    fn describe(_context: Context) -> Result<Description, Fault> {
        Ok(description())
    }

    fn open(context: Context, _under: Option<String>) -> Result<data_source::Reader, Fault> {
        let count = Settings::new(&context).integer("objects").and_then(|count| u64::try_from(count).ok());
        let objects = Objects { scenario: Scenario::of(&context, "data-source"), next: 0, count: count.unwrap_or(1) };
        Ok(data_source::Reader::new(Reader::new(objects)))
    }
}

impl access_from_target::Guest for Chaos {
    type Reader = Reader<access_from_target::Page>;

    fn open(context: Context) -> Result<access_from_target::Reader, Fault> {
        let page =
            access_from_target::Page { access_controls: vec![control()], parts: vec![], gaps: vec![], resume: None };
        let pages = OnePage { scenario: Scenario::of(&context, "access-from-target"), page: Some(page), sent: 0 };
        Ok(access_from_target::Reader::new(Reader::new(pages)))
    }
}

impl access_to_target::Guest for Chaos {
    fn apply(
        context: Context,
        sets: Vec<access_to_target::ChangeSet>,
    ) -> Result<Vec<access_to_target::Applied>, Fault> {
        let scenario = Scenario::of(&context, "access-to-target");
        Ok(sets.iter().map(|set| changes::apply(&scenario, set)).collect())
    }
}

fn control() -> AccessControl {
    AccessControl {
        external_id: "r1".into(),
        name: "r1".into(),
        actual_name: "r1".into(),
        kind: "role".into(),
        description: String::new(),
        action: Action::Grant,
        version: None,
        who: vec![],
        what: vec![],
        standing: vec![],
        policy: None,
        locks: vec![],
        internalizable: true,
        incomplete: false,
        tags: vec![],
    }
}

fn description() -> Description {
    let permission = |name: &str| Permission {
        name: name.into(),
        description: String::new(),
        counts_as: vec!["read".into()],
        implies: vec![],
        reaches: vec![],
        needs: vec![],
        shorthand: Shorthand::None,
        can_be_granted: true,
        can_be_passed_on: false,
        asked_at_login: false,
    };
    Description {
        name: "chaos".into(),
        instance_id: "chaos".into(),
        kinds: vec![ObjectKind {
            name: "table".into(),
            label: "Table".into(),
            permissions: ["read", "SELECT", "INSERT", "DELETE"].map(permission).to_vec(),
            children: vec![],
            revoke_clears_parts: false,
        }],
        controls: vec![ControlKind {
            name: "role".into(),
            label: "Role".into(),
            identity: Identity::Named,
            can_create: true,
            can_rename: false,
            assumable: false,
            members: vec!["user".into()],
            admits: vec!["user".into()],
            common_parent: None,
            replaced_whole: false,
        }],
        specials: vec![],
        inheritance: false,
        masks: vec![],
        filters_apply_to: vec![],
        mask_overrides: vec![],
        filter_overrides: vec![],
        name_pattern: ".*".into(),
        name_bytes_max: 63,
        reserved_prefixes: vec![],
        sql_dialect: None,
        left_out: vec![],
    }
}

#[cfg(target_family = "wasm")]
mod export {
    use super::Chaos;
    raito_sdk::export_identity_store!(Chaos);
    raito_sdk::export_data_source!(Chaos);
    raito_sdk::export_access_from_target!(Chaos);
    raito_sdk::export_access_to_target!(Chaos);
}
