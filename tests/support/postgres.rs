//! A PostgreSQL server of its own for each test: copied from a template that initdb made once, on a port that was free, with
//! TLS and SCRAM, stopped by its process id. Roles are shared by a cluster, so two tests cannot share one.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The superuser and its password.
pub const SUPERUSER: &str = "postgres";
pub const PASSWORD: &str = "correct horse battery staple";
/// The login that connectors read with.
pub const READER: &str = "raito_read";

/// Lets everybody in who speaks TLS and proves his password.
pub const ONLY_TLS: &str = "hostssl all all 127.0.0.1/32 scram-sha-256\nhostnossl all all 127.0.0.1/32 reject\n";

/// The tests themselves come through a socket in the file system: TLS and SCRAM with each psql took a twentieth of the suite.
const LOCAL: &str = "local all all trust\n";

/// The user and group `nobody` of Debian: the server refuses to run as root.
pub(super) const NOBODY: u32 = 65_534;

/// A version from npm that `make setup` installs beside the system's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

/// The system's own version.
pub const SYSTEM: Version = Version(0);

/// A running server.
pub struct Postgres {
    folder: TempDir,
    server: Child,
    pub port: u16,
}

/// A program of PostgreSQL: in `RAITO_TEST_POSTGRES`, where Debian puts it, or in the path. What Debian has in the path is a
/// script in Perl that looks for the program, each time as long as the program itself takes.
fn program(name: &str) -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<u32> = installed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable();
    let debian = versions.into_iter().rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let named = std::env::var_os("RAITO_TEST_POSTGRES").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.into_iter().chain(debian).chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    found.into_iter().find(|file| file.is_file()).unwrap_or_else(|| {
        panic!("{name} is not installed: run `make setup`, or name the folder of PostgreSQL's programs in RAITO_TEST_POSTGRES")
    })
}

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A command that runs as somebody whom the server accepts.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
    command
}

pub(super) fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
    }
}

fn run(mut command: Command) -> String {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{shown}: {}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}

/// What the names of templates begin with; the process that made one stands behind it.
const TEMPLATE: &str = "raito-pg-template-";

/// Takes away templates of processes that have ended.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(TEMPLATE).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists()) {
            // Another process may be at it as well.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The folder with the programs of a version. Those from npm are copied to where the unprivileged user can read them.
fn programs(version: Version, beside: &Path) -> Option<PathBuf> {
    if version == SYSTEM {
        return None;
    }
    let installed =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/servers/node_modules/pg{}/native", version.0));
    assert!(installed.join("bin/postgres").is_file(), "PostgreSQL {} is not installed: run `make setup`", version.0);
    let copied = beside.join("programs");
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(&installed).arg(&copied);
    run(copy);
    Some(copied)
}

/// A command of a version, run as somebody whom the server accepts.
fn server_command(programs: Option<&Path>, name: &str) -> Command {
    match programs {
        None => unprivileged(&program(name)),
        Some(folder) => {
            let mut command = unprivileged(&folder.join("bin").join(name));
            command.env("LD_LIBRARY_PATH", folder.join("lib"));
            command
        }
    }
}

