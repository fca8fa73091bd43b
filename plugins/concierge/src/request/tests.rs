//! Phrasings, and what they mean.

use super::*;

fn film(prompt: &str) -> FilmRequest {
    FilmRequest { prompt: prompt.to_owned(), ..FilmRequest::default() }
}

#[track_caller]
fn check(text: &str, expected: Message) {
    assert_eq!(read(text), expected, "{text}");
}

#[track_caller]
fn check_prompt(text: &str, prompt: &str) {
    check(text, Message::Film(film(prompt)));
}

#[test]
fn plain_requests() {
    for text in [
        "Make a film of a lighthouse in a storm",
        "make me a film about a lighthouse in a storm.",
        "Please create a short video showing a lighthouse in a storm!",
        "Could you render an animation of a lighthouse in a storm, please?",
        "I'd like a movie of a lighthouse in a storm",
        "I would like to have a nice little clip of a lighthouse in a storm, thanks!",
        "Hi! Can you make a video of a lighthouse in a storm for me?",
        "film of a lighthouse in a storm",
        "A film of a lighthouse in a storm",
        "video: a lighthouse in a storm",
        "Animate a lighthouse in a storm",
        "film a lighthouse in a storm",
        "Give me a video clip that shows a lighthouse in a storm",
        "make a film where a lighthouse in a storm",
        "hello, please make a film of a lighthouse in a storm now",
        "make a film called \"a lighthouse in a storm\"",
        "Make “a lighthouse in a storm” into a film",
        "GENERATE A FILM OF a lighthouse in a storm",
        "  make   a film\nof a lighthouse   in a storm ",
    ] {
        check_prompt(text, "a lighthouse in a storm");
    }
}

#[test]
fn what_it_shows_may_stand_first() {
    check_prompt("make me a lighthouse film", "lighthouse");
    check_prompt("I want a funny cat video please", "funny cat");
    check_prompt("a cat video", "cat");
}

#[test]
fn what_it_shows_is_kept_as_written() {
    check_prompt("make a film of Ada's café (at night)", "Ada's café (at night)");
    check_prompt("make a film of rain, thunder and a dog", "rain, thunder and a dog");
    check_prompt("a film of a big boat in a small harbour", "a big boat in a small harbour");
    check_prompt("a film about the last 5 seconds of a match", "the last 5 seconds of a match");
    check_prompt("a film of a street in the 1980s", "a street in the 1980s");
    check_prompt("a film about a letter sent to Bob", "a letter sent to Bob");
    check_prompt("make a film of two cats and three dogs", "two cats and three dogs");
    check_prompt("make a film of \"5 seconds to midnight, small\"", "5 seconds to midnight, small");
}

#[test]
fn lengths() {
    for (text, seconds) in [
        ("make a 6 second film of a cat", 6),
        ("make a 6-second film of a cat", 6),
        ("make a six-second film of a cat", 6),
        ("make a film of a cat for 5s", 5),
        ("make a film of a cat for 5 seconds, please", 5),
        ("make a film of a cat, ten seconds long", 10),
        ("make a film of a cat lasting about 8 sec", 8),
        ("make a film of a cat, 2.5 seconds", 3),
        ("give me 10 seconds of a cat", 10),
        ("make a film of a cat, half a minute", 30),
        ("make a 2 minute film of a cat", 120),
        ("a 4s video of a cat", 4),
        ("a film, 7 seconds long, of a cat", 7),
    ] {
        check(text, Message::Film(FilmRequest { seconds: Some(seconds), ..film("a cat") }));
    }
}

#[test]
fn sizes() {
    for (text, (width, height)) in [
        ("make a film of a cat at 640x360", (640, 360)),
        ("make a 480x270 film of a cat", (480, 270)),
        ("make a film of a cat, 480×270 pixels", (480, 270)),
        ("make a film of a cat in 640 by 480", (640, 480)),
        ("make a film of a cat, 640 x 480.", (640, 480)),
        ("make a small film of a cat", (320, 180)),
        ("make a large video of a cat", (960, 540)),
        ("make a film of a cat, small", (320, 180)),
        ("make a film of a cat, size large", (960, 540)),
        ("make a film of a cat in 720p", (1280, 720)),
        ("make a film of a cat in HD", (1280, 720)),
    ] {
        let expected = FilmRequest { width: Some(width), height: Some(height), ..film("a cat") };
        check(text, Message::Film(expected));
    }
}

