//! A steam train on a viaduct.

use super::Cue;
use super::building::smoke;
use crate::scene::canvas::{Canvas, Paint, Point};
use crate::scene::math::{cowave, fract, lerp, smooth, wave};
use crate::scene::palette::{mix, shade};
use crate::scene::pen::{Pen, downward, ink};
use crate::words::Hour;

/// How many wagons follow the engine.
const WAGONS: usize = 4;

/// The viaduct over the whole picture and the train that crosses it.
pub(super) fn train(canvas: &mut Canvas, cue: &Cue<'_>) {
    let stage = cue.stage;
    let u = stage.unit;
    let rails = stage.caption_top - u * 0.25;
    viaduct(canvas, cue, rails);
    let way = stage.pan;
    let middle = stage.width * 0.5 + way * u * (0.3 + 0.085 * (cue.t - stage.seconds * 0.5));
    let size = u * 0.17;
    let mut pen = Pen::new(canvas, (middle, rails), size).facing(way < 0.0);
    let shake = 0.004 * wave(cue.t * 2.3);
    for wagon in 0..WAGONS {
        let x = -1.62 - wagon as f32 * 1.3;
        car(&mut pen.moved((x, shake * wave(wagon as f32 * 0.3)), 1.0, 0.0), cue);
    }
    engine(&mut pen.moved((0.0, shake), 1.0, 0.0), cue);
}

/// Arches of stone that carry the rails.
fn viaduct(canvas: &mut Canvas, cue: &Cue<'_>, rails: f32) {
    let stage = cue.stage;
    let (u, p) = (stage.unit, &stage.palette);
    let stone = mix(p.lit([168.0, 156.0, 144.0]), p.near, 0.15);
    let dark = mix(shade(stone, 0.5), p.near, 0.3);
    let span = u * 0.26;
    let deep = stage.height - rails;
    let piers = (stage.width / span) as usize + 2;
    let paint = downward(0.0, ink(stone, 1.0), deep * 0.8, ink(dark, 1.0));
    let mut pen = Pen::new(canvas, (0.0, rails), 1.0);
    for i in 0..piers {
        let x = (i as f32 - 0.5) * span;
        // One bay: its outline with the arch cut out.
        let (half, crown) = (span * 0.38, u * 0.045);
        let middle = x + span * 0.5;
        let mut shape: Vec<Point> = vec![(x, deep), (x, 0.0), (x + span + 0.6, 0.0), (x + span + 0.6, deep)];
        shape.push((middle + half, deep));
        shape.extend((0..=12).map(|k| {
            let turns = -(k as f32) / 24.0;
            (middle + half * cowave(turns), crown + half + half * wave(turns))
        }));
        shape.push((middle - half, deep));
        pen.shaded(&shape, paint);
    }
    pen.rectangle(
        (-9.0, -u * 0.008),
        (stage.width + 9.0, u * 0.012),
        Paint::Flat(ink(mix(stone, p.glow, 0.2), 1.0)),
    );
    pen.rectangle((-9.0, u * 0.012), (stage.width + 9.0, u * 0.018), Paint::Flat(ink(dark, 1.0)));
}

/// A wheel of radius `r` whose rim touches y = 0.
fn wheel(pen: &mut Pen<'_>, cue: &Cue<'_>, x: f32, r: f32) {
    let p = &cue.stage.palette;
    let dark = mix(p.near, [20.0, 20.0, 26.0], 0.5);
    pen.disc((x, -r), r, ink(dark, 1.0));
    pen.disc((x, -r), r * 0.74, ink(mix(p.accent, dark, 0.45), 1.0));
    let turn = cue.t * 0.085 / 0.17 / (r * 6.3);
    for spoke in 0..3 {
        let a = turn + spoke as f32 / 6.0;
        let (dx, dy) = (r * 0.8 * cowave(a), r * 0.8 * wave(a));
        pen.line(&[(x - dx, -r - dy), (x + dx, -r + dy)], r * 0.16, r * 0.16, ink(dark, 1.0));
    }
}

fn lit_window(cue: &Cue<'_>) -> [f32; 4] {
    let p = &cue.stage.palette;
    let strength = match cue.stage.scene.hour {
        Hour::Day => 0.25,
        Hour::Dawn => 0.6,
        _ => 1.0,
    };
    ink(mix(mix(p.near, p.sky[1], 0.5), p.lamp, strength), 1.0)
}

