//! Uses every import in a fixed order and gives back what it saw.
//!
//! What it sees must be the same whether its run was left alone, evicted or
//! killed on the way.

mod memory;

/// Whether what the task says of a change is done.
pub(crate) const IS_CHANGED: bool = false;

sublane_sdk::plugin!(agents: [memory::remember, memory::child, memory::stubborn, memory::again], tools: [memory::note]);
