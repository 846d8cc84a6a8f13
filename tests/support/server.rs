//! Servers of HTTP that do what a test says, over TLS or not, and a proxy that tunnels. They speak HTTP byte by byte, so that
//! they can also break it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The connection's number, from 0.
    pub connection: usize,
    /// How many requests came before, over all connections.
    pub number: usize,
    /// The request line.
    pub line: String,
    /// Header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The protocol that TLS agreed on.
    pub protocol: Option<String>,
    /// Whether the client showed a certificate.
    pub certified: bool,
}

impl Seen {
    /// The value of a header field; empty where there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as a form.
    pub fn form(&self) -> HashMap<String, String> {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            let mut bytes = Vec::new();
            let mut rest = spaced.as_bytes();
            while let [byte, behind @ ..] = rest {
                match (byte, behind) {
                    (b'%', [high, low, behind @ ..]) => {
                        let pair = [*high, *low];
                        let hex = std::str::from_utf8(&pair).expect("ASCII");
                        bytes.push(u8::from_str_radix(hex, 16).expect("hexadecimal"));
                        rest = behind;
                    }
                    _ => {
                        bytes.push(*byte);
                        rest = behind;
                    }
                }
            }
            String::from_utf8(bytes).expect("UTF-8")
        };
        let body = String::from_utf8_lossy(&self.body);
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (decode(key), decode(value))).collect()
    }
}

/// What a server does with a request. It writes the answer itself; afterwards the connection is kept where it says so.
pub type Handler = dyn Fn(&Seen, &mut dyn Write) -> std::io::Result<Keep> + Send + Sync;

/// Whether a connection goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    Open,
    Closed,
}

/// Writes a whole answer.
pub fn answer(out: &mut dyn Write, status: u16, fields: &[(&str, &str)], body: &[u8]) -> std::io::Result<Keep> {
    let mut head = format!("HTTP/1.1 {status} so\r\ncontent-length: {}\r\n", body.len());
    fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    // In one piece, so that nobody waits for the rest of it.
    out.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
    out.flush()?;
    Ok(Keep::Open)
}

/// Writes an answer in JSON.
pub fn json(out: &mut dyn Write, body: &str) -> std::io::Result<Keep> {
    answer(out, 200, &[("content-type", "application/json")], body.as_bytes())
}

/// How many authorities there are.
static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// An authority made for a test, with what it signed.
pub struct Authority {
    pub certificate: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Authorities are told apart by their names before their keys are looked at.
        let name = format!("raito tests {}", AUTHORITIES.fetch_add(1, Ordering::SeqCst));
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = parameters.self_signed(&key).expect("signed").pem();
        Self { certificate, issuer: rcgen::Issuer::new(parameters, key) }
    }

    /// A certificate for a name, and its key.
    pub fn sign(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (certificate.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }

    /// What a server for a name needs; with `clients`, it wants a certificate of this authority from everybody.
    pub fn server(&self, name: &str, clients: bool) -> Arc<ServerConfig> {
        let (certificate, key) = self.sign(name);
        let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().expect("versions");
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM")).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            builder.with_no_client_auth()
        };
        let mut server = builder.with_single_cert(chain, key).expect("a certificate");
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(server)
    }
}

/// A server on a port of its own, which runs until the test ends.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// A server without TLS.
    pub fn plain(handler: impl Fn(&Seen, &mut dyn Write) -> std::io::Result<Keep> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(handler))
    }

    /// A server with TLS.
    pub fn tls(
        tls: Arc<ServerConfig>,
        handler: impl Fn(&Seen, &mut dyn Write) -> std::io::Result<Keep> + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(tls), Arc::new(handler))
    }

    fn start(tls: Option<Arc<ServerConfig>>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let server = Self { port, seen: Arc::default(), connections: Arc::default() };
        let (seen, connections) = (Arc::clone(&server.seen), Arc::clone(&server.connections));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = connections.fetch_add(1, Ordering::SeqCst);
                let (tls, handler, seen) = (tls.clone(), Arc::clone(&handler), Arc::clone(&seen));
                std::thread::spawn(move || {
                    // A client that goes away, or shows no certificate, ends only its own connection.
                    let _ = match tls {
                        None => serve(stream, connection, (None, false), handler.as_ref(), &seen),
                        Some(tls) => serve_tls(stream, connection, tls, handler.as_ref(), &seen),
                    };
                });
            }
        });
        server
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were made, whether or not a request came over them.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn serve_tls(
    stream: TcpStream,
    connection: usize,
    tls: Arc<ServerConfig>,
    handler: &Handler,
    seen: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut stream = StreamOwned::new(ServerConnection::new(tls).map_err(std::io::Error::other)?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    let protocol = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    let certified = stream.conn.peer_certificates().is_some();
    serve(stream, connection, (protocol, certified), handler, seen)
}

fn serve(
    stream: impl Read + Write,
    connection: usize,
    about: (Option<String>, bool),
    handler: &Handler,
    seen: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream)? {
        request.connection = connection;
        (request.protocol, request.certified) = about.clone();
        {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            request.number = seen.len();
            seen.push(request.clone());
        }
        if handler(&request, stream.get_mut())? == Keep::Closed {
            break;
        }
    }
    stream.get_mut().flush()
}

fn read_request(stream: &mut impl BufRead) -> std::io::Result<Option<Seen>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut request = Seen { line: line.trim_end().to_owned(), ..Seen::default() };
    loop {
        let mut field = String::new();
        stream.read_line(&mut field)?;
        let Some((name, value)) = field.trim_end().split_once(':') else { break };
        request.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    request.body = vec![0; request.field("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut request.body)?;
    Ok(Some(request))
}

/// A proxy that tunnels to where it was told that names are.
pub struct Proxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<Seen>>>,
}

impl Proxy {
    /// `leads` says for `host:port` which port of this machine it is. With `credentials`, it lets in only who has them.
    pub fn start(leads: HashMap<String, u16>, credentials: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = Self { port: listener.local_addr().expect("a port").port(), asked: Arc::default() };
        let asked = Arc::clone(&proxy.asked);
        let leads = Arc::new(leads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, leads) = (Arc::clone(&asked), Arc::clone(&leads));
                std::thread::spawn(move || tunnel(stream, &leads, credentials, &asked));
            }
        });
        proxy
    }

    /// What it was asked for.
    pub fn asked(&self) -> Vec<Seen> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn tunnel(
    stream: TcpStream,
    leads: &HashMap<String, u16>,
    credentials: Option<&str>,
    asked: &Mutex<Vec<Seen>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(request) = read_request(&mut reader)? else { return Ok(()) };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
    let mut client = stream;
    if credentials.is_some_and(|wanted| request.field("proxy-authorization") != wanted) {
        return client.write_all(b"HTTP/1.1 407 no\r\ncontent-length: 0\r\n\r\n");
    }
    let mut words = request.line.split(' ');
    let port = match (words.next(), words.next().and_then(|to| leads.get(to))) {
        (Some("CONNECT"), Some(port)) => *port,
        _ => return client.write_all(b"HTTP/1.1 502 no\r\ncontent-length: 0\r\n\r\n"),
    };
    let mut server = TcpStream::connect(("127.0.0.1", port))?;
    client.write_all(b"HTTP/1.1 200 ok\r\n\r\n")?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut server, &mut client);
    client.shutdown(Shutdown::Write)
}
