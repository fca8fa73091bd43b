//! Where things stand: the horizon, the sun, the ground, the subjects.
//!
//! Owns the composition of a scene at one size. Never draws.

use super::canvas::Point;
use super::math::{Rng, bell, fractal};
use super::palette::Palette;
use super::strip::Slide;
use crate::words::{Extra, Hour, Place, Scene, Subject, Weather};

/// A scene laid out for one size.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    pub(crate) palette: Palette,
    pub(crate) width: f32,
    pub(crate) height: f32,
    /// The measure of all things, in pixels: the height of a picture that is
    /// not too narrow.
    pub(crate) unit: f32,
    /// The film's length in the scene's own time.
    pub(crate) seconds: f32,
    /// The row where sky and ground meet far away.
    pub(crate) horizon: f32,
    /// The first row of the caption.
    pub(crate) caption_top: f32,
    /// The middle of sun or moon.
    pub(crate) sun: Point,
    /// The columns where the first and the second subject are.
    pub(crate) spots: [f32; 2],
    /// 1 when the view wanders to the right, -1 to the left.
    pub(crate) pan: f32,
}

impl Stage {
    pub(crate) fn new(scene: &Scene, width: usize, height: usize, seconds: u32, caption_top: f32) -> Self {
        let (width, height) = (width as f32, height as f32);
        let unit = height.min(width * 0.8);
        let mut rng = Rng::new(scene.seed ^ 0x57a6e);
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let first = 0.5 + side * rng.range(0.13, 0.2);
        let second = 0.5 - side * rng.range(0.2, 0.28);
        let horizon = height
            * match scene.place {
                Place::Sea => rng.range(0.52, 0.58),
                Place::Desert => rng.range(0.52, 0.6),
                _ => rng.range(0.56, 0.64),
            };
        let sun_side = 0.5 - side * rng.range(0.1, 0.3);
        let sun_height = match scene.hour {
            Hour::Dawn | Hour::Dusk => horizon - unit * rng.range(0.06, 0.16),
            Hour::Day => height * rng.range(0.16, 0.26),
            Hour::Night => height * rng.range(0.18, 0.28),
        };
        Self {
            scene: scene.clone(),
            palette: Palette::of(scene),
            width,
            height,
            unit,
            seconds: seconds as f32 * scene.tempo,
            horizon,
            caption_top,
            sun: (width * sun_side, sun_height),
            spots: [width * first, width * second],
            pan: if rng.chance(0.5) { 1.0 } else { -1.0 },
        }
    }

    /// Choices of its own for each `part` of the picture.
    pub(crate) fn rng(&self, part: u64) -> Rng {
        Rng::new(self.scene.seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A seed for the noise of `part`.
    pub(crate) fn noise_seed(&self, part: u64) -> u32 {
        self.rng(part).next() as u32
    }

    /// How a layer slides whose nearness is from 0 (the horizon) to 1.
    pub(crate) fn slide(&self, nearness: f32) -> Slide {
        Slide { speed: self.pan * self.unit * 0.075 * nearness, seconds: self.seconds }
    }

    /// Whether the sun, the moon or the stars come through.
    pub(crate) fn has_open_sky(&self) -> bool {
        use Extra::{Aurora, Fireworks, Lanterns, Meteors};
        let shows = [Aurora, Fireworks, Lanterns, Meteors].iter().any(|e| self.scene.has(*e));
        shows || matches!(self.scene.weather, Weather::Clear | Weather::Cloudy)
    }

    /// Whether the subjects stand on the ground of this place.
    pub(crate) fn stands(&self, slot: usize) -> bool {
        use Subject::{Balloon, Birds, Fish, Rocket, Ship, Train, Whale};
        match self.scene.subjects.get(slot) {
            None | Some(Balloon | Birds | Fish | Rocket | Ship | Train | Whale) => false,
            Some(_) => true,
        }
    }

    /// The row of the near ground's surface in column `x`.
    pub(crate) fn ground(&self, x: f32) -> f32 {
        let u = self.unit;
        let seed = self.noise_seed(6);
        let rough = fractal(x / (u * 0.4), 0.5, 3, seed) - 0.5;
        let hump = |reach: f32| {
            let of = |slot: usize| {
                let near = bell((x - self.spots[slot]) / (u * reach));
                if self.stands(slot) { near } else { 0.0 }
            };
            of(0).max(of(1))
        };
        let base = self.caption_top - u * 0.06;
        match self.scene.place {
            // Only a rock below each subject that stands.
            Place::Sea => {
                let rise = hump(0.62);
                let crag = fractal(x / (u * 0.09), 2.5, 3, seed) - 0.5;
                self.height + u * 0.1
                    - rise.sqrt() * (self.height + u * 0.1 - base + u * 0.04)
                    - crag * u * 0.07 * (1.0 - bell((rise - 1.0) * 1.6))
            }
            Place::City => base + u * 0.02,
            _ => base + rough * u * 0.09 - hump(0.8) * u * 0.05,
        }
    }

    /// Where the subject of `slot` touches the ground.
    pub(crate) fn foot(&self, slot: usize) -> Point {
        let x = self.spots[slot];
        (x, self.ground(x) + self.unit * 0.008)
    }
}
