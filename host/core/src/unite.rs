//! Uniting pages: a read is a set of records, whatever way it was cut into pages and parts.
//!
//! An id that comes twice in one read means that the target moved under the reader, so the read is not one state of the
//! target: it fails, and nothing is removed on the strength of it. Records that do not fit the description are refused
//! here as well, so that everything behind this point can rely on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::BadRecord;
use crate::limits;
use crate::record::{
    AccessControl, AccessPage, Description, Gap, IdentityPage, Member, MemberKind, ObjectPage, ObjectRef, Part,
    PermissionUse, Standing, What,
};
use crate::seen::Seen;
use crate::text::{ExternalId, Kind, Name};

/// What was seen of a read: which ids, how many records, what was missing.
#[derive(Debug, Default)]
pub struct Reading {
    seen: Seen,
    records: u64,
    pages: u64,
    empty_in_a_row: u32,
    gaps: Vec<Gap>,
    /// Bytes of names and gaps, which are kept until the read is over.
    kept_bytes: usize,
}

impl Reading {
    /// Counts a page and what was missing.
    ///
    /// # Errors
    /// `BadRecord` where the read is longer than a read may be.
    pub fn page(&mut self, records: usize, gaps: Vec<Gap>) -> Result<(), BadRecord> {
        self.pages += 1;
        self.records += records as u64;
        self.empty_in_a_row = if records == 0 { self.empty_in_a_row + 1 } else { 0 };
        let bytes =
            gaps.iter().map(|gap| gap.reason.as_str().len() + gap.scope.as_ref().map_or(0, |id| id.as_str().len()));
        self.keep(bytes.sum())?;
        self.gaps.extend(gaps);
        let over = |what: &str, max: String| Err(BadRecord::new("page", format!("more than {max} {what} in one step")));
        if self.records > limits::STEP_RECORDS {
            return over("records", limits::STEP_RECORDS.to_string());
        }
        if self.pages > limits::STEP_PAGES {
            return over("pages", limits::STEP_PAGES.to_string());
        }
        if self.empty_in_a_row > limits::EMPTY_PAGES_IN_A_ROW {
            return over("empty pages in a row", limits::EMPTY_PAGES_IN_A_ROW.to_string());
        }
        if self.gaps.len() > limits::GAPS {
            return over("gaps", limits::GAPS.to_string());
        }
        Ok(())
    }

