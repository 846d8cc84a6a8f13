//! Effective access: who can really do what, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Extension, Query, State};
use axum::routing::get;
use raito_core::expansion::{
    Answer, AnswerFilter, How, ObjectId, Partly, PathStep, PermissionId, PrincipalId, PrincipalKind, Rows, Snapshot,
    Wider,
};
use raito_core::limits;
use raito_core::record::ObjectRef;
use raito_core::text::ExternalId;
use serde::Deserialize;

use super::App;
use super::answer::{Path, Refusal, aside};
use super::naming::objects_named;
use super::quotas::{Permit, Work};
use super::route::{Route, question, schema};
use super::usage::add_last_uses;
use crate::api::effective::{
    AccessPage, AnswerItem, Coverage, Explained, IndirectItem, MayReachItem, Missing, PartsItem, PersonItem, RowsItem,
    StepItem, WiderItem,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        question(
            "/sources/{source}/who",
            "Who holds what on an object",
            &[
                ("object", "its path with dots, or JSON: {\"kind\":…,\"path\":[…]}"),
                ("permission", "only this permission, or read, write or admin"),
                ("how", "only active, assumable or obtainable"),
                ("as-of", "as it was at this time, in milliseconds since 1970"),
                ("cursor", "where the page begins"),
                ("limit", "how many answers, at most 1,000"),
            ],
            schema::<AccessPage>,
            get(who),
        ),
        question(
            "/sources/{source}/access",
            "What a user holds",
            &[
                ("user", "his account name or external id"),
                ("permission", "only this permission, or read, write or admin"),
                ("how", "only active, assumable or obtainable"),
                ("as-of", "as it was at this time, in milliseconds since 1970"),
                ("cursor", "where the page begins"),
                ("limit", "how many answers, about, at most 1,000"),
            ],
            schema::<AccessPage>,
            get(access),
        ),
        question(
            "/sources/{source}/explain",
            "Why a user holds a permission, or what is missing",
            &[
                ("user", "his account name or external id"),
                ("object", "as for who"),
                ("permission", "the permission's name"),
                ("as-of", "as it was at this time, in milliseconds since 1970"),
            ],
            schema::<Explained>,
            get(explain),
        ),
    ]
}

/// A question.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Question {
    object: Option<String>,
    user: Option<String>,
    permission: Option<String>,
    how: Option<String>,
    as_of: Option<u64>,
    cursor: Option<u32>,
    limit: Option<u32>,
}

type Asked = Result<Query<Question>, QueryRejection>;

/// A question with what it is about.
struct Asking {
    /// What a question about the past takes of its token.
    _past: Option<Arc<Permit>>,
    question: Question,
    snapshot: Arc<Snapshot>,
    coverage: Coverage,
}

impl Asking {
    async fn new(app: &App, source: &str, permit: &Permit, asked: Asked) -> Result<Self, Refusal> {
        let Query(question) = asked?;
        let past = question.as_of.map(|_| permit.more(Work::Past)).transpose()?;
        if question.as_of.is_some_and(|time| time > app.clock.now_ms()) {
            return Err(Refusal::bad_request("as-of: that time is still to come, and nobody knows what holds then"));
        }
        let source = app.store.source_id(source).await?;
        let snapshot = app.store.snapshot(source, question.as_of, app.clock.now_ms()).await?;
        let mut coverage = app.store.coverage(source, question.as_of, app.clock.now_ms()).await?;
        for left_out in snapshot.left_out() {
            let list = if left_out.scope.is_some() { &mut coverage.not_granted } else { &mut coverage.not_known };
            list.push(left_out.reason.as_str().to_owned());
        }
        coverage.incomplete.extend(snapshot.incomplete().map(|name| name.as_str().to_owned()));
        coverage.not_expanded.extend(snapshot.unknown_specials().iter().map(|id| id.as_str().to_owned()));
        Ok(Self { _past: past, question, snapshot, coverage })
    }

    fn limit(&self) -> usize {
        self.question.limit.unwrap_or(limits::CLOUD_PAGE_DEFAULT).clamp(1, limits::CLOUD_PAGE) as usize
    }

    fn user(&self) -> Result<PrincipalId, Refusal> {
        let name = self.question.user.as_deref().ok_or_else(|| Refusal::bad_request("user: name one"))?;
        let by_id = ExternalId::new(name).ok().and_then(|id| self.snapshot.find_user(&id));
        let by_name = || self.snapshot.users().find(|id| self.snapshot.principal(*id).name.as_str() == name);
        by_name().or(by_id).ok_or_else(|| Refusal::missing(format!("there is no user {}", shown(name))))
    }

