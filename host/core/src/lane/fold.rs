//! The hash of a lane's maps.

use std::hash::{BuildHasherDefault, Hasher};

/// Ids and keys are random or hashes already; this only folds them.
pub(super) type Fast = BuildHasherDefault<Fold>;

#[derive(Default)]
pub(super) struct Fold(u64);

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = self.0 ^ u64::from_le_bytes(word);
            let product = u128::from(word ^ 0x2d35_8dcc_aa6c_78a5) * 0x9e37_79b9_7f4a_7c15;
            self.0 = (product >> 64) as u64 ^ product as u64;
        }
    }
    /// The length of what has one length says nothing.
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}
