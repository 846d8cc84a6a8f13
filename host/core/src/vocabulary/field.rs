//! Header fields and query parameters that a manifest may declare.
//!
//! None may carry credentials, steer the connection, claim where a request comes from, or make
//! another request of it than the one that the manifest shows. Nor may one select a part or a form
//! of the answer: a secret that a target echoes is recognised in the whole of an answer and in the
//! forms that are searched for, so a connector that could ask for bytes 3 to 5, or for another
//! encoding, would get it all the same. The lists are made from IANA's registry of HTTP field names
//! and from what services and frameworks use beside it.

use super::template::TemplateError;

/// Fields that carry credentials, steer the connection, or claim where a request comes from. The
/// host sets those that are needed.
const OF_THE_HOST: [&str; 46] = [
    "alpn",
    "alt-used",
    "authorization",
    "cdn-loop",
    "cf-connecting-ip",
    "client-cert",
    "client-cert-chain",
    "client-ip",
    "close",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "dpop",
    "early-data",
    "expect",
    "fastly-client-ip",
    "forwarded",
    "from",
    "front-end-https",
    "hobareg",
    "host",
    "http2-settings",
    "keep-alive",
    "max-forwards",
    "metadata",
    "metadata-flavor",
    "origin",
    "referer",
    "remote-addr",
    "remote-user",
    "signature",
    "signature-input",
    "te",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "www-authenticate",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-real-ip",
    "x-remote-user",
];

/// Beginnings of the names of such fields.
const OF_THE_HOST_PREFIXES: [&str; 9] = [
    "x-forwarded-",
    "x-original-",
    "x-aws-ec2-metadata-",
    "x-google-metadata-",
    "x-client-cert",
    "x-ssl-",
    "ssl-",
    "proxy-",
    "sec-",
];

/// Words by which a header field tells that it carries credentials. A manifest that could set one
/// would reach another tenant of the same service with credentials of its own; what a service needs
/// is a secret slot. The last two are what the host itself signs with.
const CREDENTIAL_WORDS: [&str; 10] = [
    "auth",
    "token",
    "secret",
    "password",
    "credential",
    "cookie",
    "api-key",
    "apikey",
    "x-amz-date",
    "x-amz-content-",
];

/// Fields that make another request of one: another method, path or extension of the protocol (RFC
/// 2774 for the last ones).
const REWRITING: [&str; 12] =
    ["c-ext", "c-man", "c-opt", "c-pep", "ext", "man", "opt", "pep", "x-http-method", "x-method", "x-url", "x-path"];

/// Words of such fields.
const REWRITING_WORDS: [&str; 3] = ["override", "rewrite", "method"];

/// Fields that select a part or a form of the answer: instance manipulations and delta encoding
/// (RFC 3229), preferences (RFC 7240), negotiation (RFC 2295), depth and labels (RFC 4918, RFC
/// 3253), dictionaries (RFC 9842), client hints (RFC 8942), and surrogates.
const SELECTING: [&str; 27] = [
    "a-im",
    "alternates",
    "available-dictionary",
    "delta-base",
    "depth",
    "device-memory",
    "downlink",
    "dpr",
    "ect",
    "getprofile",
    "im",
    "label",
    "memento-datetime",
    "ordering-type",
    "prefer",
    "preference-applied",
    "profileobject",
    "protocol-query",
    "protocol-request",
    "rtt",
    "save-data",
    "setprofile",
    "surrogate-capability",
    "tcn",
    "variant-vary",
    "viewport-width",
    "width",
];

/// Words of such fields, also of those that services call so with a name of their own, such as
/// `X-Ms-Range`.
const SELECTING_WORDS: [&str; 12] = [
    "charset",
    "compress",
    "compression",
    "dictionary",
    "encoding",
    "negotiate",
    "offset",
    "partial",
    "prefer",
    "range",
    "ranges",
    "want",
];

