//! From a prompt's words to a description of the scene.
//!
//! Owns what a scene is made of and which word asks for which part. What the
//! words leave open is chosen by a hash of the prompt, so every prompt has a
//! picture of its own. Never draws.

mod lexicon;

use crate::scene::math::Rng;
use lexicon::Meaning;

/// A colour: red, green and blue, 0 to 255 each.
pub type Rgb = [f32; 3];

/// The time of day, which decides the light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hour {
    /// Sunrise: rose and gold.
    Dawn,
    /// Full light.
    Day,
    /// Sunset: violet and orange.
    Dusk,
    /// Moon, or stars alone.
    Night,
}

/// What falls from the sky or hides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Few clouds.
    Clear,
    /// Many clouds.
    Cloudy,
    /// Rain on a grey day.
    Rain,
    /// Snow, falling and lying.
    Snow,
    /// Banks of mist.
    Fog,
    /// Hard rain, wind and lightning.
    Storm,
}

/// Where it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Open water to the horizon.
    Sea,
    /// Ridges behind ridges.
    Mountains,
    /// A skyline with lit windows.
    City,
    /// Conifers in depth.
    Forest,
    /// Dunes.
    Desert,
    /// Green hills.
    Meadow,
    /// Stars, a nebula and planets.
    Space,
    /// Below the surface.
    Deep,
}

/// Who or what the picture is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A tower with a turning beam.
    Lighthouse,
    /// A sailing boat.
    Ship,
    /// A hot-air balloon.
    Balloon,
    /// A sitting cat.
    Cat,
    /// A sitting dog, or one of its wild relatives.
    Dog,
    /// A rocket in flight.
    Rocket,
    /// A castle with flags.
    Castle,
    /// A windmill with turning sails.
    Windmill,
    /// A whale, wherever it swims.
    Whale,
    /// A flock of birds.
    Birds,
    /// A shoal of fish.
    Fish,
    /// One great tree.
    Tree,
    /// A fire with a tent.
    Campfire,
    /// A steam train on a viaduct.
    Train,
    /// A robot that waves.
    Robot,
    /// Someone with an umbrella or a lantern.
    Traveller,
    /// A cabin with a smoking chimney.
    House,
}

/// What may come on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// Northern lights.
    Aurora,
    /// Glow-worms over the ground.
    Fireflies,
    /// Shooting stars.
    Meteors,
    /// Petals or leaves in the wind.
    Petals,
    /// Fireworks.
    Fireworks,
    /// Rising sky lanterns.
    Lanterns,
}

/// What a film of a prompt shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Seeds all that the words leave open.
    pub seed: u64,
    /// The time of day.
    pub hour: Hour,
    /// The weather.
    pub weather: Weather,
    /// The place.
    pub place: Place,
    /// One or two subjects, the most important one first; rarely none.
    pub subjects: Vec<Subject>,
    /// What comes on top, without repetition.
    pub extras: Vec<Extra>,
    /// The colour of the subject.
    pub accent: Rgb,
    /// The colour that the whole picture leans to, and how much (0 to 1).
    pub tint: (Rgb, f32),
    /// How saturated the picture is; 1 leaves it as it is.
    pub vividness: f32,
    /// How fast things move; 1 is calm walking.
    pub tempo: f32,
    /// How strongly the wind blows; 1 is a breeze.
    pub wind: f32,
}

/// The words found, before the open questions are decided.
#[derive(Default)]
struct Found {
    hour: Option<Hour>,
    weather: Option<Weather>,
    place: Option<Place>,
    subjects: Vec<Subject>,
    extras: Vec<Extra>,
    colours: Vec<Rgb>,
    accent: Option<Rgb>,
    mood: Option<(Rgb, f32, f32)>,
    tempo: f32,
    wind: f32,
}

