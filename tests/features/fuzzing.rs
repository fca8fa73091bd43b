//! A short run of the fuzzer on every target: all seeds, and some inputs that are made of them.
//! `cargo xtask fuzz` runs longer, guided by what inputs reach.

use sublane_tests::fuzz::{Blind, Random, TARGETS, fuzz};

/// Inputs of each target, seeds among them.
const INPUTS: u64 = 1_000;

#[test]
fn what_strangers_write_is_read_or_refused() {
    for target in TARGETS {
        let come_to = fuzz(&target, &mut Blind, &mut Random::new(4), |inputs| inputs < INPUTS);
        let report = come_to.unwrap_or_else(|found| {
            let input = String::from_utf8_lossy(&found.input);
            panic!("{}: {} on {input:?} ({:?})", target.name, found.said, found.input)
        });
        assert_eq!(report.inputs, INPUTS, "{}", target.name);
    }
}
