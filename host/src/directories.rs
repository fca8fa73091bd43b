//! Directories of the operator's, opened once, and what may be done in them.
//!
//! Owns the handles. A path is walked name by name from a handle, and no link is
//! followed on the way, so nothing outside can be named. Knows no grants: who may
//! do what was decided before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use cap_fs_ext::DirExt as _;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;
use sublane_core::grants::FilePath;

/// Bytes of one file.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Entries of one directory that is listed.
pub const MAX_ENTRIES: usize = 100_000;
/// Entries of one list.
const MAX_LISTED: usize = 1_000;

/// Directories by what the operator calls them.
#[derive(Debug, Default)]
pub struct Directories(BTreeMap<String, Dir>);

/// A directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the directory `{name}` ({path}) cannot be opened")]
pub struct DirectoryError {
    /// What it is called in the configuration.
    name: String,
    /// Where it should be.
    path: PathBuf,
    /// Why.
    source: io::Error,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is no such thing, or no such directory.
    #[error("there is no such file")]
    NotFound,
    /// It cannot be done with what is there.
    #[error("{0}")]
    Invalid(&'static str),
    /// A limit was met.
    #[error("the limit {0} is {1}")]
    Limit(&'static str, u64),
    /// The machine refused it.
    #[error(transparent)]
    Io(io::Error),
}

/// What lies somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
    /// A link, a device, a socket, a pipe.
    Other,
}

/// What lies somewhere, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file; 0 of everything else.
    pub size: u64,
    /// Milliseconds since 1970.
    pub modified_ms: u64,
}

type Result<T> = std::result::Result<T, FileError>;

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound => Self::NotFound,
            Kind::NotADirectory => Self::Invalid("a name on the way is no directory"),
            Kind::IsADirectory => Self::Invalid("it is a directory"),
            Kind::DirectoryNotEmpty => Self::Invalid("the directory is not empty"),
            Kind::AlreadyExists => Self::Invalid("something is there already"),
            Kind::InvalidInput | Kind::InvalidFilename => Self::Invalid("the machine takes no such name"),
            // What the operator's permissions keep from the host is as if it were not there.
            Kind::PermissionDenied => Self::NotFound,
            _ => match rustix::io::Errno::from_io_error(&error) {
                Some(rustix::io::Errno::LOOP) => Self::Invalid("it is a link"),
                Some(rustix::io::Errno::NXIO) => Self::Invalid("it is no file"),
                _ => Self::Io(error),
            },
        }
    }
}

impl Directories {
    /// Opens each.
    ///
    /// # Errors
    /// [`DirectoryError`] for the first that is no directory or cannot be opened.
    pub fn open(paths: &BTreeMap<String, PathBuf>) -> std::result::Result<Self, DirectoryError> {
        let open = |(name, path): (&String, &PathBuf)| {
            Dir::open_ambient_dir(path, ambient_authority())
                .map(|dir| (name.clone(), dir))
                .map_err(|source| DirectoryError { name: name.clone(), path: path.clone(), source })
        };
        Ok(Self(paths.iter().map(open).collect::<std::result::Result<_, _>>()?))
    }

    /// The directory at the end of the way down.
    fn walk(&self, root: &str, names: &[String]) -> Result<Dir> {
        let mut dir = self.0.get(root).ok_or(FileError::NotFound)?.try_clone()?;
        for name in names {
            dir = dir.open_dir_nofollow(name)?;
        }
        Ok(dir)
    }

