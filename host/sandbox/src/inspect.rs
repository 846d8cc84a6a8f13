//! Looking at a component without running or compiling anything of it.
//!
//! The bytes are read once by the caller; what is inspected here is what is compiled later. The order is: size, form,
//! validation, function bodies, manifest, imports and exports. A hostile file costs at most a pass over its bytes.

use std::panic::resume_unwind;
use std::thread;

use bytes::Bytes;
use raito_core::digest::Digest;
use raito_core::limits;
use raito_core::manifest::{Manifest, ManifestError, SECTION};
use wasmparser::{
    BinaryReaderError, Encoding, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

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
    /// It has more to do with others than the contract and WASI have.
    #[error("the component imports or exports more than {} interfaces", limits::INTERFACES)]
    TooManyInterfaces,
    /// The name of an interface is no name.
    #[error("an interface has a name of {bytes} bytes, and at most {} are allowed", limits::INTERFACE_NAME_BYTES)]
    InterfaceName {
        /// How many it has.
        bytes: usize,
    },
    /// The manifest is longer than one may be.
    #[error("the manifest has {bytes} bytes, and at most {} are allowed", limits::MANIFEST_BYTES)]
    ManifestTooLarge {
        /// How many it has.
        bytes: usize,
    },
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
    pub bytes: Bytes,
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
    inspect_known(bytes, |_| false)
}

/// The same, without the bodies of functions where the component is known: where code that it was compiled to is at hand. They
/// are most of the work, a quarter of a second for an interpreter, and whoever compiles them checks them in any case, so that
/// nothing rests on `is_known`.
///
/// # Errors
/// As `inspect`.
pub fn inspect_known(bytes: Vec<u8>, is_known: impl FnOnce(Digest) -> bool) -> Result<Inspected, InspectError> {
    if bytes.len() > limits::COMPONENT_BYTES {
        return Err(InspectError::TooLarge { bytes: bytes.len() });
    }
    check_form(&bytes)?;
    let invalid = |error: BinaryReaderError| InspectError::Invalid(error.message().to_owned());
    let form = || Ok((outline(&bytes)?, validate(&bytes, false).map_err(invalid)?));
    let (digest, form) = match bytes.len() {
        ..LONG => (Digest::of(&bytes), form()),
        LONG.. => thread::scope(|scope| {
            let digest = scope.spawn(|| Digest::of(&bytes));
            let form = form();
            (digest.join().unwrap_or_else(|panic| resume_unwind(panic)), form)
        }),
    };
    let (outline, ()) = form?;
    if !is_known(digest) {
        validate(&bytes, true).map_err(invalid)?;
    }
    let manifest_text = outline.manifest.ok_or(InspectError::NoManifest)?;
    let manifest = Manifest::parse(&manifest_text).map_err(InspectError::Manifest)?;
    Ok(Inspected {
        bytes: bytes.into(),
        digest,
        manifest,
        manifest_text,
        imports: outline.imports,
        exports: outline.exports,
    })
}

/// A component of so many bytes is hashed beside the rest of the work: that is worth a thread.
const LONG: usize = 1 << 20;

/// Whether a component is valid; with the bodies of its functions or without.
fn validate(bytes: &[u8], bodies: bool) -> Result<(), BinaryReaderError> {
    let mut validator = Validator::new_with_features(features());
    let mut allocations = FuncValidatorAllocations::default();
    let mut parser = Parser::new(0);
    parser.set_features(features());
    for payload in parser.parse_all(bytes) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)?
            && bodies
        {
            let mut function = function.into_validator(allocations);
            function.validate(&body)?;
            allocations = function.into_allocations();
        }
    }
    Ok(())
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
                if section.data().len() > limits::MANIFEST_BYTES {
                    return Err(InspectError::ManifestTooLarge { bytes: section.data().len() });
                }
                let text = std::str::from_utf8(section.data()).map_err(|_| InspectError::ManifestText)?;
                outline.manifest = Some(text.to_owned());
            }
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    push_interface(&mut outline.imports, import.map_err(invalid)?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    push_interface(&mut outline.exports, export.map_err(invalid)?.name.name)?;
                }
            }
            _ => {}
        }
    }
    outline.imports.sort();
    outline.exports.sort();
    Ok(outline)
}