#[test]
fn frame_rates() {
    for text in [
        "make a film of a cat at 30 fps",
        "make a film of a cat, 30fps",
        "make a 30 fps film of a cat",
        "make a film of a cat with 30 frames per second",
    ] {
        check(text, Message::Film(FilmRequest { fps: Some(30), ..film("a cat") }));
    }
}

#[test]
fn destinations() {
    for (text, also_to) in [
        ("make a film of a cat and send it to webhook:films", vec!["webhook:films"]),
        ("make a film of a cat, then send it also to webhook:films.", vec!["webhook:films"]),
        ("make a film of a cat and deliver the film to webhook:films, please", vec!["webhook:films"]),
        ("make a film of a cat and send to webhook:films", vec!["webhook:films"]),
        ("make a film of a cat; post a copy to webhook:films", vec!["webhook:films"]),
        ("make a film of a cat to webhook:films", vec!["webhook:films"]),
        (
            "make a film of a cat and send it to webhook:films and slack:#General",
            vec!["webhook:films", "slack:#General"],
        ),
        (
            "make a film of a cat, send it to webhook:a, webhook:b and webhook:a",
            vec!["webhook:a", "webhook:b"],
        ),
        ("send it to webhook:films: make a film of a cat", vec!["webhook:films"]),
    ] {
        let also_to = also_to.into_iter().map(str::to_owned).collect();
        check(text, Message::Film(FilmRequest { also_to, ..film("a cat") }));
    }
    check_prompt("make a film of a cat and send it to me", "a cat");
    check_prompt("make a film of a cat and send it here", "a cat and send it here");
}

#[test]
fn an_unknown_place_is_told() {
    check("make a film of a cat and send it to Bob", Message::UnknownDestination("Bob".to_owned()));
}

#[test]
fn all_at_once() {
    let expected = FilmRequest {
        prompt: "a lighthouse in a storm".to_owned(),
        seconds: Some(4),
        width: Some(480),
        height: Some(270),
        fps: Some(24),
        also_to: vec!["webhook:films".to_owned()],
    };
    for text in [
        "Make a 4 second film of a lighthouse in a storm, 480x270, at 24 fps, and send it to webhook:films.",
        "Please make a film of a lighthouse in a storm for 4s at 480x270 with 24 fps and also send it to webhook:films",
        "480x270, 24fps, 4 seconds: a film of a lighthouse in a storm; send it to webhook:films",
    ] {
        check(text, Message::Film(expected.clone()));
    }
}

#[test]
fn sentences_of_their_own() {
    let expected = FilmRequest {
        seconds: Some(6),
        width: Some(640),
        height: Some(360),
        also_to: vec!["webhook:films".to_owned()],
        ..film("the sea at night")
    };
    for text in [
        "Make a film about the sea at night. Make it 6 seconds long and 640x360. Send it to webhook:films.",
        "I need a video of the sea at night; it should be 6 seconds, in 640x360. Please send it to webhook:films",
        "Send a 6s video of the sea at night to webhook:films, at 640x360",
    ] {
        check(text, Message::Film(expected.clone()));
    }
}

#[test]
fn a_film_of_nothing_is_asked_about() {
    for text in ["make a film", "Make me a short video, please!", "I want a 5 second movie", "a small film"] {
        check(text, Message::FilmOfWhat);
    }
}

#[test]
fn greetings_and_thanks() {
    for text in ["hi", "Hello!", "hey there", "Good morning, concierge"] {
        check(text, Message::Greeting);
    }
    for text in ["thanks", "Thank you very much!", "thx"] {
        check(text, Message::Thanks);
    }
}

#[test]
fn other_things() {
    for text in [
        "",
        "   ",
        "?!",
        "asdf qwer",
        "What is the weather like?",
        "where is my film?",
        "What films can you make?",
        "how do I make a film?",
        "I watched a movie yesterday",
        "I want to watch a movie",
        "cancel my film of the cat",
        "please don't make a film of me",
        "make a video call to Bob",
        "Did you like the movie about the cat?",
        "make me a sandwich",
        "book a table for two at 8",
        "wait 5 seconds",
        "the film was great, with a cat",
        "🎬",
    ] {
        check(text, Message::Other);
    }
}

#[test]
fn hostile_text_is_read_to_its_end() {
    for text in [
        "make a film of 99999999999999999999999999 seconds".to_owned(),
        "make a film of a cat 1.2.3.4 seconds".to_owned(),
        "make a 99999999999x99999999999 film of \"".to_owned(),
        format!("make a film of {}", "cat ".repeat(10_000)),
        "send it to".to_owned(),
        "film".to_owned(),
        "make a film of ﬁ İ ß ’ “".to_owned(),
    ] {
        read(&text);
    }
}
