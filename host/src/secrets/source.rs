//! Where the values of secrets come from, and what a value may be.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bounded;

/// Bytes of a value, at least: what is shorter is found in texts that have nothing to do with it.
const MIN_BYTES: usize = 8;
/// Bytes of a value, at most.
const MAX_BYTES: u64 = 4_096;

/// A secret, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretConfig {
    /// Where its value is.
    pub from: Source,
    /// Whether it may go to a loopback address without TLS. Default no.
    pub loopback_without_tls: bool,
}

/// Where the value of a secret is. White space around it does not belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In this file.
    File(PathBuf),
    /// In this environment variable, which is removed from the process when it was read.
    Env(String),
    /// In what this program, with these arguments, writes to its standard output.
    Command(Vec<String>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
            // Its arguments are the operator's, and could be anything.
            Self::Command(words) => write!(f, "what `{}` writes", words.first().map_or("", String::as_str)),
        }
    }
}

/// Why a secret cannot be used. Says where it is and what is wrong, never what it is.
#[derive(Debug, thiserror::Error)]
#[error("secret `{name}` in {from} {problem}")]
pub struct SecretError {
    /// What the operator calls it.
    pub name: String,
    /// Where it was looked for.
    pub from: Source,
    /// What is wrong with it.
    pub problem: SecretProblem,
}

/// What is wrong with a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretProblem {
    /// There is none.
    #[error("is not there")]
    Absent,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// The program does not run.
    #[error("cannot be had: the program does not run: {0}")]
    NoProgram(std::io::ErrorKind),
    /// The program says that it failed.
    #[error("cannot be had: the program ended with {0}")]
    ProgramFailed(std::process::ExitStatus),
    /// It is too short to be told from other text.
    #[error(
        "has {0} bytes; it needs at least {MIN_BYTES}, or texts that have nothing to do with it would be taken for it"
    )]
    TooShort(usize),
    /// It is too long.
    #[error("has more than {MAX_BYTES} bytes")]
    TooLong,
    /// A header could not hold it.
    #[error("holds something else than printable ASCII, which no header takes")]
    NotPrintable,
}

pub(super) fn read(from: &Source) -> Result<Box<str>, SecretProblem> {
    let bytes = match from {
        Source::Env(name) => std::env::var_os(name).ok_or(SecretProblem::Absent)?.into_encoded_bytes(),
        Source::File(path) => bounded::regular(path, MAX_BYTES + 2).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => SecretProblem::Absent,
            std::io::ErrorKind::FileTooLarge => SecretProblem::TooLong,
            kind => SecretProblem::Unreadable(kind),
        })?,
        Source::Command(words) => run(words)?,
    };
    let value = bytes.trim_ascii();
    if value.len() as u64 > MAX_BYTES {
        return Err(SecretProblem::TooLong);
    }
    if value.len() < MIN_BYTES {
        return Err(SecretProblem::TooShort(value.len()));
    }
    match std::str::from_utf8(value) {
        Ok(text) if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => Ok(text.into()),
        _ => Err(SecretProblem::NotPrintable),
    }
}

/// What a program writes, bounded. Its standard error is the host's.
fn run(words: &[String]) -> Result<Vec<u8>, SecretProblem> {
    let (program, arguments) = words.split_first().ok_or(SecretProblem::Absent)?;
    let no_program = |error: std::io::Error| SecretProblem::NoProgram(error.kind());
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(no_program)?;
    let mut written = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_BYTES + 3).read_to_end(&mut written).map_err(no_program)?;
    }
    // Who still writes finds nobody who reads.
    let status = child.wait().map_err(no_program)?;
    if written.len() as u64 > MAX_BYTES + 2 {
        return Err(SecretProblem::TooLong);
    }
    if status.success() { Ok(written) } else { Err(SecretProblem::ProgramFailed(status)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(script: &str) -> Result<Box<str>, SecretProblem> {
        read(&Source::Command(["sh", "-c", script].map(str::to_owned).to_vec()))
    }

    #[test]
    fn a_program_writes_a_value() {
        assert_eq!(written("echo ' the value '").expect("a value").as_ref(), "the value");
        assert!(matches!(written("echo 12345678; exit 3"), Err(SecretProblem::ProgramFailed(_))));
        assert!(matches!(written("echo short"), Err(SecretProblem::TooShort(5))));
        assert!(matches!(written("printf 'eins\\nzwei'"), Err(SecretProblem::NotPrintable)));
        assert!(matches!(written("yes"), Err(SecretProblem::TooLong)));
        let nothing = read(&Source::Command(vec!["/nowhere/to/be/found".to_owned()]));
        assert!(matches!(nothing, Err(SecretProblem::NoProgram(std::io::ErrorKind::NotFound))));
    }

    #[test]
    fn a_secret_has_its_length() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let of = |bytes: usize| {
            std::fs::write(file.path(), "x".repeat(bytes)).expect("written");
            read(&Source::File(file.path().to_owned())).map(|value| value.len())
        };
        let most = usize::try_from(MAX_BYTES).expect("small");
        assert!(matches!(of(MIN_BYTES - 1), Err(SecretProblem::TooShort(_))));
        assert_eq!(of(MIN_BYTES).ok(), Some(MIN_BYTES));
        assert_eq!(of(most).ok(), Some(most));
        assert!(matches!(of(most + 1), Err(SecretProblem::TooLong)));
        assert!(matches!(of(most + 100), Err(SecretProblem::TooLong)));
    }

    #[test]
    fn a_file_holds_a_value() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "the value\n").expect("written");
        let from = Source::File(file.path().to_owned());
        assert_eq!(read(&from).expect("a value").as_ref(), "the value");
        std::fs::remove_file(file.path()).expect("removed");
        let error = SecretError { name: "api".to_owned(), from, problem: SecretProblem::Absent };
        assert!(error.to_string().contains("is not there"), "{error}");
    }
}
