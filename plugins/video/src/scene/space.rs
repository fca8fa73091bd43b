//! The void: a nebula, planets with shade and rings, drifting rocks.
//!
//! Owns what is in space besides stars and subjects.

use super::Layer;
use super::canvas::{Canvas, over};
use super::math::{Rng, fract, fractal, lerp, smooth, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, downward, ink};
use super::stage::Stage;
use super::strip::Strip;
use crate::words::Rgb;

/// Paints the nebula, which never moves.
pub(crate) fn paint(canvas: &mut Canvas, stage: &Stage) {
    let (u, p) = (stage.unit, &stage.palette);
    let seed = stage.noise_seed(80);
    let mut rng = stage.rng(81);
    let second: Rgb = *rng.pick(&[[60.0, 110.0, 230.0], [220.0, 90.0, 150.0], [240.0, 150.0, 80.0]]);
    let slant = rng.range(-0.5, 0.5);
    for y in 0..canvas.height {
        for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
            let (fx, fy) = (x as f32 / u, y as f32 / u);
            let warp = fractal(fx * 1.7, fy * 1.7, 3, seed ^ 9) - 0.5;
            let n = fractal(fx * 2.2 + warp * 1.6, fy * 2.2 - warp, 5, seed);
            let band = 1.0 - ((fy - 0.42 + slant * (fx - 0.9)) * 2.1).abs();
            let k = smooth(0.38, 0.86, n + band * 0.2) * smooth(-0.2, 0.7, band);
            let hue = smooth(0.3, 0.7, fractal(fx * 1.2, fy * 1.2, 2, seed ^ 4));
            let c = mix(p.glow, second, hue);
            let k = k * 0.9;
            for i in 0..3 {
                pixel[i] += c[i] * k * 0.62;
            }
        }
    }
}

/// Planets and rocks.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let mut rng = stage.rng(82);
    let hues: [Rgb; 6] = [
        [226.0, 168.0, 112.0],
        [122.0, 176.0, 224.0],
        [206.0, 112.0, 92.0],
        [150.0, 206.0, 170.0],
        [188.0, 150.0, 220.0],
        stage.scene.accent,
    ];
    let hue = *rng.pick(&hues[1..4]);
    let small = Planet::new(stage, &mut rng, hue, 1);
    let hue = if stage.scene.tint.1 > 0.0 { hues[5] } else { *rng.pick(&hues) };
    let large = Planet::new(stage, &mut rng, hue, 0);
    layers.push(Box::new(small));
    layers.push(Box::new(large));
    layers.push(Box::new(Rocks));
}

/// A planet, drawn once, that drifts.
struct Planet {
    ball: Strip,
    back: Option<Strip>,
}

impl Planet {
    fn new(stage: &Stage, rng: &mut Rng, colour: Rgb, rank: usize) -> Self {
        let u = stage.unit;
        let slide = stage.slide([0.16, 0.08][rank]);
        let width = stage.width as usize + slide.room();
        let radius = u * [rng.range(0.17, 0.24), rng.range(0.04, 0.07)][rank];
        let x = if rank == 0 { stage.sun.0 } else { stage.spots[0] + u * 0.2 };
        let y = stage.height * if rank == 0 { rng.range(0.3, 0.42) } else { rng.range(0.14, 0.3) };
        let x = x + slide.at(stage.seconds * 0.5);
        let mut front = Canvas::new(width, stage.height as usize);
        let seed = rng.next() as u32;
        ball(&mut front, (x, y), radius, colour, seed);
        let ringed = rank == 0 && rng.chance(0.65);
        let back = ringed.then(|| {
            let mut back = Canvas::new(width, stage.height as usize);
            let tilt = rng.range(-0.06, 0.06);
            let ring_hue = mix(colour, [250.0, 236.0, 214.0], 0.5);
            ring(&mut back, (x, y), radius, tilt, ring_hue, -1.0);
            ring(&mut front, (x, y), radius, tilt, ring_hue, 1.0);
            Strip::new(&back, 0, slide)
        });
        Self { ball: Strip::new(&front, 0, slide), back }
    }
}

