//! Artifacts: files by reference, named by the SHA-256 of their content.
//!
//! Owns the artifact directory: what is written lies in `staging/` until it is
//! whole and on the disk, then it moves to where [`ArtifactRef::path`] says.
//! Whoever commits a row that names an artifact does so after
//! [`Staging::finish`]. Never writes a row and never decides who may read.
//!
//! File IO and hashing run on the blocking threads of the runtime that
//! [`ArtifactDir::open`] is given, so that a slow disk stalls neither a guest
//! thread nor the runtime. Pieces are gathered first ([`GATHER_BYTES`]), so
//! that a guest that writes few bytes at a time does not pay for a hand-over each.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use sublane_core::ArtifactRef;
use tokio::runtime::Handle;

pub use sweep::Placing;

mod sweep;
#[cfg(test)]
mod tests;

/// Bytes that a staging file gathers in memory before they go to the disk.
pub const GATHER_BYTES: usize = 256 * 1024;

/// The directory below the artifact directory that holds what is not whole.
const STAGING: &str = "staging";

/// Why an artifact cannot be written or read. Each is a fault of the host or of its medium.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file of an artifact that a row names is not there.
    #[error("the file of artifact {0} is missing")]
    Missing(String),
    /// What should be an artifact's name is none.
    #[error("`{0}` is not a SHA-256 in hex")]
    BadId(String),
    /// The medium failed; a full disk is one case.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An earlier write failed or was abandoned half way: the content is not known any more.
    #[error("the staging file was left in the middle of a write")]
    Broken,
    /// The runtime that does the file IO is gone.
    #[error("the host is shutting down")]
    Stopping,
}

impl ArtifactError {
    /// Whether the medium has no room, or the user's part of it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }
}

type Result<T> = std::result::Result<T, ArtifactError>;

/// The artifact directory. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ArtifactDir {
    root: Arc<Path>,
    io: Handle,
    placed: Arc<Mutex<sweep::Placed>>,
}

impl ArtifactDir {
    /// Opens the directory, and makes it (mode 0700) where it is not there.
    /// File IO runs on the blocking threads of `io`. Blocks shortly itself.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn open(dir: &Path, io: Handle) -> Result<Self> {
        make_dir(dir)?;
        let root = dir.canonicalize().map_err(failed("find", dir))?;
        make_dir(&root.join(STAGING))?;
        sync_dir(&root)?;
        Ok(Self { root: root.into(), io, placed: Arc::default() })
    }

    /// What goes before an artifact's path to make a link: `file:///…/artifacts/`.
    #[must_use]
    pub fn link_base(&self) -> String {
        link_base(&self.root)
    }

    /// Begins a new artifact: an empty file in `staging/`, removed when it is dropped unfinished.
    ///
    /// # Errors
    /// [`ArtifactError::Io`], [`ArtifactError::Stopping`].
    pub async fn create(&self) -> Result<Staging> {
        let root = self.root.clone();
        let open = self.blocking(move || StagedFile::create(&root)).await?;
        Ok(Staging { dir: self.clone(), open: Some(open), gathered: Vec::new(), size: 0 })
    }

    /// Up to `len` bytes from `offset` on; fewer only at the end, none beyond it.
    /// Allocates no more than the artifact holds.
    ///
    /// # Errors
    /// [`ArtifactError::Missing`] when the file is gone or shorter than it was,
    /// [`ArtifactError::BadId`], [`ArtifactError::Io`], [`ArtifactError::Stopping`].
    pub async fn read(&self, artifact: &ArtifactRef, offset: u64, len: u32) -> Result<Bytes> {
        let path = self.locate(artifact)?;
        let id = artifact.id.clone();
        let len = u64::from(len).min(artifact.size.saturating_sub(offset));
        let len = usize::try_from(len).expect("at most a u32");
        self.blocking(move || {
            let missing = |error: io::Error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => ArtifactError::Missing(id.clone()),
                _ => failed("read", &path)(error),
            };
            let mut piece = vec![0; len];
            let file = File::open(&path).map_err(missing)?;
            file.read_exact_at(&mut piece, offset).map_err(missing)?;
            Ok(piece.into())
        })
        .await
    }

    /// Removes what an earlier process left unfinished, and says how many files that was.
    /// For the start of a host, before anything is created. Blocks.
    ///
    /// # Errors
    /// [`ArtifactError::Io`].
    pub fn clear_staging(&self) -> Result<u32> {
        let staging = self.root.join(STAGING);
        let mut removed = 0;
        for entry in fs::read_dir(&staging).map_err(failed("list", &staging))? {
            let path = entry.map_err(failed("list", &staging))?.path();
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Where an artifact's content lies.
    fn locate(&self, artifact: &ArtifactRef) -> Result<PathBuf> {
        locate(&self.root, artifact)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match self.io.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_cancelled() => Err(ArtifactError::Stopping),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

fn locate(root: &Path, artifact: &ArtifactRef) -> Result<PathBuf> {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if artifact.id.len() != 64 || !artifact.id.bytes().all(hex) {
        return Err(ArtifactError::BadId(artifact.id.clone()));
    }
    Ok(root.join(artifact.path()))
}

/// The content of an artifact in the directory `root`, to be read to its end. Blocks.
///
/// # Errors
/// When the file is not there or cannot be opened, or the id is none.
pub fn content(root: &Path, artifact: &ArtifactRef) -> io::Result<File> {
    File::open(locate(root, artifact).map_err(io::Error::other)?)
}

/// What goes before an artifact's path to make a link, for a directory by its absolute path.
#[must_use]
pub fn link_base(root: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let mut link = "file://".to_owned();
    for byte in root.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => link.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => link.push(char::from(*byte)),
            byte => write!(link, "%{byte:02X}").expect("a string takes what is written"),
        }
    }
    link.push('/');
    link
}

/// An artifact that is being written. Holds up to [`GATHER_BYTES`] plus one piece in memory.
#[derive(Debug)]
pub struct Staging {
    dir: ArtifactDir,
    /// `None` while a write is under way, and for good after one that failed or was abandoned.
    open: Option<StagedFile>,
    gathered: Vec<u8>,
    size: u64,
}

impl Staging {
    /// Adds a piece. The caller bounds its size and the sum of all.
    ///
    /// # Errors
    /// [`ArtifactError::Io`], [`ArtifactError::Stopping`]; after one of them, or when the
    /// future was dropped before its end, the artifact is lost: [`ArtifactError::Broken`]. Only when
    /// [`ArtifactError::is_full`] it is not: the piece is held, and [`Self::flush`] tries again.
    pub async fn write(&mut self, piece: &[u8]) -> Result<()> {
        if self.open.is_none() {
            return Err(ArtifactError::Broken);
        }
        self.gathered.extend_from_slice(piece);
        self.size += piece.len() as u64;
        if self.gathered.len() >= GATHER_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Brings what was gathered onto the disk. Where that has no room, nothing of it counts as
    /// written, and it can be done again.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn flush(&mut self) -> Result<()> {
        let mut open = self.open.take().ok_or(ArtifactError::Broken)?;
        let gathered = std::mem::take(&mut self.gathered);
        let flush = move || {
            let done = open.append(&gathered);
            Ok((open, gathered, done))
        };
        let (open, gathered, done) = self.dir.blocking(flush).await?;
        if done.as_ref().map_or_else(ArtifactError::is_full, |()| true) {
            self.open = Some(open);
        }
        if done.is_err() {
            self.gathered = gathered;
        }
        done
    }

    /// The id of an artifact with what was written so far.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn id(&mut self) -> Result<String> {
        self.flush().await?;
        let open = self.open.as_ref().ok_or(ArtifactError::Broken)?;
        Ok(hex(&open.hasher.clone().finalize()))
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes the artifact whole: content and directory are on the disk when this returns,
    /// so the row that names it may be committed. The same content once more is the same artifact.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub async fn finish(&mut self, name: String, media_type: String) -> Result<ArtifactRef> {
        let artifact = ArtifactRef { id: self.id().await?, name, media_type, size: self.size };
        let mut open = self.open.take().ok_or(ArtifactError::Broken)?;
        let (root, target) = (self.dir.root.clone(), self.dir.locate(&artifact)?);
        // Noted before it is there: no sweep takes it before its row is.
        self.dir.placed.lock().note(&artifact.id);
        let place = move || {
            let placed = open.place(&root, &target);
            Ok((open, placed))
        };
        let (open, placed) = self.dir.blocking(place).await?;
        if placed.as_ref().is_err_and(ArtifactError::is_full) {
            self.open = Some(open);
        }
        placed.map(|()| artifact)
    }
}

