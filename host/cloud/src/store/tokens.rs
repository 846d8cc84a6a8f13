//! Tokens: who may use the API, for what, and until when. Only digests of them are kept.

use raito_core::digest::Digest;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Store, StoreError, integer, number};

/// What is known of a token.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: Option<u64>,
}

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The host itself, with the token that nobody else has: whoever owns the cloud.
    Host,
    /// Somebody with a token.
    Token {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
    },
}

impl Caller {
    /// The id of the token; none for the host's own.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Token { id, .. } => Some(id),
        }
    }

    /// The name, for whoever asks later who it was.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Host => "the host",
            Self::Token { name, .. } => name,
        }
    }
}

type Row = (String, String, String, i64, Option<i64>);

fn token((id, name, scopes, created, expires): Row) -> Token {
    Token {
        id,
        name,
        scopes: scopes.split_whitespace().map(str::to_owned).collect(),
        created_ms: number(created),
        expires_ms: expires.map(number),
    }
}

impl Store {
    /// Keeps a token.
    pub(crate) async fn add_token(&self, token: &Token, secret: &Digest) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        sqlx::query("insert into tokens values (?1, ?2, ?3, ?4, ?5, ?6)")
            .bind(&token.id)
            .bind(&token.name)
            .bind(secret.as_bytes().to_vec())
            .bind(token.scopes.join(" "))
            .bind(integer(token.created_ms))
            .bind(token.expires_ms.map(integer))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The token with this digest.
    pub(crate) async fn find_token(&self, secret: &Digest) -> Result<Option<Token>, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("select id, name, scopes, created_ms, expires_ms from tokens where sha256 = ?1")
                .bind(secret.as_bytes().to_vec())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.map(token))
    }

    /// All tokens.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<Row> =
            sqlx::query_as("select id, name, scopes, created_ms, expires_ms from tokens order by created_ms, id")
                .fetch_all(&self.pool)
                .await?;
        Ok(rows.into_iter().map(token).collect())
    }

    /// Forgets a token.
    pub(crate) async fn remove_token(&self, id: &str) -> Result<(), StoreError> {
        let _turn = self.turn().await;
        match sqlx::query("delete from tokens where id = ?1").bind(id).execute(&self.pool).await?.rows_affected() {
            0 => Err(StoreError::NotFound("token")),
            _ => Ok(()),
        }
    }
}
