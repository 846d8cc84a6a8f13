//! Signatures of AWS, version 4, over each request: host, content type, date, and the digest of the body.
//!
//! The steps are those of "Create a signed AWS API request" (IAM User Guide): a canonical request, a text to sign, a key
//! that is derived from the secret for one day, region and service, and the signature.

use std::fmt::Write as _;
use std::sync::Arc;

use raito_core::credential::Sigv4;
use raito_core::fault::{Fault, FaultKind};
use raito_core::ports::Clock;
use raito_core::secret::Secret;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderName};
use ring::{digest, hmac};
use url::Position;
use zeroize::Zeroizing;

use super::{joined, sensitive};

/// What signs the requests of a slot.
pub(super) struct Signer {
    asked: Sigv4,
    key: Secret,
    session: Option<Secret>,
    clock: Arc<dyn Clock>,
}

/// What is signed of a request.
struct Signable<'r> {
    method: &'r str,
    /// The path as it stands in the request line.
    path: &'r str,
    /// The query as it stands there.
    query: &'r str,
    /// Header fields, by name in lower case, in order.
    fields: Vec<(&'r str, &'r str)>,
    body: &'r [u8],
}

impl Signer {
    pub(super) fn new(asked: &Sigv4, key: &Secret, session: Option<&Secret>, clock: Arc<dyn Clock>) -> Self {
        Self { asked: asked.clone(), key: key.clone(), session: session.cloned(), clock }
    }

