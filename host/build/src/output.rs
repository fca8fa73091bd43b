//! Files that appear whole or not at all.
//!
//! Owns the writing of components and manifests.
//! Never rewrites a file that already holds the bytes, so that its time of
//! change tells when the plugin changed.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::error::Error;

/// Whether a file had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Changed,
    Unchanged,
}

/// Brings `path` to hold `bytes`; makes its directory where it is missing.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<Written, Error> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    match fs::read(path) {
        Ok(present) if present == bytes => return Ok(Written::Unchanged),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read", path)(error)),
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(failed("create", dir))?;
    // In the same directory, so that the rename stays on one file system.
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(plain_permissions())
        .tempfile_in(dir)
        .map_err(failed("create a file in", dir))?;
    file.write_all(bytes).map_err(failed("write", path))?;
    file.persist(path).map_err(|e| failed("write", path)(e.error))?;
    Ok(Written::Changed)
}

/// What a file made the ordinary way would have, before the umask.
fn plain_permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o644)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_once_and_then_left_alone() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("deep/er/file");
        assert_eq!(write_whole(&path, b"one").expect("writes"), Written::Changed);
        let first = fs::metadata(&path).and_then(|m| m.modified()).expect("is there");
        assert_eq!(write_whole(&path, b"one").expect("compares"), Written::Unchanged);
        assert_eq!(fs::metadata(&path).and_then(|m| m.modified()).expect("is there"), first);
        assert_eq!(write_whole(&path, b"two").expect("writes"), Written::Changed);
        assert_eq!(fs::read(&path).expect("is there"), b"two");
        let left = fs::read_dir(path.parent().expect("has one")).expect("is there").count();
        assert_eq!(left, 1, "no temporary file is left behind");
    }
}
