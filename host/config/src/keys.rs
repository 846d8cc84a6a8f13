//! What a file may hold, as one table of keys.

/// What a key's value is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
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
}

/// A key of a mapping.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    pub(crate) help: &'static str,
}

const fn key(name: &'static str, shape: Shape, help: &'static str) -> Key {
    Key { name, shape, required: false, help }
}

const fn required(name: &'static str, shape: Shape, help: &'static str) -> Key {
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

pub(crate) const THRESHOLDS: &[Key] = &[
    key("remove-percent", Shape::Integer(0, 100), "the share above which removing stops; 20 unless said otherwise"),
    key("remove-count", Shape::Integer(0, i64::MAX), "how many may always be removed; 50 unless said otherwise"),
];

pub(crate) const HTTP_GRANT: &[Key] = &[
    required("origin", Shape::Text, "where the slot leads, such as https://example.okta.com"),
    key("addresses", Shape::Texts, "the only addresses that the name may lead to; needed for private ones"),
    key("plain-http", Shape::Boolean, "whether the origin may be without encryption"),
    key("write", Shape::Boolean, "whether step 4 may change the target"),
    key("raw", Shape::Texts, "entries that may take free JSON"),
    key("methods", Shape::Texts, "read entries that may use a method which can change the target"),
    key("rate", Shape::Integer(1, 10_000), "requests a second; 100 unless said otherwise"),
    key("ca", Shape::Text, "a file with certificates to trust instead of the system's"),
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
    key("tls", Shape::Word(TLS), "how the connection is protected; verify-full unless said otherwise"),
    key("ca", Shape::Text, "a file with certificates to trust instead of the system's"),
    key("write", Shape::FlagOr(SQL_WRITE), "the login that changes the target in step 4"),
    key("raw", Shape::Texts, "statements that may take free SQL"),
    key("calls", Shape::Texts, "functions beyond the host's list that may be called"),
    key("relations", Shape::Texts, "relations outside the catalogues that may be read"),
    key("login-may", Shape::Words(LOGIN_POWERS), "what the reading login may be able to do besides"),
];

pub(crate) const SQL_WRITE: &[Key] =
    &[required("user", Shape::Text, "the login"), key("password", Shape::Secret, "its password")];

pub(crate) const SECRET: &[Key] = &[
    key("env", Shape::Text, "an environment variable"),
    key("file", Shape::Text, "a file that only its owner may read"),
    key("command", Shape::Texts, "a program and its arguments; what it prints is the secret"),
];

pub(crate) const CEILING: &[Key] = &[
    key("origins", Shape::Texts, "the only origins that may be granted"),
    key("databases", Shape::Texts, "the only databases, as host:port/database or host:port/*"),
    key("write", Shape::Boolean, "false: nothing may be changed"),
    key("raw", Shape::Boolean, "false: nothing may be granted that is shown in red"),
    key("connectors", Shape::Texts, "the only connectors, by the sha256 of their files"),
];
