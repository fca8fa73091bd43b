//! What comes on top of a scene: northern lights, shooting stars, fireworks,
//! lanterns, glow-worms, petals.
//!
//! Owns these effects. Which of them a scene has, its words decide.

use super::Layer;
use super::canvas::Canvas;
use super::math::{cell, cowave, fract, lerp, noise, smooth, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, ink};
use super::stage::Stage;
use crate::words::{Extra, Hour, Place, Rgb};

/// What happens in the sky, behind the place.
pub(crate) fn behind(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let scene = &stage.scene;
    let quiet_night = scene.hour == Hour::Night && stage.has_open_sky() && scene.place != Place::Deep;
    if scene.has(Extra::Aurora) {
        layers.push(Box::new(Aurora));
    }
    if scene.has(Extra::Meteors) {
        layers.push(Box::new(Meteors { count: 5 }));
    } else if quiet_night {
        layers.push(Box::new(Meteors { count: 1 }));
    }
    if scene.has(Extra::Fireworks) {
        layers.push(Box::new(Fireworks));
    }
}

/// What floats before everything.
pub(crate) fn before(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let scene = &stage.scene;
    if scene.has(Extra::Lanterns) {
        layers.push(Box::new(Lanterns));
    }
    let summer_night = scene.hour == Hour::Night
        && stage.has_open_sky()
        && matches!(scene.place, Place::Meadow | Place::Forest);
    if scene.has(Extra::Fireflies) || summer_night {
        layers.push(Box::new(Fireflies));
    }
    if scene.has(Extra::Petals) {
        layers.push(Box::new(Petals));
    }
}

/// Curtains of light.
struct Aurora;

impl Layer for Aurora {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, seed) = (stage.unit, stage.noise_seed(120));
        let (tint, strength) = stage.scene.tint;
        let green = mix([70.0, 245.0, 160.0], tint, (strength * 2.0).min(0.6));
        let violet: Rgb = [150.0, 90.0, 235.0];
        for curtain in 0..2 {
            let c = curtain as f32;
            for x in 0..canvas.width {
                let fx = x as f32 / u;
                let fold = noise(fx * 1.1 + t * 0.07 + c * 7.0, t * 0.05, seed) - 0.5;
                let low = stage.horizon * (0.72 - 0.2 * c) + fold * u * 0.42;
                let rays = noise(fx * 9.0 + fold * 6.0, t * 0.35 + c, seed ^ 1);
                let body = noise(fx * 1.6 - t * 0.1, c + t * 0.04, seed ^ 2);
                let bright = smooth(0.22, 0.75, body) * (0.45 + 0.75 * rays) * lerp(0.62, 0.4, c);
                let tall = u * (0.2 + 0.22 * rays);
                let from = (low - tall).max(0.0) as usize;
                let to = (low + u * 0.03).clamp(0.0, canvas.height as f32) as usize;
                for y in from..to {
                    let up = (low - y as f32) / tall;
                    let k = if up < 0.0 { (1.0 + up * tall / (u * 0.03)).max(0.0) } else { 1.0 - up };
                    let k = k * k * bright;
                    let hue = smooth(0.15, 0.9, up);
                    let at = y * canvas.width + x;
                    for i in 0..3 {
                        canvas.pixels[at][i] += lerp(green[i], violet[i], hue) * k;
                    }
                }
            }
        }
    }
}

struct Meteors {
    count: usize,
}

impl Layer for Meteors {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, seed) = (stage.unit, stage.noise_seed(121));
        for i in 0..self.count {
            let clock = t / 2.6 + i as f32 / self.count as f32 + cell(i as i32, 1, seed);
            let round = clock.floor() as i32 * 16 + i as i32;
            let since = fract(clock) * 2.6;
            if since > 0.8 {
                continue;
            }
            let from =
                (stage.width * cell(round, 2, seed), stage.horizon * lerp(0.02, 0.45, cell(round, 3, seed)));
            let (dx, dy) = (stage.pan * u * 0.62, u * 0.26);
            let head = (from.0 + dx * since, from.1 + dy * since);
            let tail = (head.0 - dx * 0.22, head.1 - dy * 0.22);
            let k = smooth(0.0, 0.12, since) * smooth(0.8, 0.4, since);
            let mut pen = Pen::new(canvas, (0.0, 0.0), 1.0);
            for (width, opacity) in [(0.006, 0.35), (0.003, 0.8)] {
                pen.line(&[head, tail], u * width, 0.0, ink([235.0, 242.0, 255.0], opacity * k));
            }
            pen.glow(head, u * 0.03, [220.0, 232.0, 255.0], k);
        }
    }
}

struct Fireworks;

