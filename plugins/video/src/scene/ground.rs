//! The near ground, on which subjects stand: grass, sand, rock, a roof, a
//! moon, the bottom of the sea.
//!
//! Owns its surface and what grows on it. Its line is the stage's.

use super::Layer;
use super::canvas::{Canvas, Paint};
use super::land::Ridge;
use super::math::{bell, fractal, lerp, noise, smooth, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, ink};
use super::stage::Stage;
use super::strip::{Slide, Strip};
use crate::words::{Place, Rgb, Weather};

/// The ground, and grass where grass grows.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let place = stage.scene.place;
    let standing = stage.stands(0) || stage.stands(1);
    if (place == Place::Sea || place == Place::Space) && !standing {
        return;
    }
    layers.push(Box::new(surface(stage)));
    match place {
        Place::Meadow | Place::Mountains | Place::Forest if stage.scene.weather != Weather::Snow => {
            layers.push(Box::new(Grass));
        }
        Place::Sea => layers.push(Box::new(Surf)),
        _ => {}
    }
}

/// The colour of the ground where it is lit.
fn material(stage: &Stage) -> Rgb {
    let p = &stage.palette;
    let (tint, strength) = stage.scene.tint;
    match (stage.scene.place, stage.scene.weather) {
        (Place::Mountains | Place::Forest | Place::Meadow, Weather::Snow) => p.lit([226.0, 234.0, 246.0]),
        (Place::Meadow, _) => p.lit([86.0, 142.0, 58.0]),
        (Place::Mountains, _) => p.lit([74.0, 104.0, 62.0]),
        (Place::Forest, _) => p.lit([64.0, 86.0, 50.0]),
        (Place::Desert, _) => p.lit(mix([226.0, 170.0, 106.0], tint, (strength * 2.0).min(0.6))),
        (Place::City, _) => mix(p.near, p.lit([96.0, 96.0, 108.0]), 0.5),
        (Place::Sea, _) => mix(p.near, p.lit([112.0, 106.0, 104.0]), 0.6),
        (Place::Space, _) => p.lit([150.0, 146.0, 158.0]),
        (Place::Deep, _) => mix(p.near, p.lit([186.0, 176.0, 142.0]), 0.42),
    }
}

fn surface(stage: &Stage) -> Strip {
    let (u, p) = (stage.unit, &stage.palette);
    let place = stage.scene.place;
    let lit = material(stage);
    let dark = mix(shade(lit, 0.45), p.near, 0.45);
    let seed = stage.noise_seed(95);
    let rocky = matches!(place, Place::Sea | Place::Space);
    let colour = |x: f32, depth: f32| {
        let (fx, fy) = (x / (u * 0.06), depth / (u * 0.03));
        let grain = fractal(fx, fy, 3, seed);
        if rocky {
            let beside = fractal(fx + 0.35, fy - 0.3, 3, seed);
            let light = (0.52 + (grain - beside) * 2.4).clamp(0.0, 1.0);
            let c = mix(dark, lit, light);
            return mix(c, dark, smooth(0.0, u * 0.3, depth) * 0.7);
        }
        let c = mix(lit, dark, smooth(0.0, u * 0.16, depth));
        shade(c, 0.9 + 0.2 * grain)
    };
    let outline = |x: f32| stage.ground(x);
    let slide = Slide { speed: 0.0, seconds: 0.0 };
    let (mut canvas, top) = Ridge { nearness: 1.0, outline: &outline, colour: &colour }.canvas(stage, slide);
    match place {
        Place::City => parapet(stage, &mut canvas, top, lit),
        Place::Space => craters(stage, &mut canvas, top, lit, dark),
        Place::Deep => corals(stage, &mut canvas, top),
        _ => {}
    }
    Strip::new(&canvas, top, slide)
}

/// The edge of a flat roof.
fn parapet(stage: &Stage, canvas: &mut Canvas, top: usize, lit: Rgb) {
    let u = stage.unit;
    let y = stage.ground(0.0) - top as f32;
    let mut pen = Pen::new(canvas, (0.0, y), 1.0);
    let cap = mix(lit, stage.palette.glow, 0.25);
    pen.rectangle((0.0, 0.0), (stage.width + 4.0, u * 0.018), Paint::Flat(ink(cap, 1.0)));
    let shadow = shade(lit, 0.5);
    pen.rectangle((0.0, u * 0.018), (stage.width + 4.0, u * 0.026), Paint::Flat(ink(shadow, 1.0)));
}

