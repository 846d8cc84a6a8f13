//! The sections of a component, without looking into them: where its manifest stands.
//!
//! This is the one part of a component that the host reads itself. It goes along the outermost
//! sections by their lengths, so that there is nothing in it that could nest.

use raito_core::manifest::SECTION;

/// The section of a component that is for tools (WebAssembly core specification, "Custom Section").
const CUSTOM: u8 = 0;
/// Bytes before the first section: what the file is, and of which version.
const PREAMBLE: usize = 8;

/// The manifests of a component, in the order of their sections: the content of each section that
/// is named for one. None where the file does not consist of sections.
pub(crate) fn manifests(component: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = component.get(PREAMBLE..)?;
    let mut found = Vec::new();
    while let Some((id, behind)) = rest.split_first() {
        let (content, behind) = sized(behind)?;
        rest = behind;
        if *id == CUSTOM {
            let (name, content) = sized(content)?;
            if name == SECTION.as_bytes() {
                found.push(content);
            }
        }
    }
    Some(found)
}

/// As many bytes as stand before them, and what is behind.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, behind) = number(bytes)?;
    behind.split_at_checked(usize::try_from(length).ok()?)
}

/// A number of 32 bits in LEB128, and what is behind: at most five bytes of seven bits.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection};

    use super::*;

    #[test]
    fn manifests_are_found_among_other_sections_and_in_none_of_them() {
        let mut module = Module::new();
        module.section(&CustomSection { name: SECTION.into(), data: b"of the module"[..].into() });
        let mut component = Component::new();
        component.section(&CustomSection { name: "other".into(), data: vec![7; 300].into() });
        component.section(&CustomSection { name: SECTION.into(), data: b"one"[..].into() });
        component.section(&ModuleSection(&module));
        component.section(&CustomSection { name: SECTION.into(), data: b"two"[..].into() });
        let bytes = component.finish();
        assert_eq!(manifests(&bytes), Some(vec![&b"one"[..], b"two"]));
        for length in 0..bytes.len() {
            let cut = manifests(&bytes[..length]);
            assert!(cut.is_none_or(|found| found.len() <= 2), "{length} bytes");
        }
        assert_eq!(manifests(&bytes[..bytes.len() - 1]), None, "the last section is cut");
    }

    #[test]
    fn lengths_that_cannot_be_are_none() {
        let with = |section: &[u8]| manifests(&[b"\0asm\x0d\0\x01\0", section].concat()).map(|found| found.len());
        assert_eq!(with(&[]), Some(0));
        assert_eq!(with(&[0, 1, 0]), Some(0), "a name of no bytes");
        assert_eq!(with(&[0, 0]), None, "no name");
        assert_eq!(with(&[0, 1, 5]), None, "a name beyond its section");
        assert_eq!(with(&[1, 0x80, 0x80, 0x80, 0x80, 0x10]), None, "33 bits");
        assert_eq!(with(&[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), None, "six bytes");
        assert_eq!(with(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]), None, "beyond the file");
    }
}
