//! Secrets of the operator's that requests of plugins carry.
//!
//! Owns the values, from the start of the process to its end, and what stands for them in guests: a
//! placeholder. Only `place` puts a value anywhere, and only into a request; `redact` takes it out of
//! everything else. No value is ever in an error, a log line or a `Debug` text.

mod environment;
mod place;
mod redact;
mod source;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use place::{Misuse, Placed, holds_placeholder, place};
pub use redact::{Redactor, Stream as Redacted};
pub use source::{SecretConfig, SecretError, SecretProblem, Source};
pub use webhook::{NoKeys, WebhookKeys};

/// What every placeholder begins with.
const PREFIX: &str = "sublane-secret-";
/// Characters that follow.
const REST: usize = 43;

/// All secrets of a host.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    by_name: Arc<BTreeMap<String, Secret>>,
    redactor: Redactor,
}

/// One of them.
pub struct Secret {
    value: Box<str>,
    /// Whether it may go to a loopback address without TLS.
    loopback_without_tls: bool,
}

impl fmt::Debug for Secret {
    /// Does not show the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secrets {
    /// Reads all of them from where they are. An environment variable is gone afterwards, so this is
    /// for the beginning of a process, before it has threads.
    ///
    /// # Errors
    /// [`SecretError`] for the first that cannot be used.
    pub fn read(configs: &BTreeMap<String, SecretConfig>) -> Result<Self, SecretError> {
        let mut by_name = BTreeMap::new();
        let (in_variables, others): (Vec<_>, Vec<_>) =
            configs.iter().partition(|(_, config)| matches!(config.from, Source::Env(_)));
        let read = |(name, config): (&String, &SecretConfig)| {
            let failed = |problem| SecretError { name: name.clone(), from: config.from.clone(), problem };
            let value = source::read(&config.from).map_err(failed)?;
            Ok((name.clone(), Secret { value, loopback_without_tls: config.loopback_without_tls }))
        };
        for secret in &in_variables {
            by_name.extend([read(*secret)?]);
        }
        // Two secrets may be in one variable, so each is taken away when all are read; and before a
        // program is run, which would be given them.
        for (_, config) in in_variables {
            if let Source::Env(name) = &config.from {
                environment::remove(name);
            }
        }
        for secret in others {
            by_name.extend([read(secret)?]);
        }
        let redactor = Redactor::new(by_name.iter().map(|(name, secret)| (name.as_str(), &*secret.value)));
        Ok(Self { by_name: Arc::new(by_name), redactor })
    }

    /// Whether a secret could be read, without keeping it or taking its variable away.
    ///
    /// # Errors
    /// As [`Secrets::read`].
    pub fn check(name: &str, config: &SecretConfig) -> Result<(), SecretError> {
        let failed = |problem| SecretError { name: name.to_owned(), from: config.from.clone(), problem };
        source::read(&config.from).map(drop).map_err(failed)
    }

    /// What takes their values out of texts.
    #[must_use]
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The keys that callers sign with who are verified by a secret: those that it holds, if there is
    /// one of this name.
    #[must_use]
    pub fn webhook_keys(&self, name: &str) -> Option<Result<WebhookKeys, NoKeys>> {
        self.by_name.get(name).map(|secret| WebhookKeys::parse(&secret.value))
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }
}

/// What stands for a secret in a run with this seed: the same in a replay, and nobody else's.
#[must_use]
pub fn placeholder(seed: &[u8; 32], name: &str) -> String {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(b"secret");
    hasher.update(name.as_bytes());
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(hasher.finalize().as_bytes()))
}
