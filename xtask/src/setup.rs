//! `cargo xtask setup`: gets what building plugins needs.
//!
//! Owns nothing of how: `sublane-build` finds and gets toolchains.

use anyhow::Result;
use clap::Args;
use sublane_build::Toolchain;

use crate::repo;

/// Find or get the toolchain that plugins are compiled with
#[derive(Args)]
pub(crate) struct Setup {}

impl Setup {
    pub(crate) fn run(self) -> Result<()> {
        toolchain().map(drop)
    }
}

/// The toolchain for plugins, found or got, with a line for each thing done.
pub(crate) fn toolchain() -> Result<Toolchain> {
    Ok(Toolchain::find(repo::root(), &mut |line| eprintln!("{line}"))?)
}
