//! How much memory one guest may have.
//!
//! The runtime's own limits count each memory apart: 200 memories of 60 MiB pass a limit of 64 MiB (tried). Here all
//! memories and all tables of a store are counted together.

use raito_core::limits;
use wasmtime::ResourceLimiter;

use crate::raw::Limit;

/// Counts what one store holds.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    memory_bytes: usize,
    memory_peak: usize,
    table_elements: usize,
    /// The first limit that was hit.
    hit: Option<Limit>,
    /// What was added last, should the runtime fail to provide it.
    pending_memory: usize,
    pending_table: usize,
}

impl Limiter {
    /// Peak bytes of all memories together.
    pub(crate) fn memory_peak(&self) -> usize {
        self.memory_peak
    }

    /// What was used up, if anything.
    pub(crate) fn hit(&self) -> Option<Limit> {
        self.hit
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let added = desired.saturating_sub(current);
        let total = self.memory_bytes.saturating_add(added);
        if total > limits::GUEST_MEMORY_BYTES {
            self.hit.get_or_insert(Limit::Memory);
            return Ok(false);
        }
        self.memory_bytes = total;
        self.memory_peak = self.memory_peak.max(total);
        self.pending_memory = added;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes = self.memory_bytes.saturating_sub(std::mem::take(&mut self.pending_memory));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let added = desired.saturating_sub(current);
        let total = self.table_elements.saturating_add(added);
        if total > limits::GUEST_TABLE_ELEMENTS {
            self.hit.get_or_insert(Limit::TableElements);
            return Ok(false);
        }
        self.table_elements = total;
        self.pending_table = added;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements = self.table_elements.saturating_sub(std::mem::take(&mut self.pending_table));
        Ok(())
    }

    fn instances(&self) -> usize {
        limits::GUEST_INSTANCES
    }

    fn tables(&self) -> usize {
        limits::GUEST_TABLES
    }

    fn memories(&self) -> usize {
        limits::GUEST_MEMORIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_count_together() {
        let mut limiter = Limiter::default();
        let half = limits::GUEST_MEMORY_BYTES / 2;
        assert!(limiter.memory_growing(0, half, None).expect("no error"));
        assert!(limiter.memory_growing(0, half, None).expect("no error"));
        assert!(!limiter.memory_growing(0, 1, None).expect("no error"));
        assert_eq!(limiter.hit(), Some(Limit::Memory));
    }

    #[test]
    fn what_the_runtime_could_not_provide_is_given_back() {
        let mut limiter = Limiter::default();
        assert!(limiter.memory_growing(0, limits::GUEST_MEMORY_BYTES, None).expect("no error"));
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).expect("no error");
        assert!(limiter.memory_growing(0, limits::GUEST_MEMORY_BYTES, None).expect("no error"));
    }
}
