//! PgBouncer in front of a test's PostgreSQL: over TLS to its clients, with passwords in a file, stopped by
//! its process id.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::postgres::{NOBODY, PASSWORD, Postgres, give_away, is_root};

/// A running pooler.
pub struct Pooler {
    _folder: TempDir,
    server: Child,
    pub port: u16,
}

impl Pooler {
    /// Starts one in front of `server`, with these lines of configuration, such as `pool_mode = transaction`.
    pub fn start(server: &Postgres, users: &[&str], lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("raito-pooler-").tempdir().expect("a folder");
        let (certificate, key) = super::postgres::server_certificate();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("writable");
            give_away(&path);
            path.display().to_string()
        };
        let (certificate, key) = (file("server.crt", certificate), file("server.key", key));
        let known: String = users.iter().map(|user| format!("\"{user}\" \"{PASSWORD}\"\n")).collect();
        let users = file("users.txt", &known);
        give_away(folder.path());
        for _ in 0..5 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
            let configuration = file(
                "pgbouncer.ini",
                &format!(
                    "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                     unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\nclient_tls_sslmode = require\n\
                     client_tls_cert_file = {certificate}\nclient_tls_key_file = {key}\nserver_tls_sslmode = require\n\
                     default_pool_size = 2\n{lines}\n",
                    server.port
                ),
            );
            let log = fs::File::create(folder.path().join("log")).expect("writable");
            let mut command = Command::new("/usr/sbin/pgbouncer");
            command.arg(configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            if is_root() {
                command.uid(NOBODY).gid(NOBODY);
            }
            let mut child = command.spawn().expect("pgbouncer is not installed: run `make setup`");
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(30) {
                if fs::read_to_string(folder.path().join("log")).is_ok_and(|log| log.contains("process up")) {
                    return Self { _folder: folder, server: child, port };
                }
                if child.try_wait().expect("ours").is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("pgbouncer does not start: {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
