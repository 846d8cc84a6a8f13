//! Credentials: what the host puts into a request last, when nothing but the client looks at it any more.
//!
//! A secret stands in a header field as it is, or the host gets or makes something from it: a token that it fetches, a
//! statement or a whole request that it signs. All of that stays in this crate. What is derived is looked for in answers
//! like the secrets themselves.

#[cfg(test)]
mod freed;
mod jwt;
mod sigv4;
mod token;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use raito_core::credential::{Credential, Part};
use raito_core::fault::Fault;
use raito_core::grant::{HttpGrant, Origin};
use raito_core::leak::Watch;
use raito_core::manifest::{SecretScheme, SecretSlot};
use raito_core::ports::Clock;
use raito_core::secret::Secret;
use raito_core::text::Ident;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::egress::{Setup, ThroughProxy};
use crate::target::SlotMaterial;
use crate::told::CallError;

use jwt::Statement;
use sigv4::Signer;
use token::Tokens;

/// All credentials of one slot.
pub(crate) struct Credentials {
    held: Vec<(String, Held)>,
}

enum Held {
    /// A header field that is always the same. Its copies share the memory.
    Field(HeaderName, HeaderValue),
    /// Tokens that are fetched.
    Tokens(Box<Tokens>),
    /// A statement that is signed from time to time.
    Statement(Box<Statement>),
    /// A signature over each request.
    Signature(Box<Signer>),
}

/// What happens while a token is fetched, for the record.
pub(crate) enum TokenStage<'t> {
    /// A request is about to leave.
    Asked { to: &'t Origin },
    /// What came of it: a status, or the class of the fault.
    Answered { status: String, address: Option<SocketAddr> },
}

/// Puts on record what happens for a secret slot; where it cannot, the request does not leave.
pub(crate) type Recorder<'r> = dyn Fn(&str, TokenStage<'_>) -> Result<(), Fault> + Send + Sync + 'r;

/// What all credentials of a target share.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) watch: Arc<Watch>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What names of derived secrets begin with, such as `shop http.api`.
    pub(crate) place: String,
}

impl Credentials {
    /// Makes the credentials of a slot.
    ///
    /// # Errors
    /// A sentence where a secret cannot be used as its scheme needs it.
    pub(crate) fn new(
        asked: &BTreeMap<Ident, SecretSlot>,
        grant: &HttpGrant,
        material: &SlotMaterial,
        around: &Surroundings,
    ) -> Result<Self, String> {
        if let Some(credentials) = material.proxy_credentials() {
            watch_password(&around.watch, &format!("{} proxy.credentials (password)", around.place), credentials);
        }
        let mut held = Vec::new();
        for (name, credential) in &grant.secrets {
            let slot = asked.get(name).ok_or_else(|| format!("the connector asks for no secret {name}"))?;
            let maker = Maker { name: name.as_str(), scheme: &slot.scheme, grant, material, around };
            let made = maker.make(credential).map_err(|reason| format!("{name}: {reason}"))?;
            held.push((name.to_string(), made));
        }
        // A signature is over everything else.
        held.sort_by_key(|(_, held)| matches!(held, Held::Signature(_)));
        Ok(Self { held })
    }

    /// The names of the secret slots, for the audit log.
    pub(crate) fn names(&self) -> Vec<String> {
        self.held.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Puts everything into a request.
    ///
    /// # Errors
    /// A fault where a token cannot be had.
    pub(crate) async fn put_in(&self, request: &mut Request, record: &Recorder<'_>) -> Result<(), CallError> {
        for (name, held) in &self.held {
            match held {
                Held::Field(field, value) => {
                    request.headers_mut().insert(field.clone(), value.clone());
                }
                Held::Tokens(tokens) => {
                    let value = tokens.field(&|stage| record(name, stage)).await?;
                    request.headers_mut().insert(AUTHORIZATION, value);
                }
                Held::Statement(statement) => statement.put_in(request)?,
                Held::Signature(signer) => signer.sign(request)?,
            }
        }
        Ok(())
    }

    /// Throws away what a target refused with this request. Says whether another try would send something else.
    pub(crate) async fn refused(&self, sent: Option<&HeaderValue>) -> bool {
        let mut renewed = false;
        for (_, held) in &self.held {
            renewed |= match held {
                Held::Tokens(tokens) => tokens.forget(sent).await,
                Held::Statement(statement) => statement.forget(),
                Held::Field(..) | Held::Signature(_) => false,
            };
        }
        renewed
    }
}

/// Makes one credential.
struct Maker<'m> {
    name: &'m str,
    scheme: &'m SecretScheme,
    grant: &'m HttpGrant,
    material: &'m SlotMaterial,
    around: &'m Surroundings,
}

