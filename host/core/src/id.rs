//! Identities: 128 bits, printed as 22 characters of base64url.
//!
//! A root's id begins with its time of birth, so that ids made one after the
//! other lie side by side in an index. What a run makes (children, deliveries)
//! is derived from the run's id, generation and journal path, so that making
//! it twice makes the same thing.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128;

use crate::journal::Path;
use crate::time::Timestamp;

/// Bytes of an id that hold the time of birth of its root, big-endian milliseconds.
const TIME_BYTES: usize = 6;

/// A map whose keys are ids or hashes, alone or with numbers. They are random already, so hashing them is
/// a multiplication and not a cipher. Keys that guests choose (kv, dedupe) belong in no such map.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Folds the words of an id together, see [`IdMap`].
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl IdHasher {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x2d35_8dcc_aa6c_78a5) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.fold(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.fold(u64::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    /// The length of what has one length says nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: expected 22 characters of base64url")]
pub struct ParseIdError(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// A new id: the time of birth and 80 bits of the caller's randomness.
            #[must_use]
            pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
                let mut bytes = [0; 16];
                bytes[..TIME_BYTES].copy_from_slice(&now.0.to_be_bytes()[2..]);
                bytes[TIME_BYTES..].copy_from_slice(&random);
                Self(bytes)
            }

            /// The first 6 characters that tell one id from its neighbours, for people.
            #[must_use]
            pub fn short(&self) -> String {
                URL_SAFE_NO_PAD.encode(&self.0[TIME_BYTES..])[..6].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 22];
                URL_SAFE_NO_PAD
                    .encode_slice(self.0, &mut text)
                    .expect("16 bytes are 22 characters of base64");
                f.write_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; 16];
                match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
                    Ok(16) => Ok(Self(bytes)),
                    _ => Err(ParseIdError(text.to_owned())),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// One durable execution of an agent.
    RunId
}
id! {
    /// The thread on a channel that messages come from.
    ConversationId
}
id! {
    /// One result owed to one destination; the receiver's idempotency key.
    DeliveryId
}

id! {
    /// A URL that a run opened. It says nothing of the token in it.
    HookId
}

id! {
    /// A poll plan that a run waits for.
    PollId
}

/// The bytes that a run's creations are derived from.
fn derive(run: RunId, generation: u32, path: &Path, kind: u8, index: u32) -> [u8; 16] {
    let mut input = Vec::with_capacity(32 + path.as_bytes().len());
    input.push(kind);
    input.extend_from_slice(&run.0);
    input.extend_from_slice(&generation.to_be_bytes());
    input.extend_from_slice(&index.to_be_bytes());
    input.extend_from_slice(path.as_bytes());
    let mut bytes = xxh3_128(&input).to_be_bytes();
    bytes[..TIME_BYTES].copy_from_slice(&run.0[..TIME_BYTES]);
    bytes
}

impl RunId {
    /// The child that `self` spawns in `generation` at `path`.
    #[must_use]
    pub fn child(self, generation: u32, path: &Path) -> Self {
        Self(derive(self, generation, path, b'r', 0))
    }
}

impl HookId {
    /// What `run` opens in `generation` at `path`.
    #[must_use]
    pub fn opened(run: RunId, generation: u32, path: &Path) -> Self {
        Self(derive(run, generation, path, b'h', 0))
    }
}

impl PollId {
    /// The plan that is source number `place` of the wait that `run` opens in `generation` at `path`.
    #[must_use]
    pub fn opened(run: RunId, generation: u32, path: &Path, place: u32) -> Self {
        Self(derive(run, generation, path, b'p', place))
    }
}

impl DeliveryId {
    /// What `run` sends in `generation` at `path`.
    #[must_use]
    pub fn sent(run: RunId, generation: u32, path: &Path) -> Self {
        Self(derive(run, generation, path, b's', 0))
    }

    /// What the ending of `run` in `generation` owes to its destination number `index`.
    #[must_use]
    pub fn ending(run: RunId, generation: u32, index: u32) -> Self {
        Self(derive(run, generation, &Path::root(), b'e', index))
    }

    /// The part of it that holds these bytes of its text.
    #[must_use]
    pub fn part(self, from: u32, to: u32) -> Self {
        let input = [&b"p"[..], &self.0, &from.to_be_bytes(), &to.to_be_bytes()].concat();
        let mut bytes = xxh3_128(&input).to_be_bytes();
        bytes[..TIME_BYTES].copy_from_slice(&self.0[..TIME_BYTES]);
        Self(bytes)
    }
}

/// The claim of one attempt on a run. Every write of the attempt carries it;
/// a store refuses one that is not the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = RunId::new(Timestamp(1_700_000_000_000), [7; 10]);
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_not_an_id_is_refused_by_name() {
        let error = "nonsense".parse::<RunId>().expect_err("too short");
        assert_eq!(error.to_string(), "`nonsense` is not an id: expected 22 characters of base64url");
    }

    #[test]
    fn a_child_is_named_by_where_it_was_spawned() {
        let parent = RunId::new(Timestamp(5), [1; 10]);
        let third = Path::root().then(3);
        assert_eq!(parent.child(0, &third), parent.child(0, &third));
        assert_ne!(parent.child(0, &third), parent.child(1, &third));
        assert_ne!(parent.child(0, &third), parent.child(0, &Path::root().then(4)));
    }
}
