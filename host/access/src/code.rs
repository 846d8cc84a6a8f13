//! All files together: merged, and checked for what only several of them can have wrong.

use std::collections::BTreeMap;

use raito_config::Mistake;
use raito_core::digest::Digest;
use raito_core::marker::Master;
use raito_core::parts::in_parts;
use raito_core::text::{Kind, Name, TargetName};

use crate::circle::{self, Members};
use crate::document::{Document, Entry, Extent, Guardrail, Scope, Spot, Test, Who, WhoName};

/// So many files are worth a thread: reading them takes some milliseconds, and a thread a small part of one.
const FILES_OF_A_THREAD: usize = 64;

/// A file of access code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as people see it.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// The digest of its text.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// What all files say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code {
    /// What the marker calls this repository, where a file says it.
    pub repository: Option<Master>,
    /// What this repository is the only source of.
    pub scopes: Vec<Scope>,
    /// The access controls.
    pub entries: Vec<Entry>,
    /// The tests.
    pub tests: Vec<Test>,
    /// The guardrails.
    pub policy: Vec<Guardrail>,
}

/// Mistakes of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMistakes {
    /// The file, by its position.
    pub file: usize,
    /// Its mistakes, in their order.
    pub mistakes: Vec<Mistake>,
}

/// Reads all files.
///
/// # Errors
/// All mistakes of all files, file by file.
pub fn read_code(sources: &[Source]) -> Result<Code, Vec<FileMistakes>> {
    read_code_with(sources, crate::read_document)
}

/// Reads files of the first `raito access`, for each of these targets.
///
/// # Errors
/// All mistakes of all files, file by file.
pub fn read_originals(sources: &[Source], targets: &[TargetName]) -> Result<Code, Vec<FileMistakes>> {
    let mut all = Code::default();
    for target in targets {
        let code = read_code_with(sources, |text, file| crate::read_original(text, file, target))?;
        all.repository = code.repository;
        all.scopes.extend(code.scopes);
        all.entries.extend(code.entries);
    }
    Ok(all)
}

/// What a saved file says, as code.
pub fn of_saved(saved: &crate::Saved) -> Code {
    merge(vec![saved.document.clone()], &|_| "").0
}

/// Reads all files, each with `read`.
fn read_code_with(
    sources: &[Source],
    read: impl Fn(&str, usize) -> Result<Document, Vec<Mistake>> + Sync,
) -> Result<Code, Vec<FileMistakes>> {
    together(each(sources, &read), &|file| sources.get(file).map_or("", |source| source.path.as_str()))
}

/// Reads each file for itself: reading YAML is most of what a repository costs.
fn each<T: Send>(sources: &[Source], read: &(impl Fn(&str, usize) -> T + Sync)) -> Vec<T> {
    let parts = in_parts(sources, FILES_OF_A_THREAD, |first, files| -> Vec<T> {
        files.iter().enumerate().map(|(at, source)| read(&source.text, first + at)).collect()
    });
    parts.into_iter().flatten().collect()
}

/// Puts together what was read of files one by one, in their order; `path` gives their paths.
///
/// # Errors
/// All mistakes of all files, file by file.
pub fn together<'p>(
    read: Vec<Result<Document, Vec<Mistake>>>,
    path: &dyn Fn(usize) -> &'p str,
) -> Result<Code, Vec<FileMistakes>> {
    let mut wrong: Vec<FileMistakes> = Vec::new();
    let mut documents = Vec::new();
    for (file, document) in read.into_iter().enumerate() {
        match document {
            Ok(document) => documents.push(document),
            Err(mistakes) => wrong.push(FileMistakes { file, mistakes }),
        }
    }
    // What several files have wrong together is only said of those that could be read.
    let (code, conflicts) = merge(documents, path);
    for (spot, message, help) in conflicts {
        let mistake = Mistake { place: spot.place, message, help };
        match wrong.iter_mut().find(|known| known.file == spot.file) {
            Some(known) => known.mistakes.push(mistake),
            None => wrong.push(FileMistakes { file: spot.file, mistakes: vec![mistake] }),
        }
    }
    wrong.sort_by_key(|known| known.file);
    wrong.iter_mut().for_each(|known| known.mistakes.sort());
    if wrong.is_empty() { Ok(code) } else { Err(wrong) }
}

type Conflict = (Spot, String, Option<String>);

/// Puts what files say together, and finds what two of them both say they own.
fn merge<'p>(documents: Vec<Document>, path: &dyn Fn(usize) -> &'p str) -> (Code, Vec<Conflict>) {
    let mut code = Code::default();
    let mut named: Option<(String, Option<Spot>)> = None;
    let mut conflicts = Vec::new();
    let at = |spot: &Spot| format!("{}:{}", path(spot.file), spot.place.line);
    for document in documents {
        match (&named, document.repository) {
            (Some((known, first)), Some((name, Some(spot)))) if *known != name => {
                let there = first.as_ref().map_or_else(String::new, |first| format!(" in {}", at(first)));
                let message = format!("the repository is called {known}{there}, and {name} here");
                conflicts.push((spot, message, Some("say it once".to_owned())));
            }
            (None, Some(repository)) => named = Some(repository),
            _ => {}
        }
        code.scopes.extend(document.scopes);
        code.entries.extend(document.entries);
        code.tests.extend(document.tests);
        code.policy.extend(document.policy);
    }
    code.repository = named.and_then(|(name, _)| format!("git:{name}").parse().ok());
    conflicts.extend(twice(&code.entries, &at));
    conflicts.extend(overlaps(&code.scopes, &at));
    conflicts.extend(circles(&code.entries, &at));
    (code, conflicts)
}

