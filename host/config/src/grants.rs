//! Grants and secrets.

use std::collections::{BTreeMap, BTreeSet};

use marked_yaml::Node;
use raito_core::grant::{
    ClientCertificate, Grant, HttpGrant, LoginPower, Origin, Proxy, SecretSource, SqlGrant, SqlLogin, SqlServer, Tls,
};
use raito_core::limits;
use raito_core::manifest::{Capability, SlotName};
use raito_core::text::Ident;

use crate::credentials::credential;
use crate::keys::{CLIENT_CERTIFICATE, HTTP_GRANT, KEYRING, LOGIN_POWERS, PROXY, SECRET, SQL_GRANT, SQL_WRITE, TLS};
use crate::reader::{Fields, Reader, node_place, quoted};

/// The grants of a target, by slot.
pub(crate) fn grants(reader: &mut Reader<'_>, node: &Node) -> BTreeMap<SlotName, Grant> {
    let mut grants = BTreeMap::new();
    let Some(fields) = reader.names(node, "slots such as sql.main, each with its grant") else { return grants };
    for (key, value) in fields.iter() {
        let Some(slot) = SlotName::parse(key.as_str()) else {
            let message = format!("{} is no slot", quoted(key.as_str()));
            reader.wrong(
                node_place(&Node::from(key.clone())),
                message,
                Some("write it as http.name or sql.name".into()),
            );
            continue;
        };
        let grant = match slot.capability {
            Capability::Http => http(reader, value).map(Grant::Http),
            Capability::Sql => sql(reader, value).map(Grant::Sql),
            Capability::Ldap => {
                let help = Some("remove it; this version serves http and sql".to_owned());
                reader.wrong(node_place(value), "ldap is not served by this version of raito", help);
                None
            }
        };
        if let Some(grant) = grant {
            grants.insert(slot, grant);
        }
    }
    grants
}

/// Where a secret comes from. The secret itself does not stand in a configuration, and a text here is one.
pub(crate) fn secret(reader: &mut Reader<'_>, node: &Node) -> Option<SecretSource> {
    const HOW: &str = "write { env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT] } or { keyring: { service: NAME, account: NAME } }";
    if node.as_scalar().is_some() {
        reader.wrong(node_place(node), "a secret does not stand in the configuration itself", Some(HOW.into()));
        return None;
    }
    let fields = reader.map(node, SECRET)?;
    let given: Vec<_> = SECRET.iter().filter_map(|key| fields.get(key.name).map(|value| (key.name, value))).collect();
    let [(kind, value)] = given.as_slice() else {
        reader.wrong(fields.place(), "a secret comes from one place", Some(HOW.into()));
        return None;
    };
    match *kind {
        "env" => variable(reader, value).map(SecretSource::Env),
        "file" => reader.text(value).map(SecretSource::File),
        "keyring" => {
            let fields = reader.map(value, KEYRING)?;
            let mut text = |key: &str| fields.get(key).and_then(|node| reader.text(node));
            let (service, account) = (text("service"), text("account"));
            Some(SecretSource::Keyring { service: service?, account: account? })
        }
        _ => {
            let words: Vec<String> = reader.all_parsed(value);
            if words.is_empty() {
                reader.wrong(node_place(value), "a command has a program", Some(HOW.into()));
                return None;
            }
            Some(SecretSource::Command(words))
        }
    }
}

/// The name of an environment variable (POSIX, section 8.1, and lower case too). A text that cannot
/// be one may be the secret itself, so it is not repeated.
fn variable(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let name = reader.text(node)?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_name || name.starts_with(|first: char| first.is_ascii_digit()) {
        let help = Some("write the name of the variable that holds the secret, such as SHOP_PASSWORD".to_owned());
        reader.wrong(node_place(node), "this is no name of an environment variable", help);
        return None;
    }
    Some(name)
}

