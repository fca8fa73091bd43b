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

/// All Rust files below a directory of the repository, in order, without what cargo made.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn rust_files(below: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![repository().join(below)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with("target") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "there are no Rust files in {below}");
    files.sort();
    files
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
