//! Where things are: the repository, and the plugins that `cargo xtask build` made.

use std::path::{Path, PathBuf};

/// The directory of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a directory of the repository")
        .to_owned()
}

/// The component of a plugin that `cargo xtask build` made.
///
/// # Panics
/// When it is not there: says how to make it.
#[must_use]
pub fn component(plugin: &str) -> PathBuf {
    let path = repository().join("target/plugins").join(plugin).join(format!("{plugin}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask build` first", path.display());
    path
}
