//! Maps by id, and the orders in which rows fall due.
//!
//! Ids are random already, so hashing them is a multiplication and not a cipher.
//! Keys that guests choose (kv, dedupe) never come here.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use sublane_core::Timestamp;

/// A map whose keys are ids, alone or with numbers.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// An odd number with no pattern in its bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Folds the words of an id together.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl IdHasher {
    fn fold(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(SPREAD);
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.fold(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        for byte in words.remainder() {
            self.fold(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    /// The length of an id says nothing.
    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

/// Ids in the order of an instant, ties in the order of their numbers.
pub(super) struct Due<K>(BTreeMap<(Timestamp, u64), K>);

impl<K> Default for Due<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Copy> Due<K> {
    pub(super) fn insert(&mut self, at: Timestamp, number: u64, id: K) {
        self.0.insert((at, number), id);
    }

    pub(super) fn remove(&mut self, at: Timestamp, number: u64) {
        self.0.remove(&(at, number));
    }

    /// When the first one is due.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.0.first_key_value().map(|((at, _), _)| *at)
    }

    /// Those not after `now`, oldest first.
    pub(super) fn until(&self, now: Timestamp, limit: u32) -> impl Iterator<Item = K> + '_ {
        self.0.range(..=(now, u64::MAX)).take(limit as usize).map(|(_, id)| *id)
    }
}
