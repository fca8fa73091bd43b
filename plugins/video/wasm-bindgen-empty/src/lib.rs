//! Stands in for wasm-bindgen, with an attribute that does nothing.
//!
//! Owns only the name: `v_frame` marks one enumeration with the attribute on
//! wasm32-unknown-unknown. The real attribute would export and import what a
//! browser page provides and no component can have. A crate that calls anything
//! else of wasm-bindgen fails to compile against this one, which is the point.
#![no_std]

/// What crates import from wasm-bindgen.
pub mod prelude {
    pub use noop_proc_macro::wasm_bindgen;
}
