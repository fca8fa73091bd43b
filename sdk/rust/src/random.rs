//! Random bytes, seeded per run: a replay sees the same.
//!
//! Unpredictable to others. With the feature `getrandom` it also serves every
//! crate that asks `getrandom` 0.3 or 0.4 (`rand`, `uuid`, ...); plugins are
//! built with `--cfg getrandom_backend="custom"` for it. Without the feature such
//! a plugin does not link, for want of `__getrandom_v03_custom`.

use crate::bindings::imports::sublane::plugin::random as raw;

/// The most bytes of one call.
const BYTES_PER_CALL: usize = 64 * 1024;

/// Fills the buffer.
pub fn fill(buffer: &mut [u8]) {
    for part in buffer.chunks_mut(BYTES_PER_CALL) {
        part.copy_from_slice(&raw::bytes(part.len() as u32));
    }
}

/// So many bytes, as an array: `let key: [u8; 32] = random::bytes();`
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Any number, each with the same probability.
pub fn number() -> u64 {
    u64::from_le_bytes(bytes())
}

#[cfg(all(target_arch = "wasm32", feature = "getrandom"))]
mod backend {
    #![expect(unsafe_code, reason = "the backend of `getrandom` is a symbol that takes a pointer")]

    /// Called by `getrandom` 0.3 and 0.4, which share the symbol.
    // SAFETY: the name belongs to the one crate that provides the backend.
    #[unsafe(no_mangle)]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        dest: *mut u8,
        len: usize,
    ) -> Result<(), getrandom::Error> {
        // SAFETY: the caller gives `len` writable bytes; they are initialised
        // before a slice of them is made.
        let buffer = unsafe {
            std::ptr::write_bytes(dest, 0, len);
            std::slice::from_raw_parts_mut(dest, len)
        };
        super::fill(buffer);
        Ok(())
    }
}
