//! One key of Standard Webhooks, and the signature that it makes.
//!
//! Owns the two forms: HMAC-SHA256 with a secret that both sides have (`whsec_`, `v1`) and
//! ed25519 with a secret that only the host has (`whsk_`, `v1a`). Never prints a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::Sha256;

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// It has another form.
    #[error("does not begin with `whsec_` or `whsk_`")]
    NoPrefix,
    /// It is the half that receivers get.
    #[error("is a public one (`whpk_`); the secret one of its pair begins with `whsk_`")]
    Public,
    /// What follows the prefix is not base64.
    #[error("is not base64 after `{0}`")]
    NotBase64(&'static str),
    /// It is too short or too long for HMAC.
    #[error("is {0} bytes long after `whsec_`: expected 24 to 64")]
    Length(usize),
    /// It is no key of ed25519.
    #[error("is {0} bytes long after `whsk_`: expected 32, or 64 with the public half behind the secret one")]
    PairLength(usize),
    /// Two halves of different pairs.
    #[error("has a public half that does not belong to its secret one")]
    OtherHalf,
}

/// A key that is ready to sign.
pub(super) enum Key {
    /// The hash's state after the key, ready for a message.
    Hmac(Hmac<Sha256>),
    /// Both halves.
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// Reads `whsec_…` or `whsk_…`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyProblem> {
        if let Some(encoded) = text.strip_prefix(b"whsec_") {
            let key = decode(encoded, "whsec_")?;
            if !(24..=64).contains(&key.len()) {
                return Err(KeyProblem::Length(key.len()));
            }
            return Ok(Self::Hmac(Hmac::new_from_slice(&key).expect("HMAC takes a key of any length")));
        }
        if let Some(encoded) = text.strip_prefix(b"whsk_") {
            let key = decode(encoded, "whsk_")?;
            let pair = match key.len() {
                32 => Ed25519KeyPair::from_seed_unchecked(&key),
                64 => Ed25519KeyPair::from_seed_and_public_key(&key[..32], &key[32..]),
                other => return Err(KeyProblem::PairLength(other)),
            };
            return pair.map(Self::Ed25519).map_err(|_| KeyProblem::OtherHalf);
        }
        Err(if text.starts_with(b"whpk_") { KeyProblem::Public } else { KeyProblem::NoPrefix })
    }

    /// One entry of `webhook-signature` for `head`, which is `id.timestamp.`, and the body behind it.
    pub(super) fn sign(&self, head: &[u8], body: &[u8]) -> String {
        match self {
            Self::Hmac(keyed) => {
                let mut mac = keyed.clone();
                mac.update(head);
                mac.update(body);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Self::Ed25519(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&[head, body].concat()))),
        }
    }

    /// `whpk_…`, which a receiver verifies with; `None` for HMAC, whose secret both sides have.
    pub(super) fn public(&self) -> Option<String> {
        match self {
            Self::Hmac(_) => None,
            Self::Ed25519(pair) => Some(format!("whpk_{}", STANDARD.encode(pair.public_key()))),
        }
    }
}

fn decode(encoded: &[u8], prefix: &'static str) -> Result<Vec<u8>, KeyProblem> {
    STANDARD.decode(encoded).map_err(|_| KeyProblem::NotBase64(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test 2 of RFC 8032, section 7.1.
    const SEED: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    fn pair(key: &[u8]) -> Result<Key, KeyProblem> {
        Key::parse(format!("whsk_{}", STANDARD.encode(key)).as_bytes())
    }

    #[test]
    fn ed25519_signs_as_its_standard_says() {
        let whole = [bytes(SEED), bytes(PUBLIC)].concat();
        for key in [bytes(SEED), whole] {
            let key = pair(&key).expect("a key");
            assert_eq!(key.public(), Some(format!("whpk_{}", STANDARD.encode(bytes(PUBLIC)))));
            // The message of that test is one byte; head and body are one text.
            for (head, body) in [(&b"\x72"[..], &b""[..]), (b"", b"\x72")] {
                assert_eq!(key.sign(head, body), format!("v1a,{}", STANDARD.encode(bytes(SIGNATURE))));
            }
        }
    }

    #[test]
    fn a_pair_that_is_none_is_refused() {
        let problem = |key: &[u8]| pair(key).err();
        assert_eq!(problem(&[1; 24]), Some(KeyProblem::PairLength(24)));
        assert_eq!(problem(&[1; 65]), Some(KeyProblem::PairLength(65)));
        assert_eq!(problem(&[bytes(SEED), vec![7; 32]].concat()), Some(KeyProblem::OtherHalf));
        assert_eq!(Key::parse(b"whsk_*").err(), Some(KeyProblem::NotBase64("whsk_")));
        let public = format!("whpk_{}", STANDARD.encode(bytes(PUBLIC)));
        assert_eq!(Key::parse(public.as_bytes()).err(), Some(KeyProblem::Public));
    }
}
