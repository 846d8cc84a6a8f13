//! `drift --adopt`: what somebody changed at the target becomes what the files say. Items go and come one by one, so what
//! people wrote around them stays. What has no item of its own is told, and left to people.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::record::{AccessControl, Member, MemberKind, ObjectRef, Standing, What};
use raito_core::text::PermissionName;

use crate::applied::entries;
use crate::code::Source;
use crate::document::{Asked, Entry, Objects, Purpose, Spot, WhoName};
use crate::drift::{Class, Difference, Drift, Subject};
use crate::edit::{Edit, edited};
use crate::evaluate::Question;
use crate::import::{Request, file, items};
use crate::plan::Sign;
use crate::resolve::{Given, Resolver};

/// Files as they would be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Files that say something else, by their position, with their new texts.
    pub changed: BTreeMap<usize, String>,
    /// New files, by name below the folder of access code.
    pub new: BTreeMap<String, String>,
    /// How many differences they settle.
    pub settled: usize,
    /// What cannot be adopted, and why.
    pub left: Vec<String>,
}

/// Makes the files say what is there.
pub fn adopt(question: &Question<'_>, sources: &[Source], drift: &Drift) -> Adopted {
    let mut work = Work {
        question,
        resolver: Resolver::new(question.catalogue, 0),
        request: Request {
            target: question.target,
            catalogue: question.catalogue,
            protected: question.protected,
            master: question.master,
            names: &[],
            compact: false,
        },
        entries: entries(question),
        edits: BTreeMap::new(),
        taken: BTreeMap::new(),
        adopted: Adopted::default(),
    };
    for difference in &drift.differences {
        match work.difference(difference) {
            Ok(()) => work.adopted.settled += 1,
            Err(why) => {
                work.adopted.left.push(format!("{}: {}: {why}", difference.control, difference.text));
            }
        }
    }
    work.finish(sources)
}

/// An adoption in progress.
struct Work<'w, 'q> {
    question: &'w Question<'q>,
    resolver: Resolver<'q>,
    request: Request<'w>,
    entries: BTreeMap<&'q raito_core::text::Name, &'q Entry>,
    /// Changes, by file.
    edits: BTreeMap<usize, BTreeSet<Edit>>,
    /// Permissions that go, by the item that names them, with how many it has.
    taken: BTreeMap<Spot, (usize, BTreeSet<Spot>)>,
    adopted: Adopted,
}

type Adoption = Result<(), String>;

