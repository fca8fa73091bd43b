//! Signatures of Standard Webhooks, and the secrets that make them.
//!
//! A secret is known by reference only. It is read at the start, so that a
//! mistake shows early, and again when its file changes, so that it can be
//! rotated without a restart. Never prints a secret, also not a part of one.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use sha2::Sha256;
use sublane_core::{DeliveryId, Timestamp};

use crate::bounded;

/// Bytes of a file that holds a secret.
const MAX_FILE_BYTES: u64 = 4_096;

/// Where a secret is. Its text there is `whsec_` and 24 to 64 bytes in base64;
/// white space around it does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In this file.
    File(PathBuf),
    /// In this environment variable of the host.
    Env(String),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::Env(name) => write!(f, "environment variable `{name}`"),
        }
    }
}

/// Why a secret cannot be used. Says where it is and what is wrong, never what it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret in {from} {problem}")]
pub struct SecretError {
    /// Where it was looked for.
    pub from: SecretRef,
    /// What is wrong with it.
    pub problem: SecretProblem,
}

/// What is wrong with a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// There is none.
    #[error("is not there")]
    Absent,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// It is a directory, a device or a pipe.
    #[error("is not in a regular file")]
    NotAFile,
    /// It is longer than any secret.
    #[error("is longer than a secret can be")]
    TooLong,
    /// It has another form.
    #[error("does not begin with `whsec_`")]
    NoPrefix,
    /// What follows the prefix is not base64.
    #[error("is not base64 after `whsec_`")]
    NotBase64,
    /// It is too short or too long.
    #[error("is {0} bytes long: expected 24 to 64")]
    Length(usize),
}

/// Makes the signatures of one endpoint.
pub struct Signer {
    from: SecretRef,
    held: Mutex<Held>,
}

struct Held {
    /// The hash's state after the key, ready for a message.
    keyed: Hmac<Sha256>,
    /// The file as it was when the secret was read; `None` for an environment variable.
    stamp: Option<Stamp>,
}

/// What changes when a file is written or replaced: inode, size, seconds and nanoseconds.
type Stamp = (u64, u64, i64, i64);

impl Signer {
    /// Reads the secret and checks its form.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn new(from: SecretRef) -> Result<Self, SecretError> {
        let held = Held::read(&from).map_err(|problem| SecretError { from: from.clone(), problem })?;
        Ok(Self { from, held: Mutex::new(held) })
    }

    /// The value of `webhook-signature` for this body, sent at this instant. Reads a
    /// secret's file again when it has changed: one look at its metadata otherwise.
    ///
    /// # Errors
    /// [`SecretError`], when the file is gone or became unusable.
    pub fn sign(&self, id: DeliveryId, sent_at: Timestamp, body: &str) -> Result<String, SecretError> {
        let problem = |problem| SecretError { from: self.from.clone(), problem };
        let mut mac = {
            let mut held = self.held.lock();
            if let SecretRef::File(path) = &self.from
                && held.stamp != Some(stamp(path).map_err(problem)?)
            {
                *held = Held::read(&self.from).map_err(problem)?;
            }
            held.keyed.clone()
        };
        mac.update(format!("{id}.{}.", unix_seconds(sent_at)).as_bytes());
        mac.update(body.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("from", &self.from).finish_non_exhaustive()
    }
}

/// The value of `webhook-timestamp`.
#[must_use]
pub fn unix_seconds(at: Timestamp) -> u64 {
    at.0 / 1_000
}

impl Held {
    fn read(from: &SecretRef) -> Result<Self, SecretProblem> {
        match from {
            SecretRef::Env(name) => {
                let text = std::env::var_os(name).ok_or(SecretProblem::Absent)?;
                Ok(Self { keyed: keyed(text.as_encoded_bytes())?, stamp: None })
            }
            SecretRef::File(path) => {
                // The metadata first: a change in between is noticed at the next use.
                let stamp = stamp(path)?;
                let text = bounded::regular(path, MAX_FILE_BYTES).map_err(|error| unreadable(&error))?;
                Ok(Self { keyed: keyed(&text)?, stamp: Some(stamp) })
            }
        }
    }
}

