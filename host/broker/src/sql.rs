//! SQL for PostgreSQL: connections that the host opens, reads that cannot write, writes in one transaction.
//!
//! What the host sends by itself, besides the statements of the vocabulary: BEGIN with the settings of
//! the transaction, COMMIT and ROLLBACK; the questions what the login may do and what the names in
//! statements mean; and after each read the question whether its transaction is still the one that
//! cannot write.

mod cell;
mod connect;
mod error;
mod frame;
mod proof;
mod read;
mod settings;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use raito_core::grant::{SqlGrant, Tls, WRITE_PASSWORD};
use raito_core::leak::Watch;
use raito_core::sql::read::Uses;
use raito_core::text::Ident;
use raito_core::vocabulary::{BindType, BindValue, SqlRequest, Statement};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::budget::SlotBudget;
use crate::target::SlotMaterial;
use crate::tls;
use raito_core::secret::Secret;

pub(crate) use connect::Connected;
pub(crate) use read::{OpenRows, ReadSession};
pub(crate) use write::{WriteSession, statements};

/// Everything that one SQL slot of a target needs.
pub(crate) struct SqlSlot {
    pub(crate) grant: SqlGrant,
    pub(crate) statements: BTreeMap<Ident, Statement>,
    /// Every name that a read statement of the slot looks up.
    uses: Uses,
    pub(crate) budget: SlotBudget,
    read_password: Option<Secret>,
    write_password: Option<Secret>,
    tls: Option<MakeRustlsConnect>,
    watch: Arc<Watch>,
    /// Connections of the reader that no step needs at the moment, by database.
    resting: Mutex<HashMap<String, Connected>>,
}

impl SqlSlot {
    /// Makes what connections of a slot need.
    pub(crate) fn new(
        grant: SqlGrant,
        statements: BTreeMap<Ident, Statement>,
        material: &SlotMaterial,
        watch: Arc<Watch>,
    ) -> Result<Self, String> {
        let check = match grant.tls {
            Tls::VerifyFull => Some(tls::Check::Full),
            Tls::VerifyCa => Some(tls::Check::Authority),
            Tls::Off => None,
        };
        let authorities = material.files.get("ca").map(Vec::as_slice);
        let client = check
            .map(|check| tls::client(authorities, material.identity(), check))
            .transpose()
            .map_err(|error| error.to_string())?;
        let mut uses = Uses::default();
        statements.values().filter_map(Statement::read).for_each(|read| uses.merge(&read.uses));
        Ok(Self {
            grant,
            statements,
            uses,
            budget: SlotBudget::default(),
            read_password: material.secrets.get("password").cloned(),
            write_password: material.secrets.get(WRITE_PASSWORD).cloned(),
            tls: client.map(MakeRustlsConnect::new),
            watch,
            resting: Mutex::default(),
        })
    }

    /// A database of the slot, for people.
    fn place(&self, database: &str) -> String {
        format!("{} database {}", self.grant.server, raito_core::text::escape(database))
    }

    /// The database that a call means: the one that it names, or the only one.
    pub(crate) fn database(&self, at: Option<&str>) -> Result<String, String> {
        match (at, self.grant.databases.as_slice()) {
            (Some(name), databases) if databases.iter().any(|database| database == name) => Ok(name.to_owned()),
            (Some(name), _) => Err(format!("database {} is not granted", raito_core::text::excerpt(name, 64))),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err("several databases are granted: the call must say at which one".to_owned()),
        }
    }
}

/// The values of parameters, each with the type in which it travels.
fn typed_parameters(request: &SqlRequest) -> Vec<(Box<dyn ToSql + Sync + Send>, Type)> {
    let typed = |(kind, value): &(BindType, BindValue)| -> (Box<dyn ToSql + Sync + Send>, Type) {
        let type_of = match kind {
            BindType::Text => Type::TEXT,
            BindType::Bigint => Type::INT8,
            BindType::Boolean => Type::BOOL,
            BindType::TextArray => Type::TEXT_ARRAY,
        };
        let value: Box<dyn ToSql + Sync + Send> = match (kind, value) {
            (_, BindValue::Text(text)) => Box::new(text.clone()),
            (_, BindValue::Bigint(number)) => Box::new(*number),
            (_, BindValue::Boolean(flag)) => Box::new(*flag),
            (_, BindValue::TextArray(texts)) => Box::new(texts.clone()),
            (BindType::Text, BindValue::Null) => Box::new(None::<String>),
            (BindType::Bigint, BindValue::Null) => Box::new(None::<i64>),
            (BindType::Boolean, BindValue::Null) => Box::new(None::<bool>),
            (BindType::TextArray, BindValue::Null) => Box::new(None::<Vec<String>>),
        };
        (value, type_of)
    };
    request.parameters.iter().map(typed).collect()
}

/// Bytes of a statement with its parameters.
pub(crate) fn size(request: &SqlRequest) -> u64 {
    let value = |(_, value): &(_, BindValue)| match value {
        BindValue::Null | BindValue::Boolean(_) => 1,
        BindValue::Bigint(_) => 8,
        BindValue::Text(text) => text.len(),
        BindValue::TextArray(texts) => texts.iter().map(|text| text.len() + 4).sum(),
    };
    (request.text.size() + request.parameters.iter().map(value).sum::<usize>()) as u64
}
