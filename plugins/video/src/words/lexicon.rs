//! Which English word asks for what.
//!
//! Owns the list and the endings that it ignores. Never weighs one word
//! against another.

use super::{Extra, Hour, Place, Rgb, Subject, Weather};

pub(super) const RED: Rgb = [206.0, 52.0, 46.0];
pub(super) const GREEN: Rgb = [70.0, 158.0, 84.0];
const ORANGE: Rgb = [236.0, 132.0, 44.0];
const GOLD: Rgb = [244.0, 190.0, 74.0];
const BLUE: Rgb = [58.0, 110.0, 206.0];
const TEAL: Rgb = [36.0, 166.0, 166.0];
const VIOLET: Rgb = [136.0, 84.0, 196.0];
const PINK: Rgb = [238.0, 128.0, 172.0];
const WHITE: Rgb = [238.0, 236.0, 228.0];
const BLACK: Rgb = [34.0, 34.0, 42.0];
const GREY: Rgb = [138.0, 142.0, 150.0];
const BROWN: Rgb = [132.0, 88.0, 56.0];
const SILVER: Rgb = [190.0, 200.0, 212.0];
const NEON: Rgb = [214.0, 60.0, 232.0];

/// The colours of subjects for which the words name none.
pub(super) const ACCENTS: [Rgb; 7] = [RED, ORANGE, GOLD, BLUE, TEAL, VIOLET, PINK];

/// The colours of animals for which the words name none.
pub(super) const FURS: [Rgb; 5] =
    [[226.0, 142.0, 72.0], [150.0, 108.0, 80.0], GREY, [92.0, 88.0, 98.0], [232.0, 214.0, 186.0]];

/// What one word can ask for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meaning {
    At(Hour),
    In(Place),
    Under(Weather),
    Of(Subject),
    With(Extra),
    Coloured(Rgb),
    /// A tint, its strength, and the vividness of the whole picture.
    Mood(Rgb, f32, f32),
    /// A factor on the tempo.
    Moving(f32),
    /// A factor on the wind.
    Blowing(f32),
}

use Meaning::{At, Blowing, Coloured, In, Mood, Moving, Of, Under, With};