/// Fields that select a form as well, and that services cannot do without: their value stands in
/// the manifest, for everybody to see.
const FIXED: [&str; 5] = ["accept", "accept-language", "accept-profile", "accept-version", "content-type"];

/// Parts of such a value that would still choose a form in which secrets are not recognised.
const FIXED_NEVER: [&str; 5] = ["charset", "encoding", "multipart/", "octet-stream", "base64"];

/// Names of query parameters that carry credentials (RFC 6750, section 2.3, and what services use
/// beside it).
const CREDENTIAL_PARAMETERS: [&str; 8] = [
    "access_token",
    "api_key",
    "apikey",
    "authorization",
    "client_secret",
    "password",
    "x-amz-security-token",
    "x-amz-signature",
];

/// Names of query parameters by which frameworks take another method than that of the request.
const METHOD_PARAMETERS: [&str; 5] =
    ["_method", "$method", "x-http-method", "x-http-method-override", "x-method-override"];

/// The reasons why a field of some name cannot be declared.
enum Wrong {
    /// It is the host's.
    Host,
    /// It makes another request of it.
    Rewrites,
    /// It selects a part or a form of the answer.
    Selects,
}

/// The name as servers compare it: many take an underscore for a dash (RFC 3875, section 4.1.18).
fn compared(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// The reason against a name, whoever would send it; not whether it carries credentials.
fn wrong(name: &str) -> Option<Wrong> {
    let has = |words: &[&str]| name.split('-').any(|word| words.contains(&word));
    if OF_THE_HOST.contains(&name) || OF_THE_HOST_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Wrong::Host);
    }
    if REWRITING.contains(&name) || has(&REWRITING_WORDS) {
        return Some(Wrong::Rewrites);
    }
    let selects = SELECTING.contains(&name) || has(&SELECTING_WORDS);
    (selects || (has(&["accept"]) && !FIXED.contains(&name))).then_some(Wrong::Selects)
}

/// Says whether the scheme `header` may put a secret into this field: not where it would do more
/// than prove who asks.
pub(crate) fn may_carry_secret(name: &str) -> bool {
    let name = compared(name);
    ["authorization", "cookie"].contains(&name.as_str()) || (wrong(&name).is_none() && !FIXED.contains(&name.as_str()))
}

/// Checks the name of a field that a route declares.
///
/// # Errors
/// Why it cannot be declared.
pub(super) fn check_name(name: &str) -> Result<(), TemplateError> {
    let name = compared(name);
    let reason = match wrong(&name) {
        Some(Wrong::Host) => "is set by the host or not at all",
        Some(Wrong::Rewrites) => "makes another request of it: write the method and the path in `request`",
        Some(Wrong::Selects) => {
            "selects a part or a form of the answer, in which an echoed secret would not be recognised: ask for the whole, \
             and page with parameters of the target"
        }
        None if CREDENTIAL_WORDS.iter().any(|word| name.contains(word)) => "is set by the host or not at all",
        None => return Ok(()),
    };
    Err(TemplateError::new(format!("the header {name} {reason}")))
}

/// Checks the value of a field that a route declares, where its name decides about it.
///
/// # Errors
/// Why it cannot be declared.
pub(super) fn check_value(name: &str, value: &str, is_free: bool) -> Result<(), TemplateError> {
    let name = compared(name);
    if !FIXED.contains(&name.as_str()) {
        return Ok(());
    }
    if is_free {
        return Err(TemplateError::new(format!("the header {name} has no placeholder: write its value out")));
    }
    let value = value.to_ascii_lowercase();
    match FIXED_NEVER.iter().find(|part| value.contains(*part)) {
        Some(part) => {
            let message = format!(
                "the header {name} chooses a form with {part}, in which an echoed secret would not be recognised"
            );
            Err(TemplateError::new(message))
        }
        None => Ok(()),
    }
}

