//! What a message says about a film besides what it shows: length, size,
//! speed, destinations.
//!
//! Owns the words for these. Never takes a word out of a quotation.

use super::subject::{find_film, opens_subject};
use super::words::Words;

/// The options of a film, as far as they were said.
#[derive(Debug, Default)]
pub(super) struct Options {
    pub(super) seconds: Option<u32>,
    /// Width and height in pixels.
    pub(super) size: Option<(u32, u32)>,
    /// Frames a second.
    pub(super) fps: Option<u32>,
    /// `channel:address`, each once.
    pub(super) destinations: Vec<String>,
    /// A place that is no destination, in the message's words.
    pub(super) unknown_destination: Option<String>,
}

impl Options {
    /// Takes the options out of the words.
    pub(super) fn take_from(words: &mut Words) -> Self {
        let mut options = Self::default();
        options.take_destinations(words);
        let mut i = 0;
        while i < words.len() {
            i = options.take_number_at(words, i).unwrap_or(i + 1);
        }
        options.take_named_size(words);
        options
    }

    /// Frames a second, size or length that begins here: where it ends.
    fn take_number_at(&mut self, words: &mut Words, i: usize) -> Option<usize> {
        if let Some((fps, end)) = fps_at(words, i) {
            self.fps = Some(fps);
            return Some(take_phrase(words, i, end, &["at", "with", "in"]));
        }
        if let Some((size, end)) = size_at(words, i) {
            self.size = Some(size);
            return Some(take_phrase(words, i, end, &["at", "in", "of", "size", "sized", "resolution", "a"]));
        }
        let (seconds, end) = seconds_at(words, i)?;
        if is_of_the_story(words, i, end) {
            return None;
        }
        self.seconds = Some(seconds);
        const LEADS: &[&str] =
            &["for", "lasting", "lasts", "around", "roughly", "approximately", "long", "in", "exactly"];
        let end = if words.at(end) == "long" { end + 1 } else { end };
        if words.before(i) == "about" && i >= 2 && !is_film_before(words, i - 1) {
            words.take(i - 1, i);
            return Some(take_phrase(words, i - 1, end, LEADS));
        }
        Some(take_phrase(words, i, end, LEADS))
    }

    /// Small and large, where they speak of the film and not of what it shows.
    fn take_named_size(&mut self, words: &mut Words) {
        let film = find_film(words);
        for i in 0..words.len() {
            let Some(size) = named_size(words.at(i)) else { continue };
            let of_the_film = film.is_some_and(|film| i < film && only_adjectives(words, i + 1, film));
            let after_size = matches!(words.before(i), "size" | "sized");
            let before_size = matches!(words.at(i + 1), "size" | "sized" | "resolution" | "format");
            let alone = is_edge(words, i + 1) && (ends_phrase(words, i) || words.before(i) == "in");
            if of_the_film || after_size || before_size || alone {
                self.size.get_or_insert(size);
                let end = if before_size { i + 2 } else { i + 1 };
                take_phrase(words, i, end, if of_the_film { &[] } else { &["size", "sized", "in", "a"] });
                return;
            }
        }
    }

    /// “and send it to webhook:films”, and a bare “to webhook:films”.
    fn take_destinations(&mut self, words: &mut Words) {
        let mut i = 0;
        while i < words.len() {
            let (to, sending) = match sending_at(words, i) {
                Some(to) => (to, true),
                None if words.at(i) == "to" && destination(words, i + 1).is_some() => (i, false),
                None => {
                    i += 1;
                    continue;
                }
            };
            let end = self.take_places(words, to + 1, sending);
            take_phrase(words, i, end, &["and", "then", "please", "also", "to", "&", "copy", "me"]);
            i = end.max(i + 1);
        }
    }

