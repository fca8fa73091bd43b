//! `files`: directories of the operator's, by name and by path.
//!
//! Every call is an effect, done off the guest's thread. What was read is in the
//! journal as base64.

use serde::{Deserialize, Serialize};
use sublane_core::grants::{FileMode, FilePath};
use sublane_core::{Answer, Import, ImportError, LimitHit};

use super::translate::{Bytes, answer};
use super::{Ctx, Exit, Live};
use crate::bindings::sublane::plugin::{files, types};
use crate::directories::{Directories, FileError, Kind, Seen};

/// Bytes of one piece, read or written.
const MAX_PIECE_BYTES: usize = 1 << 20;
/// How long a guest should wait before it tries again what the machine refused, in milliseconds.
const RETRY_MS: u64 = 1_000;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

/// Something that lies somewhere, as the journal keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    name: String,
    kind: String,
    size: u64,
    /// Left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified_ms: Option<u64>,
}

impl Found {
    fn new(name: String, seen: &Seen) -> Self {
        let kind = match seen.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Other => "other",
        };
        Self { name, kind: kind.to_owned(), size: seen.size, modified_ms: None }
    }

    fn kind(&self) -> files::Kind {
        match self.kind.as_str() {
            "file" => files::Kind::File,
            "directory" => files::Kind::Directory,
            _ => files::Kind::Other,
        }
    }
}

impl From<FileError> for ImportError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotFound => Self::NotFound,
            FileError::Invalid(why) => Self::Invalid(why.to_owned()),
            FileError::Limit(which, value) => Self::Limit(LimitHit::new(which, value)),
            FileError::Io(error) => {
                tracing::warn!(%error, "a file of a plugin's could not be used");
                Self::Unavailable(Some(RETRY_MS))
            }
        }
    }
}

/// The bytes of a call's place for its hash: each name with its length.
fn flat(path: &[String]) -> Vec<u8> {
    path.iter().flat_map(|name| [&(name.len() as u64).to_le_bytes()[..], name.as_bytes()].concat()).collect()
}

impl Live {
    /// An effect in a directory, at one or more paths for which the grants hold `mode`.
    async fn in_directory<T: Serialize + serde::de::DeserializeOwned + Send + 'static>(
        &mut self,
        import: Import,
        hash: u128,
        (root, paths, mode): (String, Vec<Vec<String>>, FileMode),
        work: impl FnOnce(&Directories, &str, &[FilePath]) -> Result<T, FileError> + Send + 'static,
    ) -> wasmtime::Result<Answer<T>> {
        self.effect(import, hash, async |live| {
            let mut walked = Vec::with_capacity(paths.len());
            for names in paths {
                // What is no path is not compared with anything.
                let path = match FilePath::new(names) {
                    Ok(path) => path,
                    Err(error) => return Ok(Err(ImportError::Invalid(error.to_string()))),
                };
                if let Err(denied) = live.grants.may_use_files(&root, path.names(), mode) {
                    return Ok(Err(live.denied(denied)));
                }
                walked.push(path);
            }
            let host = live.attempt.host.clone();
            let done = host.blocking(move |host| work(&host.directories, &root, &walked)).await;
            Ok(done.map_err(Exit::Fault)?.map_err(Into::into))
        })
        .await
    }
}

impl files::Host for Ctx {
    async fn read(&mut self, root: String, path: Vec<String>, offset: u64, length: u32) -> Reply<Vec<u8>> {
        let import = Import::FilesRead;
        let live = live!(self, import);
        let hash =
            live.args(import, &[root.as_bytes(), &flat(&path), &offset.to_le_bytes(), &length.to_le_bytes()]);
        let length = (length as usize).min(MAX_PIECE_BYTES);
        let place = (root, vec![path], FileMode::Read);
        let read = live.in_directory(import, hash, place, move |directories, root, paths| {
            directories.read(root, &paths[0], offset, length).map(Bytes)
        });
        answer(read.await.map(|read| read.map(|Bytes(bytes)| bytes)))
    }