fn craters(stage: &Stage, canvas: &mut Canvas, top: usize, lit: Rgb, dark: Rgb) {
    let u = stage.unit;
    let mut rng = stage.rng(96);
    for _ in 0..14 {
        let x = rng.unit() * stage.width;
        let down = rng.range(0.03, 0.2) * u;
        let r = u * rng.range(0.012, 0.05);
        let mut pen = Pen::new(canvas, (x, stage.ground(x) + down - top as f32), r);
        pen.oval((0.0, 0.06), 1.0, 0.36, Paint::Flat(ink(shade(lit, 1.1), 0.7)));
        pen.oval((0.0, 0.0), 0.94, 0.3, Paint::Flat(ink(dark, 0.85)));
    }
}

fn corals(stage: &Stage, canvas: &mut Canvas, top: usize) {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(97);
    let hues: [Rgb; 4] =
        [[240.0, 110.0, 120.0], [246.0, 170.0, 90.0], [190.0, 120.0, 220.0], [240.0, 200.0, 210.0]];
    for _ in 0..12 {
        let x = rng.unit() * stage.width;
        let size = u * rng.range(0.025, 0.06);
        let c = mix(p.lit(*rng.pick(&hues)), p.far, 0.25);
        let foot = (x, stage.ground(x) - top as f32 + size * 0.25);
        let mut pen = Pen::new(canvas, foot, size);
        for i in 0..7 {
            let spread = (i as f32 - 3.0) / 3.0;
            let tall = rng.range(0.8, 1.4) * (1.2 - spread.abs() * 0.5);
            let tip = (spread * 0.9, -tall);
            pen.line(&[(spread * 0.2, 0.0), (spread * 0.5, -tall * 0.5), tip], 0.26, 0.16, ink(c, 1.0));
            pen.disc(tip, 0.12, ink(shade(c, 1.2), 1.0));
        }
    }
}

/// Blades of grass and a few flowers in the wind.
struct Grass;

impl Layer for Grass {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, p) = (stage.unit, &stage.palette);
        let mut rng = stage.rng(98);
        let lit = material(stage);
        let count = (stage.width / u * 75.0) as usize;
        let wind = stage.scene.wind;
        let flowers = stage.scene.place == Place::Meadow;
        for i in 0..count {
            let x = (i as f32 + rng.unit()) / count as f32 * stage.width;
            let tall = u * rng.range(0.018, 0.046);
            let gust = noise(x / (u * 0.5) - t * 0.7 * wind * stage.pan, 0.0, 4) - 0.35;
            let lean = tall * (0.9 * gust * wind + 0.16 * wave(t * 0.5 + rng.unit()));
            let lean = lean * stage.pan;
            let tone = mix(shade(lit, rng.range(0.6, 1.15)), p.near, 0.18);
            let root = (x, stage.ground(x) + u * 0.006);
            let bend = [(0.0, 0.0), (lean * 0.35, -tall * 0.6), (lean, -tall)];
            Pen::new(canvas, root, 1.0).line(&bend, u * 0.006, u * 0.001, ink(tone, 1.0));
            if flowers && rng.chance(0.16) {
                let hues = [stage.scene.accent, [250.0, 236.0, 170.0], [240.0, 240.0, 250.0]];
                let c = p.lit(*rng.pick(&hues));
                canvas.dot((root.0 + lean, root.1 - tall), u * 0.0065, ink(c, 1.0));
            }
        }
    }
}

/// White water that washes up and down the rocks.
struct Surf;

impl Layer for Surf {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, p) = (stage.unit, &stage.palette);
        let foam = mix(p.lit([240.0, 246.0, 250.0]), p.sky[2], 0.25);
        let strength = stage.scene.wind.min(2.0);
        let line = stage.caption_top + u * 0.015;
        let mut rng = stage.rng(99);
        for i in 0..46 {
            let x = (i as f32 + rng.unit()) / 46.0 * stage.width;
            let rock = stage.ground(x);
            let near = bell((rock - line) / (u * 0.13));
            if near <= 0.0 {
                continue;
            }
            let beat = wave(t * 0.22 + rng.unit());
            let up = (0.012 + 0.016 * beat) * strength * u;
            let r = u * rng.range(0.01, 0.028) * lerp(0.7, 1.1, 0.5 + 0.5 * beat);
            canvas.dot((x, line - up), r, ink(foam, 0.36 * near));
            // Spray, thrown high by a storm.
            let high = rng.range(0.03, 0.09) * u * (strength - 0.7).max(0.0) * beat.max(0.0);
            canvas.dot((x + high * 0.2, line - up - high), u * 0.004, ink(foam, 0.6 * near));
        }
    }
}
