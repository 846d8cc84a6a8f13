//! Grants: what a target's configuration allows its connector to reach, and with which credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use url::{Host, Url};

use crate::address::AddressRange;
use crate::credential::Credential;
use crate::digest::Digest;
use crate::manifest::{SettingValue, SlotName};
use crate::step::Step;
use crate::text::{Ident, Name, TargetName};
use crate::threshold::Thresholds;

/// Where a secret comes from. The secret itself never stands in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file that only its owner may read.
    File(String),
    /// A program and its arguments; what it prints is the secret.
    Command(Vec<String>),
    /// The keyring of the user who runs raito.
    Keyring {
        /// The service.
        service: String,
        /// The account there.
        account: String,
    },
}

impl fmt::Display for SecretSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(out, "env {}", crate::text::escape(name)),
            Self::File(path) => write!(out, "file {}", crate::text::escape(path)),
            Self::Command(words) => {
                write!(out, "command {}", crate::text::escape(words.first().map_or("", String::as_str)))
            }
            Self::Keyring { service, account } => {
                write!(out, "keyring {} of {}", crate::text::escape(account), crate::text::escape(service))
            }
        }
    }
}

/// An origin, with a path below which everything of it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The host.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
    /// A path such as `/scim/v2`, without a slash at the end; usually empty.
    pub prefix: String,
}

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is no origin: {0}")]
pub struct NotAnOrigin(&'static str);

impl Origin {
    /// Reads an origin such as `https://example.okta.com`.
    ///
    /// # Errors
    /// `NotAnOrigin` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        let url = Url::parse(text).map_err(|_| NotAnOrigin("write it as https://host or https://host:port"))?;
        let tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(NotAnOrigin("it begins with https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAnOrigin("credentials do not stand in a URL: grant a secret"));
        }
        if url.query().is_some() || url.fragment().is_some() || text.contains(['\\', '%']) {
            return Err(NotAnOrigin("it has no query, no fragment, no backslash and no encoded character"));
        }
        let host = url.host().map(|host| host.to_owned()).ok_or(NotAnOrigin("it has no host"))?;
        let port = url.port_or_known_default().ok_or(NotAnOrigin("it has no port"))?;
        let prefix = url.path().trim_end_matches('/').to_owned();
        Ok(Self { tls, host, port, prefix })
    }
}

impl Origin {
    /// Whether it is this machine, by name or by address, and so nothing of it leaves the machine.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }

    /// The origin alone, without the path below it.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { prefix: String::new(), ..self.clone() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        write!(out, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(out, ":{}", self.port)?;
        }
        out.write_str(&self.prefix)
    }
}

/// What a target grants on an HTTP slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    /// Where the slot leads.
    pub origin: Origin,
    /// The only addresses that the origin's name may lead to; empty for any that is not special.
    pub addresses: Vec<AddressRange>,
    /// Whether the origin may be one without encryption.
    pub plain_http: bool,
    /// The secrets, by slot.
    pub secrets: BTreeMap<Ident, Credential>,
    /// Whether write routes may be used.
    pub write: bool,
    /// Routes that may take free JSON.
    pub raw: BTreeSet<Ident>,
    /// Read routes that may use a method which can change the target.
    pub methods: BTreeSet<Ident>,
    /// Requests a second.
    pub rate: Option<u32>,
    /// Seconds that one exchange may take.
    pub timeout: Option<u32>,
    /// A file with certificates of authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// A certificate that the host shows.
    pub client_certificate: Option<ClientCertificate>,
    /// What connections go through.
    pub proxy: Option<Proxy>,
}

/// A certificate by which a server knows the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// A file with the certificate and those between it and its authority, in PEM form.
    pub certificate: String,
    /// Its private key, in PEM form.
    pub key: SecretSource,
}

/// A proxy that tunnels connections (RFC 9110, section 9.3.6). It resolves the origin's name, so the address policy is
/// about the proxy's own addresses, and where the tunnel ends is up to the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: Origin,
    /// The only addresses that its name may lead to; empty for any that is not special.
    pub addresses: Vec<AddressRange>,
    /// `user:password`, where it asks for them (RFC 7617).
    pub credentials: Option<SecretSource>,
}

