//! Credentials against servers that run: what each scheme sends, what is kept, what is fetched again, and what stays inside.
#![allow(unreachable_pub, reason = "modules of a test are public to each other")]

#[path = "../../../tests/support/server.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod server;
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use raito_core::call::{Reply, Request};
use raito_core::fault::FaultKind;
use ring::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use server::{Authority, Server, answer, json};
use support::{broker, try_broker};

/// An API behind TLS that takes any token which begins with `token-`, and refuses those whose numbers are below `floor`.
fn api(authority: &Authority, floor: usize) -> Server {
    Server::tls(authority.server("localhost", false), move |request, out| {
        let number: Option<usize> =
            request.field("authorization").strip_prefix("Bearer token-of-the-test-").and_then(|n| n.parse().ok());
        match number {
            Some(number) if number >= floor => json(out, "{\"items\":[]}"),
            _ => answer(out, 401, &[], b"{}"),
        }
    })
}

/// A token endpoint that numbers its tokens.
fn login(authority: &Authority, expires_in: &'static str) -> Server {
    Server::tls(authority.server("localhost", false), move |request, out| {
        let token = format!("token-of-the-test-{}", request.number);
        json(out, &format!("{{\"access_token\":\"{token}\",\"token_type\":\"Bearer\"{expires_in}}}"))
    })
}

fn client_grant(api: &Server, login: &Server, more: &str) -> String {
    format!(
        "origin: \"https://localhost:{}\"\naddresses: [\"127.0.0.0/8\"]\nca: ca.pem\ntoken:\n  oauth2-client-credentials: \
         {{ token-url: \"https://localhost:{}/oauth2/token\", addresses: [\"127.0.0.0/8\"], ca: ca.pem, client-id: \"raito & co\", {more} }}",
        api.port, login.port
    )
}

const CLIENT: &str = "scheme = \"oauth2-client-credentials\"";
const CLIENT_SECRET: &str = "the secret of the client: 100%";

#[tokio::test]
async fn a_client_proves_itself_with_its_secret_in_the_field_or_in_the_body() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    for (proof, in_body) in [("", false), (", client-auth: post", true)] {
        let (api, login) = (api(&authority, 0), login(&authority, ",\"expires_in\":3600"));
        let more = format!("client-secret: {{ env: A }}, scope: \"read write\", audience: \"urn:api\"{proof}");
        let grant = client_grant(&api, &login, &more);
        let broker = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
        assert_eq!(broker.list().await.expect("an answer").status, 200);
        let asked = login.seen();
        let form = asked[0].form();
        assert_eq!(asked[0].line, "POST /oauth2/token HTTP/1.1");
        assert_eq!((form["grant_type"].as_str(), form["scope"].as_str()), ("client_credentials", "read write"));
        assert_eq!(form["audience"], "urn:api");
        if in_body {
            assert_eq!((form["client_id"].as_str(), form["client_secret"].as_str()), ("raito & co", CLIENT_SECRET));
            assert_eq!(asked[0].field("authorization"), "");
        } else {
            // Each part is form-encoded before they are joined (RFC 6749, section 2.3.1).
            let joined = "raito+%26+co:the+secret+of+the+client%3A+100%25";
            assert_eq!(asked[0].field("authorization"), format!("Basic {}", STANDARD.encode(joined)));
            assert!(!form.contains_key("client_secret"));
        }
        assert_eq!(api.seen()[0].field("authorization"), "Bearer token-of-the-test-0");
        let kinds: Vec<_> = broker.record.of("token-request").iter().map(|event| event["to"].clone()).collect();
        assert_eq!(kinds, [format!("https://localhost:{}/oauth2/token", login.port)]);
        assert_eq!(broker.record.of("token-reply")[0]["status"], "200");
        assert!(!broker.record.text().contains("token-of-the-test"), "the token is not on record");
    }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_again_shortly_before_it_ends() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    for (expires_in, good_s) in [(",\"expires_in\":3600", 3_540), (",\"expires_in\":\"20\"", 10), ("", 240)] {
        let (api, login) = (api(&authority, 0), login(&authority, expires_in));
        let grant = client_grant(&api, &login, "client-secret: { env: A }");
        let broker = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
        let all = (0..8).map(|_| broker.list());
        for done in futures_util::future::join_all(all).await {
            assert_eq!(done.expect("an answer").status, 200);
        }
        assert_eq!(login.seen().len(), 1, "{expires_in}: eight calls at once wait for one token");
        broker.clock.pass(good_s - 1);
        broker.list().await.expect("an answer");
        assert_eq!(login.seen().len(), 1, "{expires_in}: it is still good");
        broker.clock.pass(1);
        broker.list().await.expect("an answer");
        assert_eq!(login.seen().len(), 2, "{expires_in}: it ends soon");
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let (open, login_open) = (api(&authority, 1), login(&authority, ",\"expires_in\":3600"));
    let grant = client_grant(&open, &login_open, "client-secret: { env: A }");
    let broker_open = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
    assert_eq!(broker_open.list().await.expect("an answer").status, 200, "the second token is taken");
    assert_eq!((login_open.seen().len(), open.seen().len()), (2, 2));
    assert_eq!(broker_open.send("search", "x").await.expect("an answer").status, 200);
    assert_eq!(login_open.seen().len(), 2, "the second token is kept");

    let (closed, login_closed) = (api(&authority, usize::MAX), login(&authority, ",\"expires_in\":3600"));
    let grant = client_grant(&closed, &login_closed, "client-secret: { env: A }");
    let broker_closed = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
    assert_eq!(broker_closed.list().await.expect("an answer").status, 401, "the connector is told in the end");
    assert_eq!((login_closed.seen().len(), closed.seen().len()), (2, 2), "one more try, and no more");
}

