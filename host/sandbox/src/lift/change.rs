//! What a guest says of the changes that it carried out.

use raito_core::fault::BadRecord;
use raito_core::limits;
use raito_core::record::Applied;

use super::{Lifted, optional, text, texts};
use crate::bindings::exports::raito::connector::access_to_target as wit;
use crate::host::host_fault;

/// An answer to a change-set of this many changes.
pub(crate) fn applied(given: wit::Applied, changes: usize) -> Lifted<Applied> {
    let done = usize::try_from(given.done).unwrap_or(usize::MAX);
    if done > changes || (given.fault.is_none() && done != changes) {
        let reason = format!(
            "{done} of {changes} changes done {} a fault",
            if given.fault.is_some() { "with" } else { "without" }
        );
        return Err(BadRecord::new("done", reason));
    }
    Ok(Applied {
        external_id: optional("external-id", given.external_id)?,
        actual_name: text("actual-name", given.actual_name)?,
        done: given.done,
        fault: given.fault.map(host_fault),
        warnings: texts("warnings", limits::FACT_PERMISSIONS, given.warnings)?,
    })
}
