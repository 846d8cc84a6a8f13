//! Connecting to one database as one login.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use raito_core::fault::{Fault, FaultKind};
use raito_core::grant::{LoginPower, SqlLogin};
use raito_core::leak::Watch;
use raito_core::limits;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};

use super::SqlSlot;
use super::error::{call_error, flag};
use super::frame::{Frames, Measured, Meter};
use crate::egress::{self, DialError};
use crate::told::CallError;
use raito_core::secret::Secret;

/// A connection that is open, with the task that drives it.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    /// Whether an earlier step logged in with it.
    pub(crate) has_rested: bool,
    /// The first warning of the server that a statement did nothing.
    warning: Warning,
    meter: Arc<Meter>,
    watch: Arc<Watch>,
    driver: tokio::task::JoinHandle<()>,
}

/// What the server warned of, where it did.
type Warning = Arc<Mutex<Option<String>>>;

/// Warnings with which the server says that a GRANT or a REVOKE did nothing, or not all: `privilege_not_granted` and
/// `privilege_not_revoked` (PostgreSQL documentation, appendix A, class 01); and that it cut a name, so that the statement was
/// about something else: `name_too_long` (class 42). In an encoding other than UTF-8, a name may be longer than here.
const NOTHING_DONE: [&str; 3] = ["01007", "01006", "42622"];

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connected {
    /// Begins a statement: from here on the server may say as much as about one.
    pub(super) fn begin(&self) {
        self.meter.begin();
    }

    /// Expects rows, which are counted as they are read.
    pub(super) fn expect_rows(&self) {
        self.meter.expect_rows();
    }

    /// What an error on this connection means.
    pub(super) fn failed(&self, what: &str, error: &tokio_postgres::Error) -> CallError {
        measured(&self.meter, &self.watch, what, error)
    }

    /// Whether the server ends a transaction, in time.
    async fn rolls_back(&self) -> bool {
        self.begin();
        matches!(timeout(limits::CONNECT, self.client.batch_execute("ROLLBACK")).await, Ok(Ok(())))
    }

    /// The secrets that nothing of what the server says may hold.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Forgets what the server has warned of so far.
    pub(super) fn forget_warning(&self) {
        *self.warning.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The first warning since then that a statement did nothing.
    pub(super) fn warning(&self) -> Option<String> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SqlSlot {
    /// A connection as the reader: the one that rests, or a new one. Nothing is ever set for a session as
    /// a whole, so there is nothing to undo between two steps.
    pub(super) async fn connect_read(&self, database: &str) -> Result<Connected, CallError> {
        let rested = self.resting.lock().unwrap_or_else(PoisonError::into_inner).remove(database);
        match rested {
            Some(connected) if !connected.client.is_closed() => Ok(connected),
            _ => self.connect(database, &self.grant.read, self.read_password.as_ref()).await,
        }
    }

    /// Keeps a connection of the reader for the next step, outside of any transaction. One that cannot leave its transaction, or
    /// beside which enough are kept, is closed.
    pub(crate) async fn rest(&self, database: String, mut connected: Connected) {
        if connected.rolls_back().await {
            connected.has_rested = true;
            let mut resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            if resting.len() < limits::SQL_RESTING {
                resting.insert(database, connected);
            }
        }
    }

    /// Connects as the writer.
    pub(super) async fn connect_write(&self, database: &str) -> Result<Connected, CallError> {
        self.connect(database, self.writer()?, self.write_password.as_ref()).await
    }

    /// The login that writes.
    pub(crate) fn writer(&self) -> Result<&SqlLogin, Fault> {
        self.grant.write.as_ref().ok_or_else(|| Fault::denied("no write login is granted"))
    }

    async fn connect(
        &self,
        database: &str,
        login: &SqlLogin,
        password: Option<&Secret>,
    ) -> Result<Connected, CallError> {
        let what = format!("{} database {} as {}", self.grant.server, raito_core::text::escape(database), login.user);
        let mut config = Config::new();
        config
            .user(&login.user)
            .dbname(database)
            .application_name("raito")
            .channel_binding(ChannelBinding::Prefer)
            .ssl_mode(if self.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if let Some(password) = password {
            config.password(password.expose());
        }
        let stream = self.tcp().await?;
        let address = stream.peer_addr().map_err(|error| unreachable(&self.grant.server, &error))?;
        let meter = Arc::new(Meter::default());
        match &self.tls {
            Some(tls) => {
                let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), &self.grant.server.host)
                    .map_err(|error| Fault::new(FaultKind::InvalidSetting, format!("{what}: {error}")))?;
                let tls = Measured { handshake: tls, meter: Arc::clone(&meter) };
                let connecting = timeout(limits::CONNECT, config.connect_raw(stream, tls)).await;
                let (client, connection) = in_time(connecting, &what, &meter, &self.watch)?;
                Ok(drive(client, connection, address, (meter, Arc::clone(&self.watch))))
            }
            None => {
                let stream = Frames::new(stream, Arc::clone(&meter));
                let connecting = timeout(limits::CONNECT, config.connect_raw(stream, NoTls)).await;
                let (client, connection) = in_time(connecting, &what, &meter, &self.watch)?;
                Ok(drive(client, connection, address, (meter, Arc::clone(&self.watch))))
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

    /// Refuses a login that could leave the database, unless that is granted by name. Asked within a
    /// transaction, whose names mean the server's own objects.
    pub(super) async fn check_powers(&self, connected: &Connected, login: &SqlLogin) -> Result<(), CallError> {
        let what = format!("what {} may do", login.user);
        connected.begin();
        let answer = connected.client.query_typed_one(POWERS, &[]).await;
        let row = answer.map_err(|error| connected.failed(&what, &error))?;
        let flag = |index| flag(&self.watch, &row, index, &what);
        let [superuser, files, programs] = [flag(0)?, flag(1)?, flag(2)?];
        let held = [superuser, files && !superuser, programs && !superuser];
        let over = LoginPower::ALL.into_iter().zip(held).find(|(power, held)| *held && !login.may.contains(power));
        match over {
            None => Ok(()),
            Some((power, _)) => Err(Fault::denied(format!(
                "the login {} {}: use one without that power, or grant it by name with login-may: [{}]",
                login.user,
                match power {
                    LoginPower::Superuser => "is a superuser",
                    LoginPower::WriteServerFiles => "may write files of the server",
                    LoginPower::ExecuteServerProgram => "may run programs on the server",
                },
                power.word()
            ))
            .into()),
        }
    }
}

/// What the roles of a session may do: the one that logged in, and the one that acts.
const POWERS: &str = "select pg_catalog.bool_or(r.rolsuper), \
     pg_catalog.bool_or(pg_catalog.pg_has_role(r.oid, 'pg_write_server_files', 'member')), \
     pg_catalog.bool_or(pg_catalog.pg_has_role(r.oid, 'pg_execute_server_program', 'member')) \
     from pg_catalog.pg_roles r where r.rolname in (current_user, session_user)";

fn in_time<T>(
    connecting: Result<Result<T, tokio_postgres::Error>, tokio::time::error::Elapsed>,
    what: &str,
    meter: &Meter,
    watch: &Watch,
) -> Result<T, CallError> {
    connecting.map_err(|_| Fault::new(FaultKind::Unavailable, format!("{what}: the login takes too long")))?.map_err(
        |error| match measured(meter, watch, what, &error) {
            // A database that takes no connections at the moment says so with a code that has other meanings later.
            CallError::Fault(fault) if error.code() == Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE) => {
                Fault { kind: FaultKind::Unavailable, ..fault }.into()
            }
            other => other,
        },
    )
}

/// What an error means. Where the server said too much, that is the reason, whatever became of the connection then.
fn measured(meter: &Meter, watch: &Watch, what: &str, error: &tokio_postgres::Error) -> CallError {
    match meter.broken() {
        Some(reason) => Fault::denied(format!("{what}: {reason}")).into(),
        None => call_error(watch, what, error),
    }
}

fn unreachable(server: &raito_core::grant::SqlServer, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Unavailable, format!("{server} cannot be reached: {error}"))
}

/// Starts the task that drives a connection and keeps a warning that nothing was done.
fn drive<S, T>(
    client: Client,
    mut connection: tokio_postgres::Connection<S, T>,
    address: SocketAddr,
    (meter, watch): (Arc<Meter>, Arc<Watch>),
) -> Connected
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let warning = Warning::default();
    let kept = Arc::clone(&warning);
    let driver = tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notice(notice))) if NOTHING_DONE.contains(&notice.code().code()) => {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.get_or_insert_with(|| notice.message().to_owned());
                }
                Some(Ok(_)) => {}
                // The client sees the same end in its own calls.
                Some(Err(_)) | None => return,
            }
        }
    });
    Connected { client, address, has_rested: false, warning, meter, watch, driver }
}
