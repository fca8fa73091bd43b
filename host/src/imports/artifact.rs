//! `artifact`: files by reference, written and read in pieces.

use sublane_core::{ArtifactRef, Import, ImportError, LimitHit};
use sublane_store::Command;
use wasmtime::component::Resource;

use super::translate::{answer, artifact_to_guest};
use super::{Ctx, Exit, Instance};
use crate::artifacts::{ArtifactError, Staging};
use crate::bindings::sublane::plugin::{artifact, types};
use crate::error::chain;
use crate::host::Inner;
use crate::scrub::is_treacherous;

/// Bytes of one piece, written or read.
const MAX_PIECE_BYTES: usize = 1 << 20;
/// Artifacts that one instance may have open.
const MAX_OPEN: usize = 8;
/// Characters of a name.
const MAX_NAME_CHARS: usize = 128;

type Reply<T> = wasmtime::Result<Result<T, types::Error>>;

/// A file that a guest writes.
pub struct Writer {
    staging: Option<Staging>,
    name: String,
    media_type: String,
}

/// A file that a guest reads.
pub struct Reader {
    file: ArtifactRef,
}

fn fault(error: ArtifactError) -> wasmtime::Error {
    let why = chain(&error);
    if error.is_full() { Exit::NoRoom(why) } else { Exit::Fault(why) }.into()
}

/// Whether a file was written; where the disk has no room, once there is some: then it is to be tried
/// again.
async fn is_done(host: &Inner, written: Result<(), ArtifactError>) -> wasmtime::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.is_full() => {
            host.disk.found_full();
            host.disk.room().await;
            Ok(false)
        }
        Err(error) => Err(fault(error)),
    }
}

pub(super) fn check_name(name: &str, media_type: &str) -> Result<(), ImportError> {
    let bad = |c: char| is_treacherous(c) || c == '/' || c == '\\';
    let chars = name.chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&chars) || name.contains(bad) || name == "." || name == ".." {
        let rule = format!("1 to {MAX_NAME_CHARS} characters without `/`, `\\` or control characters");
        return Err(ImportError::Invalid(format!(
            "`{}` is no file name: it has {rule}",
            name.escape_debug()
        )));
    }
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    match media_type.split_once('/') {
        Some((kind, rest)) if token(kind) && token(rest) && media_type.len() <= MAX_NAME_CHARS => Ok(()),
        _ => Err(ImportError::Invalid(format!("`{}` is no media type", media_type.escape_debug()))),
    }
}

fn check_piece(bytes: usize) -> Result<(), ImportError> {
    let limit = || ImportError::Limit(LimitHit::new("artifact.piece-bytes", MAX_PIECE_BYTES as u64));
    if bytes > MAX_PIECE_BYTES { Err(limit()) } else { Ok(()) }
}

impl artifact::Host for Ctx {
    async fn create(&mut self, name: String, media_type: String) -> Reply<Resource<Writer>> {
        let open = self.table.iter_mut().count();
        let live = live!(self, Import::ArtifactCreate);
        if let Err(denied) = live.given.may_write_artifacts() {
            return Ok(Err(live.denied(denied).into()));
        }
        if open >= MAX_OPEN {
            return Ok(Err(ImportError::Limit(LimitHit::new("artifact.open", MAX_OPEN as u64)).into()));
        }
        if let Err(error) = check_name(&name, &media_type) {
            return Ok(Err(error.into()));
        }
        let redactor = live.attempt.host.secrets.redactor();
        let (name, media_type) = (redactor.text(&name).into(), redactor.text(&media_type).into());
        let staging = live.attempt.host.artifacts.create().await.map_err(fault)?;
        Ok(Ok(self.table.push(Writer { staging: Some(staging), name, media_type })?))
    }

    async fn open(&mut self, id: String) -> Reply<Resource<Reader>> {
        let import = Import::ArtifactOpen;
        let open = self.table.iter_mut().count();
        let live = live!(self, import);
        let opened = live.effect(import, live.args(import, &[id.as_bytes()]), async |live| {
            if open >= MAX_OPEN {
                return Ok(Err(ImportError::Limit(LimitHit::new("artifact.open", MAX_OPEN as u64))));
            }
            let host = &live.attempt.host;
            Ok(host
                .store
                .readable_artifact(live.attempt.spec.id, id.as_str().into())
                .await
                .map_err(Exit::store)?)
        });
        match opened.await? {
            Ok(file) => Ok(Ok(self.table.push(Reader { file })?)),
            Err(error) => Ok(Err(error.into())),
        }
    }
}