/// The claims of a statement that this key must have signed.
fn claims(statement: &str, pem: &str, algorithm: &str, id: Option<&str>) -> Value {
    let parts: Vec<&str> = statement.split('.').collect();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let header: Value = serde_json::from_slice(&decode(parts[0])).expect("JSON");
    assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some(algorithm), Some("JWT")));
    assert_eq!(header["kid"].as_str(), id);
    let signed = format!("{}.{}", parts[0], parts[1]);
    let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("PEM") else {
        panic!("PKCS #8")
    };
    let (random, der) = (ring::rand::SystemRandom::new(), key.secret_pkcs8_der());
    let public = if algorithm == "RS256" {
        ring::signature::RsaKeyPair::from_pkcs8(der).expect("RSA").public_key().as_ref().to_vec()
    } else {
        let kind = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        ring::signature::EcdsaKeyPair::from_pkcs8(kind, der, &random).expect("P-256").public_key().as_ref().to_vec()
    };
    let verified = if algorithm == "RS256" {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &decode(parts[2]))
    } else {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).verify(signed.as_bytes(), &decode(parts[2]))
    };
    verified.expect("the signature is good");
    serde_json::from_slice(&decode(parts[1])).expect("JSON")
}

/// A key made by openssl, and where RSA the digest by which Snowflake knows it, as its documentation has people make it.
fn rsa_key() -> (String, String) {
    use std::process::{Command, Stdio};
    let run = |arguments: &[&str], input: &[u8]| {
        let mut command = Command::new("openssl");
        let mut child =
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let child = child.as_mut().expect("openssl is installed");
        std::io::Write::write_all(child.stdin.as_mut().expect("piped"), input).expect("written");
        drop(child.stdin.take());
        let mut output = Vec::new();
        std::io::Read::read_to_end(child.stdout.as_mut().expect("piped"), &mut output).expect("read");
        assert!(child.wait().expect("it ends").success());
        output
    };
    let key = run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], b"");
    let public = run(&["pkey", "-pubout", "-outform", "DER"], &key);
    let digest = run(&["dgst", "-sha256", "-binary"], &public);
    (String::from_utf8(key).expect("PEM"), format!("SHA256:{}", STANDARD.encode(digest)))
}

