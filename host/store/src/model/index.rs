//! The orders in which rows fall due.

use std::collections::BTreeMap;

use sublane_core::Timestamp;

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