    /// Adds the fields of a signature to a request.
    pub(super) fn sign(&self, request: &mut Request) -> Result<(), Fault> {
        let cannot =
            |reason: &str| Fault::new(FaultKind::InvalidSetting, format!("a request cannot be signed: {reason}"));
        let time = jiff::Timestamp::from_millisecond(i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX));
        let time = time.map_err(|_| cannot("the clock is wrong"))?.strftime("%Y%m%dT%H%M%SZ").to_string();
        let url = request.url().clone();
        let host = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
        let payload = hex(digest::digest(&digest::SHA256, &body).as_ref());
        let mut add = |name: &'static str, value: &str| {
            let value = sensitive(&[value]).map_err(|reason| cannot(&reason))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
            Ok::<(), Fault>(())
        };
        add("x-amz-date", &time)?;
        add("x-amz-content-sha256", &payload)?;
        if let Some(session) = &self.session {
            add("x-amz-security-token", session.expose())?;
        }
        let mut fields = vec![("host", host.as_str())];
        for (name, value) in request.headers() {
            if name == "content-type" || name.as_str().starts_with("x-amz-") {
                fields.push((name.as_str(), value.to_str().map_err(|_| cannot("a field is no ASCII"))?));
            }
        }
        fields.sort_unstable();
        let signable = Signable {
            method: request.method().as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            fields,
            body: &body,
        };
        let value = sensitive(&[&self.authorization(&signable, &time)]).map_err(|reason| cannot(&reason))?;
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The value of `Authorization`.
    fn authorization(&self, request: &Signable<'_>, time: &str) -> String {
        let Sigv4 { region, service, access_key_id, .. } = &self.asked;
        let date = &time[..8];
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let (canonical, names) = canonical(request, service == "s3");
        let canonical = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        let first = joined(&["AWS4", self.key.expose()]);
        let steps = [date, region, service, "aws4_request", &text];
        let signature = steps.into_iter().fold(first.as_bytes().to_vec(), |key, step| {
            let key = Zeroizing::new(key);
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec()
        });
        let signature = hex(&signature);
        format!("AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }
}

/// The canonical request, and the names of the fields in it. Services but S3 want the path encoded once more than it is.
fn canonical(request: &Signable<'_>, path_as_it_is: bool) -> (String, String) {
    let mut path = String::new();
    if path_as_it_is {
        path.push_str(request.path);
    } else {
        request.path.split('/').enumerate().for_each(|(index, segment)| {
            if index > 0 {
                path.push('/');
            }
            encode(segment.as_bytes(), &mut path);
        });
    }
    let mut parameters: Vec<String> =
        request.query.split('&').filter(|parameter| !parameter.is_empty()).map(parameter).collect();
    parameters.sort_unstable();
    let mut fields = String::new();
    for (name, value) in &request.fields {
        let value = value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        // Writing into a string does not fail.
        let _ = writeln!(fields, "{name}:{value}");
    }
    let names = request.fields.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let payload = hex(digest::digest(&digest::SHA256, request.body).as_ref());
    let query = parameters.join("&");
    (format!("{}\n{path}\n{query}\n{fields}\n{names}\n{payload}", request.method), names)
}

/// A query parameter with everything encoded that is not unreserved, however it was written.
fn parameter(text: &str) -> String {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let mut canonical = String::new();
    encode(&percent_decoded(key), &mut canonical);
    canonical.push('=');
    encode(&percent_decoded(value), &mut canonical);
    canonical
}

fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

/// Percent-encodes all but the unreserved characters of RFC 3986, section 2.3.
fn encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Clock for Fixed {
        fn now_ms(&self) -> u64 {
            1_440_938_160_000
        }
    }

    fn signer(service: &str, session: Option<&str>) -> Signer {
        let source = raito_core::grant::SecretSource::Env("AWS".into());
        let asked = Sigv4 {
            region: "us-east-1".into(),
            service: service.into(),
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: source,
            session_token: None,
        };
        let secret = |text: &str| Secret::new(text.to_owned()).expect("a secret");
        let key = secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        Signer::new(&asked, &key, session.map(secret).as_ref(), Arc::new(Fixed))
    }

    const SESSION: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    /// Method, path, query, fields beside host and date, body, signature.
    type Case =
        (&'static str, &'static str, &'static str, &'static [(&'static str, &'static str)], &'static str, &'static str);

    /// The requests and signatures of AWS's "Signature Version 4 test suite" (aws-sig-v4-test-suite, 2015), but for those
    /// about paths that the host does not build. Each is method, path, query, fields beside host and date, body, signature.
    const SUITE: [Case; 20] = [
        ("GET", "/", "", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            "/",
            "",
            &[("my-header1", "value2,value2,value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "GET",
            "/",
            "",
            &[("my-header1", "value4,value1,value3,value2")],
            "",
            "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        ),
        (
            "GET",
            "/",
            "",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "GET",
            "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            "",
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        ("GET", "/ሴ", "", &[], "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        ("GET", "/", "Param1=value1", &[], "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        (
            "GET",
            "/",
            "Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/",
            "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            &[],
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        ("GET", "/", "ሴ=bar", &[], "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        ("GET", "/", "%E1%88%B4=bar", &[], "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        ("POST", "/", "", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "POST",
            "/",
            "",
            &[("my-header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "POST",
            "/",
            "",
            &[("my-header1", "VALUE1")],
            "",
            "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        ),
        ("POST", "/", "Param1=value1", &[], "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
        (
            "POST",
            "/",
            "%40%23%24%25%5E=&%2B=%2F%2C%3F%3E%3C%60%22%3B%3A%5C%7C%5D%5B%7B%7D",
            &[],
            "",
            "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e",
        ),
        ("POST", "/", "p=", &[], "", "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"),
        (
            "POST",
            "/",
            "",
            &[("content-type", "application/x-www-form-urlencoded")],
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "POST",
            "/",
            "",
            &[("content-type", "application/x-www-form-urlencoded; charset=utf8")],
            "Param1=value1",
            "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
        ),
        (
            "POST",
            "/",
            "",
            &[("x-amz-security-token", SESSION)],
            "",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
    ];

    #[test]
    fn signatures_are_those_of_the_suite_of_aws() {
        for (method, path, query, more, body, signature) in SUITE {
            let mut fields = vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
            fields.extend_from_slice(more);
            fields.sort_unstable();
            let request = Signable { method, path, query, fields, body: body.as_bytes() };
            let value = signer("service", None).authorization(&request, "20150830T123600Z");
            assert!(value.ends_with(&format!("Signature={signature}")), "{method} {path}?{query} {more:?}: {value}");
            let begin =
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=";
            assert!(value.starts_with(begin), "{value}");
        }
    }

    #[test]
    fn a_path_is_encoded_once_more_but_for_s3() {
        let request = |path| Signable { method: "GET", path, query: "", fields: vec![], body: b"" };
        let path = |service_is_s3| canonical(&request("/a%20b/c:d"), service_is_s3).0.lines().nth(1).map(str::to_owned);
        assert_eq!(path(false).as_deref(), Some("/a%2520b/c%3Ad"));
        assert_eq!(path(true).as_deref(), Some("/a%20b/c:d"));
    }

    #[test]
    fn a_request_carries_date_digest_and_session_and_signs_them() {
        let url = "https://abc.execute-api.us-east-1.amazonaws.com:8443/v1/x?b=2&a=1".parse().expect("a URL");
        let mut request = Request::new(reqwest::Method::POST, url);
        *request.body_mut() = Some("{}".into());
        signer("execute-api", Some(SESSION)).sign(&mut request).expect("signed");
        let field = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(field("x-amz-date"), "20150830T123600Z");
        assert_eq!(field("x-amz-security-token"), SESSION);
        assert_eq!(field("x-amz-content-sha256"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
        let signed = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, ";
        assert!(field("authorization").contains(signed), "{}", field("authorization"));
    }
}
