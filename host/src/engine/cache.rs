//! The compile cache: machine code of components, made once.
//!
//! Owns a directory that only this host writes (mode 0700, owner checked).
//! A file is written whole or not at all, and named by the component's hash and
//! the engine's compatibility hash. A digest beside it is verified before
//! Wasmtime maps it: against damage, since whoever could write the one could
//! write the other, so it is a fast one. Here is the one `unsafe` of the host:
//! mapping a file as machine code trusts that we wrote it, and these are the
//! checks behind that trust.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;
use xxhash_rust::xxh3::xxh3_128;

/// Why a component could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The directory is not ours alone.
    #[error("the compile cache {path} is not safe to use: {why}; remove it, or name another state directory")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read or written.
    #[error("the compile cache {path} cannot be used")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Wasmtime refuses the component.
    #[error("the component cannot be compiled: {0:#}")]
    Compile(wasmtime::Error),
}

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

impl Cache {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// [`CacheError::Unsafe`] when others could have written it.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let io = |source| CacheError::Io { path: directory.to_owned(), source };
        if !directory.exists() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        }
        let meta = std::fs::symlink_metadata(directory).map_err(io)?;
        let refuse = |why: String| Err(CacheError::Unsafe { path: directory.to_owned(), why });
        if !meta.is_dir() {
            return refuse("it is not a directory".to_owned());
        }
        let me = rustix::process::geteuid().as_raw();
        if meta.uid() != me {
            return refuse(format!("it belongs to user {} and this is user {me}", meta.uid()));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            return refuse(format!("its mode is {:o} and must be 700", meta.permissions().mode() & 0o777));
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// The component of these bytes, whose BLAKE3 hash is `hash`, from the cache or compiled now.
    ///
    /// # Errors
    /// [`CacheError::Compile`] says why Wasmtime refuses it. A cache file that
    /// is damaged is no error: it is made again.
    pub fn component(
        &self,
        engine: &Engine,
        wasm: &[u8],
        hash: blake3::Hash,
    ) -> Result<Component, CacheError> {
        let path = self.path(engine, hash);
        if let Some(component) = load(engine, &path) {
            return Ok(component);
        }
        let code = engine.precompile_component(wasm).map_err(CacheError::Compile)?;
        write_whole(&path, &code).map_err(|source| CacheError::Io { path: path.clone(), source })?;
        load(engine, &path).ok_or_else(|| CacheError::Io {
            path,
            source: std::io::Error::other("what was just written does not load"),
        })
    }

    fn path(&self, engine: &Engine, hash: blake3::Hash) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let name = format!("{}-{:016x}", hash.to_hex(), hasher.finish());
        self.directory.join(name)
    }
}

/// The compiled component at `path`, if it is there and whole.
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    let code_path = path.with_extension("cwasm");
    let digest = std::fs::read(path.with_extension("digest")).ok()?;
    if digest != xxh3_128(&std::fs::read(&code_path).ok()?).to_be_bytes() {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "the one place that maps machine code from a file, see the safety comment"
    )]
    // SAFETY: the file is in a directory of mode 0700 that belongs to this user,
    // was written by this host from Wasmtime's own compiler, and its digest was
    // just compared with the one written beside it. Wasmtime itself checks that
    // version and configuration agree.
    let component = unsafe { Component::deserialize_file(engine, &code_path) };
    component.inspect_err(|error| tracing::debug!(%error, "a compiled component is out of date")).ok()
}

/// Writes code and digest so that each is there whole or not at all, the digest
/// last. Each writer has staging files of its own: several may write the same.
fn write_whole(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let own = u64::from_le_bytes(random);
    let digest = xxh3_128(code).to_be_bytes();
    for (extension, bytes) in [("cwasm", code), ("digest", digest.as_slice())] {
        let staging = path.with_extension(format!("{extension}.{own:016x}"));
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staging)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&staging, path.with_extension(extension))?;
    }
    Ok(())
}
