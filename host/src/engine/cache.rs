//! The compile cache: machine code of components, made once, and what was found
//! out about them.
//!
//! Owns a directory that only this host writes (mode 0700, owner checked).
//! A file is written whole or not at all, and named by the component's hash, the
//! engine's compatibility hash and the host's version. A digest beside it is
//! verified before Wasmtime maps it: against damage, since whoever could write
//! the one could write the other, so it is a fast one. Here is the only `unsafe` of the host:
//! mapping a file as machine code trusts that we wrote it, and these are the
//! checks behind that trust.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sublane_core::Timestamp;
use wasmtime::Engine;
use wasmtime::component::Component;
use xxhash_rust::xxh3::xxh3_128;

use super::EngineClass;
use super::compile::{CompileError, Compiler};

/// Bytes of a digest.
const DIGEST_BYTES: usize = 16;

/// It is not said again so soon that a file was used.
const TOUCH: Duration = Duration::from_secs(60);

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
    /// It is not compiled: Wasmtime refuses it, or it takes too much.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It has more memories, tables or instances, or larger ones, than the instances of a host have room for.
    #[error("the component does not fit into an instance: {0:#}")]
    Oversized(wasmtime::Error),
}

/// A directory of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    compiler: Compiler,
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
        Ok(Self { directory: directory.to_owned(), compiler: Compiler::default() })
    }

    /// With this compiler for what is not in it. By default this process compiles.
    #[must_use]
    pub fn compiled_by(self, compiler: Compiler) -> Self {
        Self { compiler, ..self }
    }

    /// Removes what no host loaded for `age`, but for the code of components whose BLAKE3 hash, hex,
    /// `is_used`. Gives how many files that were.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn remove_old(
        &self,
        now: Timestamp,
        age: Duration,
        is_used: &dyn Fn(&str) -> bool,
    ) -> Result<u64, CacheError> {
        let io = |source| CacheError::Io { path: self.directory.clone(), source };
        let mut removed = 0;
        for entry in std::fs::read_dir(&self.directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let (hash, _) = name.split_once('-').unwrap_or_default();
            if hash.len() != 64 || is_used(hash) {
                continue;
            }
            // Another host of this user may have removed it.
            let Ok(written) = entry.metadata().and_then(|meta| meta.modified()) else { continue };
            let since = written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            if since + age <= Duration::from_millis(now.0) && std::fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The place of the component with this BLAKE3 hash, for this engine.
    #[must_use]
    pub fn entry(&self, on: &EngineClass, hash: blake3::Hash) -> Entry {
        let name = format!("{}-{:016x}", hash.to_hex(), on.code);
        Entry { engine: on.engine.clone(), path: self.directory.join(name), compiler: self.compiler.clone() }
    }
}

/// What code that was compiled for an engine depends on, beside the component: Wasmtime's version and
/// settings, and the host's version.
#[must_use]
pub(super) fn code_of(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    env!("CARGO_PKG_VERSION").hash(&mut hasher);
    hasher.finish()
}

/// One component in the cache.
pub struct Entry {
    engine: Engine,
    path: PathBuf,
    compiler: Compiler,
}

impl Entry {
    /// The component, if its code is here and whole.
    #[must_use]
    pub fn component(&self) -> Option<Component> {
        let loaded = self.load()?;
        let out_of_date = |error: &wasmtime::Error| {
            tracing::debug!(error = format!("{error:#}"), "a compiled component is out of date");
        };
        let component = loaded.inspect_err(out_of_date).ok()?;
        if std::fs::metadata(self.path.with_extension("digest")).is_ok_and(|meta| is_untouched(&meta)) {
            self.touch();
        }
        Some(component)
    }

    /// The component, compiled now of its bytes. Its code is kept.
    ///
    /// # Errors
    /// [`CacheError::Compile`] says why it is refused, [`CacheError::Oversized`] what it has too
    /// much of.
    pub fn compile(&self, wasm: &[u8]) -> Result<Component, CacheError> {
        let kib = wasm.len().div_ceil(1 << 10);
        tracing::info!(kib, "compiling a component for the first time; its code is kept");
        let code = self.compiler.compile(&self.engine, wasm)?;
        self.write("cwasm", &code)?;
        self.write("digest", &xxh3_128(&code).to_be_bytes())?;
        match self.load() {
            Some(Ok(component)) => Ok(component),
            // It is not the cache's fault: this engine made the code, and has no room for what it declares.
            Some(Err(error)) => {
                for extension in ["cwasm", "digest"] {
                    std::fs::remove_file(self.path.with_extension(extension)).map_err(|e| self.io(e))?;
                }
                Err(CacheError::Oversized(error))
            }
            None => Err(self.io(std::io::Error::other("what was just written is not there"))),
        }
    }

    /// What was found out about the component, if it was kept and is whole.
    #[must_use]
    pub fn found<T: DeserializeOwned>(&self) -> Option<T> {
        let bytes = std::fs::read(self.path.with_extension("found")).ok()?;
        let (digest, json) = bytes.split_at_checked(DIGEST_BYTES)?;
        if digest != xxh3_128(json).to_be_bytes() {
            return None;
        }
        serde_json::from_slice(json).ok()
    }

    /// Keeps what was found out about the component. It must follow from its bytes alone.
    ///
    /// # Errors
    /// [`CacheError::Io`] when it cannot be written.
    pub fn keep<T: Serialize>(&self, found: &T) -> Result<(), CacheError> {
        let json = serde_json::to_vec(found).map_err(|error| self.io(error.into()))?;
        self.write("found", &[&xxh3_128(&json).to_be_bytes(), json.as_slice()].concat())
    }

    /// The compiled component, if it is there and whole; or why the engine does not take it.
    fn load(&self) -> Option<wasmtime::Result<Component>> {
        let code_path = self.path.with_extension("cwasm");
        let digest = std::fs::read(self.path.with_extension("digest")).ok()?;
        if digest != xxh3_128(&map(&code_path).ok()?).to_be_bytes() {
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
        Some(unsafe { Component::deserialize_file(&self.engine, &code_path) })
    }

    /// Says that it was used: what is not used for long is removed.
    fn touch(&self) {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times =
            Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: now };
        for extension in ["cwasm", "digest", "found"] {
            if let Err(error) = utimensat(CWD, self.path.with_extension(extension), &times, AtFlags::empty())
            {
                tracing::debug!(%error, extension, "a file of the compile cache could not be touched");
            }
        }
    }

    fn write(&self, extension: &str, bytes: &[u8]) -> Result<(), CacheError> {
        write_whole(&self.path, extension, bytes)
            .map_err(|source| CacheError::Io { path: self.path.with_extension(extension), source })
    }

    fn io(&self, source: std::io::Error) -> CacheError {
        CacheError::Io { path: self.path.clone(), source }
    }
}

/// Whether it was not said for [`TOUCH`] that this file was used. A clock that was set back says so too.
fn is_untouched(meta: &std::fs::Metadata) -> bool {
    !meta.modified().is_ok_and(|at| at.elapsed().is_ok_and(|since| since < TOUCH))
}

/// A file of the cache, to be hashed: from the system's own pages, without a copy.
fn map(path: &Path) -> std::io::Result<memmap2::Mmap> {
    let file = std::fs::File::open(path)?;
    #[expect(unsafe_code, reason = "see the safety comment")]
    // SAFETY: a file of the cache is never changed in place, but replaced whole, by
    // a user whose directory it is alone.
    unsafe {
        memmap2::MmapOptions::new().populate().map(&file)
    }
}

/// Writes a file so that it is there whole or not at all. Each writer has a
/// staging file of its own: several may write the same.
fn write_whole(path: &Path, extension: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(std::io::Error::other)?;
    let own = u64::from_le_bytes(random);
    let staging = path.with_extension(format!("{extension}.{own:016x}"));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staging)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let place = path.with_extension(extension);
    // Whatever a directory does there, it is none of ours, and no file can be moved onto it.
    if std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir()) {
        std::fs::remove_dir_all(&place)?;
    }
    std::fs::rename(&staging, &place).inspect_err(|_| {
        // It failed already; what was staged is of no use to anybody.
        let _ = std::fs::remove_file(&staging);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_loaded_for_long_goes_and_what_is_not_ours_stays() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let cache = Cache::open(&directory.path().join("cache")).expect("made");
        let name = format!("{}-0123456789abcdef.cwasm", "ab".repeat(32));
        for name in [name.as_str(), "somebody's notes"] {
            std::fs::write(cache.directory.join(name), "code").expect("written");
        }
        let meta = std::fs::metadata(cache.directory.join(&name)).expect("there");
        let since =
            meta.modified().expect("known").duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let written = Timestamp(u64::try_from(since.as_millis()).expect("small") + 1);
        let day = Duration::from_secs(86_400);
        let removed = |at: Timestamp, used: &str| {
            cache.remove_old(at, day, &|hash| hash.starts_with(used)).expect("looked through")
        };
        assert_eq!(removed(written, "none"), 0);
        assert_eq!(removed(written.after(day), "abab"), 0, "a plugin of it is in memory");
        assert_eq!(removed(written.after(day), "none"), 1);
        assert!(cache.directory.join("somebody's notes").exists());
    }
}
