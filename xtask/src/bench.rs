//! `cargo xtask bench`: the figures, each as a ratio to a limit of the same run.
//!
//! Owns the profile that they are measured in: our own crates at full
//! optimisation, the dependencies as they were built for everything else.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::{build, repo, setup};

/// Measure the figures, each against a limit taken in the same run
#[derive(Args)]
pub(crate) struct Bench {
    /// Write the figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Only figures whose name begins with this, for example `spawn.volatile`
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Rounds of each measurement; the median counts
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
}

/// Raises our own crates; `[profile.dev.package."*"]` keeps the dependencies as they are.
const PROFILE: [&str; 3] =
    ["profile.dev.opt-level=3", "profile.dev.debug-assertions=false", "profile.dev.overflow-checks=false"];

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        build::all(&setup::toolchain()?, false)?;
        let mut cargo = repo::build(&["sublane", "sublane-bench"]);
        PROFILE.iter().for_each(|setting| {
            cargo.args(["--config", setting]);
        });
        repo::run(&mut cargo)?;
        let mut bench = std::process::Command::new(repo::target().join("debug/sublane-bench"));
        bench.current_dir(repo::root()).args(["--rounds", &self.rounds.to_string()]);
        if let Some(only) = &self.only {
            bench.args(["--only", only]);
        }
        if let Some(json) = &self.json {
            bench.arg("--json").arg(std::env::current_dir()?.join(json));
        }
        let status = bench.status()?;
        anyhow::ensure!(status.success(), "the benchmark failed ({status})");
        Ok(())
    }
}
