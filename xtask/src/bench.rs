//! `cargo xtask bench`: the figures, each as a ratio to a limit of the same run.

use anyhow::{Result, bail};
use clap::Args;

/// Measure the figures, each against a limit taken in the same run
#[derive(Args)]
pub(crate) struct Bench {}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        bail!("no figure is part of this version")
    }
}
