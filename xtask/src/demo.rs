//! `cargo xtask demo`: the main job, from nothing.
//!
//! Owns the order: toolchain, plugins, host, conversation.

use anyhow::{Result, bail};
use clap::Args;

use crate::{build, setup};

/// Set everything up and run the main job: ask for a film, get it delivered
#[derive(Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        build::all(&setup::toolchain()?, false)?;
        bail!("the plugins are built; the host that plays the demo is not part of this version")
    }
}