    fn object(&self) -> Result<ObjectId, Refusal> {
        let named = self.question.object.as_deref().ok_or_else(|| Refusal::bad_request("object: name one"))?;
        let found = objects_named(&self.snapshot, named)?;
        match found.as_slice() {
            [] => Err(no_object(named, self.question.as_of)),
            [one] => Ok(*one),
            several => {
                let names: Vec<String> =
                    several.iter().take(5).map(|id| self.snapshot.object(*id).to_string()).collect();
                Err(Refusal::bad_request(format!(
                    "{} objects are called {}: {}",
                    several.len(),
                    shown(named),
                    names.join("; ")
                )))
            }
        }
    }

    fn filter(&self, object: Option<ObjectId>) -> Result<AnswerFilter, Refusal> {
        let how = match self.question.how.as_deref() {
            None => None,
            Some(word) => Some(
                How::ALL
                    .into_iter()
                    .find(|how| how.word() == word)
                    .ok_or_else(|| Refusal::bad_request("how: write active, assumable or obtainable"))?,
            ),
        };
        let Some(name) = self.question.permission.as_deref() else {
            return Ok(AnswerFilter { permissions: vec![], how });
        };
        let permissions = permissions(&self.snapshot, object, name);
        if permissions.is_empty() {
            return Err(Refusal::bad_request(format!("there is no permission {}", shown(name))));
        }
        Ok(AnswerFilter { permissions, how })
    }
}

fn shown(text: &str) -> String {
    raito_core::text::excerpt(text, 200)
}

/// An object that is not there, called as people call it also where it was named as JSON.
fn no_object(name: &str, as_of: Option<u64>) -> Refusal {
    let object = serde_json::from_str::<ObjectRef>(name).map_or_else(|_| name.to_owned(), |object| object.to_string());
    let object = shown(&object);
    Refusal::missing(match as_of {
        None => format!("there is no object {object}"),
        Some(_) => format!("there was no object {object} at that time, or it had not been read yet"),
    })
}

/// The permissions that a word stands for: one of that name, or all that count as read, write or admin.
fn permissions(snapshot: &Snapshot, object: Option<ObjectId>, word: &str) -> Vec<PermissionId> {
    let class = ["read", "write", "admin"].iter().position(|class| *class == word);
    let takes = |id: &PermissionId| match class {
        Some(class) => snapshot.counts_as(*id)[class],
        None => snapshot.permission_name(*id).as_str().eq_ignore_ascii_case(word),
    };
    match object {
        Some(object) => snapshot.permissions_of(object).into_iter().filter(takes).collect(),
        None => snapshot.all_permissions().filter(takes).collect(),
    }
}

/// Answers a question beside the threads that serve others: it may look at every object.
async fn answered<T: Send + 'static>(
    app: &App,
    source: &str,
    permit: &Permit,
    asked: Asked,
    answer: fn(Asking) -> Result<T, Refusal>,
) -> Result<Json<T>, Refusal> {
    let asking = Asking::new(app, source, permit, asked).await?;
    aside(move || answer(asking)).await.map(Json)
}

/// Answers with a page of access. What is so now is told with when it was last used.
async fn with_uses(
    app: &App,
    source: &str,
    permit: &Permit,
    asked: Asked,
    answer: fn(Asking) -> Result<AccessPage, Refusal>,
) -> Result<Json<AccessPage>, Refusal> {
    let is_now = asked.as_ref().is_ok_and(|question| question.as_of.is_none());
    let Json(mut page) = answered(app, source, permit, asked, answer).await?;
    if is_now {
        add_last_uses(app, source, &mut page).await?;
    }
    Ok(Json(page))
}

async fn who(
    State(app): State<App>,
    Path(source): Path<String>,
    Extension(permit): Extension<Arc<Permit>>,
    asked: Asked,
) -> Result<Json<AccessPage>, Refusal> {
    with_uses(&app, &source, &permit, asked, Asking::who).await
}

async fn access(
    State(app): State<App>,
    Path(source): Path<String>,
    Extension(permit): Extension<Arc<Permit>>,
    asked: Asked,
) -> Result<Json<AccessPage>, Refusal> {
    with_uses(&app, &source, &permit, asked, Asking::access).await
}

async fn explain(
    State(app): State<App>,
    Path(source): Path<String>,
    Extension(permit): Extension<Arc<Permit>>,
    asked: Asked,
) -> Result<Json<Explained>, Refusal> {
    answered(&app, &source, &permit, asked, Asking::explain).await
}