impl Scene {
    /// The scene of `prompt`; any text has one.
    pub fn from_prompt(prompt: &str) -> Self {
        let seed = hash(prompt);
        let found = read(prompt);
        let mut rng = Rng::new(seed);
        let place = found.place.unwrap_or_else(|| usual_place(&found, &mut rng));
        let hour = found.hour.unwrap_or_else(|| usual_hour(&found, place, &mut rng));
        let weather = found.weather.unwrap_or_else(|| usual_weather(place, &mut rng));
        let mut subjects = found.subjects;
        if subjects.is_empty() {
            subjects.extend(usual_subject(place, hour, &mut rng));
        }
        let (mood, mood_strength, vividness) = found.mood.unwrap_or(([0.0; 3], 0.0, 1.0));
        let tint = match found.colours.first() {
            Some(colour) => (*colour, 0.22),
            None => (mood, mood_strength),
        };
        let accent = found
            .accent
            .or(found.colours.first().copied())
            .unwrap_or_else(|| *rng.pick(usual_colours(subjects.first())));
        let storm = if weather == Weather::Storm { 1.6 } else { 1.0 };
        let own = rng.range(0.85, 1.15);
        Self {
            seed,
            hour,
            weather,
            place,
            subjects,
            extras: found.extras,
            accent,
            tint,
            vividness,
            tempo: (found.tempo * own).clamp(0.4, 2.2),
            wind: (found.wind * storm * own).clamp(0.3, 2.5),
        }
    }

    /// Whether the words asked for `extra`.
    pub fn has(&self, extra: Extra) -> bool {
        self.extras.contains(&extra)
    }
}

/// What the words say, each kind of meaning by its first word.
fn read(prompt: &str) -> Found {
    let mut found = Found { tempo: 1.0, wind: 1.0, ..Found::default() };
    let mut colour_before = None;
    for word in tokens(prompt) {
        let meanings = lexicon::meanings(&word);
        let mut colour_here = None;
        for meaning in meanings {
            match *meaning {
                Meaning::At(hour) => _ = found.hour.get_or_insert(hour),
                Meaning::In(place) => _ = found.place.get_or_insert(place),
                Meaning::Under(weather) => _ = found.weather.get_or_insert(weather),
                Meaning::Of(subject) => {
                    if found.subjects.len() < 2 && !found.subjects.contains(&subject) {
                        found.subjects.push(subject);
                        let own = colour_before.or(colour_here);
                        found.accent = found.accent.or(own);
                    }
                }
                Meaning::With(extra) => {
                    if !found.extras.contains(&extra) {
                        found.extras.push(extra);
                    }
                }
                Meaning::Coloured(colour) => colour_here = Some(colour),
                Meaning::Mood(tint, strength, vividness) => {
                    found.mood.get_or_insert((tint, strength, vividness));
                }
                Meaning::Moving(tempo) => found.tempo *= tempo,
                Meaning::Blowing(wind) => found.wind *= wind,
            }
        }
        // A colour right before a subject is the subject's; any other colour
        // is the picture's.
        let used = meanings.iter().any(|m| matches!(m, Meaning::Of(_)));
        if let (Some(colour), false) = (colour_before, used) {
            found.colours.push(colour);
        }
        colour_before = if used { None } else { colour_here };
    }
    found.colours.extend(colour_before);
    found
}

