//! Access tokens: fetched from a token endpoint, kept until shortly before they end, fetched again once where they are
//! refused. They never leave the host but to the slot's own origin.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use raito_core::credential::{ClientCredentials, ClientProof, Credential, JwtBearer, Part};
use raito_core::fault::{Fault, FaultKind};
use raito_core::grant::Origin;
use raito_core::leak::{Leak, Watch};
use raito_core::limits;
use raito_core::ports::Clock;
use raito_core::secret::Secret;
use reqwest::Method;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::jwt::Key;
use super::{Surroundings, TokenStage, bearer, joined, sensitive};
use crate::egress::{Answered, HttpClient, Setup};
use crate::told::{CallError, excerpt};

/// The type of a statement about a client (RFC 7523, section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The grant for a statement (RFC 7523, section 2.1).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What is sent for a token.
pub(super) enum Exchange {
    Client(Box<ClientCredentials>, Proof),
    Jwt(Box<JwtBearer>, Key),
}

/// How a client proves who it is.
pub(super) enum Proof {
    Basic(Secret),
    Post(Secret),
    Key(Key),
}

impl Exchange {
    /// What a credential says, with its secrets.
    ///
    /// # Errors
    /// A sentence where it fetches no tokens, or a key cannot be used.
    pub(super) fn new<'s>(
        credential: &Credential,
        secret: impl Fn(Part) -> Result<&'s Secret, String>,
    ) -> Result<Self, String> {
        match credential {
            Credential::ClientCredentials(asked) => {
                let proof = match &asked.proof {
                    ClientProof::Basic(_) => Proof::Basic(secret(Part::ClientSecret)?.clone()),
                    ClientProof::Post(_) => Proof::Post(secret(Part::ClientSecret)?.clone()),
                    ClientProof::PrivateKey(key) => Proof::Key(Key::new(secret(Part::PrivateKey)?, key.id.clone())?),
                };
                Ok(Self::Client(Box::new(asked.clone()), proof))
            }
            Credential::JwtBearer(asked) => {
                let key = Key::new(secret(Part::PrivateKey)?, asked.key.id.clone())?;
                Ok(Self::Jwt(Box::new(asked.clone()), key))
            }
            Credential::Secret(_) | Credential::JwtKeyPair(_) | Credential::Sigv4(_) => {
                Err("it fetches no tokens".into())
            }
        }
    }

    /// The forms that the client's secret has on its way and that are not found by the secret itself, with their names.
    ///
    /// # Errors
    /// A sentence where the client's id and secret are too long together.
    pub(super) fn sent_forms(&self) -> Result<Vec<(&'static str, Secret)>, String> {
        let Self::Client(asked, Proof::Basic(secret)) = self else { return Ok(Vec::new()) };
        let form = form_encoded(secret.expose());
        let taken = |text: &str| Secret::new(text.to_owned()).map_err(|error| error.to_string());
        let pair = client_pair(&asked.client_id, secret);
        Ok(vec![("client-secret in a form", taken(&form)?), ("client-id and client-secret", taken(&pair)?)])
    }

    /// The body of a request, and its field `Authorization`.
    pub(super) fn request(
        &self,
        now: u64,
        watch: &Watch,
        name: &str,
    ) -> Result<(Zeroizing<String>, Option<HeaderValue>), String> {
        let statement = self.statement(now)?;
        if let Some(statement) = &statement {
            watch.add(&format!("{name}, statement"), statement);
        }
        let statement = statement.as_ref().map(Secret::expose);
        let mut field = None;
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        match self {
            Self::Client(asked, proof) => {
                let id = asked.client_id.as_str();
                pairs.push(("grant_type", "client_credentials"));
                match proof {
                    Proof::Basic(secret) => field = Some(sensitive(&["Basic ", &client_pair(id, secret)])?),
                    Proof::Post(secret) => pairs.extend([("client_id", id), ("client_secret", secret.expose())]),
                    Proof::Key(_) => pairs.extend([("client_id", id), ("client_assertion_type", ASSERTION_TYPE)]),
                }
                pairs.extend(statement.map(|statement| ("client_assertion", statement)));
                let more = [("scope", &asked.scope), ("audience", &asked.audience), ("resource", &asked.resource)];
                pairs.extend(more.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))));
            }
            Self::Jwt(asked, _) => {
                pairs.push(("grant_type", JWT_BEARER));
                pairs.extend(statement.map(|statement| ("assertion", statement)));
                pairs.extend(asked.scope.as_deref().map(|scope| ("scope", scope)));
            }
        }
        Ok((form(&pairs), field))
    }

    /// What is signed for one request, where a key proves something.
    fn statement(&self, now: u64) -> Result<Option<Secret>, String> {
        let (key, mut claims) = match self {
            Self::Client(asked, Proof::Key(key)) => {
                let (id, endpoint) = (&asked.client_id, asked.endpoint.url.to_string());
                (key, json!({ "iss": id, "sub": id, "aud": endpoint }))
            }
            Self::Client(_, Proof::Basic(_) | Proof::Post(_)) => return Ok(None),
            Self::Jwt(asked, key) => {
                let mut claims = json!({
                    "iss": asked.issuer,
                    "sub": asked.subject.as_ref().unwrap_or(&asked.issuer),
                    "aud": asked.audience.clone().unwrap_or_else(|| asked.endpoint.url.to_string()),
                });
                if let Some(scope) = &asked.scope {
                    claims["scope"] = json!(scope);
                }
                (key, claims)
            }
        };
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + limits::ASSERTION_LIFETIME.as_secs());
        claims["jti"] = json!(key.unique()?);
        key.sign(&claims).map(Some)
    }
}

