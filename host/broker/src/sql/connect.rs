//! Connecting to one database as one login.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use raito_core::fault::{Fault, FaultKind};
use raito_core::grant::{LoginPower, SqlLogin};
use raito_core::limits;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::SqlSlot;
use super::error::fault;
use crate::egress::{self, DialError};
use raito_core::secret::Secret;

/// A connection that is open, with the task that drives it.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    /// What the server said beside its answers, such as that a grant changed nothing.
    notices: Notices,
    driver: tokio::task::JoinHandle<()>,
}

/// Notices of the server in order: code and message.
type Notices = Arc<Mutex<Vec<(String, String)>>>;

/// Notices that are kept of one connection.
const NOTICES: usize = 1_000;

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connected {
    /// Forgets what the server has said beside its answers so far.
    pub(crate) fn forget_notices(&self) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The first notice with one of these codes since then.
    pub(crate) fn notice(&self, codes: &[&str]) -> Option<String> {
        let notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        notices.iter().find(|(code, _)| codes.contains(&code.as_str())).map(|(_, message)| message.clone())
    }
}

/// Settings of every connection. `search_path` is the catalogue alone, so that a name without a schema means one thing;
/// literals and times are read and written in one way whatever the server's own settings say.
fn options(read_only: bool) -> String {
    let mut settings = vec![
        "search_path=pg_catalog,pg_temp".to_owned(),
        "standard_conforming_strings=on".to_owned(),
        "client_encoding=UTF8".to_owned(),
        "DateStyle=ISO".to_owned(),
        "TimeZone=UTC".to_owned(),
        format!("statement_timeout={}", limits::SQL_STATEMENT.as_millis()),
        format!("lock_timeout={}", Duration::from_secs(30).as_millis()),
    ];
    if read_only {
        settings.push("default_transaction_read_only=on".to_owned());
    }
    settings.iter().map(|setting| format!("-c {setting}")).collect::<Vec<_>>().join(" ")
}

impl SqlSlot {
    /// Connects as the reader, and refuses a login that could do more than read unless that is granted.
    pub(crate) async fn connect_read(&self, database: &str) -> Result<Connected, Fault> {
        let connected = self.connect(database, &self.grant.read, self.read_password.as_ref(), true).await?;
        self.check_powers(&connected.client).await?;
        Ok(connected)
    }

    /// Connects as the writer.
    pub(crate) async fn connect_write(&self, database: &str) -> Result<Connected, Fault> {
        let login = self.grant.write.as_ref().ok_or_else(|| Fault::denied("no write login is granted"))?;
        self.connect(database, login, self.write_password.as_ref(), false).await
    }

    async fn connect(
        &self,
        database: &str,
        login: &SqlLogin,
        password: Option<&Secret>,
        read_only: bool,
    ) -> Result<Connected, Fault> {
        let what = format!("{} database {} as {}", self.grant.server, raito_core::text::escape(database), login.user);
        let mut config = Config::new();
        config
            .user(&login.user)
            .dbname(database)
            .application_name("raito")
            .options(options(read_only))
            .channel_binding(ChannelBinding::Prefer)
            .ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = password {
            config.password(password.expose());
        }
        let stream = self.tcp().await?;
        let address = stream.peer_addr().map_err(|error| unreachable(&self.grant.server, &error))?;
        match &self.tls {
            Some(tls) => {
                let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), &self.grant.server.host)
                    .map_err(|error| Fault::new(FaultKind::InvalidSetting, format!("{what}: {error}")))?;
                let connecting = timeout(limits::CONNECT, config.connect_raw(stream, tls)).await;
                let (client, connection) = in_time(connecting, &what)?;
                Ok(drive(client, connection, address))
            }
            None => {
                let connecting = timeout(limits::CONNECT, config.connect_raw(stream, NoTls)).await;
                let (client, connection) = in_time(connecting, &what)?;
                Ok(drive(client, connection, address))
            }
        }
    }

    async fn tcp(&self) -> Result<TcpStream, Fault> {
        let server = &self.grant.server;
        egress::dial(&server.host, server.port, &self.grant.addresses).await.map_err(|error| match error {
            DialError::NotAllowed(denied) => Fault::denied(format!("{server}: {denied}")),
            DialError::Io(error) => unreachable(server, &error),
            DialError::TimedOut => Fault::new(FaultKind::Unavailable, format!("{server} does not answer in time")),
        })
    }

    /// Asks what the login may do besides reading.
    async fn check_powers(&self, client: &Client) -> Result<(), Fault> {
        const POWERS: &str = "select r.rolsuper, pg_has_role(r.oid, 'pg_write_server_files', 'member'), \
                              pg_has_role(r.oid, 'pg_execute_server_program', 'member') \
                              from pg_catalog.pg_roles r where r.rolname = current_user";
        let login = &self.grant.read.user;
        let row =
            client.query_one(POWERS, &[]).await.map_err(|error| fault(&format!("what {login} may do"), &error))?;
        let superuser: bool = row.get(0);
        let held = [superuser, row.get::<_, bool>(1) && !superuser, row.get::<_, bool>(2) && !superuser];
        let over =
            LoginPower::ALL.into_iter().zip(held).find(|(power, held)| *held && !self.grant.login_may.contains(power));
        match over {
            None => Ok(()),
            Some((power, _)) => Err(Fault::denied(format!(
                "the read login {login} {}: use one that can only read, or grant that by name with login-may: [{}]",
                match power {
                    LoginPower::Superuser => "is a superuser",
                    LoginPower::WriteServerFiles => "may write files of the server",
                    LoginPower::ExecuteServerProgram => "may run programs on the server",
                },
                power.word()
            ))),
        }
    }
}

fn in_time<T>(
    connecting: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    what: &str,
) -> Result<T, Fault> {
    connecting
        .map_err(|_| Fault::new(FaultKind::Unavailable, format!("{what}: the login takes too long")))?
        .map_err(|error| fault(what, &error))
}

fn unreachable(server: &raito_core::grant::SqlServer, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("{server} cannot be reached: {error}"))
}

/// Starts the task that drives a connection and keeps what the server says beside its answers.
fn drive<S, T>(client: Client, mut connection: tokio_postgres::Connection<S, T>, address: SocketAddr) -> Connected
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let notices = Notices::default();
    let kept = Arc::clone(&notices);
    let driver = tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    if kept.len() < NOTICES {
                        kept.push((notice.code().code().to_owned(), notice.message().to_owned()));
                    }
                }
                Some(Ok(_)) => {}
                // The client sees the same end in its own calls.
                Some(Err(_)) | None => return,
            }
        }
    });
    Connected { client, address, notices, driver }
}
