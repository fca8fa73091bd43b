//! What one instance may hold: memory summed over all memories, tables, stack.
//!
//! A `wasmtime::Store` is only made with one of these. Growth over the limit
//! traps, with a reason that the runner can tell from other traps; so does growth
//! over what the component declares itself. Growth that the operating system
//! refuses is the host's fault and never `-1` to the guest.

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

/// A guest wanted more table elements than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it asked for {wanted} table elements and may have {limit}")]
pub struct TooManyElements {
    /// What it would have had.
    pub wanted: usize,
    /// What it may have.
    pub limit: usize,
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
    /// `maximum` is what the component declares for this memory: Wasmtime asks here first and looks
    /// at that afterwards, and what it refuses then could not be told from the machine's refusal.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let over =
            |wanted_bytes, limit_bytes| Err(wasmtime::Error::new(OutOfMemory { wanted_bytes, limit_bytes }));
        let grown = self.used_bytes.saturating_add(desired.saturating_sub(current) as u64);
        if grown > self.limit_bytes {
            return over(grown, self.limit_bytes);
        }
        if let Some(maximum) = maximum.filter(|maximum| desired > *maximum) {
            return over(desired as u64, maximum as u64);
        }
        self.used_bytes = grown;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(MachineOutOfMemory(error.to_string())))
    }

    /// `maximum` is what the component declares for this table, or what the engine has room for.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let over = |wanted, limit| Err(wasmtime::Error::new(TooManyElements { wanted, limit }));
        let grown = self.table_elements.saturating_add(desired.saturating_sub(current));
        if grown > MAX_TABLE_ELEMENTS {
            return over(grown, MAX_TABLE_ELEMENTS);
        }
        if let Some(maximum) = maximum.filter(|maximum| desired > *maximum) {
            return over(desired, maximum);
        }
        self.table_elements = grown;
        Ok(true)
    }

    /// The pools keep room for every table that they admit, so the machine has nothing to refuse:
    /// what was asked for is more than can be counted.
    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(TooManyElements { wanted: usize::MAX, limit: MAX_TABLE_ELEMENTS }))
    }

    fn instances(&self) -> usize {
        2 * super::MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        8
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_over_the_limit_and_over_the_declared_maximum_is_the_guests_fault() {
        let mut limiter = Limiter::new(1_000);
        assert!(limiter.memory_growing(0, 400, Some(500)).expect("it fits"));
        let over = |grown: wasmtime::Result<bool>| {
            *grown.expect_err("it is refused").downcast_ref::<OutOfMemory>().expect("as the guest's")
        };
        let declared = over(limiter.memory_growing(400, 600, Some(500)));
        assert_eq!(declared, OutOfMemory { wanted_bytes: 600, limit_bytes: 500 });
        let granted = over(limiter.memory_growing(400, usize::MAX, None));
        assert_eq!(granted.limit_bytes, 1_000);
        assert!(limiter.memory_growing(400, 1_000, None).expect("what was refused does not count"));
    }

    #[test]
    fn tables_are_counted_together_and_never_overflow() {
        let mut limiter = Limiter::new(1_000);
        assert!(limiter.table_growing(0, MAX_TABLE_ELEMENTS, None).expect("it fits"));
        let over = |grown: wasmtime::Result<bool>| {
            *grown.expect_err("it is refused").downcast_ref::<TooManyElements>().expect("as the guest's")
        };
        assert_eq!(over(limiter.table_growing(0, usize::MAX, None)).wanted, usize::MAX);
        assert_eq!(over(limiter.table_growing(0, 1, None)).limit, MAX_TABLE_ELEMENTS);
        assert_eq!(over(Limiter::new(0).table_growing(1, 11, Some(10))).limit, 10);
    }
}
