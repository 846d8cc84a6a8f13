//! Proof that the names in statements mean the server's own objects.
//!
//! A statement that passed the gate names functions, operators, types and relations of `pg_catalog`. A
//! superuser, or an extension, can put another function of the same name beside the server's own, which
//! the server could then choose. So before anything is read of a database, one query proves that no
//! candidate of any statement was made by a user: the server's own objects have numbers below 16,384.
//! Where statements read an extension or relations of users, it is proved that these are what the
//! manifest says as well, since `alias.name` of a column that is not there calls a function.

use std::collections::{BTreeMap, BTreeSet};

use raito_core::fault::Fault;
use raito_core::sql::postgresql::FIRST_USER_OID;
use raito_core::sql::read::tree::Place;
use raito_core::sql::read::{Relation, Uses, relation_name};
use tokio_postgres::types::{ToSql, Type};

use super::Connected;
use crate::told::{CallError, excerpt};

/// What is known of a database for the statements of a slot.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The schema of each extension that is there as it should be.
    schemas: BTreeMap<String, String>,
    /// Columns of relations that are no part of the server's own lists.
    columns: BTreeSet<(String, String, String)>,
}

/// User-defined objects that a name of a statement could mean. A cast applies wherever both of its types
/// are there, so any between two of the server's own types counts.
fn candidates() -> String {
    // Both sides of each comparison have the type of an operator that the server has itself: another one
    // of a user, which would fit better, cannot be there.
    let first = format!("'{FIRST_USER_OID}'::oid");
    let own = "'pg_catalog'::regnamespace::oid";
    // Comparing for ORDER BY, DISTINCT, GROUP BY and arrays goes by types, through these two methods.
    let methods = "'403'::oid, '405'::oid";
    format!(
        "select 'function', p.proname::text from pg_catalog.pg_proc p \
         where p.oid >= {first} and p.pronamespace = {own} and p.proname = any ($1) \
         union all select 'operator', o.oprname::text from pg_catalog.pg_operator o \
         where o.oid >= {first} and o.oprnamespace = {own} and o.oprname = any ($2) \
         union all select 'type', t.typname::text from pg_catalog.pg_type t \
         where t.oid >= {first} and t.typnamespace = {own} and t.typname = any ($3) \
         union all select 'relation', c.relname::text from pg_catalog.pg_class c \
         where c.oid >= {first} and c.relnamespace = {own} and c.relname = any ($4) \
         union all select 'cast', pg_catalog.format_type(k.castsource, null) || ' to ' || pg_catalog.format_type(k.casttarget, null) \
         from pg_catalog.pg_cast k where k.oid >= {first} and k.castsource < {first} and k.casttarget < {first} \
         union all select 'default operator class', s.opcname::text from pg_catalog.pg_opclass s \
         where s.oid >= {first} and s.opcintype < {first} and s.opcdefault and s.opcmethod in ({methods}) \
         union all select 'member of an operator family for', pg_catalog.format_type(m.amoplefttype, null) \
         from pg_catalog.pg_amop m where m.oid >= {first} and m.amopfamily < {first} and m.amopmethod in ({methods}) \
           and m.amoplefttype < {first} and m.amoprighttype < {first} \
         union all select 'member of an operator family for', pg_catalog.format_type(r.amproclefttype, null) \
         from pg_catalog.pg_amproc r where r.oid >= {first} and r.amprocfamily < {first} \
           and r.amproclefttype < {first} and r.amprocrighttype < {first} limit 1"
    )
}

/// Extensions whose functions are all written in C and belong to it, with their schema and the columns
/// that all of these have. Only a superuser makes a function in C.
const EXTENSIONS: &str = "select e.extname::text, n.nspname::text, p.proname::text, \
     d.objid is not null and l.lanname = 'c', p.proargnames \
     from pg_catalog.pg_extension e \
     join pg_catalog.pg_namespace n on n.oid = e.extnamespace \
     join pg_catalog.pg_proc p on p.pronamespace = n.oid and p.proname = any ($2) \
     join pg_catalog.pg_language l on l.oid = p.prolang \
     left join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid \
       and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e' \
     where e.extname = any ($1)";

/// Columns of tables and materialised views: what else can be read is a query of its owner.
const COLUMNS: &str = "select n.nspname::text, c.relname::text, a.attname::text \
     from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
     join pg_catalog.pg_attribute a on a.attrelid = c.oid \
     where n.nspname || '.' || c.relname = any ($1) and a.attnum > 0 and not a.attisdropped \
       and (c.relkind in ('r', 'p', 'm') or c.oid < 16384)";

impl Proof {
    /// Asks a database about everything that `uses` names.
    ///
    /// # Errors
    /// A fault where a name could mean an object that a user made.
    pub(super) async fn of(connected: &Connected, uses: &Uses, what: &str) -> Result<Self, CallError> {
        refuse_candidates(connected, uses, what).await?;
        let mut proof = Self::default();
        proof.extensions(connected, uses, what).await?;
        proof.relations(connected, uses, what).await?;
        Ok(proof)
    }

