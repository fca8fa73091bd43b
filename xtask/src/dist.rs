//! `cargo xtask dist`: the binary with its completions and manual pages, as a package has them.
//!
//! Owns where they are put. What they say the binary itself knows.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::repo;

/// Build the release binary, completions and manual pages into target/dist
#[derive(Args)]
pub(crate) struct Dist {}

impl Dist {
    pub(crate) fn run(self) -> Result<()> {
        let out = repo::target().join("dist");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--locked", "--package", "sublane", "--bin", "sublane"]);
        cargo.arg("--target-dir").arg(repo::target()).current_dir(repo::root());
        ensure!(cargo.status().context("cargo cannot be started")?.success(), "the binary was not built");
        let name = format!("sublane{}", std::env::consts::EXE_SUFFIX);
        let built = repo::target().join("release").join(&name);
        std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
        std::fs::copy(&built, out.join(&name))
            .with_context(|| format!("{} cannot be copied", built.display()))?;
        let wrote = Command::new(&built).arg("dist").arg(&out).status();
        ensure!(wrote.context("the binary cannot be started")?.success(), "it wrote no completions");
        Ok(())
    }
}