fn keyed(text: &[u8]) -> Result<Hmac<Sha256>, SecretProblem> {
    let encoded = text.trim_ascii().strip_prefix(b"whsec_").ok_or(SecretProblem::NoPrefix)?;
    let key = STANDARD.decode(encoded).map_err(|_| SecretProblem::NotBase64)?;
    if !(24..=64).contains(&key.len()) {
        return Err(SecretProblem::Length(key.len()));
    }
    Ok(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"))
}

fn stamp(path: &Path) -> Result<Stamp, SecretProblem> {
    let found = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    Ok((found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
}

fn unreadable(error: &std::io::Error) -> SecretProblem {
    match error.kind() {
        std::io::ErrorKind::NotFound => SecretProblem::Absent,
        std::io::ErrorKind::FileTooLarge => SecretProblem::TooLong,
        std::io::ErrorKind::InvalidInput => SecretProblem::NotAFile,
        kind => SecretProblem::Unreadable(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 24 bytes.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn file(text: &str) -> (tempfile::NamedTempFile, SecretRef) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("writes");
        let at = SecretRef::File(file.path().to_owned());
        (file, at)
    }

    fn problem(text: &str) -> SecretProblem {
        let (_file, at) = file(text);
        let error = Signer::new(at).expect_err("not a secret");
        let payload = text.trim_start_matches("whsec_");
        assert!(payload.is_empty() || !error.to_string().contains(payload), "{error}");
        error.problem
    }

    #[test]
    fn the_signature_is_that_of_the_standards_own_library() {
        let (_file, at) = file(&format!("  {SECRET}\n"));
        let (id, body) = (DeliveryId([9; 16]), r#"{"type":"run.succeeded"}"#);
        let signed = Signer::new(at).and_then(|signer| signer.sign(id, Timestamp(1_614_265_330_999), body));
        let theirs = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        let expected = theirs.sign(&id.to_string(), 1_614_265_330, body.as_bytes()).expect("signs");
        assert_eq!(signed, Ok(expected));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_showing_it() {
        assert_eq!(problem("hunter2hunter2hunter2"), SecretProblem::NoPrefix);
        assert_eq!(problem("whsec_not*base64*at*all"), SecretProblem::NotBase64);
        assert_eq!(problem("whsec_c2hvcnQ="), SecretProblem::Length(5));
        assert_eq!(problem(&format!("whsec_{}", STANDARD.encode([1; 65]))), SecretProblem::Length(65));
        assert_eq!(problem(&format!("whsec_{}", "A".repeat(5_000))), SecretProblem::TooLong);
        let endless = SecretRef::File("/dev/zero".into());
        let error = Signer::new(endless).expect_err("a device").to_string();
        assert_eq!(error, "the secret in file `/dev/zero` is not in a regular file");
        let absent = SecretRef::Env("SUBLANE_TEST_NO_SUCH_SECRET".to_owned());
        assert_eq!(
            Signer::new(absent).expect_err("absent").to_string(),
            "the secret in environment variable `SUBLANE_TEST_NO_SUCH_SECRET` is not there"
        );
    }

    #[test]
    fn a_secret_of_any_allowed_length_is_taken() {
        for length in [24, 32, 64] {
            let (_file, at) = file(&format!("whsec_{}", STANDARD.encode(vec![3; length])));
            assert!(Signer::new(at).is_ok(), "{length}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (file, at) = file(SECRET);
        let signer = Signer::new(at).expect("a secret");
        let sign = || signer.sign(DeliveryId([1; 16]), Timestamp(0), "{}");
        let before = sign().expect("signs");
        assert_eq!(sign().as_ref(), Ok(&before));
        std::fs::write(file.path(), format!("whsec_{}", STANDARD.encode([5; 32]))).expect("writes");
        assert_ne!(sign().expect("signs"), before);
        std::fs::write(file.path(), "").expect("writes");
        assert_eq!(sign().expect_err("empty").problem, SecretProblem::NoPrefix);
    }
}
