//! Looking into a component that nobody trusts: in a process that holds nothing, runs nothing of it
//! and ends.
//!
//! What it has to do with others is parsed there, by the parsers of the compiler. The host takes
//! the manifest out of the bytes itself, and believes the process only in what does no harm when it
//! is wrong: which interfaces to link, and which steps to offer.

use bytes::Bytes;
use raito_core::digest::Digest;
use raito_sandbox::Inspected;

use crate::cache::CodeCache;
use crate::code::Code;
use crate::launch::Launcher;
use crate::process::{InspectionError, Process};

/// Looks into a component. What was found is kept, where there is a cache, and a component that is
/// known by its digest is only hashed.
///
/// # Errors
/// `InspectionError` where there is no process, it is lost, or the component is no connector.
pub async fn inspect(
    launcher: &Launcher,
    component: Vec<u8>,
    cache: Option<&CodeCache>,
) -> Result<Inspected, InspectionError> {
    let bytes = Bytes::from(component);
    let digest = Digest::of(&bytes);
    if let Some(outline) = cache.and_then(|cache| cache.outline(digest)) {
        return Ok(Inspected::new(bytes, digest, outline)?);
    }
    let mut process = Process::start(launcher).await.map_err(InspectionError::Start)?;
    let outline = process.outline(&Code::from(bytes.clone())).await?;
    let inspected = Inspected::new(bytes, digest, outline.clone())?;
    if let Some(cache) = cache {
        cache.put_outline(digest, &outline);
    }
    Ok(inspected)
}
