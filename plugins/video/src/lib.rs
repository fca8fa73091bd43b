//! Makes a short film from a prompt: words to a scene, a scene to pictures,
//! pictures to AV1, AV1 to an MP4 file that any browser plays.
//!
//! Owns the whole way from the prompt to the file's bytes. Never reads a clock,
//! a file or a source of randomness, and starts no thread: the same
//! specification gives the same bytes.

pub mod encode;
pub mod film;
pub mod mux;
pub mod scene;
pub mod words;

pub use film::{FilmError, FilmInfo, FilmSpec, Progress, SinkError, SpecError, render};
