//! Files that people name, read with a bound.
//!
//! Owns how large a component, a manifest, a configuration may be, and what
//! counts as a file: no device is read without end, no pipe is waited for where
//! none is expected. Knows nothing of what is in them.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Bytes of a component.
pub const MAX_COMPONENT_BYTES: u64 = 256 << 20;
/// Bytes of a manifest, a configuration or a list of certificates.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The content of a regular file.
///
/// # Errors
/// When it is something else, longer than `max_bytes` ([`ErrorKind::FileTooLarge`]) or cannot be read.
pub fn regular(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    // A pipe that nobody writes to would hold up whoever opens it.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    content(&file, max_bytes)
}

/// The content of a regular file or a pipe, such as `/dev/stdin` can be.
///
/// # Errors
/// As of [`regular`].
pub fn regular_or_pipe(path: &Path, max_bytes: u64) -> Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is neither a regular file nor a pipe"));
    }
    content(&File::open(path)?, max_bytes)
}

fn content(file: &File, max_bytes: u64) -> Result<Vec<u8>> {
    let too_long = || Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {max_bytes} bytes")));
    let length = file.metadata()?.len();
    if length > max_bytes {
        return too_long();
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    // It may grow while it is read.
    let read = file.take(max_bytes + 1).read_to_end(&mut bytes)?;
    if read as u64 > max_bytes { too_long() } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        std::fs::write(&path, b"12345").expect("it is written");
        assert_eq!(regular(&path, 5).expect("it fits"), b"12345");
        assert_eq!(regular_or_pipe(&path, 5).expect("it fits"), b"12345");
        let error = regular(&path, 4).expect_err("it does not fit");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::FileTooLarge, "it has more than 4 bytes")
        );
    }

    #[test]
    fn nothing_is_read_without_end() {
        let zero = Path::new("/dev/zero");
        assert_eq!(regular(zero, 9).expect_err("a device").to_string(), "it is not a regular file");
        let error = regular_or_pipe(zero, 9).expect_err("a device").to_string();
        assert_eq!(error, "it is neither a regular file nor a pipe");
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(regular(directory.path(), 9).expect_err("a directory").kind(), ErrorKind::InvalidInput);
        let pipe = directory.path().join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).expect("a pipe");
        assert_eq!(regular(&pipe, 9).expect_err("nobody writes to it").kind(), ErrorKind::InvalidInput);
    }
}
