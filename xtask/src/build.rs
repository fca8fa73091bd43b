//! `cargo xtask build`: makes a component of every plugin in this repository.
//!
//! Owns which crates those are. Plugins of the root workspace are compiled in
//! one cargo invocation, each workspace of its own in another; all share one
//! target directory, so the standard library is compiled once.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use sublane_build::{BuildOptions, BuildRequest, Built, Toolchain, Workspace, build_plugins};

use crate::{repo, setup};

/// Build every plugin into target/plugins
#[derive(Args)]
pub(crate) struct Build {
    /// Keep cargo's progress off the terminal
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

impl Build {
    pub(crate) fn run(self) -> Result<()> {
        all(&setup::toolchain()?, self.quiet).map(drop)
    }
}

/// Builds every plugin of the repository.
pub(crate) fn all(toolchain: &Toolchain, quiet: bool) -> Result<Vec<Built>> {
    chosen(toolchain, quiet, |_| true)
}

/// Builds the plugins of these names.
pub(crate) fn only(toolchain: &Toolchain, names: &[&str], quiet: bool) -> Result<Vec<Built>> {
    chosen(toolchain, quiet, |name| names.contains(&name))
}

fn chosen(toolchain: &Toolchain, quiet: bool, is_chosen: impl Fn(&str) -> bool) -> Result<Vec<Built>> {
    let mut built = Vec::new();
    for dir in std::iter::once("").chain(repo::OWN_WORKSPACES) {
        let workspace = repo::root().join(dir);
        let mut packages = plugins_of(&Workspace::load(toolchain, &workspace)?, !dir.is_empty());
        packages.retain(|name| is_chosen(name));
        let request = BuildRequest {
            packages,
            workspace,
            out: repo::plugins(),
            options: BuildOptions { target: Some(repo::target()), locked: true, quiet },
        };
        built.extend(build_plugins(toolchain, &request, &mut |line| eprintln!("{line}"))?);
    }
    Ok(built)
}

/// The plugin crates of a workspace. In the root they lie in certain places;
/// in a workspace of its own every `cdylib` is one.
fn plugins_of(workspace: &Workspace, anywhere: bool) -> Vec<String> {
    let in_place =
        |dir: &Path| repo::GUEST_DIRS.iter().any(|guests| dir.starts_with(workspace.root().join(guests)));
    let plugins = workspace.packages().iter().filter(|package| package.is_cdylib());
    plugins
        .filter(|package| anywhere || in_place(package.dir()))
        .map(|package| package.name().to_owned())
        .collect()
}
