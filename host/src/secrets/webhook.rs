//! Keys that callers sign with, as Standard Webhooks say: `whsec_…` and `whpk_…`.
//!
//! Owns what a secret that holds such keys is. Says of a signature whether it is right, and never
//! shows a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Sha256;

/// Keys of one secret.
const MAX_KEYS: usize = 4;
/// Signatures of one call that are looked at.
const MAX_SIGNATURES: usize = 16;

/// The keys of one secret.
pub struct WebhookKeys(Vec<Key>);

enum Key {
    Hmac(Hmac<Sha256>),
    Ed25519([u8; 32]),
}

/// Why a secret holds no keys that callers sign with. Never says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeys {
    /// Something in it has another form.
    #[error("has a key that begins with neither `whsec_` nor `whpk_`")]
    Prefix,
    /// What follows is not base64, or no key.
    #[error("has a key that is not 24 to 64 bytes (`whsec_`) or 32 bytes (`whpk_`) in base64")]
    Form,
    /// There are too many.
    #[error("has more than {MAX_KEYS} keys")]
    TooMany,
}

impl Key {
    fn parse(text: &str) -> Result<Self, NoKeys> {
        let decode = |encoded: &str| STANDARD.decode(encoded).map_err(|_| NoKeys::Form);
        if let Some(encoded) = text.strip_prefix("whsec_") {
            let key = decode(encoded)?;
            let fits = (24..=64).contains(&key.len());
            let hmac = fits.then(|| Hmac::new_from_slice(&key).expect("HMAC takes a key of any length"));
            return hmac.map(Self::Hmac).ok_or(NoKeys::Form);
        }
        let encoded = text.strip_prefix("whpk_").ok_or(NoKeys::Prefix)?;
        decode(encoded)?.try_into().map(Self::Ed25519).map_err(|_| NoKeys::Form)
    }

    /// Whether an entry of `webhook-signature` is this key's, for `head` and the body behind it.
    fn verifies(&self, entry: &str, head: &str, body: &[u8]) -> bool {
        let Some((version, encoded)) = entry.split_once(',') else { return false };
        let Ok(signature) = STANDARD.decode(encoded) else { return false };
        match self {
            Self::Hmac(keyed) if version == "v1" => {
                let mut mac = keyed.clone();
                mac.update(head.as_bytes());
                mac.update(body);
                mac.verify_slice(&signature).is_ok()
            }
            Self::Ed25519(key) if version == "v1a" => {
                let signed = [head.as_bytes(), body].concat();
                UnparsedPublicKey::new(&ED25519, key).verify(&signed, &signature).is_ok()
            }
            _ => false,
        }
    }
}

impl WebhookKeys {
    /// The keys that stand in a text, with white space between them.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn parse(text: &str) -> Result<Self, NoKeys> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.len() > MAX_KEYS {
            return Err(NoKeys::TooMany);
        }
        Ok(Self(words.into_iter().map(Key::parse).collect::<Result<_, _>>()?))
    }

    /// Whether one of the signatures is that of one of the keys.
    #[must_use]
    pub fn verify(&self, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
        let head = format!("{id}.{timestamp}.");
        let mut entries = signatures.split(' ').filter(|entry| !entry.is_empty()).take(MAX_SIGNATURES);
        entries.any(|entry| self.0.iter().any(|key| key.verifies(entry, &head, body)))
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_standards_own_library_signs_what_is_taken() {
        let keys = WebhookKeys::parse(SECRET).expect("a key");
        let theirs = standardwebhooks::Webhook::new(SECRET).expect("a secret");
        let signature = theirs.sign("msg_1", 1_614_265_330, b"{}").expect("signs");
        assert!(keys.verify("msg_1", "1614265330", &signature, b"{}"));
        assert!(keys.verify("msg_1", "1614265330", &format!("v2,AAAA v1,AAAA {signature}"), b"{}"));
        for (id, timestamp, body) in
            [("msg_2", "1614265330", b"{}"), ("msg_1", "1614265331", b"{}"), ("msg_1", "1614265330", b"[]")]
        {
            assert!(!keys.verify(id, timestamp, &signature, body), "{id} {timestamp}");
        }
        for wrong in ["", "v1", "v1,", "v1,*", "v1a,AAAA"] {
            assert!(!keys.verify("msg_1", "1614265330", wrong, b"{}"), "{wrong}");
        }
    }

    #[test]
    fn a_pair_signs_what_its_public_half_takes_and_keys_change_without_a_gap() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
        let public = format!("whpk_{}", STANDARD.encode(pair.public_key()));
        let signature = format!("v1a,{}", STANDARD.encode(pair.sign(b"a.1.{}")));
        let both = WebhookKeys::parse(&format!("{SECRET}\n {public}")).expect("two keys");
        assert!(both.verify("a", "1", &signature, b"{}"));
        assert!(!both.verify("a", "1", &signature.replace("v1a", "v1"), b"{}"));
        assert!(!WebhookKeys::parse(SECRET).expect("a key").verify("a", "1", &signature, b"{}"));
    }

    #[test]
    fn what_is_no_key_says_why_and_not_what_it_is() {
        let why = |text: &str| WebhookKeys::parse(text).err().map(|why| why.to_string()).unwrap_or_default();
        assert_eq!(why("hunter2hunter2"), "has a key that begins with neither `whsec_` nor `whpk_`");
        assert!(why("whsec_c2hvcnQ=").starts_with("has a key that is not 24 to 64 bytes"));
        assert!(why("whpk_c2hvcnQ=").starts_with("has a key that is not 24 to 64 bytes"));
        assert_eq!(why(&format!("{SECRET} ").repeat(5)), "has more than 4 keys");
    }
}
