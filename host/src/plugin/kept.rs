//! Versions of plugins that are kept, so that a run can end on the one it was accepted on.
//!
//! Owns a directory (mode 0700) with a directory for each version, named by its digest: the
//! component, its own digest and the manifest, there whole or not at all. What is read is
//! compared with the name; a component whose code is in the cache is not read at all. Never
//! decides what is needed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
use sublane_core::Timestamp;

use super::files::Files;
use super::{LoadError, manifest};

/// The component in a version's directory; the manifest lies beside it.
const COMPONENT: &str = "component.wasm";
/// The digest of the component, hex: with it a version is known to be whole without reading that.
const COMPONENT_DIGEST: &str = "component.blake3";
/// How the name of a directory begins that is not whole.
const STAGING: &str = ".staging-";

/// Why a version cannot be kept or had.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It is not there.
    #[error("it is not kept any more")]
    Gone,
    /// It is there, and is not what its name says.
    #[error("what is kept of it in {0} is damaged")]
    Damaged(PathBuf),
    /// The directory or a file in it cannot be used.
    #[error("{path} cannot be used")]
    Io {
        /// The file or the directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptVersion {
    /// Its digest.
    pub digest: String,
    /// Bytes of its files.
    pub bytes: u64,
}

/// The directory of kept versions.
#[derive(Clone, Debug)]
pub struct Kept {
    directory: PathBuf,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeptError + '_ {
    move |source| KeptError::Io { path: path.to_owned(), source }
}

