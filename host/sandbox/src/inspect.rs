//! Looking at a component without running or compiling anything of it.
//!
//! The order is: size, form, nesting, validation, function bodies, imports and exports
//! (`look_into`); then the manifest, which the host finds in the bytes itself (`Inspected::new`).
//! The first part reads a hostile file with parsers that are not ours, so it has a process of its
//! own where the system has that. The bytes are read once by the caller; what is inspected here is
//! what is compiled later.

use bytes::Bytes;
use raito_core::digest::{Digest, Hasher};
use raito_core::limits;
use raito_core::manifest::{Manifest, ManifestError, SECTION};
use serde::{Deserialize, Serialize};
use wasmparser::{
    BinaryReaderError, Encoding, FuncValidatorAllocations, Parser, Payload, ValidPayload, Validator, WasmFeatures,
};

use crate::nesting;
use crate::section;

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
    /// Its types nest too deep.
    #[error("types of the component nest more than {} levels", limits::COMPONENT_TYPE_DEPTH)]
    TooDeep,
    /// It is made of too many modules.
    #[error("the component has more than {} core modules", limits::CORE_MODULES)]
    TooManyModules,
    /// It is made of too many components.
    #[error("the component has more than {} components inside", limits::COMPONENTS)]
    TooManyComponents,
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
#[derive(Debug, Clone, PartialEq)]
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

/// What a component has to do with others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outline {
    /// The interfaces that it imports, sorted.
    pub imports: Vec<String>,
    /// The interfaces that it exports, sorted.
    pub exports: Vec<String>,
}

impl Outline {
    /// Refuses lists that are longer than those of any component that was looked into.
    fn check(&self) -> Result<(), InspectError> {
        for names in [&self.imports, &self.exports] {
            if names.len() > limits::INTERFACES {
                return Err(InspectError::TooManyInterfaces);
            }
            names.iter().try_for_each(|name| check_interface(name))?;
        }
        Ok(())
    }
}

impl Inspected {
    /// A component that was looked into, with the manifest that stands in its bytes. The outline
    /// may come from a process that nobody trusts: it says which interfaces to link, and a
    /// component that imports others does not start.
    ///
    /// # Errors
    /// `InspectError` where there is no manifest, more than one, or one with mistakes.
    pub fn new(bytes: Bytes, digest: Digest, outline: Outline) -> Result<Self, InspectError> {
        outline.check()?;
        let found = section::manifests(&bytes);
        let found = found.ok_or_else(|| InspectError::Invalid("its sections do not fit into it".to_owned()))?;
        let manifest = match found.as_slice() {
            [] => return Err(InspectError::NoManifest),
            [one] => *one,
            _ => return Err(InspectError::TwoManifests),
        };
        if manifest.len() > limits::MANIFEST_BYTES {
            return Err(InspectError::ManifestTooLarge { bytes: manifest.len() });
        }
        let manifest_text = std::str::from_utf8(manifest).map_err(|_| InspectError::ManifestText)?.to_owned();
        let manifest = Manifest::parse(&manifest_text).map_err(InspectError::Manifest)?;
        Ok(Self { bytes, digest, manifest, manifest_text, imports: outline.imports, exports: outline.exports })
    }
}

/// Inspects the bytes of a component in this process.
///
/// # Errors
/// `InspectError` says why they are no connector.
pub fn inspect(bytes: Vec<u8>) -> Result<Inspected, InspectError> {
    let outline = look_into(&bytes)?;
    let digest = Digest::of(&bytes);
    Inspected::new(bytes.into(), digest, outline)
}

/// Reads a component with the parsers that the compiler uses, and says what it has to do with
/// others. Nothing of it is compiled or run.
///
/// # Errors
/// `InspectError` says why the bytes are no component that could be a connector. Whether there is a
/// manifest is up to `Inspected::new`; here it is only seen to that no nested component has one.
pub fn look_into(bytes: &[u8]) -> Result<Outline, InspectError> {
    check_size(bytes)?;
    check_form(bytes)?;
    let outline = outline(bytes)?;
    validate(bytes).map_err(|error| InspectError::Invalid(error.message().to_owned()))?;
    Ok(outline)
}

