//! Open land: mountains, meadows, deserts, each as ridges behind ridges.
//!
//! Owns the shape and shading of those ridges. The nearest ground, on which
//! subjects stand, is not here.

use super::Layer;
use super::canvas::{Canvas, over};
use super::math::{fractal, lerp, noise, smooth, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, downward, ink};
use super::stage::Stage;
use super::strip::{Slide, Strip};
use crate::words::{Rgb, Weather};

/// One ridge: its outline, its colours, its place in depth.
pub(crate) struct Ridge<'a> {
    /// From 0 (the horizon) to 1 (right before the observer).
    pub(crate) nearness: f32,
    /// The surface's row in a column.
    pub(crate) outline: &'a dyn Fn(f32) -> f32,
    /// The colour in a column, so many rows below the surface.
    pub(crate) colour: &'a dyn Fn(f32, f32) -> Rgb,
}

impl Ridge<'_> {
    /// Draws the ridge on a canvas of its own, down to the picture's edge.
    pub(crate) fn canvas(&self, stage: &Stage, slide: Slide) -> (Canvas, usize) {
        let width = stage.width as usize + slide.room();
        let rows: Vec<f32> = (0..width).map(|x| (self.outline)(x as f32)).collect();
        let highest = rows.iter().copied().fold(stage.height, f32::min).max(0.0);
        // Room for what grows on the ridge.
        let top = (highest - stage.unit * 0.3).max(0.0) as usize;
        let mut canvas = Canvas::new(width, (stage.height as usize).saturating_sub(top).max(1));
        for y in 0..canvas.height {
            let row = (y + top) as f32;
            for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
                let (a, b) = (rows[x], rows[(x + 1).min(width - 1)]);
                let surface = 0.5 * (a + b);
                let steep = 1.0 + (a - b).abs();
                let cover = ((row + 1.0 - surface) / steep + 0.5 * (1.0 - 1.0 / steep)).clamp(0.0, 1.0);
                if cover > 0.0 {
                    let c = (self.colour)(x as f32, row - surface);
                    over(pixel, [c[0] * cover, c[1] * cover, c[2] * cover, cover]);
                }
            }
        }
        (canvas, top)
    }

    fn layer(&self, stage: &Stage) -> Box<dyn Layer> {
        let slide = stage.slide(self.nearness);
        let (canvas, top) = self.canvas(stage, slide);
        Box::new(Strip::new(&canvas, top, slide))
    }
}

/// Noise with sharp crests, from 0 to 1.
fn crests(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut weight, mut scale, mut total) = (0.0, 0.5, 1.0, 0.0);
    for octave in 0..octaves {
        let n = noise(x * scale, y * scale, seed.wrapping_add(octave * 77));
        let crest = 1.0 - (2.0 * n - 1.0).abs();
        sum += weight * crest * crest;
        total += weight;
        weight *= 0.48;
        scale *= 2.1;
    }
    sum / total
}

/// Peaks behind peaks, with snow on the high ones.
pub(crate) fn mountains(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(20);
    let winter = stage.scene.weather == Weather::Snow;
    let rock = *rng.pick(&[[104.0, 110.0, 128.0], [122.0, 108.0, 104.0], [92.0, 108.0, 116.0]]);
    let wood: Rgb = if winter { [196.0, 206.0, 222.0] } else { [58.0, 92.0, 66.0] };
    let snow_line = if winter { 0.75 } else { rng.range(0.12, 0.2) };
    let to_sun = if stage.sun.0 > stage.width * 0.5 { 1.0 } else { -1.0 };
    for (i, nearness) in [0.08, 0.22, 0.4].into_iter().enumerate() {
        let seed = stage.noise_seed(21 + i as u64);
        let size = u * [0.62, 0.5, 0.36][i];
        let tall = u * [0.46, 0.34, 0.2][i];
        let base = stage.horizon + u * [0.04, 0.09, 0.16][i];
        let outline = |x: f32| {
            base - tall * (crests(x / size, 0.3, 5, seed) * 0.85 + 0.25 * noise(x / size, 9.0, seed))
        };
        let far = lerp(0.62, 0.12, i as f32 / 2.0);
        let rock_here = p.land(mix(rock, wood, i as f32 * 0.35), far);
        let snow_here = p.land([244.0, 248.0, 255.0], far * 0.62);
        let mist = mix(p.far, p.sky[2], 0.35);
        let colour = |x: f32, depth: f32| {
            let row = outline(x) + depth;
            let (fx, fy) = (x / size * 2.6, row / size * 1.7);
            let here = crests(fx, fy, 4, seed ^ 5);
            let there = crests(fx + to_sun * 0.07, fy - 0.05, 4, seed ^ 5);
            // Near the crest the outline tells the slope, below it the rock.
            let reach = size * 0.02 + depth * 0.25;
            let slope = (outline(x + reach * to_sun) - outline(x - reach * to_sun)) / (2.0 * reach);
            let crest = smooth(size * 0.3, 0.0, depth);
            let light = 0.5 + (here - there) * lerp(2.6, 1.3, crest) + slope * 0.42 * crest;
            let light = light.clamp(0.0, 1.0);
            let altitude = (base - row) / u;
            let ragged = (here - 0.5) * 0.12;
            let snowy = smooth(snow_line, snow_line + 0.06, altitude + ragged - 0.04);
            let snowy = if winter { 0.95 - here * here * 0.4 } else { snowy };
            let lit = mix(
                shade(rock_here, lerp(0.62, 1.25, light)),
                mix(shade(snow_here, 0.7), snow_here, light),
                snowy,
            );
            mix(lit, mist, smooth(0.1, -0.12, altitude) * 0.75)
        };
        layers.push(Ridge { nearness, outline: &outline, colour: &colour }.layer(stage));
    }
}

