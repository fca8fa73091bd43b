//! Whether a film is wanted, and what it shows.
//!
//! Owns the words that people ask for films with. Reads what is left of a
//! message when its options were taken out.

use super::words::{Words, is_mark};

/// What a message says about what a film shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// No film is wanted.
    NoFilm,
    /// A film is wanted, but not said of what.
    Unsaid,
    /// This.
    Said(String),
}

const FILMS: &[&str] = &[
    "film",
    "movie",
    "video",
    "clip",
    "animation",
    "films",
    "movies",
    "videos",
    "clips",
    "animations",
    "vid",
];
/// Words that say that a film should be made.
const MAKE: &[&str] = &[
    "make", "create", "render", "generate", "produce", "shoot", "draw", "do", "prepare", "compose", "want",
    "need", "like", "love", "give", "get", "have", "show", "animate", "craft", "bring", "send",
];
/// Verbs that are a request for a film by themselves.
const FILM_VERBS: &[&str] = &["animate", "film", "visualize", "visualise"];
/// Words that ask or tell about films instead of asking for one.
const QUESTIONS: &[&str] = &[
    "what", "what's", "who", "when", "where", "where's", "why", "how", "which", "did", "does", "do", "is",
    "are", "was", "were", "have", "has", "am",
];
/// Words that say that a film should not be made, or that another thing should
/// be done with one.
const OTHERWISE: &[&str] = &[
    "not",
    "don't",
    "dont",
    "never",
    "cancel",
    "delete",
    "remove",
    "abort",
    "stop",
    "watch",
    "watched",
    "see",
    "seen",
    "buy",
    "download",
    "upload",
    "edit",
    "find",
    "recommend",
];
/// What makes a word for a film part of another thing.
const COMPOUNDS: &[&str] = &[
    "call",
    "game",
    "games",
    "editor",
    "card",
    "camera",
    "player",
    "star",
    "stars",
    "theater",
    "theatre",
    "ticket",
    "tickets",
    "director",
    "maker",
    "conference",
    "festival",
    "review",
    "industry",
    "club",
];
/// Words between a film and what it shows.
const MARKERS: &[&str] = &[
    "of",
    "about",
    "showing",
    "shows",
    "with",
    "where",
    "depicting",
    "featuring",
    "on",
    "titled",
    "called",
    "named",
    "that",
    "which",
    "in",
    ":",
    "-",
    "–",
    "—",
    "=",
];
/// Words that say nothing of what a film shows.
const FILLERS: &[&str] = &[
    "a", "an", "the", "some", "one", "another", "me", "us", "you", "for", "short", "nice", "little", "quick",
    "new", "cool", "great", "please", "pls", "just", "now", "quickly", "kindly", "my", "your", "own", "i'd",
    "i", "would", "to", "that", "and", "be",
];
const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "hiya",
    "howdy",
    "moin",
    "greetings",
    "good",
    "morning",
    "evening",
    "afternoon",
    "day",
    "there",
    "dear",
    "concierge",
];
const THANKS: &[&str] = &[
    "thanks", "thank", "you", "thx", "ty", "cheers", "great", "nice", "many", "so", "much", "very", "a",
    "lot",
];
/// Words at the end of a message that say nothing of what a film shows.
const FAREWELLS: &[&str] = &[
    "please", "pls", "thanks", "thank", "you", "thx", "now", "asap", "and", "then", "also", "me", "for",
    "today", "quickly", "with", "at", "in",
];

pub(super) fn is_greeting(word: &str) -> bool {
    GREETINGS.contains(&word)
}

pub(super) fn is_thanks(word: &str) -> bool {
    THANKS.contains(&word)
}

/// The first word for a film.
pub(super) fn find_film(words: &Words) -> Option<usize> {
    (0..words.len()).find(|i| FILMS.contains(&words.at(*i)))
}

/// Whether what a film shows begins after this word.
pub(super) fn opens_subject(words: &Words, i: usize) -> bool {
    i > 0 && MARKERS.contains(&words.at(i)) && FILMS.contains(&words.at(i - 1))
}

/// What is wanted.
pub(super) fn find(words: &Words) -> Subject {
    let start = (0..words.len()).find(|i| !is_preamble(words, *i)).unwrap_or(words.len());
    let opening = words.at(start);
    if FILM_VERBS.contains(&opening) && follows_directly(words, start + 1) {
        return said(words, start + 1);
    }
    let Some(film) = find_film(words) else { return seconds_of(words, start) };
    if !is_request(words, start, film) {
        return Subject::NoFilm;
    }
    if let Some(quotation) = words.quotation() {
        return Subject::Said(quotation);
    }
    match said(words, after_film(words, film)) {
        Subject::Unsaid => before_film(words, start, film),
        said => said,
    }
}

