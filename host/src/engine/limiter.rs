//! What one instance may hold: memory summed over all memories, tables, stack.
//!
//! A `wasmtime::Store` is only made with one of these. Growth over the limit
//! traps, with a reason that the runner can tell from other traps; growth that
//! the operating system refuses is the host's fault and never `-1` to the guest.

use wasmtime::ResourceLimiter;

/// Elements that the tables of one instance may have, summed.
const MAX_TABLE_ELEMENTS: usize = 40_000;

/// A guest wanted to grow over its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it asked for {wanted_bytes} bytes of memory and may have {limit_bytes}")]
pub struct OutOfMemory {
    /// What it would have had.
    pub wanted_bytes: u64,
    /// What it may have.
    pub limit_bytes: u64,
}

/// The machine refused what the limit allows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the machine has no memory left: {0}")]
pub struct MachineOutOfMemory(String);

/// The limits of one instance.
#[derive(Debug)]
pub struct Limiter {
    limit_bytes: u64,
    used_bytes: u64,
    table_elements: usize,
}

impl Limiter {
    /// An instance that may have so many bytes of linear memory.
    #[must_use]
    pub fn new(limit_bytes: u64) -> Self {
        Self { limit_bytes, used_bytes: 0, table_elements: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let grown = self.used_bytes.saturating_add((desired.saturating_sub(current)) as u64);
        if grown > self.limit_bytes {
            return Err(wasmtime::Error::new(OutOfMemory {
                wanted_bytes: grown,
                limit_bytes: self.limit_bytes,
            }));
        }
        self.used_bytes = grown;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(MachineOutOfMemory(error.to_string())))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.table_elements += desired.saturating_sub(current);
        wasmtime::ensure!(
            self.table_elements <= MAX_TABLE_ELEMENTS,
            "it asked for {} table elements and may have {MAX_TABLE_ELEMENTS}",
            self.table_elements
        );
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(MachineOutOfMemory(error.to_string())))
    }

    fn instances(&self) -> usize {
        8
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        1
    }
}