    /// The places from here on, with commas and “and” between them: where they end.
    fn take_places(&mut self, words: &Words, from: usize, sending: bool) -> usize {
        let mut end = from;
        loop {
            // A place after “and” or a comma must look like one.
            let listed = end > from;
            let at = if listed { skip(words, end, &[",", "and", "&", "also", "to"]) } else { end };
            if listed && at == end {
                return end;
            }
            if let Some(destination) = destination(words, at) {
                if destination != "origin" && !self.destinations.contains(&destination) {
                    self.destinations.push(destination);
                }
                end = at + 1;
            } else if !listed && sending {
                let word = words.at(at);
                if !matches!(word, "me" | "us" | "here" | "back" | "origin") && !words.is_gone(at) {
                    self.unknown_destination = Some(words.original(at).to_owned());
                }
                return (at + 1).min(words.len());
            } else {
                return end;
            }
        }
    }
}

/// A length inside what the film shows: “the last 5 seconds of a match”.
fn is_of_the_story(words: &Words, i: usize, end: usize) -> bool {
    if matches!(words.before(i), "the" | "last" | "first" | "next" | "final") {
        return true;
    }
    let told_from = matches!(words.at(end), "of" | "ago" | "before" | "after" | "later" | "into");
    told_from && (0..i).any(|at| opens_subject(words, at))
}

/// Takes out a phrase together with the words that lead to it. Gives its end.
fn take_phrase(words: &mut Words, from: usize, to: usize, leads: &[&str]) -> usize {
    let mut from = from;
    while from > 0 && leads.contains(&words.before(from)) {
        from -= 1;
    }
    // “Make it 6 seconds long”, “it should be small”.
    for sentence in
        [&["make", "it"][..], &["it", "should", "be"], &["it", "must", "be"], &["with", "a", "length"]]
    {
        let start = from.saturating_sub(sentence.len());
        if sentence.iter().enumerate().all(|(n, word)| words.at(start + n) == *word) {
            from = start;
        }
    }
    words.take(from, to);
    to
}

fn skip(words: &Words, from: usize, these: &[&str]) -> usize {
    (from..).find(|i| !these.contains(&words.at(*i))).unwrap_or(from)
}

/// “[also] send [it] [also] to”: where the “to” is.
fn sending_at(words: &Words, i: usize) -> Option<usize> {
    const VERBS: &[&str] = &["send", "deliver", "post", "copy", "forward", "push", "sending", "mail"];
    const OBJECTS: &[&str] = &[
        "it", "them", "that", "this", "one", "a", "the", "copy", "film", "movie", "video", "clip", "result",
        "also", "too", "as", "well", "over", "out",
    ];
    if !VERBS.contains(&words.at(i)) {
        return None;
    }
    let to = skip(words, i + 1, OBJECTS);
    let said_what = to > i + 1 || destination(words, to + 1).is_some();
    (words.at(to) == "to" && said_what).then_some(to)
}

/// `channel:address`, or `origin`.
fn destination(words: &Words, i: usize) -> Option<String> {
    let lower = words.at(i);
    if lower == "origin" {
        return Some(lower.to_owned());
    }
    let (channel, address) = words.at(i).split_once(':')?;
    let named = channel.starts_with(|c: char| c.is_ascii_lowercase())
        && channel.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    // The address as it was written: only the channel's name has no upper case.
    let written = words.original(i).split_once(':').map_or(address, |(_, address)| address);
    (named && !address.is_empty()).then(|| format!("{channel}:{written}"))
}

/// “24 fps”, “24fps”, “24 frames per second”.
fn fps_at(words: &Words, i: usize) -> Option<(u32, usize)> {
    let (number, unit) = number(words.at(i))?;
    let per_second = |at: usize| {
        matches!(words.at(at), "per" | "a" | "each" | "every") && words.at(at + 1).starts_with("sec")
    };
    let fps = whole(number)?;
    match unit {
        "fps" => Some((fps, i + 1)),
        "" => match words.at(i + 1) {
            "fps" | "frames/s" | "frames/sec" | "frames/second" => Some((fps, i + 2)),
            "frames" | "pictures" | "images" if per_second(i + 2) => Some((fps, i + 4)),
            _ => None,
        },
        _ => None,
    }
}

