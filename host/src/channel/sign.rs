//! Signatures of Standard Webhooks, and the secrets that make them.
//!
//! A secret is known by reference only. It is read at the start, so that a
//! mistake shows early, and again when its file changes, so that it can be
//! rotated without a restart: while two keys stand there, both sign. Never
//! prints a secret, also not a part of one.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use sublane_core::Timestamp;

use crate::bounded;

mod key;

use key::Key;
pub use key::KeyProblem;

/// Bytes of a file that holds a secret.
const MAX_FILE_BYTES: u64 = 4_096;
/// Keys of one secret: each makes a signature of every request.
pub const MAX_KEYS: usize = 4;

/// Where a secret is. Its text there is one key, or up to [`MAX_KEYS`] with white space
/// between them, for as long as receivers move from one to the next. A key is `whsec_` and
/// 24 to 64 bytes in base64 (HMAC), or `whsk_` and the 32 bytes of an ed25519 key, with or
/// without the 32 of its public half behind them.
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
    /// There is no key in it.
    #[error("is empty")]
    Empty,
    /// There are too many keys in it.
    #[error("has more than {MAX_KEYS} keys")]
    TooMany,
    /// One of its keys cannot be used.
    #[error("has a key that cannot be used: key {number} {problem}")]
    Key {
        /// Which one, from 1.
        number: usize,
        /// Why.
        problem: KeyProblem,
    },
}

/// Makes the signatures of one endpoint.
pub struct Signer {
    from: SecretRef,
    held: Mutex<Held>,
}

struct Held {
    /// At least one.
    keys: Arc<[Key]>,
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

    /// The value of `webhook-signature` for this body, sent with this id at this instant: a
    /// signature of each key. Reads a secret's file again when it has changed: one look at its
    /// metadata otherwise.
    ///
    /// # Errors
    /// [`SecretError`], when the file is gone or became unusable.
    pub fn sign(&self, id: &str, sent_at: Timestamp, body: &str) -> Result<String, SecretError> {
        let head = format!("{id}.{}.", unix_seconds(sent_at));
        let keys = self.keys()?;
        let signatures = keys.iter().map(|key| key.sign(head.as_bytes(), body.as_bytes()));
        Ok(signatures.collect::<Vec<_>>().join(" "))
    }

    /// What receivers verify signatures with: `whpk_…` for each key of ed25519.
    ///
    /// # Errors
    /// As [`Self::sign`].
    pub fn public_keys(&self) -> Result<Vec<String>, SecretError> {
        Ok(self.keys()?.iter().filter_map(Key::public).collect())
    }

    fn keys(&self) -> Result<Arc<[Key]>, SecretError> {
        let problem = |problem| SecretError { from: self.from.clone(), problem };
        let mut held = self.held.lock();
        if let SecretRef::File(path) = &self.from
            && held.stamp != Some(stamp(path).map_err(problem)?)
        {
            *held = Held::read(&self.from).map_err(problem)?;
        }
        Ok(held.keys.clone())
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
                Ok(Self { keys: keys(text.as_encoded_bytes())?, stamp: None })
            }
            SecretRef::File(path) => {
                // The metadata first: a change in between is noticed at the next use.
                let stamp = stamp(path)?;
                let text = bounded::regular(path, MAX_FILE_BYTES).map_err(|error| unreadable(&error))?;
                Ok(Self { keys: keys(&text)?, stamp: Some(stamp) })
            }
        }
    }
}

