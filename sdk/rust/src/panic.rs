//! Panics, told to the run's log before the instance ends.
//!
//! Owns the panic hook. Never catches anything: a panic ends the run as `trapped`.

/// Has panics written to the log with file and line. Natively the standard
/// library's own hook does better.
pub fn install() {
    #[cfg(target_arch = "wasm32")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|info| {
                crate::log::write(crate::log::Level::Error, &info.to_string());
            }));
        });
    }
}
