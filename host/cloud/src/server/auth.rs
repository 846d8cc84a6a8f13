//! Who may do what: a bearer token, and the scope that a route needs.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Body as _;
use raito_core::digest::Digest;
use raito_core::limits;

use super::App;
use super::answer::Refusal;
use super::held::Held;
use super::quotas::Work;
use crate::api::problem;
use crate::api::scope::Scope;
use crate::store::Caller;

/// Lets a request through whose token has the scope, and not too much under way. Handlers get whose
/// it is and the permit as extensions; the permit is given back when the answer was sent.
pub(super) async fn guard(
    State((app, scope, work)): State<(App, Scope, Work)>,
    mut request: Request,
    next: Next,
) -> Response {
    let work = of_length(work, &request);
    let admitted = check(&app, scope, request.headers()).await.and_then(|(caller, token)| {
        let permit = app.quotas.admit(token, work)?;
        Ok((caller, token, permit))
    });
    match admitted {
        Ok((caller, token, permit)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(Arc::clone(&permit));
            let turn = permit.turn().await;
            let answer = next.run(request).await;
            drop(turn);
            // Whatever was asked for, a long answer takes memory until its client has read it.
            let is_long = answer.body().size_hint().lower() > limits::CLOUD_BODY_BYTES as u64;
            match is_long.then(|| app.quotas.admit(token, Work::Large)).transpose() {
                Ok(more) => answer.map(|body| Body::new(Held::new(body, (permit, more)))),
                Err(refusal) => refusal.into_response(),
            }
        }
        Err(refusal) => {
            let mut response = refusal.into_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    }
}

/// What a request takes, where that depends on how long its body is.
fn of_length(work: Work, request: &Request) -> Work {
    let is_short = request.body().size_hint().exact().is_some_and(|bytes| bytes <= limits::CLOUD_BODY_BYTES as u64);
    if work == Work::Large && is_short { Work::Question } else { work }
}

/// Whose request this is, and the digest of the token that it shows.
async fn check(app: &App, scope: Scope, headers: &HeaderMap) -> Result<(Caller, Digest), Refusal> {
    let unauthorized = |detail: &str| Refusal::new(StatusCode::UNAUTHORIZED, problem::UNAUTHORIZED, detail);
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        given.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| unauthorized("send a bearer token"))?;
    // Tokens are compared by their digests, so the time that takes says nothing of them.
    let digest = Digest::of(token.as_bytes());
    if digest == app.own_token {
        return Ok((Caller::Host, digest));
    }
    let known = app.store.find_token(&digest).await?.ok_or_else(|| unauthorized("the token is not known"))?;
    if known.expires_ms.is_some_and(|end| end <= app.clock.now_ms()) {
        return Err(unauthorized("the token has expired"));
    }
    if known.scopes.iter().any(|word| word == scope.word()) {
        return Ok((Caller::Token { id: known.id, name: known.name }, digest));
    }
    let detail = format!("the token {} lacks the scope {scope}", raito_core::text::excerpt(&known.name, 64));
    Err(Refusal::new(StatusCode::FORBIDDEN, problem::FORBIDDEN, detail))
}