fn http(reader: &mut Reader<'_>, node: &Node) -> Option<HttpGrant> {
    let is_secret = |name: &str| Ident::new(name).is_ok();
    let own = |name: &str| HTTP_GRANT.iter().any(|key| key.name == name);
    // Whatever is no key of a grant is the name of a secret, which the manifest knows; a typing mistake in a key is found
    // by its value, since a secret says where it comes from.
    let fields = reader.open_map(node, HTTP_GRANT, is_secret)?;
    let mut secrets = BTreeMap::new();
    for (key, value) in fields.iter().filter(|(key, _)| !own(key.as_str())) {
        let Ok(name) = Ident::new(key.as_str()) else { continue };
        if value.as_mapping().is_none() {
            let names = HTTP_GRANT.iter().map(|key| key.name);
            let close = raito_core::suggest::closest(key.as_str(), names).map(|close| format!("did you mean {close}?"));
            let help = close.unwrap_or_else(|| "a secret is written as name: { env: NAME }".to_owned());
            reader.wrong(node_place(&Node::from(key.clone())), format!("unknown key {name}"), Some(help));
        } else if let Some(credential) = credential(reader, value) {
            secrets.insert(name, credential);
        }
    }
    let origin = fields.get("origin").and_then(|node| origin(reader, node));
    let flag =
        |reader: &mut Reader<'_>, key: &str| fields.get(key).and_then(|node| reader.boolean(node)).unwrap_or(false);
    let (plain_http, write) = (flag(reader, "plain-http"), flag(reader, "write"));
    let addresses = fields.get("addresses").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let raw = fields.get("raw").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let methods = fields.get("methods").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let rate =
        fields.get("rate").and_then(|node| reader.integer(node, 1, 10_000)).and_then(|rate| u32::try_from(rate).ok());
    let timeout =
        fields.get("timeout").and_then(|node| reader.integer(node, 1, 120)).and_then(|time| u32::try_from(time).ok());
    let ca = fields.get("ca").and_then(|node| reader.text(node));
    let client_certificate = fields.get("client-certificate").and_then(|node| client_certificate(reader, node));
    let proxy = fields.get("proxy").and_then(|node| proxy(reader, node));
    Some(HttpGrant {
        origin: origin?,
        addresses,
        plain_http,
        secrets,
        write,
        raw,
        methods,
        rate,
        timeout,
        ca,
        client_certificate,
        proxy,
    })
}

/// An origin, with variables filled in.
pub(crate) fn origin(reader: &mut Reader<'_>, node: &Node) -> Option<Origin> {
    let text = reader.text_with_variables(node)?;
    match Origin::parse(&text) {
        Ok(origin) => Some(origin),
        Err(error) => {
            // As it stands in the file: what a variable brought may be a secret.
            let written = node.as_scalar().map_or("", |scalar| scalar.as_str());
            reader.wrong(node_place(node), format!("{}: {error}", quoted(written)), None);
            None
        }
    }
}

fn client_certificate(reader: &mut Reader<'_>, node: &Node) -> Option<ClientCertificate> {
    let fields = reader.map(node, CLIENT_CERTIFICATE)?;
    let certificate = fields.get("certificate").and_then(|node| reader.text(node));
    let key = fields.get("key").and_then(|node| secret(reader, node));
    Some(ClientCertificate { certificate: certificate?, key: key? })
}

fn proxy(reader: &mut Reader<'_>, node: &Node) -> Option<Proxy> {
    let fields = reader.map(node, PROXY)?;
    let url = fields.get("url").and_then(|node| {
        let url = origin(reader, node)?;
        if !url.prefix.is_empty() {
            let help = Some("write it as http://host:3128".to_owned());
            reader.wrong(node_place(node), "a proxy has no path", help);
        }
        Some(url)
    });
    let addresses = fields.get("addresses").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let credentials = fields.get("credentials").and_then(|node| secret(reader, node));
    Some(Proxy { url: url?, addresses, credentials })
}