/// Words with the same meanings, in one string.
const WORDS: &[(&str, &[Meaning])] = &[
    ("dawn sunrise morning daybreak early awakening", &[At(Hour::Dawn)]),
    ("day noon midday daylight sunny afternoon daytime", &[At(Hour::Day)]),
    ("summer", &[At(Hour::Day), Mood(GOLD, 0.1, 1.1)]),
    ("dusk sunset evening twilight sundown gloaming", &[At(Hour::Dusk)]),
    ("night midnight nocturnal moonlit moonlight moon starry stars nighttime", &[At(Hour::Night)]),
    ("clear cloudless", &[Under(Weather::Clear)]),
    ("cloud cloudy overcast", &[Under(Weather::Cloudy)]),
    ("rain rainy drizzle raining shower downpour wet", &[Under(Weather::Rain)]),
    ("monsoon", &[Under(Weather::Rain), Blowing(1.5)]),
    ("snow snowy snowing snowfall winter frozen ice icy christmas", &[Under(Weather::Snow)]),
    ("blizzard", &[Under(Weather::Snow), Blowing(2.2), Moving(1.3)]),
    ("arctic antarctic polar", &[Under(Weather::Snow), In(Place::Mountains)]),
    ("fog foggy mist misty haze hazy", &[Under(Weather::Fog)]),
    ("storm stormy thunder lightning thunderstorm tempest hurricane", &[Under(Weather::Storm)]),
    ("wind windy breeze breezy gust", &[Blowing(1.6)]),
    ("sea ocean wave coast shore beach harbor harbour bay island lake river water", &[In(Place::Sea)]),
    ("lagoon fjord tide cliff pier surf pacific atlantic", &[In(Place::Sea)]),
    ("mountain alps peak summit himalaya ridge valley hike glacier volcano canyon", &[In(Place::Mountains)]),
    ("city town street skyline skyscraper urban downtown rooftop tokyo london paris", &[In(Place::City)]),
    ("york berlin shanghai metropolis alley building market", &[In(Place::City)]),
    ("cyberpunk", &[In(Place::City), At(Hour::Night), Mood(NEON, 0.28, 1.3)]),
    ("forest wood woods woodland jungle pine grove taiga swamp", &[In(Place::Forest)]),
    ("desert dune sahara sand oasis cactus egypt pyramid", &[In(Place::Desert)]),
    ("mars martian", &[In(Place::Desert), Coloured([196.0, 92.0, 52.0])]),
    ("meadow field hill grass farm countryside prairie garden village spring park", &[In(Place::Meadow)]),
    (
        "space galaxy cosmos cosmic planet orbit nebula universe asteroid interstellar saturn",
        &[In(Place::Space)],
    ),
    ("alien jupiter", &[In(Place::Space)]),
    ("underwater reef coral deep submarine seabed abyss undersea", &[In(Place::Deep)]),
    ("lighthouse beacon", &[Of(Subject::Lighthouse)]),
    ("ship boat sailboat yacht sail sailing vessel schooner pirate galleon", &[Of(Subject::Ship)]),
    ("balloon airship zeppelin", &[Of(Subject::Balloon)]),
    ("cat kitten kitty feline", &[Of(Subject::Cat)]),
    ("tiger lion", &[Coloured(FURS[0]), Of(Subject::Cat)]),
    ("panther", &[Coloured(BLACK), Of(Subject::Cat)]),
    ("dog puppy hound terrier", &[Of(Subject::Dog)]),
    ("fox corgi retriever", &[Coloured(FURS[0]), Of(Subject::Dog)]),
    ("wolf coyote husky", &[Coloured(GREY), Of(Subject::Dog)]),
    ("rocket spaceship spacecraft shuttle starship", &[Of(Subject::Rocket)]),
    ("castle fortress palace kingdom tower knight king queen princess", &[Of(Subject::Castle)]),
    ("windmill mill", &[Of(Subject::Windmill)]),
    ("whale orca dolphin", &[Of(Subject::Whale)]),
    ("bird gull seagull crow raven eagle swallow goose geese crane flock dragon", &[Of(Subject::Birds)]),
    ("fish shoal salmon octopus squid jellyfish shark turtle", &[Of(Subject::Fish), In(Place::Deep)]),
    ("tree oak willow", &[Of(Subject::Tree)]),
    ("cherry blossom sakura petal", &[Of(Subject::Tree), With(Extra::Petals), Mood(PINK, 0.12, 1.05)]),
    ("autumn fall leaf leaves", &[With(Extra::Petals), Mood(ORANGE, 0.16, 1.1)]),
    ("campfire bonfire fire tent camping", &[Of(Subject::Campfire)]),
    ("train locomotive railway steam", &[Of(Subject::Train)]),
    ("robot android automaton mech machine", &[Of(Subject::Robot)]),
    (
        "traveller traveler wanderer walker man woman girl boy person child stranger",
        &[Of(Subject::Traveller)],
    ),
    ("lantern", &[Of(Subject::Traveller), At(Hour::Dusk)]),
    ("umbrella detective wizard witch monk astronaut hiker nomad samurai", &[Of(Subject::Traveller)]),
    ("house cabin cottage hut home barn farmhouse lodge", &[Of(Subject::House)]),
    ("aurora borealis northern", &[With(Extra::Aurora)]),
    ("firefly fireflies fairy magic magical enchanted", &[With(Extra::Fireflies)]),
    ("meteor comet shooting perseid", &[With(Extra::Meteors), At(Hour::Night)]),
    ("firework celebration festival carnival", &[With(Extra::Fireworks), At(Hour::Night)]),
    ("lanterns", &[With(Extra::Lanterns), At(Hour::Night)]),
    ("red crimson scarlet ruby", &[Coloured(RED)]),
    ("orange amber copper", &[Coloured(ORANGE)]),
    ("gold golden yellow", &[Coloured(GOLD)]),
    ("green emerald jade", &[Coloured(GREEN)]),
    ("blue azure sapphire indigo", &[Coloured(BLUE)]),
    ("teal turquoise cyan", &[Coloured(TEAL)]),
    ("purple violet lavender lilac", &[Coloured(VIOLET)]),
    ("pink rose magenta", &[Coloured(PINK)]),
    ("white", &[Coloured(WHITE)]),
    ("black", &[Coloured(BLACK)]),
    ("grey gray", &[Coloured(GREY)]),
    ("brown", &[Coloured(BROWN)]),
    ("silver", &[Coloured(SILVER)]),
    ("neon", &[Mood(NEON, 0.24, 1.3)]),
    ("warm cozy cosy happy joyful", &[Mood(GOLD, 0.16, 1.08)]),
    ("cold lonely sad melancholy blue", &[Mood(BLUE, 0.18, 0.8)]),
    ("dreamy dream pastel gentle romantic", &[Mood(PINK, 0.16, 0.9)]),
    ("dark gloomy spooky haunted", &[Mood(BLACK, 0.22, 0.75), At(Hour::Night)]),
    ("vivid vibrant colorful colourful psychedelic", &[Mood(VIOLET, 0.06, 1.4)]),
    ("vintage old sepia retro nostalgic", &[Mood(BROWN, 0.26, 0.7)]),
    ("noir monochrome", &[Mood(GREY, 0.35, 0.15), At(Hour::Night)]),
    ("slow slowly calm quiet peaceful still serene sleepy sleeping silent", &[Moving(0.65), Blowing(0.7)]),
    ("drift drifting floating gently", &[Moving(0.75)]),
    ("fast quickly racing speeding rushing flying running hurry", &[Moving(1.5)]),
    ("dance dancing spinning playing jumping", &[Moving(1.35), Blowing(1.3)]),
    ("crashing raging wild fierce howling", &[Moving(1.2), Blowing(1.5)]),
];

/// What `word` (lower case) asks for; nothing, for most words.
pub(super) fn meanings(word: &str) -> &'static [Meaning] {
    let of = |word: &str| {
        let entry = WORDS.iter().find(|(words, _)| words.split(' ').any(|w| w == word));
        entry.map(|(_, meanings)| *meanings)
    };
    of(word)
        .or_else(|| of(word.strip_suffix('s')?))
        .or_else(|| of(word.strip_suffix("es")?))
        .or_else(|| of(&format!("{}y", word.strip_suffix("ies")?)))
        .unwrap_or(&[])
}
