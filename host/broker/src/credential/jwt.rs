//! Statements that the host signs: JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, with RS256 or ES256
//! (RFC 7518, sections 3.3 and 3.4). The signatures are ring's, which is the provider of TLS as well.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use raito_core::credential::JwtKeyPair;
use raito_core::fault::{Fault, FaultKind};
use raito_core::leak::Watch;
use raito_core::limits;
use raito_core::ports::Clock;
use raito_core::secret::Secret;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::sign::public_key_to_spki;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivateKeyDer, alg_id};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{Surroundings, bearer};

/// A private key.
pub(super) struct Key {
    pair: Pair,
    id: Option<String>,
    random: SystemRandom,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Key {
    /// Reads a key in PEM form.
    ///
    /// # Errors
    /// A sentence where it is none that can sign.
    pub(super) fn new(secret: &Secret, id: Option<String>) -> Result<Self, String> {
        const HOW: &str = "the private key is not one that can be used: write an RSA key of 2,048 to 4,096 bits, or a \
                           P-256 key, as PEM in PKCS #8 form and without a passphrase (openssl pkcs8 -topk8 -nocrypt)";
        let random = SystemRandom::new();
        let der = Zeroizing::new(PrivateKeyDer::from_pem_slice(secret.expose().as_bytes()).map_err(|_| HOW)?);
        let pair = match &*der {
            PrivateKeyDer::Pkcs1(der) => {
                Pair::Rsa(Box::new(RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| HOW)?))
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match RsaKeyPair::from_pkcs8(der) {
                    Ok(pair) => Pair::Rsa(Box::new(pair)),
                    Err(_) => {
                        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random);
                        Pair::P256(Box::new(pair.map_err(|_| HOW)?))
                    }
                }
            }
            _ => return Err(HOW.to_owned()),
        };
        Ok(Self { pair, id, random })
    }

    /// Signs claims.
    pub(super) fn sign(&self, claims: &Value) -> Result<Secret, String> {
        let mut header = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(id) = &self.id {
            header["kid"] = json!(id);
        }
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(claims));
        let failed = |_| "the statement cannot be signed".to_owned();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &self.random, text.as_bytes(), &mut signature).map_err(failed)?;
                signature
            }
            Pair::P256(pair) => pair.sign(&self.random, text.as_bytes()).map_err(failed)?.as_ref().to_vec(),
        };
        let signature = Zeroizing::new(URL_SAFE_NO_PAD.encode(Zeroizing::new(signature)));
        Secret::new([text.as_str(), ".", &signature].concat()).map_err(|error| error.to_string())
    }

    /// A text that no other statement has (`jti`).
    pub(super) fn unique(&self) -> Result<String, String> {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes).map_err(|_| "there are no random numbers")?;
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::P256(_) => "ES256",
        }
    }

    /// The digest by which Snowflake knows the public key: SHA-256 of its SubjectPublicKeyInfo, in base64.
    fn fingerprint(&self) -> Result<String, String> {
        let Pair::Rsa(pair) = &self.pair else { return Err("the private key must be RSA for jwt-key-pair".into()) };
        let public = public_key_to_spki(&alg_id::RSA_ENCRYPTION, pair.public_key());
        let digest = ring::digest::digest(&ring::digest::SHA256, public.as_ref());
        Ok(format!("SHA256:{}", STANDARD.encode(digest)))
    }
}

/// A statement that is a token itself, made again shortly before its end.
pub(super) struct Statement {
    key: Key,
    issuer: String,
    subject: String,
    name: String,
    watch: Arc<Watch>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<(HeaderValue, u64)>>,
}

impl Statement {
    /// What names account, user and key as Snowflake reads it: upper case, without a region behind the account.
    pub(super) fn new(asked: &JwtKeyPair, key: Key, name: String, around: &Surroundings) -> Result<Self, String> {
        let account = asked.account.split('.').next().unwrap_or_default().to_uppercase();
        let subject = format!("{account}.{}", asked.user.to_uppercase());
        let issuer = format!("{subject}.{}", key.fingerprint()?);
        Ok(Self {
            key,
            issuer,
            subject,
            name,
            watch: Arc::clone(&around.watch),
            clock: Arc::clone(&around.clock),
            held: Mutex::default(),
        })
    }

    pub(super) fn put_in(&self, request: &mut Request) -> Result<(), Fault> {
        let value = self.value().map_err(|reason| Fault::new(FaultKind::InvalidSetting, reason))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        let kind = HeaderName::from_static("x-snowflake-authorization-token-type");
        request.headers_mut().insert(kind, HeaderValue::from_static("KEYPAIR_JWT"));
        Ok(())
    }

    fn value(&self) -> Result<HeaderValue, String> {
        let now = self.clock.now_ms() / 1_000;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((value, until)) = &*held
            && now + limits::TOKEN_MARGIN.as_secs() < *until
        {
            return Ok(value.clone());
        }
        let until = now + limits::KEY_PAIR_LIFETIME.as_secs();
        let token = self.key.sign(&json!({ "iss": self.issuer, "sub": self.subject, "iat": now, "exp": until }))?;
        self.watch.add(&self.name, &token);
        let value = bearer(&token)?;
        *held = Some((value.clone(), until));
        Ok(value)
    }

    /// A refused statement is made again only where it was held for a while: a new one says the same.
    pub(super) fn forget(&self) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }
}