impl Drop for Staging {
    /// The file goes on a blocking thread: removing a large one takes its time. Where the
    /// runtime is gone already, the next start clears it.
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            drop(self.dir.io.spawn_blocking(move || drop(open)));
        }
    }
}

/// The file behind a [`Staging`]; removed when dropped before it has its place.
#[derive(Debug)]
struct StagedFile {
    file: File,
    /// Bytes that were written whole; what is beyond counts as nothing.
    size: u64,
    hasher: Sha256,
    /// Where it is, until it has moved.
    path: Option<PathBuf>,
}

impl StagedFile {
    fn create(root: &Path) -> Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system has randomness");
        let path = root.join(STAGING).join(hex(&random));
        let mut options = OpenOptions::new();
        let file =
            options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed("create", &path))?;
        Ok(Self { file, size: 0, hasher: Sha256::new(), path: Some(path) })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, self.size).map_err(|error| self.failed("write", error))?;
        self.size += bytes.len() as u64;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Moves the file to its place, in an order that a crash cannot turn into a half file.
    fn place(&mut self, root: &Path, target: &Path) -> Result<()> {
        self.file.sync_all().map_err(|error| self.failed("sync", error))?;
        let parent = target.parent().expect("an artifact lies below the directory");
        let fresh = !parent.exists();
        make_dir(parent)?;
        let from = self.path.take().ok_or(ArtifactError::Broken)?;
        if let Err(error) = fs::rename(&from, target) {
            self.path = Some(from);
            return Err(failed("create", target)(error));
        }
        sync_dir(parent)?;
        if fresh { sync_dir(root) } else { Ok(()) }
    }

    fn failed(&self, doing: &'static str, error: io::Error) -> ArtifactError {
        failed(doing, self.path.as_deref().unwrap_or(Path::new(STAGING)))(error)
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::debug!(path = %path.display(), %error, "a staging file stays until the next start");
        }
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError + use<> {
    let path = path.to_owned();
    move |source| ArtifactError::Io { doing, path, source }
}

fn make_dir(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create", path))
}

fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(failed("sync", path))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}