    /// The directory that something lies in, and its name there.
    fn parent<'p>(&self, root: &str, path: &'p FilePath) -> Result<(Dir, &'p Path)> {
        let (name, above) =
            path.names().split_last().ok_or(FileError::Invalid("it is the directory itself"))?;
        Ok((self.walk(root, above)?, Path::new(name)))
    }

    fn open_file(&self, root: &str, path: &FilePath, options: &mut OpenOptions) -> Result<cap_std::fs::File> {
        let (dir, name) = self.parent(root, path)?;
        // A pipe would wait for somebody at its other end.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
        let file = dir.open_with(name, options)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(FileError::Invalid("it is no file")),
        }
    }

    /// Up to `length` bytes from `offset`.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn read(&self, root: &str, path: &FilePath, offset: u64, length: usize) -> Result<Vec<u8>> {
        use std::os::unix::fs::FileExt as _;
        let file = self.open_file(root, path, OpenOptions::new().read(true))?.into_std();
        let there = file.metadata()?.len().saturating_sub(offset);
        let mut bytes = vec![0; length.min(usize::try_from(there).unwrap_or(usize::MAX))];
        let mut read = 0;
        while read < bytes.len() {
            match file.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes from `offset`; makes the file if there is none.
    ///
    /// # Errors
    /// [`FileError`]; then a part may be written.
    pub fn write(&self, root: &str, path: &FilePath, offset: u64, piece: &[u8]) -> Result<()> {
        use std::os::unix::fs::FileExt as _;
        let end = offset.saturating_add(piece.len() as u64);
        if end > MAX_FILE_BYTES {
            return Err(FileError::Limit("files.file-bytes", MAX_FILE_BYTES));
        }
        let file = self.open_file(root, path, OpenOptions::new().write(true).create(true))?.into_std();
        file.write_all_at(piece, offset)?;
        file.sync_data()?;
        Ok(())
    }

    /// Cuts or extends a file.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn set_size(&self, root: &str, path: &FilePath, size: u64) -> Result<()> {
        if size > MAX_FILE_BYTES {
            return Err(FileError::Limit("files.file-bytes", MAX_FILE_BYTES));
        }
        let file = self.open_file(root, path, OpenOptions::new().write(true))?;
        file.set_len(size)?;
        file.sync_all()?;
        Ok(())
    }

    /// What lies in a directory, in the order of the bytes of the names, from behind `after` on.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn list(&self, root: &str, path: &FilePath, after: Option<&str>) -> Result<Vec<(String, Seen)>> {
        let dir = self.walk(root, path.names())?;
        let mut names = Vec::new();
        for (count, entry) in dir.entries()?.enumerate() {
            if count >= MAX_ENTRIES {
                return Err(FileError::Limit("files.directory-entries", MAX_ENTRIES as u64));
            }
            names.extend(entry?.file_name().into_string().ok());
        }
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        names.sort_unstable();
        names.truncate(MAX_LISTED);
        // What somebody removed meanwhile is not there.
        let seen = |name: String| {
            let seen = seen(&dir.symlink_metadata(&name).ok()?);
            Some((name, seen))
        };
        Ok(names.into_iter().filter_map(seen).collect())
    }

    /// What lies there.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn stat(&self, root: &str, path: &FilePath) -> Result<Seen> {
        if path.names().is_empty() {
            return Ok(seen(&self.walk(root, &[])?.dir_metadata()?));
        }
        let (dir, name) = self.parent(root, path)?;
        Ok(seen(&dir.symlink_metadata(name)?))
    }

    /// Makes a directory, unless there is one.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create_dir(&self, root: &str, path: &FilePath) -> Result<()> {
        let (dir, name) = self.parent(root, path)?;
        match dir.create_dir(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match dir.symlink_metadata(name)?.is_dir() {
                    true => Ok(()),
                    false => Err(FileError::Invalid("a file has that name")),
                }
            }
            made => Ok(made?),
        }
    }

    /// Moves something to another place below the same directory.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn rename(&self, root: &str, from: &FilePath, to: &FilePath) -> Result<()> {
        let (from_dir, from) = self.parent(root, from)?;
        let (to_dir, to) = self.parent(root, to)?;
        Ok(from_dir.rename(from, &to_dir, to)?)
    }

    /// Removes a file, a link, or an empty directory.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn remove(&self, root: &str, path: &FilePath) -> Result<()> {
        let (dir, name) = self.parent(root, path)?;
        match dir.symlink_metadata(name)?.is_dir() {
            true => Ok(dir.remove_dir(name)?),
            false => Ok(dir.remove_file(name)?),
        }
    }
}

fn seen(meta: &Metadata) -> Seen {
    let kind = if meta.is_file() {
        Kind::File
    } else if meta.is_dir() {
        Kind::Directory
    } else {
        Kind::Other
    };
    let since = meta.modified().ok().map(cap_std::time::SystemTime::into_std);
    let since = since.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Seen {
        kind,
        size: if kind == Kind::File { meta.len() } else { 0 },
        modified_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
