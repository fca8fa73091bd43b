//! Where things are in this repository, and how cargo is run in it.
//!
//! Owns the list of workspaces and of the places where plugins lie.
//! Never changes the environment of this process.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Plugins that are a workspace of their own, as a third party's would be.
pub(crate) const OWN_WORKSPACES: [&str; 1] = ["plugins/video"];

/// Where plugins lie that are members of the root workspace.
pub(crate) const GUEST_DIRS: [&str; 3] = ["plugins", "examples", "tests/guests"];

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root")
}

/// Cargo's target directory for the root workspace.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where components are put, a directory for each plugin.
pub(crate) fn plugins() -> PathBuf {
    target().join("plugins")
}

/// The cargo that runs us, started in a directory of the repository.
///
/// What `cargo run` says of us to us is taken away: build scripts that look at it
/// would run again, and all that stands on them, whenever cargo is run by a person.
pub(crate) fn cargo_in(dir: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root().join(dir));
    for (name, _) in std::env::vars_os() {
        let is_ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_ours) {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// `cargo build` of these programs, with what the tests build on.
///
/// Cargo adds up the features that a dependency is built with over all that one command selects. With
/// the whole workspace and one of its tests that is what `cargo test` has, so that Wasmtime and its
/// compiler are built once for everything here.
pub(crate) fn build(programs: &[&str]) -> Command {
    let mut cargo = cargo_in("");
    cargo.args(["build", "--locked", "--workspace", "--test", "conformance"]);
    programs.iter().for_each(|program| {
        cargo.args(["--bin", program]);
    });
    cargo
}

/// Runs a command with our own terminal; its failure is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words = std::iter::once("cargo".into())
        .chain(command.get_args().map(|word| word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ");
    let status = command.status().with_context(|| format!("cannot start `{words}`"))?;
    ensure!(status.success(), "`{words}` failed ({status})");
    Ok(())
}
