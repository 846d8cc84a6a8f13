//! Credentials of HTTP slots, as a target grants them: a secret alone, or what the host needs to get or to make one.
//!
//! The manifest says only which scheme a slot speaks. Where tokens are fetched, as whom, and with which key stands in the
//! grant, so that no connector can have a secret sent to a place of its choice.

use std::fmt;

use crate::address::AddressRange;
use crate::grant::{Origin, SecretSource};
use crate::manifest::SecretScheme;

/// Where tokens are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// Its URL, which is always encrypted.
    pub url: Origin,
    /// The only addresses that its name may lead to; empty for any that is not special.
    pub addresses: Vec<AddressRange>,
    /// A file with certificates of authorities to trust instead of the system's.
    pub ca: Option<String>,
}

/// How a client proves at a token endpoint who it is (RFC 6749, section 2.3; RFC 7523, section 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientProof {
    /// `client_secret_basic`: the secret in the field `Authorization`.
    Basic(SecretSource),
    /// `client_secret_post`: the secret in the body.
    Post(SecretSource),
    /// `private_key_jwt`: a statement that the private key signed.
    PrivateKey(SigningKey),
}

/// A private key that signs statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The key in PEM form: RSA of at least 2,048 bits, or P-256.
    pub key: SecretSource,
    /// The name by which the other side knows it.
    pub id: Option<String>,
}

/// OAuth 2.0 client credentials (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCredentials {
    /// Where tokens are fetched.
    pub endpoint: TokenEndpoint,
    /// The client's id.
    pub client_id: String,
    /// How it proves who it is.
    pub proof: ClientProof,
    /// What is asked for.
    pub scope: Option<String>,
    /// The parameter `audience`, which some servers want.
    pub audience: Option<String>,
    /// The parameter `resource` (RFC 8707).
    pub resource: Option<String>,
}

/// A signed statement that is exchanged for a token (RFC 7523, section 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtBearer {
    /// Where tokens are fetched.
    pub endpoint: TokenEndpoint,
    /// Who states it.
    pub issuer: String,
    /// About whom; the issuer where it is absent.
    pub subject: Option<String>,
    /// For whom; the token endpoint's URL where it is absent.
    pub audience: Option<String>,
    /// What is asked for: a parameter of the request, and a member of the statement, since servers differ.
    pub scope: Option<String>,
    /// The key that signs.
    pub key: SigningKey,
}

/// A signed statement that is a token itself, as Snowflake reads it ("Using key-pair authentication").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtKeyPair {
    /// The account's identifier.
    pub account: String,
    /// The user.
    pub user: String,
    /// The key that signs: RSA.
    pub key: SigningKey,
}

/// Signatures of AWS, version 4 ("Signature Version 4 for API requests", IAM User Guide).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigv4 {
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The service, such as `execute-api`.
    pub service: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The access key.
    pub secret_access_key: SecretSource,
    /// The token of a session, where the access key belongs to one.
    pub session_token: Option<SecretSource>,
}

/// What a target grants for a secret slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A secret, for the schemes `header`, `bearer` and `basic`.
    Secret(SecretSource),
    /// For `oauth2-client-credentials`.
    ClientCredentials(ClientCredentials),
    /// For `jwt-bearer`.
    JwtBearer(JwtBearer),
    /// For `jwt-key-pair`.
    JwtKeyPair(JwtKeyPair),
    /// For `sigv4`.
    Sigv4(Sigv4),
}

/// A part of a credential that is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The secret itself.
    Secret,
    /// The secret of a client.
    ClientSecret,
    /// A private key.
    PrivateKey,
    /// An access key.
    SecretAccessKey,
    /// The token of a session.
    SessionToken,
}

impl Part {
    /// The key in the configuration; none for a secret that stands alone.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Secret => None,
            Self::ClientSecret => Some("client-secret"),
            Self::PrivateKey => Some("private-key"),
            Self::SecretAccessKey => Some("secret-access-key"),
            Self::SessionToken => Some("session-token"),
        }
    }

    /// The name of this part of a secret slot, such as `token` or `token.private-key`.
    pub fn of(self, slot: impl fmt::Display) -> String {
        self.key().map_or_else(|| slot.to_string(), |key| format!("{slot}.{key}"))
    }
}

impl Credential {
    /// Everything of it that has to be fetched from somewhere.
    pub fn sources(&self) -> Vec<(Part, &SecretSource)> {
        match self {
            Self::Secret(source) => vec![(Part::Secret, source)],
            Self::ClientCredentials(asked) => match &asked.proof {
                ClientProof::Basic(secret) | ClientProof::Post(secret) => vec![(Part::ClientSecret, secret)],
                ClientProof::PrivateKey(key) => vec![(Part::PrivateKey, &key.key)],
            },
            Self::JwtBearer(asked) => vec![(Part::PrivateKey, &asked.key.key)],
            Self::JwtKeyPair(asked) => vec![(Part::PrivateKey, &asked.key.key)],
            Self::Sigv4(asked) => {
                let session = asked.session_token.iter().map(|source| (Part::SessionToken, source));
                std::iter::once((Part::SecretAccessKey, &asked.secret_access_key)).chain(session).collect()
            }
        }
    }

    /// Where its tokens are fetched; none where it needs none.
    pub fn endpoint(&self) -> Option<&TokenEndpoint> {
        match self {
            Self::ClientCredentials(asked) => Some(&asked.endpoint),
            Self::JwtBearer(asked) => Some(&asked.endpoint),
            Self::Secret(_) | Self::JwtKeyPair(_) | Self::Sigv4(_) => None,
        }
    }

    /// Whether it is what a scheme needs.
    pub fn fits(&self, scheme: &SecretScheme) -> bool {
        match scheme {
            SecretScheme::Header { .. } | SecretScheme::Bearer | SecretScheme::Basic => matches!(self, Self::Secret(_)),
            SecretScheme::ClientCredentials => matches!(self, Self::ClientCredentials(_)),
            SecretScheme::JwtBearer => matches!(self, Self::JwtBearer(_)),
            SecretScheme::JwtKeyPair => matches!(self, Self::JwtKeyPair(_)),
            SecretScheme::Sigv4 => matches!(self, Self::Sigv4(_)),
        }
    }
}

/// What stands behind the name of a secret in a grant, as an example to fill in.
pub fn example(scheme: &SecretScheme, variable: &str) -> String {
    let secret = format!("{{ env: {variable} }}");
    match scheme {
        SecretScheme::Header { .. } | SecretScheme::Bearer | SecretScheme::Basic => secret,
        SecretScheme::ClientCredentials => format!(
            "{{ oauth2-client-credentials: {{ token-url: \"https://…\", client-id: \"…\", client-secret: {secret} }} }}"
        ),
        SecretScheme::JwtBearer => {
            format!("{{ jwt-bearer: {{ token-url: \"https://…\", issuer: \"…\", private-key: {secret} }} }}")
        }
        SecretScheme::JwtKeyPair => {
            format!("{{ jwt-key-pair: {{ account: \"…\", user: \"…\", private-key: {secret} }} }}")
        }
        SecretScheme::Sigv4 => format!(
            "{{ sigv4: {{ region: \"…\", service: \"…\", access-key-id: \"…\", secret-access-key: {secret} }} }}"
        ),
    }
}
