//! The tool `generate_video`: checks an order, spawns the agent `render` for
//! it, and answers at once.
//!
//! Owns what a film is allowed to cost. Never draws anything: a tool call is
//! short, and the film is delivered by the host when it is there.

use std::time::Duration;

use sublane_sdk::{Error, Scope, Spawn, data, random, tool};

use crate::agent::Film;
use crate::film::{FPS, FilmSpec, HEIGHT, MAX_PROMPT_BYTES, SECONDS, WIDTH};
use crate::provider::{self, Provider, fal};
use crate::words_for_people::shortened;

/// Destinations of one run's ending, of which the conversation is one.
const MAX_ALSO_TO: usize = 7;

/// A film to make.
#[data]
#[derive(Debug)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What the film shows, in words. Also its caption.
    #[schemars(length(min = 1, max = MAX_PROMPT_BYTES))]
    prompt: String,
    /// Length in seconds.
    #[serde(default = "default_seconds")]
    #[schemars(range(min = *SECONDS.start(), max = *SECONDS.end()))]
    seconds: u32,
    /// Width in pixels, even.
    #[serde(default = "default_width")]
    #[schemars(range(min = *WIDTH.start(), max = *WIDTH.end()), extend("multipleOf" = 2))]
    width: u32,
    /// Height in pixels, even.
    #[serde(default = "default_height")]
    #[schemars(range(min = *HEIGHT.start(), max = *HEIGHT.end()), extend("multipleOf" = 2))]
    height: u32,
    /// Frames a second.
    #[serde(default = "default_fps")]
    #[schemars(range(min = *FPS.start(), max = *FPS.end()))]
    fps: u32,
    /// Destinations besides the conversation, each as `channel:address`.
    #[serde(default)]
    #[schemars(length(max = MAX_ALSO_TO))]
    also_to: Vec<String>,
}

fn default_seconds() -> u32 {
    FilmSpec::new("").seconds
}

fn default_width() -> u32 {
    FilmSpec::new("").width
}

fn default_height() -> u32 {
    FilmSpec::new("").height
}

fn default_fps() -> u32 {
    FilmSpec::new("").fps
}

/// A film that is being made.
#[data]
#[derive(Debug)]
pub struct Rendering {
    /// The id of the run.
    run: String,
    /// The run's name, for people.
    name: String,
    /// The answer for people.
    text: String,
}

/// Makes a short animated film from a description in words. Answers at once
/// with the name of the run; the film itself, an MP4 file, is sent to the
/// conversation when it is done, and to the destinations in `also_to`.
#[tool]
pub fn generate_video(order: Order) -> Result<Rendering, String> {
    let Order { prompt, seconds, width, height, fps, also_to } = order;
    let mut film = Film { prompt, seconds, width, height, fps, provider: Provider::BuiltIn };
    let spec = FilmSpec::from(&film);
    spec.check().map_err(|error| error.to_string())?;
    if also_to.len() > MAX_ALSO_TO {
        return Err(format!("also_to names {} destinations; allowed are {MAX_ALSO_TO}", also_to.len()));
    }
    film.provider = provider::chosen().map_err(|error| error.to_string())?;
    let cost = Cost::of(&spec, &film.provider);
    let child = Spawn::agent("video/render")
        .task(&film)
        .named(name())
        .scope(film.provider.scope(Scope::new().artifacts(cost.bytes).cpu(cost.cpu)))
        .deliver_to(destinations(&also_to))
        .detached()
        .start()
        .map_err(|error| refusal(error, &cost))?;
    let text = answer(&spec, &child.name, &also_to);
    Ok(Rendering { run: child.run, name: child.name, text })
}

/// The conversation first, then the others, each once.
fn destinations(also_to: &[String]) -> Vec<&str> {
    let mut all = vec!["origin"];
    for destination in also_to {
        if !all.contains(&destination.as_str()) {
            all.push(destination);
        }
    }
    all
}

/// `film-` and six letters or digits.
fn name() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = random::number();
    let mut name = "film-".to_owned();
    for _ in 0..6 {
        name.push(char::from(LETTERS[(number % 62) as usize]));
        number /= 62;
    }
    name
}

/// What a film may cost at the most; what it does not need comes back.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    /// Guest CPU.
    cpu: Duration,
    /// Size of the file.
    bytes: u64,
}

impl Cost {
    fn of(spec: &FilmSpec, provider: &Provider) -> Self {
        if let Provider::Fal(_) = provider {
            return Self { cpu: Duration::from_secs(10), bytes: fal::MAX_BYTES };
        }
        let pixels = u64::from(spec.width) * u64::from(spec.height) * u64::from(spec.frames());
        Self {
            // Films take 0.6 µs for each pixel on one of two busy cores; five times that.
            cpu: Duration::from_secs(20) + Duration::from_micros(pixels * 3),
            // Films have a fiftieth of a byte for each pixel; more than twice that.
            bytes: (1 << 20) + pixels / 20,
        }
    }
}

