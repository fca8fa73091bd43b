//! The plugin `remembers` in a later version: where its task names a change,
//! it does otherwise than before. A run that began on `remembers` and goes on
//! here cannot be replayed.

#[path = "../../remembers/src/memory.rs"]
mod memory;

/// Whether what the task says of a change is done.
pub(crate) const IS_CHANGED: bool = true;

sublane_sdk::plugin!(agents: [memory::remember, memory::child, memory::stubborn, memory::again], tools: [memory::note]);