    /// Counts what is kept until the read is over.
    fn keep(&mut self, bytes: usize) -> Result<(), BadRecord> {
        self.kept_bytes += bytes;
        if self.kept_bytes > limits::STEP_KEPT_BYTES {
            let reason = format!("more than {} bytes to be kept of one step: names and gaps", limits::STEP_KEPT_BYTES);
            return Err(BadRecord::new("page", reason));
        }
        Ok(())
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Pages so far.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// What was missing so far.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether nothing was missing.
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    fn once(&mut self, kind: &str, id: &ExternalId) -> Result<(), BadRecord> {
        if self.seen.insert(kind, id.as_str()) {
            return Ok(());
        }
        let why = "the target changed while it was read, or a page was read twice";
        Err(BadRecord::new("external-id", format!("{kind} {id} comes twice in one read: {why}")))
    }

    fn has(&self, kind: &str, id: &ExternalId) -> bool {
        self.seen.contains(kind, id.as_str())
    }

    /// Takes a page of step 1.
    ///
    /// # Errors
    /// `BadRecord` where an id comes twice.
    pub fn identities(&mut self, page: &IdentityPage) -> Result<(), BadRecord> {
        for (index, user) in page.users.iter().enumerate() {
            self.once("user", &user.external_id).map_err(|bad| bad.within(format!("users[{index}]")))?;
        }
        for (index, group) in page.groups.iter().enumerate() {
            self.once("group", &group.external_id).map_err(|bad| bad.within(format!("groups[{index}]")))?;
        }
        for (index, membership) in page.memberships.iter().enumerate() {
            if !matches!(membership.member.kind, MemberKind::User | MemberKind::Group) {
                let reason = format!("a group has users and groups, not {}", membership.member.kind.word());
                return Err(BadRecord::new(format!("memberships[{index}].member.kind"), reason));
            }
        }
        Ok(())
    }

    /// Takes a page of step 2.
    ///
    /// # Errors
    /// `BadRecord` where an id comes twice or a kind is unknown.
    pub fn objects(&mut self, page: &ObjectPage, description: &Description) -> Result<(), BadRecord> {
        for (index, object) in page.objects.iter().enumerate() {
            let within = |bad: BadRecord| bad.within(format!("objects[{index}]"));
            self.once("object", &object.external_id).map_err(within)?;
            known_object_kind(&object.object, description).map_err(|bad| within(bad.within("ref")))?;
        }
        Ok(())
    }
}

/// What an entry of a map of names takes beside the texts: their headers, and its share of a node.
const NAME_OVERHEAD_BYTES: usize = 128;

/// Kind and technical name, and the object where the name is its own there only.
type Called = (Kind, Name, Option<ObjectRef>);

/// The access controls of a read: all of them by name, and those that are asked for whole.
#[derive(Debug, Default)]
pub struct AccessReading {
    /// Every control, by what makes its name its own.
    names: BTreeMap<Called, ExternalId>,
    /// The controls that are asked for whole.
    asked: BTreeSet<ExternalId>,
    /// What was kept of them.
    kept: BTreeMap<ExternalId, AccessControl>,
    /// About how many bytes these have.
    kept_bytes: u64,
    /// The access controls of users' own, by user; none where several say to be that.
    own: BTreeMap<ExternalId, Option<ExternalId>>,
}

impl AccessReading {
    /// Takes a page of step 3. Controls are asked for whole for which `keep` says so: they are handed over once whoever else needs
    /// the page is done with it, so that no record is copied.
    ///
    /// # Errors
    /// `BadRecord` where an id comes twice, or something does not fit the description.
    pub fn take(
        &mut self,
        reading: &mut Reading,
        page: &AccessPage,
        description: &Description,
        keep: impl Fn(&AccessControl) -> bool,
    ) -> Result<(), BadRecord> {
        for (index, control) in page.access_controls.iter().enumerate() {
            let within = |bad: BadRecord| bad.within(format!("access-controls[{index}]"));
            reading.once("access-control", &control.external_id).map_err(within)?;
            conforms(control, description).map_err(within)?;
            let kind = description.control_kind(&control.kind);
            let object = kind.and_then(|kind| kind.object_of(control)).cloned();
            if let Some(user) = kind.and_then(|kind| kind.user_of(control)) {
                reading.keep(user.as_str().len() + NAME_OVERHEAD_BYTES).map_err(within)?;
                let own = self.own.entry(user.clone());
                own.and_modify(|own| *own = None).or_insert_with(|| Some(control.external_id.clone()));
            }
            let path = object.iter().flat_map(|object| &object.path).map(|part| part.as_str().len()).sum::<usize>();
            let name = control.actual_name.as_str().len() + control.external_id.as_str().len();
            reading.keep(name + path + NAME_OVERHEAD_BYTES).map_err(within)?;
            let called = (control.kind.clone(), control.actual_name.clone(), object);
            self.names.insert(called, control.external_id.clone());
            if keep(control) {
                self.count(&control.who, &control.what, &control.standing).map_err(within)?;
                self.asked.insert(control.external_id.clone());
            }
        }
        for (index, part) in page.parts.iter().enumerate() {
            let within = |bad: BadRecord| bad.within(format!("parts[{index}]"));
            part.what.iter().enumerate().try_for_each(|(at, what)| {
                known_what(what, description).map_err(|bad| within(bad.within(format!("what[{at}]"))))
            })?;
            part.standing.iter().enumerate().try_for_each(|(at, standing)| {
                known_standing(standing, description).map_err(|bad| within(bad.within(format!("standing[{at}]"))))
            })?;
            if !reading.has("access-control", &part.control) {
                let reason = format!("access control {} has not come before its part", part.control);
                return Err(within(BadRecord::new("control", reason)));
            }
            if self.asked.contains(&part.control) {
                self.count(&part.who, &part.what, &part.standing).map_err(within)?;
            }
        }
        Ok(())
    }

    /// Keeps what was taken of a page, where it was asked for.
    pub fn keep(&mut self, page: AccessPage) {
        page.access_controls.into_iter().for_each(|control| self.keep_control(control));
        page.parts.into_iter().for_each(|part| self.keep_part(part));
    }

    /// Keeps an access control that was taken, where it was asked for.
    pub fn keep_control(&mut self, control: AccessControl) {
        if self.asked.contains(&control.external_id) {
            self.kept.insert(control.external_id.clone(), control);
        }
    }

    /// Keeps more of an access control that is kept.
    pub fn keep_part(&mut self, part: Part) {
        if let Some(control) = self.kept.get_mut(&part.control) {
            control.who.extend(part.who);
            control.what.extend(part.what);
            control.standing.extend(part.standing);
        }
    }

    /// Counts what is kept whole: each member, object and permission with its texts and what holds them.
    fn count(&mut self, who: &[Member], what: &[What], standing: &[Standing]) -> Result<(), BadRecord> {
        let object = |object: &ObjectRef| -> usize { object.path.iter().map(|part| part.as_str().len() + 16).sum() };
        let members: usize = who.iter().map(|member| member.id.as_str().len() + size_of::<Member>()).sum();
        let what: usize = what
            .iter()
            .map(|what| {
                size_of::<What>() + object(&what.object) + what.permissions.len() * (size_of::<PermissionUse>() + 16)
            })
            .sum();
        let standing: usize = standing
            .iter()
            .map(|one| size_of::<Standing>() + object(&one.under) + one.permissions.len() * size_of::<PermissionUse>())
            .sum();
        self.kept_bytes += (members + what + standing) as u64;
        if self.kept_bytes > limits::CATALOGUE_BYTES {
            let reason =
                format!("more than {} bytes of access controls that are to be changed", limits::CATALOGUE_BYTES);
            return Err(BadRecord::new("page", reason));
        }
        Ok(())
    }

