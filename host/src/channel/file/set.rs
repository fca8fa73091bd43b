//! One delivery as a directory: written beside its place, on the disk, then moved there.
//!
//! Owns the order that a crash cannot turn into half a directory, and what is
//! left of earlier attempts. Everything below the folder is opened by its name
//! in a directory that is held open, and never by way of a link.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use sublane_core::{ArtifactRef, DeliveryId};

use super::Folder;
use super::names::Names;
use crate::artifacts;
use crate::channel::body::Body;
use crate::scrub::scrub_text;

/// The body, as it is stored.
const BODY: &str = "delivery.json";
/// What people read.
const TEXT: &str = "text.txt";
/// Bytes that are copied between two looks whether somebody still waits.
const PIECE_BYTES: u64 = 16 << 20;

/// What one attempt writes, and where.
pub(super) struct Job {
    pub(super) folder: Arc<Folder>,
    pub(super) artifacts: Arc<Path>,
    pub(super) id: DeliveryId,
    pub(super) attempt: u32,
    pub(super) body: Arc<str>,
    pub(super) is_stopped: Arc<AtomicBool>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The medium failed; a full disk is one case.
    #[error("cannot {doing} `{path}`")]
    Medium { doing: &'static str, path: PathBuf, source: io::Error },
    /// It is there, and may be gone after a failure of power.
    #[error("`{path}` may not be on the disk")]
    Unsure { path: PathBuf, source: io::Error },
    /// Something else has its name.
    #[error("`{path}` is there already and is something else; move it away, then retry")]
    Taken { path: PathBuf },
    /// The body cannot be read.
    #[error("the body cannot be read")]
    Body(#[source] serde_json::Error),
    /// An artifact cannot be read.
    #[error("the file of artifact `{name}` cannot be read")]
    Artifact { name: String, source: io::Error },
    /// The attempt was given up.
    #[error("the attempt was given up")]
    Stopped,
}

type Result<T> = std::result::Result<T, Problem>;

impl Job {
    /// Writes it, unless it is there; what became of it, for people. Blocks.
    pub(super) fn write(&self) -> Result<String> {
        let body: Body = serde_json::from_str(&self.body).map_err(Problem::Body)?;
        let folder = self.open_folder()?;
        let name = self.id.to_string();
        let place = self.folder.directory.join(&name);
        if self.is_there(&folder, &name)? {
            sync(&folder).map_err(|source| Problem::Unsure { path: place.clone(), source })?;
            return Ok(format!("{} was there already", place.display()));
        }
        for attempt in 1..=self.attempt {
            remove(&folder, &self.staging(attempt));
        }
        let staging = self.staging(self.attempt);
        let written = self.fill(&folder, &staging, &body).and_then(|()| {
            match renameat(&folder, &staging, &folder, &name) {
                Ok(()) => Ok(()),
                // Another attempt was quicker.
                Err(Errno::EXIST | Errno::NOTEMPTY) if self.is_there(&folder, &name)? => Ok(()),
                Err(Errno::NOTDIR) => Err(Problem::Taken { path: place.clone() }),
                Err(error) => Err(medium("create", &place)(error.into())),
            }
        });
        // Nothing to remove once it was moved.
        remove(&folder, &staging);
        written?;
        sync(&folder).map_err(|source| Problem::Unsure { path: place.clone(), source })?;
        Ok(place.display().to_string())
    }

    fn open_folder(&self) -> Result<OwnedFd> {
        let path = &self.folder.directory;
        if self.folder.create {
            make(path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map_err(|error| medium("open", path)(error.into()))
    }

    /// Hidden, and of this attempt alone: an earlier one may still be at its last piece.
    fn staging(&self, attempt: u32) -> String {
        format!(".{}.{attempt}.tmp", self.id)
    }

    /// Whether this very delivery is there.
    fn is_there(&self, folder: &OwnedFd, name: &str) -> Result<bool> {
        let path = self.folder.directory.join(name);
        let set = match open_dir(folder, name) {
            Ok(set) => set,
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Problem::Taken { path }),
            Err(error) => return Err(medium("open", &path)(error.into())),
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&set, BODY, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT | Errno::LOOP) => return Err(Problem::Taken { path }),
            Err(error) => return Err(medium("open", &path)(error.into())),
        };
        let mut found = Vec::new();
        let bound = self.body.len() as u64 + 1;
        file.take(bound).read_to_end(&mut found).map_err(medium("read", &path))?;
        if found == self.body.as_bytes() { Ok(true) } else { Err(Problem::Taken { path }) }
    }

    /// Writes everything, and lets it reach the disk.
    fn fill(&self, folder: &OwnedFd, staging: &str, body: &Body) -> Result<()> {
        let path = self.folder.directory.join(staging);
        mkdirat(folder, staging, Mode::from_raw_mode(0o777))
            .map_err(|error| medium("create", &path)(error.into()))?;
        let set = open_dir(folder, staging).map_err(|error| medium("open", &path)(error.into()))?;
        let mut names = Names::new(&[BODY, TEXT]);
        for link in &body.data.artifacts {
            let name = names.take(&link.name);
            let artifact = ArtifactRef {
                id: link.id.clone(),
                name: link.name.clone(),
                media_type: link.media_type.clone(),
                size: link.size,
            };
            self.copy(&artifact, &create(&set, &name, &path)?, &path.join(&name))?;
        }
        let texts = [(TEXT, scrub_text(&body.data.text)), (BODY, self.body.to_string())];
        for (name, text) in texts {
            let mut file = create(&set, name, &path)?;
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            written.map_err(medium("write", &path.join(name)))?;
        }
        sync(&set).map_err(medium("write", &path))
    }

    fn copy(&self, artifact: &ArtifactRef, mut to: &File, path: &Path) -> Result<()> {
        let unreadable = |source| Problem::Artifact { name: artifact.name.clone(), source };
        let from = artifacts::content(&self.artifacts, artifact).map_err(unreadable)?;
        let mut copied = 0;
        loop {
            if self.is_stopped.load(Ordering::Relaxed) {
                return Err(Problem::Stopped);
            }
            match io::copy(&mut (&from).take(PIECE_BYTES), &mut to).map_err(medium("write", path))? {
                0 => break,
                some => copied += some,
            }
        }
        if copied != artifact.size {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        to.sync_all().map_err(medium("write", path))
    }
}

/// Makes a directory and whatever it lies in, so that a failure of power does not take it away
/// with what was written to it.
fn make(path: &Path) -> Result<()> {
    let missing = |at: &&Path| !at.as_os_str().is_empty() && !at.exists();
    let fresh: Vec<&Path> = path.ancestors().take_while(missing).collect();
    if fresh.is_empty() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(medium("create", path))?;
    for made in fresh {
        let parent = made.parent().filter(|up| !up.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent).and_then(|up| up.sync_all()).map_err(medium("sync", parent))?;
    }
    Ok(())
}

fn open_dir(at: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

/// A new file. Who may read it is the folder's matter, and the umask's.
fn create(at: &OwnedFd, name: &str, path: &Path) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(at, name, flags, Mode::from_raw_mode(0o666));
    made.map(File::from).map_err(|error| medium("create", &path.join(name))(error.into()))
}

/// Removes what an attempt left, if it left anything. What resists stays: it is hidden.
fn remove(folder: &OwnedFd, staging: &str) {
    let Ok(set) = open_dir(folder, staging) else {
        // Whatever has the name is no directory of ours.
        let _ = unlinkat(folder, staging, AtFlags::empty());
        return;
    };
    for entry in Dir::read_from(&set).into_iter().flatten().flatten() {
        let _ = unlinkat(&set, entry.file_name(), AtFlags::empty());
    }
    let _ = unlinkat(folder, staging, AtFlags::REMOVEDIR);
}

fn sync(directory: &impl AsFd) -> io::Result<()> {
    Ok(rustix::fs::fsync(directory)?)
}

fn medium(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Problem + use<> {
    let path = path.to_owned();
    move |source| Problem::Medium { doing, path, source }
}
