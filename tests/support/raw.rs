//! Components that no compiler makes: one core module, written as text, with everything that step 1 needs. A case puts something
//! else in place of a part of it.

#![allow(unreachable_pub, reason = "a part of two crates' tests")]

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A core module with everything that step 1 needs. A case puts something else in place of a part.
pub struct Module {
    /// Fields of the module.
    pub fields: &'static str,
    /// Pages of its memory.
    pub pages: u32,
    /// What the allocator does, which the host calls before it hands over a list or a text.
    pub realloc: &'static str,
    /// What opening a reader does: the address of a result, here of a new reader.
    pub open: &'static str,
    /// What is called once that result was read.
    pub after_open: &'static str,
    /// What a page is: here, none is left.
    pub next: &'static str,
    /// What is called when a reader is dropped.
    pub drop: &'static str,
}

/// One that does nothing wrong.
pub const SOUND: Module = Module {
    fields: "",
    pages: 2,
    realloc: "(global.set $top (i32.add (global.get $top) (local.get 3))) (i32.sub (global.get $top) (local.get 3))",
    open: "(i32.store8 (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1032) (call $new (i32.const 7))) (i32.const 1024)",
    after_open: "",
    next: "(i32.const 2048)",
    drop: "",
};

impl Module {
    fn text(&self) -> String {
        let Self { fields, pages, realloc, open, after_open, next, drop } = self;
        format!(
            r#"(module
  (import "[export]raito:connector/identity-store@0.1.0" "[resource-new]reader" (func $new (param i32) (result i32)))
  (import "[export]raito:connector/identity-store@0.1.0" "[resource-drop]reader" (func $drop (param i32)))
  (import "raito:connector/clock@0.1.0" "now" (func $now (result i64)))
  (memory (export "memory") {pages})
  (global $top (mut i32) (i32.const 65536))
  (func $spin (loop $again (br $again)))
  {fields}
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
  (func (export "raito:connector/identity-store@0.1.0#open") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {open})
  (func (export "cabi_post_raito:connector/identity-store@0.1.0#open") (param i32) {after_open})
  (func (export "raito:connector/identity-store@0.1.0#[method]reader.next") (param i32) (result i32) {next})
  (func (export "raito:connector/identity-store@0.1.0#[dtor]reader") (param i32) {drop}))"#
        )
    }

    /// A component of it.
    pub fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.text()).expect("a module");
        let mut resolve = Resolve::default();
        resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/connector")).expect("the contract");
        let world = "package raito:hostile; world hostile { import raito:connector/clock@0.1.0; \
                     export raito:connector/identity-store@0.1.0; }";
        let package = resolve.push_str("hostile.wit", world).expect("a world");
        let world = resolve.select_world(&[package], None).expect("one");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("embeds");
        let mut encoder = ComponentEncoder::default().validate(false).module(&module).expect("a module");
        encoder.encode().expect("a component")
    }
}
