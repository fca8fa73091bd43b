//! Below the surface: shafts of light, ridges in the blue, weeds, bubbles.
//!
//! Owns the water's inside. Fish and whales are subjects.

use super::Layer;
use super::canvas::Canvas;
use super::land::Ridge;
use super::math::{fract, fractal, lerp, noise, smooth, wave};
use super::palette::mix;
use super::pen::{Pen, ink};
use super::stage::Stage;
use super::strip::Strip;

/// All of it, from the back to the front.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let (u, p) = (stage.unit, &stage.palette);
    for (i, nearness) in [0.08, 0.24].into_iter().enumerate() {
        let seed = stage.noise_seed(90 + i as u64);
        let base = stage.horizon + u * [0.1, 0.22][i];
        let outline = |x: f32| base - u * 0.3 * (fractal(x / (u * 0.5), 0.3, 4, seed) - 0.35) * 1.3;
        let c = mix(p.far, p.near, [0.25, 0.55][i]);
        let low = mix(p.far, p.near, [0.5, 0.8][i]);
        let colour = |_: f32, depth: f32| mix(c, low, smooth(0.0, u * 0.3, depth));
        let slide = stage.slide(nearness);
        let (canvas, top) = Ridge { nearness, outline: &outline, colour: &colour }.canvas(stage, slide);
        layers.push(Box::new(Strip::new(&canvas, top, slide)));
    }
    layers.push(Box::new(Shafts));
    layers.push(Box::new(Weeds));
    layers.push(Box::new(Bubbles));
}

/// Light that falls through the waves.
struct Shafts;

impl Layer for Shafts {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let light = stage.palette.glow;
        let lean = (stage.sun.0 / stage.width - 0.5) * 0.9;
        let seed = stage.noise_seed(92);
        let reach = stage.height * 0.85;
        // The pattern of one row; every lower row shows it shifted and fainter.
        let margin = (reach * lean.abs()) as usize + 2;
        let row: Vec<f32> = (0..canvas.width + 2 * margin)
            .map(|x| {
                let fx = x as f32 / stage.unit;
                let n = noise(fx * 5.0, t * 0.22, seed) * 0.65
                    + noise(fx * 13.0 + t * 0.1, t * 0.3, seed ^ 1) * 0.35;
                smooth(0.5, 0.92, n)
            })
            .collect();
        for y in 0..(reach as usize).min(canvas.height) {
            let shift = (margin as f32 + y as f32 * lean) as usize;
            let fade = 1.0 - y as f32 / reach;
            let k = 0.34 * fade * fade;
            for (pixel, s) in canvas.row(y).iter_mut().zip(&row[shift.min(2 * margin)..]) {
                for (p, l) in pixel.iter_mut().zip(light) {
                    *p += l * s * k;
                }
            }
        }
    }
}

/// Long leaves that sway with the water.
struct Weeds;

impl Layer for Weeds {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, p) = (stage.unit, &stage.palette);
        let mut rng = stage.rng(93);
        for group in 0..7 {
            let middle = rng.unit() * stage.width;
            let tone = mix(p.lit([60.0, 150.0, 96.0]), p.far, rng.range(0.25, 0.6));
            for _ in 0..4 {
                let x = middle + rng.range(-0.06, 0.06) * u;
                let height = u * rng.range(0.16, 0.44);
                let beat = rng.unit() + group as f32 * 0.13;
                let points: Vec<(f32, f32)> = (0..=8)
                    .map(|i| {
                        let s = i as f32 / 8.0;
                        let sway = wave(t * 0.16 + beat - s * 0.55) * 0.05 * s * u * stage.scene.wind.sqrt();
                        (sway + 0.02 * u * s * s, -height * s)
                    })
                    .collect();
                let foot = (x, stage.ground(x) + u * 0.03);
                Pen::new(canvas, foot, 1.0).line(&points, u * 0.02, u * 0.003, ink(tone, 0.95));
            }
        }
    }
}

/// Bubbles that rise and wobble.
struct Bubbles;

impl Layer for Bubbles {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let u = stage.unit;
        let mut rng = stage.rng(94);
        for _ in 0..34 {
            let size = rng.unit();
            let radius = u * lerp(0.003, 0.011, size * size);
            let rise = fract(rng.unit() + t * lerp(0.05, 0.12, size));
            let x = rng.unit() * stage.width + u * 0.012 * wave(t * 0.7 + rng.unit());
            let at = (x, stage.height * (1.02 - rise * 1.05));
            canvas.dot(at, radius, ink([214.0, 246.0, 255.0], 0.3));
            let spot = (at.0 - radius * 0.35, at.1 - radius * 0.35);
            canvas.dot(spot, radius * 0.3, ink([255.0; 3], 0.7));
        }
    }
}
