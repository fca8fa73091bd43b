//! Everything that can go wrong on the way from a plugin crate to a component.
//!
//! Owns the messages; each says what is wrong and what to do about it.
//! Never repeats its source: print the chain to see both.

use std::io;
use std::path::PathBuf;

use crate::component::{ForeignImport, list_foreign};

/// A build that did not make a component, and what would help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No toolchain for guests was found and none could be got.
    #[error("no toolchain for {} was found{}", crate::GUEST_TARGET, advice.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    NoToolchain {
        /// Why each way was not open, then the commands that would help.
        advice: Vec<String>,
    },

    /// A program could not be started at all.
    #[error("cannot start `{program}`")]
    Start {
        /// What was to be started.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// The directory is not a Rust crate.
    #[error(
        "{} has no Cargo.toml: name the directory of a Rust plugin crate (`cargo new --lib NAME` makes one)",
        dir.display()
    )]
    NotACrate {
        /// The directory that was named.
        dir: PathBuf,
    },

    /// The directory holds a workspace and no package of its own.
    #[error(
        "{} is a workspace without a package of its own: name the directory of one plugin crate{}",
        dir.display(), list(" of these: ", plugins)
    )]
    OnlyAWorkspace {
        /// The directory that was named.
        dir: PathBuf,
        /// Directories of its members that are plugin crates.
        plugins: Vec<String>,
    },

    /// `cargo metadata` refused the crate.
    #[error("cargo cannot read the crate in {}:\n{}", dir.display(), message.trim_end())]
    Metadata {
        /// The directory that was read.
        dir: PathBuf,
        /// What cargo said.
        message: String,
    },

    /// A package was asked for that the workspace does not have.
    #[error("no package `{package}` in the workspace {}{}", workspace.display(), list("; it has ", known))]
    UnknownPackage {
        /// The name that was asked for.
        package: String,
        /// The root of the workspace.
        workspace: PathBuf,
        /// The names that it has.
        known: Vec<String>,
    },

    /// The crate does not make a dynamic library, so it makes no `.wasm`.
    #[error(
        "`{package}` is not a plugin crate yet: add these two lines to {}\n\n    [lib]\n    crate-type = [\"cdylib\"]\n",
        manifest.display()
    )]
    NotCdylib {
        /// The package.
        package: String,
        /// Its Cargo.toml.
        manifest: PathBuf,
    },

    /// The crate has no `plugin.toml`.
    #[error(
        "`{package}` has no {}: it says what the plugin is and what it asks for, and belongs at {}",
        crate::PLUGIN_MANIFEST, path.display()
    )]
    NoPluginManifest {
        /// The package.
        package: String,
        /// Where the file belongs.
        path: PathBuf,
    },

    /// Cargo ran and failed; it has already told why.
    #[error("cargo could not build {} for {}; its messages are above", packages.join(", "), crate::GUEST_TARGET)]
    Cargo {
        /// The packages of the failed invocation.
        packages: Vec<String>,
    },

    /// Cargo ended well and named no `.wasm` of a package.
    #[error("cargo made no .wasm for `{package}`; does its [lib] set `crate-type = [\"cdylib\"]`?")]
    NoArtifact {
        /// The package.
        package: String,
    },

    /// The core module is not one that a component can be made of.
    #[error("`{package}` cannot be made a component")]
    Componentize {
        /// The package.
        package: String,
        /// What the encoder or the validator said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },

    /// The plugin imports something that no host serves.
    #[error("`{package}` imports what no Sublane host serves:{}", list_foreign(imports))]
    ForeignImports {
        /// The package.
        package: String,
        /// Every such import, with a hint.
        imports: Vec<ForeignImport>,
    },

    /// The component exports nothing, so no host can use it.
    #[error(
        "`{package}` exports nothing, so there is nothing to run: \
         does it export an agent, tools or a channel through the SDK?"
    )]
    NoExports {
        /// The package.
        package: String,
    },

    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, such as `read` or `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// `before` and the names, or nothing where there are none.
fn list(before: &str, names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("{before}{}", names.join(", ")) }
}