impl Layer for Fireworks {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, seed) = (stage.unit, stage.noise_seed(122));
        let hues: [Rgb; 5] = [
            stage.scene.accent,
            [255.0, 210.0, 110.0],
            [120.0, 200.0, 255.0],
            [255.0, 120.0, 170.0],
            [150.0, 255.0, 170.0],
        ];
        for shell in 0..4 {
            let clock = t / 1.9 + shell as f32 * 0.25;
            let round = clock.floor() as i32 * 8 + shell;
            let age = fract(clock) * 1.9;
            let x = stage.width * lerp(0.12, 0.88, cell(round, 1, seed));
            let y = stage.horizon * lerp(0.16, 0.6, cell(round, 2, seed));
            let colour = hues[(cell(round, 3, seed) * 4.99) as usize];
            if age < 0.5 {
                let rise = 1.0 - age / 0.5;
                let at = (x, lerp(y, stage.horizon, rise * rise));
                canvas.dot(at, u * 0.004, ink([255.0, 226.0, 180.0], 0.9));
                canvas.glow(at, u * 0.03, [255.0, 190.0, 120.0], 0.5);
                continue;
            }
            let age = age - 0.5;
            let grow = 1.0 - {
                let left = (1.0 - age * 1.4).max(0.0);
                left * left * left
            };
            let fade = (1.0 - age / 1.4).max(0.0);
            let reach = u * lerp(0.15, 0.26, cell(round, 4, seed)) * grow;
            canvas.glow((x, y), reach * 1.5, colour, 0.35 * fade * fade);
            for spark in 0..54 {
                let turns = spark as f32 / 54.0 + cell(spark, 5, seed) * 0.02;
                let r = reach * (0.35 + 0.65 * cell(spark, round, seed)).sqrt();
                let fall = u * 0.12 * age * age;
                for (back, k) in [(1.0, 1.0), (0.93, 0.5), (0.86, 0.25)] {
                    let at = (x + r * back * cowave(turns), y + r * back * wave(turns) + fall * back);
                    let c = mix(colour, [255.0; 3], 0.4 * fade);
                    canvas.dot(at, u * 0.0036, ink(c, k * fade.sqrt()));
                }
            }
        }
    }
}

struct Lanterns;

impl Layer for Lanterns {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let u = stage.unit;
        let mut rng = stage.rng(123);
        let warm: Rgb = [255.0, 168.0, 74.0];
        for _ in 0..26 {
            let near = rng.unit();
            let size = u * lerp(0.008, 0.028, near * near);
            let rise = fract(rng.unit() + t * lerp(0.014, 0.04, near));
            let x = rng.unit() * stage.width + wave(t * 0.1 + rng.unit()) * u * 0.03;
            let y = lerp(stage.height * 0.86, -size * 2.0, rise);
            canvas.glow((x, y), size * 5.0, warm, 0.4);
            let mut pen = Pen::new(canvas, (x, y), size);
            let glow = 0.9 + 0.1 * wave(t * 1.3 + near * 9.0);
            let shape = [(-0.5, -0.9), (0.5, -0.9), (0.68, 0.5), (0.4, 0.9), (-0.4, 0.9), (-0.68, 0.5)];
            let (top, low) = (shade(warm, 0.72), shade([255.0, 226.0, 150.0], glow));
            pen.shaded(&shape, super::pen::downward(-0.9, ink(top, 1.0), 0.8, ink(low, 1.0)));
        }
    }
}

struct Fireflies;

impl Layer for Fireflies {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let u = stage.unit;
        let mut rng = stage.rng(124);
        let c: Rgb = [228.0, 255.0, 128.0];
        for _ in 0..26 {
            let (a, b, beat) = (rng.unit(), rng.unit(), rng.unit());
            let x = rng.unit() * stage.width + u * 0.07 * wave(t * 0.11 + a) + u * 0.02 * wave(t * 0.37 + b);
            let y = lerp(stage.horizon, stage.height * 0.94, rng.unit()) + u * 0.05 * wave(t * 0.14 + b);
            let on = smooth(-0.2, 0.7, wave(t * 0.36 + beat));
            canvas.glow((x, y), u * 0.032, c, 0.65 * on);
            canvas.dot((x, y), u * 0.0036, ink([250.0, 255.0, 205.0], on));
        }
    }
}

struct Petals;

impl Layer for Petals {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, p) = (stage.unit, &stage.palette);
        let mut rng = stage.rng(125);
        let (tint, strength) = stage.scene.tint;
        let base = if strength > 0.0 { tint } else { [244.0, 168.0, 188.0] };
        for _ in 0..44 {
            let near = rng.unit();
            let size = u * lerp(0.006, 0.014, near);
            let fall = rng.unit() + t * lerp(0.05, 0.11, near);
            let drift = stage.pan * t * lerp(0.03, 0.09, near) * stage.scene.wind;
            let x = fract(rng.unit() + drift) * (stage.width + u * 0.1) - u * 0.05;
            let x = x + u * 0.03 * wave(t * 0.25 + rng.unit());
            let y = fract(fall) * stage.height * 1.05 - u * 0.03;
            let turn = rng.unit() + t * rng.range(-0.4, 0.4);
            let flat = 0.35 + 0.65 * wave(t * 0.4 + rng.unit()).abs();
            let c = p.lit(shade(mix(base, [255.0, 236.0, 226.0], rng.unit() * 0.5), 1.1));
            let mut pen = Pen::new(canvas, (x, y), size);
            let shape = [(-1.0, 0.0), (-0.2, -0.6 * flat), (1.0, 0.0), (-0.2, 0.6 * flat)];
            pen.moved((0.0, 0.0), 1.0, turn).blob(&shape, super::canvas::Paint::Flat(ink(c, 0.92)));
        }
    }
}
