//! The two engines that guests run on, chosen by a plugin's memory limit.
//!
//! Owns Wasmtime's configuration. *Small* guests live in a pool that is kept
//! resident, so that a warm spawn makes no mapping call; *large* ones in a pool
//! with few slots. Spectre mitigations, guard pages and signal-based traps stay
//! on for both: guests are strangers' code in our process.

pub mod cache;
pub mod compile;
mod cpu;
pub mod guest;
pub mod limiter;
pub mod pool;
pub mod threads;
pub mod ticker;

use std::sync::Arc;

use wasmtime::{Config, Enabled, Engine, PoolingAllocationConfig, RegallocAlgorithm, WasmFeatures};

use self::pool::Pool;
use self::ticker::Ticker;

/// Linear memory up to which a plugin runs on the small engine, in bytes.
pub const SMALL_MEMORY_BYTES: u64 = 4 << 20;
/// Linear memory that a plugin can have at most, in bytes.
pub const MAX_MEMORY_BYTES: u64 = 1 << 30;
/// Core modules of one component, with its shims, on the large engine.
pub const MAX_CORE_INSTANCES: u32 = 64;
/// Bytes of the stack that host code runs on; its overflow would end the process.
const ASYNC_STACK_BYTES: usize = 2 << 20;
/// Bytes of the guest's own stack in it.
const WASM_STACK_BYTES: usize = 512 << 10;
/// Time between two ticks of an engine's epoch, in milliseconds.
pub const TICK_MS: u64 = 10;

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Guests of up to [`SMALL_MEMORY_BYTES`].
    Small,
    /// All others.
    Large,
}

impl Class {
    /// The engine for a plugin with this memory limit.
    #[must_use]
    pub fn for_memory(bytes: u64) -> Self {
        if bytes <= SMALL_MEMORY_BYTES { Self::Small } else { Self::Large }
    }
}

/// How many instances there can be at once, and how large one can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSizes {
    /// On the small engine. Default 1,000.
    pub small: u32,
    /// On the large engine. Default 16.
    pub large: u32,
    /// Of one plugin, on the engine that it runs on. Default nine tenths of what is there, at least
    /// [`pool::SMALLEST`].
    pub per_plugin: Option<u32>,
    /// Linear memory that a plugin may ask for, in bytes. Default [`MAX_MEMORY_BYTES`].
    pub memory_bytes: u64,
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self { small: 1_000, large: 16, per_plugin: None, memory_bytes: MAX_MEMORY_BYTES }
    }
}

impl PoolSizes {
    /// What one plugin may have of so many instances.
    fn share(&self, instances: u32) -> u32 {
        let share = self.per_plugin.unwrap_or(instances - instances / 10);
        share.clamp(pool::SMALLEST, instances.max(pool::SMALLEST))
    }
}

/// Both engines, each with its pool.
pub struct Engines {
    small: EngineClass,
    large: EngineClass,
    /// Linear memory that a plugin may ask for, in bytes.
    pub memory_bytes: u64,
    /// Ticks both epochs while a guest executes.
    pub ticker: Arc<Ticker>,
}

/// One engine with what belongs to it.
pub struct EngineClass {
    /// Wasmtime's engine.
    pub engine: Engine,
    /// Admission to its instances.
    pub pool: Arc<Pool>,
    /// Which code runs on it, see [`cache::code_of`].
    code: u64,
}

impl Engines {
    /// Makes both engines.
    ///
    /// # Errors
    /// When a pool is smaller than [`pool::SMALLEST`], or the machine cannot reserve it.
    pub fn new(sizes: PoolSizes) -> wasmtime::Result<Self> {
        let small = EngineClass::new(Class::Small, sizes.small, sizes.share(sizes.small))?;
        let large = EngineClass::new(Class::Large, sizes.large, sizes.share(sizes.large))?;
        let ticker = Ticker::start(vec![small.engine.clone(), large.engine.clone()]);
        Ok(Self { small, large, memory_bytes: sizes.memory_bytes, ticker })
    }

    /// The engine of a class.
    #[must_use]
    pub fn of(&self, class: Class) -> &EngineClass {
        match class {
            Class::Small => &self.small,
            Class::Large => &self.large,
        }
    }
}

impl EngineClass {
    fn new(class: Class, instances: u32, per_plugin: u32) -> wasmtime::Result<Self> {
        let smallest = pool::SMALLEST;
        wasmtime::ensure!(
            instances >= smallest,
            "an instance pool of {instances} is too small: {smallest} is the smallest that lets nested tool calls finish"
        );
        let engine = Engine::new(&config(class, instances))?;
        Ok(Self { code: cache::code_of(&engine), engine, pool: Arc::new(Pool::new(instances, per_plugin)) })
    }
}

/// What the code of both engines depends on: all but their pools.
fn code_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(ASYNC_STACK_BYTES)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .cranelift_regalloc_algorithm(RegallocAlgorithm::Backtracking)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32))
        .wasm_features(WasmFeatures::THREADS, false);
    config
}

/// The configuration of one engine. The benchmarks measure what it costs.
fn config(class: Class, instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    // A component of a Rust plugin has one core module and two shims; one of Python has its libraries
    // and adapters as modules of their own.
    let core_instances = match class {
        Class::Small => 4,
        Class::Large => MAX_CORE_INSTANCES,
    };
    pool.total_component_instances(instances)
        .total_core_instances(instances * core_instances)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_memories_per_component(1)
        .max_tables_per_component(2)
        .max_core_instances_per_component(core_instances)
        .pagemap_scan(Enabled::Auto);
    match class {
        Class::Small => pool
            .max_memory_size(usize::try_from(SMALL_MEMORY_BYTES).unwrap_or(usize::MAX))
            .table_elements(4_000)
            .max_core_instance_size(1 << 20)
            .linear_memory_keep_resident(2 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10)
            .max_unused_warm_slots(100),
        Class::Large => pool
            .max_memory_size(usize::try_from(MAX_MEMORY_BYTES).unwrap_or(usize::MAX))
            .table_elements(40_000)
            .max_core_instance_size(4 << 20)
            .max_unused_warm_slots(4),
    };
    let mut config = code_config();
    config.allocation_strategy(pool);
    config
}
