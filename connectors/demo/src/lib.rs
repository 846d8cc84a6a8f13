//! The connector of the demo warehouse, and the template for others: the exports are thin, and everything that turns
//! answers into records, or changes into calls, is a plain function with a test.

mod access;
mod changes;
mod description;
mod identities;
mod lists;
mod objects;
mod usage;

use raito_sdk::{
    Context, Fault, Reader, access_from_target, access_to_target, data_source, data_usage, identity_store,
};

/// The connector.
pub struct Demo;

impl identity_store::Guest for Demo {
    type Reader = Reader<identity_store::Page>;

    fn open(context: Context) -> Result<identity_store::Reader, Fault> {
        Ok(identity_store::Reader::new(Reader::new(identities::Identities::new(&context)?)))
    }
}

impl data_source::Guest for Demo {
    type Reader = Reader<data_source::Page>;

    fn describe(_context: Context) -> Result<data_source::Description, Fault> {
        description::describe()
    }

    fn open(context: Context, under: Option<String>) -> Result<data_source::Reader, Fault> {
        Ok(data_source::Reader::new(Reader::new(objects::Objects::new(&context, under))))
    }
}

impl access_from_target::Guest for Demo {
    type Reader = Reader<access_from_target::Page>;

    fn open(context: Context) -> Result<access_from_target::Reader, Fault> {
        Ok(access_from_target::Reader::new(Reader::new(access::Controls::new(&context))))
    }
}

impl access_to_target::Guest for Demo {
    fn apply(
        _context: Context,
        changes: Vec<access_to_target::ChangeSet>,
    ) -> Result<Vec<access_to_target::Applied>, Fault> {
        Ok(changes.iter().map(changes::apply).collect())
    }
}

impl data_usage::Guest for Demo {
    type Reader = usage::UsageReader;

    fn open(context: Context, since_ms: Option<u64>) -> Result<data_usage::Reader, Fault> {
        Ok(data_usage::Reader::new(usage::UsageReader::new(&context, since_ms)?))
    }
}

#[cfg(target_family = "wasm")]
mod export {
    use super::Demo;
    raito_sdk::export_identity_store!(Demo);
    raito_sdk::export_data_source!(Demo);
    raito_sdk::export_access_from_target!(Demo);
    raito_sdk::export_access_to_target!(Demo);
    raito_sdk::export_data_usage!(Demo);
}
