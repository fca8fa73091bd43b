//! `cargo xtask crash`: kills a host at every point of its life, and not at some as `test` does;
//! with a film that fal makes, at every request of its own too.
//!
//! Owns nothing of how: the walks are feature tests, told by their environment.

use anyhow::{Result, ensure};
use clap::Args;

use crate::{build, repo, setup};

/// Kill a host before and after every commit and around every send, and judge what becomes of it
#[derive(Args)]
pub(crate) struct Crash {
    /// Go to every N-th point of each kind only
    #[arg(long, value_name = "N", default_value_t = 1)]
    every: usize,
}

impl Crash {
    pub(crate) fn run(self) -> Result<()> {
        ensure!(self.every > 0, "--every 0 goes to no point: 1 is every point");
        build::all(&setup::toolchain()?, true)?;
        let mut cargo = repo::cargo_in("");
        cargo.args(["test", "--locked", "--workspace", "--test", "features", "--"]);
        cargo.args(["crash::film", "crash::tree", "crash::retry", "fal::points", "--nocapture"]);
        repo::run(cargo.env("SUBLANE_CRASH_EVERY", self.every.to_string()))
    }
}
