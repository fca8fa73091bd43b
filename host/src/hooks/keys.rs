//! Keys that callers sign with and that are found on the web, as a JWKS.
//!
//! Owns how long they are kept, how often they are looked for, and how large they may be. A caller
//! cannot make the host ask more often than this.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde::Deserialize;
use sublane_core::Timestamp;

use crate::artifacts::ArtifactDir;
use crate::clock::Clock;
use crate::http::url::Url;
use crate::http::{Client, Hop, Payload, Sink, deadline};

/// How long keys are kept.
const KEPT: Duration = Duration::from_secs(86_400);
/// How often they are looked for at most.
const PAUSE: Duration = Duration::from_secs(60);
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a JWKS, and keys in one.
const MAX_BYTES: u64 = 64 << 10;
const MAX_KEYS: usize = 32;
/// Places whose keys are kept.
const MAX_PLACES: usize = 64;

/// Keys of ed25519.
pub(super) type Found = Arc<[[u8; 32]]>;

/// What is known of one place.
#[derive(Clone, Default)]
struct Kept {
    keys: Option<(Found, Timestamp)>,
    /// When it was looked for last.
    tried: Option<Timestamp>,
}

/// The keys of all places.
#[derive(Default)]
pub(super) struct Keys {
    kept: Mutex<HashMap<String, Kept>>,
    /// Held while somebody looks: the others get what he finds.
    looking: tokio::sync::Mutex<()>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
}

/// The keys of ed25519 in a JWKS; others are passed over.
fn read(text: &[u8]) -> Option<Found> {
    let jwks: Jwks = serde_json::from_slice(text).ok()?;
    let key = |jwk: &Jwk| {
        let is_ours = jwk.kty == "OKP" && jwk.crv == "Ed25519";
        let bytes = is_ours.then(|| URL_SAFE_NO_PAD.decode(jwk.x.trim_end_matches('=')).ok()).flatten()?;
        <[u8; 32]>::try_from(bytes).ok()
    };
    Some(jwks.keys.iter().filter_map(key).take(MAX_KEYS).collect())
}

impl Keys {
    /// The keys that are kept of a place and not too old.
    pub(super) fn kept(&self, place: &str, now: Timestamp) -> Option<Found> {
        let kept = self.kept.lock();
        let (keys, at) = kept.get(place)?.keys.as_ref()?;
        (now.since(*at) < KEPT).then(|| keys.clone())
    }

    /// Looks for the keys of a place, unless somebody did a moment ago: then, and when they cannot
    /// be had, those that are kept.
    pub(super) async fn look(
        &self,
        place: &str,
        http: &Client,
        files: &ArtifactDir,
        clock: &dyn Clock,
    ) -> Option<Found> {
        let asked = clock.now();
        let _looking = self.looking.lock().await;
        let now = clock.now();
        let tried = self.kept.lock().get(place).and_then(|kept| kept.tried);
        // One that was made while this waited is as good as its own; so is one of a moment ago.
        if tried.is_none_or(|tried| tried < asked && now.since(tried) >= PAUSE || tried > now) {
            let found = fetch(place, http, files).await;
            if found.is_none() {
                tracing::warn!(target: "sublane::hooks", place, "keys that callers sign with cannot be had");
            }
            let mut kept = self.kept.lock();
            if kept.len() >= MAX_PLACES && !kept.contains_key(place) {
                kept.clear();
            }
            let entry = kept.entry(place.to_owned()).or_default();
            entry.tried = Some(now);
            if let Some(keys) = found {
                entry.keys = Some((keys, now));
            }
        }
        self.kept(place, now)
    }
}

async fn fetch(place: &str, http: &Client, files: &ArtifactDir) -> Option<Found> {
    let hop = Hop {
        method: "GET".to_owned(),
        url: Url::parse(place).ok()?,
        headers: vec![("accept".to_owned(), "application/json".to_owned())],
        payload: Payload::None,
        deadline: deadline(TIMEOUT),
        max_body: MAX_BYTES,
        max_wire: 2 * MAX_BYTES,
        max_file: None,
        follows: false,
    };
    let reply = http.exchange(hop, files).await.0.ok()?;
    match (reply.status, reply.sink) {
        (200, Sink::Bytes(bytes)) => read(&bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_ed25519_are_read_and_others_passed_over() {
        let key = URL_SAFE_NO_PAD.encode([7; 32]);
        let text = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{key}"}},{{"kty":"OKP","crv":"Ed25519","x":"{key}="}},
            {{"kty":"RSA","n":"x"}},{{"kty":"OKP","crv":"X25519","x":"{key}"}},{{"kty":"OKP","crv":"Ed25519","x":"AA"}}]}}"#
        );
        assert_eq!(read(text.as_bytes()).as_deref(), Some(&[[7; 32], [7; 32]][..]));
        let many = format!(
            r#"{{"keys":[{}]}}"#,
            vec![format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{key}"}}"#); 99].join(",")
        );
        assert_eq!(read(many.as_bytes()).map(|keys| keys.len()), Some(MAX_KEYS));
        assert!(read(b"<html>").is_none() && read(b"{}").is_none());
    }
}