#[tokio::test]
async fn a_client_proves_itself_with_its_key() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let (rsa, _) = rsa_key();
    let p256 = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    for (pem, algorithm) in [(rsa, "RS256"), (p256, "ES256")] {
        let (api, login) = (api(&authority, 0), login(&authority, ",\"expires_in\":3600"));
        let grant = client_grant(&api, &login, "private-key: { env: A }, key-id: k1");
        let broker = broker(CLIENT, &grant, &[("token.private-key", &pem)], &files);
        assert_eq!(broker.list().await.expect("an answer").status, 200);
        let form = login.seen()[0].form();
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let said = claims(&form["client_assertion"], &pem, algorithm, Some("k1"));
        assert_eq!((said["iss"].as_str(), said["sub"].as_str()), (Some("raito & co"), Some("raito & co")));
        assert_eq!(said["aud"], format!("https://localhost:{}/oauth2/token", login.port));
        assert_eq!(said["iat"], 1_767_225_600_u64);
        assert_eq!(said["exp"], 1_767_225_900_u64);
        assert!(said["jti"].as_str().is_some_and(|id| id.len() >= 20));
    }
}

#[tokio::test]
async fn a_statement_is_exchanged_for_a_token() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let (api, login) = (api(&authority, 0), login(&authority, ",\"expires_in\":3600"));
    let pem = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let grant = format!(
        "origin: \"https://localhost:{}\"\naddresses: [\"127.0.0.0/8\"]\nca: ca.pem\ntoken:\n  jwt-bearer: {{ token-url: \
         \"https://localhost:{}/token\", addresses: [\"127.0.0.0/8\"], ca: ca.pem, issuer: raito@test, subject: admin@test, \
         scope: directory, private-key: {{ env: A }} }}",
        api.port, login.port
    );
    let broker = broker("scheme = \"jwt-bearer\"", &grant, &[("token.private-key", &pem)], &files);
    assert_eq!(broker.list().await.expect("an answer").status, 200);
    let form = login.seen()[0].form();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let said = claims(&form["assertion"], &pem, "ES256", None);
    assert_eq!((said["iss"].as_str(), said["sub"].as_str()), (Some("raito@test"), Some("admin@test")));
    assert_eq!((said["scope"].as_str(), form["scope"].as_str()), (Some("directory"), "directory"));
    assert_eq!(said["aud"], format!("https://localhost:{}/token", login.port));
}

#[tokio::test]
async fn a_statement_is_a_token_as_snowflake_reads_it() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let (pem, fingerprint) = rsa_key();
    let grant = format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\ntoken:\n  jwt-key-pair: {{ account: \
         \"myorg-acct.eu-central-1\", user: raito, private-key: {{ env: A }} }}",
        server.port
    );
    let scheme = "scheme = \"jwt-key-pair\"";
    let broker = broker(scheme, &grant, &[("token.private-key", &pem)], &[]);
    for _ in 0..2 {
        broker.list().await.expect("an answer");
    }
    broker.clock.pass(55 * 60);
    broker.list().await.expect("an answer");
    let seen = server.seen();
    let statements: Vec<&str> =
        seen.iter().map(|request| request.field("authorization").strip_prefix("Bearer ").expect("a token")).collect();
    assert!(statements[0] == statements[1] && statements[1] != statements[2], "it is made again before it ends");
    let said = claims(statements[0], &pem, "RS256", None);
    assert_eq!(said["iss"], format!("MYORG-ACCT.RAITO.{fingerprint}"));
    assert_eq!(said["sub"], "MYORG-ACCT.RAITO");
    assert_eq!(said["exp"].as_u64().zip(said["iat"].as_u64()).map(|(exp, iat)| exp - iat), Some(55 * 60));
    assert_eq!(seen[0].field("x-snowflake-authorization-token-type"), "KEYPAIR_JWT");

    let wrong = rcgen::KeyPair::generate().expect("a key").serialize_pem();
    let refused = try_broker(scheme, &grant, &[("token.private-key", &wrong)], &[]).err().expect("P-256 is not RSA");
    assert!(refused.to_string().contains("must be RSA"), "{refused}");
    let refused = try_broker(scheme, &grant, &[("token.private-key", "no key at all")], &[]).err().expect("no key");
    assert!(refused.to_string().contains("openssl pkcs8"), "{refused}");
}