impl artifact::HostWriter for Ctx {
    async fn write(&mut self, writer: Resource<Writer>, piece: Vec<u8>) -> Reply<()> {
        let Instance::Live(live) = &self.instance else {
            return Ok(Err(ImportError::Denied("artifacts".to_owned()).into()));
        };
        live.attempt.meter.call();
        if let Err(error) = check_piece(piece.len()) {
            return Ok(Err(error.into()));
        }
        // The bound is what the run began with, so that a replay meets it at the same byte.
        let bound = live.attempt.spec.purse.artifact_bytes;
        let Some(staging) = self.table.get_mut(&writer)?.staging.as_mut() else {
            return Ok(Err(ImportError::Invalid("the file is finished".to_owned()).into()));
        };
        if staging.size() + piece.len() as u64 > bound {
            return Ok(Err(ImportError::Limit(LimitHit::new("purse.artifact-bytes", bound)).into()));
        }
        let host = live.attempt.host.clone();
        // The last of what the disk has is for what the host itself must write.
        host.disk.room().await;
        let mut written = staging.write(&piece).await;
        while !is_done(&host, written).await? {
            written = staging.flush().await;
        }
        Ok(Ok(()))
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> Reply<types::Artifact> {
        let import = Import::ArtifactFinish;
        let file = self.table.get_mut(&writer)?;
        let (name, media_type) = (file.name.clone(), file.media_type.clone());
        let staging = file.staging.take();
        let live = live!(self, import);
        let Some(mut staging) = staging else {
            return Ok(Err(ImportError::Invalid("the file is finished".to_owned()).into()));
        };
        let host = live.attempt.host.clone();
        while !is_done(&host, staging.flush().await).await? {}
        let id = staging.id().await.map_err(fault)?;
        let args = live.args(import, &[name.as_bytes(), media_type.as_bytes(), id.as_bytes()]);
        let done = live.command::<ArtifactRef>(import, args, async |live| {
            if let Err(denied) = live.grants.may_write_artifacts() {
                return Ok(Err(live.denied(denied)));
            }
            // Asked before the file gets its place: one that the purse does not pay for leaves nothing.
            let own = live.attempt.host.store.run(live.attempt.spec.id).await.map_err(Exit::store)?;
            let left = own.map_or(0, |run| run.purse.artifact_bytes);
            if staging.size() > left {
                return Ok(Err(ImportError::Limit(LimitHit::new("purse.artifact-bytes", left))));
            }
            Ok(Ok(Command::Artifact(staging.finish(name, media_type).await.map_err(fault)?)))
        });
        answer(done.await.map(|finished| finished.map(artifact_to_guest)))
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl artifact::HostReader for Ctx {
    fn size(&mut self, reader: Resource<Reader>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&reader)?.file.size)
    }

    async fn read(&mut self, reader: Resource<Reader>, offset: u64, length: u32) -> Reply<Vec<u8>> {
        let Instance::Live(live) = &self.instance else {
            return Ok(Err(ImportError::Denied("artifacts".to_owned()).into()));
        };
        live.attempt.meter.call();
        let file = &self.table.get(&reader)?.file;
        let length = length.min(u32::try_from(MAX_PIECE_BYTES).unwrap_or(u32::MAX));
        let piece = live.attempt.host.artifacts.read(file, offset, length).await.map_err(fault)?;
        Ok(Ok(piece.to_vec()))
    }

    async fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_is_too_large_is_told_the_limit() {
        assert!(check_piece(1 << 20).is_ok());
        let told = check_piece((1 << 20) + 1).expect_err("it is larger").to_string();
        assert!(told.contains("artifact.piece-bytes is 1048576"), "{told}");
    }

    #[test]
    fn a_name_has_no_path() {
        assert!(check_name("film.mp4", "video/mp4").is_ok());
        for name in ["", "../x", "a/b", "a\\b", "..", "a\nb", "\u{202e}4pm.exe", &"x".repeat(129)] {
            assert!(check_name(name, "video/mp4").is_err(), "{name:?}");
        }
        assert!(check_name("film.mp4", "video").is_err());
    }
}