fn sql(reader: &mut Reader<'_>, node: &Node) -> Option<SqlGrant> {
    let fields = reader.map(node, SQL_GRANT)?;
    let url = fields.get("url").and_then(|node| server(reader, node));
    let password = fields.get("password").and_then(|node| secret(reader, node));
    let write = fields.get("write").and_then(|node| write_login(reader, node));
    let tls = match fields.get("tls").and_then(|node| reader.word(node, TLS)) {
        None | Some(0) => Tls::VerifyFull,
        Some(1) => Tls::VerifyCa,
        Some(_) => Tls::Off,
    };
    let databases = databases(reader, &fields);
    let texts =
        |reader: &mut Reader<'_>, key: &str| fields.get(key).map(|node| reader.all_parsed(node)).unwrap_or_default();
    let (calls, relations) = (texts(reader, "calls"), texts(reader, "relations"));
    let may = login_may(reader, &fields);
    let ca = fields.get("ca").and_then(|node| reader.text(node));
    let client_certificate = fields.get("client-certificate").and_then(|node| client_certificate(reader, node));
    let addresses = fields.get("addresses").map(|node| reader.all_parsed(node)).unwrap_or_default();
    let (server, user) = url?;
    let read = SqlLogin { user, password, may };
    Some(SqlGrant { server, read, write, tls, ca, client_certificate, addresses, databases, calls, relations })
}

fn databases(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<String> {
    let Some(node) = fields.get("databases") else { return Vec::new() };
    let databases: Vec<String> = reader.all_parsed(node);
    let mut seen = std::collections::BTreeSet::new();
    if databases.is_empty() || databases.len() > limits::SQL_DATABASES {
        reader.wrong(node_place(node), format!("1 to {} databases are granted", limits::SQL_DATABASES), None);
    } else if let Some(twice) = databases.iter().find(|name| !seen.insert(name.as_str())) {
        reader.wrong(node_place(node), format!("the database {} stands here twice", quoted(twice)), None);
    }
    databases
}

fn write_login(reader: &mut Reader<'_>, node: &Node) -> Option<SqlLogin> {
    if node.as_scalar().and_then(|scalar| scalar.as_bool()) == Some(false) {
        return None;
    }
    if node.as_mapping().is_none() {
        let help = "write: { user: raito_write, password: { env: NAME } }".to_owned();
        reader.wrong(node_place(node), "writing needs a login of its own", Some(help));
        return None;
    }
    let fields = reader.map(node, SQL_WRITE)?;
    let password = fields.get("password").and_then(|node| secret(reader, node));
    let may = login_may(reader, &fields);
    Some(SqlLogin { user: fields.get("user").and_then(|node| reader.text(node))?, password, may })
}

/// The powers that a login may have.
fn login_may(reader: &mut Reader<'_>, fields: &Fields<'_>) -> BTreeSet<LoginPower> {
    let Some(node) = fields.get("login-may") else { return BTreeSet::new() };
    let words: Vec<Option<usize>> = reader.list(node).iter().map(|item| reader.word(item, LOGIN_POWERS)).collect();
    words.into_iter().flatten().map(|at| LoginPower::ALL[at]).collect()
}

/// The server and the login out of a URL such as `postgresql://raito_read@db.internal:5432/`.
fn server(reader: &mut Reader<'_>, node: &Node) -> Option<(SqlServer, String)> {
    const FORM: &str = "write it as postgresql://user@host:5432/";
    let text = reader.text_with_variables(node)?;
    let wrong = |reader: &mut Reader<'_>, message: &str, help: &str| {
        reader.wrong(node_place(node), message, Some(help.to_owned()));
        None
    };
    let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) else {
        return wrong(reader, "this is no URL of a PostgreSQL server", FORM);
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return wrong(
            reader,
            "the URL names a database or parameters",
            "list the databases below databases:, and end the URL with /",
        );
    }
    let Some((user, host)) = authority.rsplit_once('@') else {
        return wrong(reader, "the URL has no user", FORM);
    };
    if user.contains(':') {
        return wrong(reader, "a password stands in the URL", "remove it, and write password: { env: NAME }");
    }
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (host, Some(5_432)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match (user, host, port) {
        (user, host, Some(port)) if !user.is_empty() && !host.is_empty() => {
            Some((SqlServer { host: host.to_owned(), port }, percent_decoded(user)))
        }
        _ => wrong(reader, "the URL has no user, no host, or a port that is no number", FORM),
    }
}

/// A user's name as a URL carries it.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let hex = behind
            .get(..2)
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        match (byte, hex) {
            (b'%', Some(value)) => {
                bytes.push(value);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