#[tokio::test]
async fn a_request_is_signed_for_aws() {
    let server = Server::plain(|_, out| json(out, "{}"));
    let grant = format!(
        "origin: \"http://127.0.0.1:{}\"\nplain-http: true\naddresses: [\"127.0.0.1\"]\ntoken:\n  sigv4: {{ region: eu-central-1, \
         service: execute-api, access-key-id: AKIDEXAMPLE, secret-access-key: {{ env: A }}, session-token: {{ env: B }} }}",
        server.port
    );
    let secrets =
        [("token.secret-access-key", "wJalrXUtnFEMI/K7MDENG"), ("token.session-token", "a session of the test")];
    let broker = broker("scheme = \"sigv4\"", &grant, &secrets, &[]);
    broker.send("search", "x y").await.expect("an answer");
    let seen = &server.seen()[0];
    let begin = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-central-1/execute-api/aws4_request, SignedHeaders=\
                 content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=";
    assert!(seen.field("authorization").starts_with(begin), "{}", seen.field("authorization"));
    assert_eq!(
        (seen.field("x-amz-date"), seen.field("x-amz-security-token")),
        ("20260101T000000Z", "a session of the test")
    );
    assert_eq!(seen.field("host"), format!("127.0.0.1:{}", server.port));
    let digest = ring::digest::digest(&ring::digest::SHA256, &seen.body);
    let digest: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen.field("x-amz-content-sha256"), digest, "what is signed is what was sent");
}

#[tokio::test]
async fn what_a_token_endpoint_says_is_told_without_secrets() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let api = api(&authority, 0);
    // What the client sends: each part in a form, and both together in base64.
    let in_form = "the+secret+of+the+client%3A+100%25";
    let pair = STANDARD.encode(format!("raito+%26+co:{in_form}"));
    let told = |text: &str| format!("{{\"error\":\"bad\",\"error_description\":\"{text}\"}}");
    let cases: [(u16, String, &str, FaultKind); 9] = [
        (400, told(&format!("you sent {in_form}")), "withheld", FaultKind::Denied),
        (400, told(&format!("you sent Basic {pair}")), "withheld", FaultKind::Denied),
        (400, told(&format!("you sent {}", STANDARD.encode(&pair))), "withheld", FaultKind::Denied),
        // Behind the cut, only the first part of it would be told.
        (400, told(&format!("{}{CLIENT_SECRET}", "x".repeat(180))), "withheld", FaultKind::Denied),
        (
            200,
            format!("{{\"access_token\":\"t\",\"token_type\":\"{}{CLIENT_SECRET}\"}}", "x".repeat(30)),
            "withheld",
            FaultKind::Denied,
        ),
        (
            401,
            "{\"error\":\"invalid_client\",\"error_description\":\"no such client\"}".into(),
            "invalid_client: no such client",
            FaultKind::Unauthorized,
        ),
        (
            400,
            format!("{{\"error\":\"bad\",\"error_description\":\"you sent {CLIENT_SECRET}\"}}"),
            "withheld",
            FaultKind::Denied,
        ),
        (200, "{\"token\":1}".into(), "answers with no token", FaultKind::Unauthorized),
        (200, "x".repeat(200 * 1024), "more than 131072 bytes", FaultKind::Denied),
    ];
    for (status, body, says, kind) in cases {
        let login =
            Server::tls(authority.server("localhost", false), move |_, out| answer(out, status, &[], body.as_bytes()));
        let grant = client_grant(&api, &login, "client-secret: { env: A }");
        let broker = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
        let fault = broker.list().await.expect_err("no token");
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.as_str().contains(says) && !fault.message.as_str().contains("100%"), "{fault}");
        assert!(!fault.message.as_str().contains("the secret of the"), "{fault}");
        assert_eq!(broker.step.leaked().is_some(), says == "withheld", "{fault}");
    }
    assert!(api.seen().is_empty(), "nothing was asked without a token");
}