/// A digest of the rules above: what was found of a component holds as long as these are the same.
pub fn inspection_rules() -> Digest {
    /// Raised when the rules change and no bound does.
    const VERSION: u64 = 1;
    let bounds = [
        limits::COMPONENT_BYTES,
        limits::COMPONENT_TYPE_DEPTH,
        limits::COMPONENTS,
        limits::CORE_MODULES,
        limits::FUNCTION_BODY_BYTES,
        limits::INTERFACES,
        limits::INTERFACE_NAME_BYTES,
    ];
    let mut hasher = Hasher::default();
    for number in bounds.map(|bound| bound as u64).into_iter().chain([VERSION, features().bits()]) {
        hasher.update(&number.to_be_bytes());
    }
    hasher.finish()
}

fn check_size(bytes: &[u8]) -> Result<(), InspectError> {
    if bytes.len() > limits::COMPONENT_BYTES {
        return Err(InspectError::TooLarge { bytes: bytes.len() });
    }
    Ok(())
}

/// A parser that takes what a connector may use, and numbers from the beginning of the file.
fn parser() -> Parser {
    let mut parser = Parser::new(0);
    parser.set_features(features());
    parser
}

/// Whether a component is valid, the bodies of its functions too.
fn validate(bytes: &[u8]) -> Result<(), BinaryReaderError> {
    let mut validator = Validator::new_with_features(features());
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser().parse_all(bytes) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
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

/// Goes over all sections: bounds what parsing and compiling would cost, and collects imports and
/// exports of the outermost component.
fn outline(bytes: &[u8]) -> Result<Outline, InspectError> {
    let mut outline = Outline { imports: Vec::new(), exports: Vec::new() };
    let (mut depth, mut modules, mut components) = (0_usize, 0_usize, 0_usize);
    let invalid = |error: BinaryReaderError| InspectError::Invalid(error.message().to_owned());
    for payload in parser().parse_all(bytes) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } => {
                depth += 1;
                modules += 1;
                if modules > limits::CORE_MODULES {
                    return Err(InspectError::TooManyModules);
                }
            }
            Payload::ComponentSection { .. } => {
                depth += 1;
                components += 1;
                if components > limits::COMPONENTS {
                    return Err(InspectError::TooManyComponents);
                }
            }
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
            Payload::CustomSection(section) if section.name() == SECTION && depth > 0 => {
                return Err(InspectError::TwoManifests);
            }
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let content = bytes.get(range.clone()).unwrap_or_default();
                if !nesting::is_shallow(content, range.start).map_err(invalid)? {
                    return Err(InspectError::TooDeep);
                }
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

/// Adds the name of an interface, within the bounds that keep a list of them short enough to be
/// shown.
fn push_interface(all: &mut Vec<String>, name: &str) -> Result<(), InspectError> {
    check_interface(name)?;
    if all.len() == limits::INTERFACES {
        return Err(InspectError::TooManyInterfaces);
    }
    all.push(name.to_owned());
    Ok(())
}

fn check_interface(name: &str) -> Result<(), InspectError> {
    match name.len() {
        ..=limits::INTERFACE_NAME_BYTES => Ok(()),
        bytes => Err(InspectError::InterfaceName { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, Component, ComponentImportSection, ComponentSection as _, ComponentTypeRef, ComponentTypeSection,
        CustomSection, Function, FunctionSection, InstanceType, Instruction, Module, ModuleSection, TypeSection,
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
    fn bodies_of_functions_are_looked_at() {
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
        // It drops what it has not.
        let wrong = with(&[Instruction::Drop, Instruction::End], manifest);
        assert!(matches!(inspect(wrong), Err(InspectError::Invalid(_))));
        assert!(matches!(inspect(with(&[Instruction::End], "name = 7")), Err(InspectError::Manifest(_))));
        let mut cut = sound;
        cut.truncate(cut.len() - 3);
        assert!(matches!(inspect(cut), Err(InspectError::Invalid(_))));
    }

    #[test]
    fn an_outline_that_somebody_made_up_is_bounded_as_one_that_was_found() {
        let bytes = Bytes::from(
            crate::pack(b"\0asm\x0d\0\x01\0", "name = \"t\"\nversion = \"1.0.0\"\nsummary = \"\"\n").expect("packs"),
        );
        let with = |imports: Vec<String>| {
            Inspected::new(bytes.clone(), Digest::of(&bytes), Outline { imports, exports: Vec::new() })
        };
        assert!(with(vec!["a:b/c".into(); limits::INTERFACES]).is_ok());
        assert!(matches!(with(vec!["a:b/c".into(); limits::INTERFACES + 1]), Err(InspectError::TooManyInterfaces)));
        assert!(matches!(with(vec!["x".repeat(257)]), Err(InspectError::InterfaceName { bytes: 257 })));
    }

    /// A component with one type of so many levels: types of components, or of instances in turn.
    fn types(levels: usize, kinds: [u8; 2]) -> Vec<u8> {
        let mut content = vec![1];
        for level in 0..levels {
            // A type that declares one type.
            content.extend([kinds[level % 2], 1, 1]);
        }
        // The innermost is a text.
        content.push(0x73);
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        wasm_encoder::RawSection { id: 7, data: &content }.append_to_component(&mut bytes);
        bytes
    }

    #[test]
    fn types_nest_as_deep_as_they_may_and_are_refused_beyond_before_anybody_follows_them() {
        for kinds in [[0x41, 0x41], [0x42, 0x42], [0x41, 0x42]] {
            for levels in 1..=200 {
                let said = inspect(types(levels, kinds)).expect_err("no manifest");
                let wanted = if levels > limits::COMPONENT_TYPE_DEPTH {
                    InspectError::TooDeep
                } else {
                    InspectError::NoManifest
                };
                assert_eq!(said, wanted, "{levels} levels of {kinds:?}");
            }
            for levels in [2_000, 100_000, 10_000_000] {
                assert_eq!(inspect(types(levels, kinds)), Err(InspectError::TooDeep), "{levels} levels of {kinds:?}");
            }
        }
        // Types of one level side by side are no level of their own.
        let mut content = vec![0xe8, 0x07];
        content.extend([0x41, 1, 1, 0x73].repeat(1_000));
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        wasm_encoder::RawSection { id: 7, data: &content }.append_to_component(&mut bytes);
        assert_eq!(inspect(bytes), Err(InspectError::NoManifest));
        let cut = types(50, [0x41, 0x42]);
        for length in 8..cut.len() {
            assert!(inspect(cut[..length].to_vec()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn nothing_that_was_found_ends_an_inspection() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus/component");
        let (mut sound, mut refused) = (0, 0);
        for entry in std::fs::read_dir(folder).expect("a corpus") {
            let path = entry.expect("readable").path();
            let data = std::fs::read(&path).expect("readable");
            let ended = std::panic::catch_unwind(|| inspect(data)).unwrap_or_else(|_| panic!("{}", path.display()));
            *(if ended.is_ok() { &mut sound } else { &mut refused }) += 1;
        }
        assert!(sound >= 3 && refused >= 5, "{sound} sound, {refused} refused");
    }

    #[test]
    fn components_nest_as_many_as_they_may() {
        let nested = |count: usize| {
            (0..count).fold(Component::new(), |inner, _| {
                let mut outer = Component::new();
                outer.section(&wasm_encoder::NestedComponentSection(&inner));
                outer
            })
        };
        assert_eq!(inspect(nested(limits::COMPONENTS).finish()), Err(InspectError::NoManifest));
        assert_eq!(inspect(nested(limits::COMPONENTS + 1).finish()), Err(InspectError::TooManyComponents));
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
