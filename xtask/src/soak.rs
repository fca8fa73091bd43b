//! `cargo xtask soak`: has a host do many runs, and looks whether what it holds comes to a plateau;
//! or plays many seeds of the simulation.
//!
//! Owns nothing of how: the work and the verdict are in the crate of the tests.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{build, repo, setup};

/// Have a host do many runs: memory, open files, store and artifacts must reach a plateau
#[derive(Args)]
pub(crate) struct Soak {
    /// Runs in all; what is held is told after each tenth
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    runs: u32,
    /// Play so many seeds of the simulation instead: hosts that die, stand still and fail
    #[arg(long, value_name = "N", conflicts_with_all = ["properties", "json"])]
    seeds: Option<u64>,
    /// The first of the seeds
    #[arg(long, value_name = "S", default_value_t = 0, requires = "seeds")]
    from: u64,
    /// Try the properties of authority on so many random cases each instead
    #[arg(long, value_name = "CASES", num_args = 0..=1, default_missing_value = "1000000")]
    properties: Option<u32>,
    /// Compare the stores by so many random sequences of operations instead
    #[arg(long, value_name = "N", conflicts_with_all = ["properties", "seeds", "json"])]
    sequences: Option<u32>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

impl Soak {
    pub(crate) fn run(self) -> Result<()> {
        if let Some(cases) = self.properties {
            return properties(cases);
        }
        if let Some(cases) = self.sequences {
            return tests(&["--test", "conformance"], "random", cases);
        }
        build::all(&setup::toolchain()?, true)?;
        repo::run(repo::build(&["soak"]).arg("--quiet"))?;
        let mut soak = Command::new(repo::target().join("debug/soak"));
        match self.seeds {
            Some(seeds) => soak.args(["--seeds", &seeds.to_string(), "--from", &self.from.to_string()]),
            None => soak.args(["--runs", &self.runs.to_string()]).args(self.json.then_some("--json")),
        };
        let status = soak.status().context("the soak cannot be started")?;
        ensure!(status.success(), "the soak failed ({status})");
        Ok(())
    }
}

/// What must hold of grants and purses, on many more random cases than `test` has.
fn properties(cases: u32) -> Result<()> {
    tests(&["--lib"], "properties", cases)?;
    tests(&["--test", "conformance"], "purses", cases)
}

/// These tests, with so many random cases each.
fn tests(which: &[&str], filter: &str, cases: u32) -> Result<()> {
    let mut cargo = repo::cargo_in("");
    cargo.args(["test", "--locked", "--workspace"]).args(which).args(["--", filter]);
    repo::run(cargo.env("SUBLANE_PROPERTY_CASES", cases.to_string()))
}
