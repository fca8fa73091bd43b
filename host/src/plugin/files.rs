//! What a version of a plugin is made of: a component and the manifest beside it.
//!
//! Owns the digest that names a version. Never compiles and never checks what is in the files.

use std::path::{Path, PathBuf};

use super::LoadError;
use super::manifest::{FILE_NAME, Manifest};
use crate::bounded;

/// A component and its manifest, as they were read.
pub struct Files {
    /// Where the component lies.
    pub path: PathBuf,
    /// The component.
    pub wasm: Vec<u8>,
    /// The manifest, which lies beside it.
    pub manifest: Vec<u8>,
}

impl Files {
    /// Reads a component and the `plugin.toml` beside it.
    ///
    /// # Errors
    /// [`LoadError::Read`] says which of them cannot be read.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let read = |path: &Path, bytes| {
            bounded::regular(path, bytes).map_err(|source| LoadError::Read { path: path.to_owned(), source })
        };
        let wasm = read(path, bounded::MAX_COMPONENT_BYTES)?;
        let manifest = read(&path.with_file_name(FILE_NAME), bounded::MAX_TEXT_BYTES)?;
        Ok(Self { path: path.to_owned(), wasm, manifest })
    }

    /// BLAKE3 of the component.
    #[must_use]
    pub fn component(&self) -> blake3::Hash {
        blake3::hash(&self.wasm)
    }

    /// The version's digest, hex: BLAKE3 of the digests of component and manifest.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.component(), &self.manifest)
    }

    /// The manifest, understood.
    pub(super) fn manifest(&self) -> Result<Manifest, LoadError> {
        let path = self.path.with_file_name(FILE_NAME);
        Manifest::parse(&path.display().to_string(), &String::from_utf8_lossy(&self.manifest))
            .map_err(|error| LoadError::Manifest(error.to_string()))
    }
}

/// [`Files::digest`], where the component's is known.
pub(super) fn digest(component: blake3::Hash, manifest: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(component.as_bytes());
    hasher.update(blake3::hash(manifest).as_bytes());
    hasher.finalize().to_hex().to_string()
}