/// How the connection to a database is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Encrypted, with the certificate checked against the host's name.
    VerifyFull,
    /// Encrypted, with the certificate's authority checked.
    VerifyCa,
    /// Not encrypted.
    Off,
}

impl Tls {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::VerifyFull => "verify-full",
            Self::VerifyCa => "verify-ca",
            Self::Off => "off",
        }
    }
}

/// A power with which a login could leave the database, although no statement asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoginPower {
    /// It is a superuser.
    Superuser,
    /// It may write files of the server.
    WriteServerFiles,
    /// It may run programs on the server.
    ExecuteServerProgram,
}

impl LoginPower {
    /// All powers that are asked about.
    pub const ALL: [Self; 3] = [Self::Superuser, Self::WriteServerFiles, Self::ExecuteServerProgram];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Superuser => "superuser",
            Self::WriteServerFiles => "write-server-files",
            Self::ExecuteServerProgram => "execute-server-program",
        }
    }
}

/// Where a database server is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SqlServer {
    /// The host's name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for SqlServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(out, "[{}]:{}", self.host, self.port)
        } else {
            write!(out, "{}:{}", self.host, self.port)
        }
    }
}

/// A login of a database server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlLogin {
    /// The user.
    pub user: String,
    /// The password; none where the server needs none.
    pub password: Option<SecretSource>,
    /// Powers that it may have although no statement needs them.
    pub may: BTreeSet<LoginPower>,
}

/// What a target grants on an SQL slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlGrant {
    /// Where the server is.
    pub server: SqlServer,
    /// Who reads.
    pub read: SqlLogin,
    /// Who writes, where anybody may.
    pub write: Option<SqlLogin>,
    /// How the connection is protected.
    pub tls: Tls,
    /// A file with certificates of authorities to trust instead of the system's.
    pub ca: Option<String>,
    /// A certificate that the host shows.
    pub client_certificate: Option<ClientCertificate>,
    /// The only addresses that the server's name may lead to; empty for any that is not special.
    pub addresses: Vec<AddressRange>,
    /// The databases that may be read and changed.
    pub databases: Vec<String>,
    /// Functions beyond the host's list that may be called.
    pub calls: BTreeSet<String>,
    /// Relations of which columns beyond the host's list may be read.
    pub relations: BTreeSet<String>,
}

/// What a target grants on a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    /// On an HTTP slot.
    Http(HttpGrant),
    /// On an SQL slot.
    Sql(SqlGrant),
}

impl Grant {
    /// Whether write entries may be used.
    pub fn write(&self) -> bool {
        match self {
            Self::Http(grant) => grant.write,
            Self::Sql(grant) => grant.write.is_some(),
        }
    }

    /// The places that a call can choose from; empty where there is just one.
    pub fn places(&self) -> Vec<String> {
        match self {
            Self::Http(_) => Vec::new(),
            Self::Sql(grant) => grant.databases.clone(),
        }
    }

    /// Everything that has to be fetched for it from where secrets are, each with its name below the grant.
    pub fn sources(&self) -> Vec<(String, &SecretSource)> {
        match self {
            Self::Http(grant) => {
                let mut sources = Vec::new();
                for (name, credential) in &grant.secrets {
                    sources.extend(credential.sources().into_iter().map(|(part, source)| (part.of(name), source)));
                }
                sources.extend(grant.client_certificate.iter().map(|held| (CLIENT_KEY.to_owned(), &held.key)));
                let proxy = grant.proxy.iter().filter_map(|proxy| proxy.credentials.as_ref());
                sources.extend(proxy.map(|source| (PROXY_CREDENTIALS.to_owned(), source)));
                sources
            }
            Self::Sql(grant) => {
                let mut sources: Vec<_> =
                    grant.read.password.iter().map(|source| ("password".to_owned(), source)).collect();
                let write = grant.write.iter().filter_map(|login| login.password.as_ref());
                sources.extend(write.map(|source| (WRITE_PASSWORD.to_owned(), source)));
                sources.extend(grant.client_certificate.iter().map(|held| (CLIENT_KEY.to_owned(), &held.key)));
                sources
            }
        }
    }

