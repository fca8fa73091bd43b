//! What a version of a plugin is made of: a component and the manifest beside it.
//!
//! Owns the digest that names a version. Never compiles and never checks what is in the files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::LoadError;
use super::manifest::{FILE_NAME, Manifest};
use crate::bounded;

/// The digest of a version, hex: BLAKE3 of the digests of component and manifest.
#[must_use]
pub fn digest(component: blake3::Hash, manifest: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(component.as_bytes());
    hasher.update(blake3::hash(manifest).as_bytes());
    hasher.finalize().to_hex().to_string()
}

/// A component and its manifest.
pub struct Files {
    /// Where the component lies.
    pub path: PathBuf,
    /// The manifest, which lies beside it.
    pub manifest: Vec<u8>,
    component: blake3::Hash,
    wasm: OnceLock<Vec<u8>>,
}

impl Files {
    /// Reads a component and the `plugin.toml` beside it.
    ///
    /// # Errors
    /// [`LoadError::Read`] says which of them cannot be read.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let wasm = read(path, bounded::MAX_COMPONENT_BYTES)?;
        let manifest = read(&path.with_file_name(FILE_NAME), bounded::MAX_TEXT_BYTES)?;
        let component = blake3::hash(&wasm);
        Ok(Self { path: path.to_owned(), manifest, component, wasm: OnceLock::from(wasm) })
    }

    /// As [`Self::read`], of a component whose digest is known: it is read when it must be compiled.
    ///
    /// # Errors
    /// [`LoadError::Read`] says that the manifest cannot be read.
    pub(super) fn of_known(path: &Path, component: blake3::Hash) -> Result<Self, LoadError> {
        let manifest = read(&path.with_file_name(FILE_NAME), bounded::MAX_TEXT_BYTES)?;
        Ok(Self { path: path.to_owned(), manifest, component, wasm: OnceLock::new() })
    }

    /// The component itself.
    ///
    /// # Errors
    /// [`LoadError::Read`] says why it cannot be read now, or that it is another than it was.
    pub fn wasm(&self) -> Result<&[u8], LoadError> {
        if let Some(wasm) = self.wasm.get() {
            return Ok(wasm);
        }
        let wasm = read(&self.path, bounded::MAX_COMPONENT_BYTES)?;
        if blake3::hash(&wasm) != self.component {
            let source = io::Error::new(io::ErrorKind::InvalidData, "it is not what it was");
            return Err(LoadError::Read { path: self.path.clone(), source });
        }
        Ok(self.wasm.get_or_init(|| wasm))
    }

    /// BLAKE3 of the component.
    #[must_use]
    pub fn component(&self) -> blake3::Hash {
        self.component
    }

    /// The version's [`digest`].
    #[must_use]
    pub fn digest(&self) -> String {
        digest(self.component, &self.manifest)
    }

    /// The manifest, understood.
    pub(super) fn manifest(&self) -> Result<Manifest, LoadError> {
        let path = self.path.with_file_name(FILE_NAME);
        Manifest::parse(&path.display().to_string(), &String::from_utf8_lossy(&self.manifest))
            .map_err(|error| LoadError::Manifest(error.to_string()))
    }
}

fn read(path: &Path, bytes: u64) -> Result<Vec<u8>, LoadError> {
    bounded::regular(path, bytes).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}
