//! The sky: its colours, sun or moon, stars, clouds.
//!
//! Owns all above the horizon that belongs to no place. Under water it is the
//! water, in space the void.

use super::canvas::{Canvas, over};
use super::math::{cell, fract, fractal, lerp, smooth, wave};
use super::palette::{mix, shade};
use super::pen::{Pen, ink};
use super::stage::Stage;
use super::strip::Strip;
use super::{Layer, is_bright};
use crate::words::{Hour, Place, Rgb, Weather};

/// Paints what never moves.
pub(crate) fn paint(canvas: &mut Canvas, stage: &Stage) {
    gradient(canvas, stage);
    match stage.scene.place {
        Place::Space => super::space::paint(canvas, stage),
        Place::Deep => {}
        _ => sun(canvas, stage),
    }
}

/// The layers that move: stars that twinkle, clouds that pass.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let place = stage.scene.place;
    if place == Place::Deep {
        return;
    }
    if place == Place::Space || (stage.has_open_sky() && !is_bright(&stage.scene)) {
        layers.push(Box::new(Stars::new(stage)));
    }
    if place != Place::Space {
        layers.push(Box::new(clouds(stage, 0)));
        layers.push(Box::new(clouds(stage, 1)));
    }
}

impl Layer for Strip {
    fn draw(&self, canvas: &mut Canvas, _: &Stage, t: f32) {
        Strip::draw(self, canvas, t);
    }
}

fn gradient(canvas: &mut Canvas, stage: &Stage) {
    let [top, middle, low] = stage.palette.sky;
    let (w, h) = (stage.width, stage.height);
    let reach = match stage.scene.place {
        Place::Space | Place::Deep => h,
        _ => stage.horizon,
    };
    let seed = stage.noise_seed(1);
    for y in 0..canvas.height {
        for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
            // A slow drift keeps wide skies from looking like a ruled sheet.
            let (fx, fy) = (x as f32 / w, y as f32 / h);
            let drift = (super::math::noise(fx * 2.2, fy * 3.0, seed) - 0.5) * 0.09;
            let t = (y as f32 / reach + drift).clamp(0.0, 1.0);
            let c = if t < 0.55 {
                mix(top, middle, smooth(0.0, 0.62, t))
            } else {
                mix(mix(top, middle, smooth(0.0, 0.62, t)), low, smooth(0.5, 1.0, t))
            };
            *pixel = [c[0], c[1], c[2], 1.0];
        }
    }
}

fn sun(canvas: &mut Canvas, stage: &Stage) {
    let (u, p) = (stage.unit, &stage.palette);
    let open = if stage.has_open_sky() { 1.0 } else { 0.3 };
    let night = stage.scene.hour == Hour::Night;
    let low = matches!(stage.scene.hour, Hour::Dawn | Hour::Dusk);
    let radius = u * if night {
        0.05
    } else if low {
        0.066
    } else {
        0.042
    };
    canvas.glow(stage.sun, u * 1.2, p.glow, if night { 0.34 } else { 0.5 } * open);
    canvas.glow(stage.sun, u * 0.46, p.glow, 0.5 * open);
    canvas.glow(stage.sun, radius * 2.6, p.sun, if night { 0.25 } else { 0.6 } * open);
    if open < 1.0 && !night {
        return;
    }
    let mut pen = Pen::new(canvas, stage.sun, radius);
    pen.disc((0.0, 0.0), 1.0, ink(p.sun, open));
    if night {
        let seas = shade(p.sun, 0.86);
        for (at, r) in [((-0.35, -0.25), 0.3), ((0.25, 0.2), 0.36), ((0.45, -0.4), 0.16)] {
            pen.disc(at, r, ink(seas, 0.75 * open));
        }
        pen.disc((-0.2, 0.55), 0.16, ink(seas, 0.6 * open));
    }
}

/// Stars, each with a rhythm of its own.
struct Stars(Vec<Star>);

struct Star {
    at: (f32, f32),
    radius: f32,
    colour: Rgb,
    bright: f32,
    rhythm: f32,
}

impl Stars {
    fn new(stage: &Stage) -> Self {
        let mut rng = stage.rng(2);
        let space = stage.scene.place == Place::Space;
        let reach = if space { stage.height } else { stage.horizon * 0.95 };
        let night = space || stage.scene.hour == Hour::Night;
        let count = if space {
            190.0
        } else if night {
            130.0
        } else {
            36.0
        };
        // A small picture has room for fewer points of light.
        let room = (stage.width * stage.height / 129_600.0).sqrt().clamp(0.15, 1.2);
        let count = (count * room) as usize;
        let star = |_| {
            let (x, y) = (rng.unit() * stage.width, rng.unit());
            // Fewer stars towards the bright horizon.
            let y = if space { y } else { y * y.sqrt() } * reach;
            let big = rng.unit();
            let fade = if space { 1.0 } else { 1.0 - y / reach };
            Star {
                at: (x, y),
                radius: (stage.unit * lerp(0.0012, 0.004, big * big * big)).max(0.4),
                colour: *rng.pick(&[[255.0; 3], [205.0, 222.0, 255.0], [255.0, 232.0, 204.0]]),
                bright: lerp(0.25, 1.0, big) * lerp(0.35, 1.0, fade) * if night { 1.0 } else { 0.6 },
                rhythm: rng.range(0.2, 0.9),
            }
        };
        Self((0..count).map(star).collect())
    }
}

