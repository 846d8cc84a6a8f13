//! Pages of step 2.

use raito_core::limits;
use raito_core::record::{DataObject, ObjectPage, Page, Rights};

use super::{Lifted, check_size, list, object_ref, optional, page, tags, text};
use crate::bindings::exports::raito::connector::data_source as wit;

pub(crate) fn object_page(given: wit::Page) -> Lifted<Page<ObjectPage>> {
    check_size(given.objects.len())?;
    let records = ObjectPage { objects: list("objects", limits::PAGE_RECORDS, given.objects, data_object)? };
    page(records, given.gaps, given.resume)
}

fn data_object(object: wit::DataObject) -> Lifted<DataObject> {
    Ok(DataObject {
        external_id: text("external-id", object.external_id)?,
        name: text("name", object.name)?,
        object: object_ref(object.ref_).map_err(|bad| bad.within("ref"))?,
        description: text("description", object.description)?,
        parent_external_id: optional("parent-external-id", object.parent_external_id)?,
        data_type: optional("data-type", object.data_type)?,
        reads: list("reads", limits::READS, object.reads, object_ref)?,
        rights: match object.rights {
            wit::Rights::Caller => Rights::Caller,
            wit::Rights::Owner => Rights::Owner,
            wit::Rights::Nobody => Rights::Nobody,
        },
        tags: tags(object.tags)?,
    })
}