/// Whether this is what a version can be called.
fn is_digest(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Kept {
    /// Opens the directory, or makes it; what an earlier process left half made goes.
    ///
    /// # Errors
    /// [`KeptError::Io`].
    pub fn open(directory: &Path) -> Result<Self, KeptError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
        for entry in fs::read_dir(directory).map_err(at(directory))? {
            let entry = entry.map_err(at(directory))?;
            if entry.file_name().to_string_lossy().starts_with(STAGING) {
                fs::remove_dir_all(entry.path()).map_err(at(&entry.path()))?;
            }
        }
        Ok(Self { directory: directory.to_owned() })
    }

    /// The directory, as it is: for who only reads, also beside a host.
    #[must_use]
    pub fn read_only(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// Keeps a version; one that is there already is only said to be in use at `now`.
    ///
    /// # Errors
    /// [`LoadError::Keep`]; [`LoadError::Read`] when the component cannot be read.
    pub fn keep(&self, files: &Files, digest: &str, now: Timestamp) -> Result<(), LoadError> {
        let place = self.directory.join(digest);
        let is_whole = |(name, bytes): &(&str, &[u8])| {
            fs::metadata(place.join(name)).is_ok_and(|meta| meta.len() == bytes.len() as u64)
        };
        let component = files.component().to_hex();
        let parts = [
            (COMPONENT, files.wasm()?),
            (COMPONENT_DIGEST, component.as_bytes()),
            (manifest::FILE_NAME, files.manifest.as_slice()),
        ];
        if !parts.iter().all(is_whole) {
            let kept = |source| LoadError::Keep { path: files.path.clone(), source: Box::new(source) };
            self.write(&parts, &place).map_err(kept)?;
        }
        self.touch(digest, now);
        Ok(())
    }

    fn write(&self, parts: &[(&str, &[u8])], place: &Path) -> Result<(), KeptError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| at(place)(io::Error::other(error)))?;
        let staging = self.directory.join(format!("{STAGING}{:016x}", u64::from_le_bytes(random)));
        fs::DirBuilder::new().mode(0o700).create(&staging).map_err(at(&staging))?;
        let written = || -> io::Result<()> {
            for (name, bytes) in parts {
                let path = staging.join(name);
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(bytes)?;
                file.sync_all()?;
            }
            File::open(&staging)?.sync_all()?;
            // What is there under this name is not what the name says.
            match fs::remove_dir_all(place) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => fs::rename(&staging, place)?,
            }
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|error| {
            // It failed already; what was staged is of no use to anybody.
            let _ = fs::remove_dir_all(&staging);
            at(place)(error)
        })
    }

    /// The files of a version, as they were when it was kept: whether the component is, shows when it
    /// is read.
    ///
    /// # Errors
    /// [`KeptError`].
    pub fn read(&self, digest: &str) -> Result<Files, KeptError> {
        let place = self.directory.join(digest);
        if !is_digest(digest) || !place.is_dir() {
            return Err(KeptError::Gone);
        }
        let component = place.join(COMPONENT);
        // A version that was kept without its component's digest is read whole.
        let known = fs::read_to_string(place.join(COMPONENT_DIGEST)).ok();
        let read = match known.and_then(|hex| blake3::Hash::from_hex(hex).ok()) {
            Some(known) => Files::of_known(&component, known),
            None => Files::read(&component),
        };
        match read {
            Ok(files) if files.digest() == digest => Ok(files),
            Ok(_) => Err(KeptError::Damaged(place)),
            Err(LoadError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(KeptError::Damaged(place))
            }
            Err(LoadError::Read { path, source }) => Err(KeptError::Io { path, source }),
            Err(_) => Err(KeptError::Damaged(place)),
        }
    }

    /// Says that a version is in use at `now`: its time begins anew.
    pub fn touch(&self, digest: &str, now: Timestamp) {
        let seconds = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
        };
        if let Err(error) = utimensat(CWD, self.directory.join(digest), &times, AtFlags::empty()) {
            tracing::warn!(%error, digest, "a kept version could not be touched; it may go early");
        }
    }

    /// Versions that were not in use for `age`.
    ///
    /// # Errors
    /// [`KeptError::Io`].
    pub fn old(&self, now: Timestamp, age: Duration) -> Result<Vec<KeptVersion>, KeptError> {
        let mut old = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(at(&self.directory))? {
            let entry = entry.map_err(at(&self.directory))?;
            let digest = entry.file_name().to_string_lossy().into_owned();
            let Ok(used) = entry.metadata().and_then(|meta| meta.modified()) else { continue };
            let since = used.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            if is_digest(&digest) && since + age <= Duration::from_millis(now.0) {
                let size = |name| fs::metadata(entry.path().join(name)).map_or(0, |meta| meta.len());
                old.push(KeptVersion { bytes: size(COMPONENT) + size(manifest::FILE_NAME), digest });
            }
        }
        Ok(old)
    }

    /// Removes a version.
    ///
    /// # Errors
    /// [`KeptError::Io`].
    pub fn remove(&self, digest: &str) -> Result<(), KeptError> {
        let place = self.directory.join(digest);
        let leaving = self.directory.join(format!("{STAGING}{digest}"));
        fs::rename(&place, &leaving).map_err(at(&place))?;
        fs::remove_dir_all(&leaving).map_err(at(&leaving))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(wasm: &str) -> Files {
        files_of(wasm, "id = \"video\"\nversion = \"0.1.0\"\n")
    }

    fn files_of(wasm: &str, text: &str) -> Files {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let path = directory.path().join("video.wasm");
        fs::write(&path, wasm).expect("written");
        fs::write(path.with_file_name(manifest::FILE_NAME), text).expect("written");
        Files::read(&path).expect("just written")
    }

    fn kept() -> (tempfile::TempDir, Kept) {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let kept = Kept::open(&directory.path().join("components")).expect("made");
        (directory, kept)
    }

    #[test]
    fn what_is_kept_is_had_again_or_said_to_be_damaged() {
        let (_directory, kept) = kept();
        let (files, now) = (files("code"), Timestamp(1_000));
        let digest = files.digest();
        assert!(matches!(kept.read(&digest), Err(KeptError::Gone)));
        kept.keep(&files, &digest, now).expect("kept");
        let again = kept.read(&digest).expect("it is there");
        assert_eq!((again.wasm().expect("whole"), &again.manifest), (&b"code"[..], &files.manifest));
        let place = kept.directory.join(&digest);
        let damaged = |digest: &str| {
            let read = kept.read(digest).expect("its digest is there");
            read.wasm().expect_err("it is not what it was").to_string()
        };
        let component = place.join(COMPONENT);
        fs::write(&component, "c0de").expect("damaged");
        assert_eq!(damaged(&digest), format!("{} cannot be read", component.display()));
        fs::write(&component, "cod").expect("cut");
        damaged(&digest);
        kept.keep(&files, &digest, now).expect("made again");
        assert_eq!(kept.read(&digest).expect("there").wasm().expect("whole"), b"code");
        fs::remove_file(&component).expect("there");
        damaged(&digest);
        fs::write(&component, "code").expect("it is back");
        for (name, text) in [(COMPONENT_DIGEST, "ab".repeat(32)), (manifest::FILE_NAME, "id = 1".to_owned())]
        {
            let whole = fs::read(place.join(name)).expect("there");
            fs::write(place.join(name), text).expect("damaged");
            assert!(matches!(kept.read(&digest), Err(KeptError::Damaged(_))), "{name}");
            fs::write(place.join(name), whole).expect("whole again");
        }
        assert!(matches!(kept.read("../../etc"), Err(KeptError::Gone)), "no name of a version");
    }

    #[test]
    fn a_version_that_was_kept_without_its_components_digest_is_read_whole() {
        let (_directory, kept) = kept();
        let files = files("code");
        let digest = files.digest();
        kept.keep(&files, &digest, Timestamp(1_000)).expect("kept");
        let place = kept.directory.join(&digest);
        fs::remove_file(place.join(COMPONENT_DIGEST)).expect("there");
        assert_eq!(kept.read(&digest).expect("it is whole").digest(), digest);
        fs::write(place.join(COMPONENT), "c0de").expect("damaged");
        assert!(matches!(kept.read(&digest), Err(KeptError::Damaged(_))));
    }

    #[test]
    fn a_version_is_its_component_and_its_manifest() {
        let one = files("code");
        let other = files_of("code", "id = \"video\"\nversion = \"0.1.1\"\n");
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.digest(), files("other code").digest());
        assert_eq!(one.component(), other.component());
    }

    #[test]
    fn a_version_is_old_when_it_was_not_in_use_for_long() {
        let (_directory, kept) = kept();
        let (files, hour) = (files("code"), Duration::from_secs(3_600));
        let (digest, now) = (files.digest(), Timestamp(1_800_000_000_000));
        kept.keep(&files, &digest, now).expect("kept");
        fs::create_dir(kept.directory.join("somebody's")).expect("made");
        assert_eq!(kept.old(now, hour).expect("readable"), []);
        let bytes = ("code".len() + files.manifest.len()) as u64;
        let later = now.after(hour);
        assert_eq!(kept.old(later, hour).expect("readable"), [KeptVersion { digest: digest.clone(), bytes }]);
        kept.touch(&digest, later);
        assert_eq!(kept.old(later, hour).expect("readable"), []);
        kept.remove(&digest).expect("removed");
        assert!(matches!(kept.read(&digest), Err(KeptError::Gone)));
    }
}