/// Green hills with trees.
pub(crate) fn meadow(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(30);
    let winter = stage.scene.weather == Weather::Snow;
    let greens: [Rgb; 3] = if winter {
        [[206.0, 216.0, 232.0], [218.0, 226.0, 240.0], [230.0, 236.0, 246.0]]
    } else {
        let dry = rng.range(0.0, 0.55);
        [[96.0, 150.0, 92.0], [112.0, 164.0, 78.0], [104.0, 156.0, 62.0]]
            .map(|g| mix(g, [202.0, 176.0, 92.0], dry))
    };
    for (i, nearness) in [0.1, 0.28, 0.5].into_iter().enumerate() {
        let seed = stage.noise_seed(31 + i as u64);
        let size = u * [0.7, 0.85, 1.0][i];
        let base = stage.horizon + u * [0.03, 0.09, 0.17][i];
        let tall = u * [0.14, 0.13, 0.11][i];
        let outline = |x: f32| base - tall * (fractal(x / size, 0.7, 2, seed) * 1.6 - 0.5);
        let far = lerp(0.55, 0.05, i as f32 / 2.0);
        let (lit, deep) = (p.land(greens[i], far), shade(p.land(greens[i], far * 0.8), 0.62));
        let colour = |x: f32, depth: f32| {
            let field = noise(x / (u * 0.22), depth / (u * 0.035), seed ^ 3) - 0.5;
            let slope = (outline(x + 3.0) - outline(x - 3.0)) * 0.05;
            let t = smooth(0.0, u * 0.22, depth) * 0.7 + field * 0.16 + slope.clamp(-0.2, 0.2);
            mix(lit, deep, t.clamp(0.0, 1.0))
        };
        let slide = stage.slide(nearness);
        let ridge = Ridge { nearness, outline: &outline, colour: &colour };
        let (mut canvas, top) = ridge.canvas(stage, slide);
        let leaf = p.land(if winter { [150.0, 164.0, 172.0] } else { [54.0, 104.0, 60.0] }, far);
        let trees = [16, 9, 4][i];
        for _ in 0..trees {
            let x = rng.unit() * canvas.width as f32;
            let size = u * [0.022, 0.042, 0.075][i] * rng.range(0.7, 1.2);
            let foot = (x, outline(x) - top as f32 + size * 0.2);
            bush(&mut Pen::new(&mut canvas, foot, size), leaf, p.near);
        }
        layers.push(Box::new(Strip::new(&canvas, top, slide)));
    }
}

/// A round tree of height 2 standing at the origin.
fn bush(pen: &mut Pen<'_>, leaf: Rgb, dark: Rgb) {
    let trunk = mix(leaf, dark, 0.7);
    pen.rectangle((-0.08, -0.7), (0.08, 0.05), super::canvas::Paint::Flat(ink(trunk, 1.0)));
    let shadow = mix(leaf, dark, 0.35);
    for (x, y, r) in [(-0.32, -0.95, 0.5), (0.34, -0.9, 0.48), (0.0, -1.3, 0.58)] {
        let paint = downward(y - r, ink(leaf, 1.0), y + r, ink(shadow, 1.0));
        pen.oval((x, y), r, r, paint);
    }
}

/// Dunes with a lit and a shaded side.
pub(crate) fn desert(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(40);
    let sand = mix([236.0, 182.0, 112.0], [222.0, 142.0, 96.0], rng.unit());
    let (tint, strength) = stage.scene.tint;
    let sand = mix(sand, tint, (strength * 2.0).min(0.6));
    let to_sun = if stage.sun.0 > stage.width * 0.5 { 1.0 } else { -1.0 };
    for (i, nearness) in [0.08, 0.24, 0.46].into_iter().enumerate() {
        let seed = stage.noise_seed(41 + i as u64);
        let size = u * [0.5, 0.72, 0.95][i];
        let base = stage.horizon + u * [0.02, 0.1, 0.2][i];
        let tall = u * [0.12, 0.17, 0.15][i];
        let outline = |x: f32| {
            let n = noise(x / size, 0.4, seed);
            base - tall * ((1.0 - (2.0 * n - 1.0).abs()) * 1.1 + 0.3 * noise(x / size * 0.6, 4.0, seed))
        };
        let far = lerp(0.5, 0.04, i as f32 / 2.0);
        let lit = p.land(sand, far);
        let dark = mix(shade(lit, 0.58), p.sky[0], 0.16);
        let colour = |x: f32, depth: f32| {
            // The crest winds down the dune; one side of it is in shadow.
            let winding = depth * 0.9 * wave(x / (size * 2.0) + depth / (u * 0.7));
            let at = x + winding;
            let slope = (outline(at + to_sun * 3.0) - outline(at - to_sun * 3.0)) / 6.0;
            let light = smooth(-0.12, 0.16, slope);
            let ripple = wave(depth / (u * 0.017) + noise(x / (u * 0.12), depth / u, seed) * 3.0);
            let c = mix(dark, lit, light);
            let c = shade(c, 1.0 + ripple * 0.022 * smooth(0.0, u * 0.05, depth));
            mix(c, lit, smooth(u * 0.12, u * 0.34, depth) * 0.55)
        };
        layers.push(Ridge { nearness, outline: &outline, colour: &colour }.layer(stage));
    }
}
