//! `cargo xtask test`: everything that CI runs.
//!
//! Owns the list of checks, the quick ones first.

use anyhow::Result;
use clap::Args;

use crate::steps::{self, Step};
use crate::{build, repo, setup};

/// Run everything that CI runs: formatting, lints, docs, plugins, all tests
#[derive(Args)]
pub(crate) struct Test {}

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Vec::new();
        for dir in workspaces() {
            steps.push(Step::new(named("formatting", dir), move || {
                repo::run(repo::cargo_in(dir).args(["fmt", "--all", "--check"]))
            }));
        }
        for dir in workspaces() {
            steps.push(Step::new(named("lints", dir), move || lint(dir)));
        }
        steps.push(Step::new("documentation", document));
        steps.push(Step::new("plugins", || build::all(&setup::toolchain()?, false).map(drop)));
        for dir in workspaces() {
            steps.push(Step::new(named("tests", dir), move || test(dir)));
        }
        steps::run(steps)
    }
}

/// The root, then each plugin that is a workspace of its own.
fn workspaces() -> impl Iterator<Item = &'static str> {
    std::iter::once("").chain(repo::OWN_WORKSPACES)
}

fn named(check: &str, dir: &str) -> String {
    if dir.is_empty() { check.to_owned() } else { format!("{check} of {dir}") }
}

fn lint(dir: &str) -> Result<()> {
    let mut cargo = repo::cargo_in(dir);
    cargo.args(["clippy", "--workspace", "--all-targets", "--locked"]);
    repo::run(cargo.args(native_target(dir)).args(["--", "-D", "warnings"]))
}

fn document() -> Result<()> {
    let mut cargo = repo::cargo_in("");
    cargo.args(["doc", "--workspace", "--no-deps", "--locked"]);
    repo::run(cargo.env("RUSTDOCFLAGS", "-Dwarnings"))
}

fn test(dir: &str) -> Result<()> {
    let mut cargo = repo::cargo_in(dir);
    repo::run(cargo.args(["test", "--workspace", "--locked"]).args(native_target(dir)))
}

/// Where a workspace of its own compiles for this machine: below the root's
/// target directory, so that there is one to cache and one to remove.
fn native_target(dir: &str) -> Vec<String> {
    match dir.rsplit('/').next() {
        None | Some("") => Vec::new(),
        Some(name) => {
            let target = repo::target().join(format!("{name}-native"));
            vec!["--target-dir".to_owned(), target.display().to_string()]
        }
    }
}
