//! Credentials of HTTP slots: a secret alone, or what the host needs to get or to make one.

use marked_yaml::Node;
use raito_core::credential::{
    ClientCredentials, ClientProof, Credential, JwtBearer, JwtKeyPair, SigningKey, Sigv4, TokenEndpoint,
};
use raito_core::grant::SecretSource;

use crate::grants::{origin, secret};
use crate::keys::{CLIENT_CREDENTIALS, JWT_BEARER, JWT_KEY_PAIR, PROOF, SCHEMES, SIGV4};
use crate::reader::{Fields, Reader, node_place};

/// What stands for a secret slot. Whether it is what the slot's scheme needs, only the manifest knows.
pub(crate) fn credential(reader: &mut Reader<'_>, node: &Node) -> Option<Credential> {
    let is_scheme = |(key, _): &(&str, &Node)| SCHEMES.iter().any(|known| known.name == *key);
    let keys = node.as_mapping().into_iter().flat_map(|mapping| mapping.iter());
    let Some((word, inner)) = keys.map(|(key, value)| (key.as_str(), value)).find(is_scheme) else {
        return secret(reader, node).map(Credential::Secret);
    };
    let fields = reader.map(node, SCHEMES)?;
    if fields.iter().count() > 1 {
        reader.wrong(fields.place(), "one secret has one scheme", None);
        return None;
    }
    match word {
        "oauth2-client-credentials" => client_credentials(reader, inner).map(Credential::ClientCredentials),
        "jwt-bearer" => jwt_bearer(reader, inner).map(Credential::JwtBearer),
        "jwt-key-pair" => jwt_key_pair(reader, inner).map(Credential::JwtKeyPair),
        _ => sigv4(reader, inner).map(Credential::Sigv4),
    }
}

/// A text, in which variables stand for what differs between environments.
fn text(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    fields.get(key).and_then(|node| reader.text_with_variables(node))
}

fn source(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<SecretSource> {
    fields.get(key).and_then(|node| secret(reader, node))
}

fn endpoint(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<TokenEndpoint> {
    let addresses = fields.get("addresses").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let ca = fields.get("ca").and_then(|node| reader.text(node));
    let url = fields.get("token-url").and_then(|node| {
        let url = origin(reader, node)?;
        if !url.tls {
            let help =
                Some("begin it with https://; without encryption the secret could be read on the way".to_owned());
            reader.wrong(node_place(node), "the token URL is not encrypted", help);
        }
        Some(url)
    });
    Some(TokenEndpoint { url: url?, addresses, ca })
}

fn signing_key(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<SigningKey> {
    let id = text(reader, fields, "key-id");
    Some(SigningKey { key: source(reader, fields, "private-key")?, id })
}

fn client_credentials(reader: &mut Reader<'_>, node: &Node) -> Option<ClientCredentials> {
    let fields = reader.map(node, CLIENT_CREDENTIALS)?;
    let endpoint = endpoint(reader, &fields);
    let client_id = text(reader, &fields, "client-id");
    let secret = source(reader, &fields, "client-secret");
    let sent = fields.get("client-auth").and_then(|node| reader.word(node, PROOF));
    let has = |key: &str| fields.get(key).is_some();
    if has("client-secret") == has("private-key") || (has("private-key") && has("client-auth")) {
        let help = "write client-secret, and client-auth where it is sent in the body; or private-key".to_owned();
        reader.wrong(fields.place(), "a client proves who it is in one way", Some(help));
        return None;
    }
    let proof = match (secret, sent) {
        (Some(secret), Some(1)) => Some(ClientProof::Post(secret)),
        (Some(secret), _) => Some(ClientProof::Basic(secret)),
        (None, _) => signing_key(reader, &fields).map(ClientProof::PrivateKey),
    };
    let (scope, audience) = (text(reader, &fields, "scope"), text(reader, &fields, "audience"));
    let resource = text(reader, &fields, "resource");
    Some(ClientCredentials { endpoint: endpoint?, client_id: client_id?, proof: proof?, scope, audience, resource })
}

fn jwt_bearer(reader: &mut Reader<'_>, node: &Node) -> Option<JwtBearer> {
    let fields = reader.map(node, JWT_BEARER)?;
    let endpoint = endpoint(reader, &fields);
    let issuer = text(reader, &fields, "issuer");
    let (subject, audience) = (text(reader, &fields, "subject"), text(reader, &fields, "audience"));
    let scope = text(reader, &fields, "scope");
    let key = signing_key(reader, &fields);
    Some(JwtBearer { endpoint: endpoint?, issuer: issuer?, subject, audience, scope, key: key? })
}

fn jwt_key_pair(reader: &mut Reader<'_>, node: &Node) -> Option<JwtKeyPair> {
    let fields = reader.map(node, JWT_KEY_PAIR)?;
    let (account, user) = (text(reader, &fields, "account"), text(reader, &fields, "user"));
    let key = signing_key(reader, &fields);
    Some(JwtKeyPair { account: account?, user: user?, key: key? })
}

fn sigv4(reader: &mut Reader<'_>, node: &Node) -> Option<Sigv4> {
    let fields = reader.map(node, SIGV4)?;
    let (region, service) = (text(reader, &fields, "region"), text(reader, &fields, "service"));
    let access_key_id = text(reader, &fields, "access-key-id");
    let secret_access_key = source(reader, &fields, "secret-access-key");
    let session_token = source(reader, &fields, "session-token");
    Some(Sigv4 {
        region: region?,
        service: service?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token,
    })
}
