//! The feature tests, one binary. Each line says what belongs there.

mod arrows; // which crate and module may name what, and what the documents say is there
mod examples; // every example plugin does what its README says
mod replay; // a run that was evicted or interrupted goes on as if nothing had been
