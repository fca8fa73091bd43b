//! A skyline in three depths, with lit windows and lights on the roofs.
//!
//! Owns the buildings. The roof that subjects stand on belongs to the ground.

use super::Layer;
use super::canvas::{Canvas, Paint};
use super::math::{Rng, lerp, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, downward, ink};
use super::stage::Stage;
use super::strip::{Slide, Strip};
use crate::words::{Hour, Rgb};

/// The skyline, from the back to the front.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    for depth in 0..3 {
        layers.push(Box::new(row(stage, depth)));
        layers.push(Box::new(Haze { depth }));
    }
}

/// Light that hangs between two rows of buildings.
struct Haze {
    depth: usize,
}

impl Layer for Haze {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let strength = [0.34, 0.2, 0.1][self.depth] * (1.0 + 0.06 * wave(t * 0.13));
        let (top, bottom) = (stage.height * 0.42, stage.height);
        let c = mix(stage.palette.sky[2], stage.palette.glow, 0.3);
        for y in top as usize..canvas.height {
            let k = strength * ((y as f32 - top) / (bottom - top)).min(1.0);
            for pixel in canvas.row(y) {
                for (p, c) in pixel.iter_mut().zip(c) {
                    *p += (c - *p) * k;
                }
            }
        }
    }
}

/// A row of buildings and the red lights on the tallest.
struct Row {
    strip: Strip,
    slide: Slide,
    lights: Vec<(f32, f32, f32)>,
}

impl Layer for Row {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        self.strip.draw(canvas, t);
        let left = self.slide.at(t);
        for &(x, y, rhythm) in &self.lights {
            let on = (wave(t * 0.5 + rhythm) * 2.0 + 0.5).clamp(0.0, 1.0);
            let at = (x - left, y);
            canvas.dot(at, stage.unit * 0.004, ink([255.0, 70.0, 60.0], on));
            canvas.glow(at, stage.unit * 0.035, [255.0, 60.0, 50.0], on * 0.6);
        }
    }
}

fn row(stage: &Stage, depth: usize) -> Row {
    let (u, p) = (stage.unit, &stage.palette);
    let mut rng = stage.rng(50 + depth as u64);
    let slide = stage.slide([0.12, 0.3, 0.6][depth]);
    let width = stage.width as usize + slide.room();
    let mut canvas = Canvas::new(width, stage.height as usize);
    let far = [0.66, 0.34, 0.04][depth];
    let body = mix(p.near, mix([88.0, 92.0, 112.0], p.sky[0], 0.4), 0.4 * p.daylight);
    let wall = mix(mix(body, p.far, far), p.sky[1], 0.12);
    let lamps = match stage.scene.hour {
        Hour::Day => 0.0,
        Hour::Dawn => 0.14,
        Hour::Dusk => 0.4,
        Hour::Night => 0.46,
    };
    let base = stage.height * [0.86, 0.9, 0.94][depth];
    let mut lights = Vec::new();
    let mut x = -u * 0.1;
    while x < width as f32 {
        let w = u * [0.075, 0.11, 0.17][depth] * rng.range(0.7, 1.5);
        let tower = rng.chance(0.2);
        let h = u * [0.36, 0.42, 0.36][depth] * rng.range(0.45, 1.0) * if tower { 1.45 } else { 1.0 };
        let tone = shade(wall, rng.range(0.86, 1.14));
        let mut pen = Pen::new(&mut canvas, (x, base), 1.0);
        let low = mix(tone, p.sky[2], 0.16);
        let paint = downward(-h, ink(tone, 1.0), 0.0, ink(low, 1.0));
        pen.rectangle((0.0, -h), (w, stage.height - base + 1.0), paint);
        roof(&mut pen, &mut rng, w, h, tone);
        if tower {
            let mast = u * rng.range(0.04, 0.09);
            let at = w * 0.5;
            pen.line(&[(at, -h), (at, -h - mast)], u * 0.006, u * 0.002, ink(tone, 1.0));
            lights.push((x + at, base - h - mast, rng.unit()));
        }
        let size = u * [0.008, 0.013, 0.022][depth];
        windows(&mut pen, &mut rng, (w, h), size, lamps, (tone, p.lamp, stage.scene.accent));
        // Gaps let the rows behind through.
        x += w * if rng.chance(0.25) { lerp(1.1, 1.6, rng.unit()) } else { 1.0 };
    }
    Row { strip: Strip::new(&canvas, 0, slide), slide, lights }
}

/// What ends a building: nothing, a step, a slope or a tank.
fn roof(pen: &mut Pen<'_>, rng: &mut Rng, w: f32, h: f32, tone: Rgb) {
    let paint = Paint::Flat(ink(tone, 1.0));
    match rng.next() % 4 {
        0 => pen.rectangle((w * 0.2, -h - w * 0.18), (w * 0.8, -h), paint),
        1 => pen.polygon(&[(0.0, -h), (w, -h - w * 0.3), (w, -h)], ink(tone, 1.0)),
        2 => {
            pen.rectangle((w * 0.58, -h - w * 0.2), (w * 0.84, -h - w * 0.06), paint);
            for leg in [0.6, 0.8] {
                pen.rectangle((w * leg, -h - w * 0.08), (w * (leg + 0.03), -h), paint);
            }
        }
        _ => {}
    }
}

/// Rows of windows, some of them lit.
fn windows(
    pen: &mut Pen<'_>,
    rng: &mut Rng,
    (w, h): (f32, f32),
    size: f32,
    lamps: f32,
    (wall, lamp, accent): (Rgb, Rgb, Rgb),
) {
    let (step_x, step_y) = (size * 1.75, size * 2.2);
    let (columns, rows) = ((w / step_x) as usize, (h / step_y) as usize);
    let left = (w - columns as f32 * step_x + step_x - size) * 0.5;
    let busy = lamps * rng.range(0.5, 1.3);
    let neon = rng.chance(0.12) && lamps > 0.3;
    for row in 0..rows {
        for column in 0..columns {
            let at = (left + column as f32 * step_x, -h + step_y * 0.6 + row as f32 * step_y);
            let lit = rng.chance(busy);
            let colour = if lit {
                let cool = rng.chance(0.25);
                let warm = mix(lamp, [255.0, 170.0, 90.0], rng.unit() * 0.6);
                if cool { [190.0, 220.0, 255.0] } else { warm }
            } else {
                mix(wall, [150.0, 186.0, 214.0], if lamps == 0.0 { 0.3 } else { 0.07 })
            };
            let opacity = if lit { rng.range(0.6, 1.0) } else { 0.8 };
            pen.rectangle(at, (at.0 + size, at.1 + size * 1.3), Paint::Flat(ink(colour, opacity)));
        }
    }
    if neon {
        let sign = mix(accent, [255.0; 3], 0.25);
        let x = w * 0.1;
        let top = -h * 0.8;
        pen.rectangle((x, top), (x + size * 1.1, top + h * 0.4), Paint::Flat(ink(sign, 0.95)));
        pen.glow((x, top + h * 0.2), h * 0.4, sign, 0.55);
    }
}
