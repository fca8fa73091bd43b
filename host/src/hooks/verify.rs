//! Whether a call is from whom its hook's run wants to hear.
//!
//! Knows the headers of the two ways to sign, and how old a signature may be. Time, keys and
//! headers come in as values.

use std::time::Duration;

use hyper::HeaderMap;
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use sublane_core::Timestamp;
use sublane_core::hook::MAX_HEADER_BYTES;

use crate::secrets::WebhookKeys;

/// How far the caller's clock may be from this one's.
const TOLERANCE: Duration = Duration::from_secs(300);

/// The call is from somebody else, is too old, or was made over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

/// A header's value, if there is one and it is no longer than it may be.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    // Two values: which one was signed is not to be known.
    (values.next().is_none() && (1..=MAX_HEADER_BYTES).contains(&value.len())).then_some(value)
}

fn is_now(seconds: &str, now: Timestamp) -> bool {
    let at = seconds.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1_000)).map(Timestamp);
    at.is_some_and(|at| now.since(at) <= TOLERANCE && at.since(now) <= TOLERANCE)
}

/// What a call that was signed as Standard Webhooks say is known by.
pub(super) fn standard(
    keys: &WebhookKeys,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<String, Forged> {
    let id = header(headers, "webhook-id").ok_or(Forged)?;
    let timestamp = header(headers, "webhook-timestamp").filter(|at| is_now(at, now)).ok_or(Forged)?;
    // Several signatures are longer than another header may be.
    let signatures = headers.get("webhook-signature").and_then(|value| value.to_str().ok()).ok_or(Forged)?;
    match keys.verify(id, timestamp, signatures, body) {
        true => Ok(id.to_owned()),
        false => Err(Forged),
    }
}

/// What fal signed, of a call.
pub(super) struct Fal {
    /// fal's own id of the request.
    pub(super) key: String,
    message: String,
    signature: [u8; 64],
}

impl Fal {
    /// Reads the headers.
    pub(super) fn read(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<Self, Forged> {
        let part = |name: &str| header(headers, name).ok_or(Forged);
        let key = part("x-fal-webhook-request-id")?;
        let user = part("x-fal-webhook-user-id")?;
        let timestamp = part("x-fal-webhook-timestamp")?;
        if !is_now(timestamp, now) {
            return Err(Forged);
        }
        let signature = hex(part("x-fal-webhook-signature")?).ok_or(Forged)?;
        let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        let message = format!("{key}\n{user}\n{timestamp}\n{digest}");
        Ok(Self { key: key.to_owned(), message, signature })
    }

    /// Whether one of these keys made the signature.
    pub(super) fn is_of(&self, keys: &[[u8; 32]]) -> bool {
        let verify =
            |key| UnparsedPublicKey::new(&ED25519, key).verify(self.message.as_bytes(), &self.signature);
        keys.iter().any(|key| verify(key).is_ok())
    }
}

/// 64 bytes from their hex form.
fn hex(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 64];
    if text.len() != 128 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const NOW: Timestamp = Timestamp(1_614_265_330_500);

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    fn fal(pair: &Ed25519KeyPair, timestamp: &str, body: &[u8]) -> HeaderMap {
        let digest: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        let signature = pair.sign(format!("request\nuser\n{timestamp}\n{digest}").as_bytes());
        let hex: String = signature.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        headers(&[
            ("x-fal-webhook-request-id", "request"),
            ("x-fal-webhook-user-id", "user"),
            ("x-fal-webhook-timestamp", timestamp),
            ("x-fal-webhook-signature", &hex),
        ])
    }

    #[test]
    fn what_fal_signs_is_taken_and_what_was_made_over_is_not() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed");
        let key: [u8; 32] = pair.public_key().as_ref().try_into().expect("32 bytes");
        let good = fal(&pair, "1614265330", b"{}");
        let read = Fal::read(&good, b"{}", NOW).expect("all headers are there");
        assert_eq!((read.key.as_str(), read.is_of(&[[1; 32], key])), ("request", true));
        assert!(!read.is_of(&[[1; 32]]) && !read.is_of(&[]));
        assert!(!Fal::read(&good, b"[]", NOW).expect("all headers are there").is_of(&[key]));
        for (name, value) in [
            ("x-fal-webhook-request-id", "other"),
            ("x-fal-webhook-user-id", "other"),
            ("x-fal-webhook-timestamp", "1614265331"),
        ] {
            let mut changed = good.clone();
            changed.insert(name, value.parse().expect("a value"));
            assert!(!Fal::read(&changed, b"{}", NOW).expect("all headers are there").is_of(&[key]), "{name}");
            changed.remove(name);
            assert!(Fal::read(&changed, b"{}", NOW).is_err(), "{name}");
        }
        for timestamp in ["1614265029", "1614265631", "-1", "x", "99999999999999999999"] {
            assert!(Fal::read(&fal(&pair, timestamp, b"{}"), b"{}", NOW).is_err(), "{timestamp}");
        }
        let mut short = good;
        short.insert("x-fal-webhook-signature", "00ff".parse().expect("a value"));
        assert!(Fal::read(&short, b"{}", NOW).is_err());
    }

    #[test]
    fn a_signature_is_as_old_as_it_may_be() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let keys = WebhookKeys::parse(secret).expect("a key");
        let theirs = standardwebhooks::Webhook::new(secret).expect("a secret");
        let signed = |at: i64| {
            let signature = theirs.sign("msg_1", at, b"{}").expect("signs");
            let (at, name) = (at.to_string(), "webhook-timestamp");
            headers(&[("webhook-id", "msg_1"), (name, &at), ("webhook-signature", &signature)])
        };
        let now = 1_614_265_330;
        for (at, taken) in
            [(now, true), (now - 300, true), (now + 300, true), (now - 301, false), (now + 302, false)]
        {
            let found = standard(&keys, &signed(at), b"{}", Timestamp(1_614_265_330_000));
            assert_eq!(found.is_ok(), taken, "{at}");
        }
        let mut twice = signed(now);
        twice.append("webhook-id", "msg_2".parse().expect("a value"));
        assert_eq!(
            standard(&keys, &twice, b"{}", NOW),
            Err(Forged),
            "which one was signed is not to be known"
        );
    }
}
