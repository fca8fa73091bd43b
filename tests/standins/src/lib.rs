//! Stand-ins for services that tests cannot reach: small servers on loopback that speak as the
//! service does, and fail in every way that it can.
//!
//! Owns what the service says, from its documents and its own client's source. Knows nothing of
//! the host, so that both cannot share a misunderstanding: each stand-in is proven by the official
//! client of its service (`tests/features/standins.rs`).

pub mod fal;
mod wire;

pub use wire::Certificate;
