//! Everything that a target has, of one read: what access code is compared with, live or from a snapshot in a file.

use std::collections::BTreeMap;

use crate::expansion::{BuildError, Builder, Snapshot};
use crate::fact::Unread;
use crate::fault::BadRecord;
use crate::groups::Groups;
use crate::record::{
    AccessControl, AccessPage, DataObject, Description, Gap, Group, IdentityPage, Member, Membership, ObjectPage, User,
};
use crate::text::{ExternalId, Name};
use crate::unite::{AccessControls, AccessReading, Reading};
use crate::upload::Line;
use crate::warrant::Names;

/// What was read of a target.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// How it behaves.
    pub description: Description,
    /// Its users.
    pub users: Vec<User>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// Who is in them.
    pub memberships: Vec<Membership>,
    /// Its objects.
    pub objects: Vec<DataObject>,
    /// All access controls, whole.
    pub controls: AccessControls,
    /// What of users and groups could not be read.
    pub identity_gaps: Vec<Gap>,
    /// What of objects could not be read.
    pub object_gaps: Vec<Gap>,
    /// What of access controls could not be read.
    pub access_gaps: Vec<Gap>,
}

/// Why lines are no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// A record does not fit the description, or comes twice.
    #[error(transparent)]
    Record(#[from] BadRecord),
    /// The description is missing, or stands behind what it describes.
    #[error("the target is not described before its objects and access controls")]
    NotDescribed,
    /// A line is of another step than these.
    #[error("a line is neither of identities, nor of objects, nor of access controls")]
    Stranger,
    /// The last line is missing, so some of the others may be.
    #[error("the end is missing: it was not written whole")]
    NoEnd,
}

/// A catalogue that is being put together from lines: identities, then objects behind the description, then access controls.
#[derive(Debug, Default)]
pub struct CatalogueBuilder {
    identities: Reading,
    objects: Reading,
    access: Reading,
    controls: AccessReading,
    description: Option<Description>,
    users: Vec<User>,
    groups: Vec<Group>,
    memberships: Vec<Membership>,
    all_objects: Vec<DataObject>,
    part: Part,
    lines: u64,
    ended: Option<u64>,
}

/// Which read a gap belongs to: the one whose records stand before it.
#[derive(Debug, Default, Clone, Copy)]
enum Part {
    #[default]
    Identities,
    Objects,
    Access,
}

impl CatalogueBuilder {
    /// Takes a line.
    ///
    /// # Errors
    /// `CatalogueError` where it does not fit what came before.
    pub fn take(&mut self, line: Line) -> Result<(), CatalogueError> {
        if let Line::End(end) = &line {
            self.ended = Some(end.lines);
            return Ok(());
        }
        self.lines += 1;
        match line {
            Line::User(user) => {
                let page = IdentityPage { users: vec![user], ..IdentityPage::default() };
                self.identities.identities(&page)?;
                self.users.extend(page.users);
            }
            Line::Group(group) => {
                let page = IdentityPage { groups: vec![group], ..IdentityPage::default() };
                self.identities.identities(&page)?;
                self.groups.extend(page.groups);
            }
            Line::Membership(membership) => {
                let page = IdentityPage { memberships: vec![membership], ..IdentityPage::default() };
                self.identities.identities(&page)?;
                self.memberships.extend(page.memberships);
            }
            Line::Description(description) => {
                self.part = Part::Objects;
                self.description = Some(*description);
            }
            Line::Object(object) => {
                let page = ObjectPage { objects: vec![object] };
                self.objects.objects(&page, self.description.as_ref().ok_or(CatalogueError::NotDescribed)?)?;
                self.all_objects.extend(page.objects);
            }
            Line::AccessControl(control) => {
                self.access(AccessPage { access_controls: vec![*control], parts: vec![] })?;
            }
            Line::Part(part) => self.access(AccessPage { access_controls: vec![], parts: vec![part] })?,
            Line::Gap(gap) => match self.part {
                // Counted as a page with a record, so that a file of gaps has a bound.
                Part::Identities => self.identities.page(1, vec![gap])?,
                Part::Objects => self.objects.page(1, vec![gap])?,
                Part::Access => self.access.page(1, vec![gap])?,
            },
            Line::End(_) => {}
            Line::Statement(_) | Line::Coverage(_) => return Err(CatalogueError::Stranger),
        }
        Ok(())
    }

    fn access(&mut self, page: AccessPage) -> Result<(), CatalogueError> {
        self.part = Part::Access;
        let description = self.description.as_ref().ok_or(CatalogueError::NotDescribed)?;
        self.controls.take(&mut self.access, &page, description, |_| true)?;
        self.controls.keep(page);
        Ok(())
    }