    /// The controls, once the read is over.
    pub fn finish(self) -> AccessControls {
        AccessControls { names: self.names, kept: self.kept, own: self.own }
    }
}

/// The access controls of a whole read.
#[derive(Debug, Default, Clone)]
pub struct AccessControls {
    names: BTreeMap<Called, ExternalId>,
    kept: BTreeMap<ExternalId, AccessControl>,
    own: BTreeMap<ExternalId, Option<ExternalId>>,
}

impl AccessControls {
    /// The external id of the control of this kind with this technical name; on this object, where the kind's names are an
    /// object's own (`ControlKind::object_of`).
    pub fn id_of(&self, kind: &Kind, actual_name: &Name, object: Option<&ObjectRef>) -> Option<&ExternalId> {
        self.names.get(&(kind.clone(), actual_name.clone(), object.cloned()))
    }

    /// The access control of a user's own (`ControlKind::user_of`), by their external ids; none where it is not certain which.
    pub fn own_of(&self, user: &ExternalId) -> Option<&ExternalId> {
        self.own.get(user)?.as_ref()
    }

    /// The control with this external id, where it was kept.
    pub fn get(&self, id: &ExternalId) -> Option<&AccessControl> {
        self.kept.get(id)
    }

    /// Whether any control of the read has this external id.
    pub fn has(&self, id: &ExternalId) -> bool {
        self.kept.contains_key(id) || self.names.values().any(|other| other == id)
    }

    /// Kind, technical name and external id of every control of the read.
    pub fn all(&self) -> impl Iterator<Item = (&Kind, &Name, &ExternalId)> {
        self.names.iter().map(|((kind, name, _), id)| (kind, name, id))
    }

    /// All controls that were kept.
    pub fn kept(&self) -> impl Iterator<Item = &AccessControl> {
        self.kept.values()
    }
}

/// Refuses an access control that does not fit the description.
///
/// # Errors
/// `BadRecord` names the first field that does not fit.
pub fn conforms(control: &AccessControl, description: &Description) -> Result<(), BadRecord> {
    let Some(kind) = description.control_kind(&control.kind) else {
        return Err(BadRecord::new("kind", format!("the description has no control kind {}", control.kind)));
    };
    for (index, member) in control.who.iter().enumerate() {
        if !kind.members.contains(&member.kind) {
            let reason = format!("a {} takes no {} as a member", control.kind, member.kind.word());
            return Err(BadRecord::new(format!("who[{index}].kind"), reason));
        }
    }
    for (index, what) in control.what.iter().enumerate() {
        known_what(what, description).map_err(|bad| bad.within(format!("what[{index}]")))?;
    }
    for (index, standing) in control.standing.iter().enumerate() {
        known_standing(standing, description).map_err(|bad| bad.within(format!("standing[{index}]")))?;
    }
    Ok(())
}

fn known_object_kind(object: &ObjectRef, description: &Description) -> Result<(), BadRecord> {
    match description.object_kind(&object.kind) {
        Some(_) => Ok(()),
        None => Err(BadRecord::new("kind", format!("the description has no object kind {}", object.kind))),
    }
}

fn known_what(what: &What, description: &Description) -> Result<(), BadRecord> {
    known_object_kind(&what.object, description).map_err(|bad| bad.within("object"))?;
    known_permissions(&what.permissions, &what.object.kind, description)
}

fn known_standing(standing: &Standing, description: &Description) -> Result<(), BadRecord> {
    known_object_kind(&standing.under, description).map_err(|bad| bad.within("under"))?;
    if description.object_kind(&standing.kind).is_none() {
        return Err(BadRecord::new("kind", format!("the description has no object kind {}", standing.kind)));
    }
    known_permissions(&standing.permissions, &standing.kind, description)
}

fn known_permissions(permissions: &[PermissionUse], kind: &Kind, description: &Description) -> Result<(), BadRecord> {
    let Some(object_kind) = description.object_kind(kind) else { return Ok(()) };
    match permissions.iter().position(|permission| object_kind.permission(&permission.name).is_none()) {
        None => Ok(()),
        Some(index) => {
            let reason = format!("a {kind} has no permission {}", permissions[index].name);
            Err(BadRecord::new(format!("permissions[{index}].name"), reason))
        }
    }
}