impl Maker<'_> {
    fn secret(&self, part: Part) -> Result<&Secret, String> {
        let name = part.of(self.name);
        self.material.secrets.get(&name).ok_or_else(|| format!("the secret {name} was not fetched"))
    }

    fn make(&self, credential: &Credential) -> Result<Held, String> {
        match credential {
            Credential::Secret(_) => self.field(),
            Credential::JwtKeyPair(asked) => {
                let key = jwt::Key::new(self.secret(Part::PrivateKey)?, None)?;
                let statement = Statement::new(asked, key, self.derived("statement"), self.around)?;
                Ok(Held::Statement(Box::new(statement)))
            }
            Credential::Sigv4(asked) => {
                let session = asked.session_token.as_ref().map(|_| self.secret(Part::SessionToken)).transpose()?;
                let key = self.secret(Part::SecretAccessKey)?;
                Ok(Held::Signature(Box::new(Signer::new(asked, key, session, Arc::clone(&self.around.clock)))))
            }
            Credential::ClientCredentials(_) | Credential::JwtBearer(_) => {
                let endpoint = credential.endpoint().ok_or("it has no token endpoint")?;
                let proxy = self.grant.proxy.as_ref();
                let setup = Setup {
                    watch: &self.around.watch,
                    origin: &endpoint.url,
                    addresses: &endpoint.addresses,
                    authorities: self.material.files.get(&format!("{}.ca", self.name)).map(Vec::as_slice),
                    identity: None,
                    proxy: proxy.map(|proxy| ThroughProxy { proxy, credentials: self.material.proxy_credentials() }),
                    exchange: raito_core::limits::TOKEN_EXCHANGE,
                };
                let exchange = token::Exchange::new(credential, |part| self.secret(part))?;
                for (what, form) in exchange.sent_forms()? {
                    self.around.watch.add(&self.derived(what), &form);
                }
                let tokens = Tokens::new(&setup, exchange, self.derived("token"), self.around)?;
                Ok(Held::Tokens(Box::new(tokens)))
            }
        }
    }

    /// The name of what is derived from a secret.
    fn derived(&self, what: &str) -> String {
        format!("{}.{} ({what})", self.around.place, self.name)
    }

    /// A header field that carries the secret itself.
    fn field(&self) -> Result<Held, String> {
        let secret = self.secret(Part::Secret)?;
        let (field, value) = match self.scheme {
            SecretScheme::Header { name, before, after } => {
                (name.as_str(), sensitive(&[before, secret.expose(), after])?)
            }
            SecretScheme::Bearer => ("authorization", bearer(secret)?),
            SecretScheme::Basic => {
                watch_password(&self.around.watch, &self.derived("password"), secret);
                let encoded = Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(secret.expose()));
                ("authorization", sensitive(&["Basic ", &encoded])?)
            }
            other => return Err(format!("the scheme {} needs more than a secret", other.word())),
        };
        let field = HeaderName::try_from(field).map_err(|_| "it has no header name")?;
        Ok(Held::Field(field, value))
    }
}

/// Looks for the password of `user:password` alone as well.
fn watch_password(watch: &Watch, name: &str, pair: &Secret) {
    if let Some((_, password)) = pair.expose().split_once(':')
        && let Ok(password) = Secret::new(password.to_owned())
    {
        watch.add(name, &password);
    }
}

/// A text put together out of parts, some of them secret, in memory that is overwritten when it goes. It is made at its full
/// length, because memory that grows leaves copies behind.
fn joined(parts: &[&str]) -> Zeroizing<String> {
    Zeroizing::new(parts.concat())
}

/// A header value that libraries do not show. All copies of it share one memory, which is overwritten when the last one goes.
fn sensitive(parts: &[&str]) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(joined(parts)));
    let mut value = value.map_err(|_| "the secret cannot stand in a header")?;
    value.set_sensitive(true);
    Ok(value)
}

/// `Authorization: Bearer …`
fn bearer(token: &Secret) -> Result<HeaderValue, String> {
    sensitive(&["Bearer ", token.expose()])
}
