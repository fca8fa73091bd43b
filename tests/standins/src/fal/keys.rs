//! The keys that sign webhooks, as fal publishes them.
//!
//! They follow from numbers, so that a test that fails can be run again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::script::Signature;

/// Who asked, in the eyes of fal.
const USER: &str = "github|4711";

/// The newest key and those that are published.
pub(crate) struct Keys {
    newest: u64,
    published: Vec<u64>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { newest: 1, published: vec![1] }
    }
}

fn pair(number: u64) -> Ed25519KeyPair {
    let seed = Sha256::digest(format!("key {number} of the stand-in"));
    Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes")
}

impl Keys {
    /// From now on another key signs. The old one stays published, or not.
    pub(crate) fn rotate(&mut self, keep_old: bool) {
        if !keep_old {
            self.published.clear();
        }
        self.newest += 1;
        self.published.push(self.newest);
    }

    /// What stands at `/.well-known/jwks.json`. fal pads `x`, against RFC 7517.
    pub(crate) fn published(&self) -> Value {
        let key = |number: &u64| {
            let x = URL_SAFE.encode(pair(*number).public_key());
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
        };
        json!({ "keys": self.published.iter().map(key).collect::<Vec<_>>() })
    }

    /// The headers of a webhook for a job, at a second of the clock.
    pub(crate) fn headers(
        &self,
        signature: Signature,
        id: &str,
        second: i64,
        body: &[u8],
    ) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("x-fal-webhook-request-id", id.to_owned()),
            ("x-fal-webhook-user-id", USER.to_owned()),
            ("x-fal-webhook-timestamp", second.to_string()),
        ];
        let (key, body) = match signature {
            Signature::Absent => return headers,
            Signature::Good => (self.newest, body),
            Signature::Bad => (self.newest, &b"another body"[..]),
            Signature::UnknownKey => (u64::MAX, body),
        };
        let signed = format!("{id}\n{USER}\n{second}\n{}", hex(&Sha256::digest(body)));
        headers.push(("x-fal-webhook-signature", hex(pair(key).sign(signed.as_bytes()).as_ref())));
        headers
    }
}

/// Bytes as people write them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
