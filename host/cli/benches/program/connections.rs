//! Clients of a cloud that connect and do nothing more: what 10,000 of them take, and how long
//! another one waits for its answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::peak_kib;
use crate::support::Place;

/// How many clients there are.
const CLIENTS: usize = 10_000;
/// How many questions somebody else asks meanwhile.
const QUESTIONS: usize = 50;

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn connect(address: SocketAddr, sends: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(sends.as_bytes()).expect("it reads");
    stream
}

/// The time of one question over a connection of its own.
fn ask(address: SocketAddr) -> Duration {
    let began = Instant::now();
    let mut stream = connect(address, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    began.elapsed()
}

/// Three kinds of clients, each with a server of its own.
pub fn connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more descriptors");
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: {}", "x".repeat(30_000));
    for (name, sends, hears) in [
        ("that say nothing", "", false),
        ("that asked once", "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n", true),
        ("with 30 KB of a head", long.as_str(), false),
    ] {
        let place = Place::new("targets: []\n");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a port");
        drop(listener);
        let mut command = place.command(&["cloud", "serve", "--listen", &address.to_string()]);
        let served = Served(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts"));
        while TcpStream::connect(address).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        ask(address);
        let id = served.0.id().to_string();
        let before = peak_kib(&id);
        let began = Instant::now();
        let open: Vec<TcpStream> = (0..CLIENTS)
            .map(|_| {
                let mut stream = connect(address, sends);
                let mut first = [0; 64];
                assert!(!hears || stream.read(&mut first).expect("it answers") > 0);
                stream
            })
            .collect();
        let connected = began.elapsed();
        // It stands behind all that has come and is not taken yet.
        let first = ask(address);
        let mut times: Vec<Duration> = (0..QUESTIONS).map(|_| ask(address)).collect();
        times.sort_unstable();
        let after = peak_kib(&id);
        println!(
            "{} clients {name}: {} MiB, {} KiB for each; another one is answered in {:.1?}, at most {:.1?} (connecting \
             all took {connected:.1?}, and the first answer behind them {first:.1?})",
            open.len(),
            after / 1024,
            (after - before) / open.len() as u64,
            times[QUESTIONS / 2],
            times[QUESTIONS - 1],
        );
    }
}
