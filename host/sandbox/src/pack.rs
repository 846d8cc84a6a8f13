//! Appending a manifest to a component.

use raito_core::manifest::{Manifest, ManifestError, SECTION};
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::Parser;

use crate::section;

/// Why a manifest cannot be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// The file is no component.
    #[error("the file is no WebAssembly component; build it for wasm32-wasip2")]
    NotAComponent,
    /// The file's sections cannot be read.
    #[error("the component is not valid: its sections do not fit into it")]
    Invalid,
    /// It has a manifest already.
    #[error("the component has a manifest already: build it again and pack that")]
    HasManifest,
    /// The manifest has mistakes.
    #[error("the manifest has mistakes:\n{}", .0.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n"))]
    Manifest(Vec<ManifestError>),
}

/// Gives the component with the manifest appended as a custom section. Whether the result could be
/// a connector is up to whoever inspects it.
///
/// # Errors
/// `PackError` where the file is no component, has a manifest already, or the manifest has
/// mistakes.
pub fn pack(component: &[u8], manifest: &str) -> Result<Vec<u8>, PackError> {
    if !Parser::is_component(component) {
        return Err(PackError::NotAComponent);
    }
    if !section::manifests(component).ok_or(PackError::Invalid)?.is_empty() {
        return Err(PackError::HasManifest);
    }
    Manifest::parse(manifest).map_err(PackError::Manifest)?;
    let mut packed = component.to_vec();
    CustomSection { name: SECTION.into(), data: manifest.as_bytes().into() }.append_to_component(&mut packed);
    Ok(packed)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::Encode as _;

    use super::*;

    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    const MANIFEST: &str = "name = \"a\"\nversion = \"1.0.0\"\nsummary = \"nothing\"\n";

    #[test]
    fn what_was_packed_can_be_inspected() {
        let packed = pack(EMPTY, MANIFEST).expect("packs");
        let inspected = crate::inspect(packed.clone()).expect("a component with a manifest");
        assert_eq!(inspected.manifest.name.as_str(), "a");
        assert_eq!(inspected.manifest_text, MANIFEST);
        assert_eq!(pack(&packed, MANIFEST), Err(PackError::HasManifest));
    }

    #[test]
    fn a_second_manifest_is_refused_wherever_it_stands() {
        let mut twice = pack(EMPTY, MANIFEST).expect("packs");
        let section = twice[EMPTY.len()..].to_vec();
        twice.extend_from_slice(&section);
        assert_eq!(crate::inspect(twice).expect_err("two").to_string(), "the component has more than one manifest");
        let mut nested = pack(EMPTY, MANIFEST).expect("packs");
        let inner = nested.clone();
        nested.push(4);
        inner.encode(&mut nested);
        assert_eq!(crate::inspect(nested).expect_err("nested").to_string(), "the component has more than one manifest");
    }

    #[test]
    fn a_manifest_with_mistakes_is_not_packed() {
        assert!(matches!(pack(EMPTY, "name = 1"), Err(PackError::Manifest(_))));
        assert_eq!(pack(b"\0asm\x01\0\0\0", MANIFEST), Err(PackError::NotAComponent));
    }
}