impl Layer for Planet {
    fn draw(&self, canvas: &mut Canvas, _: &Stage, t: f32) {
        if let Some(back) = &self.back {
            back.draw(canvas, t);
        }
        self.ball.draw(canvas, t);
    }
}

/// A ball with bands, lit from the upper left.
fn ball(canvas: &mut Canvas, (cx, cy): (f32, f32), radius: f32, colour: Rgb, seed: u32) {
    let air = mix(colour, [200.0, 225.0, 255.0], 0.5);
    canvas.glow((cx, cy), radius * 1.35, air, 0.5);
    let (top, bottom) = ((cy - radius).max(0.0) as usize, (cy + radius + 1.0) as usize);
    for y in top..bottom.min(canvas.height) {
        for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
            let (dx, dy) = ((x as f32 + 0.5 - cx) / radius, (y as f32 + 0.5 - cy) / radius);
            let r2 = dx * dx + dy * dy;
            let cover = ((1.0 - r2.sqrt()) * radius + 0.5).clamp(0.0, 1.0);
            if cover <= 0.0 {
                continue;
            }
            let dz = (1.0 - r2).max(0.0).sqrt();
            let light = smooth(-0.15, 0.95, -0.62 * dx - 0.5 * dy + 0.6 * dz);
            let swirl = fractal(dx * 1.5 + 7.0, dy * 2.0, 4, seed) - 0.5;
            let band = fractal(swirl * 0.9, dy * 4.2 + swirl * 1.2, 3, seed ^ 2);
            let c = mix(shade(colour, 0.62), mix(colour, [255.0, 246.0, 228.0], 0.4), band);
            let rim = (1.0 - dz) * (1.0 - dz) * light;
            let c = mix(shade(c, lerp(0.05, 1.1, light)), air, rim * 0.7);
            over(pixel, [c[0] * cover, c[1] * cover, c[2] * cover, cover]);
        }
    }
}

/// Half of a ring: behind the ball for `side` -1, before it for 1.
fn ring(canvas: &mut Canvas, at: (f32, f32), radius: f32, tilt: f32, colour: Rgb, side: f32) {
    let mut pen = Pen::new(canvas, at, radius);
    let mut pen = pen.moved((0.0, 0.0), 1.0, tilt + 0.03);
    for (reach, width, opacity) in [(1.5, 0.16, 0.5), (1.74, 0.2, 0.75), (2.02, 0.1, 0.45)] {
        let half = |r: f32| -> Vec<(f32, f32)> {
            (0..=48)
                .map(|i| {
                    let turns = i as f32 / 96.0;
                    (r * super::math::cowave(turns), side * r * 0.26 * wave(turns))
                })
                .collect()
        };
        let mut shape = half(reach);
        shape.extend(half(reach - width).into_iter().rev());
        let (light, dark) = (ink(colour, opacity), ink(shade(colour, 0.35), opacity * 0.8));
        pen.shaded(&shape, super::pen::sideward(-1.6, light, 2.0, dark));
    }
}

/// Rocks that tumble by.
struct Rocks;

impl Layer for Rocks {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let u = stage.unit;
        let mut rng = stage.rng(84);
        for _ in 0..9 {
            let size = u * rng.range(0.006, 0.024);
            let speed = stage.pan * (0.012 + size / u * 1.6);
            let span = stage.width + u * 0.2;
            let x = fract(rng.unit() - t * speed) * span - u * 0.1;
            let y = stage.height * rng.range(0.06, 0.72);
            let turn = rng.unit() + t * rng.range(-0.12, 0.12);
            let shape: Vec<(f32, f32)> = (0..9)
                .map(|i| {
                    let a = i as f32 / 9.0;
                    let r = rng.range(0.72, 1.1);
                    (r * super::math::cowave(a), r * wave(a))
                })
                .collect();
            let mut pen = Pen::new(canvas, (x, y), size);
            let mut pen = pen.moved((0.0, 0.0), 1.0, turn);
            let c = mix([120.0, 112.0, 118.0], stage.palette.glow, 0.2);
            pen.blob(&shape, downward(-1.0, ink(c, 1.0), 1.0, ink(shade(c, 0.25), 1.0)));
        }
    }
}
