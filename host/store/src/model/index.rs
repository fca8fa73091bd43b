//! Maps by id, and the orders in which rows fall due.
//!
//! Ids are random already, so hashing them is a multiplication and not a cipher.
//! Keys that guests choose (kv, dedupe) never come here.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hash, Hasher};

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

/// Ids in the order of an instant, ties in the order of the ids.
pub(super) struct Due<K>(BTreeSet<(Timestamp, K)>);

impl<K> Default for Due<K> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<K: Copy + Ord + Hash> Due<K> {
    pub(super) fn insert(&mut self, at: Timestamp, id: K) {
        self.0.insert((at, id));
    }

    pub(super) fn remove(&mut self, at: Timestamp, id: K) {
        self.0.remove(&(at, id));
    }

    /// Those not after `now`, oldest first.
    pub(super) fn until(&self, now: Timestamp, limit: u32) -> impl Iterator<Item = K> + '_ {
        self.0.iter().take_while(move |(at, _)| *at <= now).take(limit as usize).map(|(_, id)| *id)
    }

    /// Those after a position, oldest first.
    pub(super) fn after(&self, position: Option<(Timestamp, K)>, limit: u32) -> impl Iterator<Item = K> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = position.map_or(Unbounded, Excluded);
        self.0.range((from, Unbounded)).take(limit as usize).map(|(_, id)| *id)
    }
}
