//! The connector of PostgreSQL. It reads the catalogue and tells facts: who owns what, who was granted what by whom, who
//! is a member of which role with which options. Nothing is concluded here; that is the host's work, from the description.

mod access;
mod attributes;
mod changes;
mod cluster;
mod dependents;
mod description;
mod identities;
mod keyset;
mod names;
mod objects;
mod policies;
mod privileges;
mod references;
mod roles;
mod rules;
mod unlisted;
mod usage;
mod walk;

use raito_sdk::{
    Context, Fault, Reader, access_from_target, access_to_target, data_source, data_usage, identity_store,
};

/// The connector.
pub struct Postgresql;

impl identity_store::Guest for Postgresql {
    type Reader = Reader<identity_store::Page>;

    fn open(context: Context) -> Result<identity_store::Reader, Fault> {
        Ok(identity_store::Reader::new(Reader::new(identities::Identities::open(&context)?)))
    }
}

impl data_source::Guest for Postgresql {
    type Reader = Reader<data_source::Page>;

    fn describe(context: Context) -> Result<data_source::Description, Fault> {
        description::describe(&context)
    }

    fn open(context: Context, under: Option<String>) -> Result<data_source::Reader, Fault> {
        Ok(data_source::Reader::new(Reader::new(objects::Objects::open(&context, under)?)))
    }
}

impl access_from_target::Guest for Postgresql {
    type Reader = Reader<access_from_target::Page>;

    fn open(context: Context) -> Result<access_from_target::Reader, Fault> {
        Ok(access_from_target::Reader::new(Reader::new(access::Controls::open(&context)?)))
    }
}

impl access_to_target::Guest for Postgresql {
    fn apply(
        context: Context,
        changes: Vec<access_to_target::ChangeSet>,
    ) -> Result<Vec<access_to_target::Applied>, Fault> {
        let carrier = changes::Carrier::new(&context, &changes)?;
        Ok(carrier.apply_all(&changes))
    }
}

impl data_usage::Guest for Postgresql {
    type Reader = usage::UsageReader;

    fn open(context: Context, since_ms: Option<u64>) -> Result<data_usage::Reader, Fault> {
        Ok(data_usage::Reader::new(usage::UsageReader::open(&context, since_ms)?))
    }
}

#[cfg(target_family = "wasm")]
mod export {
    use super::Postgresql;
    raito_sdk::export_identity_store!(Postgresql);
    raito_sdk::export_data_source!(Postgresql);
    raito_sdk::export_access_from_target!(Postgresql);
    raito_sdk::export_access_to_target!(Postgresql);
    raito_sdk::export_data_usage!(Postgresql);
}