    /// The catalogue.
    ///
    /// # Errors
    /// `CatalogueError` where the description is missing, or the end with the number of lines before it.
    pub fn finish(self) -> Result<Catalogue, CatalogueError> {
        if self.ended != Some(self.lines) {
            return Err(CatalogueError::NoEnd);
        }
        Ok(Catalogue {
            description: self.description.ok_or(CatalogueError::NotDescribed)?,
            users: self.users,
            groups: self.groups,
            memberships: self.memberships,
            objects: self.all_objects,
            controls: self.controls.finish(),
            identity_gaps: self.identities.gaps().to_vec(),
            object_gaps: self.objects.gaps().to_vec(),
            access_gaps: self.access.gaps().to_vec(),
        })
    }
}

impl Catalogue {
    /// Gives the catalogue line by line, as [`CatalogueBuilder`] takes it, so that it need not be held twice.
    ///
    /// # Errors
    /// The first one of `take`, which is not called again then.
    pub fn each_line<E>(&self, mut take: impl FnMut(Line) -> Result<(), E>) -> Result<(), E> {
        let gaps = |gaps: &[Gap]| gaps.iter().cloned().map(Line::Gap).collect::<Vec<_>>();
        let users = self.users.iter().cloned().map(Line::User);
        let groups = self.groups.iter().cloned().map(Line::Group);
        let memberships = self.memberships.iter().cloned().map(Line::Membership);
        let identities = users.chain(groups).chain(memberships).chain(gaps(&self.identity_gaps));
        let description = std::iter::once_with(|| Line::Description(Box::new(self.description.clone())));
        let objects = self.objects.iter().cloned().map(Line::Object).chain(gaps(&self.object_gaps));
        let controls = self.controls.kept().map(|control| Line::AccessControl(Box::new(control.clone())));
        let mut count = 0;
        for line in identities.chain(description).chain(objects).chain(controls).chain(gaps(&self.access_gaps)) {
            count += 1;
            take(line)?;
        }
        take(Line::End(crate::upload::End { lines: count, complete: true }))
    }

    /// What could not be read.
    pub fn gaps(&self) -> impl Iterator<Item = &Gap> {
        self.identity_gaps.iter().chain(&self.object_gaps).chain(&self.access_gaps)
    }

    /// What the reads left open, for a comparison in which access controls have these ids. Where objects or identities are
    /// missing, anything may be: a selector or a name could mean what was not read.
    pub fn unread(&self, ids: &BTreeMap<ExternalId, Name>) -> Unread {
        let mut unread = Unread::from_gaps(&self.access_gaps, |id| ids.get(id).cloned());
        unread.anything |= !self.identity_gaps.is_empty() || !self.object_gaps.is_empty();
        unread
    }

    /// Who is in which group at this time, in milliseconds since 1970.
    pub fn who_is_in_groups(&self, now_ms: u64) -> Groups {
        let mut groups = Groups::default();
        groups.add(&self.users, &self.groups, &self.memberships, now_ms);
        if !self.identity_gaps.is_empty() {
            groups.miss();
        }
        groups
    }

    /// How members and grantors are called.
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        self.users.iter().for_each(|user| names.user(user.external_id.clone(), user.user_name.as_str().to_owned()));
        self.controls.all().for_each(|(_, name, id)| names.control(id.clone(), name.as_str().to_owned()));
        names
    }

    /// Who can really do what with these access controls in place of the ones that were read, at this time.
    ///
    /// # Errors
    /// `BuildError` where one of them names what the description does not have.
    pub fn snapshot<'c>(
        &self,
        controls: impl Iterator<Item = &'c AccessControl>,
        now_ms: u64,
    ) -> Result<Snapshot, BuildError> {
        self.build(controls, std::iter::empty(), now_ms)
    }

    /// The same for two lists of access controls, to compare what comes of them: users have the same numbers in both.
    ///
    /// # Errors
    /// As [`Catalogue::snapshot`].
    pub fn snapshots<'c>(&self, lists: [&[&'c AccessControl]; 2], now_ms: u64) -> Result<[Snapshot; 2], BuildError> {
        let members = || lists.iter().copied().flatten().flat_map(|control| &control.who);
        let build = |list: &[&'c AccessControl]| self.build(list.iter().copied(), members(), now_ms);
        Ok([build(lists[0])?, build(lists[1])?])
    }

    fn build<'c>(
        &self,
        controls: impl Iterator<Item = &'c AccessControl>,
        members: impl Iterator<Item = &'c Member>,
        now_ms: u64,
    ) -> Result<Snapshot, BuildError> {
        let mut builder = Builder::new(&self.description, now_ms);
        self.users.iter().for_each(|user| builder.user(user));
        self.groups.iter().for_each(|group| builder.group(group));
        self.memberships.iter().for_each(|membership| builder.membership(membership));
        members.for_each(|member| builder.acquaint(member));
        self.objects.iter().try_for_each(|object| builder.object(object))?;
        for control in controls {
            builder.control(control)?;
        }
        Ok(builder.finish())
    }
}
