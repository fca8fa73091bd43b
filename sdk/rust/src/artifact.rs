//! Files, by reference: written in pieces, then never changed.
//!
//! Writing needs the grant `artifacts`; the bytes come out of `artifact-bytes`.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use crate::bindings::imports::sublane::plugin::artifact as raw;
use crate::error::Error;

pub use crate::bindings::imports::sublane::plugin::types::Artifact;

/// The most bytes that go to or come from the host in one call.
const PIECE_BYTES: usize = 1024 * 1024;
/// Small writes are gathered up to this many bytes.
const BUFFER_BYTES: usize = 16 * 1024;

/// Begins a file. The name is for people: 1 to 128 characters, no path
/// separators, no control characters. At most 8 are open at once.
pub fn create(name: &str, media_type: &str) -> Result<Writer, Error> {
    let pieces = Pieces(raw::create(name, media_type)?);
    Ok(Writer(BufWriter::with_capacity(BUFFER_BYTES, pieces)))
}

/// Writes a whole file.
pub fn write(name: &str, media_type: &str, content: &[u8]) -> Result<Artifact, Error> {
    let Pieces(writer) = Pieces(raw::create(name, media_type)?);
    for piece in content.chunks(PIECE_BYTES) {
        writer.write(piece)?;
    }
    Ok(writer.finish()?)
}

/// Opens a file that the run wrote, that came with its task, or that a child
/// gave back. Others are [`Error::Denied`].
pub fn open(id: &str) -> Result<Reader, Error> {
    Ok(Reader { raw: raw::open(id)?, position: 0 })
}

/// Reads a whole file into memory.
pub fn read(id: &str) -> Result<Vec<u8>, Error> {
    let reader = open(id)?;
    let size = reader.size();
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    while (content.len() as u64) < size {
        let piece = reader.raw.read(content.len() as u64, PIECE_BYTES as u32)?;
        if piece.is_empty() {
            break;
        }
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// A file being written. Dropping it before [`finish`](Self::finish) leaves
/// nothing behind.
#[derive(Debug)]
pub struct Writer(BufWriter<Pieces>);

impl Writer {
    /// Makes the file durable under its content's hash, exactly once whatever
    /// crashes. [`Error::Limit`] (`purse.artifact-bytes`) when the purse does
    /// not cover it.
    pub fn finish(self) -> Result<Artifact, Error> {
        let pieces = self.0.into_inner().map_err(|failed| from_io(failed.into_error()))?;
        Ok(raw::Writer::finish(&pieces.0)?)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The host's writer, without a buffer.
#[derive(Debug)]
struct Pieces(raw::Writer);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(PIECE_BYTES)];
        self.0.write(piece).map_err(into_io)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A finished file, open for reading from any position.
#[derive(Debug)]
pub struct Reader {
    raw: raw::Reader,
    position: u64,
}

impl Reader {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        self.raw.size()
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(PIECE_BYTES);
        let piece = self.raw.read(self.position, length as u32).map_err(into_io)?;
        buffer[..piece.len()].copy_from_slice(&piece);
        self.position += piece.len() as u64;
        Ok(piece.len())
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn into_io(error: crate::bindings::imports::sublane::plugin::types::Error) -> io::Error {
    io::Error::other(Error::from(error))
}

/// What [`into_io`] wrapped.
fn from_io(error: io::Error) -> Error {
    error.downcast().unwrap_or_else(|other| Error::Invalid(other.to_string()))
}
