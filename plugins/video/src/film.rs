//! A film from its specification: draws every picture, encodes it, and hands
//! the finished file over in pieces.
//!
//! Owns the bounds of what may be asked for and the order of the work. Never
//! decides where the pieces go or who hears of the progress.

use crate::encode::{EncodeError, Encoder};
use crate::mux::{self, MuxError, Track};
use crate::scene::Picture;
use crate::words::Scene;

/// The fewest and the most seconds of a film.
pub const SECONDS: std::ops::RangeInclusive<u32> = 1..=20;
/// The least and the greatest width in pixels.
pub const WIDTH: std::ops::RangeInclusive<u32> = 64..=1280;
/// The least and the greatest height in pixels.
pub const HEIGHT: std::ops::RangeInclusive<u32> = 64..=720;
/// The fewest and the most frames a second.
pub const FPS: std::ops::RangeInclusive<u32> = 8..=60;
/// The most bytes of a prompt.
pub const MAX_PROMPT_BYTES: usize = 4096;

/// What film to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilmSpec {
    /// What the film shows, in words. Also its caption, and the seed of all
    /// that the words leave open. Not blank, at most [`MAX_PROMPT_BYTES`].
    pub prompt: String,
    /// Length in seconds, in [`SECONDS`]. Defaults to 4.
    pub seconds: u32,
    /// Width in pixels, even, in [`WIDTH`]. Defaults to 480.
    pub width: u32,
    /// Height in pixels, even, in [`HEIGHT`]. Defaults to 270.
    pub height: u32,
    /// Frames a second, in [`FPS`]. Defaults to 24.
    pub fps: u32,
}

impl FilmSpec {
    /// The film of `prompt` with all else at its default.
    pub fn new(prompt: impl Into<String>) -> Self {
        Self { prompt: prompt.into(), seconds: 4, width: 480, height: 270, fps: 24 }
    }

    /// How many pictures the film has.
    pub fn frames(&self) -> u32 {
        self.seconds * self.fps
    }

    /// Whether such a film can be made. The error names what is wrong and what
    /// is allowed.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.prompt.trim().is_empty() {
            return Err(SpecError::BlankPrompt);
        }
        if self.prompt.len() > MAX_PROMPT_BYTES {
            return Err(SpecError::LongPrompt { bytes: self.prompt.len() });
        }
        for (what, got, range) in [
            ("seconds", self.seconds, SECONDS),
            ("width", self.width, WIDTH),
            ("height", self.height, HEIGHT),
            ("fps", self.fps, FPS),
        ] {
            if !range.contains(&got) {
                let (min, max) = (*range.start(), *range.end());
                return Err(SpecError::OutOfRange { what, got, min, max });
            }
        }
        for (what, got) in [("width", self.width), ("height", self.height)] {
            if got % 2 != 0 {
                return Err(SpecError::Odd { what, got });
            }
        }
        Ok(())
    }
}

/// Why no film can be made from a specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The prompt has no visible character.
    #[error("prompt is blank; say in words what the film shows")]
    BlankPrompt,
    /// The prompt is longer than [`MAX_PROMPT_BYTES`].
    #[error("prompt is {bytes} bytes long; allowed are 1 to {MAX_PROMPT_BYTES}")]
    LongPrompt {
        /// The length of the prompt.
        bytes: usize,
    },
    /// A number is outside what is allowed.
    #[error("{what} is {got}; allowed are {min} to {max}")]
    OutOfRange {
        /// The field.
        what: &'static str,
        /// Its value.
        got: u32,
        /// The least that is allowed.
        min: u32,
        /// The most that is allowed.
        max: u32,
    },
    /// A side of the picture is odd, which 4:2:0 cannot hold.
    #[error("{what} is {got}; it must be even")]
    Odd {
        /// The field.
        what: &'static str,
        /// Its value.
        got: u32,
    },
}

/// How far a film is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Frames drawn and encoded.
    pub done: u32,
    /// Frames of the whole film.
    pub total: u32,
}

/// What became of a film.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilmInfo {
    /// How many frames it has.
    pub frames: u32,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// Its length in milliseconds.
    pub duration_ms: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Why the receiver of the file takes no more of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinkError(
    /// The receiver's reason.
    pub String,
);

/// Why there is no film.
#[derive(Debug, thiserror::Error)]
pub enum FilmError {
    /// The specification cannot be met.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The encoder failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The file could not be laid out.
    #[error(transparent)]
    Mux(#[from] MuxError),
    /// The receiver of the file failed.
    #[error("the film was made but not taken")]
    Sink(#[from] SinkError),
}

/// Makes the film.
///
/// `progress` is told after every frame. `sink` receives the MP4 file in order,
/// in pieces of at most [`mux::MAX_PIECE_BYTES`], after the last frame, for the
/// index of the file stands before its data.
pub fn render(
    spec: &FilmSpec,
    progress: &mut dyn FnMut(Progress),
    sink: &mut dyn FnMut(&[u8]) -> Result<(), SinkError>,
) -> Result<FilmInfo, FilmError> {
    spec.check()?;
    let scene = Scene::from_prompt(&spec.prompt);
    let (width, height) = (spec.width as usize, spec.height as usize);
    let mut picture = Picture::new(&scene, &spec.prompt, width, height, spec.seconds);
    let mut encoder = Encoder::new(spec.width, spec.height, spec.fps)?;
    let total = spec.frames();
    let mut packets = Vec::with_capacity(total as usize);
    for frame in 0..total {
        let drawn = picture.draw(frame as f32 / spec.fps as f32);
        encoder.push(drawn, &mut |packet| packets.push(packet))?;
        progress(Progress { done: frame + 1, total });
    }
    // What drew the film is not needed to write it.
    drop(picture);
    encoder.finish(&mut |packet| packets.push(packet))?;
    let track = Track { width: spec.width as u16, height: spec.height as u16, fps: spec.fps };
    let bytes = mux::write(track, packets, sink)??;
    let duration_ms = u64::from(spec.seconds) * 1000;
    Ok(FilmInfo { frames: total, bytes, duration_ms, width: spec.width, height: spec.height })
}
