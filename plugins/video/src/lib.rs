//! Makes a short film from a prompt: words to a scene, a scene to pictures,
//! pictures to AV1, AV1 to an MP4 file that any browser plays.
//!
//! Owns the whole way from the prompt to the file's bytes, the tool that takes
//! orders and the agent that makes the film. The film itself never reads a
//! clock, a file or a source of randomness, and starts no thread: the same
//! specification gives the same bytes.

pub mod agent;
pub mod encode;
pub mod film;
pub mod mux;
pub mod provider;
pub mod scene;
pub mod tool;
pub mod words;

mod words_for_people;

sublane_sdk::plugin!(agents: [agent::render, provider::configure], tools: [tool::generate_video]);

pub use film::{FilmError, FilmInfo, FilmSpec, Progress, SinkError, SpecError, render};