fn car(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let body = mix(p.accent, p.near, 0.22);
    let pale = mix(p.lit([240.0, 228.0, 200.0]), body, 0.2);
    for x in [-0.42, -0.2, 0.2, 0.42] {
        wheel(pen, cue, x, 0.09);
    }
    pen.line(&[(0.5, -0.16), (0.78, -0.16)], 0.05, 0.05, ink(p.near, 1.0));
    pen.rectangle(
        (-0.6, -0.62),
        (0.6, -0.13),
        downward(-0.62, ink(mix(body, p.glow, 0.1), 1.0), -0.13, ink(shade(body, 0.5), 1.0)),
    );
    pen.rectangle((-0.6, -0.52), (0.6, -0.3), Paint::Flat(ink(pale, 0.9)));
    let roof = [(-0.64, -0.61), (-0.58, -0.69), (0.58, -0.69), (0.64, -0.61)];
    pen.polygon(&roof, ink(mix(p.near, body, 0.25), 1.0));
    for i in 0..5 {
        let x = -0.52 + i as f32 * 0.22;
        pen.rectangle((x, -0.5), (x + 0.16, -0.33), Paint::Flat(lit_window(cue)));
    }
    if matches!(cue.stage.scene.hour, Hour::Night | Hour::Dusk) {
        pen.glow((0.0, -0.4), 0.8, p.lamp, 0.28);
    }
}

fn engine(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let steel = mix(p.near, p.lit([74.0, 78.0, 92.0]), 0.55);
    let red = p.accent;
    steam(pen, cue);
    smoke(&mut pen.moved((-0.2, -0.62), 0.5, 0.0), cue, (0.0, 0.0));
    pen.rectangle((-0.85, -0.26), (0.72, -0.16), Paint::Flat(ink(shade(red, 0.7), 1.0)));
    let boiler = downward(-0.62, ink(mix(steel, p.glow, 0.3), 1.0), -0.24, ink(shade(steel, 0.45), 1.0));
    pen.rectangle((-0.35, -0.6), (0.62, -0.24), boiler);
    pen.oval((0.62, -0.42), 0.07, 0.18, boiler);
    for x in [-0.1, 0.16, 0.4] {
        pen.rectangle((x, -0.605), (x + 0.025, -0.24), Paint::Flat(ink(mix(red, p.glow, 0.3), 0.9)));
    }
    pen.rectangle(
        (-0.85, -0.82),
        (-0.34, -0.24),
        downward(-0.82, ink(mix(red, p.glow, 0.12), 1.0), -0.2, ink(shade(red, 0.5), 1.0)),
    );
    pen.polygon(&[(-0.92, -0.81), (-0.86, -0.9), (-0.34, -0.9), (-0.28, -0.81)], ink(shade(steel, 0.6), 1.0));
    pen.rectangle((-0.73, -0.74), (-0.46, -0.54), Paint::Flat(lit_window(cue)));
    let stack = [(0.36, -0.58), (0.34, -0.82), (0.3, -0.9), (0.54, -0.9), (0.5, -0.82), (0.48, -0.58)];
    pen.polygon(&stack, ink(shade(steel, 0.7), 1.0));
    pen.oval((0.06, -0.62), 0.09, 0.08, Paint::Flat(ink(mix([220.0, 180.0, 90.0], steel, 0.3), 1.0)));
    pen.polygon(&[(0.66, -0.24), (0.92, -0.02), (0.6, -0.02)], ink(shade(red, 0.8), 1.0));
    for (x, r) in [(-0.62, 0.16), (-0.26, 0.16), (0.1, 0.16), (0.46, 0.1)] {
        wheel(pen, cue, x, r);
    }
    let a = cue.t * 0.085 / 0.17 / (0.16 * 6.3);
    let (dx, dy) = (0.09 * cowave(a), 0.09 * wave(a));
    pen.line(
        &[(-0.62 + dx, -0.16 + dy), (0.1 + dx, -0.16 + dy)],
        0.035,
        0.035,
        ink(mix(steel, [230.0; 3], 0.5), 1.0),
    );
    let night = if cue.stage.scene.hour == Hour::Day { 0.3 } else { 1.0 };
    let lamp = (0.68, -0.54);
    let beam = [(lamp.0, lamp.1 - 0.03), (3.4, -0.95), (3.4, 0.0), (lamp.0, lamp.1 + 0.03)];
    let (near, far) = (ink(p.lamp, 0.3 * night), ink(p.lamp, 0.0));
    pen.shaded(&beam, Paint::Fade(lamp, near, (3.2, -0.5), far));
    pen.disc(lamp, 0.05, ink([255.0, 244.0, 214.0], 1.0));
    pen.glow(lamp, 0.5, p.lamp, 0.7 * night);
}

/// Steam from the stack, left behind along the way.
fn steam(pen: &mut Pen<'_>, cue: &Cue<'_>) {
    let p = &cue.stage.palette;
    let c = mix(p.lit([240.0, 240.0, 244.0]), p.sky[2], 0.3);
    for puff in 0..26 {
        let age = fract(cue.t * 0.32 + puff as f32 / 26.0);
        let x = 0.42 - age * 3.4 + 0.06 * wave(puff as f32 * 0.37);
        let y = -0.96 - 0.75 * smooth(0.0, 1.0, age) - 0.06 * wave(puff as f32 * 0.61);
        pen.disc((x, y), lerp(0.09, 0.42, age), ink(c, 0.36 * smooth(0.0, 0.05, age) * (1.0 - age)));
    }
}