impl Layer for Stars {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        // In space the view itself is under way; the near stars pass fastest.
        let under_way = stage.scene.place == Place::Space;
        for (i, star) in self.0.iter().enumerate() {
            let mut star_at = star.at;
            if under_way {
                let way = stage.pan * t * stage.unit * (0.004 + star.radius * 0.02);
                star_at.0 = fract((star.at.0 - way) / stage.width) * stage.width;
            }
            let twinkle = 0.72 + 0.28 * wave(t * star.rhythm + cell(i as i32, 0, 5));
            canvas.dot(star_at, star.radius, ink(star.colour, star.bright * twinkle));
            if star.radius > stage.unit * 0.0032 {
                canvas.glow(star_at, star.radius * 6.0, star.colour, 0.3 * twinkle);
            }
        }
    }
}

/// How much of the sky clouds hide: the noise above which a cloud begins.
fn threshold(weather: Weather) -> f32 {
    match weather {
        Weather::Clear => 0.56,
        Weather::Cloudy => 0.47,
        Weather::Fog | Weather::Snow => 0.44,
        Weather::Rain => 0.4,
        Weather::Storm => 0.37,
    }
}

/// A sheet of clouds: sheet 0 is high and fine, sheet 1 low and heavy.
fn clouds(stage: &Stage, sheet: u64) -> Strip {
    let (u, p) = (stage.unit, &stage.palette);
    let near = sheet as f32;
    let mut slide = stage.slide(0.12 + 0.16 * near);
    slide.speed *= stage.scene.wind;
    let height = (stage.horizon * lerp(0.98, 0.8, near)) as usize;
    let mut canvas = Canvas::new(stage.width as usize + slide.room(), height.max(1));
    let seed = stage.noise_seed(10 + sheet);
    let weather = if stage.has_open_sky() && stage.scene.weather != Weather::Cloudy {
        Weather::Clear
    } else {
        stage.scene.weather
    };
    let start = threshold(weather) + if sheet == 0 { 0.0 } else { 0.04 };
    let (sx, sy) = (1.0 / (u * lerp(0.3, 0.46, near)), 1.0 / (u * lerp(0.07, 0.17, near)));
    let to_sun = if stage.sun.0 > stage.width * 0.5 { 1.0 } else { -1.0 };
    let density = |x: f32, y: f32| fractal(x * sx, y * sy, 4, seed);
    for y in 0..canvas.height {
        let fy = y as f32 / height as f32;
        let edge = smooth(0.0, 0.12, fy) * smooth(1.0, 0.72, fy);
        let closed = if stage.has_open_sky() { edge } else { smooth(1.0, 0.5, fy) };
        for (x, pixel) in canvas.row(y).iter_mut().enumerate() {
            let (px, py) = (x as f32, y as f32);
            let d = density(px, py);
            let cover = smooth(start, start + 0.17, d) * closed * lerp(0.6, 0.92, near);
            if cover < 0.004 {
                continue;
            }
            let toward = density(px + to_sun * u * 0.03, py - u * 0.025);
            let light = (0.55 + (d - toward) * 3.6 - (d - start) * 0.7).clamp(0.0, 1.0);
            let c = mix(p.cloud[1], p.cloud[0], light);
            over(pixel, [c[0] * cover, c[1] * cover, c[2] * cover, cover]);
        }
    }
    Strip::new(&canvas, 0, slide)
}

/// A short bright moment that comes back every `period`: 0 at most times.
pub(crate) fn flicker(t: f32, period: f32, seed: u32) -> f32 {
    let round = (t / period).floor();
    let start = cell(round as i32, 3, seed) * 0.7;
    let since = (fract(t / period) - start) * period;
    if !(0.0..0.5).contains(&since) {
        return 0.0;
    }
    // Two strokes, the second weaker.
    let stroke = |at: f32, strength: f32| {
        let s = since - at;
        if s < 0.0 { 0.0 } else { strength * (1.0 - s * 4.5).max(0.0) }
    };
    stroke(0.0, 1.0).max(stroke(0.13, 0.7))
}
