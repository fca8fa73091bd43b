//! The colours of a scene: light of the hour, dimmed by weather, leaning to
//! the words' tint.
//!
//! Owns every colour that depends on the hour. Never draws.

use super::math::{Rng, lerp};
use crate::words::{Hour, Place, Rgb, Scene, Weather};

/// The colours that the layers share.
#[derive(Clone, Debug)]
pub(crate) struct Palette {
    /// The sky at the top, in the middle, and at the horizon.
    pub(crate) sky: [Rgb; 3],
    /// The disc of sun or moon.
    pub(crate) sun: Rgb,
    /// The light around it.
    pub(crate) glow: Rgb,
    /// Things far away, that take the colour of the air.
    pub(crate) far: Rgb,
    /// Things near by.
    pub(crate) near: Rgb,
    /// Clouds, lit and in shadow.
    pub(crate) cloud: [Rgb; 2],
    /// Water below the observer.
    pub(crate) water: Rgb,
    /// Light behind windows.
    pub(crate) lamp: Rgb,
    /// The subject's colour under this light.
    pub(crate) accent: Rgb,
    /// How bright sunlit things are, 0 to 1.
    pub(crate) daylight: f32,
}

/// `a` towards `b`.
pub(crate) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| lerp(a[i], b[i], t))
}

/// `colour` brighter (above 1) or darker.
pub(crate) fn shade(colour: Rgb, by: f32) -> Rgb {
    colour.map(|c| (c * by).min(255.0))
}

/// How bright a colour looks (BT.709).
fn luma(c: Rgb) -> f32 {
    0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]
}

impl Palette {
    /// The palette of `scene`.
    pub(crate) fn of(scene: &Scene) -> Self {
        let mut palette = base(scene.hour);
        match scene.place {
            Place::Space => space(&mut palette, scene),
            Place::Deep => deep(&mut palette, scene.hour),
            Place::Desert => palette.far = mix(palette.far, [226.0, 158.0, 98.0], 0.35),
            _ => {}
        }
        palette.weather(scene);
        palette.own(scene);
        palette
    }

    /// `colour` under the light of this hour.
    pub(crate) fn lit(&self, colour: Rgb) -> Rgb {
        let light = mix([60.0, 72.0, 118.0], [255.0; 3], self.daylight);
        let light = mix(light, self.glow, 0.25);
        std::array::from_fn(|i| colour[i] * light[i] / 255.0)
    }

    /// A land colour at a distance from 0 (near) to 1 (at the horizon).
    pub(crate) fn land(&self, colour: Rgb, distance: f32) -> Rgb {
        mix(mix(self.lit(colour), self.near, 0.25), self.far, distance)
    }

    fn weather(&mut self, scene: &Scene) {
        let night = scene.hour == Hour::Night;
        let (grey, strength, dim) = match scene.weather {
            Weather::Clear => return,
            Weather::Cloudy => ([150.0, 158.0, 172.0], 0.18, 0.95),
            Weather::Rain => ([104.0, 116.0, 134.0], 0.5, 0.8),
            Weather::Snow => ([196.0, 206.0, 222.0], 0.42, 0.96),
            Weather::Fog => ([184.0, 190.0, 196.0], 0.42, 0.95),
            Weather::Storm => ([70.0, 82.0, 104.0], 0.55, 0.78),
        };
        if matches!(scene.place, Place::Space | Place::Deep) {
            return;
        }
        let grey = if night { shade(grey, 0.46) } else { grey };
        for colour in self.sky.iter_mut().chain([&mut self.far, &mut self.water]) {
            *colour = shade(mix(*colour, grey, strength), dim);
        }
        for colour in &mut self.cloud {
            *colour = shade(mix(*colour, grey, strength * 0.9), dim);
        }
        self.glow = mix(self.glow, grey, strength * 0.6);
        self.daylight *= lerp(1.0, dim, 0.8);
    }

    /// The words' tint, and a small turn of all hues that is the prompt's own.
    fn own(&mut self, scene: &Scene) {
        let mut rng = Rng::new(scene.seed ^ 0x70a1);
        let turn = rng.range(-0.05, 0.05);
        let (tint, strength) = scene.tint;
        let sky = &mut self.sky;
        let all = sky.iter_mut().chain(&mut self.cloud).chain([
            &mut self.glow,
            &mut self.far,
            &mut self.near,
            &mut self.water,
        ]);
        for colour in all {
            *colour = hue_turned(*colour, turn);
            // The tint keeps the brightness, so that the hour stays readable.
            let level = luma(*colour) / luma(tint).max(24.0);
            let tinted = mix(*colour, shade(tint, level), (strength * 2.2).min(0.75));
            let grey = [luma(tinted); 3];
            *colour = mix(grey, tinted, scene.vividness).map(|c| c.clamp(0.0, 255.0));
        }
        let dimmed = mix([luma(scene.accent); 3], scene.accent, scene.vividness.min(1.2));
        self.accent = self.lit(dimmed.map(|c| c.clamp(0.0, 255.0)));
    }
}

