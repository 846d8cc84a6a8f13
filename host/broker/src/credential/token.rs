//! Access tokens: fetched from a token endpoint, kept until shortly before they end, fetched again once where they are
//! refused. They never leave the host but to the slot's own origin.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
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
use super::{Surroundings, TokenStage, bearer, sensitive};
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
        let form: Zeroizing<String> = Zeroizing::new(byte_serialize(secret.expose().as_bytes()).collect());
        let taken = |text: &str| Secret::new(text.to_owned()).map_err(|error| error.to_string());
        let pair = client_pair(&asked.client_id, secret);
        Ok(vec![("client-secret in a form", taken(&form)?), ("client-id and client-secret", taken(&pair)?)])
    }

    /// The body of a request, and its field `Authorization`.
    fn form(&self, now: u64, watch: &Watch, name: &str) -> Result<(Zeroizing<String>, Option<HeaderValue>), String> {
        let mut form = Serializer::new(String::new());
        let mut field = None;
        let sign = |key: &Key, mut claims: Value| {
            claims["iat"] = json!(now);
            claims["exp"] = json!(now + limits::ASSERTION_LIFETIME.as_secs());
            claims["jti"] = json!(key.unique()?);
            let statement = key.sign(&claims)?;
            watch.add(&format!("{name}, statement"), &statement);
            Ok::<_, String>(statement)
        };
        match self {
            Self::Client(asked, proof) => {
                form.append_pair("grant_type", "client_credentials");
                match proof {
                    Proof::Basic(secret) => field = Some(client_field(&asked.client_id, secret)?),
                    Proof::Post(secret) => {
                        form.append_pair("client_id", &asked.client_id).append_pair("client_secret", secret.expose());
                    }
                    Proof::Key(key) => {
                        let (id, endpoint) = (&asked.client_id, asked.endpoint.url.to_string());
                        let statement = sign(key, json!({ "iss": id, "sub": id, "aud": endpoint }))?;
                        form.append_pair("client_id", id).append_pair("client_assertion_type", ASSERTION_TYPE);
                        form.append_pair("client_assertion", statement.expose());
                    }
                }
                let more = [("scope", &asked.scope), ("audience", &asked.audience), ("resource", &asked.resource)];
                for (key, value) in more {
                    value.iter().for_each(|value| {
                        form.append_pair(key, value);
                    });
                }
            }
            Self::Jwt(asked, key) => {
                let endpoint = asked.endpoint.url.to_string();
                let mut claims = json!({
                    "iss": asked.issuer,
                    "sub": asked.subject.as_ref().unwrap_or(&asked.issuer),
                    "aud": asked.audience.as_ref().unwrap_or(&endpoint),
                });
                if let Some(scope) = &asked.scope {
                    claims["scope"] = json!(scope);
                }
                let statement = sign(key, claims)?;
                form.append_pair("grant_type", JWT_BEARER).append_pair("assertion", statement.expose());
                if let Some(scope) = &asked.scope {
                    form.append_pair("scope", scope);
                }
            }
        }
        Ok((Zeroizing::new(form.finish()), field))
    }
}

/// Id and secret of a client as `client_secret_basic` sends them: each form-encoded first (RFC 6749, section 2.3.1), then
/// together in base64.
fn client_pair(id: &str, secret: &Secret) -> Zeroizing<String> {
    let mut pair = Zeroizing::new(String::new());
    pair.extend(byte_serialize(id.as_bytes()));
    pair.push(':');
    pair.extend(byte_serialize(secret.expose().as_bytes()));
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
}

fn client_field(id: &str, secret: &Secret) -> Result<HeaderValue, String> {
    sensitive(&Zeroizing::new(format!("Basic {}", client_pair(id, secret).as_str())))
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
        let (form, field) = self.exchange.form(now, &self.watch, &self.name).map_err(setting)?;
        let mut request = self.client.request(Method::POST, "").map_err(CallError::from)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.extend(field.map(|value| (AUTHORIZATION, value)));
        *request.body_mut() = Some(form.as_bytes().to_vec().into());
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
        let mut body = Zeroizing::new(Vec::new());
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
