//! `cargo xtask fuzz`: reads what strangers could write, guided by the edges that it reaches.
//!
//! The stable compiler counts edges where it is told to; only the crates of this workspace are built
//! anew for that, and neither a nightly nor another fuzzer is needed. Owns how that is built; targets,
//! seeds and the loop are in the crate of the tests.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::repo;

/// Crates whose edges are counted.
const COUNTED: &str = "sublane|sublane_core|sublane_store";

/// Fuzz what the host reads from strangers: manifests, configurations, URLs, names, grants, rows
#[derive(Args)]
pub(crate) struct Fuzz {
    /// Seconds in all; the targets share them
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// Where the random numbers begin
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Fuzz {
    pub(crate) fn run(self) -> Result<()> {
        let wrapper = repo::target().join("counting-rustc");
        // The suite of the store is built along for its features; it has nobody to count and is not run.
        // Cargo runs `wrapper rustc --crate-name NAME …` for crates of the workspace only.
        let script = format!(
            "#!/bin/sh\ncase \"$3\" in\n{COUNTED}) exec \"$@\" -Cpasses=sancov-module \
             -Cllvm-args=-sanitizer-coverage-level=3 \
             -Cllvm-args=-sanitizer-coverage-inline-8bit-counters ;;\n\
             conformance) exec \"$@\" -Clink-arg=-Wl,--unresolved-symbols=ignore-all ;;\n*) exec \"$@\" ;;\nesac\n"
        );
        std::fs::create_dir_all(repo::target()).context("the target directory cannot be made")?;
        std::fs::write(&wrapper, script).context("the compiler's wrapper cannot be written")?;
        std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755))?;
        repo::run(repo::build(&["fuzz"]).arg("--quiet").env("RUSTC_WORKSPACE_WRAPPER", &wrapper))?;
        let mut fuzz = Command::new(repo::target().join("debug/fuzz"));
        fuzz.args(["--seconds", &self.seconds.to_string(), "--seed", &self.seed.to_string()]);
        fuzz.args(self.target.iter().flat_map(|target| ["--target", target]));
        let status = fuzz.status().context("the fuzzer cannot be started")?;
        ensure!(status.success(), "something panicked; its input is a seed now");
        Ok(())
    }
}