/// Turns a hue by mixing the channels round, keeping the brightness.
fn hue_turned(c: Rgb, turn: f32) -> Rgb {
    let k = turn.abs() * 2.0;
    let other = if turn > 0.0 { [c[2], c[0], c[1]] } else { [c[1], c[2], c[0]] };
    let turned = mix(c, other, k);
    shade(turned, luma(c) / luma(turned).max(1.0))
}

fn base(hour: Hour) -> Palette {
    match hour {
        Hour::Dawn => Palette {
            sky: [[74.0, 98.0, 160.0], [206.0, 150.0, 176.0], [255.0, 214.0, 168.0]],
            sun: [255.0, 240.0, 210.0],
            glow: [255.0, 196.0, 140.0],
            far: [198.0, 164.0, 184.0],
            near: [46.0, 42.0, 66.0],
            cloud: [[255.0, 226.0, 208.0], [164.0, 134.0, 172.0]],
            water: [58.0, 80.0, 124.0],
            lamp: [255.0, 214.0, 140.0],
            accent: [0.0; 3],
            daylight: 0.7,
        },
        Hour::Day => Palette {
            sky: [[40.0, 108.0, 200.0], [104.0, 172.0, 234.0], [212.0, 234.0, 244.0]],
            sun: [255.0, 252.0, 236.0],
            glow: [255.0, 244.0, 208.0],
            far: [158.0, 190.0, 216.0],
            near: [26.0, 48.0, 52.0],
            cloud: [[255.0, 255.0, 255.0], [168.0, 188.0, 214.0]],
            water: [16.0, 78.0, 132.0],
            lamp: [255.0, 230.0, 170.0],
            accent: [0.0; 3],
            daylight: 1.0,
        },
        Hour::Dusk => Palette {
            sky: [[38.0, 32.0, 92.0], [168.0, 72.0, 124.0], [255.0, 158.0, 84.0]],
            sun: [255.0, 216.0, 150.0],
            glow: [255.0, 138.0, 70.0],
            far: [158.0, 84.0, 114.0],
            near: [24.0, 18.0, 42.0],
            cloud: [[255.0, 156.0, 112.0], [104.0, 62.0, 116.0]],
            water: [44.0, 36.0, 86.0],
            lamp: [255.0, 204.0, 120.0],
            accent: [0.0; 3],
            daylight: 0.52,
        },
        Hour::Night => Palette {
            sky: [[7.0, 11.0, 34.0], [18.0, 30.0, 74.0], [48.0, 70.0, 124.0]],
            sun: [244.0, 242.0, 226.0],
            glow: [120.0, 140.0, 190.0],
            far: [36.0, 52.0, 96.0],
            near: [6.0, 9.0, 22.0],
            cloud: [[74.0, 90.0, 136.0], [24.0, 32.0, 66.0]],
            water: [8.0, 18.0, 50.0],
            lamp: [255.0, 200.0, 112.0],
            accent: [0.0; 3],
            daylight: 0.24,
        },
    }
}

fn space(palette: &mut Palette, scene: &Scene) {
    let mut rng = Rng::new(scene.seed ^ 0x5ace);
    palette.sky = [[6.0, 6.0, 18.0], [12.0, 10.0, 34.0], [22.0, 18.0, 52.0]];
    palette.near = [10.0, 10.0, 22.0];
    palette.far = [52.0, 48.0, 88.0];
    palette.glow =
        *rng.pick(&[[170.0, 90.0, 220.0], [70.0, 140.0, 240.0], [230.0, 110.0, 130.0], [60.0, 190.0, 180.0]]);
    palette.daylight = 0.75;
}

fn deep(palette: &mut Palette, hour: Hour) {
    let dim = if hour == Hour::Night { 0.5 } else { 1.0 };
    palette.sky = [[92.0, 206.0, 214.0], [22.0, 116.0, 164.0], [6.0, 40.0, 88.0]].map(|c| shade(c, dim));
    palette.far = shade([16.0, 84.0, 130.0], dim);
    palette.near = shade([4.0, 22.0, 50.0], dim);
    palette.water = palette.sky[1];
    palette.glow = shade([190.0, 250.0, 240.0], dim);
    palette.daylight = 0.62 * dim;
}
