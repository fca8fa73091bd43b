//! The run's log, for the operator and the author.
//!
//! ```no_run
//! use sublane_sdk::log;
//!
//! let frames = 96;
//! log::info!("drawing {frames} frames");
//! ```
//!
//! Natively, lines go to standard error.

pub use crate::bindings::imports::sublane::plugin::log::Level;
#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_trace as trace, __log_warn as warn,
};

/// Writes a line, at most 8 KiB (longer is cut). A replay does not repeat it.
pub fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::imports::sublane::plugin::log::write(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}

/// Writes a step that matters to who looks very closely, formatted as `format!` does.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_trace {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Trace, &::std::format!($($argument)+))
    };
}

/// Writes a step that matters to who looks for a mistake, formatted as `format!` does.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_debug {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Debug, &::std::format!($($argument)+))
    };
}

/// Writes something worth knowing, formatted as `format!` does.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_info {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Info, &::std::format!($($argument)+))
    };
}

/// Writes something that should not be, formatted as `format!` does.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_warn {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Warn, &::std::format!($($argument)+))
    };
}

/// Writes something that went wrong, formatted as `format!` does.
#[macro_export]
#[doc(hidden)]
macro_rules! __log_error {
    ($($argument:tt)+) => {
        $crate::log::write($crate::log::Level::Error, &::std::format!($($argument)+))
    };
}