/// Greetings and marks before the message proper.
fn is_preamble(words: &Words, i: usize) -> bool {
    let word = words.at(i);
    words.is_gone(i)
        || is_greeting(word)
        || matches!(word, "please" | "ok" | "okay" | "so" | "and" | "now")
        || (!word.is_empty() && is_mark(word))
}

/// Whether the word for a film stands in a request for one.
fn is_request(words: &Words, start: usize, film: usize) -> bool {
    let before = start.min(film)..film;
    let has = |these: &[&str]| before.clone().any(|i| these.contains(&words.at(i)));
    if COMPOUNDS.contains(&words.at(film + 1)) || has(OTHERWISE) {
        return false;
    }
    // Only a polite question is a request: “can you make”, “could I have”.
    if QUESTIONS.contains(&words.at(start)) {
        return false;
    }
    has(MAKE) || is_elliptical(words, start, film)
}

/// Whether the message is but a film and what it shows: “a cat film”, “film of
/// a cat”. “The film was great” is not.
fn is_elliptical(words: &Words, start: usize, film: usize) -> bool {
    const ARTICLES: &[&str] = &["a", "an", "another", "one"];
    let leads = |i: usize| words.is_gone(i) || ARTICLES.contains(&words.at(i)) || is_filler(words, i);
    let opened = ARTICLES.contains(&words.at(start)) && film <= start + 5
        || (start.min(film)..film).all(leads) && !matches!(words.at(start), "the" | "my" | "your");
    let next = (film + 1..words.len()).find(|i| !words.is_gone(*i));
    opened
        && next.is_none_or(|i| {
            let word = words.at(i);
            word.is_empty()
                || is_mark(word)
                || [MARKERS, FILMS, FAREWELLS].iter().any(|list| list.contains(&word))
        })
}

fn is_filler(words: &Words, i: usize) -> bool {
    FILLERS.contains(&words.at(i)) || is_mark(words.at(i))
}

/// “10 seconds of rain”: a film by its length alone.
fn seconds_of(words: &Words, start: usize) -> Subject {
    let led = |of: usize| {
        (start.min(of)..of)
            .all(|i| words.is_gone(i) || FILLERS.contains(&words.at(i)) || MAKE.contains(&words.at(i)))
    };
    if let Some(of) = (1..words.len()).find(|of| words.at(*of) == "of" && words.is_gone(of - 1))
        && led(of)
    {
        return said(words, of + 1);
    }
    Subject::NoFilm
}

/// Whether the word here is what a verb is about: “animate a cat”, “film the sea”.
fn follows_directly(words: &Words, i: usize) -> bool {
    matches!(words.at(i), "a" | "an" | "the" | "some" | "how" | "two" | "three" | "my")
        || words.at(i).is_empty() && words.quotation().is_some()
}

/// Where what a film shows begins, after the film and what leads over.
fn after_film(words: &Words, film: usize) -> usize {
    let mut i = film + 1;
    let mut marked = false;
    while i < words.len() {
        let word = words.at(i);
        let leads = words.is_gone(i)
            || MARKERS.contains(&word)
            || !marked && (FILMS.contains(&word) || matches!(word, "please" | "," | "for" | "me" | "us"))
            || marked && matches!(word, "shows" | "showing" | "which");
        if !leads {
            break;
        }
        marked |= MARKERS.contains(&word);
        i += 1;
    }
    i
}

/// “a lighthouse film”: what stands between the request and the film.
fn before_film(words: &Words, start: usize, film: usize) -> Subject {
    let verb = (start.min(film)..film).rev().find(|i| MAKE.contains(&words.at(*i)));
    let mut from = verb.map_or(start.min(film), |verb| verb + 1);
    while from < film && (words.is_gone(from) || FILLERS.contains(&words.at(from)) || is_mark(words.at(from)))
    {
        from += 1;
    }
    let text = words.text_of(from, film);
    if text.is_empty() { Subject::Unsaid } else { Subject::Said(text) }
}

/// What is said from here to the end, without what people end with.
fn said(words: &Words, from: usize) -> Subject {
    if let Some(quotation) = words.quotation() {
        return Subject::Said(quotation);
    }
    let ends_with_nothing = |i: usize| {
        words.is_gone(i)
            || FAREWELLS.contains(&words.at(i))
            || (is_mark(words.at(i)) && !is_closing(words.at(i)))
    };
    let mut to = words.len();
    while to > from && ends_with_nothing(to - 1) {
        to -= 1;
    }
    let text = words.text_of(from, to);
    if text.is_empty() { Subject::Unsaid } else { Subject::Said(text) }
}

fn is_closing(mark: &str) -> bool {
    matches!(mark, ")" | "]" | "%" | "'" | "’")
}
