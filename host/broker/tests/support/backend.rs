//! A database server made of bytes: it speaks the protocol of PostgreSQL (manual, "Frontend/Backend Protocol", version 3.0)
//! without TLS or passwords, and does in each place what a test says.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where in the protocol a server can do something of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the login.
    Login,
    /// Where the columns of a statement are asked for.
    Describe,
    /// Where its rows are.
    Execute,
    /// Where it does a command of the host, such as BEGIN.
    Command,
}

/// What a server does in a moment of the statement with this text: it writes, and says whether that was all.
pub type Act = dyn Fn(Moment, &str, &mut dyn Write) -> std::io::Result<bool> + Send + Sync;

/// Numbers of types (`pg_type.dat`).
pub const BOOL: u32 = 16;
pub const INT4: u32 = 23;
pub const TEXT: u32 = 25;

/// A server on a port of its own, which runs until the test ends.
pub struct Backend {
    pub port: u16,
    sent: Arc<AtomicU64>,
}

impl Backend {
    pub fn start(act: impl Fn(Moment, &str, &mut dyn Write) -> std::io::Result<bool> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let backend = Self { port: listener.local_addr().expect("a port").port(), sent: Arc::default() };
        let (act, sent): (Arc<Act>, _) = (Arc::new(act), Arc::clone(&backend.sent));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (act, sent) = (Arc::clone(&act), Arc::clone(&sent));
                // A client that goes away ends only its own connection.
                std::thread::spawn(move || serve(stream, act.as_ref(), &sent));
            }
        });
        backend
    }

    /// Bytes that were taken from it.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// Counts what is written.
struct Counted<'c>(TcpStream, &'c AtomicU64);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A message.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short body").to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// The columns of a result: names and numbers of types.
pub fn columns(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).expect("few").to_be_bytes().to_vec();
    for (name, kind) in columns {
        body.extend(
            [name.as_bytes(), &[0], &[0; 6][..], &kind.to_be_bytes(), &[0, 4, 0xff, 0xff, 0xff, 0xff, 0, 1]].concat(),
        );
    }
    message(b'T', &body)
}

/// A row in binary form.
pub fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).expect("few").to_be_bytes().to_vec();
    for cell in cells {
        match cell {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).expect("a short cell").to_be_bytes());
                body.extend_from_slice(bytes);
            }
        }
    }
    message(b'D', &body)
}

/// An error or a notice, by its kind.
pub fn said(kind: u8, code: &str, text: &str) -> Vec<u8> {
    message(kind, &[b"SERROR\0C", code.as_bytes(), b"\0M", text.as_bytes(), b"\0\0"].concat())
}

/// What an honest server says of the host's own questions; of any other statement, one row `ann`.
fn honest(text: &str) -> (Vec<u8>, Vec<u8>) {
    let no: Option<&[u8]> = Some(&[0]);
    if text.contains("rolsuper") {
        (columns(&[("a", BOOL), ("b", BOOL), ("c", BOOL)]), row(&[no, no, no]))
    } else if text.contains("transaction_isolation") {
        (columns(&[("a", BOOL)]), row(&[Some(&[1])]))
    } else if text.contains("select 'operator'") {
        // Nobody has put anything beside the server's own.
        (columns(&[("kind", TEXT), ("name", TEXT)]), Vec::new())
    } else {
        (columns(&[("name", TEXT)]), row(&[Some(b"ann")]))
    }
}

/// What an honest server says to a command of the host: settings that are asked for hold.
fn honest_command(text: &str) -> Vec<u8> {
    let done = message(b'C', b"DONE\0");
    let Some((_, values)) = text.rsplit_once("from (values ") else { return done };
    let mut rows = columns(&[("name", TEXT), ("value", TEXT)]);
    for pair in values.split("), (") {
        let mut parts = pair.split('\'').skip(1).step_by(2);
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            rows.extend(row(&[Some(name.as_bytes()), Some(value.as_bytes())]));
        }
    }
    [done.clone(), columns(&[("set_config", TEXT)]), done.clone(), rows, done].concat()
}

fn serve(stream: TcpStream, act: &Act, sent: &AtomicU64) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut out) = (BufReader::new(stream.try_clone()?), Counted(stream, sent));
    read(&mut input)?;
    out.write_all(&message(b'R', &[0; 4]))?;
    act(Moment::Login, "", &mut out)?;
    out.write_all(&message(b'Z', b"I"))?;
    let mut statements: HashMap<String, String> = HashMap::new();
    let mut current = String::new();
    loop {
        let mut kind = [0];
        input.read_exact(&mut kind)?;
        let body = read(&mut input)?;
        let mut words = body.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        let mut word = || words.next().unwrap_or_default();
        match kind[0] {
            b'P' => {
                statements.insert(word(), word());
                out.write_all(&message(b'1', b""))?;
            }
            b'D' => {
                // A statement by its name, with its parameters, or what was bound last.
                let text = match word().strip_prefix('S') {
                    Some(name) => {
                        let text = statements.get(name).cloned().unwrap_or_default();
                        let parameters = u16::from(text.contains("$1"));
                        let kinds = &26_u32.to_be_bytes()[..usize::from(parameters) * 4];
                        out.write_all(&message(b't', &[&parameters.to_be_bytes()[..], kinds].concat()))?;
                        text
                    }
                    None => current.clone(),
                };
                if !act(Moment::Describe, &text, &mut out)? {
                    out.write_all(&honest(&text).0)?;
                }
            }
            b'B' => {
                word();
                current = statements.get(&word()).cloned().unwrap_or_default();
                out.write_all(&message(b'2', b""))?;
            }
            b'E' => {
                if !act(Moment::Execute, &current, &mut out)? {
                    out.write_all(&honest(&current).1)?;
                    out.write_all(&message(b'C', b"SELECT 1\0"))?;
                }
            }
            b'C' => out.write_all(&message(b'3', b""))?,
            b'Q' => {
                let text = word();
                if !act(Moment::Command, &text, &mut out)? {
                    out.write_all(&honest_command(&text))?;
                }
                out.write_all(&message(b'Z', b"T"))?;
            }
            b'S' => out.write_all(&message(b'Z', b"T"))?,
            _ => return Ok(()),
        }
    }
}

/// The rest of a message behind its kind.
fn read(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("it fits") - 4];
    input.read_exact(&mut body)?;
    Ok(body)
}
