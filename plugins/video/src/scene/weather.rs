//! Rain, snow, mist and lightning.
//!
//! Owns what falls and drifts before the scene. Clouds belong to the sky.

use super::Layer;
use super::canvas::{Canvas, over};
use super::math::{cell, fract, fractal, lerp, smooth, wave};
use super::palette::mix;
use super::pen::{Pen, ink};
use super::sky::flicker;
use super::stage::Stage;
use super::strip::Strip;
use crate::words::{Place, Weather};

/// The weather before the scene.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    if matches!(stage.scene.place, Place::Space | Place::Deep) {
        return;
    }
    match stage.scene.weather {
        Weather::Clear | Weather::Cloudy => {}
        Weather::Rain => layers.push(Box::new(Rain { drops: 80 })),
        Weather::Storm => {
            layers.push(Box::new(Lightning { seed: stage.noise_seed(110) }));
            layers.push(Box::new(Rain { drops: 120 }));
        }
        Weather::Snow => layers.push(Box::new(Snow)),
        Weather::Fog => bank(stage, layers),
    }
}

/// A bank of mist that drifts through the picture.
pub(crate) fn bank(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let u = stage.unit;
    let n = layers.len() as u64;
    let seed = stage.noise_seed(111 + n);
    let mut slide = stage.slide(0.5);
    slide.speed *= 0.6 + 0.5 * stage.scene.wind;
    let top = (stage.horizon - u * 0.24).max(0.0) as usize;
    let rows = stage.height as usize - top;
    let mut canvas = Canvas::new(stage.width as usize + slide.room(), rows);
    let c = mix(stage.palette.sky[2], stage.palette.far, 0.25);
    for y in 0..rows {
        let fy = y as f32 / rows as f32;
        let edge = smooth(0.0, 0.45, fy) * lerp(1.0, 0.55, fy);
        for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
            let n = fractal(x as f32 / (u * 0.55), y as f32 / (u * 0.13), 3, seed);
            let k = smooth(0.28, 0.78, n) * edge * 0.72;
            over(pixel, [c[0] * k, c[1] * k, c[2] * k, k]);
        }
    }
    layers.push(Box::new(Strip::new(&canvas, top, slide)));
}

struct Rain {
    drops: usize,
}

impl Layer for Rain {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, w, h) = (stage.unit, stage.width, stage.height);
        let slant = stage.pan * 0.13 * stage.scene.wind;
        let c = mix([214.0, 226.0, 240.0], stage.palette.sky[2], 0.3);
        let mut rng = stage.rng(112);
        let count = (self.drops as f32 * (w / h / 1.7).min(1.5)) as usize;
        for _ in 0..count {
            let near = rng.unit();
            let length = u * lerp(0.035, 0.1, near);
            let speed = lerp(0.9, 1.9, near);
            let fall = rng.unit() + t * speed;
            // Each fall of a drop has a column of its own.
            let x = fract(rng.unit() + fall.floor() * 0.37);
            let y = fract(fall) * (h + length) - length;
            let x = x * (w + u * 0.4) - u * 0.2 + slant * y;
            let line = [(0.0, 0.0), (slant * length, length)];
            let width = u * lerp(0.003, 0.0062, near);
            let k = lerp(0.2, 0.5, near);
            Pen::new(canvas, (x, y), 1.0).line(&line, width * 0.4, width, ink(c, k));
        }
    }
}

struct Snow;

impl Layer for Snow {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, w, h) = (stage.unit, stage.width, stage.height);
        let wind = stage.pan * stage.scene.wind;
        let mut rng = stage.rng(113);
        let flakes = if stage.has_open_sky() { 70 } else { 180 };
        for _ in 0..flakes {
            let near = rng.unit();
            let near = near * near;
            let radius = u * lerp(0.0022, 0.0085, near);
            let fall = rng.unit() + t * lerp(0.06, 0.2, near);
            let sway = wave(t * 0.3 + rng.unit()) * u * 0.016;
            let drift = t * lerp(0.02, 0.08, near) * wind;
            let x = fract(rng.unit() + fall.floor() * 0.61 + drift) * (w + u * 0.1) - u * 0.05;
            let y = fract(fall) * h * 1.04 - h * 0.02;
            canvas.dot((x + sway, y), radius, ink([250.0, 252.0, 255.0], lerp(0.5, 0.9, near)));
        }
    }
}

/// A flash over the whole picture, and the bolt that makes it.
struct Lightning {
    seed: u32,
}

/// Seconds between two flashes, about.
const FLASH_PERIOD: f32 = 2.2;

impl Layer for Lightning {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let flash = flicker(t, FLASH_PERIOD, self.seed);
        if flash <= 0.01 {
            return;
        }
        let light = [150.0, 170.0, 215.0];
        for y in 0..canvas.height {
            let high = 1.0 - 0.65 * y as f32 / stage.height;
            let k = flash * 0.36 * high;
            for pixel in canvas.row(y) {
                for (p, l) in pixel.iter_mut().zip(light) {
                    *p += l * k;
                }
            }
        }
        let round = (t / FLASH_PERIOD).floor() as i32;
        let mut rng = stage.rng(114 + round as u64);
        let u = stage.unit;
        let start = (stage.width * lerp(0.15, 0.85, cell(round, 8, self.seed)), 0.0);
        let mut at = start;
        let mut points = vec![at];
        while at.1 < stage.horizon {
            at = (at.0 + rng.range(-0.05, 0.05) * u, at.1 + rng.range(0.02, 0.06) * u);
            points.push(at);
        }
        let mut pen = Pen::new(canvas, (0.0, 0.0), 1.0);
        pen.line(&points, u * 0.022, u * 0.008, ink([170.0, 190.0, 255.0], 0.25 * flash));
        pen.line(&points, u * 0.008, u * 0.003, ink([255.0; 3], flash));
        let branch = points.len() / 2;
        let mut at = points[branch];
        let mut side = vec![at];
        for _ in 0..4 {
            at = (at.0 + rng.range(0.01, 0.06) * u * stage.pan, at.1 + rng.range(0.02, 0.05) * u);
            side.push(at);
        }
        pen.line(&side, u * 0.005, u * 0.001, ink([255.0; 3], 0.8 * flash));
        pen.glow(start, u * 0.6, [180.0, 195.0, 255.0], 0.7 * flash);
    }
}