/// Adds the name of an interface, within the bounds that keep a list of them short enough to be told.
fn push_interface(all: &mut Vec<String>, name: &str) -> Result<(), InspectError> {
    if name.len() > limits::INTERFACE_NAME_BYTES {
        return Err(InspectError::InterfaceName { bytes: name.len() });
    }
    if all.len() == limits::INTERFACES {
        return Err(InspectError::TooManyInterfaces);
    }
    all.push(name.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, CustomSection,
        Function, FunctionSection, InstanceType, Instruction, Module, ModuleSection, TypeSection,
    };

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
    fn bodies_of_a_known_component_are_left_to_the_compiler_and_nothing_else_is() {
        let with = |body: &[Instruction<'_>], manifest: &str| {
            let mut types = TypeSection::new();
            types.ty().function([], []);
            let mut functions = FunctionSection::new();
            functions.function(0);
            let mut function = Function::new([]);
            body.iter().for_each(|instruction| {
                function.instruction(instruction);
            });
            let mut code = CodeSection::new();
            code.function(&function);
            let mut module = Module::new();
            module.section(&types).section(&functions).section(&code);
            let mut component = Component::new();
            component.section(&ModuleSection(&module));
            component.section(&CustomSection { name: SECTION.into(), data: manifest.as_bytes().into() });
            component.finish()
        };
        let manifest = "name = \"t\"\nversion = \"1.0.0\"\nsummary = \"\"\n";
        let sound = with(&[Instruction::End], manifest);
        assert!(inspect(sound.clone()).is_ok());
        assert!(inspect_known(sound.clone(), |digest| digest == Digest::of(&sound)).is_ok());
        // It drops what it has not.
        let wrong = with(&[Instruction::Drop, Instruction::End], manifest);
        assert!(matches!(inspect(wrong.clone()), Err(InspectError::Invalid(_))));
        assert!(inspect_known(wrong.clone(), |_| true).is_ok());
        let engine = crate::Engine::new().expect("an engine");
        assert!(crate::Compiled::new(&engine, &wrong, &[]).is_err(), "the compiler takes it");
        // Everything else is looked at, known or not.
        assert!(matches!(
            inspect_known(with(&[Instruction::End], "name = 7"), |_| true),
            Err(InspectError::Manifest(_))
        ));
        let mut cut = sound;
        cut.truncate(cut.len() - 3);
        assert!(matches!(inspect_known(cut, |_| true), Err(InspectError::Invalid(_))));
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read_any_further() {
        let error = inspect(vec![0; limits::COMPONENT_BYTES + 1]).expect_err("too large");
        assert_eq!(error, InspectError::TooLarge { bytes: limits::COMPONENT_BYTES + 1 });
    }

    /// A component of as many modules, each with one function of as many bytes.
    fn modules(count: usize, body_bytes: usize) -> Vec<u8> {
        let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
        types.ty().function([], []);
        functions.function(0);
        // A body begins with the number of its locals, and ends with `end`.
        let mut function = Function::new([]);
        for _ in 2..body_bytes {
            function.instruction(&Instruction::Nop);
        }
        code.function(function.instruction(&Instruction::End));
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&code);
        let mut component = Component::new();
        for _ in 0..count {
            component.section(&ModuleSection(&module));
        }
        component.finish()
    }

    #[test]
    fn what_would_take_too_long_to_compile_is_refused_before_that() {
        let said = |bytes: Vec<u8>| inspect(bytes).expect_err("no manifest");
        let cap = limits::FUNCTION_BODY_BYTES;
        assert_eq!(said(modules(1, cap)), InspectError::NoManifest);
        assert_eq!(said(modules(1, cap + 1)), InspectError::FunctionTooLarge { bytes: cap + 1 });
        assert_eq!(said(modules(limits::CORE_MODULES, 2)), InspectError::NoManifest);
        assert_eq!(said(modules(limits::CORE_MODULES + 1, 2)), InspectError::TooManyModules);
    }

    #[test]
    fn a_list_of_interfaces_that_could_not_be_told_is_refused() {
        let imports = |names: &[String]| {
            let (mut types, mut section) = (ComponentTypeSection::new(), ComponentImportSection::new());
            types.instance(&InstanceType::new());
            for name in names {
                section.import(name, ComponentTypeRef::Instance(0));
            }
            let mut component = Component::new();
            component.section(&types).section(&section);
            inspect(component.finish()).expect_err("no manifest")
        };
        let names = |count: usize| (0..count).map(|number| format!("a:b/c{number}")).collect::<Vec<_>>();
        assert_eq!(imports(&names(limits::INTERFACES)), InspectError::NoManifest);
        assert_eq!(imports(&names(limits::INTERFACES + 1)), InspectError::TooManyInterfaces);
        let long = format!("wasi:cli/environment@0.2.0+{}", "9".repeat(90_000));
        assert_eq!(imports(std::slice::from_ref(&long)), InspectError::InterfaceName { bytes: long.len() });
    }

    #[test]
    fn a_manifest_is_looked_at_within_its_bounds() {
        let mut component = Component::new();
        let data = vec![b' '; limits::MANIFEST_BYTES + 1];
        component.section(&CustomSection { name: SECTION.into(), data: data.as_slice().into() });
        let error = inspect(component.finish()).expect_err("too long");
        assert_eq!(error, InspectError::ManifestTooLarge { bytes: limits::MANIFEST_BYTES + 1 });
    }
}
