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
        self.seconds.saturating_mul(self.fps)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest film of `prompt`, and its pieces.
    fn film(prompt: &str) -> (FilmInfo, Vec<Vec<u8>>) {
        let spec = FilmSpec { seconds: 1, width: 64, height: 64, fps: 8, ..FilmSpec::new(prompt) };
        let mut pieces = Vec::new();
        let mut take = |piece: &[u8]| {
            pieces.push(piece.to_vec());
            Ok(())
        };
        let info = render(&spec, &mut |_| {}, &mut take).expect("a film of any prompt");
        (info, pieces)
    }

    fn check(change: impl FnOnce(&mut FilmSpec), want: &str) {
        let mut spec = FilmSpec::new("a ship");
        change(&mut spec);
        let got = spec.check().expect_err("out of bounds").to_string();
        assert_eq!(got, want);
    }

    #[test]
    fn a_specification_out_of_bounds_is_told_what_is_allowed() {
        assert_eq!(FilmSpec::new("a ship").check(), Ok(()));
        check(|s| s.prompt = " \n".into(), "prompt is blank; say in words what the film shows");
        check(
            |s| s.prompt = "x".repeat(MAX_PROMPT_BYTES + 1),
            "prompt is 4097 bytes long; allowed are 1 to 4096",
        );
        check(|s| s.seconds = 0, "seconds is 0; allowed are 1 to 20");
        check(|s| s.seconds = 21, "seconds is 21; allowed are 1 to 20");
        check(|s| s.width = 62, "width is 62; allowed are 64 to 1280");
        check(|s| s.height = 722, "height is 722; allowed are 64 to 720");
        check(|s| s.fps = u32::MAX, "fps is 4294967295; allowed are 8 to 60");
        check(|s| s.width = 481, "width is 481; it must be even");
    }

    #[test]
    fn the_same_specification_gives_the_same_bytes() {
        assert_eq!(film("a cat in the rain").1, film("a cat in the rain").1);
    }

    #[test]
    fn prompts_without_a_known_word_give_different_pictures() {
        let picture = |prompt: &str| {
            let mut picture = Picture::new(&Scene::from_prompt(prompt), "x", 64, 64, 1);
            picture.draw(0.5).clone()
        };
        let (a, b) = (picture("qwxz"), picture("zxwq"));
        let differing = a.y.iter().zip(&b.y).filter(|(a, b)| a.abs_diff(**b) > 8).count();
        assert!(differing > a.y.len() / 4, "only {differing} pixels differ");
    }

    #[test]
    fn things_move() {
        for prompt in ["a cat", "a lighthouse", "space", "underwater", "a city at night"] {
            let mut picture = Picture::new(&Scene::from_prompt(prompt), prompt, 160, 90, 4);
            let first = picture.draw(0.5).clone();
            let later = picture.draw(2.0);
            let moved = first.y.iter().zip(&later.y).filter(|(a, b)| a.abs_diff(**b) > 6).count();
            assert!(moved > first.y.len() / 100, "{prompt}: only {moved} pixels changed");
        }
    }

    #[test]
    fn every_size_and_every_subject_can_be_drawn() {
        let prompts = [
            "lighthouse ship sea storm",
            "balloon cat city rain",
            "dog rocket space meteors",
            "castle windmill meadow fireworks",
            "whale birds sea dawn",
            "fish tree underwater",
            "campfire train mountains fog",
            "robot traveller desert lanterns",
            "house forest snow aurora petals fireflies",
            "whale sky",
            "rocket sea",
            "ship desert",
        ];
        for (i, prompt) in prompts.iter().enumerate() {
            let (width, height) = [(64, 64), (320, 64), (64, 240), (160, 90)][i % 4];
            let mut picture = Picture::new(&Scene::from_prompt(prompt), prompt, width, height, 20);
            for seconds in [0.0, 0.7, 3.3, 19.96] {
                picture.draw(seconds);
            }
        }
    }

    #[test]
    fn the_pieces_make_an_mp4_file() {
        let (info, pieces) = film("🦑 日本語 \u{0}\u{202e} any text at all");
        assert!(pieces.iter().all(|p| !p.is_empty() && p.len() <= mux::MAX_PIECE_BYTES));
        let file = pieces.concat();
        assert_eq!(file.len() as u64, info.bytes);
        assert_eq!((info.frames, info.duration_ms, info.width, info.height), (8, 1000, 64, 64));
        // The boxes of the file, one after the other, the index before the data.
        let mut names = Vec::new();
        let mut at = 0;
        while at < file.len() {
            let size = u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"));
            names.push(String::from_utf8_lossy(&file[at + 4..at + 8]).into_owned());
            at += size as usize;
        }
        assert_eq!(at, file.len());
        assert_eq!(names, ["ftyp", "moov", "mdat"]);
        let has = |name: &[u8]| file.windows(name.len()).any(|w| w == name);
        for name in [&b"av01"[..], b"av1C", b"colrnclx", b"stss", b"stco"] {
            assert!(has(name), "no {}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn progress_counts_every_frame_and_a_full_sink_ends_the_work() {
        let spec = FilmSpec { seconds: 1, width: 64, height: 64, fps: 8, ..FilmSpec::new("sea") };
        let mut seen = Vec::new();
        let full = SinkError("disk full".into());
        let got = render(&spec, &mut |p| seen.push(p), &mut |_| Err(full.clone()));
        assert!(matches!(got, Err(FilmError::Sink(e)) if e == full));
        assert_eq!(seen.iter().map(|p| p.done).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
        assert!(seen.iter().all(|p| p.total == 8));
    }
}