impl Asking {
    fn who(mut self) -> Result<AccessPage, Refusal> {
        let object = self.object()?;
        self.coverage.undefined = self.snapshot.undefined_about(object);
        let filter = self.filter(Some(object))?;
        let answers = self.snapshot.who(object, &filter);
        let partly = self.snapshot.partly(object, &filter);
        let total = answers.len() + partly.len();
        let from = self.question.cursor.unwrap_or(0) as usize;
        let whole = answers.iter().skip(from).map(|answer| item(&self.snapshot, answer));
        let of_parts = partly.iter().skip(from.saturating_sub(answers.len()));
        let of_parts = of_parts.map(|part| part_item(&self.snapshot, object, part));
        let items: Vec<AnswerItem> = whole.chain(of_parts).take(self.limit()).collect();
        let next = (from + items.len() < total).then(|| (from + items.len()).to_string());
        let indirect = if from == 0 { indirect(&self.snapshot, object) } else { vec![] };
        let may_reach = if from == 0 { may_reach(&self.snapshot, object) } else { vec![] };
        Ok(AccessPage {
            object: Some(self.snapshot.object(object).clone()),
            total: Some(total as u64),
            items,
            indirect,
            may_reach,
            coverage: self.coverage,
            usage: None,
            next_cursor: next,
        })
    }

    fn access(mut self) -> Result<AccessPage, Refusal> {
        let user = self.user()?;
        self.coverage.undefined = self.snapshot.undefined_of(user);
        let filter = self.filter(None)?;
        let from = self.snapshot.object_at(self.question.cursor.unwrap_or(0));
        let answers = match from {
            Some(from) => self.snapshot.of_user(user, &filter, from, self.limit()),
            None => vec![],
        };
        let next = answers.last().filter(|_| answers.len() >= self.limit());
        let next_cursor = next.and_then(|last| self.snapshot.position_behind(last.object)).map(|at| at.to_string());
        Ok(AccessPage {
            object: None,
            total: None,
            items: answers.iter().map(|answer| item(&self.snapshot, answer)).collect(),
            indirect: vec![],
            may_reach: vec![],
            coverage: self.coverage,
            usage: None,
            next_cursor,
        })
    }

    fn explain(mut self) -> Result<Explained, Refusal> {
        let (user, object) = (self.user()?, self.object()?);
        let mut undefined = self.snapshot.undefined_of(user);
        undefined.extend(self.snapshot.undefined_about(object));
        undefined.sort();
        undefined.dedup();
        self.coverage.undefined = undefined;
        let name = self.question.permission.as_deref().ok_or_else(|| Refusal::bad_request("permission: name one"))?;
        let permission = *permissions(&self.snapshot, Some(object), name)
            .first()
            .ok_or_else(|| Refusal::bad_request(format!("there is no permission {}", shown(name))))?;
        let snapshot = &self.snapshot;
        let why = snapshot.explain(user, object, permission);
        let names = |ids: &[PrincipalId]| ids.iter().map(|id| snapshot.principal(*id).name.to_string()).collect();
        let missing = |need: &raito_core::expansion::MissingNeed| Missing {
            permission: snapshot.permission_name(need.permission).to_string(),
            object: need.object.map(|id| snapshot.object(id).to_string()),
        };
        Ok(Explained {
            user: person(snapshot, user),
            object: snapshot.object(object).clone(),
            permission: snapshot.permission_name(permission).to_string(),
            how: why.how.map(|how| how.word().to_owned()),
            conditional: why.conditional,
            usable: why.how.is_some() && why.missing.is_empty(),
            path: why.path.as_ref().map(|path| steps(snapshot, &path.steps)).unwrap_or_default(),
            others: why.path.as_ref().map_or(0, |path| path.others as u64),
            missing: why.missing.iter().map(missing).collect(),
            rows: rows(snapshot, &why.rows),
            wider: why.wider.as_ref().map(|one| wider(snapshot, one)),
            would_give: names(&why.would_give),
            denied_by: names(&why.denied_by),
            coverage: self.coverage,
        })
    }
}

fn person(snapshot: &Snapshot, id: PrincipalId) -> PersonItem {
    let principal = snapshot.principal(id);
    PersonItem {
        external_id: principal.external_id.as_str().to_owned(),
        name: principal.name.as_str().to_owned(),
        enabled: principal.enabled,
        undefined: snapshot.is_undefined(id),
    }
}

