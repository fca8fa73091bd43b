//! Files in directories of the operator's.
//!
//! A directory is named by what the operator calls it, and what lies in it by a
//! path: a list of names, outermost first, that only goes down. Needs the grant
//! `files` for the directory, the way down and the mode. Symbolic links are
//! never followed.

use std::time::SystemTime;

use crate::bindings::imports::sublane::plugin::files as raw;
use crate::error::Error;
use crate::time::instant;

pub use raw::{Entry, Kind};

/// Bytes of one piece, read or written.
pub const PIECE_BYTES: u32 = 1 << 20;

/// What lies somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Bytes of a file; 0 of everything else.
    pub size: u64,
    /// When its content changed last.
    pub modified: SystemTime,
}

fn names(path: &[&str]) -> Vec<String> {
    path.iter().map(|&name| name.to_owned()).collect()
}

/// Up to `length` bytes, at most [`PIECE_BYTES`], from `offset`; fewer only at the end.
pub fn read(root: &str, path: &[&str], offset: u64, length: u32) -> Result<Vec<u8>, Error> {
    Ok(raw::read(root, &names(path), offset, length)?)
}

/// A whole file, in pieces.
pub fn read_all(root: &str, path: &[&str]) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    loop {
        let piece = read(root, path, content.len() as u64, PIECE_BYTES)?;
        content.extend_from_slice(&piece);
        if piece.len() < PIECE_BYTES as usize {
            return Ok(content);
        }
    }
}

/// Writes at most [`PIECE_BYTES`] from `offset`; makes the file if there is none.
pub fn write(root: &str, path: &[&str], offset: u64, piece: &[u8]) -> Result<(), Error> {
    Ok(raw::write(root, &names(path), offset, piece)?)
}

/// Writes a whole file, in pieces, in the place of what was there.
pub fn write_all(root: &str, path: &[&str], content: &[u8]) -> Result<(), Error> {
    let mut offset = 0;
    for piece in content.chunks(PIECE_BYTES as usize) {
        write(root, path, offset, piece)?;
        offset += piece.len() as u64;
    }
    if content.is_empty() {
        write(root, path, 0, &[])?;
    }
    set_size(root, path, offset)
}

/// Cuts a file to this size, or extends it with zeros.
pub fn set_size(root: &str, path: &[&str], size: u64) -> Result<(), Error> {
    Ok(raw::set_size(root, &names(path), size)?)
}

/// What lies in a directory and comes after `after`, in the order of the bytes of its names, at most
/// 1,000. Go on with the last one.
pub fn list(root: &str, path: &[&str], after: Option<&str>) -> Result<Vec<Entry>, Error> {
    Ok(raw::list_entries(root, &names(path), after)?)
}

/// What lies there; [`Error::NotFound`] when nothing does.
pub fn stat(root: &str, path: &[&str]) -> Result<Stat, Error> {
    let raw::FileStat { kind, size, modified } = raw::stat(root, &names(path))?;
    Ok(Stat { kind, size, modified: instant(modified) })
}

/// Makes a directory; one that is there is no error.
pub fn create_dir(root: &str, path: &[&str]) -> Result<(), Error> {
    Ok(raw::create_dir(root, &names(path))?)
}

/// Gives a file or a directory another place in the same root.
pub fn rename(root: &str, from: &[&str], to: &[&str]) -> Result<(), Error> {
    Ok(raw::rename(root, &names(from), &names(to))?)
}

/// Removes a file, or a directory that is empty.
pub fn remove(root: &str, path: &[&str]) -> Result<(), Error> {
    Ok(raw::remove(root, &names(path))?)
}