#[tokio::test]
async fn a_token_that_is_fetched_while_a_body_comes_is_looked_for_in_the_rest_of_it() {
    let authority = Authority::new();
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let (go, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let api = Server::tls(authority.server("localhost", false), move |request, out| {
        if request.number > 0 {
            return json(out, "{}");
        }
        out.write_all(b"HTTP/1.1 200 so\r\ncontent-length: 3019\r\n\r\n")?;
        out.write_all(&[b'x'; 2000])?;
        out.flush()?;
        let _ = waits.lock().expect("one at a time").recv();
        out.write_all(b"token-of-the-test-1")?;
        out.write_all(&[b'y'; 1000])?;
        out.flush()?;
        Ok(server::Keep::Open)
    });
    let login = login(&authority, ",\"expires_in\":3600");
    let grant = client_grant(&api, &login, "client-secret: { env: A }");
    let broker = broker(CLIENT, &grant, &[("token.client-secret", CLIENT_SECRET)], &files);
    let fetched = broker.step.call(Request::HttpFetch(support::call("list", "x"))).await;
    let Reply::Fetched(_, handle) = fetched else { panic!("{fetched:?}") };
    assert!(matches!(broker.step.call(Request::Next(handle, 100)).await, Reply::Bytes(_)));
    broker.clock.pass(3_600);
    assert_eq!(broker.list().await.expect("an answer").status, 200);
    assert_eq!(login.seen().len(), 2, "there is another token now");
    go.send(()).expect("it waits");
    let fault = loop {
        match broker.step.call(Request::Next(handle, 64)).await {
            Reply::Bytes(bytes) => assert!(bytes.iter().all(|byte| *byte == b'x'), "a part of the token was given"),
            Reply::Fault(fault) => break fault,
            other => panic!("{other:?}"),
        }
    };
    assert!(fault.message.as_str().contains("an answer to http.api holds the secret"), "{fault}");
    assert!(broker.step.leaked().is_some());
}

#[tokio::test]
async fn a_token_endpoint_lies_under_the_address_policy() {
    let authority = Authority::new();
    let (api, login) = (api(&authority, 0), login(&authority, ""));
    let files = [("ca", authority.certificate.as_str()), ("token.ca", authority.certificate.as_str())];
    let grant = client_grant(&api, &login, "client-secret: { env: A }");
    let elsewhere = grant.replacen("addresses: [\"127.0.0.0/8\"], ca: ca.pem, client-id", "ca: ca.pem, client-id", 1);
    let name = broker(CLIENT, &elsewhere, &[("token.client-secret", CLIENT_SECRET)], &files);
    let fault = name.list().await.expect_err("loopback is not granted there");
    assert!(fault.kind == FaultKind::Denied && fault.message.as_str().contains("loopback"), "{fault}");
    let literal =
        elsewhere.replace(&format!("localhost:{}/oauth2", login.port), &format!("127.0.0.1:{}/oauth2", login.port));
    let refused =
        try_broker(CLIENT, &literal, &[("token.client-secret", CLIENT_SECRET)], &files).err().expect("an address");
    assert!(refused.to_string().contains("loopback"), "{refused}");
    assert_eq!(login.connections(), 0, "nobody connected");
}