/// Entries that two places define.
fn twice(entries: &[Entry], at: &dyn Fn(&Spot) -> String) -> Vec<Conflict> {
    type Key<'e> = (&'e TargetName, Option<&'e Kind>, &'e Name);
    let mut names: BTreeMap<Key<'_>, &Entry> = BTreeMap::new();
    let mut ids: BTreeMap<(&TargetName, &Name), &Entry> = BTreeMap::new();
    let mut conflicts = Vec::new();
    for entry in entries {
        let help = Some("keep one of them".to_owned());
        if let Some(first) = names.get(&(&entry.target, entry.kind.as_ref(), &entry.name)) {
            let message = format!("{} of {} is defined in {} already", entry.name, entry.target, at(&first.spot));
            conflicts.push((entry.spot, message, help));
        } else if let Some(first) = ids.get(&(&entry.target, &entry.id)) {
            let message = format!("the id {} of {} stands in {} already", entry.id, entry.target, at(&first.spot));
            conflicts.push((entry.spot, message, help));
        }
        names.entry((&entry.target, entry.kind.as_ref(), &entry.name)).or_insert(entry);
        ids.entry((&entry.target, &entry.id)).or_insert(entry);
    }
    conflicts
}

/// Scopes of different files into which one thing can fall.
fn overlaps(scopes: &[Scope], at: &dyn Fn(&Spot) -> String) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    for (later, scope) in scopes.iter().enumerate() {
        let same = |other: &&Scope| {
            other.spot.file != scope.spot.file && other.target == scope.target && other.kind == scope.kind
        };
        let meets = |other: &&Scope| match (&scope.extent, &other.extent) {
            (Extent::Names(ours), Extent::Names(theirs)) => {
                ours.iter().any(|one| theirs.iter().any(|two| one.meets(two)))
            }
            (Extent::Under(ours), Extent::Under(theirs)) => {
                let above = |one: &Vec<_>, two: &Vec<_>| two.starts_with(one) || one.starts_with(two);
                ours.iter().any(|one| theirs.iter().any(|two| above(&one.path, &two.path)))
            }
            _ => false,
        };
        if let Some(other) = scopes[..later].iter().filter(same).find(meets) {
            let message = format!("what this manages is managed by {} already", at(&other.spot));
            conflicts.push((scope.spot, message, Some("let one file manage it; entries may stand in any".to_owned())));
        }
    }
    conflicts
}

/// Memberships by which an access control would be a member of itself, which no target takes.
fn circles(entries: &[Entry], at: &dyn Fn(&Spot) -> String) -> Vec<Conflict> {
    type Key<'e> = (&'e TargetName, &'e Name);
    let mut members: Members<Key<'_>, &Who> = BTreeMap::new();
    for entry in entries {
        let inner = entry.who.iter().filter_map(|who| match &who.name {
            WhoName::Control(name) => Some((who, (&entry.target, name))),
            _ => None,
        });
        members.entry((&entry.target, &entry.name)).or_default().extend(inner);
    }
    let conflict = |circle: &Vec<(&Who, Key<'_>)>| {
        let ((first, (_, name)), rest) = circle.split_first()?;
        let (_, (_, itself)) = circle.last()?;
        let mut message = format!("{itself} would be a member of itself");
        let mut of = name;
        for (number, (who, (_, member))) in rest.iter().enumerate() {
            let begin = if number == 0 { format!(": {name} is a member of it here") } else { String::new() };
            let and = if number + 1 == rest.len() { " and" } else { "" };
            message.push_str(&format!("{begin},{and} {member} of {of} in {}", at(&who.spot)));
            of = member;
        }
        Some((first.spot, message, Some("take one of these members out".to_owned())))
    };
    circle::circles(&members).iter().filter_map(conflict).collect()
}

