//! The agent `render`: makes the film, tells how far it is, and gives back the
//! file.
//!
//! Owns the way from the film's pieces to an artifact. Never sends anything:
//! the host owes the ending to whom the order named.

use std::io::Write;

use sublane_sdk::artifact::{self, Writer};
use sublane_sdk::{Error, Failure, Output, agent, data, progress};

use crate::film::{self, FilmError, FilmSpec, Progress, SinkError};
use crate::provider::{Provider, fal};
use crate::words_for_people::{file_name, shortened};

/// The film to make, within the bounds of the tool `generate_video`.
#[data]
#[derive(Debug)]
#[serde(deny_unknown_fields)]
pub struct Film {
    /// What the film shows, in words.
    pub prompt: String,
    /// Length in seconds.
    pub seconds: u32,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Frames a second.
    pub fps: u32,
    /// Who makes it.
    #[serde(default)]
    pub provider: Provider,
}

impl From<&Film> for FilmSpec {
    fn from(film: &Film) -> Self {
        let Film { prompt, seconds, width, height, fps, .. } = film;
        Self { prompt: prompt.clone(), seconds: *seconds, width: *width, height: *height, fps: *fps }
    }
}

/// What the film has become.
#[data]
#[derive(Debug)]
struct Made {
    frames: u32,
    duration_ms: u64,
    width: u32,
    height: u32,
    bytes: u64,
}

/// Draws and encodes a film as AV1 in MP4, or has it made by the provider that the order names.
#[agent]
pub fn render(film: Film) -> Result<Output, Failure> {
    match &film.provider {
        Provider::BuiltIn => draw(&film),
        Provider::Fal(fal) => fal::make(&film, fal),
    }
}

fn draw(film: &Film) -> Result<Output, Failure> {
    let spec = FilmSpec::from(film);
    let name = shortened(&spec.prompt);
    let mut file = artifact::create(&file_name(&spec.prompt), "video/mp4")
        .map_err(|error| failure(&name, error.to_string(), &error))?;
    let mut reported = None;
    let made = film::render(&spec, &mut |progress| report(progress, &mut reported), &mut |piece| {
        file.write_all(piece).map_err(|error| SinkError(error.to_string()))
    })
    .map_err(|error| not_drawn(&name, &error))?;
    let file = finish(file).map_err(|error| failure(&name, not_kept(&error, made.bytes), &error))?;

    let seconds = spec.seconds;
    let film::FilmInfo { frames, bytes, duration_ms, width, height } = made;
    let text = format!("Your film “{name}” is ready: {seconds} s, {width}×{height}.");
    let made = Made { frames, duration_ms, width, height, bytes };
    Ok(Output::value(&made).with_text(text).with_artifact(file))
}

fn finish(file: Writer) -> Result<artifact::Artifact, Error> {
    progress::report(100, "keeping the file");
    file.finish()
}

/// Tells how far the film is, once for each percent.
fn report(progress: Progress, reported: &mut Option<u8>) {
    let Progress { done, total } = progress;
    // The hundredth is for the finished file.
    let percent = (u64::from(done) * 100 / u64::from(total.max(1))).min(99) as u8;
    if reported.replace(percent) != Some(percent) {
        progress::report(percent, &format!("frame {done} of {total}"));
    }
}

/// The failure's own sentence; whether it may be tried again is the error's to say.
fn failure(name: &str, why: String, error: &Error) -> Failure {
    let failure = Failure::new(format!("The film “{name}” could not be made: {why}."));
    if error.is_retryable() { failure } else { failure.permanent() }
}

/// Why a file that was written was not kept.
fn not_kept(error: &Error, bytes: u64) -> String {
    match error {
        Error::Limit { which, .. } if which.starts_with("purse.artifact") => {
            format!("its {bytes} bytes are more than may be kept; make it shorter or smaller")
        }
        error => error.to_string(),
    }
}

/// The innermost reason, without what it led to. The same film is drawn the same another time; where it is written to may do otherwise.
fn not_drawn(name: &str, error: &FilmError) -> Failure {
    let failure = |why: &str| Failure::new(format!("The film “{name}” could not be made: {why}."));
    match error {
        FilmError::Sink(SinkError(why)) => failure(why),
        error => failure(&error.to_string()).permanent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_once_for_each_percent() {
        let mut reported = None;
        let mut told = Vec::new();
        for done in 1..=300 {
            let before = reported;
            report(Progress { done, total: 300 }, &mut reported);
            if reported != before {
                told.extend(reported);
            }
        }
        assert_eq!(told, (0..=99).collect::<Vec<u8>>());
    }

    #[test]
    fn a_full_purse_is_spoken_of_in_words() {
        let limit = Error::Limit { which: "purse.artifact-bytes".to_owned(), value: 1000 };
        let failure = failure("a cat", not_kept(&limit, 2000), &limit);
        let message = "The film “a cat” could not be made: its 2000 bytes are more than may be kept; \
                       make it shorter or smaller.";
        assert_eq!(failure.message(), message);
    }
}
