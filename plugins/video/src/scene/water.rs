//! Open water: waves in perspective, the sun's path, a far coast.
//!
//! Owns the sea's surface. What swims or stands in it is drawn after it.

use super::Layer;
use super::canvas::{Canvas, over};
use super::land::Ridge;
use super::math::{bell, fractal, lerp, smooth, wave};
use super::palette::{mix, shade};
use super::stage::Stage;
use super::strip::Strip;
use crate::words::{Hour, Weather};

/// The sea and, behind it, the coast.
pub(crate) fn layers(stage: &Stage, layers: &mut Vec<Box<dyn Layer>>) {
    let mut rng = stage.rng(70);
    if rng.chance(0.75) {
        layers.push(coast(stage));
    }
    layers.push(Box::new(Sea::new(stage)));
}

/// A low coast at the horizon.
fn coast(stage: &Stage) -> Box<dyn Layer> {
    let (u, p) = (stage.unit, &stage.palette);
    let seed = stage.noise_seed(71);
    let from = stage.rng(72).range(-0.2, 0.7) * stage.width;
    let outline = |x: f32| {
        let within = bell(((x - from) / stage.width - 0.35) * 2.0);
        let rise = (fractal(x / (u * 0.3), 0.5, 4, seed) * 0.9 + 0.05) * within;
        stage.horizon + 2.0 - u * 0.16 * rise
    };
    let c = mix(p.far, p.near, 0.18);
    let low = mix(p.far, p.sky[2], 0.45);
    let colour = |_: f32, depth: f32| mix(c, low, smooth(0.0, u * 0.12, depth));
    let slide = stage.slide(0.05);
    let (canvas, top) = Ridge { nearness: 0.05, outline: &outline, colour: &colour }.canvas(stage, slide);
    Box::new(Strip::new(&canvas, top, slide))
}

/// How finely one turn of the wave table is divided.
const TURN_STEPS: usize = 1024;

/// The water's surface.
struct Sea {
    table: Vec<f32>,
    /// How near each column is to the sun's path.
    path: Vec<f32>,
    chop: f32,
}

impl Sea {
    fn new(stage: &Stage) -> Self {
        let table = (0..TURN_STEPS).map(|i| wave(i as f32 / TURN_STEPS as f32)).collect();
        let near = |x| (x as f32 - stage.sun.0) / stage.width;
        let path = (0..stage.width as usize).map(|x| near(x).abs()).collect();
        let chop = match stage.scene.weather {
            Weather::Storm => 1.9,
            Weather::Rain => 1.25,
            _ => 1.0,
        };
        Self { table, path, chop: chop * lerp(0.7, 1.0, (stage.scene.wind - 0.3).min(1.0)) }
    }
}

/// A wave's phase in 2^32 parts of a turn: where it starts and how it advances
/// from column to column.
fn phase(start: f32, step: f32) -> (u32, u32) {
    let parts = |turns: f32| (super::math::fract(turns) * 4_294_967_040.0) as u32;
    (parts(start), parts(step))
}

impl Layer for Sea {
    fn draw(&self, canvas: &mut Canvas, stage: &Stage, t: f32) {
        let (u, p) = (stage.unit, &stage.palette);
        let top = stage.horizon as usize;
        let depth = stage.height - stage.horizon;
        let lit = if stage.has_open_sky() { 1.0 } else { 0.18 };
        let night = stage.scene.hour == Hour::Night;
        let light = if night { mix(p.sun, p.glow, 0.4) } else { mix(p.sun, p.glow, 0.55) };
        let foam = mix(shade(p.lit([240.0, 246.0, 250.0]), 1.0), p.sky[2], 0.3);
        let wind = stage.scene.wind * stage.pan;
        for y in top..canvas.height {
            let d = ((y as f32 + 0.5 - stage.horizon) / depth).clamp(0.0, 1.0);
            // Distances shrink towards the horizon.
            let z = 1.0 / (d * 0.95 + 0.05);
            let scale = z / u;
            let far = z * 2.4;
            let a = phase(far * 1.3 + t * 0.16 * wind + 0.06 * wave(far * 0.7), scale * 0.33);
            let b = phase(far * 3.1 - t * 0.24, scale * -0.81);
            let c = phase(far * 6.7 + t * 0.42, scale * 1.9);
            let base = mix(mix(p.sky[2], p.sky[1], 0.35), p.water, smooth(0.0, 0.5, d).sqrt() * 0.92);
            let trough = shade(p.water, 0.55);
            let crest = mix(p.sky[1], p.sky[2], 0.4);
            let amount = lerp(0.1, 0.46, d.sqrt()) * self.chop.min(1.5);
            let spread = 1.0 / (0.045 + 0.16 * d);
            let sharp = 0.78 - 0.06 * self.chop;
            let (mut pa, mut pb, mut pc) = (a.0, b.0, c.0);
            for (pixel, path) in canvas.row(y).iter_mut().zip(&self.path) {
                let at = |phase: u32| self.table[(phase >> 22) as usize];
                let bend = (at(pb) * 0.045 * 4_294_967_040.0) as i32 as u32;
                let swell = at(pa.wrapping_add(bend));
                let s = 0.5 * swell + 0.3 * at(pb) + 0.2 * at(pc.wrapping_add(bend));
                let up = s.max(0.0) * amount;
                let down = (-s).max(0.0) * amount;
                let glint = bell((path * spread).min(1.0)) * (s * 1.7 + 0.5).clamp(0.0, 1.0) * lit;
                let white = ((s - sharp) * 4.0).clamp(0.0, 1.0) * (self.chop - 0.6).max(0.0) * d;
                for i in 0..3 {
                    let mut v = base[i];
                    v += (crest[i] - v) * up + (trough[i] - v) * down;
                    v += (light[i] - v) * glint * 0.72;
                    v += (foam[i] - v) * white.min(0.8);
                    pixel[i] = v;
                }
                pa = pa.wrapping_add(a.1);
                pb = pb.wrapping_add(b.1);
                pc = pc.wrapping_add(c.1);
            }
        }
        // A soft line where sea and sky meet.
        if top > 0 {
            let c = p.sky[2];
            for (row, k) in [(top, 0.55), (top + 1, 0.3), (top - 1, 0.25)] {
                for pixel in canvas.row(row.min(stage.height as usize - 1)) {
                    over(pixel, [c[0] * k, c[1] * k, c[2] * k, k]);
                }
            }
        }
    }
}