    async fn extensions(&mut self, connected: &Connected, uses: &Uses, what: &str) -> Result<(), CallError> {
        let of_extension = uses.functions.iter().filter_map(|function| match &function.place {
            Some(Place::Extension(extension)) => {
                Some((extension.as_str().to_owned(), function.name.as_str().to_owned()))
            }
            _ => None,
        });
        let wanted: BTreeSet<(String, String)> = of_extension.collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let names = |of: fn(&(String, String)) -> &String| -> Vec<String> { wanted.iter().map(of).cloned().collect() };
        let (extensions, functions) = (names(|wanted| &wanted.0), names(|wanted| &wanted.1));
        let rows = ask(connected, EXTENSIONS, &[&extensions, &functions], what).await?;
        let mut unsound: BTreeSet<String> = BTreeSet::new();
        for row in &rows {
            let texts = (row.try_get::<_, String>(0), row.try_get::<_, String>(1), row.try_get::<_, String>(2));
            let (Ok(extension), Ok(schema), Ok(function)) = texts else { continue };
            if !wanted.contains(&(extension.clone(), function.clone())) {
                continue;
            }
            let columns: Vec<String> = row.try_get::<_, Option<Vec<String>>>(4).ok().flatten().unwrap_or_default();
            let known = raito_core::sql::postgresql::extension_columns(&extension, &function).unwrap_or_default();
            let has_all = known.iter().all(|column| columns.iter().any(|other| other == column));
            if !row.try_get::<_, bool>(3).unwrap_or(false) || !has_all {
                unsound.insert(extension.clone());
            }
            self.schemas.insert(extension, schema);
        }
        self.schemas.retain(|extension, _| !unsound.contains(extension));
        Ok(())
    }

    async fn relations(&mut self, connected: &Connected, uses: &Uses, what: &str) -> Result<(), CallError> {
        let wanted: Vec<String> = uses
            .unlisted_relations()
            .map(|((schema, name), _)| format!("{}.{}", schema.as_str(), name.as_str()))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for row in ask(connected, COLUMNS, &[&wanted], what).await? {
            if let (Ok(schema), Ok(relation), Ok(column)) = (row.try_get(0), row.try_get(1), row.try_get(2)) {
                self.columns.insert((schema, relation, column));
            }
        }
        Ok(())
    }

    /// The schema of an extension.
    pub(super) fn schema_of(&self, extension: &str) -> Option<&str> {
        self.schemas.get(extension).map(String::as_str)
    }

    /// Says why a statement cannot be sent to this database; none where it can.
    pub(super) fn refuses(&self, uses: &Uses, has_guard: bool) -> Option<String> {
        let foreign = uses.foreign_relations().next();
        if let (Some((relation, _)), false) = (foreign, has_guard) {
            return Some(format!(
                "it reads {}, and this server cannot be kept from running code of its owner: it needs PostgreSQL 15.8, \
                 16.4 or 17",
                relation_name(relation)
            ));
        }
        let missing = |(relation, columns): (&Relation, Vec<&str>)| {
            let (schema, name) = (relation.0.as_str(), relation.1.as_str());
            let is_missing =
                |column: &&str| !self.columns.contains(&(schema.to_owned(), name.to_owned(), (*column).to_owned()));
            let column = columns.into_iter().find(is_missing)?;
            Some(format!("it reads {column} of {}, which is no column of a table there", relation_name(relation)))
        };
        uses.unlisted_relations().find_map(missing)
    }
}

async fn refuse_candidates(connected: &Connected, uses: &Uses, what: &str) -> Result<(), CallError> {
    // A column that this server's version does not have would be a call, with the whole row.
    let columns = uses.relations.values().flatten().map(|column| column.as_str());
    let called = uses.functions.iter().filter(|function| function.place.is_none());
    let functions: BTreeSet<&str> = called.map(|function| function.name.as_str()).chain(columns).collect();
    let functions: Vec<&str> = functions.into_iter().collect();
    let operators: Vec<&str> = uses.operators.iter().copied().collect();
    let types: Vec<&str> = uses.types.iter().map(|kind| kind.catalogue_name()).collect();
    let relations: Vec<&str> = uses
        .relations
        .keys()
        .filter(|(schema, _)| schema.as_str() == "pg_catalog")
        .map(|(_, name)| name.as_str())
        .collect();
    let rows = ask(connected, &candidates(), &[&functions, &operators, &types, &relations], what).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let text = |index| row.try_get::<_, String>(index).unwrap_or_default();
    let (kind, name) = (text(0), excerpt(connected.watch(), &text(1), 80)?);
    Err(Fault::denied(format!(
        "{what}: somebody has put the {kind} {name} beside the server's own: a statement that only reads could run it. Drop \
         it, or do not read this database"
    ))
    .into())
}

/// Runs a question of the host itself, whose parameters are lists of texts.
async fn ask(
    connected: &Connected,
    text: &str,
    lists: &[&(dyn ToSql + Sync)],
    what: &str,
) -> Result<Vec<tokio_postgres::Row>, CallError> {
    connected.begin();
    let typed: Vec<(&(dyn ToSql + Sync), Type)> = lists.iter().map(|list| (*list, Type::TEXT_ARRAY)).collect();
    connected.client.query_typed(text, &typed).await.map_err(|error| connected.failed(what, &error))
}
