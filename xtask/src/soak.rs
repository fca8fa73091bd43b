//! `cargo xtask soak`: has a host do many runs, and looks whether what it holds comes to a plateau.
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
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

impl Soak {
    pub(crate) fn run(self) -> Result<()> {
        build::all(&setup::toolchain()?, true)?;
        repo::run(repo::build(&["soak"]).arg("--quiet"))?;
        let mut soak = Command::new(repo::target().join("debug/soak"));
        soak.args(["--runs", &self.runs.to_string()]).args(self.json.then_some("--json"));
        let status = soak.status().context("the soak cannot be started")?;
        ensure!(status.success(), "the soak failed ({status})");
        Ok(())
    }
}
