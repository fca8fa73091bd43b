//! Builds WebAssembly components from Rust plugin crates.
//!
//! Owns three things: finding or getting a toolchain for guests, one cargo
//! invocation for the plugins of a workspace, and the way from cargo's core
//! module to a checked component with its `plugin.toml` beside it. The command
//! `sublane plugin build DIR` and `cargo xtask` both call it.
//! Never needs anything of this repository, never runs a component, and never
//! edits a file of the plugin's author.
//!
//! ```no_run
//! use sublane_build::{BuildOptions, Toolchain, build_dir};
//! use std::path::Path;
//!
//! let mut report = |line: &str| eprintln!("{line}");
//! let dir = Path::new("my-plugin");
//! let toolchain = Toolchain::find(dir, &mut report)?;
//! let built = build_dir(&toolchain, dir, Path::new("plugins"), BuildOptions::default(), &mut report)?;
//! println!("{}", built.component.display());
//! # Ok::<(), sublane_build::Error>(())
//! ```

mod build;
mod component;
mod error;
mod output;
mod toolchain;
mod workspace;

pub use build::{BuildOptions, BuildRequest, Built, build_dir, build_plugins};
pub use component::{ForeignImport, check_component, componentize};
pub use error::Error;
pub use toolchain::{Kind, Toolchain};
pub use workspace::{Package, Workspace};

/// The target that plugins are compiled for.
pub const GUEST_TARGET: &str = "wasm32-unknown-unknown";

/// The file that stands beside every component: what the plugin is and asks for.
pub const PLUGIN_MANIFEST: &str = "plugin.toml";