impl Code {
    /// The targets that anything is said about, in the order of their names.
    pub fn targets(&self) -> Vec<TargetName> {
        let scopes = self.scopes.iter().map(|scope| &scope.target);
        let entries = self.entries.iter().map(|entry| &entry.target);
        let tests = self.tests.iter().map(|test| &test.target);
        let mut all: Vec<TargetName> = scopes.chain(entries).chain(tests).cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(texts: &[&str]) -> Result<Code, Vec<String>> {
        let source = |(at, text): (usize, &&str)| Source { path: format!("{at}.yml"), text: (*text).to_owned() };
        let sources: Vec<Source> = texts.iter().enumerate().map(source).collect();
        read_code(&sources).map_err(|files| {
            let of = |file: &FileMistakes| {
                let file_name = file.file;
                file.mistakes.iter().map(move |mistake| format!("{file_name}.yml:{mistake}")).collect::<Vec<_>>()
            };
            files.iter().flat_map(of).collect()
        })
    }

    #[track_caller]
    fn conflict(texts: &[&str], said: &str) {
        let wrong = code(texts).expect_err("a conflict");
        assert!(wrong.len() == 1 && wrong[0].contains(said), "{wrong:?}");
    }

    #[test]
    fn many_files_are_read_in_their_order() {
        let text = |number: usize| match number {
            70 | 250 => "version: 1\ngrant: []\n".to_owned(),
            number => format!("version: 1\nrepository: a/b\non: shop\ngrants: [{{ name: R_{number} }}]\n"),
        };
        let sources = |numbers: &[usize]| -> Vec<Source> {
            numbers.iter().map(|number| Source { path: format!("{number}.yml"), text: text(*number) }).collect()
        };
        let all: Vec<usize> = (0..300).collect();
        let wrong = read_code(&sources(&all)).expect_err("two mistakes");
        assert_eq!(wrong.iter().map(|wrong| wrong.file).collect::<Vec<_>>(), [70, 250]);
        let right: Vec<usize> = all.into_iter().filter(|number| ![70, 250].contains(number)).collect();
        let code = read_code(&sources(&right)).expect("no mistakes");
        let said: Vec<(usize, String)> =
            code.entries.iter().map(|entry| (entry.spot.file, entry.name.to_string())).collect();
        assert_eq!(said, right.iter().enumerate().map(|(at, number)| (at, format!("R_{number}"))).collect::<Vec<_>>());
    }

    #[test]
    fn several_files_are_one_code() {
        let code = code(&[
            "version: 1\nrepository: a\non: shop\nmanages: [{ names: R_* }]\n",
            "version: 1\ngrants: [{ name: R_A, on: shop }, { name: R_A, on: crm }]\n",
        ])
        .expect("no mistakes");
        assert_eq!((code.scopes.len(), code.entries.len()), (1, 2));
        assert_eq!(code.repository.as_ref().map(ToString::to_string).as_deref(), Some("git:a"));
        assert_eq!(code.targets().iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["crm", "shop"]);
    }

    #[test]
    fn two_files_that_own_one_thing_are_both_named() {
        let grant = "version: 1\non: shop\ngrants:\n  - name: R_A\n";
        conflict(&[grant, grant], "1.yml:4:11: R_A of shop is defined in 0.yml:4 already");
        let other = "version: 1\non: shop\ngrants:\n  - name: R_B\n    id: R_A\n";
        conflict(&[grant, other], "the id R_A of shop stands in 0.yml:4 already");
        let manages = |names: &str| format!("version: 1\non: shop\nmanages:\n  - names: \"{names}\"\n");
        conflict(&[&manages("R_*"), &manages("*_A")], "what this manages is managed by 0.yml:4 already");
        assert!(code(&[&manages("R_*"), &manages("S_*")]).is_ok());
        let under = |path: &str| format!("version: 1\non: shop\nmanages:\n  - under: {path}\n");
        conflict(&[&under("shop.sales"), &under("shop")], "managed by 0.yml:4");
        assert!(code(&[&under("shop.sales"), &under("shop.hr")]).is_ok());
        conflict(&["version: 1\nrepository: a\n", "version: 1\nrepository: b\n"], "called a in 0.yml:2, and b here");
    }

    #[test]
    fn nobody_is_a_member_of_himself() {
        let grant = |name: &str, of: &str| {
            format!("version: 1\non: shop\ngrants:\n  - name: {name}\n    who:\n      - {{ control: {of} }}\n")
        };
        conflict(&[&grant("R_A", "R_A")], "0.yml:6:9: R_A would be a member of itself");
        let said = "0.yml:6:9: R_A would be a member of itself: R_B is a member of it here, and R_A of R_B in 1.yml:6";
        conflict(&[&grant("R_A", "R_B"), &grant("R_B", "R_A")], said);
        let said = "a member of it here, R_C of R_B in 1.yml:6, and R_A of R_C in 2.yml:6";
        conflict(&[&grant("R_A", "R_B"), &grant("R_B", "R_C"), &grant("R_C", "R_A")], said);
        // Who is a member of a circle, or has one as a member, is not in it, and is not told.
        conflict(&[&grant("R_Z", "R_A"), &grant("R_A", "R_B"), &grant("R_B", "R_A")], "R_A would be");
        assert!(code(&[&grant("R_A", "R_B"), &grant("R_B", "R_C")]).is_ok());
        let other = grant("R_B", "R_A").replace("shop", "crm");
        assert!(code(&[&grant("R_A", "R_B"), &other]).is_ok(), "another target has another R_B");
    }

    #[test]
    fn mistakes_of_all_files_are_told_at_once() {
        assert_eq!(code(&["version: 1\nx: 1\n", "version: 1\n", "version: 1\ny: 1\n"]).expect_err("two").len(), 2);
    }
}
