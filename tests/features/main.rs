//! The feature tests, one binary. Each line says what belongs there.

mod examples; // every example plugin does what its README says
mod replay; // a run that was evicted or interrupted goes on as if nothing had been