/// A cluster as initdb leaves it, made once in a process for each version, and the folder of its programs.
fn template(version: Version) -> (&'static Path, Option<PathBuf>) {
    static TEMPLATES: Mutex<Vec<(Version, &'static TempDir)>> = Mutex::new(Vec::new());
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let known = templates.iter().find(|(other, _)| *other == version).map(|(_, folder)| *folder);
    let folder = known.unwrap_or_else(|| {
        sweep();
        let prefix = format!("{TEMPLATE}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let password = folder.path().join("password");
        fs::write(&password, PASSWORD).expect("writable");
        give_away(folder.path());
        give_away(&password);
        let programs = programs(version, folder.path());
        let mut initdb = server_command(programs.as_deref(), "initdb");
        initdb.arg("--pgdata").arg(folder.path().join("data")).arg("--pwfile").arg(&password);
        initdb.args([
            "--username",
            SUPERUSER,
            "--auth",
            "scram-sha-256",
            "--no-sync",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
        ]);
        run(initdb);
        // As long as the process: the next one takes it away.
        let folder: &'static TempDir = Box::leak(Box::new(folder));
        templates.push((version, folder));
        folder
    });
    let programs = folder.path().join("programs");
    (folder.path(), (version != SYSTEM).then_some(programs))
}

/// The authority of all test servers, and a certificate for `localhost`: (authority, certificate, key) in PEM.
fn certificates() -> &'static (String, String, String) {
    static MADE: OnceLock<(String, String, String)> = OnceLock::new();
    MADE.get_or_init(|| {
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "raito tests");
        let authority = parameters.self_signed(&authority_key).expect("signed");
        let issuer = rcgen::Issuer::new(parameters, authority_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let server = server.signed_by(&key, &issuer).expect("signed");
        (authority.pem(), server.pem(), key.serialize_pem())
    })
}

/// The certificate of all test servers, and its key.
pub(super) fn server_certificate() -> (&'static str, &'static str) {
    let (_, certificate, key) = certificates();
    (certificate, key)
}

impl Postgres {
    /// Starts a server that speaks only TLS and SCRAM.
    pub fn start() -> Self {
        Self::start_with("", ONLY_TLS)
    }

    /// Starts a server with more settings, and with these rules about who may connect.
    pub fn start_with(settings: &str, access: &str) -> Self {
        Self::start_version(SYSTEM, settings, access)
    }

    /// Starts a server of a version.
    pub fn start_version(version: Version, settings: &str, access: &str) -> Self {
        let (template, programs) = template(version);
        let folder = tempfile::Builder::new().prefix("raito-pg-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        give_away(folder.path());
        let data = folder.path().join("data");
        let mut copy = unprivileged(Path::new("cp"));
        run({
            copy.arg("-a").arg(template.join("data")).arg(&data);
            copy
        });
        let (authority, certificate, key) = certificates();
        fs::write(folder.path().join("ca.pem"), authority).expect("writable");
        let access = format!("{LOCAL}{access}");
        for (name, text) in [("server.crt", certificate), ("server.key", key), ("pg_hba.conf", &access)] {
            let file = data.join(name);
            fs::write(&file, text).expect("writable");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
            give_away(&file);
        }
        let conf = data.join("postgresql.conf");
        let text = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nssl = on\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nmax_connections = 50\nlog_line_prefix = '%a|%u|%d|'\nshared_buffers = 64MB\n{settings}\n",
            folder.path().display()
        );
        fs::write(&conf, text).expect("writable");
        let (server, port) = serve(folder.path(), &data, programs.as_deref());
        let postgres = Self { folder, server, port };
        postgres.sql("postgres", &format!("create role {READER} login password '{PASSWORD}'"));
        postgres
    }

    /// Runs SQL as the superuser and gives what psql prints: a line a row, `|` between columns.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.sql_as(SUPERUSER, database, sql)
    }

    /// Runs SQL as somebody.
    pub fn sql_as(&self, user: &str, database: &str, sql: &str) -> String {
        let mut psql = self.psql(database, user);
        psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql is installed with the server");
        let mut input = psql.stdin.take().expect("piped");
        let text = sql.to_owned();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, text.as_bytes()));
        let output = psql.wait_with_output().expect("psql ends");
        writer.join().expect("the writer ends").expect("psql reads");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {errors}\n{}", sql.chars().take(2_000).collect::<String>());
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// The rows that a query gives.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<String> {
        self.sql(database, sql).lines().map(str::to_owned).collect()
    }

    /// A session of somebody, that was not started.
    pub fn psql(&self, database: &str, user: &str) -> Command {
        let mut psql = Command::new(program("psql"));
        psql.env("PGCLIENTENCODING", "UTF8").args(["-XAtq", "-v", "ON_ERROR_STOP=1"]).arg("-h").arg(self.folder.path());
        psql.args(["-p", &self.port.to_string(), "-U", user, "-d", database]);
        psql
    }

    /// The authority that signed the server's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Everything that the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("server.log")).expect("the server logs")
    }

    /// Lets nobody but the superuser connect to a database any more, or everybody again.
    pub fn close(&self, database: &str, closed: bool) {
        let (public, reader) = if closed { ("revoke", "from") } else { ("grant", "to") };
        self.sql("postgres", &format!("{public} connect on database {database} {reader} public"));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT: the server and all its processes end at once, and nothing of it is needed again.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// What a server has said until now, also where it collects its log in files.
fn said(folder: &Path, data: &Path) -> String {
    let collected = fs::read_dir(data.join("log")).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = std::iter::once(folder.join("server.log")).chain(collected);
    files.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// Starts the server on a port that was free a moment ago, and waits until it answers.
fn serve(folder: &Path, data: &Path, programs: Option<&Path>) -> (Child, u16) {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let log = fs::File::create(folder.join("server.log")).expect("writable");
        let mut command = server_command(programs, "postgres");
        command.arg("-D").arg(data).args(["-p", &port.to_string()]).stdout(Stdio::null()).stderr(log);
        let mut server = command.spawn().expect("starts");
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if said(folder, data).contains("database system is ready to accept connections") {
                return (server, port);
            }
            if server.try_wait().expect("ours").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = server.kill();
        let _ = server.wait();
    }
    panic!("the server does not start: {}", fs::read_to_string(folder.join("server.log")).unwrap_or_default());
}