    async fn write(&mut self, root: String, path: Vec<String>, offset: u64, piece: Vec<u8>) -> Reply<()> {
        let import = Import::FilesWrite;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&path), &offset.to_le_bytes(), &piece]);
        let place = (root, vec![path], FileMode::ReadWrite);
        let written = live.in_directory(import, hash, place, move |directories, root, paths| {
            if piece.len() > MAX_PIECE_BYTES {
                return Err(FileError::Limit("files.piece-bytes", MAX_PIECE_BYTES as u64));
            }
            directories.write(root, &paths[0], offset, &piece)
        });
        answer(written.await)
    }

    async fn set_size(&mut self, root: String, path: Vec<String>, size: u64) -> Reply<()> {
        let import = Import::FilesSetSize;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&path), &size.to_le_bytes()]);
        let place = (root, vec![path], FileMode::ReadWrite);
        let done = live.in_directory(import, hash, place, move |directories, root, paths| {
            directories.set_size(root, &paths[0], size)
        });
        answer(done.await)
    }

    async fn list_entries(
        &mut self,
        root: String,
        path: Vec<String>,
        after: Option<String>,
    ) -> Reply<Vec<files::Entry>> {
        let import = Import::FilesListEntries;
        let live = live!(self, import);
        let from = after.as_ref().map_or(&b""[..], |after| after.as_bytes());
        let hash = live.args(import, &[root.as_bytes(), &flat(&path), from]);
        let place = (root, vec![path], FileMode::Read);
        let listed = live.in_directory(import, hash, place, move |directories, root, paths| {
            let listed = directories.list(root, &paths[0], after.as_deref())?;
            Ok(listed.into_iter().map(|(name, seen)| Found::new(name, &seen)).collect::<Vec<_>>())
        });
        let entry = |found: Found| files::Entry { kind: found.kind(), name: found.name, size: found.size };
        answer(listed.await.map(|listed| listed.map(|found| found.into_iter().map(entry).collect())))
    }

    async fn stat(&mut self, root: String, path: Vec<String>) -> Reply<files::FileStat> {
        let import = Import::FilesStat;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&path)]);
        let place = (root, vec![path], FileMode::Read);
        let found = live.in_directory(import, hash, place, move |directories, root, paths| {
            let seen = directories.stat(root, &paths[0])?;
            Ok(Found { modified_ms: Some(seen.modified_ms), ..Found::new(String::new(), &seen) })
        });
        let stat = |found: Found| files::FileStat {
            kind: found.kind(),
            size: found.size,
            modified: found.modified_ms.unwrap_or_default(),
        };
        answer(found.await.map(|found| found.map(stat)))
    }

    async fn create_dir(&mut self, root: String, path: Vec<String>) -> Reply<()> {
        let import = Import::FilesCreateDir;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&path)]);
        let place = (root, vec![path], FileMode::ReadWrite);
        let made = live.in_directory(import, hash, place, move |directories, root, paths| {
            directories.create_dir(root, &paths[0])
        });
        answer(made.await)
    }

    async fn rename(&mut self, root: String, from: Vec<String>, to: Vec<String>) -> Reply<()> {
        let import = Import::FilesRename;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&from), &flat(&to)]);
        let place = (root, vec![from, to], FileMode::ReadWrite);
        let moved = live.in_directory(import, hash, place, move |directories, root, paths| {
            directories.rename(root, &paths[0], &paths[1])
        });
        answer(moved.await)
    }

    async fn remove(&mut self, root: String, path: Vec<String>) -> Reply<()> {
        let import = Import::FilesRemove;
        let live = live!(self, import);
        let hash = live.args(import, &[root.as_bytes(), &flat(&path)]);
        let place = (root, vec![path], FileMode::ReadWrite);
        let removed = live.in_directory(import, hash, place, move |directories, root, paths| {
            directories.remove(root, &paths[0])
        });
        answer(removed.await)
    }
}
