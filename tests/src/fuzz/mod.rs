//! Fuzzing of what the host reads from strangers: targets, mutation, and the loop around them.
//!
//! Seeds are in `tests/fuzz/seeds/`, a directory for each target. A short run without coverage is a
//! feature test; `cargo xtask fuzz` has the compiler count edges and keeps what reaches new ones. An
//! input that ever made something panic stays as a seed.

mod mutate;
mod rows;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub use mutate::Random;
pub use targets::TARGETS;

use crate::repository;

/// Bytes of one input.
pub const MAX_INPUT_BYTES: usize = 16 << 10;

/// What reads an input: it may refuse it, and must neither panic nor contradict itself.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its directory of seeds.
    pub name: &'static str,
    /// Reads it.
    pub read: fn(&[u8]),
}

/// What inputs reached.
pub trait Coverage {
    /// Forgets the last input.
    fn reset(&mut self);
    /// Whether the last input reached something for the first time.
    fn is_new(&mut self) -> bool;
}

/// No coverage is known.
pub struct Blind;

impl Coverage for Blind {
    fn reset(&mut self) {}
    fn is_new(&mut self) -> bool {
        false
    }
}

/// An input that a target panicked on.
#[derive(Debug)]
pub struct Found {
    /// The input.
    pub input: Vec<u8>,
    /// What the panic said.
    pub said: String,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Inputs that were read.
    pub inputs: u64,
    /// Inputs that are kept: seeds, and what reached something new.
    pub kept: usize,
}

/// The seeds of a target, in the order of their names.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let directory = directory(target);
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has no seeds", target.name);
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// Where the seeds of a target are.
#[must_use]
pub fn directory(target: &Target) -> PathBuf {
    repository().join("tests/fuzz/seeds").join(target.name)
}

fn read(target: &Target, input: &[u8]) -> Result<(), Found> {
    catch_unwind(AssertUnwindSafe(|| (target.read)(input))).map_err(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Found { input: input.to_vec(), said: said.unwrap_or_default() }
    })
}

/// Reads the seeds, and then what becomes of them, for as long as `goes_on` says of their number.
///
/// # Errors
/// The first input that the target panics on.
pub fn fuzz(
    target: &Target,
    coverage: &mut dyn Coverage,
    random: &mut Random,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<Report, Found> {
    let mut kept = seeds(target);
    let words = mutate::words(&kept);
    let mut inputs = 0;
    for seed in &kept {
        coverage.reset();
        read(target, seed)?;
        coverage.is_new();
        inputs += 1;
    }
    while goes_on(inputs) {
        let input = mutate::mutate(&kept, &words, random);
        coverage.reset();
        read(target, &input)?;
        inputs += 1;
        if coverage.is_new() {
            kept.push(input);
        }
    }
    Ok(Report { inputs, kept: kept.len() })
}