/// Why there will be no film, for people.
fn refusal(error: Error, cost: &Cost) -> String {
    match error {
        Error::Denied(what) => {
            format!("that is not allowed here ({what}); the operator of this host can allow it")
        }
        Error::Limit { which, .. } if which.starts_with("purse.cpu") => {
            let seconds = cost.cpu.as_secs();
            format!(
                "such a film may take up to {seconds} s of computing, which is more than is left here; \
                 make it shorter or smaller"
            )
        }
        Error::Limit { which, .. } if which.starts_with("purse.artifact") => {
            let mib = cost.bytes.div_ceil(1 << 20);
            format!(
                "such a film may have up to {mib} MiB, which is more than is left here; make it shorter or smaller"
            )
        }
        Error::Limit { which, value } => {
            format!(
                "there is too much to do ({which} is at its limit of {value}); try again when a film is done"
            )
        }
        error => error.to_string(),
    }
}

/// The immediate answer.
fn answer(spec: &FilmSpec, name: &str, also_to: &[String]) -> String {
    let FilmSpec { seconds, width, height, .. } = spec;
    let also = match &destinations(also_to)[1..] {
        [] => String::new(),
        [one] => format!(" and to {one}"),
        [some @ .., last] => format!(", to {} and to {last}", some.join(", to ")),
    };
    format!(
        "Rendering “{}” ({seconds} s, {width}×{height}) as {name}. I will send it here{also} when it is done.",
        shortened(&spec.prompt)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use sublane_sdk::{Tool, serde_json};

    fn order(json: &str) -> Result<Rendering, String> {
        generate_video(serde_json::from_str(json).expect("an order"))
    }

    #[test]
    fn orders_that_cannot_be_met_say_why() {
        for (json, why) in [
            (r#"{"prompt":"a cat","seconds":40}"#, "seconds is 40; allowed are 1 to 20"),
            (r#"{"prompt":"a cat","width":63}"#, "width is 63; allowed are 64 to 1280"),
            (r#"{"prompt":"a cat","height":271}"#, "height is 271; it must be even"),
            (r#"{"prompt":" "}"#, "prompt is blank; say in words what the film shows"),
            (
                r#"{"prompt":"a cat","also_to":["a:b","a:b","a:b","a:b","a:b","a:b","a:b","a:b"]}"#,
                "also_to names 8 destinations; allowed are 7",
            ),
        ] {
            assert_eq!(order(json).expect_err(json), why);
        }
    }

    #[test]
    fn an_unknown_word_in_an_order_is_refused() {
        let error = serde_json::from_str::<Order>(r#"{"prompt":"a cat","second":4}"#).expect_err("unknown");
        assert!(error.to_string().starts_with("unknown field `second`"), "{error}");
    }

    #[test]
    fn the_schema_says_what_is_allowed() {
        let schema: serde_json::Value =
            serde_json::from_str(&<generate_video as Tool>::input_schema()).expect("JSON");
        let width = &schema["properties"]["width"];
        assert_eq!((&width["minimum"], &width["maximum"]), (&64.into(), &1280.into()));
        assert_eq!((&width["default"], &width["multipleOf"]), (&480.into(), &2.into()));
        assert_eq!(schema["required"], serde_json::json!(["prompt"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["prompt"]["maxLength"], 4096);
    }

    #[test]
    fn the_answer_names_run_and_destinations() {
        let spec = FilmSpec::new("a lighthouse in a storm");
        let check = |also_to: &[&str], expected: &str| {
            let also_to: Vec<String> = also_to.iter().map(|to| (*to).to_owned()).collect();
            let start = "Rendering “a lighthouse in a storm” (4 s, 480×270) as film-Ab12cd. ";
            assert_eq!(answer(&spec, "film-Ab12cd", &also_to), format!("{start}{expected}"));
        };
        check(&[], "I will send it here when it is done.");
        check(&["origin"], "I will send it here when it is done.");
        check(&["webhook:films"], "I will send it here and to webhook:films when it is done.");
        check(&["a:b", "c:d", "a:b"], "I will send it here, to a:b and to c:d when it is done.");
    }

    #[test]
    fn the_largest_film_is_within_what_the_manifest_asks_for() {
        let largest = FilmSpec {
            prompt: "a cat".to_owned(),
            seconds: *SECONDS.end(),
            width: *WIDTH.end(),
            height: *HEIGHT.end(),
            fps: *FPS.end(),
        };
        let Cost { cpu, bytes } = Cost::of(&largest, &Provider::BuiltIn);
        let manifest = include_str!("../plugin.toml");
        assert!(manifest.contains("cpu = \"1h\"") && cpu <= Duration::from_secs(3600), "{cpu:?}");
        assert!(manifest.contains("bytes = \"64MiB\"") && bytes <= 64 << 20, "{bytes}");
    }

    #[test]
    fn the_purse_is_spoken_of_in_words() {
        let cost = Cost::of(&FilmSpec::new("a cat"), &Provider::BuiltIn);
        let limit = |which: &str| Error::Limit { which: which.to_owned(), value: 3 };
        assert_eq!(
            refusal(limit("purse.cpu-us"), &cost),
            "such a film may take up to 57 s of computing, which is more than is left here; \
             make it shorter or smaller"
        );
        assert_eq!(
            refusal(limit("purse.artifact-bytes"), &cost),
            "such a film may have up to 2 MiB, which is more than is left here; make it shorter or smaller"
        );
        assert_eq!(
            refusal(limit("spawn.active-children"), &cost),
            "there is too much to do (spawn.active-children is at its limit of 3); try again when a film is done"
        );
    }
}