fn rows(snapshot: &Snapshot, rows: &Rows) -> RowsItem {
    match rows {
        Rows::All => RowsItem::All,
        Rows::Nothing => RowsItem::Nothing,
        Rows::Filtered(by) => {
            RowsItem::Filtered(by.iter().map(|id| snapshot.principal(*id).name.as_str().to_owned()).collect())
        }
    }
}

fn wider(snapshot: &Snapshot, wider: &Wider) -> WiderItem {
    WiderItem {
        how: wider.how.word().to_owned(),
        acting_as: snapshot.principal(wider.acting_as).name.as_str().to_owned(),
        rows: rows(snapshot, &wider.rows),
    }
}

fn steps(snapshot: &Snapshot, path: &[PathStep]) -> Vec<StepItem> {
    let named = |id: &PrincipalId| {
        let principal = snapshot.principal(*id);
        let kind = match principal.kind {
            PrincipalKind::User => "user",
            PrincipalKind::Group => "group",
            PrincipalKind::Control => "access-control",
            PrincipalKind::Special => "special",
        };
        (kind.to_owned(), principal.name.as_str().to_owned())
    };
    let step = |step: &PathStep| {
        let (does, (kind, name)) = match step {
            PathStep::Is(id) => ("is", named(id)),
            PathStep::In(id) => ("in", named(id)),
            PathStep::Switches(id) => ("switches-to", named(id)),
            PathStep::Admits(id) => ("admits-himself-to", named(id)),
            PathStep::Holds(permission, object) => {
                let object = snapshot.object(*object);
                ("holds", (snapshot.permission_name(*permission).to_string(), object.to_string()))
            }
        };
        StepItem { does: does.to_owned(), kind, name }
    };
    path.iter().map(step).collect()
}

fn item(snapshot: &Snapshot, answer: &Answer) -> AnswerItem {
    let path = snapshot.shortest_path(answer.user, answer.object, answer.permission, answer.how);
    AnswerItem {
        user: person(snapshot, answer.user),
        object: snapshot.object(answer.object).clone(),
        permission: snapshot.permission_name(answer.permission).to_string(),
        parts: None,
        how: answer.how.word().to_owned(),
        usable: answer.usable,
        conditional: answer.conditional,
        rows: rows(snapshot, &answer.rows),
        wider: answer.wider.as_ref().map(|one| wider(snapshot, one)),
        masked: answer.masked.iter().map(|id| snapshot.principal(*id).name.to_string()).collect(),
        path: path.as_ref().map(|path| steps(snapshot, &path.steps)).unwrap_or_default(),
        others: path.map_or(0, |path| path.others as u64),
        last_use: None,
    }
}

/// Somebody who holds a permission on parts of an object. The way is that to the first of them.
fn part_item(snapshot: &Snapshot, object: ObjectId, part: &Partly) -> AnswerItem {
    let path = snapshot.shortest_path(part.user, part.first.0, part.first.1, part.how);
    let kind = snapshot.object(part.first.0).kind.to_string();
    AnswerItem {
        user: person(snapshot, part.user),
        object: snapshot.object(object).clone(),
        permission: snapshot.permission_name(part.permission).to_string(),
        parts: Some(PartsItem { kind, held: part.held as u64, of: part.of as u64 }),
        how: part.how.word().to_owned(),
        usable: part.usable,
        conditional: false,
        rows: rows(snapshot, &part.rows),
        wider: part.wider.as_ref().map(|one| wider(snapshot, one)),
        masked: Vec::new(),
        path: path.as_ref().map(|path| steps(snapshot, &path.steps)).unwrap_or_default(),
        others: path.map_or(0, |path| path.others as u64),
        last_use: None,
    }
}

/// Indirect ways that are listed at most.
const INDIRECT: usize = 1_000;

fn indirect(snapshot: &Snapshot, object: ObjectId) -> Vec<IndirectItem> {
    let found = snapshot.indirect(object);
    let item = |one: &raito_core::expansion::Indirect| IndirectItem {
        user: person(snapshot, one.user),
        through: one.through.iter().map(|id| snapshot.object(*id).clone()).collect(),
        permission: snapshot.permission_name(one.permission).to_string(),
        usable: one.usable,
    };
    found.iter().take(INDIRECT).map(item).collect()
}

fn may_reach(snapshot: &Snapshot, object: ObjectId) -> Vec<MayReachItem> {
    let item = |one: &raito_core::expansion::MayReach| MayReachItem {
        through: snapshot.object(one.object).clone(),
        users: one.users,
    };
    snapshot.may_reach(object).iter().take(INDIRECT).map(item).collect()
}