/// “480x270”, “480 x 270”, “480 by 270”, “720p”.
fn size_at(words: &Words, i: usize) -> Option<((u32, u32), usize)> {
    let word = words.at(i);
    let (first, rest) = number(word)?;
    let first = whole(first)?;
    let pixels = |end: usize| match words.at(end) {
        "pixels" | "px" | "resolution" | "large" => end + 1,
        _ => end,
    };
    if rest == "p" {
        // Sixteen by nine, and even.
        let width = u32::try_from(u64::from(first) * 16 / 9).ok()?.next_multiple_of(2);
        return (first >= 100).then(|| ((width, first), pixels(i + 1)));
    }
    if let Some(second) = rest.strip_prefix(['x', '×', '*']) {
        let (second, unit) = number(second)?;
        return matches!(unit, "" | "px").then(|| Some(((first, whole(second)?), pixels(i + 1))))?;
    }
    if rest.is_empty() && first >= 16 && matches!(words.at(i + 1), "x" | "×" | "*" | "by") {
        let (second, unit) = number(words.at(i + 2))?;
        return matches!(unit, "" | "px").then(|| Some(((first, whole(second)?), pixels(i + 3))))?;
    }
    None
}

/// Sizes that have a name.
fn named_size(word: &str) -> Option<(u32, u32)> {
    match word {
        "tiny" => Some((160, 90)),
        "small" => Some((320, 180)),
        "medium" | "medium-sized" | "mid-sized" => Some((480, 270)),
        "large" | "big" => Some((960, 540)),
        "huge" | "hd" => Some((1280, 720)),
        _ => None,
    }
}

/// “4 seconds”, “5s”, “a 6-second”, “ten seconds”, “half a minute”, “2 minutes”.
fn seconds_at(words: &Words, i: usize) -> Option<(u32, usize)> {
    if (words.at(i), words.at(i + 1), words.at(i + 2)) == ("half", "a", "minute") {
        return Some((30, i + 3));
    }
    let (number, joined) = number(words.at(i))?;
    let joined = joined.strip_prefix('-').unwrap_or(joined);
    let (unit, end) = if joined.is_empty() { (words.at(i + 1), i + 2) } else { (joined, i + 1) };
    let unit = unit.strip_suffix("-long").unwrap_or(unit);
    let unit = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "min" | "mins" | "minute" | "minutes" => 60.0,
        _ => return None,
    };
    // A decade: “the 1980s”.
    if joined == "s" && number >= 1000.0 {
        return None;
    }
    Some(((number * unit).ceil().min(f64::from(u32::MAX)) as u32, end))
}

/// The number that a word begins with, and the rest of the word.
fn number(word: &str) -> Option<(f64, &str)> {
    const NAMES: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let (name, rest) = word.split_once('-').map_or((word, ""), |(name, _)| (name, &word[name.len()..]));
    if let Some(number) = NAMES.iter().position(|known| *known == name) {
        return Some((number as f64, rest));
    }
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (digits, rest) = word.split_at(end);
    Some((digits.parse().ok()?, rest))
}

fn whole(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}

fn is_film_before(words: &Words, i: usize) -> bool {
    find_film(words).is_some_and(|film| film + 1 == i)
}

/// Whether between these stand only words that do not say what a film shows.
fn only_adjectives(words: &Words, from: usize, to: usize) -> bool {
    (from..to).all(|i| {
        words.is_gone(i) || matches!(words.at(i), "," | "short" | "nice" | "little" | "quick" | "and" | "new")
    })
}

/// Whether nothing that says what the film shows stands here.
fn is_edge(words: &Words, i: usize) -> bool {
    words.is_gone(i) || matches!(words.at(i), "," | "." | ";" | "!" | "?" | "and" | "please")
}

/// Whether a phrase ends right before this word.
fn ends_phrase(words: &Words, i: usize) -> bool {
    i > 0 && (words.is_gone(i - 1) || matches!(words.at(i - 1), "," | "." | ";" | "and"))
}
