//! Reads a message in plain words: is a film wanted, and which one?
//!
//! Owns the meaning of messages. Never calls anything, and never checks numbers
//! against what can be made: the one who makes films knows.
//!
//! A message is cut into words. What says length, size, speed or destination is
//! taken out first; of the rest, what stands around the word for a film is what
//! it shows.

mod options;
mod subject;
mod words;

#[cfg(test)]
mod tests;

use options::Options;
use subject::Subject;
use sublane_sdk::data;
use words::Words;

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// A film.
    Film(FilmRequest),
    /// A film, but not of what.
    FilmOfWhat,
    /// A film, to be sent where nothing can be sent: the words for the place.
    UnknownDestination(String),
    /// A greeting and nothing more.
    Greeting,
    /// Thanks and nothing more.
    Thanks,
    /// Something else.
    Other,
}

/// The film that is wanted, as the video plugin's tool takes it. What was not
/// said is left to the tool.
#[data]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilmRequest {
    /// What the film shows.
    pub(crate) prompt: String,
    /// Length in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<u32>,
    /// Width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<u32>,
    /// Height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    /// Frames a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fps: Option<u32>,
    /// Where to send it besides the conversation, as `channel:address`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) also_to: Vec<String>,
}

/// Reads a message.
pub(crate) fn read(text: &str) -> Message {
    let mut words = Words::of(text);
    if words.are_all(subject::is_greeting) {
        return Message::Greeting;
    }
    if words.are_all(subject::is_thanks) {
        return Message::Thanks;
    }
    let options = Options::take_from(&mut words);
    match subject::find(&words) {
        Subject::NoFilm => Message::Other,
        Subject::Unsaid => Message::FilmOfWhat,
        Subject::Said(prompt) => match options.unknown_destination {
            Some(place) => Message::UnknownDestination(place),
            None => Message::Film(FilmRequest {
                prompt,
                seconds: options.seconds,
                width: options.size.map(|(width, _)| width),
                height: options.size.map(|(_, height)| height),
                fps: options.fps,
                also_to: options.destinations,
            }),
        },
    }
}