/// The prompt's words in lower case.
fn tokens(prompt: &str) -> impl Iterator<Item = String> {
    prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn usual_place(found: &Found, rng: &mut Rng) -> Place {
    use Place::{City, Deep, Desert, Forest, Meadow, Mountains, Sea, Space};
    let usual: &[Place] = match found.subjects.first() {
        Some(Subject::Lighthouse | Subject::Ship) => &[Sea],
        Some(Subject::Whale) => &[Sea, Deep, Deep],
        Some(Subject::Fish) => &[Deep],
        Some(Subject::Rocket) => &[Space, Space, Desert],
        Some(Subject::Robot) => &[City, Desert, Space],
        Some(Subject::Campfire) => &[Forest, Mountains],
        Some(Subject::Train) => &[Mountains, Meadow, Desert],
        Some(Subject::Cat) => &[City, Meadow, Sea],
        Some(Subject::Dog) => &[Meadow, Forest, Mountains],
        Some(Subject::Castle | Subject::House) => &[Mountains, Meadow, Forest],
        Some(Subject::Windmill | Subject::Tree) => &[Meadow],
        Some(Subject::Balloon) => &[Mountains, Meadow, Desert],
        Some(Subject::Traveller) => &[City, Desert, Mountains, Meadow],
        Some(Subject::Birds) => &[Sea, Mountains, Meadow],
        None if found.weather == Some(Weather::Snow) => &[Mountains, Forest],
        None => &[Sea, Mountains, City, Forest, Desert, Meadow, Space, Deep],
    };
    *rng.pick(usual)
}

fn usual_hour(found: &Found, place: Place, rng: &mut Rng) -> Hour {
    use Hour::{Dawn, Day, Dusk, Night};
    let dark = |e: &Extra| !matches!(e, Extra::Petals);
    if found.extras.iter().any(dark) || place == Place::Space {
        return Night;
    }
    let usual: &[Hour] = match found.subjects.first() {
        Some(Subject::Lighthouse) => &[Dusk, Night],
        Some(Subject::Campfire) => &[Night, Dusk],
        Some(Subject::Balloon | Subject::Windmill) => &[Dawn, Day, Dusk],
        _ if place == Place::City => &[Dusk, Night, Dawn],
        _ => &[Dawn, Day, Day, Dusk, Night],
    };
    *rng.pick(usual)
}

fn usual_weather(place: Place, rng: &mut Rng) -> Weather {
    use Weather::{Clear, Cloudy, Fog};
    match place {
        Place::Space | Place::Deep | Place::Desert => Clear,
        Place::Forest => *rng.pick(&[Clear, Fog, Cloudy]),
        _ => *rng.pick(&[Clear, Clear, Cloudy]),
    }
}

/// What stands where the words name nothing that can be drawn.
fn usual_subject(place: Place, hour: Hour, rng: &mut Rng) -> Option<Subject> {
    use Subject::{Balloon, Birds, Campfire, Fish, House, Rocket, Ship, Traveller, Tree};
    let usual: &[Option<Subject>] = match place {
        Place::Sea => &[Some(Ship), Some(Birds)],
        Place::Mountains if hour == Hour::Night => &[Some(Campfire), Some(House)],
        Place::Mountains => &[Some(Birds), Some(Balloon), None],
        Place::City => &[Some(Birds), Some(Traveller), None],
        Place::Forest => &[Some(Traveller), Some(House), Some(Campfire)],
        Place::Desert => &[Some(Traveller), Some(Balloon), Some(Birds)],
        Place::Meadow => &[Some(Tree), Some(House), Some(Balloon)],
        Place::Space => &[None, Some(Rocket)],
        Place::Deep => &[Some(Fish)],
    };
    *rng.pick(usual)
}

/// The colours that a subject may have when the words name none.
fn usual_colours(subject: Option<&Subject>) -> &'static [Rgb] {
    match subject {
        Some(Subject::Cat | Subject::Dog) => &lexicon::FURS,
        _ => &lexicon::ACCENTS,
    }
}

/// FNV-1a over the bytes, then mixed: the same on every machine.
fn hash(text: &str) -> u64 {
    let fold = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
    let h = text.trim().bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    Rng::new(h).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_the_scene() {
        let s = Scene::from_prompt("A lighthouse in a storm at night, waves crashing");
        assert_eq!(s.subjects, [Subject::Lighthouse]);
        assert_eq!((s.hour, s.weather, s.place), (Hour::Night, Weather::Storm, Place::Sea));
        assert!(s.wind > 1.2, "a storm blows: {}", s.wind);
    }

    #[test]
    fn a_colour_before_a_subject_is_the_subjects() {
        let s = Scene::from_prompt("a red balloon over green mountains");
        assert_eq!(s.accent, lexicon::RED);
        assert_eq!(s.tint.0, lexicon::GREEN);
    }

    #[test]
    fn plurals_and_capitals_are_the_same_word() {
        let s = Scene::from_prompt("CATS on rooftops");
        assert_eq!(s.subjects, [Subject::Cat]);
        assert_eq!(s.place, Place::City);
    }

    #[test]
    fn verbs_and_adverbs_change_the_motion() {
        let slow = Scene::from_prompt("a ship drifting slowly").tempo;
        let fast = Scene::from_prompt("a ship racing fast").tempo;
        assert!(slow < 0.85 && fast > 1.2, "{slow} {fast}");
    }

    #[test]
    fn any_text_has_a_scene_and_different_texts_differ() {
        let of = Scene::from_prompt;
        assert_eq!(of("qwxz"), of("qwxz"));
        assert_ne!(of("qwxz").seed, of("qwxy").seed);
        for text in ["", "   ", "日本語の海", "🦑🦑", "\u{0}\u{202e}"] {
            of(text);
        }
    }
}
