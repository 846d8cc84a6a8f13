//! Memory for compiled code, which has tens of megabytes: it is received right where it will run, and copied nowhere.

use std::io;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use wasmtime::CustomCodeMemory;

/// Memory of its own pages, all zeros at first, for one component's code.
pub struct CodeMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: nobody else knows where it is.
#[expect(unsafe_code, reason = "a pointer says nothing of who else has it")]
unsafe impl Send for CodeMemory {}

impl CodeMemory {
    /// Asks the system for so many bytes.
    ///
    /// # Errors
    /// What the system says: there is not enough, or these are none.
    #[expect(unsafe_code, reason = "the system's memory comes as a pointer")]
    pub fn new(length: usize) -> io::Result<Self> {
        let (access, mut flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // All at once is cheaper than one page after the other.
        #[cfg(target_os = "linux")]
        flags.insert(MapFlags::POPULATE);
        // SAFETY: the system chooses a place where nothing is.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), length, access, flags) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// What it holds, which from now on nobody changes. It stays as long as the process does, since code may be run that long.
    #[expect(unsafe_code, reason = "what may be done with pages is up to whoever asked for them")]
    pub(crate) fn finish(self) -> io::Result<NonNull<[u8]>> {
        // SAFETY: these are the pages that `new` asked for.
        unsafe { mprotect(self.start.as_ptr().cast(), self.length, MprotectFlags::READ) }?;
        let kept = std::mem::ManuallyDrop::new(self);
        Ok(NonNull::slice_from_raw_parts(kept.start, kept.length))
    }
}

impl AsMut<[u8]> for CodeMemory {
    #[expect(unsafe_code, reason = "the system's memory comes as a pointer")]
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: `new` asked for so many bytes, the system has made them zeros, and this is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for CodeMemory {
    #[expect(unsafe_code, reason = "the system's memory goes back as a pointer")]
    fn drop(&mut self) {
        // SAFETY: these are the pages that `new` asked for, and nobody has a reference into them any more. That they go cannot
        // fail for pages that are there, and if it could, nothing would be left to be done.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Lets the runtime run what stands in memory that is not its own: it changes the access to its own pages only.
pub(crate) struct Publisher;

impl Publisher {
    /// Pages are at least this long on every processor that the code below runs on, and longer ones are aligned to it as well.
    const PAGE: usize = 4096;

    #[expect(unsafe_code, reason = "what may be done with pages is up to whoever asked for them")]
    fn allow(start: *const u8, length: usize, access: MprotectFlags) -> wasmtime::Result<()> {
        // SAFETY: the runtime asks for the machine code of a component that it was given whole, by `Compiled`; nothing but that
        // component's instances runs it, and nothing writes to it.
        Ok(unsafe { mprotect(start.cast_mut().cast(), length, access) }?)
    }
}

impl CustomCodeMemory for Publisher {
    fn required_alignment(&self) -> usize {
        Self::PAGE
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        Self::allow(start, length, MprotectFlags::READ | MprotectFlags::EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        Self::allow(start, length, MprotectFlags::READ)
    }
}
