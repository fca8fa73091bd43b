//! The feature tests, one binary. Each line says what belongs there.

mod examples; // every example plugin does what its README says
