//! Telling people how far the run is.

#[cfg(target_arch = "wasm32")]
use crate::bindings::imports::sublane::plugin::progress as raw;

/// Reports progress: percent 0 to 100 (more counts as 100) and a short note,
/// at most 256 bytes. The newest wins. Natively it does nothing.
pub fn report(percent: u8, note: &str) {
    #[cfg(target_arch = "wasm32")]
    raw::report(percent, note);
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (percent, note);
}
