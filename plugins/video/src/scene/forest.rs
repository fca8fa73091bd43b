//! Conifers in four depths, with mist between them.
//!
//! Owns the trees of the forest. The clearing in front belongs to the ground.

use super::Layer;
use super::canvas::Canvas;
use super::math::{Rng, fractal, lerp, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, downward, ink};
use super::stage::Stage;
use super::strip::Strip;
use crate::words::{Rgb, Weather};

/// The forest, from the back to the front.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    for depth in 0..4 {
        layers.push(Box::new(row(stage, depth)));
        layers.push(Box::new(Mist { depth }));
    }
}

/// A veil that rises from the ground between two rows.
struct Mist {
    depth: usize,
}

impl Layer for Mist {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let strength = [0.6, 0.46, 0.32, 0.0][self.depth];
        let c = mix(stage.palette.far, stage.palette.sky[2], 0.6);
        let top = stage.horizon - stage.unit * 0.12;
        let reach = stage.height * 0.9 - top;
        let breath = 1.0 + 0.08 * wave(t * 0.11 + self.depth as f32 * 0.3);
        for y in top as usize..canvas.height {
            let k = (strength * breath * ((y as f32 - top) / reach).min(1.0)).min(1.0);
            for pixel in canvas.row(y) {
                for (p, c) in pixel.iter_mut().zip(c) {
                    *p += (c - *p) * k;
                }
            }
        }
    }
}

fn row(stage: &Stage, depth: usize) -> Strip {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(60 + depth as u64);
    let slide = stage.slide([0.1, 0.22, 0.4, 0.62][depth]);
    let mut canvas = Canvas::new(stage.width as usize + slide.room(), stage.height as usize);
    let winter = stage.scene.weather == Weather::Snow;
    let seed = stage.noise_seed(65 + depth as u64);
    let far = [0.72, 0.5, 0.28, 0.06][depth];
    let needle = p.land(mix([46.0, 92.0, 66.0], [70.0, 96.0, 58.0], rng.unit()), far);
    let snow = winter.then(|| p.land([236.0, 242.0, 252.0], far * 0.8));
    let base = stage.horizon + u * [0.06, 0.12, 0.2, 0.3][depth];
    let tall = u * [0.2, 0.27, 0.36, 0.5][depth];
    let mut x = -tall * 0.2;
    while x < canvas.width as f32 + tall * 0.2 {
        // The front row leaves room for what stands in the clearing.
        let rise = (fractal(x / (u * 0.5), 0.2, 2, seed) - 0.5) * u * 0.12;
        let sparse = depth == 3 && rng.chance(0.45);
        if !sparse {
            let height = tall * rng.range(0.6, 1.15);
            let mut pen = Pen::new(&mut canvas, (x, base - rise + u * 0.05), height);
            conifer(&mut pen, &mut rng, needle, p.near, snow);
        }
        x += tall * rng.range(0.14, 0.34);
    }
    let floor = base + u * 0.03;
    let mut pen = Pen::new(&mut canvas, (0.0, floor), 1.0);
    let c = mix(needle, p.near, 0.4);
    let paint = downward(0.0, ink(c, 0.0), u * 0.05, ink(c, 1.0));
    pen.rectangle((0.0, 0.0), (stage.width * 4.0, stage.height), paint);
    Strip::new(&canvas, 0, slide)
}

/// A conifer of height 1 standing at the origin.
pub(crate) fn conifer(pen: &mut Pen<'_>, rng: &mut Rng, needle: Rgb, dark: Rgb, snow: Option<Rgb>) {
    let trunk = mix(needle, dark, 0.75);
    pen.line(&[(0.0, 0.02), (0.0, -0.6)], 0.05, 0.02, ink(trunk, 1.0));
    let tiers = 6;
    let lean = rng.range(-0.015, 0.015);
    let tone = shade(needle, rng.range(0.82, 1.12));
    for tier in 0..tiers {
        let t = tier as f32 / tiers as f32;
        let (bottom, top) = (lerp(-0.14, -0.8, t), lerp(-0.44, -1.0, t));
        let half = lerp(0.2, 0.055, t) * rng.range(0.88, 1.12);
        let x = lean * tier as f32;
        let sag = 0.035 * (1.0 - t);
        let shape = [
            (x, top),
            (x + half * 0.42, (top + bottom) * 0.5),
            (x + half, bottom + sag),
            (x + half * 0.4, bottom - sag * 0.3),
            (x, bottom + sag * 0.5),
            (x - half * 0.45, bottom - sag * 0.3),
            (x - half, bottom + sag),
            (x - half * 0.42, (top + bottom) * 0.5),
        ];
        let shadow = mix(tone, dark, 0.42);
        pen.shaded(&shape, downward(top, ink(tone, 1.0), bottom, ink(shadow, 1.0)));
        if let Some(snow) = snow {
            let cap = [
                (x, top),
                (x + half * 0.42, (top + bottom) * 0.5),
                (x + half, bottom + sag),
                (x + half * 0.2, bottom - 0.05),
                (x - half * 0.1, bottom - 0.09),
                (x - half * 0.42, (top + bottom) * 0.5),
            ];
            pen.polygon(&cap, ink(snow, 0.85));
        }
    }
}
