//! One host for one state directory.
//!
//! The lock is the operating system's, on an open file: it goes with its
//! process, however that ends. The file itself stays and says who held it last.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The lock's file in the state directory.
const FILE_NAME: &str = "host.lock";
/// How often somebody tries to take a lock that is held.
const TRIES: u32 = 5;
/// How often, where a command holds it that will let it go in a moment: five seconds.
const TRIES_BESIDE_A_COMMAND: u32 = 500;
/// The time between two tries: longer than [`HostLock::holder`] looks.
const LOOK: Duration = Duration::from_millis(10);
/// Behind the number of a process that lets the lock go in a moment.
const BRIEFLY: &str = "briefly";

/// Held by the host that owns a state directory, until it is dropped.
#[derive(Debug)]
pub struct HostLock {
    _file: File,
}

/// The state directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another host has it.
    #[error("{} is in use by {holder}: stop that host, or choose another state directory", directory.display())]
    Held {
        /// The state directory.
        directory: PathBuf,
        /// `process 123`, or `another process` when that cannot be read.
        holder: String,
    },
    /// The lock's file cannot be opened or written.
    #[error("cannot lock {}, and a host writes to its state directory", path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl HostLock {
    /// Takes the lock of a state directory for a host, or says who has it: at once when a host has,
    /// after five seconds when a command has.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        Self::acquire_as(directory, "", &mut pause)
    }

    /// As [`Self::acquire`], for a command that lets it go in a moment. Others wait for that.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn acquire_briefly(directory: &Path) -> Result<Self, LockError> {
        Self::acquire_as(directory, BRIEFLY, &mut pause)
    }

    fn acquire_as(directory: &Path, how_long: &str, pause: &mut dyn FnMut()) -> Result<Self, LockError> {
        let path = directory.join(FILE_NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        let mut tries = 1;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // Somebody may only be looking, which is over at once, or be a command.
                Err(TryLockError::WouldBlock)
                    if tries < TRIES || (tries < TRIES_BESIDE_A_COMMAND && is_brief(&mut file)) =>
                {
                    tries += 1;
                    pause();
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held {
                        directory: directory.to_owned(),
                        holder: holder(&mut file),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        sign(&mut file, how_long).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// Who holds the lock of a state directory, for people: `process 123`. `None`: no host runs there.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn holder(directory: &Path) -> Result<Option<String>, LockError> {
        let path = directory.join(FILE_NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // A shared lock, let go at once: two who look do not meet.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn pause() {
    #[expect(clippy::disallowed_methods, reason = "nobody says when the other has looked")]
    std::thread::sleep(LOOK);
}

/// Writes this process's number into the file.
fn sign(file: &mut File, how_long: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {how_long}\n", std::process::id()).as_bytes())
}

/// What its holder wrote into the file.
fn signed(file: &mut File) -> String {
    let mut text = String::new();
    // What cannot be read says nothing, as does what is just being written.
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut text));
    text
}

/// Whether the holder lets it go in a moment.
fn is_brief(file: &mut File) -> bool {
    signed(file).split_whitespace().nth(1) == Some(BRIEFLY)
}

/// Who wrote its number into the file.
fn holder(file: &mut File) -> String {
    let text = signed(file);
    let process = text.split_whitespace().next().and_then(|number| number.parse::<u32>().ok());
    process.map_or_else(|| "another process".to_owned(), |process| format!("process {process}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_host_is_told_who_has_the_directory() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        let held = HostLock::acquire(directory.path()).expect("nobody has it");
        let error = HostLock::acquire(directory.path()).expect_err("it is held").to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        let process = format!("process {}", std::process::id());
        assert_eq!(HostLock::holder(directory.path()).expect("it can be seen"), Some(process));
        drop(held);
        assert_eq!(HostLock::holder(directory.path()).expect("it can be seen"), None);
        HostLock::acquire(directory.path()).expect("it was let go");
    }

    /// Two commands at once, or a host that starts beside one, are no reason to give up.
    #[test]
    fn a_command_is_waited_for_and_a_host_is_not() {
        let directory = tempfile::tempdir().expect("a directory for the test");
        for (is_command, expected) in [(true, 2 * TRIES), (false, TRIES - 1)] {
            let how_long = if is_command { BRIEFLY } else { "" };
            let held = HostLock::acquire_as(directory.path(), how_long, &mut || {}).expect("nobody has it");
            let (mut held, mut pauses) = (Some(held), 0);
            let got = HostLock::acquire_as(directory.path(), "", &mut || {
                pauses += 1;
                if pauses == 2 * TRIES {
                    held = None;
                }
            });
            assert_eq!((got.is_ok(), pauses), (is_command, expected));
        }
    }
}
