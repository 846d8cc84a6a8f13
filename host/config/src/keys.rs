//! What a file may hold, as one table of keys.

/// What a key's value is.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A text.
    Text,
    /// True or false.
    Boolean,
    /// A whole number in this range.
    Integer(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// A mapping with these keys.
    Map(&'static [Key]),
    /// A list of mappings with these keys.
    Maps(&'static [Key]),
    /// A mapping of names to texts, numbers, flags or lists of texts.
    Settings,
    /// A mapping of slots to grants.
    Grants,
    /// Where a secret comes from.
    Secret,
    /// The word `embedded`, or a mapping with these keys.
    EmbeddedOr(&'static [Key]),
    /// True, false, or a mapping with these keys.
    FlagOr(&'static [Key]),
    /// A text, or a mapping with these keys.
    TextOr(&'static [Key]),
    /// A text, or a list of texts.
    TextOrTexts,
    /// A mapping of names to texts.
    TextMap,
}

/// A key of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub shape: Shape,
    /// Whether the mapping must have it.
    pub required: bool,
    /// What it is for, in one line.
    pub help: &'static str,
}

/// A key that may be left out.
pub const fn key(name: &'static str, shape: Shape, help: &'static str) -> Key {
    Key { name, shape, required: false, help }
}

/// A key that must be there.
pub const fn required(name: &'static str, shape: Shape, help: &'static str) -> Key {
    Key { name, shape, required: true, help }
}

pub(crate) const CONFIGURATION: &[Key] = &[
    key("cloud", Shape::EmbeddedOr(CLOUD), "the control plane: embedded, or where it is"),
    required("targets", Shape::Maps(TARGET), "the data sources and identity stores to synchronise"),
];

pub(crate) const CLOUD: &[Key] = &[
    required("url", Shape::Text, "where the cloud is, such as https://raito.example.org"),
    required("token", Shape::Secret, "the token that the cloud knows, with the scope sync"),
    key("ca", Shape::Text, "a file with certificates to trust instead of the system's"),
];

pub(crate) const TARGET: &[Key] = &[
    required("name", Shape::Text, "the target's name; the cloud knows it by this"),
    required("connector", Shape::Map(CONNECTOR), "the connector that reads it"),
    key("settings", Shape::Settings, "what the connector's manifest lets you set"),
    key("grants", Shape::Grants, "what the connector may reach, slot by slot"),
    key("steps", Shape::Map(STEPS), "steps to leave out"),
    key("drift", Shape::Word(DRIFT), "what happens to changes that were made at the target by hand"),
    key("break-glass", Shape::Texts, "users and access controls, by name at the target, that step 4 never touches"),
    key("send", Shape::Map(SEND), "what may leave for the cloud"),
    key("audit", Shape::Map(AUDIT), "what stands in the audit log"),
    key("thresholds", Shape::Map(THRESHOLDS), "when a run stops instead of removing much"),
];

pub(crate) const CONNECTOR: &[Key] = &[
    required("file", Shape::Text, "the .wasm file, from where this file is"),
    key("sha256", Shape::Text, "what its digest must be"),
];

pub(crate) const STEPS: &[Key] = &[
    key("identity-store", Shape::Boolean, "step 1: users, groups, memberships"),
    key("data-source", Shape::Boolean, "step 2: objects"),
    key("access-from-target", Shape::Boolean, "step 3: access controls that exist"),
    key("access-to-target", Shape::Boolean, "step 4: access controls that the cloud manages"),
    key("data-usage", Shape::Boolean, "step 5: who used what"),
];

pub(crate) const DRIFT: &[&str] = &["report", "revert"];
pub(crate) const HANDLING: &[&str] = &["keep", "hash", "drop"];

pub(crate) const SEND: &[Key] = &[
    key("email", Shape::Word(HANDLING), "addresses of users"),
    key("display-name", Shape::Word(HANDLING), "names of people"),
    key("query-text", Shape::Word(HANDLING), "texts of statements; dropped unless said otherwise"),
];

pub(crate) const RECORDED: &[&str] = &["keep", "hash"];

pub(crate) const AUDIT: &[Key] = &[key(
    "members",
    Shape::Word(RECORDED),
    "names and ids of members in write calls; kept unless said otherwise, or digested with the log's key",
)];

pub(crate) const THRESHOLDS: &[Key] = &[
    key("remove-percent", Shape::Integer(0, 100), "the share above which removing stops; 20 unless said otherwise"),
    key("remove-count", Shape::Integer(0, i64::MAX), "how many may always be removed; 50 unless said otherwise"),
    key(
        "drop-count",
        Shape::Integer(0, i64::MAX),
        "how many access controls access code may delete; 5 unless said otherwise",
    ),
];

pub(crate) const HTTP_GRANT: &[Key] = &[
    required("origin", Shape::Text, "where the slot leads, such as https://example.okta.com"),
    key("addresses", Shape::Texts, "the only addresses that the name may lead to; needed for private ones"),
    key("plain-http", Shape::Boolean, "whether the origin may be without encryption"),
    key("write", Shape::Boolean, "whether step 4 may change the target"),
    key("raw", Shape::Texts, "entries that may take free JSON"),
    key("methods", Shape::Texts, "read entries that may use a method which can change the target"),
    key("rate", Shape::Integer(1, 10_000), "requests a second; 100 unless said otherwise"),
    key("timeout", Shape::Integer(1, 120), "seconds that one exchange may take; 120 unless said otherwise"),
    key("ca", Shape::Text, "a file with certificates to trust instead of the system's"),
    key("client-certificate", Shape::Map(CLIENT_CERTIFICATE), "the certificate that the host shows"),
    key("proxy", Shape::Map(PROXY), "the proxy that connections go through; the environment's is never used"),
];

pub(crate) const CLIENT_CERTIFICATE: &[Key] = &[
    required("certificate", Shape::Text, "a file with the certificate, and those between it and its authority, as PEM"),
    required("key", Shape::Secret, "its private key, as PEM"),
];

pub(crate) const PROXY: &[Key] = &[
    required("url", Shape::Text, "where it is, such as http://proxy.internal:3128; it tunnels with CONNECT"),
    key("addresses", Shape::Texts, "the only addresses that its name may lead to; needed for private ones"),
    key("credentials", Shape::Secret, "user:password, where it asks for them"),
];

/// What may stand for a secret that the host gets or makes, by the scheme that the manifest asks for.
pub(crate) const SCHEMES: &[Key] = &[
    key("oauth2-client-credentials", Shape::Map(CLIENT_CREDENTIALS), "a token by the credentials of a client"),
    key("jwt-bearer", Shape::Map(JWT_BEARER), "a token for a signed statement (RFC 7523)"),
    key("jwt-key-pair", Shape::Map(JWT_KEY_PAIR), "a signed statement as the token itself, as Snowflake reads it"),
    key("sigv4", Shape::Map(SIGV4), "signatures of AWS, version 4"),
];

const TOKEN_URL: Key =
    required("token-url", Shape::Text, "where tokens are fetched, such as https://login.example.com/token");
const TOKEN_ADDRESSES: Key =
    key("addresses", Shape::Texts, "the only addresses that the token URL may lead to; needed for private ones");
const TOKEN_CA: Key = key("ca", Shape::Text, "a file with certificates to trust there instead of the system's");
const PRIVATE_KEY: Key = required("private-key", Shape::Secret, "the key that signs, as PEM: RSA or P-256");
const KEY_ID: Key = key("key-id", Shape::Text, "the name by which the other side knows the key");
const SCOPE: Key = key("scope", Shape::Text, "what is asked for");

pub(crate) const PROOF: &[&str] = &["basic", "post"];

pub(crate) const CLIENT_CREDENTIALS: &[Key] = &[
    TOKEN_URL,
    TOKEN_ADDRESSES,
    TOKEN_CA,
    required("client-id", Shape::Text, "the client's id"),
    key("client-secret", Shape::Secret, "its secret; or a private-key"),
    key("client-auth", Shape::Word(PROOF), "how the secret is sent; basic unless said otherwise"),
    key("private-key", Shape::Secret, "the key that proves who it is, as PEM: RSA or P-256; or a client-secret"),
    KEY_ID,
    SCOPE,
    key("audience", Shape::Text, "the parameter audience, where the server wants one"),
    key("resource", Shape::Text, "the parameter resource (RFC 8707)"),
];

pub(crate) const JWT_BEARER: &[Key] = &[
    TOKEN_URL,
    TOKEN_ADDRESSES,
    TOKEN_CA,
    required("issuer", Shape::Text, "who states it"),
    key("subject", Shape::Text, "about whom; the issuer unless said otherwise"),
    key("audience", Shape::Text, "for whom; the token URL unless said otherwise"),
    SCOPE,
    PRIVATE_KEY,
    KEY_ID,
];

pub(crate) const JWT_KEY_PAIR: &[Key] = &[
    required("account", Shape::Text, "the account's identifier, such as myorg-account123"),
    required("user", Shape::Text, "the user"),
    PRIVATE_KEY,
];

pub(crate) const SIGV4: &[Key] = &[
    required("region", Shape::Text, "the region, such as eu-central-1"),
    required("service", Shape::Text, "the service, such as execute-api"),
    required("access-key-id", Shape::Text, "the id of the access key"),
    required("secret-access-key", Shape::Secret, "the access key"),
    key("session-token", Shape::Secret, "the token of the session that the access key belongs to"),
];

pub(crate) const TLS: &[&str] = &["verify-full", "verify-ca", "off"];
pub(crate) const LOGIN_POWERS: &[&str] = &["superuser", "write-server-files", "execute-server-program"];

pub(crate) const SQL_GRANT: &[Key] = &[
    required(
        "url",
        Shape::Text,
        "the server and the login that reads, such as postgresql://raito_read@db.internal:5432/",
    ),
    required("databases", Shape::Texts, "the databases that may be read"),
    key("password", Shape::Secret, "the password of that login"),
    key("addresses", Shape::Texts, "the only addresses that the server's name may lead to; needed for private ones"),
    key("tls", Shape::Word(TLS), "how the connection is protected; verify-full unless said otherwise"),
    key("ca", Shape::Text, "a file with certificates to trust instead of the system's"),
    key("client-certificate", Shape::Map(CLIENT_CERTIFICATE), "the certificate that the host shows"),
    key("write", Shape::FlagOr(SQL_WRITE), "the login that changes the target in step 4"),
    key("calls", Shape::Texts, "functions beyond the host's list that may be called"),
    key("relations", Shape::Texts, "relations of which columns beyond the host's list may be read"),
    key("login-may", Shape::Words(LOGIN_POWERS), "powers that the login may have although reading needs none of them"),
];

pub(crate) const SQL_WRITE: &[Key] = &[
    required("user", Shape::Text, "the login"),
    key("password", Shape::Secret, "its password"),
    key("login-may", Shape::Words(LOGIN_POWERS), "powers that the login may have although no change needs them"),
];

pub(crate) const SECRET: &[Key] = &[
    key("env", Shape::Text, "an environment variable"),
    key("file", Shape::Text, "a file that only its owner may read"),
    key("command", Shape::Texts, "a program and its arguments; what it prints is the secret"),
    key("keyring", Shape::Map(KEYRING), "the keyring of the user who runs raito (Secret Service)"),
];

pub(crate) const KEYRING: &[Key] =
    &[required("service", Shape::Text, "the service"), required("account", Shape::Text, "the account there")];

pub(crate) const CEILING: &[Key] = &[
    key("origins", Shape::Texts, "the only origins that may be granted"),
    key("databases", Shape::Texts, "the only databases, as host:port/database or host:port/*"),
    key("write", Shape::Boolean, "false: nothing may be changed"),
    key("raw", Shape::Boolean, "false: nothing may be granted that is shown in red"),
    key("connectors", Shape::Texts, "the only connectors, by the sha256 of their files"),
];