/// Bytes that one byte takes at most in a form: `%XX`.
const IN_FORM: usize = 3;

/// A form (URL standard, "application/x-www-form-urlencoded"), made at its full length like everything that holds a secret.
fn form(pairs: &[(&str, &str)]) -> Zeroizing<String> {
    let length = pairs.iter().map(|(key, value)| IN_FORM * (key.len() + value.len()) + "&=".len()).sum();
    let mut form = Serializer::new(String::with_capacity(length));
    form.extend_pairs(pairs);
    Zeroizing::new(form.finish())
}

fn form_encoded(text: &str) -> Zeroizing<String> {
    let mut form = Zeroizing::new(String::with_capacity(IN_FORM * text.len()));
    form.extend(byte_serialize(text.as_bytes()));
    form
}

/// Id and secret of a client as `client_secret_basic` sends them: each form-encoded first (RFC 6749, section 2.3.1), then
/// together in base64.
fn client_pair(id: &str, secret: &Secret) -> Zeroizing<String> {
    let pair = joined(&[&form_encoded(id), ":", &form_encoded(secret.expose())]);
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
}

/// The tokens of one secret slot.
pub(super) struct Tokens {
    client: HttpClient,
    endpoint: Origin,
    exchange: Exchange,
    name: String,
    watch: Arc<Watch>,
    clock: Arc<dyn Clock>,
    /// The token in use, and until when, in milliseconds since 1970. Whoever fetches one holds the lock, so it is fetched
    /// once however many requests wait for it.
    held: Mutex<Option<(HeaderValue, u64)>>,
}

impl Tokens {
    /// Makes what fetches tokens.
    ///
    /// # Errors
    /// A sentence where the endpoint cannot be used.
    pub(super) fn new(
        setup: &Setup<'_>,
        exchange: Exchange,
        name: String,
        around: &Surroundings,
    ) -> Result<Self, String> {
        Ok(Self {
            client: HttpClient::new(setup)?,
            endpoint: setup.origin.clone(),
            exchange,
            name,
            watch: Arc::clone(&around.watch),
            clock: Arc::clone(&around.clock),
            held: Mutex::default(),
        })
    }