    /// The files with certificates that it names, each with its name below the grant.
    pub fn files(&self) -> Vec<(String, &str)> {
        let (ca, certificate) = match self {
            Self::Http(grant) => (&grant.ca, &grant.client_certificate),
            Self::Sql(grant) => (&grant.ca, &grant.client_certificate),
        };
        let mut files: Vec<(String, &str)> = ca.iter().map(|file| ("ca".to_owned(), file.as_str())).collect();
        files.extend(certificate.iter().map(|held| (CLIENT_CERTIFICATE.to_owned(), held.certificate.as_str())));
        if let Self::Http(grant) = self {
            for (name, credential) in &grant.secrets {
                let file = credential.endpoint().and_then(|endpoint| endpoint.ca.as_deref());
                files.extend(file.map(|file| (format!("{name}.ca"), file)));
            }
        }
        files
    }
}

/// The name of the writing login's password below its grant.
pub const WRITE_PASSWORD: &str = "write.password";
/// The name of a client certificate's file below its grant.
pub const CLIENT_CERTIFICATE: &str = "client-certificate.certificate";
/// The name of a client certificate's key below its grant.
pub const CLIENT_KEY: &str = "client-certificate.key";
/// The name of a proxy's user and password below the grant.
pub const PROXY_CREDENTIALS: &str = "proxy.credentials";

/// Where a connector comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorPin {
    /// The `.wasm` file.
    pub file: String,
    /// What its bytes must be.
    pub sha256: Option<Digest>,
}

/// What happens to changes that were made at the target by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drift {
    /// They are reported and stay.
    #[default]
    Report,
    /// They are reverted.
    Revert,
}

/// What becomes of a sensitive field on its way to the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handling {
    /// It is sent as it is.
    Keep,
    /// A keyed digest of it is sent: equal values stay equal.
    Hash,
    /// It is not sent.
    Drop,
}

impl Handling {
    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Hash => "hash",
            Self::Drop => "drop",
        }
    }
}

/// What may leave for the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// E-mail addresses of users.
    pub email: Handling,
    /// Names of people.
    pub display_name: Handling,
    /// Texts of statements.
    pub query_text: Handling,
}

impl Default for Send {
    /// Everything but the texts of statements, which may hold data.
    fn default() -> Self {
        Self { email: Handling::Keep, display_name: Handling::Keep, query_text: Handling::Drop }
    }
}

/// A target of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its name.
    pub name: TargetName,
    /// Its connector.
    pub connector: ConnectorPin,
    /// Its settings.
    pub settings: BTreeMap<String, SettingValue>,
    /// Its grants.
    pub grants: BTreeMap<SlotName, Grant>,
    /// The steps that run.
    pub steps: BTreeSet<Step>,
    /// What happens to changes that were made by hand.
    pub drift: Drift,
    /// Users and access controls, by their names at the target, that step 4 never touches.
    pub break_glass: BTreeSet<Name>,
    /// What may leave for the cloud.
    pub send: Send,
    /// How members stand in the write calls that are on record: as they are, or as keyed digests.
    pub recorded_members: Handling,
    /// When a run stops instead of removing much.
    pub thresholds: Thresholds,
    /// How many access controls access code may delete at once.
    pub drop_count: u64,
}

/// What no target may exceed, whatever its configuration says: the operator's own file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ceiling {
    /// The only origins; none for any.
    pub origins: Option<BTreeSet<Origin>>,
    /// The only databases, as `host:port/database` or `host:port/*`; none for any.
    pub databases: Option<BTreeSet<String>>,
    /// Whether anything may be written.
    pub no_write: bool,
    /// Whether anything red may be granted.
    pub no_raw: bool,
    /// The only connectors; none for any.
    pub connectors: Option<BTreeSet<Digest>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Origin::parse(text).map(|origin| origin.to_string());
        assert_eq!(origin("https://Example.ORG/"), Ok("https://example.org".into()));
        assert_eq!(origin("http://127.0.0.1:7411"), Ok("http://127.0.0.1:7411".into()));
        assert_eq!(origin("https://[::1]:8443/scim/v2/"), Ok("https://[::1]:8443/scim/v2".into()));
        // Numbers that mean an address are read as one, once, so that every later look sees the address.
        assert_eq!(origin("http://2130706433/"), Ok("http://127.0.0.1".into()));
        for wrong in [
            "ftp://x",
            "https://a:b@x",
            "https://a@x",
            "https://x/?q",
            "https://x#f",
            "x",
            "https://",
            "https://x\\@y",
            "https://x/%2e",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