impl<'q> Work<'_, 'q> {
    fn edit(&mut self, file: usize, edit: Edit) {
        self.edits.entry(file).or_default().insert(edit);
    }

    fn remove(&mut self, spot: Spot) {
        self.edit(spot.file, Edit::Remove(spot.place));
    }

    fn difference(&mut self, difference: &Difference) -> Adoption {
        match difference.class {
            Class::Expired => return Err("it has ended; --fix takes it, or give it a new end".into()),
            Class::New | Class::Files => return Err("the files say it, and it is only to be applied".into()),
            Class::Changed => return Err("write it into the file yourself".into()),
            Class::Granted | Class::Revoked | Class::Gone | Class::Differs => {}
        }
        let entry = self.entries.get(&difference.id).copied();
        let grants = entry.filter(|entry| entry.purpose == Purpose::Grant);
        match (difference.sign, &difference.subject) {
            (Sign::Remove, Subject::Control) => self.made(difference),
            (Sign::Add, Subject::Control) => self.gone(entry.ok_or("no file says it")?),
            (Sign::Add, Subject::Item) => {
                self.remove(difference.spot.ok_or("no file says it")?);
                Ok(())
            }
            (Sign::Remove, Subject::Member(member)) => {
                self.came(difference, grants, |bare| bare.who = vec![member.clone()])
            }
            (Sign::Remove, Subject::Given(what)) => {
                self.came(difference, grants, |bare| bare.what = vec![what.clone()])
            }
            (Sign::Remove, Subject::Later(later)) => {
                self.came(difference, grants, |bare| bare.standing = vec![later.clone()])
            }
            (Sign::Change, Subject::Given(what)) => {
                let mut passed = what.clone();
                passed.permissions.iter_mut().for_each(|used| used.may_pass_on = true);
                self.came(difference, grants, |bare| bare.what = vec![passed])
            }
            // An access control that is not there: its own difference takes it from wherever it is a member.
            (Sign::Add, Subject::Member(member))
                if member.kind == MemberKind::AccessControl
                    && self.question.catalogue.controls.get(&member.id).is_none() =>
            {
                Ok(())
            }
            (Sign::Add, Subject::Member(member)) => self.left(grants, member),
            (Sign::Add, Subject::Given(what)) => {
                let used = &what.permissions[0];
                if self.holds(difference, &what.object, &used.name) {
                    return Err("it is only no longer to be granted on: write that yourself".into());
                }
                let gives = |given: Given<'_>| {
                    let is_it = |held: &What| {
                        held.object == what.object && held.permissions.iter().any(|other| other.name == used.name)
                    };
                    given.into_parts().0.iter().any(is_it)
                };
                self.lost(grants, &Asked::Native(used.name.clone()), &gives)
            }
            (Sign::Add, Subject::Later(later)) => {
                let name = &later.permissions[0].name;
                let gives = |given: Given<'_>| {
                    let place = |one: &Standing| (one.under.clone(), one.kind.clone(), one.creator.clone());
                    let is_it = |held: &Standing| {
                        place(held) == place(later) && held.permissions.iter().any(|other| other.name == *name)
                    };
                    given.into_parts().1.iter().any(is_it)
                };
                self.lost(grants, &Asked::Native(name.clone()), &gives)
            }
            _ => Err("write it into the file yourself".into()),
        }
    }

    /// An access control that somebody made: a file of its own.
    fn made(&mut self, difference: &Difference) -> Adoption {
        let control = self.control(difference).ok_or("it was not read")?;
        let ((path, text), left) = file(&self.request, control).ok_or("it holds nothing that can be said in code")?;
        if let Some(what) = left.first() {
            return Err(format!("it cannot be said in code: {what}"));
        }
        self.adopted.new.insert(path, text);
        Ok(())
    }

    /// An access control that somebody deleted: its entry goes, and wherever it is a member.
    fn gone(&mut self, entry: &Entry) -> Adoption {
        self.remove(entry.spot);
        let is_it = |name: &WhoName| matches!(name, WhoName::Control(name) if *name == entry.name);
        let others: Vec<Spot> = self
            .entries
            .values()
            .filter(|other| other.id != entry.id)
            .flat_map(|other| other.who.iter().filter(|who| is_it(&who.name)).map(|who| who.spot))
            .collect();
        others.into_iter().for_each(|spot| self.remove(spot));
        Ok(())
    }

    /// What somebody gave: items at the end of the entry's lists.
    fn came(
        &mut self,
        difference: &Difference,
        entry: Option<&Entry>,
        set: impl FnOnce(&mut AccessControl),
    ) -> Adoption {
        let entry = entry.ok_or("no entry of a grant is about it")?;
        let mut bare = self.control(difference).ok_or("it was not read")?.clone();
        (bare.who, bare.what, bare.standing) = (Vec::new(), Vec::new(), Vec::new());
        set(&mut bare);
        let items = items(&self.request, &bare).ok_or("the target has no access controls that can be said in code")?;
        if let Some(what) = items.left.first() {
            return Err(format!("it cannot be said in code: {what}"));
        }
        if items.who.is_empty() && items.what.is_empty() {
            return Err("it cannot be given from outside".into());
        }
        let both = [("who", items.who), ("what", items.what)];
        for (list, item) in both.into_iter().flat_map(|(list, items)| items.into_iter().map(move |item| (list, item))) {
            let Spot { file, place } = entry.spot;
            self.edit(file, Edit::Append { entry: place, list, item });
        }
        Ok(())
    }

    /// A member that somebody took: his item goes.
    fn left(&mut self, entry: Option<&Entry>, member: &Member) -> Adoption {
        let entry = entry.ok_or("no entry of a grant is about it")?;
        let kind = self.resolver.kind_of(entry).ok_or("its kind is not known")?;
        let mut spots = Vec::new();
        for who in &entry.who {
            let named = self.resolver.member(who, kind);
            if named.is_some_and(|named| (named.kind, &named.id) == (member.kind, &member.id)) {
                spots.push(who.spot);
            }
        }
        if spots.is_empty() {
            return Err("no item of its own says it".into());
        }
        spots.into_iter().for_each(|spot| self.remove(spot));
        Ok(())
    }

    /// A permission that somebody took: it goes from the items that name it. An item that says more than that stays.
    fn lost(&mut self, entry: Option<&Entry>, native: &Asked, gives: &dyn Fn(Given<'_>) -> bool) -> Adoption {
        let entry = entry.ok_or("no entry of a grant is about it")?;
        let mut named = Vec::new();
        for item in &entry.what {
            let mut given = Given::default();
            self.resolver.give(item, &mut given);
            if !gives(given) {
                continue;
            }
            let single = match &item.objects {
                Objects::One(_) => true,
                Objects::Future(future) => future.creators.len() < 2,
                Objects::Select(_) => false,
            };
            let place = |(asked, spot): &(Asked, Spot)| (asked == native).then_some(*spot);
            match item.permissions.iter().find_map(place) {
                Some(spot) if single => named.push((item.spot, item.permissions.len(), spot)),
                _ => {
                    return Err(format!("line {} says it together with others: change it there", item.spot.place.line));
                }
            }
        }
        if named.is_empty() {
            return Err("no item of its own says it".into());
        }
        for (item, of, permission) in named {
            self.taken.entry(item).or_insert((of, BTreeSet::new())).1.insert(permission);
        }
        Ok(())
    }

    fn control(&self, difference: &Difference) -> Option<&'q AccessControl> {
        self.question.catalogue.controls.get(difference.external_id.as_ref()?)
    }

    fn holds(&self, difference: &Difference, object: &ObjectRef, name: &PermissionName) -> bool {
        self.control(difference).is_some_and(|control| {
            control
                .what
                .iter()
                .any(|what| what.object == *object && what.permissions.iter().any(|used| used.name == *name))
        })
    }

    /// The texts of the files.
    fn finish(mut self, sources: &[Source]) -> Adopted {
        for (item, (of, permissions)) in std::mem::take(&mut self.taken) {
            if permissions.len() == of {
                self.remove(item);
            } else {
                permissions.into_iter().for_each(|spot| self.remove(spot));
            }
        }
        for (file, edits) in std::mem::take(&mut self.edits) {
            let Some(source) = sources.get(file) else { continue };
            let edits: Vec<Edit> = edits.into_iter().collect();
            match edited(&source.text, &edits) {
                Ok(text) => {
                    self.adopted.changed.insert(file, text);
                }
                Err(error) => self.adopted.left.push(format!("{}: {error}", source.path)),
            }
        }
        self.adopted
    }
}
