//! Tokens of the API.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use raito_core::digest::Digest;

use super::App;
use super::answer::{Path, Refusal};
use super::route::{Body, Route, route, schema};
use crate::api::scope::Scope;
use crate::api::{Listed, TokenMade, TokenRequest};
use crate::store::Token;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route(
            ("get", "/tokens"),
            "List tokens",
            Scope::Admin,
            Body::None,
            Body::Json(schema::<Listed<Token>>),
            get(list),
        ),
        route(
            ("post", "/tokens"),
            "Make a token; its secret is shown once",
            Scope::Admin,
            Body::Json(schema::<TokenRequest>),
            Body::Json(schema::<TokenMade>),
            post(make),
        ),
        route(("delete", "/tokens/{id}"), "Take a token away", Scope::Admin, Body::None, Body::None, delete(remove)),
    ]
}

/// A new secret: 256 random bits behind a prefix by which scanners recognise it.
///
/// # Panics
/// Where the system has no random numbers.
pub fn new_token() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    format!("raito_{}", URL_SAFE_NO_PAD.encode(bytes))
}

async fn list(State(app): State<App>) -> Result<Json<Listed<Token>>, Refusal> {
    Ok(Json(Listed { items: app.store.tokens().await?, next_cursor: None }))
}

async fn make(
    State(app): State<App>,
    asked: Result<Json<TokenRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<TokenMade>), Refusal> {
    let Json(asked) = asked?;
    if asked.scopes.is_empty() || asked.name.is_empty() || asked.name.len() > 256 {
        return Err(Refusal::invalid("a token has a name and at least one scope"));
    }
    let secret = new_token();
    let token = Token {
        id: uuid::Uuid::now_v7().to_string(),
        name: asked.name,
        scopes: asked.scopes.iter().map(ToString::to_string).collect(),
        created_ms: app.clock.now_ms(),
        expires_ms: asked.expires_ms,
    };
    app.store.add_token(&token, &Digest::of(secret.as_bytes())).await?;
    Ok((StatusCode::CREATED, Json(TokenMade { id: token.id, token: secret })))
}

async fn remove(State(app): State<App>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    app.store.remove_token(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}