/// Checks the name of a query parameter.
///
/// # Errors
/// Why it cannot be declared.
pub(super) fn check_parameter(name: &str) -> Result<(), TemplateError> {
    let lower = name.to_ascii_lowercase();
    let wrong = |reason: &str| Err(TemplateError::new(format!("the query parameter {name} {reason}")));
    if CREDENTIAL_PARAMETERS.contains(&lower.as_str()) {
        return wrong("carries credentials: ask for a secret instead");
    }
    if METHOD_PARAMETERS.contains(&lower.as_str()) {
        return wrong("makes another request of it: write the method in `request`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of requests in IANA's registry that no manifest may declare, and some that services
    /// use.
    const NEVER: &str = "A-IM Accept-Additions Accept-Charset Accept-Datetime Accept-Encoding Accept-Features Accept-Post \
        Accept-Ranges Accept-Signature ALPN Alt-Used Authorization Available-Dictionary C-Ext C-Man C-Opt C-PEP CDN-Loop \
        Client-Cert Client-Cert-Chain Connection Content-Encoding Content-Length Content-Range Content-Transfer-Encoding Cookie \
        Cookie2 Delta-Base Depth Dictionary-ID DPoP Early-Data Expect Ext Forwarded From GetProfile Hobareg Host HTTP2-Settings \
        If-Range IM Keep-Alive Label Lock-Token Man Max-Forwards Negotiate Opt Origin PEP Prefer Preference-Applied \
        ProfileObject Proxy-Authorization Proxy-Connection Range Referer Sec-Fetch-Mode Sec-GPC Sec-WebSocket-Key Signature \
        Signature-Input Surrogate-Capability TCN TE Trailer Transfer-Encoding Upgrade User-Agent Variant-Vary Via \
        Want-Content-Digest Want-Digest Want-Repr-Digest Want-Unencoded-Digest X-Ms-Range X-Http-Method-Override X-HTTP-Method \
        X-Method-Override X-Original-URL X-Rewrite-URL X-Forwarded-Host X-Client-Ip True-Client-IP Remote-User x_forwarded_for \
        If_Range X_HTTP_Method_Override X-Accept-Encoding X-Range Upload-Offset";

    #[test]
    fn fields_that_select_steer_or_prove_cannot_be_declared() {
        for name in NEVER.split_whitespace() {
            assert!(check_name(&name.to_ascii_lowercase()).is_err(), "{name}");
            let is_own = ["Authorization", "Cookie", "Lock-Token"].contains(&name);
            assert_eq!(may_carry_secret(&name.to_ascii_lowercase()), is_own, "{name}");
        }
    }

    #[test]
    fn fields_that_services_need_can_be_declared() {
        for name in [
            "if-match",
            "if-none-match",
            "if-unmodified-since",
            "x-trace",
            "idempotency-key",
            "consistencylevel",
            "odata-maxversion",
            "x-github-api-version",
            "x-snowflake-role",
            "soapaction",
            "cache-control",
        ] {
            assert!(check_name(name).is_ok() && check_value(name, "{x:text}", true).is_ok(), "{name}");
        }
        for (name, value) in [
            ("accept", "application/vnd.github+json"),
            ("accept", "application/scim+json;q=0.9, application/json"),
            ("content-type", "application/merge-patch+json"),
            ("accept-language", "en"),
        ] {
            assert!(check_name(name).is_ok() && check_value(name, value, false).is_ok(), "{name}");
            assert!(check_value(name, value, true).is_err(), "{name} with a value of the connector's choice");
        }
        for value in
            ["text/plain; charset=utf-16", "application/octet-stream", "multipart/mixed", "text/plain;encoding=x"]
        {
            assert!(check_value("accept", value, false).is_err(), "{value}");
        }
    }

    #[test]
    fn a_query_names_no_other_method() {
        for name in ["_method", "X-HTTP-Method-Override", "$METHOD", "access_token"] {
            assert!(check_parameter(name).is_err(), "{name}");
        }
        assert!(check_parameter("offset").is_ok() && check_parameter("$filter").is_ok());
    }
}