fn keys(text: &[u8]) -> Result<Arc<[Key]>, SecretProblem> {
    let mut keys = Vec::new();
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for (number, word) in (1..).zip(words) {
        if number > MAX_KEYS {
            return Err(SecretProblem::TooMany);
        }
        keys.push(Key::parse(word).map_err(|problem| SecretProblem::Key { number, problem })?);
    }
    if keys.is_empty() { Err(SecretProblem::Empty) } else { Ok(keys.into()) }
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
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sublane_core::DeliveryId;

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
        for word in text.split_whitespace() {
            let payload = word.trim_start_matches("whsec_").trim_start_matches("whsk_");
            assert!(!error.to_string().contains(payload), "{error}");
        }
        error.problem
    }

    fn key_problem(number: usize, problem: KeyProblem) -> SecretProblem {
        SecretProblem::Key { number, problem }
    }

    #[test]
    fn the_signature_is_that_of_the_standards_own_library() {
        let (_file, at) = file(&format!("  {SECRET}\n"));
        let (id, body) = (DeliveryId([9; 16]).to_string(), r#"{"type":"run.succeeded"}"#);
        let signed = Signer::new(at).and_then(|signer| signer.sign(&id, Timestamp(1_614_265_330_999), body));
        let theirs = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        let expected = theirs.sign(&id, 1_614_265_330, body.as_bytes()).expect("signs");
        assert_eq!(signed, Ok(expected));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_showing_it() {
        let number_1 = |problem| key_problem(1, problem);
        assert_eq!(problem("hunter2hunter2hunter2"), number_1(KeyProblem::NoPrefix));
        assert_eq!(problem("whsec_not*base64*at*all"), number_1(KeyProblem::NotBase64("whsec_")));
        assert_eq!(problem("whsec_c2hvcnQ="), number_1(KeyProblem::Length(5)));
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        assert_eq!(problem(&long), number_1(KeyProblem::Length(65)));
        assert_eq!(problem(&format!("whsec_{}", "A".repeat(5_000))), SecretProblem::TooLong);
        assert_eq!(problem(" \n"), SecretProblem::Empty);
        assert_eq!(problem(&format!("{SECRET}\nwhsk_c2hvcnQ=")), key_problem(2, KeyProblem::PairLength(5)));
        assert_eq!(problem(&format!("{SECRET}\n").repeat(5)), SecretProblem::TooMany);
        let (file, at) = file("whsk_c2hvcnQ=");
        let expected = format!(
            "the secret in file `{}` has a key that cannot be used: key 1 is 5 bytes long after `whsk_`: \
             expected 32, or 64 with the public half behind the secret one",
            file.path().display()
        );
        assert_eq!(Signer::new(at).expect_err("too short").to_string(), expected);
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
    fn each_of_several_keys_signs_in_their_order() {
        let others = [format!("whsk_{}", STANDARD.encode([4; 32])), SECRET.to_owned()];
        let (_file, at) = file(&others.join("\n"));
        let both = Signer::new(at).expect("two keys");
        let sign = |signer: &Signer| signer.sign("id", Timestamp(0), "{}").expect("signs");
        let alone = others.each_ref().map(|text| sign(&Signer::new(file(text).1).expect("a key")));
        assert!(alone[0].starts_with("v1a,") && alone[1].starts_with("v1,"));
        assert_eq!(sign(&both), alone.join(" "));
        assert_eq!(both.public_keys().expect("it is there").len(), 1, "HMAC has no public half");
    }

    #[test]
    fn a_changed_file_is_read_again() {
        let (file, at) = file(SECRET);
        let signer = Signer::new(at).expect("a secret");
        let sign = || signer.sign("id", Timestamp(0), "{}");
        let before = sign().expect("signs");
        assert_eq!(sign().as_ref(), Ok(&before));
        // Rotation: the next key beside the first, then alone.
        let next = format!("whsec_{}", STANDARD.encode([5; 32]));
        std::fs::write(file.path(), format!("{SECRET}\n{next}\n")).expect("writes");
        let both = sign().expect("signs");
        std::fs::write(file.path(), next).expect("writes");
        assert_eq!(both, format!("{before} {}", sign().expect("signs")));
        std::fs::write(file.path(), "").expect("writes");
        assert_eq!(sign().expect_err("empty").problem, SecretProblem::Empty);
    }
}
