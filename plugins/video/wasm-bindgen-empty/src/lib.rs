//! An empty crate in the place of wasm-bindgen.
//!
//! Owns nothing: it only satisfies the dependency that `v_frame` declares for
//! wasm32-unknown-unknown and never uses. A crate that really calls
//! wasm-bindgen fails to compile against this one, which is the point: its
//! imports could not be satisfied inside a component.
#![no_std]
