//! How deep the types of a component nest, found out one declaration after the other.
//!
//! A type may declare types, and each of those others: three bytes a level. Parser and validator
//! call themselves for each level, so this is looked at before either of them sees the types.

use raito_core::limits;
use wasmparser::{
    BinaryReader, BinaryReaderError, ComponentAlias, ComponentExternName, ComponentImport, ComponentType,
    ComponentTypeRef, CoreType, FromReader,
};

use crate::inspect::features;

/// What begins a type that declares others, and what each declaration in one is (WebAssembly
/// component model, "Binary Format").
const COMPONENT_TYPE: u8 = 0x41;
const INSTANCE_TYPE: u8 = 0x42;
const DECLARES_CORE_TYPE: u8 = 0x00;
const DECLARES_TYPE: u8 = 0x01;
const DECLARES_ALIAS: u8 = 0x02;
const DECLARES_IMPORT: u8 = 0x03;
const DECLARES_EXPORT: u8 = 0x04;

/// Whether the types of a section nest no deeper than they may. `content` is the section without
/// its length, and begins at `offset` of the component.
///
/// # Errors
/// What the parser says of a declaration that is none.
pub(crate) fn is_shallow(content: &[u8], offset: usize) -> Result<bool, BinaryReaderError> {
    let mut reader = BinaryReader::new(content, offset);
    reader.set_features(features());
    let types = reader.read_var_u32()?;
    for _ in 0..types {
        if !is_type_shallow(&mut reader, content)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The same of one type.
fn is_type_shallow<'a>(reader: &mut BinaryReader<'a>, content: &[u8]) -> Result<bool, BinaryReaderError> {
    // How many declarations are still to come in each of the types that are open.
    let mut open: Vec<u32> = Vec::new();
    begin_type(reader, content, &mut open)?;
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        match reader.read_u8()? {
            DECLARES_TYPE => begin_type(reader, content, &mut open)?,
            DECLARES_CORE_TYPE => skip::<CoreType<'a>>(reader)?,
            DECLARES_ALIAS => skip::<ComponentAlias<'a>>(reader)?,
            DECLARES_IMPORT => skip::<ComponentImport<'a>>(reader)?,
            DECLARES_EXPORT => {
                skip::<ComponentExternName<'a>>(reader)?;
                skip::<ComponentTypeRef>(reader)?;
            }
            // No declaration: the parser says so in its own words, and reads no further.
            _ => return Ok(true),
        }
        if open.len() > limits::COMPONENT_TYPE_DEPTH {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads a type, or of one that declares others how many these are.
fn begin_type<'a>(reader: &mut BinaryReader<'a>, content: &[u8], open: &mut Vec<u32>) -> Result<(), BinaryReaderError> {
    match content.get(reader.current_position()) {
        Some(&(COMPONENT_TYPE | INSTANCE_TYPE)) => {
            reader.read_u8()?;
            open.push(reader.read_var_u32()?);
        }
        // All other types are read without reading types.
        _ => skip::<ComponentType<'a>>(reader)?,
    }
    Ok(())
}

/// Reads something, and goes on behind it.
fn skip<'a, T: FromReader<'a>>(reader: &mut BinaryReader<'a>) -> Result<(), BinaryReaderError> {
    reader.read::<T>().map(|_| ())
}
