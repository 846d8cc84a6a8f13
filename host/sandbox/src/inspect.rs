//! Looking at a component without running or compiling anything of it.
//!
//! The bytes are read once by the caller; what is inspected here is what is compiled later. The order is: size, form,
//! validation, function bodies, manifest, imports and exports. A hostile file costs at most a pass over its bytes.

use std::sync::Arc;

use raito_core::digest::Digest;
use raito_core::limits;
use raito_core::manifest::{Manifest, ManifestError, SECTION};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

/// Why a file is no connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// It is larger than a component may be.
    #[error("the file has {bytes} bytes, and a component may have {}", limits::COMPONENT_BYTES)]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// It is something else.
    #[error("the file is no WebAssembly component: {0}")]
    NotAComponent(String),
    /// It does not follow the rules of WebAssembly, or uses what connectors may not use.
    #[error("the component is not valid: {0}")]
    Invalid(String),
    /// One of its functions would take too long to compile.
    #[error("a function of the component has {bytes} bytes, and at most {} are allowed", limits::FUNCTION_BODY_BYTES)]
    FunctionTooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// It is made of too many modules.
    #[error("the component has more than {} core modules", limits::CORE_MODULES)]
    TooManyModules,
    /// It has no manifest.
    #[error("the component has no manifest: append one with `raito connector pack`")]
    NoManifest,
    /// It has more than one.
    #[error("the component has more than one manifest")]
    TwoManifests,
    /// The manifest is no UTF-8.
    #[error("the manifest is not UTF-8")]
    ManifestText,
    /// The manifest has mistakes.
    #[error("the manifest has mistakes:\n{}", .0.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n"))]
    Manifest(Vec<ManifestError>),
}

/// What is known of a component.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Their digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// The manifest as it stands in the component.
    pub manifest_text: String,
    /// The interfaces that it imports, sorted.
    pub imports: Vec<String>,
    /// The interfaces that it exports, sorted.
    pub exports: Vec<String>,
}

/// What of WebAssembly a connector may use. Everything that compilers of Rust, Python and JavaScript emit today, and
/// nothing else: no threads, no second address width, no garbage collector, no exceptions.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::GC_TYPES
        | WasmFeatures::CALL_INDIRECT_OVERLONG
        | WasmFeatures::BULK_MEMORY_OPT
}

/// Inspects the bytes of a component.
///
/// # Errors
/// `InspectError` says why they are no connector.
pub fn inspect(bytes: Vec<u8>) -> Result<Inspected, InspectError> {
    if bytes.len() > limits::COMPONENT_BYTES {
        return Err(InspectError::TooLarge { bytes: bytes.len() });
    }
    check_form(&bytes)?;
    let outline = outline(&bytes)?;
    Validator::new_with_features(features())
        .validate_all(&bytes)
        .map_err(|error| InspectError::Invalid(error.message().to_owned()))?;
    let manifest_text = outline.manifest.ok_or(InspectError::NoManifest)?;
    let manifest = Manifest::parse(&manifest_text).map_err(InspectError::Manifest)?;
    let digest = Digest::of(&bytes);
    Ok(Inspected {
        bytes: bytes.into(),
        digest,
        manifest,
        manifest_text,
        imports: outline.imports,
        exports: outline.exports,
    })
}

/// Says what else a file is when it is no component, since people mix these up.
fn check_form(bytes: &[u8]) -> Result<(), InspectError> {
    let not = |what: &str| Err(InspectError::NotAComponent(what.to_owned()));
    if Parser::is_component(bytes) {
        return Ok(());
    }
    if Parser::is_core_wasm(bytes) {
        return not("it is a core module; build it for wasm32-wasip2");
    }
    if bytes.starts_with(b"\x7fELF") {
        return not("it is native code, which is never loaded");
    }
    if bytes.starts_with(b"(") {
        return not("it is WebAssembly text");
    }
    not("it does not begin as one")
}

#[derive(Default)]
struct Outline {
    manifest: Option<String>,
    imports: Vec<String>,
    exports: Vec<String>,
}

/// Walks over all sections: bounds what compiling would cost, and collects manifest, imports and exports of the outermost
/// component.
fn outline(bytes: &[u8]) -> Result<Outline, InspectError> {
    let mut outline = Outline::default();
    let mut depth = 0_u32;
    let mut modules = 0_usize;
    let invalid = |error: wasmparser::BinaryReaderError| InspectError::Invalid(error.message().to_owned());
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } => {
                depth += 1;
                modules += 1;
                if modules > limits::CORE_MODULES {
                    return Err(InspectError::TooManyModules);
                }
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(InspectError::NotAComponent("it is a core module".into()));
            }
            Payload::CodeSectionEntry(body) => {
                let length = body.range().len();
                if length > limits::FUNCTION_BODY_BYTES {
                    return Err(InspectError::FunctionTooLarge { bytes: length });
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                if depth > 0 || outline.manifest.is_some() {
                    return Err(InspectError::TwoManifests);
                }
                let text = std::str::from_utf8(section.data()).map_err(|_| InspectError::ManifestText)?;
                outline.manifest = Some(text.to_owned());
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(import.map_err(invalid)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(export.map_err(invalid)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    outline.imports.sort();
    outline.exports.sort();
    Ok(outline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_named() {
        let said = |bytes: &[u8]| inspect(bytes.to_vec()).expect_err("no component").to_string();
        assert!(said(b"").contains("does not begin"), "{}", said(b""));
        assert!(said(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(said(b"\x7fELF....").contains("native code"));
        assert!(said(b"(component)").contains("text"));
        assert!(said(b"\0asm\x0d\0\x01\0").contains("no manifest"));
        assert!(said(b"\0asm\x0d\0\x01\0\x05").contains("not valid"));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_any_further() {
        let error = inspect(vec![0; limits::COMPONENT_BYTES + 1]).expect_err("too large");
        assert_eq!(error, InspectError::TooLarge { bytes: limits::COMPONENT_BYTES + 1 });
    }
}