    /// The field `Authorization` with a token that is good.
    pub(super) async fn field(
        &self,
        record: &(dyn Fn(TokenStage<'_>) -> Result<(), Fault> + Send + Sync),
    ) -> Result<HeaderValue, CallError> {
        let mut held = self.held.lock().await;
        if let Some((value, until)) = &*held
            && self.clock.now_ms() < *until
        {
            return Ok(value.clone());
        }
        *held = None;
        let (value, lifetime) = self.fetch(record).await?;
        let margin = limits::TOKEN_MARGIN.min(lifetime / 2);
        let good_ms = u64::try_from((lifetime - margin).as_millis()).unwrap_or(u64::MAX);
        *held = Some((value.clone(), self.clock.now_ms().saturating_add(good_ms)));
        Ok(value)
    }

    /// Forgets a token that was refused, unless it was replaced meanwhile. Says whether there is another one to try.
    pub(super) async fn forget(&self, sent: Option<&HeaderValue>) -> bool {
        let mut held = self.held.lock().await;
        match (&*held, sent) {
            (Some((value, _)), Some(sent)) if value == sent => {
                *held = None;
                true
            }
            (Some(_), Some(_)) => true,
            _ => sent.is_some(),
        }
    }

    async fn fetch(
        &self,
        record: &(dyn Fn(TokenStage<'_>) -> Result<(), Fault> + Send + Sync),
    ) -> Result<(HeaderValue, Duration), CallError> {
        let setting = |reason: String| Fault::new(FaultKind::InvalidSetting, reason);
        let now = self.clock.now_ms() / 1_000;
        let (form, field) = self.exchange.request(now, &self.watch, &self.name).map_err(setting)?;
        let mut request = self.client.request(Method::POST, "").map_err(CallError::from)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.extend(field.map(|value| (AUTHORIZATION, value)));
        *request.body_mut() = Some(Bytes::from_owner(form).into());
        record(TokenStage::Asked { to: &self.endpoint })?;
        let answered = self.client.send(request).await.map_err(CallError::from);
        let (status, address) = match &answered {
            Ok(answered) => (answered.response.status().as_u16().to_string(), answered.address),
            Err(error) => (error.word().to_owned(), None),
        };
        record(TokenStage::Answered { status, address })?;
        let Answered { response, .. } = answered?;
        let status = response.status();
        let body = self.read(response).await?;
        if status.is_success() {
            return self.token(&body);
        }
        let said = refusal(&self.watch, &body)?;
        let kind = match status.as_u16() {
            429 | 500..=599 => FaultKind::Unavailable,
            _ => FaultKind::Unauthorized,
        };
        Err(Fault::new(kind, format!("{} answers with status {status}{said}", self.endpoint)).into())
    }

    /// The body of an answer, which is as bounded as everything else.
    async fn read(&self, mut response: reqwest::Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let mut body = Zeroizing::new(Vec::with_capacity(limits::TOKEN_ANSWER_BYTES));
        let broken = |_| Fault::new(FaultKind::Unavailable, format!("an answer of {} breaks off", self.endpoint));
        while let Some(bytes) = response.chunk().await.map_err(broken)? {
            if body.len() + bytes.len() > limits::TOKEN_ANSWER_BYTES {
                let max = limits::TOKEN_ANSWER_BYTES;
                return Err(Fault::denied(format!("an answer of {} has more than {max} bytes", self.endpoint)));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    /// The token of an answer (RFC 6749, section 5.1), which is watched for from now on.
    fn token(&self, body: &[u8]) -> Result<(HeaderValue, Duration), CallError> {
        let wrong = |what: &str| Fault::new(FaultKind::Unauthorized, format!("{} {what}", self.endpoint));
        let answer: Answer = serde_json::from_slice(body).map_err(|_| wrong("answers with no token"))?;
        let token = Secret::new(answer.access_token).map_err(|_| wrong("answers with what is no token"))?;
        self.watch.add(&self.name, &token);
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            let kind = excerpt(&self.watch, &answer.token_type, 40)?;
            return Err(wrong(&format!("answers with a token of the type {kind}, and only bearer is known")).into());
        }
        let lifetime = answer.expires_in.and_then(|value| match value {
            Value::Number(number) => number.as_u64(),
            // Some servers write the number as text.
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        let lifetime = lifetime.map_or(limits::TOKEN_LIFETIME, |seconds| Duration::from_secs(seconds.min(86_400)));
        let value =
            bearer(&token).map_err(|reason| wrong(&format!("answers with a token that cannot be sent: {reason}")))?;
        Ok((value, lifetime))
    }
}

/// The members of an answer that are used.
#[derive(serde::Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default = "usual_type")]
    token_type: String,
    expires_in: Option<Value>,
}

fn usual_type() -> String {
    "bearer".to_owned()
}

/// What a refusal says (RFC 6749, section 5.2).
fn refusal(watch: &Watch, body: &[u8]) -> Result<String, Leak> {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let member =
        |name: &str| said.get(name).and_then(Value::as_str).map(|value| excerpt(watch, value, 200)).transpose();
    Ok(match (member("error")?, member("error_description")?) {
        (Some(error), Some(description)) => format!(": {error}: {description}"),
        (Some(error), None) => format!(": {error}"),
        (None, _) => String::new(),
    })
}
